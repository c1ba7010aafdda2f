//! What is answered when a request cannot be: a status, what is wrong, and what to do about it.

use std::borrow::Cow;

use axum::{
    Json,
    extract::rejection::{JsonRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refusal {
    /// What is wrong.
    #[schema(example = "no credential")]
    error: Cow<'static, str>,
    /// What to do about it.
    #[schema(example = "send the header Authorization: Bearer TOKEN")]
    remedy: Cow<'static, str>,
}

#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    words: Refusal,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        error: impl Into<Cow<'static, str>>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, words: Refusal { error: error.into(), remedy: remedy.into() } }
    }

    /// What is not on disk was not done.
    pub(super) fn not_stored() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not stored",
            "free space on the disk of the gateway, and send the same again with the same key",
        )
    }

    pub(super) fn stopped() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the gateway is stopping",
            "ask again when it runs",
        )
    }

    /// Something of ours went wrong. The details are in the log.
    pub(super) fn ours(what: &'static str) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            what,
            "ask again; if it stays, look at the log of the gateway",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.words)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"coldwatch\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let remedy = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "send less; no request needs that much",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "send JSON, with Content-Type: application/json",
            _ => "send the body that /api/v1/openapi.json describes",
        };
        Self::new(rejection.status(), lower_case(&rejection.body_text()), remedy)
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(
            rejection.status(),
            lower_case(&rejection.body_text()),
            "send the parameters that /api/v1/openapi.json describes",
        )
    }
}

/// The texts of the web framework are sentences, ours are fragments.
fn lower_case(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}
