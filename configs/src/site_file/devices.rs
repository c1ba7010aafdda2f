//! The device tables: what answers on a link, and which points of which assets it gives.

use std::{collections::HashMap, ops::Range, sync::Arc, time::Duration};

use rules::{
    plant::{AssetId, AssetKind, EdgeKind, Origin, Plant, PointId, PointKind, PointSpec},
    quantity::canonical_unit,
    units::Unit,
};
use wildmatch::WildMatch;

use super::{declared, load::Profiles};
use crate::{
    address::{Address, AddressError, Credentials},
    library::Library,
    polling::{LinkLoad, fewest_requests},
    profile::{Map, MqttMap, Profile},
    secret::{self, Resolve},
    site::Device,
    table::{At, Faults, Table, nearest},
};

/// Polled once a second unless the file says otherwise.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Faster than this no device of a facility follows, and no rule needs it.
const POLL_EVERY_MIN: Duration = Duration::from_millis(100);
/// How long a reply may take, unless the file says otherwise; never more than a cycle.
const TIMEOUT_MAX: Duration = Duration::from_secs(1);
/// A polled point is stale after three cycles, but not within this time.
const STALE_MIN: Duration = Duration::from_secs(3);
/// A device is silent after ten cycles without a reply, but not within this time.
const SILENCE_MIN: Duration = Duration::from_secs(10);

/// A device as its table declares it; what it reports on still goes by name.
#[derive(Debug)]
pub(super) struct Reported<'a> {
    pub(super) name: At<Arc<str>>,
    pub(super) title: Option<String>,
    pub(super) profile: Option<Arc<Profile>>,
    /// Of a polled device.
    pub(super) asset: Option<At<&'a str>>,
    /// Of a published one: patterns of asset ids.
    assets: Vec<At<&'a str>>,
    without: Vec<At<&'a str>>,
    address: Option<Address>,
    poll_every: Duration,
    /// Where the interval is written, or the device where it is not.
    pace_place: Range<usize>,
    timeout: Duration,
    pub(super) silence_limit: Duration,
}

/// Reads all device tables.
pub(super) fn read<'a>(
    root: &Table<'a>,
    library: &'a Library,
    secret: Resolve<'_>,
    faults: &'a Faults<'a>,
) -> Vec<Reported<'a>> {
    let mut profiles = Profiles::new(library, faults);
    let mut devices = Vec::new();
    for table in root.tables("device") {
        devices.extend(device(&table, &mut profiles, secret));
        table.finish();
    }
    devices
}

fn device<'a>(
    table: &Table<'a>,
    profiles: &mut Profiles<'a>,
    secret: Resolve<'_>,
) -> Option<Reported<'a>> {
    let name = declared::id(table, "cdu-1-link");
    let title = table.text("title", "CDU 1 controller").map(|title| title.value.to_owned());
    let profile =
        table.required_text("profile", "generic-cdu").and_then(|name| profiles.get(&name));
    let address = address(table, secret);
    let (poll_every, timeout) = pace(table, profile.as_deref());
    let silence_limit = table
        .duration("silence_limit", "10 s")
        .unwrap_or_else(|| SILENCE_MIN.max(cycles(poll_every, profile.as_deref())));
    let asset = table.text("asset", "cdu-1");
    let assets = table.texts("assets", "rack-*");
    let without = table.texts("without", "pump_3.*");
    if let Some(profile) = &profile {
        check_protocol(table, profile, address.as_ref(), asset.as_ref());
    }
    Some(Reported {
        name: name?,
        title,
        profile,
        asset,
        assets,
        without,
        address,
        poll_every,
        pace_place: table.place("poll_every"),
        timeout,
        silence_limit,
    })
}

/// Ten polls, or two periods of a publisher: after that long without a word the device counts as silent.
fn cycles(poll_every: Duration, profile: Option<&Profile>) -> Duration {
    match profile.map(|profile| &profile.map) {
        Some(Map::Mqtt(map)) => map.republish_every * 2,
        Some(Map::Modbus(_)) | None => poll_every * 10,
    }
}

