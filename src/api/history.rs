//! What the gateway has seen, from its data directory.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use chrono::{DateTime, TimeDelta, Utc};
use rules::value::{NoData, Value};
use serde::{Deserialize, Serialize};
use store::{
    Reader,
    history::{Resolution, Rollup, Rows, Series},
};
use utoipa::{IntoParams, ToSchema};
use wildmatch::WildMatch;

use super::{
    moment::Span,
    past::{Failure, QUARTER_S, answer, check_size, length},
    problem::{Problem, Refusal},
    state::App,
    stream::read_globs,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Points: names, or patterns with * and ?, separated by commas.
    #[param(example = "cdu-2.tcs.*,rack-07.power")]
    points: String,
    /// RFC 3339, a day, `now`, or a length of time before now. Default: an hour before `to`.
    #[param(example = "-24h")]
    from: Option<String>,
    /// The same. Default: now.
    to: Option<String>,
    /// Default: 1m.
    resolution: Option<Fineness>,
}

/// How finely the past is told.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
pub(super) enum Fineness {
    /// Every sample.
    #[serde(rename = "raw")]
    Raw,
    /// One row a minute.
    #[default]
    #[serde(rename = "1m")]
    Minute,
    /// One row in fifteen minutes.
    #[serde(rename = "15m")]
    Quarter,
}

impl Fineness {
    fn resolution(self) -> Resolution {
        match self {
            Self::Raw => Resolution::Raw,
            Self::Minute => Resolution::Minute,
            Self::Quarter => Resolution::Quarter,
        }
    }

    /// Of one point. A point is seldom asked more often than once a second.
    fn rows_in(self, seconds: u64) -> u64 {
        match self {
            Self::Raw => seconds,
            Self::Minute => seconds / 60 + 2,
            Self::Quarter => seconds / QUARTER_S + 2,
        }
    }
}

/// What was kept of some points.
#[derive(Serialize, ToSchema)]
pub(super) struct History {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    resolution: Fineness,
    series: Vec<OneSeries>,
}

/// What was kept of one point, in order of time. A point whose unit changed has one for each.
#[derive(Serialize, ToSchema)]
pub(super) struct OneSeries {
    #[schema(value_type = String)]
    point: Arc<str>,
    #[schema(value_type = String)]
    unit: Arc<str>,
    rows: Vec<Row>,
}

/// A sample, or what those of a minute or a quarter-hour come to.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Row {
    Value {
        /// Milliseconds since 1970, UTC.
        at_ms: i64,
        /// As in a snapshot.
        #[schema(value_type = Object)]
        value: Value,
    },
    Missing {
        at_ms: i64,
        /// Why there is no value, as in a snapshot.
        #[schema(value_type = Object)]
        missing: NoData,
    },
    Figures {
        /// When it begins.
        at_ms: i64,
        /// Samples with a number.
        count: u32,
        /// Samples without one.
        bad: u32,
        min: f64,
        max: f64,
        mean: f64,
        last: f64,
    },
    Empty {
        at_ms: i64,
        count: u32,
        bad: u32,
    },
}

impl From<Series> for OneSeries {
    fn from(series: Series) -> Self {
        let rows = match series.rows {
            Rows::Raw(rows) => rows
                .into_iter()
                .map(|row| match row.value {
                    Ok(value) => Row::Value { at_ms: row.at_ms, value },
                    Err(missing) => Row::Missing { at_ms: row.at_ms, missing },
                })
                .collect(),
            Rows::Rollup(rows) => rows.into_iter().map(Row::from).collect(),
        };
        Self { point: series.point, unit: series.unit, rows }
    }
}

impl From<Rollup> for Row {
    fn from(rollup: Rollup) -> Self {
        let Rollup { at_ms, count, bad, figures } = rollup;
        match figures {
            Some(f) => {
                let (min, max, mean, last) = (f.min, f.max, f.mean, f.last);
                Self::Figures { at_ms, count, bad, min, max, mean, last }
            }
            None => Self::Empty { at_ms, count, bad },
        }
    }
}

/// What was kept of some points in some time.
#[utoipa::path(
    get,
    path = "/api/v1/history",
    tag = "past",
    params(HistoryQuery),
    responses(
        (status = 200, description = "A series for each point of which something is kept.", body = History),
        (status = 413, description = "Too many rows in one answer.", body = Refusal),
    ),
)]
pub(super) async fn history(
    State(app): State<App>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let globs = read_globs(&query.points)?;
    let span = Span::read(query.from.as_deref(), query.to.as_deref(), TimeDelta::hours(1))?;
    let resolution = query.resolution.unwrap_or_default();
    answer(&app, move |reader| {
        let points = names(reader, &query.points, &globs, span)?;
        let rows = resolution.rows_in(span.seconds()).saturating_mul(length(&points));
        check_size(rows, "ask for fewer points, a shorter time or a coarser resolution")?;
        let kept = reader.history(&points, span.from, span.to, resolution.resolution())?;
        let series = kept.into_iter().map(OneSeries::from).collect();
        Ok(History { from: span.from, to: span.to, resolution, series })
    })
    .await
}

/// The points that were known at some moment of the span and fit a pattern, and those that are named in full.
fn names(
    reader: &Reader,
    text: &str,
    globs: &[WildMatch],
    span: Span,
) -> Result<Vec<Arc<str>>, Failure> {
    let parts = text.split(',').map(str::trim);
    let whole = parts.filter(|part| !part.is_empty() && !part.contains(['*', '?']));
    let mut names: BTreeSet<Arc<str>> = whole.map(Arc::from).collect();
    if !text.contains(['*', '?']) {
        return Ok(names.into_iter().collect());
    }
    for held in reader.catalogs(span.from, span.to)? {
        let plant = &held.catalog.plant;
        let known = plant.point_ids().map(|point| plant.point_name(point));
        let fitting = known.filter(|name| globs.iter().any(|glob| glob.matches(name)));
        names.extend(fitting.map(Arc::from));
    }
    Ok(names.into_iter().collect())
}
