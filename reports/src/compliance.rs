//! Facility and IT energy of a period, their ratio under the name that each method gives it, how it stands to limits, and
//! everything that an auditor asks about it. Computed from the lines of the ledger and the plant alone; what they do not
//! carry is refused.
//!
//! The steps are those of domain facts §1.6: terms of both sums from the meter tree, energies over the same
//! quarter-hours, checks, name, completeness (§8.3) and uncertainty (§8.2).

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use rules::{
    book::Cause,
    calendar::{Span, UnknownZone},
    chain::Hash,
    ledger::RegisterReading,
    limits::{Bilingual, Judgement, Regulation},
    messages::SiteInfo,
    plant::{Carrier, Meter, Plant, Role},
    ratio::Period,
    register::Flag,
    signing::PublicKey,
};
use serde::Serialize;

use crate::{
    account::{Completeness, State},
    balance::NodeBalance,
    density::Density,
    estimate::Estimated,
    note::Note,
    sums::Quarter,
};

mod audit;
mod energy;
mod figure;
mod indicators;
mod lines;
mod subject;

pub use audit::Audit;
pub use figure::{Figure, Qualification, Verdict};
pub use indicators::{Indicator, Input};

/// Version of [`Compliance`] as JSON. Within one, members are added and never renamed.
pub const SCHEMA: u32 = 2;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    pub site: &'a SiteInfo,
    pub plant: &'a Plant,
    pub period: Period,
    /// Now: what ends later is not over yet.
    pub asked_at: DateTime<Utc>,
    /// Of this program.
    pub version: &'a str,
    /// The texts that are followed and judged by. The first one with a method names the main figure.
    pub regulations: &'a [Regulation],
    /// When another plant came into force within the period. Figures follow `plant` throughout.
    pub plant_changes: Vec<DateTime<Utc>>,
    /// SHA-256 of the catalog that `plant` is of.
    pub catalog: Hash,
    /// The ledger as it stood; `None` where nobody looked.
    pub ledger: Option<LedgerState>,
}

/// The whole ledger behind the lines of a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct LedgerState {
    pub lines: u64,
    pub head: Hash,
    /// The gateway's key, by which a sealed report is signed.
    pub key: Option<PublicKey>,
    /// Heads of the period that were published outside, oldest first.
    pub anchors: Vec<AnchorLine>,
}

/// A head of the ledger that was published outside the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct AnchorLine {
    pub day: NaiveDate,
    pub line: u64,
    pub head: Hash,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    #[error(transparent)]
    Zone(#[from] UnknownZone),
    #[error("no method is given: name a limits file that has one, such as iso-iec-30134-2")]
    NoMethod,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Compliance {
    pub schema: u32,
    pub made_at: DateTime<Utc>,
    pub made_by: String,
    pub site: SiteLine,
    pub period: PeriodLine,
    /// What it was computed from.
    pub inputs: Inputs,
    pub ledger: Option<LedgerState>,
    /// One for each method; the first is the main one.
    pub figures: Vec<Figure>,
    pub facility: Energy,
    pub it: Energy,
    /// From overhead meters alone, where they measure all of it: better known than the quotient.
    pub bottom_up: Option<BottomUp>,
    pub regulations: Vec<RegulationLine>,
    pub judgements: Vec<Judgement>,
    pub indicators: Vec<Indicator>,
    pub breakdown: Breakdown,
    pub balances: Vec<NodeBalance>,
    pub meters: Vec<MeterLine>,
    pub density: Density,
    pub estimates: Vec<Estimated>,
    pub corrections: Vec<CorrectionLine>,
    pub seals: Vec<SealLine>,
    pub flags: Vec<FlagLine>,
    /// What a reader must know beside the figures.
    pub notes: Vec<Note>,
    pub months: Vec<SpanLine>,
    pub days: Vec<SpanLine>,
    #[serde(skip)]
    pub profile: Profile,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteLine {
    pub id: String,
    pub name: String,
    pub gateway: String,
    pub time_zone: String,
    pub operator: Option<String>,
    pub address: Option<String>,
    pub commissioned_on: Option<NaiveDate>,
    pub it_design_kw: Option<f64>,
    pub simulated: bool,
}

/// `[from, to)`, cut at local midnight.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeriodLine {
    pub first: NaiveDate,
    pub last: NaiveDate,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// Local times with their offsets, as printed.
    pub from_local: String,
    pub to_local: String,
    pub hours: f64,
    pub quarter_hours: usize,
    /// Exactly 12 months.
    pub annual: bool,
}

/// The lines of the ledger that the answer rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inputs {
    /// Of the ledger; 0 where there were none.
    pub first_line: u64,
    pub last_line: u64,
    /// SHA-256 over the numbers of the lines and what they say, in their order.
    pub sha256: Hash,
    /// Of the catalog with plant and meter records.
    pub catalog: Hash,
}

/// One of the two sums.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Energy {
    /// Over the quarter-hours that all meters of both sums have in full. `None`: a meter has nothing at all.
    pub kwh: Option<f64>,
    pub terms: Vec<TermLine>,
    /// Shares of the energy that was due, over all terms, 0 to 1.
    pub measured_share: f64,
    pub bridged_share: f64,
    pub integrated_share: f64,
    pub estimated_share: f64,
    pub missing_share: f64,
    /// Of the worst meter.
    pub completeness_time: f64,
    pub completeness_energy: f64,
    /// Standard uncertainty; `None` where a meter's class is not declared.
    pub uncertainty_kwh: Option<f64>,
}

