//! Computed points: which ones a plant has, and what they say now.
//!
//! [`plan`] looks at the plant once and writes down a formula for every figure that its points allow, inputs before
//! users. [`Metric::evaluate`] is then a walk over numbers. A figure that a device gives itself is not computed again.

use crate::{
    density::{RackPower, areal_density},
    electrical::{nema_unbalance, neutral_current},
    exchanger::Terminals,
    heat::{Stream, fws_heat, heat_capture, specific_flow, tcs_heat},
    measures::{Amperes, Celsius, Kilowatts, LitersPerMinute, Percent, SquareMeters},
    plant::{AssetId, CoolantLoop, PointId},
    psychrometrics::Air,
    ratio::Load,
    time::Mono,
    value::{Coverage, NoData, Undefined},
};

mod plan;

pub use plan::{Check, Plan, plan};

/// An aggregate is shown while at least this share of its members, weighted by rating, is known (S7 of the alarm
/// semantics). Rules demand all of them.
pub const MIN_COVERAGE_SHOWN: f64 = 0.95;

/// What is known of a point at this tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    pub value: Result<f64, NoData>,
    /// Time of the sample; of a metric, of its oldest input.
    pub at: Option<Mono>,
    /// When a device last gave it a value, or else when the gateway began to listen; not kept for metrics.
    pub good_at: Option<Mono>,
    pub coverage: Option<Coverage>,
}

impl Known {
    pub const NEVER_SEEN: Self =
        Self { value: Err(NoData::NeverSeen), at: None, good_at: None, coverage: None };

    /// What a rule may use: an aggregate with a gap is unknown to it.
    pub fn for_rules(&self) -> Result<f64, NoData> {
        match self.coverage {
            Some(coverage) if !coverage.is_full() => self.value.and(Err(NoData::LowCoverage)),
            _ => self.value,
        }
    }
}

/// One computed point and how it is computed.
#[derive(Clone, Debug)]
pub struct Metric {
    pub point: PointId,
    formula: Formula,
}

/// The points of one side of a loop.
#[derive(Clone, Copy, Debug)]
struct Side {
    flow: PointId,
    supply_temperature: PointId,
    return_temperature: PointId,
}

/// The four temperatures of a heat exchanger. Hot is the TCS, cold the FWS.
#[derive(Clone, Copy, Debug)]
struct TerminalPoints {
    hot_in: PointId,
    hot_out: PointId,
    cold_in: PointId,
    cold_out: PointId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExchangerFigure {
    LogMeanDifference,
    /// Its trend is what fouling shows in.
    Conductance,
    /// In percent.
    Effectiveness,
}

/// A member of an aggregate with its rating.
#[derive(Clone, Copy, Debug)]
struct Member {
    point: PointId,
    rating: f64,
}

#[derive(Clone, Debug)]
enum Formula {
    /// It can never have a value, for this reason.
    Never(Undefined),
    /// Return minus supply.
    DeltaTemperature(Side),
    Difference {
        of: PointId,
        less: PointId,
    },
    /// Heat on the IT side of the loop.
    TcsHeat(Side, Box<CoolantLoop>),
    /// Heat on its facility side.
    FwsHeat(Side, Box<CoolantLoop>),
    /// Of a counter-flow heat exchanger that moves `heat`.
    Exchanger {
        terminals: Box<TerminalPoints>,
        heat: PointId,
        figure: ExchangerFigure,
    },
    SpecificFlow {
        flow: PointId,
        power: PointId,
    },
    HeatCapture {
        heat: PointId,
        power: PointId,
    },
    /// Percent of a rating.
    Load {
        of: PointId,
        rating: f64,
    },
    /// Per floor area in m².
    PerArea {
        power: PointId,
        area_m2: f64,
    },
    DewPoint {
        temperature: PointId,
        humidity: PointId,
    },
    WetBulb {
        temperature: PointId,
        humidity: PointId,
    },
    PowerRatio {
        facility: PointId,
        it: PointId,
    },
    PowerFactor {
        active: PointId,
        apparent: PointId,
    },
    /// How much `of` is above `base`, in percent of it.
    Balance {
        of: PointId,
        base: PointId,
    },
    /// Unbalance of three currents, not given below `floor_kw`.
    CurrentUnbalance {
        lines: [PointId; 3],
        power: Option<PointId>,
        floor_kw: f64,
    },
    NeutralCurrent([PointId; 3]),
    /// All or nothing: a rack with one feed unknown is unknown, never half.
    Sum(Vec<(PointId, Sign)>),
    Aggregate {
        members: Vec<Member>,
        figure: Figure,
    },
    /// Seconds since the device last replied.
    Silence {
        reply: PointId,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    Total,
    Mean,
    MeanOccupied,
    Highest,
    Lowest,
}

impl Metric {
    /// The figure now, from what is known of its inputs. `known` is indexed by point.
    pub fn evaluate(&self, known: &[Known], now: Mono) -> Known {
        let mut inputs = Inputs { known, oldest: None, coverage: None };
        let value = self.formula.compute(&mut inputs, now);
        let value =
            value.and_then(
                |figure| {
                    if figure.is_finite() { Ok(figure) } else { Err(NoData::NotFinite) }
                },
            );
        Known { value, at: inputs.oldest, good_at: None, coverage: inputs.coverage }
    }
}

/// Reads inputs and remembers the oldest of them, and the coverage they came with.
struct Inputs<'a> {
    known: &'a [Known],
    oldest: Option<Mono>,
    coverage: Option<Coverage>,
}

impl Inputs<'_> {
    fn get(&mut self, point: PointId) -> Result<f64, NoData> {
        let known = self.known[point.index()];
        self.saw(known.at);
        self.coverage = least(self.coverage, known.coverage);
        known.value.map_err(as_input)
    }

