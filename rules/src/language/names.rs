//! What a name in an expression stands for: a point, a declared attribute, a set of assets.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    plant::{
        Asset, AssetId, AssetKind, Cdu, CoolantLoop, Detail, DeviceLimits, EdgeKind, Meter, Plant,
        PointId, Rack, Role, Room, Supply,
    },
    quantity::canonical_unit,
};

/// A declared figure or word of an asset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Declared {
    /// In the unit of [`ATTRIBUTES`].
    Number(f64, &'static str),
    /// With the words it can be; none: free text.
    Word(String, &'static [&'static str]),
}

type Read = fn(&Asset) -> Answer;

/// Every attribute that an expression can name: the kind of asset that has it, the name, how it is read.
/// A `None` says that this asset does not declare it.
pub(crate) const ATTRIBUTES: &[(AssetKind, &str, Read)] = &[
    (AssetKind::Room, "area", |a| room(a, |r| number(r.area_m2, "m2"))),
    (AssetKind::Rack, "design_power", |a| rack(a, |r| number(r.design_power_kw, "kW"))),
    (AssetKind::Rack, "feeds", |a| rack(a, |r| number(f64::from(r.feeds), "1"))),
    (AssetKind::Rack, "footprint", |a| rack(a, |r| number(r.footprint_m2?, "m2"))),
    (AssetKind::Rack, "row", |a| rack(a, |r| Some(Declared::Word(r.row.clone(), &[])))),
    (AssetKind::Rack, "supply", |a| {
        rack(a, |r| word(if r.supply == Supply::Dc { "dc" } else { "ac" }, &["ac", "dc"]))
    }),
    (AssetKind::Loop, "technology", |a| {
        coolant_loop(a, |l| word(l.technology.word(), TECHNOLOGIES))
    }),
    (AssetKind::Loop, "design_delta_temperature", |a| {
        coolant_loop(a, |l| number(l.design_delta_temperature_k, "K"))
    }),
    (AssetKind::Loop, "design_return", |a| coolant_loop(a, |l| number(l.design_return_c, "°C"))),
    (AssetKind::Loop, "design_pressure", |a| {
        coolant_loop(a, |l| number(l.design_pressure_kpa, "kPa"))
    }),
    (AssetKind::Loop, "design_flow", |a| coolant_loop(a, |l| number(l.design_flow_lpm?, "L/min"))),
    (AssetKind::Loop, "ride_through", |a| coolant_loop(a, |l| number(l.ride_through_s, "s"))),
    (AssetKind::Cdu, "pumps", |a| cdu(a, |c| number(f64::from(c.pumps), "1"))),
    (AssetKind::Cdu, "pumps_required", |a| cdu(a, |c| number(f64::from(c.pumps_required), "1"))),
    (AssetKind::Cdu, "rated_heat", |a| cdu(a, |c| number(c.rated_heat_kw?, "kW"))),
    (AssetKind::Meter, "role", |a| meter(a, |m| word(role_word(m.role), ROLES))),
    (AssetKind::Meter, "feed", |a| meter(a, |m| Some(Declared::Word(m.feed.clone()?, &[])))),
    (AssetKind::Meter, "max_power", |a| meter(a, |m| number(m.max_power_kw, "kW"))),
    (AssetKind::Device, "silence_limit", |a| device(a, |l| number(l.silence_limit_s, "s"))),
];

const TECHNOLOGIES: &[&str] = &["cold_plate", "immersion", "two_phase"];

const ROLES: &[&str] = &[
    "boundary_in",
    "boundary_out",
    "onsite_generation",
    "backup_generation",
    "renewable",
    "it_load",
    "cooling",
    "power_loss",
    "other",
    "reused_heat",
    "water_in",
    "potable_water",
    "info_only",
];

fn role_word(role: Role) -> &'static str {
    match role {
        Role::BoundaryIn => "boundary_in",
        Role::BoundaryOut => "boundary_out",
        Role::OnsiteGeneration => "onsite_generation",
        Role::BackupGeneration => "backup_generation",
        Role::Renewable => "renewable",
        Role::ItLoad => "it_load",
        Role::Cooling => "cooling",
        Role::PowerLoss => "power_loss",
        Role::Other => "other",
        Role::ReusedHeat => "reused_heat",
        Role::WaterIn => "water_in",
        Role::PotableWater => "potable_water",
        Role::InfoOnly => "info_only",
    }
}

