//! A site of Modbus devices in code, collected, with what came out of it.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use collector::{Batch, Collector, MonoClock};
use configs::{
    address::Address,
    api::Api,
    codec::{Codec, Encoding, Order},
    profile::{Map, ModbusMap, ModbusPoint, Profile, Table},
    site::{Device, Site, Storage},
};
use rules::{
    messages::{LinkView, SiteInfo},
    plant::{Asset, AssetId, AssetKind, Detail, Origin, Plant, PointId, PointKind, PointSpec},
    time::Mono,
    units::Unit,
    value::{NoData, Sample, Value},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) const REPLY_TIME: &str = "comms.reply_time";

/// One device of the site.
pub(crate) struct Polled<'a> {
    pub(crate) name: &'a str,
    pub(crate) at: SocketAddr,
    pub(crate) unit: u8,
    pub(crate) poll_every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) points: Vec<ModbusPoint>,
}

pub(crate) fn point(quantity: &str, table: Table, address: u16, encoding: Encoding) -> ModbusPoint {
    let codec = Codec {
        encoding,
        order: Order::default(),
        scale: 1.0,
        offset: 0.0,
        not_available: Vec::new(),
        valid: None,
    };
    ModbusPoint {
        quantity: quantity.into(),
        table,
        address,
        codec,
        unit: Unit::none(),
        kind: PointKind::Gauge,
        states: Vec::new(),
        poll_every: None,
    }
}

pub(crate) fn holding(quantity: &str, address: u16) -> ModbusPoint {
    point(quantity, Table::Holding, address, Encoding::U16)
}

/// A running collector and the newest sample of each point.
pub(crate) struct Hall {
    plant: Plant,
    pub(crate) collector: Collector,
    pub(crate) stop: CancellationToken,
    pub(crate) clock: MonoClock,
    batches: mpsc::Receiver<Batch>,
    newest: HashMap<PointId, Sample>,
    links: HashMap<AssetId, LinkView>,
}

impl Hall {
    pub(crate) fn of(devices: Vec<Polled<'_>>) -> Self {
        Self::with_queue(devices, collector::QUEUE)
    }

    pub(crate) fn with_queue(devices: Vec<Polled<'_>>, queue: usize) -> Self {
        let mut plant = Plant::default();
        let devices = devices.into_iter().map(|device| add(&mut plant, device)).collect();
        let info = SiteInfo {
            id: "test".to_owned(),
            name: "test".to_owned(),
            time_zone: "UTC".to_owned(),
            gateway: "test".to_owned(),
            simulated: false,
        };
        let site = Site {
            info,
            plant,
            devices,
            rules: Vec::new(),
            storage: Storage::default(),
            api: Api::default(),
            influxdb: None,
            anchors: None,
        };
        let (out, batches) = mpsc::channel(queue);
        let stop = CancellationToken::new();
        let clock = MonoClock::start();
        let collector = collector::start(&site, clock, &out, &stop);
        let Site { plant, .. } = site;
        Self {
            plant,
            collector,
            stop,
            clock,
            batches,
            newest: HashMap::new(),
            links: HashMap::new(),
        }
    }

    pub(crate) fn id(&self, name: &str) -> PointId {
        let (asset, quantity) = name.split_once('.').unwrap();
        self.plant.find_point(self.plant.find_asset(asset).unwrap(), quantity).unwrap()
    }

    pub(crate) fn newest(&self, name: &str) -> Option<&Sample> {
        self.newest.get(&self.id(name))
    }

    pub(crate) fn value(&self, name: &str) -> Option<Result<Value, NoData>> {
        self.newest(name).map(|sample| sample.value.clone())
    }

    pub(crate) fn is(&self, name: &str, number: f64) -> bool {
        self.value(name) == Some(Ok(Value::Number(number)))
    }

    pub(crate) fn lacks(&self, name: &str, reason: NoData) -> bool {
        self.value(name) == Some(Err(reason))
    }

    pub(crate) fn link(&self, name: &str) -> Option<&LinkView> {
        self.links.get(&self.plant.find_asset(name).unwrap())
    }

    /// Takes batches until the condition holds.
    pub(crate) async fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let reached = async {
            while !condition(self) {
                let batch = self.batches.recv().await.expect("the collector has ended");
                self.take(batch);
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reached).await;
        assert!(
            waited.is_ok(),
            "{what}: not within {PATIENCE:?}; {:?} {:?}",
            self.newest,
            self.links
        );
    }

    /// The next `count` samples of a point.
    pub(crate) async fn samples(&mut self, name: &str, count: usize) -> Vec<Sample> {
        let point = self.id(name);
        let mut samples = Vec::new();
        let reached = async {
            while samples.len() < count {
                let batch = self.batches.recv().await.expect("the collector has ended");
                if let Batch::Samples(batch) = &batch {
                    samples.extend(batch.iter().filter(|sample| sample.point == point).cloned());
                }
                self.take(batch);
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect(name);
        samples
    }

    fn take(&mut self, batch: Batch) {
        match batch {
            Batch::Samples(samples) => {
                for sample in samples {
                    assert!(sample.at <= self.clock.now() && sample.at > Mono::ZERO);
                    self.newest.insert(sample.point, sample);
                }
            }
            Batch::Owed { .. } => panic!("a polled link owes nobody"),
            Batch::Link(view) => {
                self.links.insert(view.device, view);
            }
        }
    }
}

fn add(plant: &mut Plant, polled: Polled<'_>) -> Device {
    let asset = plant.add_asset(Asset {
        name: polled.name.into(),
        kind: AssetKind::Device,
        title: None,
        detail: Detail::None,
    });
    let spec = |quantity: &str, unit: &Unit| PointSpec {
        asset,
        quantity: quantity.into(),
        // What is read in W is wanted in kW.
        unit: if unit.symbol() == "W" { Unit::parse("kW").unwrap() } else { unit.clone() },
        kind: PointKind::Gauge,
        origin: Origin::Polled,
        stale_after: polled.poll_every * 3,
        states: Vec::new(),
    };
    let reply_time = plant.add_point(spec(REPLY_TIME, &Unit::parse("ms").unwrap()));
    let bindings =
        polled.points.iter().map(|p| Some(plant.add_point(spec(&p.quantity, &p.unit)))).collect();
    let map = ModbusMap { max_registers: 125, max_bits: 2000, points: polled.points };
    let profile = Profile {
        id: "test".into(),
        title: "test".to_owned(),
        source: "test".to_owned(),
        map: Map::Modbus(map),
    };
    Device {
        asset,
        address: Address::ModbusTcp {
            host: polled.at.ip().to_string(),
            port: polled.at.port(),
            unit: polled.unit,
        },
        profile: Arc::new(profile),
        poll_every: polled.poll_every,
        timeout: polled.timeout,
        reply_time,
        bindings,
    }
}
