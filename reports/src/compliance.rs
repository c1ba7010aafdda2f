//! Facility and IT energy of a period, their ratio under the name that the standard gives it, and everything that an
//! auditor asks about them. Computed from ledger rows and the plant alone; what the rows do not carry is refused.
//!
//! The steps are those of domain facts §1.6: terms of both sums from the meter tree, energies over the same
//! quarter-hours, checks, name, completeness (§8.3) and uncertainty (§8.2).

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use rules::{
    calendar::{Span, UnknownZone, Zone},
    ledger::{LedgerRow, RegisterReading},
    messages::SiteInfo,
    meters::{MeterTree, Term, Total},
    plant::{AssetId, AssetKind, Carrier, Category, Detail, Meter, Plant, Role},
    ratio::{Period, Title, Weights},
    register::Flag,
};
use serde::Serialize;

use crate::{
    account::{Account, Cell, Completeness, Grid, State, count, share},
    density::{self, Density, Quarter},
};

mod figure;

pub(crate) use figure::floored_percent;
pub use figure::{Figure, Refusal, Verdict};

/// Version of [`Compliance`] as JSON. Within one, members are added and never renamed.
pub const SCHEMA: u32 = 1;
/// The text that is followed.
pub const METHOD: &str = "ISO/IEC 30134-2:2026";
/// A quarter-hour whose ratio of energies lies outside is worth a look (§1.6 step 4).
const PLAUSIBLE_RATIO: std::ops::RangeInclusive<f64> = 1.0..=3.0;

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
    pub operator: Operator,
    /// When another plant came into force within the period. Figures follow `plant` throughout.
    pub plant_changes: Vec<DateTime<Utc>>,
}

/// Who runs the data centre. Not in the ledger, so given with the question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Operator {
    pub name: Option<String>,
    pub address: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Compliance {
    pub schema: u32,
    pub made_at: DateTime<Utc>,
    pub made_by: String,
    pub site: SiteLine,
    pub period: PeriodLine,
    pub method: &'static str,
    /// How carriers count: `none` is every kWh as delivered.
    pub weights: &'static str,
    pub figure: Figure,
    pub facility: Energy,
    pub it: Energy,
    pub breakdown: Breakdown,
    pub meters: Vec<MeterLine>,
    pub density: Density,
    pub flags: Vec<FlagLine>,
    /// What a reader must know beside the figures.
    pub notes: Vec<String>,
    pub days: Vec<DayLine>,
    #[serde(skip)]
    pub profile: Profile,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteLine {
    pub id: String,
    pub name: String,
    pub gateway: String,
    pub time_zone: String,
    pub operator: Operator,
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

/// One of the two sums.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Energy {
    /// Over the quarter-hours that all meters of both sums have in full. `None`: a meter has nothing at all.
    pub kwh: Option<f64>,
    pub terms: Vec<TermLine>,
    /// Shares of the energy that was due, over all terms, 0 to 1.
    pub measured_share: f64,
    pub bridged_share: f64,
    pub missing_share: f64,
    /// Of the worst meter.
    pub completeness_time: f64,
    pub completeness_energy: f64,
    /// Standard uncertainty relative to the energy; `None` where a meter's class is not declared.
    pub relative_uncertainty: Option<f64>,
}

/// A meter in a sum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TermLine {
    pub meter: Arc<str>,
    /// Taken off.
    pub negative: bool,
    pub weight: f64,
    /// Everything that the meter recorded in the period.
    pub recorded_kwh: Option<f64>,
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
    pub name: &'static str,
    pub kwh: f64,
    pub share: f64,
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

/// Something that happened to registers or clocks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlagLine {
    pub flag: Flag,
    pub text: &'static str,
    /// Quarter-hours that carry it, over all meters.
    pub quarter_hours: u32,
    pub meters: Vec<Arc<str>>,
}

