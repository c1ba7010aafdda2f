//! Takes the lines of the ledger, then answers.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use rules::{
    book::{
        Context, Correction, Entry, Line, LineError, Odd, Posting, Quarter as QuarterLine, Seal,
        Standing,
    },
    calendar::Zone,
    chain::{Hash, link},
    ledger::{INTERVAL, Method, accounts_of},
    meters::MeterTree,
    plant::{AssetId, AssetKind, Detail, SiteRecord},
    ratio::Weights,
    register::Flag,
};

use super::{Compliance, Inputs, Question, QuestionError, SCHEMA};
use crate::{
    account::{Account, Entered},
    balance, density,
    estimate::{self, Estimated, Kin},
    grid::Grid,
    sums::{Sums, record},
};

/// Takes the lines of the ledger that concern a period, in their order, then answers.
pub struct Audit<'a> {
    pub(super) question: Question<'a>,
    pub(super) zone: Zone,
    pub(super) grid: Grid,
    pub(super) accounts: BTreeMap<AssetId, Account>,
    context: Context,
    /// For the list of meters of that line: which accounts its places are.
    places: Option<(u64, Vec<Option<AssetId>>)>,
    /// By meter: the register after the quarter-hour before, with which the first of the period begins.
    readings: BTreeMap<AssetId, rules::ledger::RegisterReading>,
    /// Rows of meters that the plant does not have.
    pub(super) strangers: BTreeMap<Arc<str>, u32>,
    pub(super) corrections: Vec<Corrected>,
    pub(super) seals: Vec<(u64, Seal)>,
    /// Rows that came after a seal.
    pub(super) late: u32,
    pub(super) inputs: Inputs,
}

/// A correction with where it stands in the ledger.
pub(super) struct Corrected {
    pub(super) line: u64,
    pub(super) recorded: Option<DateTime<Utc>>,
    pub(super) correction: Correction,
    pub(super) before: Option<f64>,
}

/// What is computed once everything is taken.
pub(super) struct Closed {
    pub(super) sums: Sums,
    pub(super) estimates: Vec<Estimated>,
}

impl<'a> Audit<'a> {
    /// # Errors
    /// When the site's time zone is not known, or no method is asked for.
    pub fn new(question: Question<'a>) -> Result<Self, QuestionError> {
        let zone: Zone = question.site.time_zone.parse()?;
        if !question.regulations.iter().any(|regulation| regulation.method.is_some()) {
            return Err(QuestionError::NoMethod);
        }
        let grid = Grid::new(zone.span(question.period));
        let accounts = accounts_of(question.plant).map(|account| (account, Account::new(&grid)));
        let catalog = question.catalog;
        Ok(Self {
            zone,
            accounts: accounts.collect(),
            grid,
            question,
            context: Context::default(),
            places: None,
            readings: BTreeMap::new(),
            strangers: BTreeMap::new(),
            corrections: Vec::new(),
            seals: Vec::new(),
            late: 0,
            inputs: Inputs { first_line: 0, last_line: 0, sha256: Hash::of(b""), catalog },
        })
    }

    /// The period in UTC.
    pub fn span(&self) -> rules::calendar::Span {
        self.grid.span()
    }

    /// Takes a line. Those that say nothing of the period may be among them.
    ///
    /// # Errors
    /// When the line does not fit those before it.
    pub fn take(&mut self, line: &Line) -> Result<(), LineError> {
        match &line.entry {
            Entry::Meters(_) => self.context.take(line).map(drop),
            Entry::Quarter(quarter) => {
                let names = self.context.take(line)?;
                self.look_up(quarter.meters, names.as_deref().unwrap_or_default());
                self.take_quarter(line, quarter);
                Ok(())
            }
            Entry::Posting(posting) => {
                self.take_posting(line, posting);
                Ok(())
            }
        }
    }

    fn look_up(&mut self, list: u64, names: &[Arc<str>]) {
        if self.places.as_ref().is_none_or(|(known, _)| *known != list) {
            let find = |name: &Arc<str>| {
                let asset = self.question.plant.find_asset(name);
                asset.filter(|asset| self.accounts.contains_key(asset))
            };
            self.places = Some((list, names.iter().map(find).collect()));
        }
    }