fn number(value: f64, unit: &'static str) -> Option<Declared> {
    value.is_finite().then_some(Declared::Number(value, unit))
}

#[expect(clippy::unnecessary_wraps, reason = "every row of the table answers with an option")]
fn word(word: &str, words: &'static [&'static str]) -> Answer {
    Some(Declared::Word(word.to_owned(), words))
}

type Answer = Option<Declared>;

fn room(asset: &Asset, read: impl Fn(&Room) -> Answer) -> Answer {
    if let Detail::Room(room) = &asset.detail { read(room) } else { None }
}

fn rack(asset: &Asset, read: impl Fn(&Rack) -> Answer) -> Answer {
    if let Detail::Rack(rack) = &asset.detail { read(rack) } else { None }
}

fn coolant_loop(asset: &Asset, read: impl Fn(&CoolantLoop) -> Answer) -> Answer {
    if let Detail::Loop(coolant_loop) = &asset.detail { read(coolant_loop) } else { None }
}

fn cdu(asset: &Asset, read: impl Fn(&Cdu) -> Answer) -> Answer {
    if let Detail::Cdu(cdu) = &asset.detail { read(cdu) } else { None }
}

fn meter(asset: &Asset, read: impl Fn(&Meter) -> Answer) -> Answer {
    if let Detail::Meter(meter) = &asset.detail { read(meter) } else { None }
}

fn device(asset: &Asset, read: impl Fn(&DeviceLimits) -> Answer) -> Answer {
    if let Detail::Device(limits) = &asset.detail { read(limits) } else { None }
}

/// What is asked of the plant again and again while many rules are bound to many assets.
pub(crate) struct Directory<'a> {
    pub(crate) plant: &'a Plant,
    /// Every quantity of the plant, and the parts that they are grouped under.
    quantities: HashSet<&'a str>,
    parts: HashSet<&'a str>,
    loop_of: HashMap<AssetId, AssetId>,
    room_of: HashMap<AssetId, AssetId>,
    sites: Vec<AssetId>,
}

impl<'a> Directory<'a> {
    pub(crate) fn new(plant: &'a Plant) -> Self {
        let quantities: HashSet<&str> =
            plant.points().iter().map(|point| &*point.quantity).collect();
        let part = |quantity: &&'a str| quantity.rsplit_once('.').map(|(part, _)| part);
        let (mut loop_of, mut room_of) = (HashMap::new(), HashMap::new());
        let is = |asset: AssetId, kind| plant.asset(asset).kind == kind;
        for edge in plant.edges() {
            match edge.kind {
                EdgeKind::Cools if is(edge.to, AssetKind::Loop) => {
                    loop_of.entry(edge.from).or_insert(edge.to);
                }
                EdgeKind::Cools if is(edge.from, AssetKind::Loop) => {
                    loop_of.entry(edge.to).or_insert(edge.from);
                }
                EdgeKind::LocatedIn if is(edge.to, AssetKind::Room) => {
                    room_of.entry(edge.from).or_insert(edge.to);
                }
                EdgeKind::Cools | EdgeKind::LocatedIn | EdgeKind::Feeds | EdgeKind::Measures => {}
            }
        }
        Self {
            parts: quantities.iter().filter_map(part).collect(),
            sites: plant.of_kind(AssetKind::Site).collect(),
            plant,
            quantities,
            loop_of,
            room_of,
        }
    }
}

/// Where names are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) directory: &'a Directory<'a>,
    pub(crate) plant: &'a Plant,
    /// The variable of `for` and the asset it stands for.
    pub(crate) variable: Option<(&'a str, AssetId)>,
    /// Inside `where`: the member whose attributes and points need no prefix.
    pub(crate) member: Option<AssetId>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    Point(PointId),
    Declared(Declared),
    /// A set, and the quantity asked of each member; none: the members themselves.
    Set(Set, Option<String>),
}

/// Assets that an aggregate goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Set {
    All(AssetKind),
    /// The CDUs or racks of a loop.
    OfLoop(AssetKind, AssetId),
}

/// Why a name stands for nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unresolved {
    /// This asset does not have it although others may: the rule does not apply to it.
    Absent { asset: Arc<str>, missing: String },
    /// Nothing can have it.
    Unknown { message: String, remedy: String },
}

