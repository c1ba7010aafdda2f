//! The registers of one device: which point lies where, and what stands there now.

use std::{collections::BTreeMap, ops::Range};

use configs::{
    codec::{Codec, Encoding},
    profile::{Map, ModbusPoint, Table},
    site::{Device, Site},
};
use rules::plant::{AssetId, PointId};

use crate::{form::Form, world::World};

/// What a read of registers that no point uses gives, between points that are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holes {
    /// Zeros, as most devices do.
    #[default]
    Zeros,
    /// Exception 2, as strict ones do.
    Refused,
}

/// Exception 2: no such register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchRegister;

/// One device.
#[derive(Clone, Debug)]
pub struct Image {
    pub device: AssetId,
    holes: Holes,
    /// By table and first register. Flags of one register stand side by side.
    cells: BTreeMap<(Table, u16), Vec<Cell>>,
    /// Used registers of each table, from the first to one past the last.
    used: BTreeMap<Table, Range<u32>>,
}

/// One point in its registers.
#[derive(Clone, Debug)]
struct Cell {
    point: PointId,
    codec: Codec,
    form: Form,
}

impl Image {
    /// The image of a Modbus device, or one line for each point that the world cannot supply.
    pub fn of(
        site: &Site,
        device: &Device,
        world: &World,
        holes: Holes,
    ) -> Result<Self, Vec<String>> {
        let mut image =
            Self { device: device.asset, holes, cells: BTreeMap::new(), used: BTreeMap::new() };
        let Map::Modbus(map) = &device.profile.map else { return Ok(image) };
        let mut missing = Vec::new();
        for (point, binding) in map.points.iter().zip(&device.bindings) {
            let Some(binding) = binding else { continue };
            match Cell::of(point, *binding, world) {
                Ok(cell) => image.insert(point, cell),
                Err(why) => {
                    let device = &site.plant.asset(device.asset).name;
                    let name = site.plant.point_name(*binding);
                    missing.push(format!("{name} (device {device}): {why}"));
                }
            }
        }
        if missing.is_empty() { Ok(image) } else { Err(missing) }
    }

    /// `count` registers from `start`, as they stand now.
    pub fn read(
        &self,
        world: &World,
        table: Table,
        start: u16,
        count: u16,
    ) -> Result<Vec<u16>, NoSuchRegister> {
        let used = self.used.get(&table).ok_or(NoSuchRegister)?;
        let wanted = u32::from(start)..u32::from(start) + u32::from(count);
        if wanted.start < used.start || wanted.end > used.end {
            return Err(NoSuchRegister);
        }
        let mut words: Vec<Option<u16>> = vec![None; usize::from(count)];
        // No value takes more than 125 registers, so none that reaches into the range begins earlier.
        let from = start.saturating_sub(125);
        for ((_, address), cells) in self.cells.range((table, from)..=(table, u16::MAX)) {
            if u32::from(*address) >= wanted.end {
                break;
            }
            let reaches = |cell: &&Cell| {
                u32::from(*address) + u32::from(cell.codec.registers()) > wanted.start
            };
            for cell in cells.iter().filter(reaches) {
                cell.write(world, i64::from(*address) - i64::from(start), &mut words);
            }
        }
        match self.holes {
            Holes::Zeros => Ok(words.into_iter().map(Option::unwrap_or_default).collect()),
            Holes::Refused => words.into_iter().collect::<Option<_>>().ok_or(NoSuchRegister),
        }
    }

    fn insert(&mut self, point: &ModbusPoint, cell: Cell) {
        let first = u32::from(point.address);
        let end = first + u32::from(cell.codec.registers());
        let used = self.used.entry(point.table).or_insert(first..end);
        *used = used.start.min(first)..used.end.max(end);
        self.cells.entry((point.table, point.address)).or_default().push(cell);
    }
}

impl Cell {
    /// Tries the whole way once, so that nothing fails later for want of a name or a unit.
    fn of(point: &ModbusPoint, binding: PointId, world: &World) -> Result<Self, String> {
        let Some(truth) = world.truth(binding) else {
            return Err("the physics have no such thing".to_owned());
        };
        let form = Form::of(&point.quantity, &truth, &point.unit, &point.states)?;
        let value = form.value(truth)?;
        point.codec.encode(&value).map_err(|error| error.to_string())?;
        Ok(Self { point: binding, codec: point.codec.clone(), form })
    }

    /// Writes the registers that fall into `words`, whose first one lies `offset` before this cell. A value that does
    /// not fit its registers reads as "not available", as a saturated instrument does.
    fn write(&self, world: &World, offset: i64, words: &mut [Option<u16>]) {
        let value = world.value(self.point).and_then(|truth| self.form.value(truth).ok());
        let encoded = value
            .and_then(|value| self.codec.encode(&value).ok())
            .or_else(|| self.codec.encode_not_available())
            .unwrap_or_else(|| vec![0; usize::from(self.codec.registers())]);
        let shares_register = matches!(self.codec.encoding, Encoding::Bits { .. });
        for (at, word) in (offset..).zip(encoded) {
            let Some(slot) = usize::try_from(at).ok().and_then(|at| words.get_mut(at)) else {
                continue;
            };
            *slot = Some(if shares_register { slot.unwrap_or(0) | word } else { word });
        }
    }
}