    fn take_quarter(&mut self, line: &Line, quarter: &QuarterLine) {
        let inside = self.grid.place(quarter.start);
        if let Some(place) = inside {
            self.note_input(line, quarter);
            let Some((_, places)) = &self.places else { return };
            let (mut odd, mut later) =
                (quarter.odd.iter().peekable(), quarter.later.iter().peekable());
            for ((number, asset), amount) in (0_u32..).zip(places).zip(&quarter.amount) {
                let odd = odd.next_if(|odd| odd.0 == number);
                let standing = later
                    .next_if(|(later, _)| *later == number)
                    .map_or(Standing::First, |later| later.1);
                if amount.is_none() && odd.is_none() {
                    continue;
                }
                let Some(account) = asset.and_then(|asset| self.accounts.get_mut(&asset)) else {
                    continue;
                };
                if !standing.counts() {
                    account.repeated += 1;
                    continue;
                }
                self.late += u32::from(standing == Standing::Late);
                account.rows += 1;
                let (method, coverage, flags) = match odd {
                    Some(Odd(_, method, coverage, flags)) => (*method, *coverage, flags.as_slice()),
                    None => (Method::Register, 1.0, &[][..]),
                };
                // What a register shows that began anew in a gap is no total of the gap.
                let unknown = method == Method::Bridged && flags.contains(&Flag::Reset);
                let method = if unknown { Method::Missing } else { method };
                account.enter(place, Entered { amount: *amount, method, coverage });
                account.note_flags(place, flags);
                let wide = flags.contains(&Flag::InterpolatedWide);
                note_readings(
                    account,
                    quarter,
                    number,
                    *asset,
                    &self.readings,
                    (place, self.grid.len(), wide),
                );
            }
            self.count_strangers(quarter);
        }
        self.remember_readings(quarter);
    }

    /// The first quarter-hour of the period goes by the readings of the one before it.
    fn remember_readings(&mut self, quarter: &QuarterLine) {
        let Some((_, places)) = &self.places else { return };
        let before = quarter.start + INTERVAL <= self.grid.span().from;
        if !before && self.grid.place(quarter.start) > Some(1) {
            return;
        }
        for (number, asset) in places.iter().enumerate() {
            if let (Some(asset), Some(reading)) = (asset, quarter.last_reading(number)) {
                self.readings.insert(*asset, reading);
            }
        }
    }

    fn count_strangers(&mut self, quarter: &QuarterLine) {
        let Some((list, places)) = &self.places else { return };
        let names = self.context.names_of(*list);
        for ((asset, name), amount) in places.iter().zip(names).zip(&quarter.amount) {
            if asset.is_none() && amount.is_some() {
                *self.strangers.entry(Arc::clone(name)).or_default() += 1;
            }
        }
        for meter in quarter.meters_beside() {
            *self.strangers.entry(Arc::clone(meter)).or_default() += 1;
        }
    }

    /// The hash of what the period's lines say, which is cheap and depends on all of it.
    fn note_input(&mut self, line: &Line, quarter: &QuarterLine) {
        if self.inputs.first_line == 0 {
            self.inputs.first_line = line.line;
        }
        self.inputs.last_line = line.line;
        let mut said = Vec::with_capacity(16 + 8 * quarter.amount.len());
        said.extend(line.line.to_be_bytes());
        said.extend(quarter.start.timestamp().to_be_bytes());
        for amount in &quarter.amount {
            said.extend(amount.map_or([0xFF; 8], f64::to_be_bytes));
        }
        self.inputs.sha256 = link(self.inputs.sha256, &said);
    }

    fn take_posting(&mut self, line: &Line, posting: &Posting) {
        match posting {
            Posting::Correction(correction) => self.correct(line, correction),
            Posting::Seal(seal) => {
                let span = self.grid.span();
                if seal.from < span.to && span.from < seal.to {
                    self.seals.push((line.line, seal.clone()));
                }
            }
            Posting::Key(_) => {}
        }
    }

    fn correct(&mut self, line: &Line, correction: &Correction) {
        let starts = std::iter::successors(Some(correction.start), |start| Some(*start + INTERVAL));
        let mut starts = starts.take(correction.amounts.len());
        if !starts.any(|start| self.grid.place(start).is_some()) {
            return;
        }
        let account = self.question.plant.find_asset(&correction.meter);
        if account.is_none_or(|asset| !self.accounts.contains_key(&asset)) {
            *self.strangers.entry(Arc::clone(&correction.meter)).or_default() += 1;
            return;
        }
        let mut said = line.line.to_be_bytes().to_vec();
        let amounts = correction.amounts.iter();
        said.extend(amounts.flat_map(|amount| amount.unwrap_or(f64::MAX).to_be_bytes()));
        self.inputs.sha256 = link(self.inputs.sha256, &said);
        self.inputs.last_line = line.line;
        self.corrections.push(Corrected {
            line: line.line,
            recorded: line.recorded,
            correction: correction.clone(),
            before: None,
        });
    }

    /// Corrections stand over what was recorded, whichever came first, and later ones over earlier ones.
    fn apply_corrections(&mut self) {
        for Corrected { correction, before, .. } in &mut self.corrections {
            let asset = self.question.plant.find_asset(&correction.meter);
            let Some(account) = asset.and_then(|asset| self.accounts.get_mut(&asset)) else {
                continue;
            };
            let mut start = correction.start;
            for amount in &correction.amounts {
                if let Some(place) = self.grid.place(start) {
                    if let Some(recorded) = account.cell(place).amount {
                        *before = Some(before.unwrap_or(0.0) + recorded);
                    }
                    let method = if amount.is_some() { correction.method } else { Method::Missing };
                    account.enter(place, Entered { amount: *amount, method, coverage: 1.0 });
                }
                start += INTERVAL;
            }
        }
    }