impl Scope<'_> {
    pub(crate) fn resolve(&self, name: &str) -> Result<Found, Unresolved> {
        let (head, rest) =
            name.split_once('.').map_or((name, None), |(head, rest)| (head, Some(rest)));
        if let Some(member) = self.member
            && let Ok(found) = self.on_asset(member, name)
        {
            return Ok(found);
        }
        if let Some((_, asset)) = self.variable.filter(|(variable, _)| *variable == head) {
            return self.on(asset, rest, name);
        }
        if let Some(kind) = AssetKind::ALL.into_iter().find(|kind| kind.set() == head) {
            return Ok(Found::Set(Set::All(kind), rest.map(str::to_owned)));
        }
        if let (None, Some(point)) = (self.member, self.site_point(name)) {
            return Ok(Found::Point(point));
        }
        if let Some(asset) = self.plant.find_asset(head) {
            return self.on(asset, rest, name);
        }
        if let Some(member) = self.member {
            return self.on_asset(member, name);
        }
        match self.directory.sites.first().copied() {
            Some(site) if self.is_quantity(name) => Err(absent(self.plant.asset(site), name)),
            Some(_) | None => Err(self.unknown(name, head)),
        }
    }

    /// A name that starts with no asset is a quantity of the site itself: `power_ratio`. Not inside `where`, where it
    /// would stand in for a member that lacks the quantity.
    fn site_point(&self, quantity: &str) -> Option<PointId> {
        self.directory.sites.iter().find_map(|site| self.plant.find_point(*site, quantity))
    }

    fn on(&self, asset: AssetId, rest: Option<&str>, name: &str) -> Result<Found, Unresolved> {
        match rest {
            Some(rest) => self.on_asset(asset, rest),
            None => Err(Unresolved::Unknown {
                message: format!("\"{name}\" is an asset, not a value"),
                remedy: format!("name one of its points, for example {name}.power"),
            }),
        }
    }

    /// A point, an attribute, or a step to the loop, the room, or the members of the loop.
    fn on_asset(&self, asset: AssetId, path: &str) -> Result<Found, Unresolved> {
        if let Some(point) = self.plant.find_point(asset, path) {
            return Ok(Found::Point(point));
        }
        if let Some(found) = self.attribute(asset, path) {
            return found;
        }
        let (step, rest) =
            path.split_once('.').map_or((path, None), |(step, rest)| (step, Some(rest)));
        let here = self.plant.asset(asset);
        match (step, rest) {
            ("loop", Some(rest)) if has_loop(here.kind) => {
                let found = self
                    .directory
                    .loop_of
                    .get(&asset)
                    .copied()
                    .ok_or_else(|| absent(here, "a loop"))?;
                self.on_asset(found, rest)
            }
            ("room", Some(rest)) => {
                let room = self
                    .directory
                    .room_of
                    .get(&asset)
                    .copied()
                    .ok_or_else(|| absent(here, "a room"))?;
                self.on_asset(room, rest)
            }
            ("cdus", rest) if here.kind == AssetKind::Loop => {
                Ok(Found::Set(Set::OfLoop(AssetKind::Cdu, asset), rest.map(str::to_owned)))
            }
            ("racks", rest) if here.kind == AssetKind::Loop => {
                Ok(Found::Set(Set::OfLoop(AssetKind::Rack, asset), rest.map(str::to_owned)))
            }
            _ if self.is_quantity(path) => Err(absent(here, path)),
            _ => Err(self.no_such_quantity(asset, path)),
        }
    }

    /// The assets of a set, in the order of the plant.
    pub(crate) fn members(&self, set: Set) -> Vec<AssetId> {
        match set {
            Set::All(kind) => self.plant.of_kind(kind).collect(),
            Set::OfLoop(kind, asset) => {
                let sources = self.plant.sources(asset, EdgeKind::Cools);
                let targets = self.plant.targets(asset, EdgeKind::Cools);
                let all = sources.chain(targets);
                all.filter(|id| self.plant.asset(*id).kind == kind).collect()
            }
        }
    }

    /// The attribute of the asset or, for a CDU or a rack, of its loop. `None`: no attribute has this name.
    fn attribute(&self, asset: AssetId, name: &str) -> Option<Result<Found, Unresolved>> {
        let here = self.plant.asset(asset);
        let read_of = |kind: AssetKind| {
            ATTRIBUTES.iter().find(|(of, known, _)| *of == kind && *known == name).map(|row| row.2)
        };
        let not_declared = |of: &Asset| absent(of, name);
        if let Some(read) = read_of(here.kind) {
            return Some(read(here).map(Found::Declared).ok_or_else(|| not_declared(here)));
        }
        let read = read_of(AssetKind::Loop).filter(|_| has_loop(here.kind))?;
        let Some(coolant_loop) = self.directory.loop_of.get(&asset).copied() else {
            return Some(Err(absent(here, "a loop")));
        };
        let coolant_loop = self.plant.asset(coolant_loop);
        Some(read(coolant_loop).map(Found::Declared).ok_or_else(|| not_declared(coolant_loop)))
    }

    /// True for a path that some device could deliver: it is on another asset, or made of known words.
    pub(crate) fn is_quantity(&self, path: &str) -> bool {
        if self.directory.quantities.contains(path) {
            return true;
        }
        let (part, last) = path.rsplit_once('.').unwrap_or(("", path));
        let part_is_known =
            part.is_empty() || PARTS.contains(&part) || self.directory.parts.contains(part);
        let is_code =
            STATES.iter().any(|word| last == *word || last.ends_with(&format!("_{word}")));
        part_is_known && (is_code || canonical_unit(last).is_some())
    }

    fn no_such_quantity(&self, asset: AssetId, path: &str) -> Unresolved {
        let here = self.plant.asset(asset);
        let points = self
            .plant
            .points()
            .iter()
            .filter(|point| self.plant.asset(point.asset).kind == here.kind);
        let attributes = ATTRIBUTES
            .iter()
            .filter(|(kind, ..)| {
                *kind == here.kind || (*kind == AssetKind::Loop && has_loop(here.kind))
            })
            .map(|(_, name, _)| *name);
        let names = points.map(|point| &*point.quantity).chain(attributes);
        Unresolved::Unknown {
            message: format!("a {} has no \"{path}\"", here.kind.word()),
            remedy: did_you_mean(path, names).unwrap_or_else(|| {
                if path.contains('-') {
                    "a subtraction needs spaces around the minus".into()
                } else {
                    "name a point that a profile or a metric gives, or a declared attribute".into()
                }
            }),
        }
    }

    fn unknown(&self, name: &str, head: &str) -> Unresolved {
        let sets = AssetKind::ALL.into_iter().map(AssetKind::set);
        let assets = self.plant.assets().iter().map(|asset| &*asset.name);
        let points = self.plant.points().iter();
        let site = points
            .filter(|point| self.plant.asset(point.asset).kind == AssetKind::Site)
            .map(|point| &*point.quantity);
        let variable = self.variable.map(|(variable, _)| variable);
        let mut names: Vec<&str> = sets.collect();
        names.extend(variable.into_iter().chain(assets).chain(site));
        let remedy = did_you_mean(head, names).unwrap_or_else(|| {
            if name.contains('-') {
                "name an asset of the site; a subtraction needs spaces around the minus".into()
            } else {
                "name an asset of the site, the variable of \"for\", or a set such as racks".into()
            }
        });
        Unresolved::Unknown { message: format!("nothing is called \"{head}\""), remedy }
    }
}

/// Parts of an asset that quantities are grouped under, whether or not this site has such a point.
const PARTS: &[&str] = &[
    "tcs",
    "fws",
    "liquid",
    "filter",
    "reservoir",
    "leak",
    "valve",
    "pump_1",
    "pump_2",
    "pump_3",
    "pump_4",
];

/// Last words of quantities that are states.
const STATES: &[&str] = &["state", "status", "fault"];

fn has_loop(kind: AssetKind) -> bool {
    matches!(kind, AssetKind::Cdu | AssetKind::Rack)
}

fn absent(asset: &Asset, missing: &str) -> Unresolved {
    Unresolved::Absent { asset: Arc::clone(&asset.name), missing: missing.to_owned() }
}

/// `did you mean "kW"?` for the nearest of `names`, if any is near.
pub(crate) fn did_you_mean<'n>(
    wrong: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<String> {
    let lower = wrong.to_lowercase();
    let far = wrong.chars().count() / 3 + 1;
    names
        .into_iter()
        .map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, name)| format!("did you mean \"{name}\"?"))
}