    fn saw(&mut self, at: Option<Mono>) {
        self.oldest = match (self.oldest, at) {
            (Some(oldest), Some(at)) => Some(oldest.min(at)),
            (oldest, at) => oldest.or(at),
        };
    }

    fn stream(&mut self, side: Side) -> Result<Stream, NoData> {
        Ok(Stream {
            flow: LitersPerMinute::new(self.get(side.flow)?)?,
            supply_temperature: Celsius::new(self.get(side.supply_temperature)?)?,
            return_temperature: Celsius::new(self.get(side.return_temperature)?)?,
        })
    }

    fn exchanger(
        &mut self,
        points: &TerminalPoints,
        heat: PointId,
        figure: ExchangerFigure,
    ) -> Result<f64, NoData> {
        let mut celsius = |point| Ok::<_, NoData>(Celsius::new(self.get(point)?)?);
        let terminals = Terminals {
            hot_in: celsius(points.hot_in)?,
            hot_out: celsius(points.hot_out)?,
            cold_in: celsius(points.cold_in)?,
            cold_out: celsius(points.cold_out)?,
        };
        let performance = terminals.performance(self.power(heat)?)?;
        Ok(match figure {
            ExchangerFigure::LogMeanDifference => performance.log_mean_difference.get(),
            ExchangerFigure::Conductance => performance.conductance.get(),
            ExchangerFigure::Effectiveness => 100.0 * performance.effectiveness.get(),
        })
    }

    fn power(&mut self, point: PointId) -> Result<Kilowatts, NoData> {
        Ok(Kilowatts::new(self.get(point)?)?)
    }

    fn air(&mut self, temperature: PointId, humidity: PointId) -> Result<Air, NoData> {
        Ok(Air {
            temperature: Celsius::new(self.get(temperature)?)?,
            humidity: Percent::new(self.get(humidity)?)?,
        })
    }

    fn currents(&mut self, lines: [PointId; 3]) -> Result<[Amperes; 3], NoData> {
        let [a, b, c] = lines;
        Ok([Amperes::new(self.get(a)?)?, Amperes::new(self.get(b)?)?, Amperes::new(self.get(c)?)?])
    }

    /// The figure over the members that are known, if enough of them are.
    fn aggregate(&mut self, members: &[Member], figure: Figure) -> Result<f64, NoData> {
        let mut coverage = Coverage { known: 0, of: 0 };
        let mut weakest = None;
        let (mut rating_known, mut rating) = (0.0, 0.0);
        for member in members {
            let known = self.known[member.point.index()];
            // A total covers what its members cover; any other figure is over the members themselves.
            let own = known.coverage.filter(|_| figure == Figure::Total);
            let own = own.unwrap_or(Coverage { known: u32::from(known.value.is_ok()), of: 1 });
            coverage.known += if known.value.is_ok() { own.known } else { 0 };
            coverage.of += own.of;
            rating += member.rating;
            if known.value.is_ok() {
                rating_known += member.rating * own.share();
                self.saw(known.at);
                weakest = least(weakest, known.coverage.filter(|_| figure != Figure::Total));
            }
        }
        self.coverage = least(weakest, Some(coverage));
        if coverage.known == 0 {
            return Err(members.first().map_or(
                NoData::Undefined(Undefined::NotMetered),
                |first| {
                    self.known[first.point.index()]
                        .value
                        .err()
                        .map_or(NoData::LowCoverage, as_input)
                },
            ));
        }
        if rating_known < MIN_COVERAGE_SHOWN * rating {
            return Err(NoData::LowCoverage);
        }
        let values = || members.iter().map(|member| self.known[member.point.index()].value.ok());
        let racks = || {
            RackPower::of(values().map(|value| value.and_then(|value| Kilowatts::new(value).ok())))
        };
        Ok(match figure {
            Figure::Total => values().flatten().sum(),
            Figure::Mean => racks().mean?.get(),
            Figure::MeanOccupied => racks().mean_occupied?.get(),
            Figure::Highest => values().flatten().fold(f64::NEG_INFINITY, f64::max),
            Figure::Lowest => values().flatten().fold(f64::INFINITY, f64::min),
        })
    }
}

