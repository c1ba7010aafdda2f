//! A scenario played on a virtual clock, without sockets: the hall steps, its devices fill their registers, and the same
//! codec that the collector uses reads them. Weeks pass in a minute, and the hall's own integrals say what is true.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use configs::{
    profile::{Map, ModbusMap},
    site::{Device, Site},
};
use rules::{
    messages::LinkView,
    plant::{AssetId, AssetKind, Carrier, Detail, Origin, Plant, PointId},
    time::Mono,
    units::Unit,
    value::{NoData, Sample, Value},
};
use serde::Serialize;
use thiserror::Error;

use crate::{
    form::Form,
    hall::STRIDE_S,
    image::{Holes, Image},
    reported::published,
    scenario::Scenario,
    weather,
    world::{DeviceFault, World, WorldError},
};

/// What a request costs on the virtual wire.
const REPLY_TIME_MS: f64 = 5.0;
/// Version of [`Integrals`] as JSON.
const SCHEMA: u32 = 1;

/// Why a site cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlaybackError {
    #[error(transparent)]
    World(#[from] WorldError),
    /// One line for each point.
    #[error("the simulator cannot supply these points:\n{}", .0.join("\n"))]
    Missing(Vec<String>),
    #[error("a step is 1 s to 15 min long")]
    Step,
}

/// A hall with its devices, at some moment.
pub struct Playback {
    site: Site,
    world: World,
    devices: Vec<Played>,
    start: DateTime<Utc>,
    step: Duration,
    steps: u32,
    at_start: Totals,
}

/// One device and how it is asked.
struct Played {
    index: usize,
    asset: AssetId,
    speech: Speech,
    poll_every: Duration,
    timeout: Duration,
    due: Duration,
    view: LinkView,
}

enum Speech {
    Modbus(Image),
    /// Each point with its form and the unit in which it is told. Topics and JSON are not played.
    Mqtt(Vec<(PointId, Form, Unit)>),
}

/// What one round of asking every device gave.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub samples: Vec<Sample>,
    /// Devices whose link went up or down.
    pub links: Vec<LinkView>,
}

/// The plant's own integrals over what was played so far: of the powers that flowed, not of what any register showed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Integrals {
    pub schema: u32,
    pub site: String,
    pub scenario: String,
    pub seed: u64,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub step_s: u64,
    /// The physics advance by this much at a time.
    pub stride_s: f64,
    /// `E_DC`: everything that was drawn from outside the plant.
    pub facility_kwh: f64,
    /// `E_IT`: what the racks took. A meter above a busbar or a UPS also sees their losses.
    pub it_kwh: f64,
    pub losses_kwh: f64,
    pub cooling_kwh: f64,
    pub other_kwh: f64,
    /// Into batteries.
    pub charging_kwh: f64,
    /// By name: every meter of the site.
    pub meters: BTreeMap<String, MeterIntegral>,
}

/// Energy through one meter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MeterIntegral {
    pub energy_kwh: f64,
    /// What its register can tell apart.
    pub register_step_kwh: f64,
    pub carrier: Carrier,
}

/// The hall's counters at one moment.
struct Totals {
    energies: crate::electrical::Energies,
    meters: BTreeMap<String, MeterIntegral>,
}

impl Playback {
    /// The hall of `site` at `start`. Every device is asked every `step`, or as rarely as the site says.
    pub fn new(
        site: &Site,
        scenario: &Scenario,
        start: DateTime<Utc>,
        step: Duration,
    ) -> Result<Self, PlaybackError> {
        if !(Duration::from_secs(1)..=Duration::from_mins(15)).contains(&step) {
            return Err(PlaybackError::Step);
        }
        let site = paced(site, step);
        let mut world = World::new(&site, &Scenario { start, ..scenario.clone() })?;
        world.begin();
        let (mut devices, mut missing) = (Vec::new(), Vec::new());
        for (index, device) in site.devices.iter().enumerate() {
            match Played::of(&site, index, device, &world) {
                Ok(played) => devices.push(played),
                Err(why) => missing.extend(why),
            }
        }
        if !missing.is_empty() {
            return Err(PlaybackError::Missing(missing));
        }
        let at_start = Totals::of(&world, &site.plant);
        Ok(Self { site, world, devices, start, step, steps: 0, at_start })
    }

    /// The site as it is played: no device is asked, and none goes stale, faster than the step.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Time in the hall since the start.
    pub fn elapsed(&self) -> Duration {
        self.step * self.steps
    }

    pub fn now(&self) -> DateTime<Utc> {
        weather::after(self.start, self.elapsed().as_secs_f64())
    }

