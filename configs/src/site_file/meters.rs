//! The record of a meter: what an auditor asks about it.

use std::collections::HashMap;

use rules::{
    plant::{AssetKind, Carrier, Category, Detail, Meter, Role, Share},
    units::Unit,
};

use super::{declared::Declared, devices::Reported};
use crate::{
    codec::Encoding,
    profile::{Map, ModbusPoint},
    table::{Faults, Table},
};

const ROLES: &[(&str, Role)] = &[
    ("it_load", Role::ItLoad),
    ("boundary_in", Role::BoundaryIn),
    ("boundary_out", Role::BoundaryOut),
    ("onsite_generation", Role::OnsiteGeneration),
    ("backup_generation", Role::BackupGeneration),
    ("renewable", Role::Renewable),
    ("cooling", Role::Cooling),
    ("power_loss", Role::PowerLoss),
    ("other", Role::Other),
    ("reused_heat", Role::ReusedHeat),
    ("water_in", Role::WaterIn),
    ("potable_water", Role::PotableWater),
    ("info_only", Role::InfoOnly),
];

const CARRIERS: &[(&str, Carrier)] = &[
    ("electricity", Carrier::Electricity),
    ("chilled_water", Carrier::ChilledWater),
    ("natural_gas", Carrier::NaturalGas),
    ("fuel_oil", Carrier::FuelOil),
    ("heat", Carrier::Heat),
    ("water", Carrier::Water),
];

/// Reads the keys of one `[[meter]]`. A register that the file does not describe is left at zero step, for
/// [`take_register_from_profile`].
pub(super) fn read(table: &Table<'_>) -> Detail {
    let role = table.required_choice("role", ROLES);
    let carrier = table.choice("carrier", CARRIERS).unwrap_or_default();
    let category = table.integer("category", 1..=3, "2").and_then(|digit| match digit {
        1 => Some(Category::One),
        2 => Some(Category::Two),
        3 => Some(Category::Three),
        _ => None,
    });
    let feed = table.text("feed", "A").map(|feed| feed.value.to_owned());
    let serial = table.text("serial", "K-104233").map(|serial| serial.value.to_owned());
    let model = table.text("model", "Acme PM-5").map(|model| model.value.to_owned());
    let twin = table.text("twin", "utility-b").map(|twin| twin.value.into());
    let share = share(table);
    let accuracy_percent = class(table, "accuracy_class");
    let ct_ratio = ct_ratio(table);
    let ct_accuracy_percent = class(table, "ct_class");
    // A water meter counts cubic metres; its record uses the same fields.
    let (step, modulus, max) = if carrier == Carrier::Water {
        let step = table.positive("register_step", "0.01 m3");
        let modulus = table.positive("register_modulus", "1000000 m3");
        (step, modulus, table.required_positive("max_flow", "20 m3/h"))
    } else {
        let step = table.positive("register_step", "0.1 kWh");
        let modulus = table.positive("register_modulus", "1000000 kWh");
        (step, modulus, table.required_positive("max_power", "400 kW"))
    };
    let calibrated_on = table.date("calibrated_on");
    let meter = || {
        Some(Meter {
            role: role?,
            carrier,
            category,
            feed,
            serial,
            model,
            twin,
            share,
            accuracy_percent,
            ct_ratio,
            ct_accuracy_percent,
            register_step_kwh: step.unwrap_or(0.0),
            register_modulus_kwh: modulus,
            register_float32: false,
            max_power_kw: max?,
            calibrated_on,
        })
    };
    meter().map_or(Detail::None, Detail::Meter)
}

/// The part of a meter that is the data centre's, with the rule by which it was found.
fn share(table: &Table<'_>) -> Option<Share> {
    let part = table.number("share", "0.62");
    let basis = table.text("share_basis", "metered thermal energy of 2025");
    match (part, basis) {
        (Some(part), _) if !(part.value > 0.0 && part.value <= 1.0) => {
            table.fault(
                part.span,
                "\"share\" is no part of a whole",
                "write it as a number above 0 and up to 1: share = 0.62",
            );
            None
        }
        (Some(part), Some(basis)) => {
            Some(Share { part: part.value, basis: basis.value.to_owned() })
        }
        (Some(part), None) => {
            table.fault(
                part.span,
                format!("{} has a share without a rule", table.title()),
                "say how it was found: share_basis = \"metered thermal energy of 2025\"",
            );
            None
        }
        (None, Some(basis)) => {
            table.fault(
                basis.span,
                "\"share_basis\" stands without \"share\"",
                "give the part of the meter that is the data centre's: share = 0.62",
            );
            None
        }
        (None, None) => None,
    }
}