fn pace(table: &Table<'_>, profile: Option<&Profile>) -> (Duration, Duration) {
    let poll_every = table.duration("poll_every", "1 s").unwrap_or(POLL_EVERY);
    let timeout = table.duration("timeout", "500 ms");
    if let Some(Map::Mqtt(map)) = profile.map(|profile| &profile.map) {
        if table.has("poll_every") {
            table.fault(
                table.place("poll_every"),
                "a device that publishes is not polled",
                "leave poll_every out; the profile says how often values are expected",
            );
        }
        return (map.republish_every, timeout.unwrap_or(TIMEOUT_MAX));
    }
    if poll_every < POLL_EVERY_MIN {
        table.fault(
            table.place("poll_every"),
            "polling faster than every 100 ms is not supported",
            "write poll_every = \"100 ms\" or slower",
        );
    }
    if let Some(timeout) = timeout.filter(|timeout| *timeout > poll_every) {
        table.fault(
            table.place("timeout"),
            format!("a timeout of {timeout:?} does not fit into a cycle of {poll_every:?}"),
            "make the timeout shorter or poll_every longer",
        );
    }
    (poll_every, timeout.unwrap_or(TIMEOUT_MAX.min(poll_every)))
}

fn check_protocol(
    table: &Table<'_>,
    profile: &Profile,
    address: Option<&Address>,
    asset: Option<&At<&str>>,
) {
    let speaks = match &profile.map {
        Map::Modbus(_) => "modbus+tcp",
        Map::Mqtt(_) => "mqtt",
    };
    let given = match address {
        Some(Address::ModbusTcp { .. }) => "modbus+tcp",
        Some(Address::Mqtt { .. }) => "mqtt",
        None => speaks,
    };
    if speaks != given {
        table.fault(
            table.place("url"),
            format!("the profile \"{}\" is for {speaks}://, the URL is {given}://", profile.id),
            format!("write url = \"{speaks}://…\" or name another profile"),
        );
    }
    match (&profile.map, asset) {
        (Map::Modbus(_), None) if !table.has("asset") => table.fault(
            table.span(),
            format!("{} does not say which asset it reports on", table.title()),
            "add it, for example: asset = \"cdu-1\"",
        ),
        (Map::Mqtt(_), Some(asset)) => table.fault(
            asset.span.clone(),
            "a device that publishes reports on many assets",
            format!("write assets = [\"{}\"], or nothing for all of them", asset.value),
        ),
        (Map::Modbus(_) | Map::Mqtt(_), _) => {}
    }
    if matches!(profile.map, Map::Modbus(_)) && table.has("assets") {
        table.fault(
            table.place("assets"),
            "a polled device reports on one asset",
            "write asset = \"…\" with its id",
        );
    }
}

/// Reads `url`, `user` and `password`.
pub(super) fn address(table: &Table<'_>, resolve: Resolve<'_>) -> Option<Address> {
    let url = table.required_text("url", "modbus+tcp://10.0.0.21:502?unit=1");
    let user = table.text("user", "coldwatch");
    let password = table.secret("password", resolve);
    let url = url?;
    let parsed = Address::parse(url.value);
    if parsed.is_err() && (url.value.contains('@') || secret::is_secret_key(url.value)) {
        table.hide(url.span.clone());
    }
    let mut address = match parsed {
        Ok(address) => address,
        Err(AddressError::Credentials) => {
            table.fault(
                url.span,
                "a secret is written into the file, in the URL",
                "write user = \"…\" and password = \"${file:/etc/coldwatch/broker}\" as keys of their own",
            );
            return None;
        }
        Err(error) => {
            let remedy = "write modbus+tcp://host:502?unit=1 or mqtt://host:1883";
            table.fault(url.span, error.to_string(), remedy);
            return None;
        }
    };
    match (&mut address, user, password) {
        (Address::Mqtt { credentials, .. }, Some(user), Some(password)) => {
            *credentials = Some(Credentials { user: user.value.to_owned(), password });
        }
        (Address::Mqtt { .. }, Some(user), None) if !table.has("password") => table.fault(
            user.span,
            "a user is given without a password",
            "add password = \"${file:/etc/coldwatch/broker}\"",
        ),
        (Address::Mqtt { .. }, None, Some(_)) => table.fault(
            table.place("password"),
            "a password is given without a user",
            "add user = \"coldwatch\"",
        ),
        (Address::Mqtt { .. }, _, None) | (Address::ModbusTcp { .. }, None, None) => {}
        (Address::ModbusTcp { .. }, _, _) => table.fault(
            table.place("user"),
            "Modbus TCP knows no user and no password",
            "leave user and password out",
        ),
    }
    Some(address)
}

/// Patterns of points to leave out, with a note of which of them did so.
struct Without<'a> {
    patterns: Vec<(At<&'a str>, WildMatch, bool)>,
}

