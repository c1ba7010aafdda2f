//! `[storage]`: where and how long the gateway keeps what it saw.

use std::time::Duration;

use crate::{site::Storage, table::Table};

const DAY: Duration = Duration::from_hours(24);
const GIB: f64 = 1_073_741_824.0;
const MIB: f64 = 1_048_576.0;

impl Default for Storage {
    fn default() -> Self {
        Self {
            directory: None,
            cap_bytes: 8 << 30,
            reserve_bytes: 64 << 20,
            keep_raw: 14 * DAY,
            keep_minutes: 400 * DAY,
            keep_quarters: 3660 * DAY,
        }
    }
}

/// Reads `[storage]`; without it the defaults hold.
pub(super) fn read(root: &Table<'_>) -> Storage {
    let default = Storage::default();
    let Some(table) = root.table("storage", "[storage]") else { return default };
    let days = |key: &'static str, example: &str, most: u32, default| {
        let days = table.integer(key, 1..=most, example);
        days.map_or(default, |days| DAY * days)
    };
    let storage = Storage {
        directory: table
            .text("directory", "/var/lib/coldwatch")
            .map(|directory| directory.value.into()),
        cap_bytes: bytes(&table, "cap_gib", "8", GIB).unwrap_or(default.cap_bytes),
        reserve_bytes: bytes(&table, "reserve_mib", "64", MIB).unwrap_or(default.reserve_bytes),
        keep_raw: days("keep_raw_days", "14", 3660, default.keep_raw),
        keep_minutes: days("keep_minutes_days", "400", 36_600, default.keep_minutes),
        keep_quarters: days("keep_quarters_days", "3660", 36_600, default.keep_quarters),
    };
    if storage.reserve_bytes >= storage.cap_bytes {
        table.fault(
            table.place("cap_gib"),
            "the reserve for journal and ledger fills the whole storage",
            "give cap_gib more than reserve_mib",
        );
    }
    table.finish();
    storage
}

/// A number of larger units as bytes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between one and 2^50 bytes"
)]
fn bytes(table: &Table<'_>, key: &'static str, example: &str, unit: f64) -> Option<u64> {
    const MOST: f64 = 1_125_899_906_842_624.0;
    let number = table.number(key, example)?;
    let bytes = number.value * unit;
    if (1.0..=MOST).contains(&bytes) {
        return Some(bytes as u64);
    }
    table.fault(
        number.span,
        format!("\"{key}\" is not a size that a disk can have"),
        format!("write it like this: {key} = {example}"),
    );
    None
}
