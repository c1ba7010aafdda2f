//! The amounts of the period that further figures are formed from, or why they are not known.

use rules::{
    limits::Bilingual,
    plant::{AssetId, AssetKind, Fact, FactValue, Role},
};

use super::formulas::Operand;
use crate::{
    account::{count, share},
    compliance::{Audit, Breakdown, Energy, MeterLine, Use},
};

/// What is known for less of the period than this is no amount.
const ENOUGH: f64 = 0.98;

/// An amount or why there is none.
pub(crate) type Amount = Result<f64, Bilingual>;

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
        let energy = |energy: &Energy, (en, zh): (&str, &str)| {
            let unknown = || Bilingual::new(format!("{en} is not known"), format!("{zh}未知"));
            energy.kwh.ok_or_else(unknown)
        };
        let used = |wanted: Use| breakdown.uses.iter().find(|part| part.name == wanted);
        let use_of =
            |wanted, word| used(wanted).map(|part| part.kwh).ok_or_else(|| unmetered(word));
        let by_role = |role: Role, word| role_sum(meters, role, word);
        let onsite = by_role(Role::Renewable, ("renewable energy on site", "现场可再生能源"))
            .or_else(|_| by_role(Role::OnsiteGeneration, ("generation on site", "现场发电")))
            .or_else(|why| self.quantity("ERES-OS", "kWh").unwrap_or(Err(why)));
        Amounts {
            facility: energy(facility, ("facility energy", "总能耗")),
            it: energy(it, ("IT energy", "IT能耗")),
            cooling: use_of(Use::Cooling, ("cooling apart", "冷却用电")),
            losses: use_of(Use::PowerLosses, ("losses of the power chain apart", "配电损耗")),
            heat: self.liquid_heat(),
            water: by_role(Role::WaterIn, ("water", "用水")),
            potable: by_role(Role::PotableWater, ("potable water", "饮用水")),
            backup: by_role(Role::BackupGeneration, ("backup generation", "备用发电")),
            reused_heat: by_role(Role::ReusedHeat, ("reused heat", "余热利用")),
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
            return Err(Bilingual::new("the site has no CDU", "站点没有CDU"));
        }
        let mut sum = 0.0;
        for cdu in cdus {
            let name = &self.question().plant.asset(cdu).name;
            let account = self.account(cdu).filter(|account| account.recorded().is_some());
            let account = account.ok_or_else(|| {
                Bilingual::new(
                    format!("the heat of {name} is not known"),
                    format!("{name}的热量未知"),
                )
            })?;
            let covered: f64 = account.cells().map(|cell| cell.coverage).sum();
            if covered < ENOUGH * count(account.len()) {
                let known = share(covered, count(account.len())) * 100.0;
                return Err(Bilingual::new(
                    format!("the heat of {name} is known for {known:.1} % of the time"),
                    format!("{name}的热量仅在{known:.1} %的时间已知"),
                ));
            }
            // What little is missing flowed as the rest did.
            sum += account.recorded().unwrap_or(0.0) * count(account.len()) / covered;
        }
        Ok(sum)
    }

    /// On site and by certificates.
    fn renewable(&self, onsite: &Amount) -> Amount {
        let certificates: Result<Vec<f64>, Bilingual> =
            ["ERES-GOO", "ERES-PPA"].iter().filter_map(|name| self.quantity(name, "kWh")).collect();
        let certificates = certificates?;
        if onsite.is_err() && certificates.is_empty() {
            return Err(Bilingual::new(
                "neither a meter nor a fact tells of renewable energy",
                "没有电能表或声明说明可再生能源",
            ));
        }
        Ok(onsite.clone().unwrap_or(0.0) + certificates.iter().sum::<f64>())
    }

    fn declared(&self, name: &str, unit: &str) -> Amount {
        let missing = || {
            Err(Bilingual::new(format!("the fact {name} is not declared"), format!("未声明{name}")))
        };
        self.quantity(name, unit).unwrap_or_else(missing)
    }

    /// A fact that holds at the end of the period, as a number. One in another unit is not converted: it is no amount.
    fn quantity(&self, name: &str, unit: &str) -> Option<Amount> {
        Some(match &self.fact(name)?.value {
            FactValue::Quantity { number, unit: given } if given == unit => Ok(*number),
            FactValue::Quantity { number, unit: given } => Err(Bilingual::new(
                format!("the fact {name} is {number} {given}: it is needed in {unit}"),
                format!("所声明的{name}为{number} {given}，需要单位{unit}"),
            )),
            FactValue::Text(text) => Err(Bilingual::new(
                format!("the fact {name} is no number: {text}"),
                format!("所声明的{name}不是数值：{text}"),
            )),
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

fn unmetered((en, zh): (&str, &str)) -> Bilingual {
    Bilingual::new(format!("no meter measures {en}"), format!("没有计量{zh}的表计"))
}

fn role_sum(meters: &[MeterLine], role: Role, word: (&str, &str)) -> Amount {
    let of_role: Vec<&MeterLine> =
        meters.iter().filter(|meter| meter.declared.role == role).collect();
    if of_role.is_empty() {
        return Err(unmetered(word));
    }
    let mut sum = 0.0;
    for meter in of_role {
        let known = meter.completeness.energy >= ENOUGH;
        sum += meter.amount.filter(|_| known).ok_or_else(|| {
            let share = meter.completeness.energy * 100.0;
            let name = &meter.name;
            Bilingual::new(
                format!("{name} is known for {share:.1} %"),
                format!("{name}仅已知{share:.1} %"),
            )
        })?;
    }
    Ok(sum)
}