impl<'a> Without<'a> {
    fn new(patterns: &[At<&'a str>]) -> Self {
        let pattern = |at: &At<&'a str>| (at.clone(), WildMatch::new(at.value), false);
        Self { patterns: patterns.iter().map(pattern).collect() }
    }

    /// A pattern names a quantity, or an asset and a quantity: `pump_3.*`, `tap-*.power_factor`.
    fn leaves_out(&mut self, asset: &str, quantity: &str) -> bool {
        if self.patterns.is_empty() {
            return false;
        }
        let whole = format!("{asset}.{quantity}");
        let mut found = false;
        for (_, pattern, used) in &mut self.patterns {
            let hit = pattern.matches(quantity) || pattern.matches(&whole);
            *used |= hit;
            found |= hit;
        }
        found
    }

    fn check(self, profile: &Profile, faults: &Faults<'_>) {
        for (at, _, used) in self.patterns {
            if !used {
                faults.add(
                    at.span,
                    format!("\"{}\" matches no point of the profile \"{}\"", at.value, profile.id),
                    "leave it out, or write a quantity of the profile; * stands for anything",
                );
            }
        }
    }
}

/// Adds every point to the plant and binds the devices to their points.
pub(super) fn bind(
    plant: &mut Plant,
    reported: &[Reported<'_>],
    faults: &Faults<'_>,
) -> Vec<Device> {
    let mut givers = HashMap::new();
    let mut load = LinkLoad::default();
    let mut devices = Vec::new();
    for (index, device) in reported.iter().enumerate() {
        let Some(asset) = plant.find_asset(&device.name.value) else { continue };
        let Some(profile) = &device.profile else { continue };
        let mut binder =
            Binder { plant, device, profile, asset, index, reported, givers: &mut givers, faults };
        let reply_time = binder.reply_time();
        let bindings = match &profile.map {
            Map::Modbus(_) => binder.polled(),
            Map::Mqtt(map) => binder.published(map),
        };
        let Some(address) = device.address.clone() else { continue };
        if let Address::ModbusTcp { host, port, .. } = &address {
            let requests = requests_per_cycle(device, profile, &bindings);
            let place = device.pace_place.clone();
            load.add((host.clone(), *port), &device.name.value, device.poll_every, place, requests);
        }
        devices.push(Device {
            asset,
            address,
            profile: Arc::clone(profile),
            poll_every: device.poll_every,
            timeout: device.timeout,
            reply_time,
            bindings,
        });
    }
    load.check(faults);
    devices
}

/// Slower points are left out: they ride in the requests of the fast ones where they can.
fn requests_per_cycle(
    device: &Reported<'_>,
    profile: &Profile,
    bindings: &[Option<PointId>],
) -> usize {
    let Map::Modbus(map) = &profile.map else { return 0 };
    let bound = map.points.iter().zip(bindings).filter(|(_, binding)| binding.is_some());
    let fast = bound
        .map(|(point, _)| point)
        .filter(|point| point.poll_every.is_none_or(|slow| slow <= device.poll_every));
    fewest_requests(map, fast)
}

/// One device being bound.
struct Binder<'p, 'a> {
    plant: &'p mut Plant,
    device: &'p Reported<'a>,
    profile: &'p Profile,
    asset: AssetId,
    index: usize,
    reported: &'p [Reported<'a>],
    /// Which device gives a point, by its place in the file.
    givers: &'p mut HashMap<PointId, usize>,
    faults: &'p Faults<'p>,
}

impl Binder<'_, '_> {
    fn origin(&self) -> Origin {
        match self.profile.map {
            Map::Modbus(_) => Origin::Polled,
            Map::Mqtt(_) => Origin::Published,
        }
    }

    fn reply_time(&mut self) -> PointId {
        self.plant.add_point(PointSpec {
            asset: self.asset,
            quantity: "reply_time".into(),
            unit: canonical_unit("reply_time").unwrap_or_else(Unit::none),
            kind: PointKind::Gauge,
            // The gateway takes this time itself, whatever the protocol.
            origin: Origin::Polled,
            stale_after: self.stale_after(self.device.poll_every),
            states: Vec::new(),
        })
    }

    fn stale_after(&self, every: Duration) -> Duration {
        match self.profile.map {
            Map::Modbus(_) => STALE_MIN.max(every * 3),
            Map::Mqtt(_) => every * 2,
        }
    }

