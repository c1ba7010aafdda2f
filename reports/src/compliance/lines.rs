//! The lines of the answer that are read off: site, period, meters, days, months, flags, corrections, notes.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{Datelike, NaiveDate};
use rules::{
    calendar::Span,
    ledger::INTERVAL,
    plant::{AssetKind, Meter},
    ratio::Period,
    register::Flag,
};

use super::{
    Audit, CorrectionLine, Energy, FlagLine, MeterLine, PeriodLine, Profile, SealLine, Sign,
    SiteLine, SpanLine, audit::Closed, figure, hours,
};
use crate::{
    account::{Account, State, count, share},
    balance::{self, NodeBalance},
    note::Note,
    sums::{Sums, Weighed, record},
};

impl Audit<'_> {
    pub(super) fn site(&self) -> SiteLine {
        let (site, record) = (self.question.site, self.site_record());
        SiteLine {
            id: site.id.clone(),
            name: site.name.clone(),
            gateway: site.gateway.clone(),
            time_zone: site.time_zone.clone(),
            operator: record.and_then(|record| record.operator.clone()),
            address: record.and_then(|record| record.address.clone()),
            commissioned_on: record.and_then(|record| record.commissioned_on),
            it_design_kw: record.and_then(|record| record.it_design_kw),
            simulated: site.simulated,
        }
    }

    pub(super) fn period(&self) -> PeriodLine {
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

    /// Those of facility energy first, then those of IT energy, then the others.
    pub(super) fn meters(&self, sums: &Sums) -> Vec<MeterLine> {
        let sign = |terms: &[Weighed], meter| {
            let term = terms.iter().find(|term| term.meter == meter)?;
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

    pub(super) fn days(&self, sums: &Sums) -> Vec<SpanLine> {
        self.zone
            .days(self.question.period)
            .map(|(day, span)| self.span_line(sums, day, span))
            .collect()
    }

    /// Whole and begun months, each from its first day in the period.
    pub(super) fn months(&self, sums: &Sums) -> Vec<SpanLine> {
        let mut months: Vec<Period> = Vec::new();
        for day in self.question.period.days() {
            if months.last().is_none_or(|month| month.first().month() != day.month()) {
                let last = Period::month_of(day).last().min(self.question.period.last());
                months.extend(Period::new(day, last).ok());
            }
        }
        let line = |month: Period| self.span_line(sums, month.first(), self.zone.span(month));
        months.into_iter().map(line).collect()
    }

    fn span_line(&self, sums: &Sums, day: NaiveDate, span: Span) -> SpanLine {
        let places = self.grid.places(span);
        let states = sums.states.get(places.clone()).unwrap_or_default();
        let of = |wanted: &[State]| {
            let found = states.iter().filter(|state| wanted.contains(state)).count();
            share(count(found), count(states.len()))
        };
        let known = places.clone().any(|place| sums.is_common(place));
        let kwh = |quarters| known.then(|| sums.common(quarters, places.clone()));
        let (facility_kwh, it_kwh) = (kwh(&sums.facility_quarters), kwh(&sums.it_quarters));
        SpanLine {
            day,
            hours: hours(span),
            facility_kwh,
            it_kwh,
            energy_ratio: figure::quotient(facility_kwh, it_kwh).ok(),
            measured_share: of(&[State::Measured, State::Integrated]),
            bridged_share: of(&[State::Bridged]),
            estimated_share: of(&[State::Estimated]),
            missing_share: of(&[State::Partial, State::Missing]),
        }
    }

    pub(super) fn profile(&self, sums: &Sums) -> Profile {
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

    pub(super) fn correction_lines(&self) -> Vec<CorrectionLine> {
        let line = |corrected: &super::audit::Corrected| {
            let correction = &corrected.correction;
            let quarters = i32::try_from(correction.amounts.len()).unwrap_or(i32::MAX);
            let known = correction.amounts.iter().flatten();
            let any = known.clone().next().is_some();
            CorrectionLine {
                line: corrected.line,
                recorded: corrected.recorded,
                meter: Arc::clone(&correction.meter),
                from: correction.start,
                to: correction.start + INTERVAL * quarters,
                cause: correction.cause,
                reason: correction.reason.clone(),
                by: correction.by.clone(),
                signed: correction.signature.is_some(),
                before: corrected.before,
                after: any.then(|| known.sum()),
            }
        };
        self.corrections.iter().map(line).collect()
    }

    pub(super) fn seal_lines(&self) -> Vec<SealLine> {
        let lines = self.seals.iter().map(|(line, seal)| SealLine {
            line: *line,
            first: seal.first,
            last: seal.last,
            manifest: seal.manifest,
            by: seal.by.clone(),
        });
        lines.collect()
    }

    pub(super) fn notes(
        &self,
        closed: &Closed,
        meters: &[MeterLine],
        balances: &[NodeBalance],
        facility: &Energy,
        it: &Energy,
    ) -> Vec<Note> {
        let sums = &closed.sums;
        let mut notes = Vec::new();
        if self.question.site.simulated {
            notes.push(Note::Simulated);
        }
        if !self.question.plant_changes.is_empty() {
            let changes = self.question.plant_changes.iter();
            let at = changes.map(|at| self.zone.label(*at).into()).collect();
            notes.push(Note::PlantChanged { at });
        }
        let quarters = (0..self.grid.len()).filter(|place| !sums.is_common(*place)).count();
        if quarters > 0 && quarters < self.grid.len() {
            notes.push(Note::LeftOut { quarters, of: self.grid.len() });
        }
        let estimated = facility.estimated_share.max(it.estimated_share);
        if estimated > 0.0 {
            notes.push(Note::Estimated { share: estimated });
        }
        let odd = sums.odd_quarters(self.register_steps(sums));
        if odd > 0 {
            notes.push(Note::OddQuarters { quarters: odd });
        }
        let cdus = self.cooling_inside_it(sums);
        if !cdus.is_empty() {
            notes.push(Note::CoolingInsideIt { cdus });
        }
        notes.extend(notes_of_meters(meters));
        notes.extend(balances.iter().filter_map(unbalanced));
        if !self.corrections.is_empty() {
            notes.push(Note::Corrected { corrections: self.corrections.len() });
        }
        if self.late > 0 {
            notes.push(Note::Late { rows: self.late });
        }
        if !self.strangers.is_empty() {
            notes.push(Note::Strangers { meters: self.strangers.keys().cloned().collect() });
        }
        notes
    }

    /// What the registers of all terms together cannot tell apart within a quarter-hour, in kWh.
    fn register_steps(&self, sums: &Sums) -> f64 {
        let terms = sums.facility.iter().chain(&sums.it);
        let records = terms.filter_map(|term| record(self.question.plant, term.meter));
        records.map(|meter| meter.register_step_kwh).sum()
    }

    /// CDUs behind an IT meter without an overhead meter in between.
    fn cooling_inside_it(&self, sums: &Sums) -> Vec<Arc<str>> {
        let Ok(tree) = &sums.tree else { return Vec::new() };
        let behind = |negative: bool| -> Vec<usize> {
            let terms = sums.it.iter().filter(|term| term.negative == negative);
            terms.flat_map(|term| tree.downstream(term.meter.index())).collect()
        };
        let (counted, taken_off) = (behind(false), behind(true));
        self.question
            .plant
            .of_kind(AssetKind::Cdu)
            .filter(|cdu| counted.contains(&cdu.index()) && !taken_off.contains(&cdu.index()))
            .map(|cdu| Arc::clone(self.name(cdu)))
            .collect()
    }

    /// What happened to registers and clocks, over all meters.
    pub(super) fn flags(meters: &[MeterLine]) -> Vec<FlagLine> {
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
}

fn notes_of_meters(meters: &[MeterLine]) -> Vec<Note> {
    let counted = |meter: &&MeterLine| meter.in_facility.is_some() || meter.in_it.is_some();
    let mut notes = Vec::new();
    let integrated = meters.iter().filter(counted).filter(|m| m.completeness.integrated > 0.0);
    let integrated: Vec<Arc<str>> = integrated.map(|meter| Arc::clone(&meter.name)).collect();
    if !integrated.is_empty() {
        notes.push(Note::Integrated { meters: integrated });
    }
    for meter in meters.iter().filter(|meter| meter.flags.contains_key(&Flag::Reset)) {
        notes.push(Note::Reset { meter: Arc::clone(&meter.name) });
    }
    for meter in meters.iter().filter(counted) {
        if let Some(share) = &meter.declared.share {
            notes.push(Note::Shared {
                meter: Arc::clone(&meter.name),
                percent: share.part * 100.0,
                basis: share.basis.clone(),
            });
        }
    }
    let unknown = meters.iter().filter(counted).filter(|m| m.declared.model.is_none()).count();
    if unknown > 1 {
        notes.push(Note::ModelsUnknown { meters: unknown });
    }
    notes
}

/// More in than out alone says little: most plants have branches that nobody meters.
fn unbalanced(node: &NodeBalance) -> Option<Note> {
    let suspect = node.suspect.as_ref();
    let wrong = node.verdict == balance::Verdict::MoreOutThanIn || suspect.is_some();
    wrong.then(|| Note::Unbalanced {
        meter: Arc::clone(&node.meter),
        percent: node.difference_share * 100.0,
        suspect: suspect.map(|suspect| (Arc::clone(&suspect.meter), suspect.error_percent)),
    })
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