/// One day of the site's calendar.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DayLine {
    pub day: NaiveDate,
    pub hours: f64,
    /// Over the quarter-hours that all meters of both sums have in full.
    pub facility_kwh: Option<f64>,
    pub it_kwh: Option<f64>,
    /// Of these two: a ratio of energies of one day.
    pub energy_ratio: Option<f64>,
    /// Shares of the day's quarter-hours, by the worst meter in each.
    pub measured_share: f64,
    pub bridged_share: f64,
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

/// Takes ledger rows, then answers. Rows may come in slices of time, so that a year need not be in memory.
pub struct Audit<'a> {
    question: Question<'a>,
    zone: Zone,
    grid: Grid,
    accounts: BTreeMap<AssetId, Account>,
    /// Rows of meters that the plant does not have.
    strangers: BTreeMap<Arc<str>, u32>,
}

impl<'a> Audit<'a> {
    pub fn new(question: Question<'a>) -> Result<Self, UnknownZone> {
        let zone: Zone = question.site.time_zone.parse()?;
        let grid = Grid::new(zone.span(question.period));
        let accounts = question
            .plant
            .of_kind(AssetKind::Meter)
            .filter(|meter| record(question.plant, *meter).is_some())
            .map(|meter| (meter, Account::new(&grid)))
            .collect();
        Ok(Self { question, zone, grid, accounts, strangers: BTreeMap::new() })
    }

    /// Which rows are wanted: those that start in this span.
    pub fn span(&self) -> Span {
        self.grid.span()
    }

    /// Takes a row. Those of one meter come in the order of their times.
    pub fn take(&mut self, row: &LedgerRow) {
        let meter = self.question.plant.find_asset(&row.meter);
        match meter.and_then(|meter| self.accounts.get_mut(&meter)) {
            Some(account) => account.take(&self.grid, row),
            None => *self.strangers.entry(Arc::clone(&row.meter)).or_default() += 1,
        }
    }

    /// Everything that the rows carry.
    pub fn finish(self) -> Compliance {
        let sums = Sums::of(&self);
        let meters = self.meters(&sums);
        let facility = self.energy(&sums, &sums.facility, &sums.facility_quarters, &meters);
        let it = self.energy(&sums, &sums.it, &sums.it_quarters, &meters);
        let figure = self.figure(&sums, &facility, &it, &meters);
        let it_meters: Vec<AssetId> =
            sums.it.iter().filter(|term| !term.negative).map(|term| term.asset()).collect();
        let density = match &sums.tree {
            Ok(tree) => density::density(
                self.question.plant,
                tree,
                &it_meters,
                &sums.it_quarters,
                |meter| self.cells(meter),
            ),
            Err(_) => Density {
                floor_area_m2: None,
                hall: density::Power::default(),
                mean_kw_per_m2: None,
                groups: Vec::new(),
            },
        };
        Compliance {
            schema: SCHEMA,
            made_at: self.question.asked_at,
            made_by: format!("coldwatch {}", self.question.version),
            site: self.site(),
            period: self.period(),
            method: METHOD,
            weights: "none",
            breakdown: self.breakdown(&sums, facility.kwh, it.kwh, &meters),
            notes: self.notes(&sums, &meters),
            flags: flags(&meters),
            days: self.days(&sums),
            profile: self.profile(&sums),
            figure,
            facility,
            it,
            meters,
            density,
        }
    }

    fn site(&self) -> SiteLine {
        let site = self.question.site;
        SiteLine {
            id: site.id.clone(),
            name: site.name.clone(),
            gateway: site.gateway.clone(),
            time_zone: site.time_zone.clone(),
            operator: self.question.operator.clone(),
            simulated: site.simulated,
        }
    }

    fn period(&self) -> PeriodLine {
        let (period, span) = (self.question.period, self.grid.span());
        PeriodLine {
            first: period.first(),
            last: period.last(),
            from: span.from,
            to: span.to,
            from_local: self.zone.label(span.from),
            to_local: self.zone.label(span.to),
            hours: hours(span),
            quarter_hours: self.grid.len(),
            annual: period.is_annual(),
        }
    }

