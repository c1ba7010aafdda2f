//! Rack power density: how many kilowatts stand in a rack and on a square metre.

use crate::{
    measures::{Kilowatts, KilowattsPerSquareMeter, SquareMeters},
    value::{Coverage, Undefined},
};

/// A rack that draws no more than this is empty: its strips and switches idle.
pub const OCCUPIED_ABOVE_KW: f64 = 0.5;

/// Density figures over a set of racks. Each is over the racks whose power is known; `coverage` says how many those
/// are, and travels with every figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RackPower {
    pub coverage: Coverage,
    /// Of the known racks, those above [`OCCUPIED_ABOVE_KW`].
    pub occupied: u32,
    pub total: Result<Kilowatts, Undefined>,
    pub mean: Result<Kilowatts, Undefined>,
    pub mean_occupied: Result<Kilowatts, Undefined>,
    pub max: Result<Kilowatts, Undefined>,
}

impl RackPower {
    /// Over the power of each rack, `None` where it is not known. A set without any known rack is
    /// [`Undefined::NotMetered`], one without an occupied rack has no occupied mean: [`Undefined::NoLoad`].
    pub fn of(racks: impl IntoIterator<Item = Option<Kilowatts>>) -> Self {
        let mut coverage = Coverage { known: 0, of: 0 };
        let (mut occupied, mut total, mut total_occupied) = (0_u32, 0.0, 0.0);
        let mut max = f64::NEG_INFINITY;
        for rack in racks {
            coverage.of += 1;
            let Some(power) = rack else { continue };
            coverage.known += 1;
            total += power.get();
            max = max.max(power.get());
            if power.get() > OCCUPIED_ABOVE_KW {
                occupied += 1;
                total_occupied += power.get();
            }
        }
        let known = if coverage.known > 0 { Ok(()) } else { Err(Undefined::NotMetered) };
        let figure = |value: f64| known.and_then(|()| Ok(Kilowatts::new(value)?));
        Self {
            coverage,
            occupied,
            total: figure(total),
            mean: figure(total / f64::from(coverage.known)),
            mean_occupied: known.and_then(|()| match occupied {
                0 => Err(Undefined::NoLoad),
                count => Ok(Kilowatts::new(total_occupied / f64::from(count))?),
            }),
            max: figure(max),
        }
    }
}

/// Power per floor area: of a hall over its computer room, of a rack over its footprint.
pub fn areal_density(
    power: Kilowatts,
    area: SquareMeters,
) -> Result<KilowattsPerSquareMeter, Undefined> {
    if area.get() <= 0.0 {
        return Err(Undefined::OutsideFormula);
    }
    Ok(KilowattsPerSquareMeter::new(power.get() / area.get())?)
}
