//! Which figures a plant has: one pass over its assets, inputs before users.

use std::{sync::Arc, time::Duration};

use super::{ExchangerFigure, Figure, Formula, Member, Metric, Place, Side, Sign, TerminalPoints};
use crate::{
    meters::{MeterTree, Term, Total, TreeFault},
    plant::{
        AssetId, AssetKind, CoolantLoop, Detail, EdgeKind, Origin, Plant, PointId, PointKind,
        PointSpec, Rack, Technology,
    },
    quantity::canonical_unit,
    units::Unit,
    value::Undefined,
};

/// Current unbalance means nothing below this share of the plausible maximum power (domain facts §7).
const UNBALANCE_LOAD_FLOOR: f64 = 0.1;

/// The plant with its computed points, their formulas in order, and the checks between readings.
#[derive(Clone, Debug)]
pub struct Plan {
    pub plant: Plant,
    pub metrics: Vec<Metric>,
    pub checks: Vec<Check>,
}

/// Two readings that cannot both be true.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// No voltage on a meter that carries current: the voltage is the one not believed.
    VoltageUnderCurrent { voltage: PointId, current: PointId },
    /// More current than a breaker of that limit can carry for long: the limit is the one not believed.
    CurrentBeyondLimit { current: PointId, limit: PointId },
}

/// Writes down every figure that the plant's points allow.
pub fn plan(plant: Plant) -> Result<Plan, TreeFault> {
    let tree = MeterTree::of(&plant)?;
    let mut planner = Planner { plant, metrics: Vec::new(), checks: Vec::new() };
    planner.devices();
    planner.meters();
    planner.air();
    planner.racks();
    planner.loops();
    planner.cdus();
    planner.halls();
    planner.site(&tree)?;
    Ok(Plan { plant: planner.plant, metrics: planner.metrics, checks: planner.checks })
}

struct Planner {
    plant: Plant,
    metrics: Vec<Metric>,
    checks: Vec<Check>,
}

impl Planner {
    /// The point if the plant has it, from a device or computed so far.
    fn has(&self, asset: AssetId, quantity: &str) -> Option<PointId> {
        self.plant.find_point(asset, quantity)
    }

    /// Adds a computed point. What a device already gives stands.
    fn compute(&mut self, (asset, quantity): Place<'_>, formula: Formula) -> PointId {
        if let Some(given) = self.has(asset, quantity) {
            return given;
        }
        let point = self.plant.add_point(PointSpec {
            asset,
            quantity: Arc::from(quantity),
            unit: canonical_unit(quantity).unwrap_or_else(Unit::none),
            kind: PointKind::Gauge,
            origin: Origin::Computed,
            // Its inputs go stale, not the figure itself.
            stale_after: Duration::MAX,
            states: Vec::new(),
        });
        self.metrics.push(Metric { point, formula });
        point
    }

    fn all(&self, kind: AssetKind) -> Vec<AssetId> {
        self.plant.of_kind(kind).collect()
    }

    fn side(&self, asset: AssetId, prefix: &str) -> Option<Side> {
        let point = |word: &str| self.has(asset, &format!("{prefix}.{word}"));
        Some(Side {
            flow: point("flow")?,
            supply_temperature: point("supply_temperature")?,
            return_temperature: point("return_temperature")?,
        })
    }

    /// Active power of a meter, or power of any other asset.
    fn power_of(&self, asset: AssetId) -> Option<PointId> {
        self.has(asset, "active_power").or_else(|| self.has(asset, "power"))
    }

    fn devices(&mut self) {
        for device in self.all(AssetKind::Device) {
            if let Some(reply) = self.has(device, "reply_time") {
                self.compute((device, "silence"), Formula::Silence { reply });
            }
        }
    }

    fn meters(&mut self) {
        for kind in [AssetKind::Meter, AssetKind::Pdu, AssetKind::Ups, AssetKind::Bus] {
            for asset in self.all(kind) {
                self.meter(asset);
            }
        }
    }