    /// Everything that the lines carry.
    pub fn finish(mut self) -> Compliance {
        self.apply_corrections();
        let estimates = self.estimate();
        let sums = self.sums(Weights::None);
        let closed = Closed { sums, estimates };
        let meters = self.meters(&closed.sums);
        let facility = self.energy(&closed.sums, true, &meters);
        let it = self.energy(&closed.sums, false, &meters);
        let figures = self.figures(&closed.sums, &facility, &it, &meters);
        let balances = match &closed.sums.tree {
            Ok(tree) => balance::balances(self.question.plant, tree, &self.accounts),
            Err(_) => Vec::new(),
        };
        let months = self.months(&closed.sums);
        let breakdown = self.breakdown(&closed.sums, facility.kwh, it.kwh, &meters);
        let amounts = self.amounts(&facility, &it, &meters, &breakdown);
        let indicators = self.indicators(&closed.sums, &amounts, &figures);
        let (regulations, judgements) = self.judge(&closed, &figures, &amounts, &indicators);
        Compliance {
            schema: SCHEMA,
            made_at: self.question.asked_at,
            made_by: format!("coldwatch {}", self.question.version),
            site: self.site(),
            period: self.period(),
            inputs: self.inputs.clone(),
            ledger: self.question.ledger.clone(),
            bottom_up: self.bottom_up(&closed.sums, &it),
            notes: self.notes(&closed, &meters, &balances, &facility, &it),
            flags: Self::flags(&meters),
            days: self.days(&closed.sums),
            density: density::density(self.question.plant, &closed.sums, &self.accounts),
            corrections: self.correction_lines(),
            seals: self.seal_lines(),
            profile: self.profile(&closed.sums),
            figures,
            facility,
            it,
            regulations,
            judgements,
            indicators,
            breakdown,
            balances,
            meters,
            estimates: closed.estimates,
            months,
        }
    }

    pub(crate) fn question(&self) -> &Question<'a> {
        &self.question
    }

    pub(crate) fn account(&self, asset: AssetId) -> Option<&Account> {
        self.accounts.get(&asset)
    }

    /// The places of each day of the site's calendar.
    pub(crate) fn day_places(&self) -> Vec<std::ops::Range<usize>> {
        let days = self.zone.days(self.question.period);
        days.map(|(_, span)| self.grid.places(span)).collect()
    }

    pub(super) fn sums(&self, weights: Weights) -> Sums {
        Sums::of(self.question.plant, &self.accounts, self.grid.len(), weights)
    }

    /// Estimates for the meters of both sums; what only overhead meters lack stays missing.
    fn estimate(&mut self) -> Vec<Estimated> {
        let plant = self.question.plant;
        let Ok(tree) = MeterTree::of(plant) else { return Vec::new() };
        let terms = [rules::meters::Total::Facility, rules::meters::Total::It]
            .into_iter()
            .filter_map(|total| tree.terms(total).ok())
            .flatten();
        let mut counted: Vec<AssetId> = terms.map(rules::meters::Term::asset).collect();
        counted.sort_unstable();
        counted.dedup();
        let kin: Vec<Kin> = counted
            .into_iter()
            .map(|meter| Kin {
                meter,
                name: Arc::clone(&plant.asset(meter).name),
                twin: record(plant, meter)
                    .and_then(|declared| plant.find_asset(declared.twin.as_ref()?)),
                family: Kin::family(&tree, meter),
            })
            .collect();
        estimate::estimate(&mut self.accounts, &self.grid, self.zone, &kin)
    }

    /// What the site file declares of the site.
    pub(crate) fn site_record(&self) -> Option<&SiteRecord> {
        let site = self.question.plant.of_kind(AssetKind::Site).next()?;
        match &self.question.plant.asset(site).detail {
            Detail::Site(record) => Some(record),
            _ => None,
        }
    }
}

/// Keeps the register before the first and after the last amount, and how far apart the snapshots at the edges are.
fn note_readings(
    account: &mut Account,
    quarter: &QuarterLine,
    number: u32,
    asset: Option<AssetId>,
    readings: &BTreeMap<AssetId, rules::ledger::RegisterReading>,
    (place, places, wide): (usize, usize, bool),
) {
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    let last = quarter.last_reading(index);
    if account.first.is_none() {
        account.first = quarter
            .first_reading(number)
            .unwrap_or_else(|| asset.and_then(|asset| readings.get(&asset).copied()));
    }
    if wide && let (Some(first), Some(last)) = (account.first, last) {
        let difference = last.value - account.last.map_or(first.value, |last| last.value);
        if place == 0 {
            account.wide_cuts[0] = last.value - first.value;
        } else if place + 1 == places {
            account.wide_cuts[1] = difference;
        }
    }
    account.last = last.or(account.last);
}