    /// Lets one step pass.
    pub fn advance(&mut self) {
        self.steps += 1;
        let until_s = self.elapsed().as_secs_f64();
        loop {
            let left_s = until_s - self.world.hall.elapsed_s();
            if left_s <= 1e-6 {
                return;
            }
            self.world.step_by(left_s.min(STRIDE_S));
        }
    }

    /// Asks every device that is due; `at` is now on the gateway's monotonic clock.
    pub fn ask(&mut self, at: Mono) -> Asked {
        let (elapsed, source_time) = (self.elapsed(), self.now());
        let mut asked = Asked::default();
        for played in &mut self.devices {
            if elapsed < played.due {
                continue;
            }
            played.due = elapsed + played.poll_every;
            let Some(device) = self.site.devices.get(played.index) else { continue };
            let reply = played.reply(&self.world);
            let round = Round { site: &self.site, world: &self.world, device, at, source_time };
            played.samples(&round, reply, &mut asked.samples);
            asked.links.extend(played.stand(reply.err()));
        }
        asked
    }

    /// What is true of the time since the start.
    pub fn integrals(&self, scenario: &Scenario) -> Integrals {
        let now = Totals::of(&self.world, &self.site.plant);
        let (energies, before) = (now.energies, self.at_start.energies);
        let meters = now.meters.into_iter().map(|(name, meter)| {
            let before_kwh = self.at_start.meters.get(&name).map_or(0.0, |meter| meter.energy_kwh);
            (name, MeterIntegral { energy_kwh: meter.energy_kwh - before_kwh, ..meter })
        });
        Integrals {
            schema: SCHEMA,
            site: self.site.info.id.clone(),
            scenario: scenario.title.clone(),
            seed: scenario.seed,
            from: self.start,
            to: self.now(),
            step_s: self.step.as_secs(),
            stride_s: STRIDE_S,
            facility_kwh: energies.supplied_kwh - before.supplied_kwh,
            it_kwh: energies.it_kwh - before.it_kwh,
            losses_kwh: energies.losses_kwh - before.losses_kwh,
            cooling_kwh: energies.cooling_kwh - before.cooling_kwh,
            other_kwh: energies.other_kwh - before.other_kwh,
            charging_kwh: energies.charging_kwh - before.charging_kwh,
            meters: meters.collect(),
        }
    }
}

impl Totals {
    fn of(world: &World, plant: &Plant) -> Self {
        let mut meters = BTreeMap::new();
        for meter in plant.of_kind(AssetKind::Meter) {
            let asset = plant.asset(meter);
            if let (Detail::Meter(record), Some(register)) =
                (&asset.detail, world.hall.register(meter))
            {
                let integral = MeterIntegral {
                    energy_kwh: register.energy_kwh(),
                    register_step_kwh: record.register_step_kwh,
                    carrier: record.carrier,
                };
                meters.insert(asset.name.to_string(), integral);
            }
        }
        Self { energies: world.hall.network.totals, meters }
    }
}

/// What belongs to asking one device now.
struct Round<'a> {
    site: &'a Site,
    world: &'a World,
    device: &'a Device,
    at: Mono,
    source_time: DateTime<Utc>,
}

impl Played {
    fn of(site: &Site, index: usize, device: &Device, world: &World) -> Result<Self, Vec<String>> {
        let speech = match &device.profile.map {
            Map::Modbus(_) => Speech::Modbus(Image::of(site, device, world, Holes::Zeros)?),
            Map::Mqtt(map) => {
                let told = published(site, map).map(|(topic, _, point)| {
                    let truth = world.truth(point).ok_or("the physics have no such thing")?;
                    let form = Form::of(&topic.quantity, &truth, &topic.unit, &topic.states)?;
                    Ok((point, form, topic.unit.clone()))
                });
                let told: Result<Vec<_>, String> = told.collect();
                let name = &site.plant.asset(device.asset).name;
                Speech::Mqtt(told.map_err(|why| vec![format!("device {name}: {why}")])?)
            }
        };
        Ok(Self {
            index,
            asset: device.asset,
            speech,
            poll_every: device.poll_every,
            timeout: device.timeout,
            due: Duration::ZERO,
            view: LinkView {
                device: device.asset,
                address: device.address.to_string(),
                up: true,
                trouble: None,
                replies: 0,
                timeouts: 0,
                refusals: 0,
                discarded: 0,
                reply_time_ms: None,
                points: u32::try_from(device.bindings.len()).unwrap_or(u32::MAX),
            },
        })
    }

