//! What the gateway has decided and counted, from its data directory.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, TimeDelta, Utc};
use rules::{
    ledger::{LedgerRow, hours},
    plant::AssetKind,
};
use serde::{Deserialize, Serialize};
use store::{
    Reader, StoreError,
    journal::{JournalLine, JournalQuery},
};
use tokio::task::spawn_blocking;
use utoipa::{IntoParams, ToSchema};

use super::{
    json::written,
    moment::{Span, moment},
    problem::{Problem, Refusal},
    state::App,
};

/// Some 30 MB of answer. Who needs more asks for one part after another, or exports.
pub(super) const ROWS_MAX: u64 = 500_000;
const LINES_MAX: usize = 1000;
const LINES: usize = 100;
pub(super) const QUARTER_S: u64 = 900;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct JournalParameters {
    /// RFC 3339, a day, `now`, or a length of time before now. Default: the beginning.
    from: Option<String>,
    /// The same. Default: the end.
    to: Option<String>,
    /// Lines with a lower number, to read on from a page.
    before: Option<u64>,
    /// At most so many, up to 1000. Default: 100.
    #[param(maximum = 1000)]
    limit: Option<usize>,
}

/// Lines of the journal, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Journal {
    /// Each with its number, its place in the log, what it tells, and its link of the hash chain.
    #[schema(value_type = Vec<Object>)]
    lines: Vec<JournalLine>,
}

/// What happened: alarms, commands, devices, the clock, the gateway itself.
#[utoipa::path(
    get,
    path = "/api/v1/journal",
    tag = "past",
    params(JournalParameters),
    responses((status = 200, description = "Newest first.", body = Journal)),
)]
pub(super) async fn journal(
    State(app): State<App>,
    query: Result<Query<JournalParameters>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let now = Utc::now();
    let read = |name, text: Option<&str>| text.map(|text| moment(name, text, now)).transpose();
    let query = JournalQuery {
        from: read("from", query.from.as_deref())?,
        to: read("to", query.to.as_deref())?,
        before: query.before,
        limit: query.limit.unwrap_or(LINES).clamp(1, LINES_MAX),
    };
    answer(&app, move |reader| Ok(Journal { lines: reader.journal(&query)? })).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LedgerParameters {
    /// RFC 3339, a day, `now`, or a length of time before now. Default: a day before `to`.
    from: Option<String>,
    /// The same. Default: now.
    to: Option<String>,
    /// Default: 15m.
    resolution: Option<Resolution>,
}

/// How long an interval of the ledger is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(as = LedgerResolution)]
pub(super) enum Resolution {
    /// As it was recorded.
    #[default]
    #[serde(rename = "15m")]
    Quarter,
    /// Hours of UTC, put together from them.
    #[serde(rename = "1h")]
    Hour,
}

/// Interval energies, by meter, then time.
#[derive(Serialize, ToSchema)]
pub(super) struct Ledger {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    resolution: Resolution,
    #[schema(value_type = Vec<Object>)]
    rows: Vec<LedgerRow>,
}

/// The closed quarter-hours of every meter, or hours of them, in kWh; of a water meter in m³.
#[utoipa::path(
    get,
    path = "/api/v1/ledger",
    tag = "past",
    params(LedgerParameters),
    responses(
        (status = 200, description = "Intervals that begin in that time.", body = Ledger),
        (status = 413, description = "Too many rows in one answer.", body = Refusal),
    ),
)]
pub(super) async fn ledger(
    State(app): State<App>,
    query: Result<Query<LedgerParameters>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let span = Span::read(query.from.as_deref(), query.to.as_deref(), TimeDelta::days(1))?;
    let resolution = query.resolution.unwrap_or_default();
    answer(&app, move |reader| {
        let catalog = reader.catalog()?;
        let of_kind = |kind| catalog.iter().flat_map(move |catalog| catalog.plant.of_kind(kind));
        let meters = length(&of_kind(AssetKind::Meter).collect::<Vec<_>>()).max(1);
        check_size(
            (span.seconds() / QUARTER_S + 1).saturating_mul(meters),
            "ask for a shorter time",
        )?;
        let mut rows = reader.ledger(span.from, span.to)?;
        if resolution == Resolution::Hour {
            let is_weather = |name: &str| {
                let plant = catalog.as_ref().map(|catalog| &catalog.plant);
                let asset = plant.and_then(|plant| Some(plant.asset(plant.find_asset(name)?)));
                asset.is_some_and(|asset| asset.kind == AssetKind::Weather)
            };
            rows = hours(&rows, is_weather);
        }
        Ok(Ledger { from: span.from, to: span.to, resolution, rows })
    })
    .await
}

pub(super) fn length<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

/// Why there is no answer.
pub(super) enum Failure {
    Store(StoreError),
    Refused(Problem),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

pub(super) fn check_size(rows: u64, remedy: &'static str) -> Result<(), Failure> {
    if rows <= ROWS_MAX {
        return Ok(());
    }
    let error = format!("the answer would have up to {rows} rows, and {ROWS_MAX} is the most");
    Err(Failure::Refused(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error, remedy)))
}

/// Reads and writes where waiting for the disk holds nobody up.
pub(super) async fn answer<T: Serialize>(
    app: &App,
    read: impl FnOnce(&Reader) -> Result<T, Failure> + Send + 'static,
) -> Result<Response, Problem> {
    let reader = app.store()?;
    let text = spawn_blocking(move || {
        let found = read(&reader)?;
        serde_json::to_string(&found)
            .map_err(|_| Failure::Refused(Problem::ours("the answer cannot be written")))
    });
    match text.await {
        Ok(Ok(text)) => Ok(written(text)),
        Ok(Err(Failure::Refused(problem))) => Err(problem),
        Ok(Err(Failure::Store(error))) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "failed to read what was kept"
            );
            Err(Problem::ours("what was kept cannot be read"))
        }
        Err(_) => Err(Problem::ours("reading what was kept failed")),
    }
}
