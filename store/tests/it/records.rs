//! Records as a gateway appends them.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rules::{
    alarm::{Letter, Priority},
    ledger::{LedgerRow, Method, RegisterReading},
    messages::{Action, Command, Event, Moved, Outcome, SiteInfo, What},
    plant::{Asset, AssetKind, Detail, Plant},
    register::Flag,
    time::{BootId, Mono, Trust},
};
use store::record::{Catalog, Record, Seq, Stamp, Stamped};

/// 2026-11-22 10:00:00.5 UTC: what a stamp of sequence 0 would carry.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_795_341_600_500).unwrap()
}

/// One record a second.
pub(crate) fn stamped(seq: u64, record: Record) -> Stamped {
    stamped_with(seq, Trust::Synchronised, record)
}

pub(crate) fn stamped_with(seq: u64, trust: Trust, record: Record) -> Stamped {
    let wall = start() + TimeDelta::seconds(seq.cast_signed());
    let mono = Mono::from_secs(1000 + seq);
    Stamped {
        stamp: Stamp { seq: Seq(seq), boot: BootId(u64::MAX - 1), mono, wall, trust },
        record,
    }
}

/// In a row, from sequence 1.
pub(crate) fn in_a_row(records: impl IntoIterator<Item = Record>) -> Vec<Stamped> {
    (1..).zip(records).map(|(seq, record)| stamped(seq, record)).collect()
}

pub(crate) fn moved(alarm: &str, from: Letter, to: Letter, occurrence: u32) -> What {
    What::Moved(Moved {
        alarm: alarm.into(),
        title: "Supply too warm".into(),
        priority: Priority::P2,
        from,
        to,
        cause: "condition".to_owned(),
        occurrence,
        operands: "46.2 °C > 45 °C".to_owned(),
        by: None,
        annunciate: true,
    })
}

/// With the wall time that a stamp of `seq` has.
pub(crate) fn event(seq: u64, what: What) -> Record {
    Record::Event(Event {
        at: Mono::from_secs(1000 + seq),
        wall: Some(start() + TimeDelta::seconds(seq.cast_signed())),
        asset: Some("cdu-2".into()),
        what,
    })
}

pub(crate) fn ack(key: &str, outcome: Outcome) -> Record {
    let action = Action::Ack { alarm: "cdu.supply_hi@cdu-2".into(), occurrence: Some(3) };
    Record::Command(Command { key: key.to_owned(), by: "li".to_owned(), action }, outcome)
}

/// A row that was closed by itself.
pub(crate) fn closed(row: LedgerRow) -> Record {
    Record::Ledger(vec![row])
}

/// The interval `quarter` quarters of an hour after 2026-11-22 00:00 UTC.
pub(crate) fn row(meter: &str, quarter: i64, amount: f64) -> LedgerRow {
    let midnight: DateTime<Utc> = "2026-11-22T00:00:00Z".parse().unwrap();
    let from = midnight + TimeDelta::minutes(15 * quarter);
    let reading = |at, value| Some(RegisterReading { at, value });
    LedgerRow {
        meter: meter.into(),
        start: from,
        amount: Some(amount),
        method: Method::Register,
        coverage: 1.0,
        flags: vec![Flag::Rollover, Flag::InterpolatedWide],
        uncertainty: Some(0.0125),
        first: reading(from - TimeDelta::milliseconds(12), 1000.1),
        last: reading(from + TimeDelta::minutes(15), 1000.1 + amount),
    }
}

pub(crate) fn catalog(version: &str, meters: &[&str]) -> Record {
    let mut plant = Plant::default();
    for meter in meters {
        let name = Arc::from(*meter);
        let detail = Detail::None;
        plant.add_asset(Asset { name, kind: AssetKind::Meter, title: None, detail });
    }
    Record::Catalog(Arc::new(Catalog {
        version: version.to_owned(),
        site: SiteInfo {
            id: "hall".to_owned(),
            name: "Hall".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            gateway: "gw-1".to_owned(),
            simulated: true,
        },
        plant: Arc::new(plant),
    }))
}