    /// How long the answer takes, or why there is none.
    fn reply(&self, world: &World) -> Result<f64, NoData> {
        match world.fault(self.asset) {
            Some(DeviceFault::Refused) => Err(NoData::Unreachable),
            Some(DeviceFault::Silent) => Err(NoData::Timeout),
            Some(DeviceFault::Slow(delay)) if delay > self.timeout => Err(NoData::Timeout),
            Some(DeviceFault::Slow(delay)) => Ok(delay.as_secs_f64() * 1000.0),
            Some(DeviceFault::Stale) | None => Ok(REPLY_TIME_MS),
        }
    }

    fn samples(&self, round: &Round<'_>, reply: Result<f64, NoData>, out: &mut Vec<Sample>) {
        let Round { site, world, device, at, source_time } = *round;
        let sample = |point, value| Sample { point, at, source_time: None, value };
        out.push(sample(device.reply_time, reply.map(Value::Number)));
        match (&self.speech, &device.profile.map) {
            (Speech::Modbus(image), Map::Modbus(map)) => {
                let answer =
                    |index| reply.and_then(|_| decode(image, world, map, index, site, device));
                for (index, binding) in device.bindings.iter().enumerate() {
                    out.extend(binding.map(|point| sample(point, answer(index))));
                }
            }
            (Speech::Mqtt(told), _) if reply.is_ok() => {
                for (point, form, unit) in told {
                    let Some(truth) = world.value(*point) else { continue };
                    let value = form.value(truth).map_err(|_| NoData::BadPayload);
                    let value = value.and_then(|value| kept(value, unit, *point, site));
                    out.push(Sample { source_time: Some(source_time), ..sample(*point, value) });
                }
            }
            // A publisher that is silent says nothing, not even that.
            (Speech::Modbus(_) | Speech::Mqtt(_), _) => {}
        }
    }

    /// The view of the link when it changed, and at first.
    fn stand(&mut self, trouble: Option<NoData>) -> Option<LinkView> {
        let first = self.view.replies + self.view.timeouts == 0;
        let up = trouble.is_none();
        *(if up { &mut self.view.replies } else { &mut self.view.timeouts }) += 1;
        if !first && up == self.view.up {
            return None;
        }
        self.view.up = up;
        self.view.trouble = trouble.map(|why| why.to_string());
        Some(self.view.clone())
    }
}

/// Reads the registers of one point and decodes them, as the collector does.
fn decode(
    image: &Image,
    world: &World,
    map: &ModbusMap,
    index: usize,
    site: &Site,
    device: &Device,
) -> Result<Value, NoData> {
    let point = map.points.get(index).ok_or(NoData::Malformed)?;
    let binding = device.bindings.get(index).copied().flatten().ok_or(NoData::Malformed)?;
    let words = image
        .read(world, point.table, point.address, point.codec.registers())
        .map_err(|_| NoData::Refused(2))?;
    kept(point.codec.decode(&words)?, &point.unit, binding, site)
}

/// In the unit in which the plant keeps the point.
fn kept(value: Value, unit: &Unit, point: PointId, site: &Site) -> Result<Value, NoData> {
    let kept_in = &site.plant.point(point).unit;
    match value {
        Value::State(_) | Value::Text(_) => Ok(value),
        Value::Number(_) | Value::Integer(_) if unit == kept_in => Ok(value),
        Value::Number(_) | Value::Integer(_) => {
            let number = value.as_number().ok_or(NoData::NotANumber)?;
            unit.convert(number, kept_in).map(Value::Number).map_err(|_| NoData::Malformed)
        }
    }
}

/// The site with every device asked no more often than `step`, and every limit that counts in polls stretched with it.
fn paced(site: &Site, step: Duration) -> Site {
    let mut plant = Plant::default();
    for asset in site.plant.assets() {
        let mut asset = asset.clone();
        if let Detail::Device(limits) = &mut asset.detail {
            limits.silence_limit_s = limits.silence_limit_s.max((step * 10).as_secs_f64());
        }
        plant.add_asset(asset);
    }
    for edge in site.plant.edges() {
        plant.add_edge(edge.from, edge.kind, edge.to);
    }
    for point in site.plant.points() {
        let mut point = point.clone();
        if point.origin != Origin::Computed {
            point.stale_after = point.stale_after.max(step * 3);
        }
        plant.add_point(point);
    }
    let mut paced = Site { plant, ..site.clone() };
    paced.info.simulated = true;
    for device in &mut paced.devices {
        device.poll_every = device.poll_every.max(step);
    }
    paced
}
