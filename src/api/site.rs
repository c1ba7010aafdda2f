//! How the site is: the whole picture, its alarms, and whether the gateway itself is well.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use rules::{
    messages::AlarmView,
    time::{BootId, Now},
};
use serde::Serialize;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::{json::written, openapi, problem::Problem, state::App};

/// A gateway that judged nothing for so long is not watching.
const TICKS_WITHIN: Duration = Duration::from_secs(5);

/// Everything that is known of the site now.
#[utoipa::path(
    get,
    path = "/api/v1/snapshot",
    tag = "site",
    responses((status = 200, description = "The whole picture.", body = openapi::Snapshot)),
)]
pub(super) async fn snapshot(State(app): State<App>) -> Result<Response, Problem> {
    let snapshot = app.snapshot().await?;
    // A large site takes a while to write, which is not for the threads that serve everybody.
    let text = spawn_blocking(move || serde_json::to_string(&snapshot)).await;
    match text {
        Ok(Ok(text)) => Ok(written(text)),
        Ok(Err(_)) | Err(_) => Err(Problem::ours("the picture cannot be written")),
    }
}

/// The alarms that are not normal, at an instant.
#[derive(Serialize, ToSchema)]
pub(super) struct AlarmList {
    #[schema(value_type = u64)]
    boot: BootId,
    seq: u64,
    #[schema(value_type = Object)]
    at: Now,
    /// As in a snapshot.
    #[schema(value_type = Vec<openapi::Alarm>)]
    alarms: Vec<AlarmView>,
}

/// The alarms that are not normal (ISA-18.2 letters other than A).
#[utoipa::path(
    get,
    path = "/api/v1/alarms",
    tag = "site",
    responses((status = 200, description = "All of them, in the order of the rules.", body = AlarmList)),
)]
pub(super) async fn alarms(State(app): State<App>) -> Result<Json<AlarmList>, Problem> {
    let snapshot = app.snapshot().await?;
    let (boot, seq, at, alarms) = (snapshot.boot, snapshot.seq, snapshot.at, snapshot.alarms);
    Ok(Json(AlarmList { boot, seq, at, alarms }))
}

/// What a gateway needs to be one.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    /// Rules are judged.
    ticking: bool,
    /// What is seen gets onto the disk.
    storing: bool,
}

/// Whether the process lives. Needs no credential.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    security(()),
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain")),
)]
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// Whether the gateway does its work: judges and stores.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, description = "It does.", body = Ready),
        (status = 503, description = "It does not; the body says what is missing.", body = Ready),
    ),
)]
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let ticking = app.hub.newest_at().is_some_and(|newest| newest.elapsed() < TICKS_WITHIN);
    let storing = app.is_storing();
    let status = if ticking && storing { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ticking, storing }))
}
