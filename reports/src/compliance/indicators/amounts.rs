//! The amounts of the period that further figures are formed from, or why they are not known.

use rules::plant::{AssetId, AssetKind, Fact, FactValue, Role};

use super::formulas::Operand;
use crate::{
    account::{count, share},
    compliance::{Audit, Breakdown, Energy, MeterLine, Use},
};

/// What is known for less of the period than this is no amount.
const ENOUGH: f64 = 0.98;

/// An amount or why there is none.
pub(crate) type Amount = Result<f64, String>;

/// What the figures are formed from.
pub(crate) struct Amounts {
    pub(crate) facility: Amount,
    pub(crate) it: Amount,
    cooling: Amount,
    losses: Amount,
    heat: Amount,
    pub(crate) water: Amount,
    pub(crate) potable: Amount,
    pub(crate) backup: Amount,
    pub(crate) onsite: Amount,
    pub(crate) renewable: Amount,
    pub(crate) reused_heat: Amount,
    compute_share: Amount,
    emission_factor: Amount,
}

impl Amounts {
    pub(super) fn of(&self, operand: Operand) -> &Amount {
        match operand {
            Operand::Facility => &self.facility,
            Operand::It => &self.it,
            Operand::Cooling => &self.cooling,
            Operand::Losses => &self.losses,
            Operand::ReusedHeat => &self.reused_heat,
            Operand::Renewable => &self.renewable,
            Operand::LiquidHeat => &self.heat,
            Operand::Water => &self.water,
            Operand::ComputeShare => &self.compute_share,
            Operand::EmissionFactor => &self.emission_factor,
        }
    }
}

impl Audit<'_> {
    pub(crate) fn amounts(
        &self,
        facility: &Energy,
        it: &Energy,
        meters: &[MeterLine],
        breakdown: &Breakdown,
    ) -> Amounts {
        let energy =
            |energy: &Energy, what: &str| energy.kwh.ok_or_else(|| format!("{what} is not known"));
        let used = |wanted: Use| breakdown.uses.iter().find(|part| part.name == wanted);
        let use_of = |wanted, word: &str| {
            used(wanted).map(|part| part.kwh).ok_or_else(|| format!("no meter measures {word}"))
        };
        let by_role = |role: Role, word: &str| role_sum(meters, role, word);
        let onsite = by_role(Role::Renewable, "renewable energy on site")
            .or_else(|_| by_role(Role::OnsiteGeneration, "generation on site"))
            .or_else(|why| self.quantity("ERES-OS", "kWh").unwrap_or(Err(why)));
        Amounts {
            facility: energy(facility, "facility energy"),
            it: energy(it, "IT energy"),
            cooling: use_of(Use::Cooling, "cooling apart"),
            losses: use_of(Use::PowerLosses, "losses of the power chain apart"),
            heat: self.liquid_heat(),
            water: by_role(Role::WaterIn, "water"),
            potable: by_role(Role::PotableWater, "potable water"),
            backup: by_role(Role::BackupGeneration, "backup generation"),
            reused_heat: by_role(Role::ReusedHeat, "reused heat"),
            compute_share: self.declared("COMPUTE-SHARE", ""),
            emission_factor: self.declared("EMISSION-FACTOR", "kg/kWh"),
            renewable: self.renewable(&onsite),
            onsite,
        }
    }

    /// Heat of all CDUs, integrated.
    fn liquid_heat(&self) -> Amount {
        let cdus: Vec<AssetId> = self.question().plant.of_kind(AssetKind::Cdu).collect();
        if cdus.is_empty() {
            return Err("the site has no CDU".to_owned());
        }
        let mut sum = 0.0;
        for cdu in cdus {
            let name = &self.question().plant.asset(cdu).name;
            let account = self.account(cdu).filter(|account| account.recorded().is_some());
            let account = account.ok_or_else(|| format!("the heat of {name} is not known"))?;
            let covered: f64 = account.cells().map(|cell| cell.coverage).sum();
            if covered < ENOUGH * count(account.len()) {
                let known = share(covered, count(account.len())) * 100.0;
                return Err(format!("the heat of {name} is known for {known:.1} % of the time"));
            }
            // What little is missing flowed as the rest did.
            sum += account.recorded().unwrap_or(0.0) * count(account.len()) / covered;
        }
        Ok(sum)
    }

    /// On site and by certificates.
    fn renewable(&self, onsite: &Amount) -> Amount {
        let certificates: Result<Vec<f64>, String> =
            ["ERES-GOO", "ERES-PPA"].iter().filter_map(|name| self.quantity(name, "kWh")).collect();
        let certificates = certificates?;
        if onsite.is_err() && certificates.is_empty() {
            return Err("neither a meter nor a fact tells of renewable energy".to_owned());
        }
        Ok(onsite.clone().unwrap_or(0.0) + certificates.iter().sum::<f64>())
    }

    fn declared(&self, name: &str, unit: &str) -> Amount {
        let missing = || Err(format!("the fact {name} is not declared"));
        self.quantity(name, unit).unwrap_or_else(missing)
    }

    /// A fact that holds at the end of the period, as a number. One in another unit is not converted: it is no amount.
    fn quantity(&self, name: &str, unit: &str) -> Option<Amount> {
        Some(match &self.fact(name)?.value {
            FactValue::Quantity { number, unit: given } if given == unit => Ok(*number),
            FactValue::Quantity { number, unit: given } => {
                Err(format!("the fact {name} is {number} {given}: it is needed in {unit}"))
            }
            FactValue::Text(text) => Err(format!("the fact {name} is no number: {text}")),
        })
    }

    /// The newest fact of that name that holds on the last day of the period.
    pub(crate) fn fact(&self, name: &str) -> Option<&Fact> {
        let day = self.question().period.last();
        let holds = |fact: &&Fact| {
            fact.name == name && fact.from <= day && fact.to.is_none_or(|to| day <= to)
        };
        self.site_record()?.facts.iter().filter(holds).max_by_key(|fact| fact.from)
    }
}

fn role_sum(meters: &[MeterLine], role: Role, word: &str) -> Amount {
    let of_role: Vec<&MeterLine> =
        meters.iter().filter(|meter| meter.declared.role == role).collect();
    if of_role.is_empty() {
        return Err(format!("no meter measures {word}"));
    }
    let mut sum = 0.0;
    for meter in of_role {
        let known = meter.completeness.energy >= ENOUGH;
        sum += meter.amount.filter(|_| known).ok_or_else(|| {
            let share = meter.completeness.energy * 100.0;
            format!("{} is known for {share:.1} %", meter.name)
        })?;
    }
    Ok(sum)
}