    fn meter(&mut self, asset: AssetId) {
        let power = self.power_of(asset);
        if let (Some(active), Some(apparent)) = (power, self.has(asset, "apparent_power")) {
            self.compute((asset, "power_factor"), Formula::PowerFactor { active, apparent });
        }
        let line = |n: u8| self.has(asset, &format!("line{n}_current"));
        if let (Some(a), Some(b), Some(c)) = (line(1), line(2), line(3)) {
            let (lines, floor_kw) = ([a, b, c], self.unbalance_floor_kw(asset));
            self.compute(
                (asset, "current_unbalance"),
                Formula::CurrentUnbalance { lines, power, floor_kw },
            );
            self.compute((asset, "neutral_current"), Formula::NeutralCurrent(lines));
        }
        if let (Some(voltage), Some(current)) =
            (self.has(asset, "voltage"), self.has(asset, "current"))
        {
            self.checks.push(Check::VoltageUnderCurrent { voltage, current });
        }
        if let (Some(current), Some(limit)) =
            (self.has(asset, "current"), self.has(asset, "current_limit"))
        {
            self.checks.push(Check::CurrentBeyondLimit { current, limit });
        }
    }

    fn unbalance_floor_kw(&self, asset: AssetId) -> f64 {
        match &self.plant.asset(asset).detail {
            Detail::Meter(meter) => UNBALANCE_LOAD_FLOOR * meter.max_power_kw,
            Detail::None
            | Detail::Site(_)
            | Detail::Room(_)
            | Detail::Rack(_)
            | Detail::Loop(_)
            | Detail::Cdu(_)
            | Detail::Device(_) => 0.0,
        }
    }

    /// Dew point of every place that has temperature and humidity; of a room, the highest within it.
    fn air(&mut self) {
        for kind in [AssetKind::Sensor, AssetKind::Weather, AssetKind::Room] {
            for asset in self.all(kind) {
                let inside: Vec<Member> = self.dew_points_inside(asset);
                if let (Some(temperature), Some(humidity)) =
                    (self.has(asset, "temperature"), self.has(asset, "humidity"))
                {
                    if kind == AssetKind::Weather {
                        self.compute(
                            (asset, "wet_bulb"),
                            Formula::WetBulb { temperature, humidity },
                        );
                    }
                    self.compute((asset, "dew_point"), Formula::DewPoint { temperature, humidity });
                } else if !inside.is_empty() {
                    let formula = Formula::Aggregate { members: inside, figure: Figure::Highest };
                    self.compute((asset, "dew_point"), formula);
                }
            }
        }
    }

    fn dew_points_inside(&self, room: AssetId) -> Vec<Member> {
        let sensors = self
            .plant
            .sources(room, EdgeKind::LocatedIn)
            .chain(self.plant.sources(room, EdgeKind::Measures));
        let mut sensors: Vec<AssetId> =
            sensors.filter(|&asset| self.plant.asset(asset).kind == AssetKind::Sensor).collect();
        sensors.sort_unstable();
        sensors.dedup();
        sensors
            .into_iter()
            .filter_map(|asset| Some(Member { point: self.has(asset, "dew_point")?, rating: 1.0 }))
            .collect()
    }

    fn racks(&mut self) {
        for rack in self.all(AssetKind::Rack) {
            let Detail::Rack(detail) = self.plant.asset(rack).detail.clone() else { continue };
            let power = self.rack_power(rack, &detail);
            self.compute(
                (rack, "load"),
                Formula::Load { of: power, rating: detail.design_power_kw },
            );
            if let Some(area_m2) = detail.footprint_m2 {
                self.compute((rack, "power_density"), Formula::PerArea { power, area_m2 });
            }
            if let Some(cooled_by) = self.loop_of(rack) {
                self.rack_liquid(rack, power, &cooled_by);
            }
        }
    }

    /// The sum over the rack's feeds, which must all be metered and known. What feeds other racks too tells nothing of
    /// this one.
    fn rack_power(&mut self, rack: AssetId, detail: &Rack) -> PointId {
        let feeds: Vec<(PointId, Sign)> = self
            .plant
            .sources(rack, EdgeKind::Feeds)
            .filter(|&feed| self.plant.targets(feed, EdgeKind::Feeds).count() == 1)
            .filter_map(|feed| Some((self.power_of(feed)?, Sign::Plus)))
            .collect();
        let metered = feeds.len() >= detail.feeds as usize && !feeds.is_empty();
        let formula =
            if metered { Formula::Sum(feeds) } else { Formula::Never(Undefined::NotMetered) };
        self.compute((rack, "power"), formula)
    }