    fn cells(&self, meter: AssetId) -> &[Cell] {
        self.accounts.get(&meter).map(Account::cells).unwrap_or_default()
    }

    fn name(&self, asset: AssetId) -> &Arc<str> {
        &self.question.plant.asset(asset).name
    }

    /// Those of facility energy first, then those of IT energy, then the others.
    fn meters(&self, sums: &Sums) -> Vec<MeterLine> {
        let sign = |terms: &[Term], meter: AssetId| {
            let term = terms.iter().find(|term| term.asset() == meter)?;
            Some(if term.negative { Sign::Minus } else { Sign::Plus })
        };
        let lines = self.accounts.iter().filter_map(|(meter, account)| {
            let declared = record(self.question.plant, *meter)?.clone();
            let most = declared.max_power_kw / 4.0;
            Some(MeterLine {
                name: Arc::clone(self.name(*meter)),
                title: self.question.plant.asset(*meter).title.clone(),
                in_facility: sign(&sums.facility, *meter),
                in_it: sign(&sums.it, *meter),
                amount: account.recorded(),
                completeness: account.completeness(&self.grid, self.zone, most),
                first: account.first,
                last: account.last,
                rollovers: account.rollovers,
                register_difference: register_difference(account, &declared),
                flags: account.flags.clone(),
                repeated_rows: account.repeated,
                declared,
            })
        });
        let mut lines: Vec<MeterLine> = lines.collect();
        lines.sort_by_key(|line| (line.in_facility.is_none(), line.in_it.is_none()));
        lines
    }

    fn energy(
        &self,
        sums: &Sums,
        terms: &[Term],
        quarters: &[Quarter],
        meters: &[MeterLine],
    ) -> Energy {
        let line = |term: &Term| meters.iter().find(|line| line.name == *self.name(term.asset()));
        let lines: Vec<&MeterLine> = terms.iter().filter_map(line).collect();
        let recorded = !lines.is_empty() && lines.iter().all(|line| line.amount.is_some());
        let kwh = recorded.then(|| sums.common(quarters, 0..quarters.len()));
        let total = |part: fn(&Completeness) -> f64| -> f64 {
            lines.iter().map(|line| part(&line.completeness)).sum()
        };
        let measured = total(|found| found.measured);
        let bridged = total(|found| found.bridged);
        let missing = total(|found| found.expected_missing);
        let due = measured + bridged + missing;
        let worst = |part: fn(&Completeness) -> f64| {
            lines.iter().map(|line| part(&line.completeness)).reduce(f64::min).unwrap_or(0.0)
        };
        Energy {
            kwh,
            terms: terms.iter().map(|term| self.term(term)).collect(),
            measured_share: share(measured, due),
            bridged_share: share(bridged, due),
            missing_share: share(missing, due),
            completeness_time: worst(|found| found.time),
            completeness_energy: worst(|found| found.energy),
            relative_uncertainty: kwh.and_then(|kwh| figure::relative_uncertainty(&lines, kwh)),
        }
    }

    fn term(&self, term: &Term) -> TermLine {
        let meter = term.asset();
        let carrier = record(self.question.plant, meter).map(|meter| meter.carrier);
        TermLine {
            meter: Arc::clone(self.name(meter)),
            negative: term.negative,
            weight: carrier.and_then(|carrier| Weights::None.of(carrier).ok()).unwrap_or(0.0),
            recorded_kwh: self.accounts.get(&meter).and_then(Account::recorded),
        }
    }

    fn breakdown(
        &self,
        sums: &Sums,
        facility: Option<f64>,
        it: Option<f64>,
        meters: &[MeterLine],
    ) -> Breakdown {
        let mut by_role: Vec<RoleLine> = Vec::new();
        for meter in meters {
            let Meter { role, carrier, .. } = meter.declared;
            let known =
                by_role.iter_mut().find(|line| (line.role, line.carrier) == (role, carrier));
            match known {
                Some(line) => {
                    line.meters += 1;
                    line.amount = line.amount.zip(meter.amount).map(|(sum, amount)| sum + amount);
                }
                None => by_role.push(RoleLine { role, carrier, meters: 1, amount: meter.amount }),
            }
        }
        let uses = match (facility, it) {
            (Some(facility), Some(it)) if facility > 0.0 => self.uses(sums, facility, it),
            _ => Vec::new(),
        };
        Breakdown { by_role, uses }
    }