/// The limit of error of an accuracy class in percent: 0.5 for `0.5S` (IEC 62053-22) or `C` (MID, EN 50470-3).
fn class(table: &Table<'_>, key: &'static str) -> Option<f64> {
    const CLASSES: &[(&str, f64)] = &[
        ("0.5S", 0.5),
        ("0.1S", 0.1),
        ("0.2S", 0.2),
        ("0.1", 0.1),
        ("0.2", 0.2),
        ("0.5", 0.5),
        ("1", 1.0),
        ("2", 2.0),
        ("3", 3.0),
        ("A", 2.0),
        ("B", 1.0),
        ("C", 0.5),
    ];
    table.choice(key, CLASSES)
}

/// `"400/5"` → 80.
fn ct_ratio(table: &Table<'_>) -> Option<f64> {
    let text = table.text("ct_ratio", "400/5")?;
    let parse = || {
        let (primary, secondary) = text.value.split_once('/')?;
        let primary: f64 = primary.trim().parse().ok()?;
        let secondary: f64 = secondary.trim().parse().ok()?;
        let ratio = primary / secondary;
        (ratio.is_finite() && ratio > 0.0).then_some(ratio)
    };
    let ratio = parse();
    if ratio.is_none() {
        table.fault(
            text.span,
            format!("\"ct_ratio\" cannot be \"{}\"", text.value),
            "write primary over secondary current in ampere: ct_ratio = \"400/5\"",
        );
    }
    ratio
}

/// Fills in what the file does not say of registers, from the profile of the meter's device: an integer register counts
/// in its scale and wraps at its width, the step of a single-precision one grows with its value.
pub(super) fn take_register_from_profile(declared: &mut [Declared<'_>], devices: &[Reported<'_>]) {
    let registers: HashMap<&str, Register> = devices
        .iter()
        .filter_map(|device| {
            let Map::Modbus(map) = &device.profile.as_ref()?.map else { return None };
            let energy = map.points.iter().find(|point| &*point.quantity == "energy")?;
            Some((device.asset.as_ref()?.value, register(energy)?))
        })
        .collect();
    for asset in declared.iter_mut().filter(|asset| asset.kind == AssetKind::Meter) {
        let Detail::Meter(meter) = &mut asset.detail else { continue };
        let Some(register) = registers.get(&*asset.name.value) else { continue };
        meter.register_float32 = register.float32;
        if meter.register_step_kwh == 0.0 {
            meter.register_step_kwh = register.step_kwh;
        }
        meter.register_modulus_kwh = meter.register_modulus_kwh.or(register.modulus_kwh);
    }
}

struct Register {
    step_kwh: f64,
    modulus_kwh: Option<f64>,
    float32: bool,
}

fn register(point: &ModbusPoint) -> Option<Register> {
    let scale = point.unit.convert(point.codec.scale, &Unit::parse("kWh").ok()?).ok()?;
    let counts = |bits: i32| Register {
        step_kwh: scale,
        modulus_kwh: (bits < 64).then(|| 2_f64.powi(bits) * scale),
        float32: false,
    };
    let float32 = point.codec.encoding == Encoding::F32;
    Some(match point.codec.encoding {
        Encoding::U16 => counts(16),
        Encoding::I16 => counts(15),
        Encoding::U32 => counts(32),
        Encoding::I32 => counts(31),
        Encoding::U64 | Encoding::I64 => counts(64),
        Encoding::F32 | Encoding::F64 => Register { step_kwh: 0.0, modulus_kwh: None, float32 },
        Encoding::Bits { .. } | Encoding::Enumeration | Encoding::Text { .. } => return None,
    })
}

/// A twin is another meter of the file.
pub(super) fn check_twins(declared: &[Declared<'_>], faults: &Faults<'_>) {
    for asset in declared {
        let Detail::Meter(Meter { twin: Some(twin), .. }) = &asset.detail else { continue };
        let other = declared.iter().find(|other| other.name.value == *twin);
        let is_meter = other.is_some_and(|other| other.kind == AssetKind::Meter);
        if !is_meter || *twin == asset.name.value {
            faults.add(
                asset.name.span.clone(),
                format!(
                    "\"{}\" names \"{twin}\" as its twin, which is no other meter",
                    asset.name.value
                ),
                "name the [[meter]] that measures the same, or leave twin out",
            );
        }
    }
}