    fn rack_liquid(&mut self, rack: AssetId, power: PointId, of: &CoolantLoop) {
        if let Some(side) = self.side(rack, "liquid") {
            self.compute((rack, "liquid.delta_temperature"), Formula::DeltaTemperature(side));
            let heat =
                self.compute((rack, "liquid.heat"), Formula::TcsHeat(side, Box::new(of.clone())));
            self.compute(
                (rack, "liquid.specific_flow"),
                Formula::SpecificFlow { flow: side.flow, power },
            );
            self.compute((rack, "heat_capture"), Formula::HeatCapture { heat, power });
        }
        if let Some(heat) = self.facility_side(rack, of) {
            self.compute((rack, "heat_capture"), Formula::HeatCapture { heat, power });
        }
    }

    /// Heat and temperature difference of the facility-water side, where the asset measures it.
    fn facility_side(&mut self, asset: AssetId, of: &CoolantLoop) -> Option<PointId> {
        let side = self.side(asset, "fws")?;
        self.compute((asset, "fws.delta_temperature"), Formula::DeltaTemperature(side));
        Some(self.compute((asset, "fws.heat"), Formula::FwsHeat(side, Box::new(of.clone()))))
    }

    fn loop_asset_of(&self, rack: AssetId) -> Option<AssetId> {
        self.plant
            .sources(rack, EdgeKind::Cools)
            .find(|&asset| self.plant.asset(asset).kind == AssetKind::Loop)
    }

    fn loop_of(&self, rack: AssetId) -> Option<CoolantLoop> {
        self.loop_asset_of(rack).and_then(|asset| self.loop_detail(asset))
    }

    fn loop_detail(&self, asset: AssetId) -> Option<CoolantLoop> {
        match &self.plant.asset(asset).detail {
            Detail::Loop(detail) => Some(detail.clone()),
            Detail::None
            | Detail::Site(_)
            | Detail::Room(_)
            | Detail::Rack(_)
            | Detail::Cdu(_)
            | Detail::Meter(_)
            | Detail::Device(_) => None,
        }
    }

    /// IT power, flow and heat of each loop.
    fn loops(&mut self) {
        for asset in self.all(AssetKind::Loop) {
            let Some(detail) = self.loop_detail(asset) else { continue };
            let racks: Vec<AssetId> = self.plant.targets(asset, EdgeKind::Cools).collect();
            let cdus: Vec<AssetId> = self.plant.sources(asset, EdgeKind::Cools).collect();
            let members = self.members(&racks, "power");
            let power = self.compute(
                (asset, "it_power"),
                Formula::Aggregate { members, figure: Figure::Total },
            );
            let flows = self.members(&cdus, "tcs.flow");
            if !flows.is_empty() {
                let plus = |flow: &Member| (flow.point, Sign::Plus);
                let formula =
                    of_all(&cdus, &flows, || Formula::Sum(flows.iter().map(plus).collect()));
                let flow = self.compute((asset, "tcs.flow"), formula);
                self.compute((asset, "tcs.specific_flow"), Formula::SpecificFlow { flow, power });
            }
            // There even where no rack measures its flow, so that a rule can say what it does without.
            let members = self.members(&racks, "liquid.flow");
            let formula = if members.is_empty() {
                Formula::Never(Undefined::NotMetered)
            } else {
                Formula::Aggregate { members, figure: Figure::Total }
            };
            self.compute((asset, "rack_flow"), formula);
            for &cdu in &cdus {
                self.cdu_heat(cdu, &detail);
            }
            if let Some(formula) = self.loop_heat(&racks, &cdus, detail.technology) {
                let heat = self.compute((asset, "heat"), formula);
                self.compute((asset, "heat_capture"), Formula::HeatCapture { heat, power });
            }
        }
    }

    /// Heat is taken where it is measured closest to the racks; of a boiling coolant on the facility side only. `None`
    /// where nothing measures any.
    fn loop_heat(
        &self,
        racks: &[AssetId],
        cdus: &[AssetId],
        technology: Technology,
    ) -> Option<Formula> {
        let (at_racks, at_cdus) = match technology {
            Technology::TwoPhase => ("fws.heat", "fws.heat"),
            Technology::ColdPlate | Technology::Immersion => ("liquid.heat", "tcs.heat"),
        };
        let (by_rack, by_cdu) = (self.members(racks, at_racks), self.members(cdus, at_cdus));
        let (places, members) = match (by_rack.is_empty(), by_cdu.is_empty()) {
            (true, true) => return None,
            (false, _) if by_rack.len() == racks.len() => (racks, by_rack),
            (false, true) => (racks, by_rack),
            (_, false) => (cdus, by_cdu),
        };
        Some(total_of_all(places, members))
    }

