//! The two energies, what they are made of, and where facility energy went.

use std::sync::Arc;

use rules::{
    plant::{AssetId, Carrier, Meter, Role},
    uncertainty::{self, Part},
};

use super::{Audit, BottomUp, Breakdown, Energy, MeterLine, RoleLine, TermLine, Use, UseLine};
use crate::{
    account::{Account, Completeness, share},
    sums::{Sums, Weighed, record, sum_of, uncertainty_of},
};

/// Overhead meters tell the whole of it when they leave no more than this share of facility energy unmetered.
const UNMETERED_AT_MOST: f64 = 0.03;

impl Audit<'_> {
    pub(super) fn energy(&self, sums: &Sums, facility: bool, meters: &[MeterLine]) -> Energy {
        let (terms, quarters) = if facility {
            (&sums.facility, &sums.facility_quarters)
        } else {
            (&sums.it, &sums.it_quarters)
        };
        let line = |term: &Weighed| meters.iter().find(|line| line.name == *self.name(term.meter));
        let lines: Vec<(&Weighed, &MeterLine)> =
            terms.iter().filter_map(|term| Some((term, line(term)?))).collect();
        let recorded = !lines.is_empty() && lines.iter().all(|(_, line)| line.amount.is_some());
        let kwh = recorded.then(|| sums.common(quarters, 0..quarters.len()));
        let total = |part: fn(&Completeness) -> f64| -> f64 {
            lines.iter().map(|(term, line)| term.factor().abs() * part(&line.completeness)).sum()
        };
        let parts: [fn(&Completeness) -> f64; 5] = [
            |found| found.measured,
            |found| found.bridged,
            |found| found.integrated,
            |found| found.estimated,
            |found| found.expected_missing,
        ];
        let [measured, bridged, integrated, estimated, missing] = parts.map(total);
        let due = measured + bridged + integrated + estimated + missing;
        let worst = |part: fn(&Completeness) -> f64| {
            let all = lines.iter().map(|(_, line)| part(&line.completeness));
            all.reduce(f64::min).unwrap_or(0.0)
        };
        Energy {
            kwh,
            terms: terms.iter().map(|term| self.term(term)).collect(),
            measured_share: share(measured, due),
            bridged_share: share(bridged, due),
            integrated_share: share(integrated, due),
            estimated_share: share(estimated, due),
            missing_share: share(missing, due),
            completeness_time: worst(|found| found.time),
            completeness_energy: worst(|found| found.energy),
            uncertainty_kwh: kwh
                .and_then(|_| uncertainty_of(self.question.plant, &self.accounts, terms)),
        }
    }

    pub(super) fn name(&self, asset: AssetId) -> &Arc<str> {
        &self.question.plant.asset(asset).name
    }

    fn term(&self, term: &Weighed) -> TermLine {
        TermLine {
            meter: Arc::clone(self.name(term.meter)),
            negative: term.negative,
            weight: term.weight,
            share: term.share,
            recorded_kwh: self.accounts.get(&term.meter).and_then(Account::recorded),
        }
    }

    pub(super) fn breakdown(
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

    /// Electricity meters of what is neither IT nor boundary, where none of them counts what another one counts.
    fn overhead(&self, sums: &Sums) -> Vec<(AssetId, Role)> {
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
        if apart { overhead } else { Vec::new() }
    }

    /// IT, what overhead meters show of the rest, and what nobody meters.
    fn uses(&self, sums: &Sums, facility: f64, it: f64) -> Vec<UseLine> {
        let part = |name, kwh| UseLine { name, kwh, share: share(kwh, facility) };
        let mut uses = vec![part(Use::It, it)];
        let overhead = self.overhead(sums);
        let mut rest = facility - it;
        for (role, name) in [
            (Role::Cooling, Use::Cooling),
            (Role::PowerLoss, Use::PowerLosses),
            (Role::Other, Use::Other),
        ] {
            let members: Vec<_> = overhead
                .iter()
                .filter(|(_, known)| *known == role)
                .map(|(meter, _)| (self.part_of(*meter), self.accounts.get(meter)))
                .collect();
            if members.is_empty() {
                continue;
            }
            let quarters = sum_of(self.grid.len(), &members);
            let kwh = sums.common(&quarters, 0..quarters.len());
            rest -= kwh;
            uses.push(part(name, kwh));
        }
        uses.push(part(Use::NotMeteredApart, rest));
        uses
    }

    /// The data centre's part of a meter.
    fn part_of(&self, meter: AssetId) -> f64 {
        let declared = record(self.question.plant, meter);
        declared.and_then(|meter| meter.share.as_ref()).map_or(1.0, |share| share.part)
    }

    /// One plus overhead over IT energy, where overhead meters leave next to nothing unmetered.
    pub(super) fn bottom_up(&self, sums: &Sums, it: &Energy) -> Option<BottomUp> {
        let facility = sums.common(&sums.facility_quarters, 0..sums.facility_quarters.len());
        let it_kwh = it.kwh.filter(|kwh| *kwh > 0.0)?;
        let overhead = self.overhead(sums);
        let members: Vec<_> = overhead
            .iter()
            .map(|(meter, _)| (self.part_of(*meter), self.accounts.get(meter)))
            .collect();
        let quarters = sum_of(self.grid.len(), &members);
        let overhead_kwh = sums.common(&quarters, 0..quarters.len());
        let unmetered = facility - it_kwh - overhead_kwh;
        if members.is_empty() || unmetered.abs() > UNMETERED_AT_MOST * facility {
            return None;
        }
        let value = 1.0 + overhead_kwh / it_kwh;
        let parts = overhead.iter().map(|(meter, _)| {
            let declared = record(self.question.plant, *meter)?;
            let recorded = self.accounts.get(meter)?.recorded()?;
            Some(Part {
                model: declared.model.as_deref(),
                class: self.part_of(*meter) * recorded * uncertainty::of_meter(declared)?,
                own: 0.0,
            })
        });
        let parts: Option<Vec<Part<'_>>> = parts.collect();
        let u95 = parts.zip(it.uncertainty_kwh).map(|(parts, it_uncertainty)| {
            let overhead = share(uncertainty::of_sum(parts), overhead_kwh);
            uncertainty::expanded_of_bottom_up(value, overhead, it_uncertainty / it_kwh)
        });
        let meters = overhead.iter().map(|(meter, _)| Arc::clone(self.name(*meter))).collect();
        Some(BottomUp { value, u95, overhead_kwh, meters })
    }
}
