//! The gateway is a device like any other: what it says of itself is kept, and watched by rules.

use configs::site::{SINK_STATES, STORAGE_STATES};
use rules::{
    plant::{AssetKind, Plant, PointId},
    time::Mono,
    value::{Sample, Value},
};
use store::{
    log::{Durable, Storing},
    sink::influx::SinkState,
};

/// The points of the site that the gateway gives itself.
pub(super) struct OwnPoints {
    storage: Option<PointId>,
    sink: Option<PointId>,
    backlog: Option<PointId>,
}

impl OwnPoints {
    pub(super) fn of(plant: &Plant) -> Self {
        let site = plant.of_kind(AssetKind::Site).next();
        let find = |quantity| site.and_then(|site| plant.find_point(site, quantity));
        Self {
            storage: find("storage.state"),
            sink: find("influxdb.state"),
            backlog: find("influxdb.backlog"),
        }
    }

    /// What they say now. Without a store nothing is kept, and that is no trouble.
    pub(super) fn samples(
        &self,
        at: Mono,
        storing: Option<&Durable>,
        sink: Option<&SinkState>,
    ) -> Vec<Sample> {
        let storage = match storing.map(|durable| &durable.storing) {
            None => "Off",
            Some(Storing::Stored) => "Stored",
            Some(Storing::NotStored { .. }) => "NotStored",
        };
        let forwarding = match sink {
            None => "Off",
            Some(sink) if sink.up => "Up",
            Some(_) => "Failing",
        };
        let told = [
            (self.storage, state(&STORAGE_STATES, storage)),
            (self.sink, state(&SINK_STATES, forwarding)),
            (self.backlog, Some(Value::Number(sink.map_or(0.0, |sink| sink.backlog_s)))),
        ];
        told.into_iter()
            .filter_map(|(point, value)| {
                Some(Sample { point: point?, at, source_time: None, value: Ok(value?) })
            })
            .collect()
    }
}

fn state(names: &[&str], name: &str) -> Option<Value> {
    let code = names.iter().position(|known| *known == name)?;
    Some(Value::State(u32::try_from(code).ok()?))
}