    fn cdu_heat(&mut self, cdu: AssetId, of: &CoolantLoop) {
        if let Some(side) = self.side(cdu, "tcs") {
            self.compute((cdu, "tcs.delta_temperature"), Formula::DeltaTemperature(side));
            self.compute((cdu, "tcs.heat"), Formula::TcsHeat(side, Box::new(of.clone())));
        }
        self.facility_side(cdu, of);
    }

    fn cdus(&mut self) {
        for cdu in self.all(AssetKind::Cdu) {
            if let Detail::Cdu(detail) = self.plant.asset(cdu).detail.clone()
                && let Some(rating) = detail.rated_heat_kw
                && let Some(of) = self.has(cdu, "tcs.heat").or_else(|| self.has(cdu, "fws.heat"))
            {
                self.compute((cdu, "load"), Formula::Load { of, rating });
            }
            let supply = self.has(cdu, "tcs.supply_temperature");
            if let (Some(of), Some(less)) = (supply, self.has(cdu, "fws.supply_temperature")) {
                self.compute((cdu, "approach_temperature"), Formula::Difference { of, less });
            }
            self.exchanger(cdu);
            let of_loop = self.plant.targets(cdu, EdgeKind::Cools).next();
            if let Some(of_loop) = of_loop
                && let (Some(flow), Some(power)) =
                    (self.has(of_loop, "tcs.flow"), self.has(of_loop, "it_power"))
            {
                self.compute((cdu, "tcs.specific_flow"), Formula::SpecificFlow { flow, power });
            }
            let room = self.plant.targets(cdu, EdgeKind::LocatedIn).next();
            if let (Some(of), Some(less)) =
                (supply, room.and_then(|room| self.has(room, "dew_point")))
            {
                self.compute((cdu, "dew_point_margin"), Formula::Difference { of, less });
            }
        }
    }

    /// How well the heat exchanger of a CDU works, where all four temperatures and the heat are measured.
    fn exchanger(&mut self, cdu: AssetId) {
        let heat = self.has(cdu, "tcs.heat").or_else(|| self.has(cdu, "fws.heat"));
        let point = |quantity: &str| self.has(cdu, quantity);
        let terminals = point("tcs.return_temperature")
            .zip(point("tcs.supply_temperature"))
            .zip(point("fws.supply_temperature").zip(point("fws.return_temperature")));
        let (Some(heat), Some(((hot_in, hot_out), (cold_in, cold_out)))) = (heat, terminals) else {
            return;
        };
        let terminals = TerminalPoints { hot_in, hot_out, cold_in, cold_out };
        for (quantity, figure) in [
            ("exchanger.log_mean_difference", ExchangerFigure::LogMeanDifference),
            ("exchanger.conductance", ExchangerFigure::Conductance),
            ("exchanger.effectiveness", ExchangerFigure::Effectiveness),
        ] {
            let terminals = Box::new(terminals);
            self.compute((cdu, quantity), Formula::Exchanger { terminals, heat, figure });
        }
    }

    fn halls(&mut self) {
        for room in self.all(AssetKind::Room) {
            let Detail::Room(detail) = self.plant.asset(room).detail.clone() else { continue };
            let racks: Vec<AssetId> = self
                .plant
                .sources(room, EdgeKind::LocatedIn)
                .filter(|&asset| self.plant.asset(asset).kind == AssetKind::Rack)
                .collect();
            if !racks.is_empty() {
                self.rack_figures(room, &racks, detail.area_m2);
            }
        }
    }