/// What a figure is covered by is what its weakest input is.
fn least(one: Option<Coverage>, other: Option<Coverage>) -> Option<Coverage> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if one.share() < other.share() { one } else { other }),
        (one, other) => one.or(other),
    }
}

/// The reason that a figure gives when this input has none. What is undefined stays so by its own name.
fn as_input(reason: NoData) -> NoData {
    match reason {
        NoData::Undefined(_) | NoData::LowCoverage => reason,
        NoData::NeverSeen
        | NoData::Stale
        | NoData::Timeout
        | NoData::Unreachable
        | NoData::Refused(_)
        | NoData::Malformed
        | NoData::NotAvailable
        | NoData::OutOfRange
        | NoData::NotFinite
        | NoData::BadQuality
        | NoData::BadPayload
        | NoData::Implausible
        | NoData::NotANumber
        | NoData::InputMissing => NoData::InputMissing,
    }
}

impl Formula {
    fn compute(&self, inputs: &mut Inputs<'_>, now: Mono) -> Result<f64, NoData> {
        Ok(match self {
            Self::Never(reason) => return Err(NoData::Undefined(*reason)),
            Self::DeltaTemperature(side) => inputs.stream(*side)?.delta_temperature()?.get(),
            Self::Difference { of, less } => inputs.get(*of)? - inputs.get(*less)?,
            Self::TcsHeat(side, of) => tcs_heat(of, inputs.stream(*side)?)?.get(),
            Self::FwsHeat(side, of) => fws_heat(of, inputs.stream(*side)?)?.get(),
            Self::Exchanger { terminals, heat, figure } => {
                inputs.exchanger(terminals, *heat, *figure)?
            }
            Self::SpecificFlow { flow, power } => {
                specific_flow(LitersPerMinute::new(inputs.get(*flow)?)?, inputs.power(*power)?)?
                    .get()
            }
            Self::HeatCapture { heat, power } => {
                heat_capture(inputs.power(*heat)?, inputs.power(*power)?)?.get()
            }
            Self::Load { of, rating } => 100.0 * inputs.get(*of)? / rating,
            Self::PerArea { power, area_m2 } => {
                areal_density(inputs.power(*power)?, SquareMeters::new(*area_m2)?)?.get()
            }
            Self::DewPoint { temperature, humidity } => {
                inputs.air(*temperature, *humidity)?.dew_point()?.get()
            }
            Self::WetBulb { temperature, humidity } => {
                inputs.air(*temperature, *humidity)?.wet_bulb()?.get()
            }
            Self::PowerRatio { facility, it } => {
                Load { facility: inputs.power(*facility)?, it: inputs.power(*it)? }
                    .power_ratio()?
                    .get()
            }
            Self::PowerFactor { active, apparent } => {
                quotient(inputs.get(*active)?, inputs.get(*apparent)?)?
            }
            Self::Balance { of, base } => {
                let base = inputs.get(*base)?;
                100.0 * quotient(inputs.get(*of)? - base, base)?
            }
            Self::CurrentUnbalance { lines, power, floor_kw } => {
                if let Some(power) = power
                    && inputs.get(*power)? < *floor_kw
                {
                    return Err(NoData::Undefined(Undefined::NoLoad));
                }
                nema_unbalance(inputs.currents(*lines)?)?.get()
            }
            Self::NeutralCurrent(lines) => neutral_current(inputs.currents(*lines)?)?.get(),
            Self::Sum(terms) => {
                let mut sum = 0.0;
                for (point, sign) in terms {
                    let value = inputs.get(*point)?;
                    sum += if *sign == Sign::Plus { value } else { -value };
                }
                sum
            }
            Self::Aggregate { members, figure } => inputs.aggregate(members, *figure)?,
            Self::Silence { reply } => {
                let last = inputs.known[reply.index()].good_at.unwrap_or(now);
                inputs.saw(Some(now));
                now.since(last).as_secs_f64()
            }
        })
    }
}

fn quotient(over: f64, under: f64) -> Result<f64, NoData> {
    if under == 0.0 { Err(NoData::Undefined(Undefined::NoLoad)) } else { Ok(over / under) }
}

impl From<Undefined> for NoData {
    fn from(why: Undefined) -> Self {
        Self::Undefined(why)
    }
}

/// The asset that a figure belongs to, and its word.
type Place<'a> = (AssetId, &'a str);
