//! Regulations, standards and targets as data, and how a measured figure stands to them.
//!
//! A [`Regulation`] is read from a file; nothing in here knows a country. What is judged is a [`Subject`]: the figures of a
//! period and what is declared of the site. A limit that cannot be judged says why, and a draft or a target never finds
//! fault: it only tells.

mod judge;

pub use self::judge::{Judgement, Measured, Outcome, Subject, conformity};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::value::Undefined;

/// A text that says how to measure, what to stay below, or what to publish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regulation {
    /// The name of its file: `gb-40879-2021`.
    pub id: String,
    pub title: Bilingual,
    /// The edition that was followed: `GB 40879-2021`.
    pub edition: String,
    /// `EU`, `DE`, `CN-BJ`, or `international`.
    pub jurisdiction: String,
    pub status: Status,
    pub effective_from: Option<NaiveDate>,
    pub effective_to: Option<NaiveDate>,
    /// Where the numbers are from.
    pub source: String,
    pub checked_on: NaiveDate,
    /// False where the legal text itself was not read in full: the report says so beside every figure of it.
    pub verified: bool,
    /// For whom it is.
    pub scope: Option<Bilingual>,
    pub caveats: Vec<Caveat>,
    /// How its ratio of energies is formed and called; `None` for a text that only sets limits to a ratio of others.
    pub method: Option<Method>,
    pub limits: Vec<Limit>,
    pub surcharge: Option<Surcharge>,
    pub indicators: Vec<IndicatorSpec>,
}

/// A text in the languages of the report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bilingual {
    pub en: String,
    /// Where there is none the English one serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zh: Option<String>,
}

impl Bilingual {
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: en.into(), zh: Some(zh.into()) }
    }
}

/// Why a formula has no answer.
impl From<Undefined> for Bilingual {
    fn from(why: Undefined) -> Self {
        let zh = match why {
            Undefined::ItPowerZero => "IT负荷为零",
            Undefined::FacilityBelowIt => "总能耗低于IT能耗：边界或电能表有误",
            Undefined::NoFlow => "冷却液无流量",
            Undefined::NoLoad => "无负荷",
            Undefined::ReversedSensors => "传感器接反",
            Undefined::CoolantOutOfRange => "冷却液参数超出公式范围",
            Undefined::TwoPhase => "两相冷却：不能由流量和温度求得",
            Undefined::NotMetered => "未计量",
            Undefined::DoubleCounting => "重复计量",
            Undefined::TemperatureCross => "温度交叉",
            Undefined::OutsideFormula => "超出公式适用范围",
        };
        Self::new(why.to_string(), zh)
    }
}

/// Whether a text binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    InForce,
    /// Not adopted, or adopted and not yet in force.
    Draft,
    Target,
    /// A target whose date has passed, still used to compare with.
    PastTarget,
    Voluntary,
    /// What others reach.
    Statistic,
}

impl Status {
    /// Whether a figure on the wrong side is a fault, and not only worth telling.
    pub fn binds(self) -> bool {
        self == Self::InForce
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::Draft => "draft",
            Self::Target => "target",
            Self::PastTarget => "past_target",
            Self::Voluntary => "voluntary",
            Self::Statistic => "statistic",
        }
    }
}

/// A sentence that belongs beside the figures under a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Caveat {
    pub when: CaveatWhen,
    pub text: Bilingual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaveatWhen {
    Always,
    /// The site has a liquid-cooled loop.
    LiquidCooled,
}

/// How a ratio of energies is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    pub symbol: Symbol,
    pub year: Year,
    /// Whether carriers other than electricity count in full.
    pub weights: Weighting,
}

/// What the ratio is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Symbol {
    /// The name of ISO/IEC 30134-2 and EN 50600-4-2, which `ratio` writes.
    Standard,
    /// R, the ratio of GB 40879.
    R,
}

/// Which twelve months are a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Year {
    AnyTwelveMonths,
    Calendar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    None,
    GreenGrid,
}