    /// Power over a set of racks: total, means, highest, and per floor area.
    fn rack_figures(&mut self, place: AssetId, racks: &[AssetId], area_m2: f64) -> PointId {
        let members = self.members(racks, "power");
        let mut figure = |word, figure| {
            self.compute((place, word), Formula::Aggregate { members: members.clone(), figure })
        };
        let power = figure("rack_power", Figure::Total);
        figure("rack_power_mean", Figure::Mean);
        figure("rack_power_mean_occupied", Figure::MeanOccupied);
        figure("rack_power_max", Figure::Highest);
        if area_m2 > 0.0 {
            self.compute((place, "power_density"), Formula::PerArea { power, area_m2 });
        }
        power
    }

    fn site(&mut self, tree: &MeterTree) -> Result<(), TreeFault> {
        let Some(site) = self.plant.of_kind(AssetKind::Site).next() else { return Ok(()) };
        let racks = self.all(AssetKind::Rack);
        let area_m2 = self.all(AssetKind::Room).iter().map(|&room| self.area_m2(room)).sum();
        let rack_power = self.rack_figures(site, &racks, area_m2);
        let it_terms = tree.terms(Total::It)?;
        let it = if it_terms.is_empty() {
            // Without IT meters the racks are the IT load.
            let members = self.members(&racks, "power");
            self.compute((site, "it_power"), Formula::Aggregate { members, figure: Figure::Total })
        } else {
            let it = self.metered(site, "it_power", &it_terms);
            self.compute((site, "it_balance"), Formula::Balance { of: it, base: rack_power });
            it
        };
        let facility = self.metered(site, "facility_power", &tree.terms(Total::Facility)?);
        self.compute((site, "power_ratio"), Formula::PowerRatio { facility, it });
        let loops = self.all(AssetKind::Loop);
        let members = self.members(&loops, "heat");
        if !members.is_empty() {
            let heat = self.compute((site, "liquid_heat"), total_of_all(&loops, members));
            self.compute((site, "heat_capture"), Formula::HeatCapture { heat, power: rack_power });
        }
        let cdus = self.all(AssetKind::Cdu);
        let members = self.members(&cdus, "dew_point_margin");
        if !members.is_empty() {
            self.compute(
                (site, "dew_point_margin"),
                Formula::Aggregate { members, figure: Figure::Lowest },
            );
        }
        Ok(())
    }

    fn area_m2(&self, room: AssetId) -> f64 {
        match &self.plant.asset(room).detail {
            Detail::Room(room) => room.area_m2,
            Detail::None
            | Detail::Site(_)
            | Detail::Rack(_)
            | Detail::Loop(_)
            | Detail::Cdu(_)
            | Detail::Meter(_)
            | Detail::Device(_) => 0.0,
        }
    }

    /// A signed sum of meters. A meter that gives no power makes the total unmetered, not smaller.
    fn metered(&mut self, site: AssetId, word: &str, terms: &[Term]) -> PointId {
        let points: Option<Vec<(PointId, Sign)>> = terms
            .iter()
            .map(|term| {
                Some((
                    self.power_of(term.asset())?,
                    if term.negative { Sign::Minus } else { Sign::Plus },
                ))
            })
            .collect();
        let formula = match points {
            Some(points) if !points.is_empty() => Formula::Sum(points),
            _ => Formula::Never(Undefined::NotMetered),
        };
        self.compute((site, word), formula)
    }

    /// The assets that have the point, weighted by design power where they are racks.
    fn members(&self, assets: &[AssetId], quantity: &str) -> Vec<Member> {
        assets
            .iter()
            .filter_map(|&asset| {
                Some(Member { point: self.has(asset, quantity)?, rating: self.rating(asset) })
            })
            .collect()
    }

    fn rating(&self, asset: AssetId) -> f64 {
        match &self.plant.asset(asset).detail {
            Detail::Rack(rack) => rack.design_power_kw,
            Detail::None
            | Detail::Site(_)
            | Detail::Room(_)
            | Detail::Loop(_)
            | Detail::Cdu(_)
            | Detail::Meter(_)
            | Detail::Device(_) => 1.0,
        }
    }
}

/// A total over places of which some are not measured is not metered, rather than smaller.
fn of_all(places: &[AssetId], members: &[Member], total: impl FnOnce() -> Formula) -> Formula {
    if members.len() == places.len() { total() } else { Formula::Never(Undefined::NotMetered) }
}

fn total_of_all(places: &[AssetId], members: Vec<Member>) -> Formula {
    of_all(places, &members.clone(), || Formula::Aggregate { members, figure: Figure::Total })
}
