//! Answers in JSON that somebody has written already.

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};

/// An answer that was written as JSON already.
pub(super) fn written(text: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