    /// IT, what overhead meters show of the rest, and what nobody meters. Only electricity, and only where no overhead
    /// meter counts what another one counts.
    fn uses(&self, sums: &Sums, facility: f64, it: f64) -> Vec<UseLine> {
        let part = |name, kwh| UseLine { name, kwh, share: share(kwh, facility) };
        let mut uses = vec![part("IT", it)];
        let overhead: Vec<(AssetId, Role)> = self
            .accounts
            .keys()
            .filter_map(|meter| {
                let declared = record(self.question.plant, *meter)?;
                let counts = declared.carrier == Carrier::Electricity
                    && matches!(declared.role, Role::Cooling | Role::PowerLoss | Role::Other);
                counts.then_some((*meter, declared.role))
            })
            .collect();
        let places: Vec<usize> = overhead.iter().map(|(meter, _)| meter.index()).collect();
        let apart = sums.tree.as_ref().is_ok_and(|tree| tree.antichain(&places).is_ok());
        let mut rest = facility - it;
        for (role, name) in
            [(Role::Cooling, "cooling"), (Role::PowerLoss, "power losses"), (Role::Other, "other")]
        {
            let cells: Vec<_> = overhead
                .iter()
                .filter(|(_, known)| *known == role && apart)
                .map(|(meter, _)| (false, self.cells(*meter)))
                .collect();
            if cells.is_empty() {
                continue;
            }
            let quarters = density::sum_of(self.grid.len(), &cells);
            let kwh = sums.common(&quarters, 0..quarters.len());
            rest -= kwh;
            uses.push(part(name, kwh));
        }
        uses.push(part("not metered apart", rest));
        uses
    }

    fn days(&self, sums: &Sums) -> Vec<DayLine> {
        self.zone
            .days(self.question.period)
            .map(|(day, span)| {
                let places = self.grid.places(span);
                let states = sums.states.get(places.clone()).unwrap_or_default();
                let of = |wanted: &[State]| {
                    let found = states.iter().filter(|state| wanted.contains(state)).count();
                    share(count(found), count(states.len()))
                };
                let known = places.clone().any(|place| sums.is_common(place));
                let kwh = |quarters| known.then(|| sums.common(quarters, places.clone()));
                let (facility_kwh, it_kwh) = (kwh(&sums.facility_quarters), kwh(&sums.it_quarters));
                DayLine {
                    day,
                    hours: hours(span),
                    facility_kwh,
                    it_kwh,
                    energy_ratio: figure::quotient(facility_kwh, it_kwh).ok(),
                    measured_share: of(&[State::Measured]),
                    bridged_share: of(&[State::Bridged]),
                    missing_share: of(&[State::Partial, State::Missing]),
                }
            })
            .collect()
    }

    fn profile(&self, sums: &Sums) -> Profile {
        Profile {
            facility: sums.facility_quarters.clone(),
            it: sums.it_quarters.clone(),
            states: sums.states.clone(),
            days: self
                .zone
                .days(self.question.period)
                .map(|(day, span)| (day, self.grid.places(span)))
                .collect(),
        }
    }

