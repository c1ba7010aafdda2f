//! The routes, and what every request passes before it reaches one.

use std::time::Duration;

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{StatusCode, Uri},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tokio::time::timeout;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    commands, doors::Connection, history, metrics, openapi, past, postings, problem::Problem, site,
    state::App, stream,
};

/// No request needs more.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longer than the slowest answer, which is a year of history from a slow disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn router(app: App) -> Router {
    let (guarded, mut document) = OpenApiRouter::with_openapi(openapi::document())
        .routes(routes!(site::snapshot))
        .routes(routes!(site::alarms))
        .routes(routes!(stream::stream))
        .routes(routes!(history::history))
        .routes(routes!(past::journal))
        .routes(routes!(past::ledger))
        .routes(routes!(commands::command))
        .routes(routes!(commands::reload))
        .routes(routes!(postings::post))
        .routes(routes!(metrics::metrics))
        .routes(routes!(site::ready))
        .routes(routes!(openapi::openapi))
        .split_for_parts();
    let guarded = guarded
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), identify));
    let (open, health) = OpenApiRouter::new().routes(routes!(site::healthy)).split_for_parts();
    document.merge(health);
    openapi::complete(&mut document);
    guarded
        .merge(open.method_not_allowed_fallback(wrong_method))
        .layer(Extension(openapi::Written::new(&document)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), check_way))
        .layer(from_fn_with_state(app.clone(), count))
        .with_state(app)
}

/// Counts what was asked and how it was answered. Neither addresses nor parameters are kept: they may hold secrets.
async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().clone();
    let response = match timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "the answer took too long",
            "ask for less, or again when the gateway is less busy",
        )
        .into_response(),
    };
    app.counters.count(&method, route.as_deref().unwrap_or("other"), response.status());
    tracing::debug!(%method, route, status = response.status().as_u16(), "answered");
    response
}

async fn check_way(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    app.doors.check_way(&connection.peer, request.headers())?;
    Ok(next.run(request).await)
}

async fn identify(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = app.doors.identify(&connection.peer, request.headers())?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

async fn unknown(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {}", uri.path()),
        "look at /api/v1/openapi.json",
    )
}

async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this method is not for this address",
        "look at /api/v1/openapi.json",
    )
}
