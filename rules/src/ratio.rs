//! Facility over IT: of powers at one moment, and of energies over a period. Two types, because only the second may
//! carry the name that ISO/IEC 30134-2 gives it, and that only together with category and period.

use std::{fmt, str::FromStr};

use chrono::{Datelike, Months, NaiveDate};
use thiserror::Error;

use crate::{
    measures::{KilowattHours, Kilowatts},
    plant::{Carrier, Category, Condition},
    value::Undefined,
};

/// Powers of one moment, over the same boundary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    pub facility: Kilowatts,
    pub it: Kilowatts,
}

/// Facility power over IT power at one moment, never below 1. It is no energy ratio and never reported as one.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct PowerRatio(f64);

impl PowerRatio {
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Load {
    pub fn power_ratio(self) -> Result<PowerRatio, Undefined> {
        quotient(self.facility.get(), self.it.get()).map(PowerRatio)
    }
}

/// Energies of one and the same period, over the same boundary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energies {
    pub facility: KilowattHours,
    pub it: KilowattHours,
}

/// Facility energy over IT energy (`E_DC` / `E_IT`) of one period, never below 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct EnergyRatio(f64);

impl EnergyRatio {
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Energies {
    /// Of sums, never a mean of ratios.
    pub fn energy_ratio(self) -> Result<EnergyRatio, Undefined> {
        quotient(self.facility.get(), self.it.get()).map(EnergyRatio)
    }
}

fn quotient(facility: f64, it: f64) -> Result<f64, Undefined> {
    if it <= 0.0 {
        return Err(Undefined::ItPowerZero);
    }
    if facility < it {
        return Err(Undefined::FacilityBelowIt);
    }
    let ratio = facility / it;
    if ratio.is_finite() { Ok(ratio) } else { Err(Undefined::OutsideFormula) }
}

/// Facility over IT energy at characteristic outdoor conditions, weighted by their shares of the year: `R_M1` of GB 40879,
/// 6.3.2. The 8760 hours of its text cancel out.
pub fn characteristic_ratio(conditions: &[Condition]) -> Result<f64, Undefined> {
    let sum = |power: fn(&Condition) -> f64| -> f64 {
        conditions.iter().map(|condition| condition.share * power(condition)).sum()
    };
    quotient(sum(|condition| condition.facility_kw), sum(|condition| condition.it_kw))
}

/// How energy carriers count towards facility energy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    /// Every kWh as delivered. No factors are known to be binding in ISO/IEC 30134-2, EN 50600-4-2 or EU 2024/1364.
    #[default]
    None,
    /// Source energy relative to electricity, as harmonised by The Green Grid.
    GreenGrid,
}

impl Weights {
    /// The factor of one kWh of a carrier.
    pub fn of(self, carrier: Carrier) -> Result<f64, Undefined> {
        match (self, carrier) {
            (_, Carrier::Water) => Err(Undefined::NotMetered),
            (Self::None, _) | (Self::GreenGrid, Carrier::Electricity) => Ok(1.0),
            (Self::GreenGrid, Carrier::NaturalGas | Carrier::FuelOil) => Ok(0.35),
            (Self::GreenGrid, Carrier::ChilledWater | Carrier::Heat) => Ok(0.4),
        }
    }
}

/// Whole days of the site's calendar, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    first: NaiveDate,
    last: NaiveDate,
}

/// Why a text or a pair of dates is no reporting period.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PeriodError {
    #[error("\"{0}\" is no period: expected first and last day, such as 2025-01-01:2025-12-31")]
    NotAPeriod(String),
    #[error("the period ends on {last}, before it begins on {first}")]
    Backwards { first: NaiveDate, last: NaiveDate },
    #[error("the period is longer than 12 months")]
    TooLong,
}

impl Period {
    /// From the first to the last day, at most 12 calendar months.
    pub fn new(first: NaiveDate, last: NaiveDate) -> Result<Self, PeriodError> {
        if last < first {
            return Err(PeriodError::Backwards { first, last });
        }
        let period = Self { first, last };
        match period.year_end() {
            Some(year_end) if last <= year_end => Ok(period),
            _ => Err(PeriodError::TooLong),
        }
    }

    /// The calendar month that holds `day`.
    pub fn month_of(day: NaiveDate) -> Self {
        let first = day.with_day(1).unwrap_or(day);
        let next = first.checked_add_months(Months::new(1)).and_then(|next| next.pred_opt());
        Self { first, last: next.unwrap_or(first) }
    }

    pub fn first(self) -> NaiveDate {
        self.first
    }

    pub fn last(self) -> NaiveDate {
        self.last
    }

    /// Its days, in order.
    pub fn days(self) -> impl Iterator<Item = NaiveDate> {
        self.first.iter_days().take_while(move |day| *day <= self.last)
    }

    /// Whether it is exactly the 12 months that an annual figure needs.
    pub fn is_annual(self) -> bool {
        self.year_end() == Some(self.last)
    }

    /// Whether it runs from 1 January to 31 December.
    pub fn is_calendar_year(self) -> bool {
        self.is_annual() && (self.first.month(), self.first.day()) == (1, 1)
    }

    /// The 12 months that end with `last`.
    pub fn year_to(last: NaiveDate) -> Option<Self> {
        let first = last.succ_opt()?.checked_sub_months(Months::new(12))?;
        Self::new(first, last).ok()
    }

    /// A calendar year.
    pub fn year(year: i32) -> Option<Self> {
        let (first, last) =
            (NaiveDate::from_ymd_opt(year, 1, 1)?, NaiveDate::from_ymd_opt(year, 12, 31)?);
        Self::new(first, last).ok()
    }

    /// The last day of the 12 months that begin with the first day.
    fn year_end(self) -> Option<NaiveDate> {
        let anniversary = self.first.checked_add_months(Months::new(12))?;
        // A year that began on 29 February ends on the 28th, not the day before.
        if anniversary.day() == self.first.day() {
            anniversary.pred_opt()
        } else {
            Some(anniversary)
        }
    }
}

impl Category {
    /// 1, 2 or 3.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let wrong = || PeriodError::NotAPeriod(text.to_owned());
        let (first, last) = text.split_once(':').ok_or_else(wrong)?;
        let day = |text: &str| text.trim().parse::<NaiveDate>().map_err(|_| wrong());
        Self::new(day(first)?, day(last)?)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.first, self.last)
    }
}

/// What an energy ratio may be called. Without all of this it is an energy ratio and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    pub category: Category,
    pub period: Period,
    /// Named when the ratio is over a part of the data centre only; such a ratio compares with no other.
    pub boundary: Option<String>,
    /// Named when carriers do not all count alike.
    pub weights: Weights,
}

impl fmt::Display for Title {
    /// `PUE2 (2025-01-01:2025-12-31)`, `iPUE2 (2025-03-01:2025-03-31)`, `pPUE2[loop A] (…)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let category = self.category.number();
        match &self.boundary {
            Some(boundary) => write!(f, "pPUE{category}[{boundary}] ({})", self.period)?,
            None if self.period.is_annual() => write!(f, "PUE{category} ({})", self.period)?,
            None => write!(f, "iPUE{category} ({})", self.period)?,
        }
        match self.weights {
            Weights::None => Ok(()),
            Weights::GreenGrid => f.write_str(" [weights tgg]"),
        }
    }
}
