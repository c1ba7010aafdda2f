//! What operators do.

use axum::{
    Extension, Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
};
use configs::api::Role;
use rules::messages::{Action, Command, Outcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    doors::Caller,
    problem::{Problem, Refusal},
    state::App,
};

const KEY_CHARS_MAX: usize = 128;
const NAME_CHARS_MAX: usize = 64;

/// What is asked for, once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// Made up by the client, once for everything that it asks for: the same key again acts once, and is answered the
    /// same.
    #[schema(example = "9f0c2a6e1b7d4f53", min_length = 1, max_length = 128)]
    key: String,
    #[schema(value_type = ActionSchema)]
    action: Action,
    /// Whose name is journaled. Only root and the gateway's own user, over the Unix socket, may name somebody else.
    #[schema(max_length = 64)]
    by: Option<String>,
}

/// What an operator can do about an alarm.
#[derive(ToSchema)]
#[schema(as = Action, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes rules::messages::Action")]
pub(super) enum ActionSchema {
    /// Acknowledge. With an occurrence, only if that is the current one.
    Ack {
        #[schema(example = "cdu.supply_hi@cdu-2")]
        alarm: String,
        occurrence: Option<u32>,
    },
    /// Reset a latched alarm that is acknowledged and no longer active.
    Reset { alarm: String },
}

/// What came of a command.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Outcome)]
pub(super) enum Answer {
    /// It took effect.
    Done(()),
    /// It did not; nothing changed.
    Rejected { why: String },
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done(()),
            Outcome::Rejected { why } => Self::Rejected { why },
        }
    }
}

/// Acknowledge or reset an alarm. Answered when it is on disk.
#[utoipa::path(
    post,
    path = "/api/v1/commands",
    tag = "commands",
    request_body = Request,
    responses((status = 200, description = "What came of it.", body = Answer)),
)]
pub(super) async fn command(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Result<Json<Request>, JsonRejection>,
) -> Result<Json<Answer>, Problem> {
    caller.at_least(Role::Operator)?;
    let Json(request) = request?;
    if request.key.is_empty() || request.key.chars().count() > KEY_CHARS_MAX {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("the key is empty or longer than {KEY_CHARS_MAX} characters"),
            "make up a new key for every command, and send it again only with the same command",
        ));
    }
    let by = name(&caller, request.by)?;
    let command = Command { key: request.key, by, action: request.action };
    Ok(Json(app.command(command).await?.into()))
}

/// Whose name stands on the command.
pub(super) fn name(caller: &Caller, wanted: Option<String>) -> Result<String, Problem> {
    let Some(wanted) = wanted.filter(|wanted| **wanted != *caller.name) else {
        return Ok(caller.name.to_string());
    };
    if !caller.speaks_for_others {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!("{} cannot act as somebody else", caller.name),
            "leave out by: commands are journaled under the name that the credential gives",
        ));
    }
    let sound = !wanted.trim().is_empty()
        && wanted.chars().count() <= NAME_CHARS_MAX
        && !wanted.chars().any(char::is_control);
    if !sound {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "by is empty, too long or not one line",
            format!("give a name of at most {NAME_CHARS_MAX} characters"),
        ));
    }
    Ok(wanted)
}

/// What came of a reload.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reloaded {
    /// The changed configuration is in force.
    Done(()),
}

/// Read the site file again and put what changed in force. Addresses and users of the interface itself stay as they were
/// at start.
#[utoipa::path(
    post,
    path = "/api/v1/reload",
    tag = "commands",
    responses(
        (status = 200, description = "The configuration is in force.", body = Reloaded),
        (status = 422, description = "It has faults; the one before stays in force.", body = Refusal),
    ),
)]
pub(super) async fn reload(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Reloaded>, Problem> {
    caller.at_least(Role::Admin)?;
    tracing::info!(by = &*caller.name, "asked to take the changed configuration");
    app.port.reload().await.map_err(|faults| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            faults,
            "mend the files and ask again; the configuration stays as it was",
        )
    })?;
    Ok(Json(Reloaded::Done(())))
}