    fn polled(&mut self) -> Vec<Option<PointId>> {
        let Map::Modbus(map) = &self.profile.map else { return Vec::new() };
        let Some(name) = &self.device.asset else { return Vec::new() };
        let Some(asset) = self.plant.find_asset(name.value) else {
            let assets = self.plant.assets().iter();
            let near = nearest(name.value, assets.map(|asset| &*asset.name));
            self.faults.add(
                name.span.clone(),
                format!(
                    "device \"{}\" reports on \"{}\", which does not exist",
                    self.device.name.value, name.value
                ),
                near.map_or_else(
                    || "write the id of an asset of this file".to_owned(),
                    |near| format!("did you mean \"{near}\"?"),
                ),
            );
            return Vec::new();
        };
        self.plant.add_edge(self.asset, EdgeKind::Measures, asset);
        let mut without = Without::new(&self.device.without);
        let mut bindings = Vec::with_capacity(map.points.len());
        for point in &map.points {
            if without.leaves_out(name.value, &point.quantity) {
                bindings.push(None);
                continue;
            }
            let every = point
                .poll_every
                .map_or(self.device.poll_every, |slow| slow.max(self.device.poll_every));
            let spec = PointSpec {
                asset,
                quantity: Arc::clone(&point.quantity),
                unit: kept_in(&point.quantity, &point.unit, point.kind),
                kind: point.kind,
                origin: self.origin(),
                stale_after: self.stale_after(every),
                states: point.states.clone(),
            };
            bindings.push(Some(self.give(spec, &name.span)));
        }
        without.check(self.profile, self.faults);
        bindings
    }

    fn published(&mut self, map: &MqttMap) -> Vec<Option<PointId>> {
        let mut bindings = Vec::new();
        let scope = self.scope();
        let offered = self.profile.offered();
        let mut without = Without::new(&self.device.without);
        let span = self.device.name.span.clone();
        for (asset, name, kind) in scope {
            let mut gives = false;
            for point in offered.iter().filter(|point| point.asset_kind == Some(kind)) {
                if without.leaves_out(&name, point.quantity) {
                    continue;
                }
                gives = true;
                let spec = PointSpec {
                    asset,
                    quantity: Arc::clone(point.quantity),
                    unit: kept_in(point.quantity, point.unit, point.kind),
                    kind: point.kind,
                    origin: self.origin(),
                    stale_after: self.stale_after(map.republish_every),
                    states: point.states.to_vec(),
                };
                bindings.push(Some(self.give(spec, &span)));
            }
            if gives {
                self.plant.add_edge(self.asset, EdgeKind::Measures, asset);
            }
        }
        without.check(self.profile, self.faults);
        bindings
    }

    /// The assets that a publisher reports on: those that a pattern of `assets` matches; all, where there is none.
    fn scope(&self) -> Vec<(AssetId, Arc<str>, AssetKind)> {
        let mut patterns: Vec<_> =
            self.device.assets.iter().map(|at| (at, WildMatch::new(at.value), false)).collect();
        let mut scope = Vec::new();
        for (index, asset) in (0_u32..).zip(self.plant.assets()) {
            let mut inside = patterns.is_empty();
            for (_, pattern, used) in &mut patterns {
                let hit = pattern.matches(&asset.name);
                *used |= hit;
                inside |= hit;
            }
            if inside && asset.kind != AssetKind::Device {
                scope.push((AssetId(index), Arc::clone(&asset.name), asset.kind));
            }
        }
        for (at, _, _) in patterns.iter().filter(|(_, _, used)| !used) {
            let near = nearest(at.value, self.plant.assets().iter().map(|asset| &*asset.name));
            self.faults.add(
                at.span.clone(),
                format!("\"{}\" matches no asset of this file", at.value),
                near.map_or_else(
                    || "write ids of this file; * stands for anything".to_owned(),
                    |near| format!("did you mean \"{near}\"?"),
                ),
            );
        }
        scope
    }

    /// Adds a point, which only one device may give.
    fn give(&mut self, spec: PointSpec, span: &Range<usize>) -> PointId {
        let id = self.plant.add_point(spec);
        let giver = *self.givers.entry(id).or_insert(self.index);
        if giver != self.index {
            let other =
                self.reported.get(giver).map_or("another device", |device| &*device.name.value);
            self.faults.add(
                span.clone(),
                format!(
                    "the point \"{}\" is already given by \"{other}\"",
                    self.plant.point_name(id)
                ),
                format!(
                    "leave it out at one of the two: without = [\"{}\"]",
                    self.plant.point(id).quantity
                ),
            );
        }
        id
    }
}

/// The unit a point is kept in: the one of its word, where the profile's can be converted into it.
fn kept_in(quantity: &str, unit: &Unit, kind: PointKind) -> Unit {
    let ours = match kind {
        PointKind::Gauge | PointKind::Counter => canonical_unit(quantity),
        PointKind::State | PointKind::Text => None,
    };
    ours.filter(|ours| ours.dimension() == unit.dimension()).unwrap_or_else(|| unit.clone())
}
