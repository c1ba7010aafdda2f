//! What is entered into the ledger beside what the gateway counts: corrections, seals of reports, changes of its key.

use axum::{
    Extension, Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
};
use chrono::Utc;
use configs::api::Role;
use rules::{book::Posting, chain::Chain};
use serde::{Deserialize, Serialize};
use store::{Reader, StoreError};
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::{
    commands,
    doors::Caller,
    problem::{Problem, Refusal},
    state::App,
};

/// An entry, and the ledger that it is meant for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// As a line of the ledger has it: `{"correction": …}`, `{"seal": …}` or `{"key": …}`.
    #[schema(value_type = Object)]
    posting: Posting,
    /// Some line of that ledger with its hash, so that nothing gets into another one.
    #[schema(value_type = Object, example = json!({"lines": 0, "head": "…"}))]
    after: Chain,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Posted)]
pub(super) enum Answer {
    /// It is in the ledger.
    Done(()),
}

/// Enter a correction, a seal or a change of the key into the ledger. Answered when it is on disk. Where the ledger has a
/// key, all of them are signed by it.
#[utoipa::path(
    post,
    path = "/api/v1/ledger/postings",
    tag = "commands",
    request_body = Request,
    responses(
        (status = 200, description = "It is in the ledger.", body = Answer),
        (status = 409, description = "The ledger is another one.", body = Refusal),
        (status = 422, description = "It cannot be entered.", body = Refusal),
    ),
)]
pub(super) async fn post(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Result<Json<Request>, JsonRejection>,
) -> Result<Json<Answer>, Problem> {
    caller.at_least(Role::Admin)?;
    let Json(Request { posting, after }) = request?;
    commands::name(&caller, Some(posting.by().to_owned()))?;
    let reader = app.store()?;
    let checked =
        spawn_blocking(move || check(&reader, &posting, after).map(|fault| (posting, fault)));
    let checked = checked.await.map_err(|_panicked| Problem::ours("the check failed"))?;
    let (posting, fault) = checked.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the ledger cannot be read");
        Problem::ours("the ledger cannot be read")
    })?;
    if let Some(problem) = fault {
        return Err(problem);
    }
    tracing::info!(by = &*caller.name, "posted to the ledger: {posting}");
    app.post(posting).await?;
    Ok(Json(Answer::Done(())))
}

/// Why it cannot be entered, if so.
fn check(reader: &Reader, posting: &Posting, after: Chain) -> Result<Option<Problem>, StoreError> {
    if reader.chain_at(after.lines)? != Some(after) {
        return Ok(Some(Problem::new(
            StatusCode::CONFLICT,
            format!("line {} of this gateway's ledger is another one", after.lines),
            "talk to the gateway that writes the directory which you read",
        )));
    }
    let (keys, _) = reader.keys()?;
    let Some(catalog) = reader.catalog()? else {
        return Ok(Some(Problem::ours("nothing was recorded yet")));
    };
    let unfit = posting.check(&catalog.plant, &keys, Utc::now()).err();
    Ok(unfit.map(|why| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            why.to_string(),
            "nothing was entered: mend it and send it again",
        )
    }))
}