/// One line that a figure is held against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    pub id: String,
    pub title: Bilingual,
    pub metric: Metric,
    pub bound: Bound,
    pub year: Year,
    /// Judged at this share of the designed IT power only: 0.25.
    pub load_fraction: Option<f64>,
    pub applies: Applies,
    /// Of this limit alone, where it differs from the text's.
    pub status: Option<Status>,
    pub effective_from: Option<NaiveDate>,
    pub effective_to: Option<NaiveDate>,
    /// A grade is reached or not; only the limit itself can be failed.
    pub grade: bool,
    /// What follows from failing it.
    pub penalty: Option<String>,
}

/// What can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Facility over IT energy of twelve months.
    EnergyRatio,
    /// The same at characteristic outdoor conditions (`R_M1`), from a test record.
    CharacteristicRatio,
    /// Share of facility energy that is reused outside (ERF).
    EnergyReuse,
    /// Share of facility energy that is renewable (REF).
    Renewable,
    /// Litres of water for a kWh of IT energy (WUE).
    WaterUse,
}

impl Metric {
    pub fn word(self) -> &'static str {
        match self {
            Self::EnergyRatio => "energy_ratio",
            Self::CharacteristicRatio => "characteristic_ratio",
            Self::EnergyReuse => "energy_reuse",
            Self::Renewable => "renewable",
            Self::WaterUse => "water_use",
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Self::WaterUse => "L/kWh",
            Self::EnergyRatio | Self::CharacteristicRatio | Self::EnergyReuse | Self::Renewable => {
                ""
            }
        }
    }
}

/// On which side of a number a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
}

impl Bound {
    pub fn number(self) -> f64 {
        match self {
            Self::AtMost(number) | Self::Below(number) | Self::AtLeast(number) => number,
        }
    }

    /// `≤ 1.5`.
    pub fn text(self) -> String {
        match self {
            Self::AtMost(number) => format!("≤ {number}"),
            Self::Below(number) => format!("< {number}"),
            Self::AtLeast(number) => format!("≥ {number}"),
        }
    }

    /// With the unrounded figure: 1.2049 is not at most 1.2.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(number) => value <= number,
            Self::Below(number) => value < number,
            Self::AtLeast(number) => value >= number,
        }
    }
}

/// For which sites a limit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Applies {
    /// Started before this day.
    pub commissioned_before: Option<NaiveDate>,
    /// Started on this day or later.
    pub commissioned_from: Option<NaiveDate>,
    /// From so many months after the start on.
    pub months_after_start: Option<u32>,
    /// Designed IT power of at least this.
    pub it_power_kw_min: Option<f64>,
}

/// What energy above the limit costs on top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surcharge {
    pub limit: f64,
    pub currency: String,
    /// Ascending. The first one that holds is the price of all energy above the limit.
    pub tiers: Vec<Tier>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tier {
    /// Up to so many times the limit; `None`: without end.
    pub up_to_times: Option<f64>,
    /// For a kWh.
    pub price: f64,
}

impl Surcharge {
    /// Energy above the limit in kWh and what it costs: `E_DC − limit · E_IT` at the price of the tier that the ratio lies
    /// in (domain facts §3.3, V-BJ). `None` without IT energy.
    pub fn of(&self, facility_kwh: f64, it_kwh: f64) -> Option<(f64, f64)> {
        if it_kwh <= 0.0 {
            return None;
        }
        let above_kwh = (facility_kwh - self.limit * it_kwh).max(0.0);
        let times = facility_kwh / it_kwh / self.limit;
        let tier = self.tiers.iter().find(|tier| tier.up_to_times.is_none_or(|most| times <= most));
        Some((above_kwh, above_kwh * tier.map_or(0.0, |tier| tier.price)))
    }
}

/// A figure that has to be published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndicatorSpec {
    pub symbol: String,
    pub title: Bilingual,
    pub unit: String,
    pub from: Origin,
    /// A part of another one, not counted by itself.
    pub part_of: Option<String>,
}

/// Where an indicator comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The site file says it: a fact of that name.
    Fact,
    FacilityEnergy,
    ItEnergy,
    BackupEnergy,
    WaterIn,
    PotableWater,
    ReusedHeat,
    /// Of meters with that role; a fact of that name where there are none.
    OnsiteRenewable,
    /// All facts and meters of renewable energy together.
    RenewableTotal,
    CoolingDegreeDays,
    /// The areas of all rooms.
    ComputerRoomArea,
    EnergyRatio,
    WaterUse,
    EnergyReuse,
    Renewable,
}