    fn notes(&self, sums: &Sums, meters: &[MeterLine]) -> Vec<String> {
        let mut notes = Vec::new();
        if self.question.site.simulated {
            notes.push("The hall is simulated: these figures are about no real plant.".to_owned());
        }
        if !self.question.plant_changes.is_empty() {
            let changes = self.question.plant_changes.iter();
            let changes: Vec<Arc<str>> = changes.map(|at| self.zone.label(*at).into()).collect();
            notes.push(format!(
                "The configuration of the site changed within the period ({}): these figures follow the last one.",
                list(&changes)
            ));
        }
        let left_out = (0..self.grid.len()).filter(|place| !sums.is_common(*place)).count();
        if left_out > 0 && left_out < self.grid.len() {
            notes.push(format!(
                "{left_out} of {} quarter-hours are left out of both energies, because at least one of their meters has \
                 no full amount there: both cover the same time.",
                self.grid.len()
            ));
        }
        let odd = sums.odd_quarters(self.register_steps(sums));
        if odd > 0 {
            notes.push(format!(
                "In {odd} measured quarter-hours facility over IT energy lies outside 1 to 3: meters of one sum may be \
                 read at other moments than those of the other, or a meter errs."
            ));
        }
        let inside = self.cooling_inside_it(sums);
        if !inside.is_empty() {
            notes.push(format!(
                "Cooling energy is inside IT energy: the pumps of {} hang on IT meters and are metered nowhere else.",
                list(&inside)
            ));
        }
        for meter in meters.iter().filter(|meter| meter.flags.contains_key(&Flag::Reset)) {
            notes.push(format!(
                "The register of {} was reset: its amount is a lower bound.",
                meter.name
            ));
        }
        if !self.strangers.is_empty() {
            let names: Vec<Arc<str>> = self.strangers.keys().cloned().collect();
            notes.push(format!(
                "The ledger also has rows of {}, which the plant does not know: they are in no figure.",
                list(&names)
            ));
        }
        notes
    }

    /// What the registers of all terms together cannot tell apart within a quarter-hour, in kWh.
    fn register_steps(&self, sums: &Sums) -> f64 {
        let terms = sums.facility.iter().chain(&sums.it);
        let records = terms.filter_map(|term| record(self.question.plant, term.asset()));
        records.map(|meter| meter.register_step_kwh).sum()
    }

    /// CDUs behind an IT meter without an overhead meter in between.
    fn cooling_inside_it(&self, sums: &Sums) -> Vec<Arc<str>> {
        let Ok(tree) = &sums.tree else { return Vec::new() };
        let behind = |negative: bool| -> Vec<usize> {
            let terms = sums.it.iter().filter(|term| term.negative == negative);
            terms.flat_map(|term| tree.downstream(term.node)).collect()
        };
        let (counted, taken_off) = (behind(false), behind(true));
        self.question
            .plant
            .of_kind(AssetKind::Cdu)
            .filter(|cdu| counted.contains(&cdu.index()) && !taken_off.contains(&cdu.index()))
            .map(|cdu| Arc::clone(self.name(cdu)))
            .collect()
    }
}

/// Both sums, quarter-hour by quarter-hour.
struct Sums {
    tree: Result<MeterTree, String>,
    facility: Vec<Term>,
    it: Vec<Term>,
    /// Why a sum cannot be made.
    fault: Option<String>,
    facility_quarters: Vec<Quarter>,
    it_quarters: Vec<Quarter>,
    states: Vec<State>,
}