/// A meter in a sum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TermLine {
    pub meter: Arc<str>,
    /// Taken off.
    pub negative: bool,
    pub weight: f64,
    /// The part of it that is the data centre's.
    pub share: f64,
    /// Everything that the meter recorded in the period.
    pub recorded_kwh: Option<f64>,
}

/// One plus overhead over IT energy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BottomUp {
    pub value: f64,
    pub u95: Option<f64>,
    pub overhead_kwh: f64,
    pub meters: Vec<Arc<str>>,
}

/// A text that was followed or judged by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegulationLine {
    pub id: String,
    pub title: Bilingual,
    pub edition: String,
    pub jurisdiction: String,
    pub status: &'static str,
    pub source: String,
    pub checked_on: NaiveDate,
    pub verified: bool,
    pub scope: Option<Bilingual>,
    /// Those that apply here.
    pub caveats: Vec<Bilingual>,
    /// The best grade that a figure reaches, by its limit's id.
    pub grade: Option<String>,
    pub surcharge: Option<SurchargeLine>,
    pub indicators: Vec<IndicatorLine>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SurchargeLine {
    pub above_kwh: f64,
    pub amount: f64,
    pub currency: String,
}

/// A figure that has to be published.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IndicatorLine {
    pub symbol: String,
    pub title: Bilingual,
    pub unit: String,
    pub part_of: Option<String>,
    pub value: Option<f64>,
    pub text: Option<String>,
    /// Where it is from, or why it is missing.
    pub source: Bilingual,
}

/// Where facility energy went and by which carrier it came.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Breakdown {
    pub by_role: Vec<RoleLine>,
    pub uses: Vec<UseLine>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleLine {
    pub role: Role,
    pub carrier: Carrier,
    pub meters: u32,
    /// In kWh; in m³ for water. What was recorded.
    pub amount: Option<f64>,
}

/// A part of facility energy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UseLine {
    pub name: Use,
    pub kwh: f64,
    pub share: f64,
}

/// What energy was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    It,
    Cooling,
    PowerLosses,
    Other,
    NotMeteredApart,
}

/// What an auditor asks about one meter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeterLine {
    pub name: Arc<str>,
    pub title: Option<String>,
    /// As declared: role, category, serial number, classes, transformers, register, calibration.
    pub declared: Meter,
    /// `+` or `−` in facility and in IT energy.
    pub in_facility: Option<Sign>,
    pub in_it: Option<Sign>,
    /// In kWh; in m³ for water.
    pub amount: Option<f64>,
    pub completeness: Completeness,
    /// The register at the two snapshots that enclose what was recorded.
    pub first: Option<RegisterReading>,
    pub last: Option<RegisterReading>,
    pub rollovers: u32,
    /// Difference of the two readings with the turns of the register; `None` where a reset or an exchange lies between.
    pub register_difference: Option<f64>,
    pub flags: BTreeMap<Flag, u32>,
    pub repeated_rows: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    Plus,
    Minus,
}

/// Amounts that somebody put in the place of those that were recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CorrectionLine {
    /// Of the ledger.
    pub line: u64,
    pub recorded: Option<DateTime<Utc>>,
    pub meter: Arc<str>,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub cause: Cause,
    pub reason: String,
    pub by: String,
    pub signed: bool,
    /// What had been recorded for the same time, and what is counted now.
    pub before: Option<f64>,
    pub after: Option<f64>,
}

/// A report that was sealed before, of a period that overlaps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SealLine {
    pub line: u64,
    pub first: NaiveDate,
    pub last: NaiveDate,
    pub manifest: Hash,
    pub by: String,
}

/// Something that happened to registers or clocks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlagLine {
    pub flag: Flag,
    pub text: &'static str,
    /// Quarter-hours that carry it, over all meters.
    pub quarter_hours: u32,
    pub meters: Vec<Arc<str>>,
}

/// One day or month of the site's calendar.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpanLine {
    /// The first day.
    pub day: NaiveDate,
    pub hours: f64,
    /// Over the quarter-hours that all meters of both sums have in full.
    pub facility_kwh: Option<f64>,
    pub it_kwh: Option<f64>,
    /// Of these two.
    pub energy_ratio: Option<f64>,
    /// Shares of the quarter-hours, by the worst meter in each.
    pub measured_share: f64,
    pub bridged_share: f64,
    pub estimated_share: f64,
    pub missing_share: f64,
}

/// Quarter-hours for the charts, over the meters of each sum.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    pub facility: Vec<Quarter>,
    pub it: Vec<Quarter>,
    /// By the worst meter of both sums.
    pub states: Vec<State>,
    /// Each day with the places of its quarter-hours.
    pub days: Vec<(NaiveDate, std::ops::Range<usize>)>,
}

impl Compliance {
    /// The figure that heads the report.
    pub fn figure(&self) -> &Figure {
        // There is one for each method, and a question without a method has no answer.
        &self.figures[0]
    }
}

pub(crate) fn hours(span: Span) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a year has 527 040 minutes")]
    let minutes = span.length().num_minutes() as f64;
    minutes / 60.0
}