impl Sums {
    fn of(audit: &Audit<'_>) -> Self {
        let tree = MeterTree::of(audit.question.plant).map_err(|fault| fault.to_string());
        let mut fault = tree.as_ref().err().cloned();
        let mut terms = |total| match tree.as_ref().map(|tree| tree.terms(total)) {
            Ok(Ok(terms)) => terms,
            Ok(Err(why)) => {
                fault.get_or_insert(why.to_string());
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let (facility, it) = (terms(Total::Facility), terms(Total::It));
        let sum = |terms: &[Term]| {
            let cells: Vec<(bool, &[Cell])> =
                terms.iter().map(|term| (term.negative, audit.cells(term.asset()))).collect();
            density::sum_of(audit.grid.len(), &cells)
        };
        let (facility_quarters, it_quarters) = (sum(&facility), sum(&it));
        let states = facility_quarters
            .iter()
            .zip(&it_quarters)
            .map(|(one, other)| one.state.max(other.state));
        let states = states.collect();
        Self { tree, facility, it, fault, facility_quarters, it_quarters, states }
    }

    /// Whether all meters of both sums have the whole quarter-hour.
    fn is_common(&self, place: usize) -> bool {
        let full = |quarters: &[Quarter]| quarters.get(place).is_some_and(|q| q.kwh.is_some());
        full(&self.facility_quarters) && full(&self.it_quarters)
    }

    /// The energy of common quarter-hours.
    fn common(&self, quarters: &[Quarter], places: std::ops::Range<usize>) -> f64 {
        places
            .filter(|place| self.is_common(*place))
            .filter_map(|place| quarters.get(place).and_then(|quarter| quarter.kwh))
            .sum()
    }

    fn common_share(&self) -> f64 {
        let common = (0..self.states.len()).filter(|place| self.is_common(*place)).count();
        share(count(common), count(self.states.len()))
    }

    /// Measured quarter-hours whose ratio is hard to believe, also when registers are off by `steps_kwh`.
    fn odd_quarters(&self, steps_kwh: f64) -> usize {
        (0..self.states.len())
            .filter(|place| self.states[*place] == State::Measured)
            .filter(|place| {
                let (facility, it) =
                    (self.facility_quarters[*place].kwh, self.it_quarters[*place].kwh);
                facility.zip(it).is_some_and(|(facility, it)| {
                    let (least, most) = PLAUSIBLE_RATIO.into_inner();
                    facility + steps_kwh < least * it || facility - steps_kwh > most * it
                })
            })
            .count()
    }
}

fn record(plant: &Plant, meter: AssetId) -> Option<&Meter> {
    match &plant.asset(meter).detail {
        Detail::Meter(meter) => Some(meter),
        _ => None,
    }
}

/// What the register itself says about the time between the two readings.
fn register_difference(account: &Account, declared: &Meter) -> Option<f64> {
    let broken = [Flag::Reset, Flag::Replaced, Flag::Ambiguous, Flag::Suspicious];
    if broken.iter().any(|flag| account.flags.contains_key(flag)) {
        return None;
    }
    let turns = f64::from(account.rollovers) * declared.register_modulus_kwh.unwrap_or(0.0);
    Some(account.last?.value - account.first?.value + turns)
}

fn flags(meters: &[MeterLine]) -> Vec<FlagLine> {
    let mut lines: BTreeMap<Flag, FlagLine> = BTreeMap::new();
    for meter in meters {
        for (flag, count) in &meter.flags {
            let line = lines.entry(*flag).or_insert_with(|| FlagLine {
                flag: *flag,
                text: flag.text(),
                quarter_hours: 0,
                meters: Vec::new(),
            });
            line.quarter_hours += count;
            line.meters.push(Arc::clone(&meter.name));
        }
    }
    lines.into_values().collect()
}

fn hours(span: Span) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a year has 527 040 minutes")]
    let minutes = span.length().num_minutes() as f64;
    minutes / 60.0
}

/// `a, b and c`; a long list is cut.
pub(crate) fn list(names: &[Arc<str>]) -> String {
    const SHOWN: usize = 6;
    match names {
        [] => String::new(),
        [one] => one.to_string(),
        _ if names.len() > SHOWN => {
            format!("{} and {} more", names[..SHOWN].join(", "), names.len() - SHOWN)
        }
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The lowest category of the IT meters; `Err`: those without one.
fn category(plant: &Plant, terms: &[Term]) -> Result<Option<Category>, Vec<Arc<str>>> {
    let (mut lowest, mut without) = (None::<Category>, Vec::new());
    for term in terms.iter().filter(|term| !term.negative) {
        match record(plant, term.asset()).and_then(|meter| meter.category) {
            Some(category) => lowest = Some(lowest.map_or(category, |low| low.min(category))),
            None => without.push(Arc::clone(&plant.asset(term.asset()).name)),
        }
    }
    if without.is_empty() { Ok(lowest) } else { Err(without) }
}

fn title(category: Category, period: Period) -> Title {
    Title { category, period, boundary: None, weights: Weights::None }
}
