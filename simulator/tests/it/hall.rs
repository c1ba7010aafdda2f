//! The physics of a whole hall.

use proptest::prelude::*;
use simulator::{
    hall::{Body, Hall},
    scenario::Scenario,
};

use crate::small_hall::{id, plant};

fn scenario(seed: u64) -> Scenario {
    Scenario::parse("test", &format!("title = \"test\"\nseed = {seed}")).unwrap()
}

/// Everything that moves, in one row.
fn state(hall: &Hall) -> Vec<f64> {
    let mut row: Vec<f64> = hall.racks.iter().map(|rack| rack.power_kw).collect();
    row.extend([hall.facility.supply_c, hall.room.temperature_c, hall.network.balance.supplied_kw]);
    row.extend(hall.network.nodes.iter().map(|node| node.register.energy_kwh()));
    for circuit in &hall.circuits {
        row.extend([circuit.body.heat_kw(), circuit.body.facility().return_c]);
    }
    row
}

#[test]
fn the_same_seed_gives_the_same_trajectory_and_another_seed_another() {
    let run = |seed: u64, slices: u32| {
        let mut hall = Hall::new(&plant(), &scenario(seed)).unwrap();
        for _ in 0..slices {
            hall.advance(60.0 / f64::from(slices));
        }
        state(&hall)
    };
    assert_eq!(run(7, 1), run(7, 1));
    // How the wall clock cuts the time does not matter either.
    assert_eq!(run(7, 1), run(7, 240));
    assert_ne!(run(7, 1), run(8, 1));
}

#[test]
fn a_hall_at_work_looks_like_one() {
    let mut hall = Hall::new(&plant(), &scenario(1)).unwrap();
    hall.advance(1800.0);
    let balance = hall.network.balance;
    let ratio = balance.supplied_kw / balance.it_kw;
    assert!((1.04..1.25).contains(&ratio), "power ratio {ratio}");
    for circuit in &hall.circuits {
        match &circuit.body {
            Body::SinglePhase(single) => {
                assert!((single.supply_c - 32.0).abs() < 1.0, "{}", single.supply_c);
                let rise_k = single.return_c - single.supply_c;
                assert!((4.0..11.0).contains(&rise_k), "{rise_k}");
                assert!(single.supply_kpa() > single.return_kpa());
            }
            Body::TwoPhase(tank) => assert!((tank.boiling_c - 50.0).abs() < 1.5),
        }
    }
    assert!((hall.facility.supply_c - 26.0).abs() < 1.0);
    assert!((hall.room.temperature_c - 25.0).abs() < 2.0);
    assert!(hall.racks.iter().all(|rack| rack.power_kw >= 0.29 * rack.design_kw));
}

#[test]
fn the_liquid_takes_less_heat_than_the_racks_use_energy() {
    let plant = plant();
    let mut hall = Hall::new(&plant, &scenario(2)).unwrap();
    let stored_kwh = |hall: &Hall| match &hall.circuits[0].body {
        Body::SinglePhase(single) => single.stored_kwh(),
        Body::TwoPhase(_) => f64::NAN,
    };
    let before_kwh = stored_kwh(&hall);
    hall.advance(1200.0);
    let Body::SinglePhase(single) = &hall.circuits[0].body else { panic!("a cold-plate loop") };
    let rack_kwh: f64 = hall
        .racks
        .iter()
        .filter(|rack| rack.branch.is_some_and(|(circuit, _)| circuit == 0))
        .map(|rack| hall.register(rack.asset).unwrap().energy_kwh())
        .sum();
    let capture = single.totals.rack_heat_kwh / rack_kwh;
    assert!((0.89..0.98).contains(&capture), "{capture}");
    let open_kwh = single.totals.rack_heat_kwh + single.totals.pump_heat_kwh
        - single.totals.facility_heat_kwh
        - (stored_kwh(&hall) - before_kwh);
    assert!(open_kwh.abs() < 1e-6, "{open_kwh}");
}

#[test]
fn a_lost_feed_moves_the_load_to_the_other_and_back() {
    let plant = plant();
    let mut hall = Hall::new(&plant, &scenario(3)).unwrap();
    hall.advance(1.0);
    let (bus_a, bus_b) = (id(&plant, "bus-a"), id(&plant, "bus-b"));
    let output = |hall: &Hall, asset| hall.network.node(asset).unwrap().output_kw;
    let both_kw = output(&hall, bus_a) + output(&hall, bus_b);
    assert!((output(&hall, bus_a) / both_kw - 0.5).abs() < 0.03);
    hall.network.node_mut(bus_a).unwrap().lost = true;
    hall.advance(0.2);
    assert!(output(&hall, bus_a).abs() < 1e-9);
    assert!((output(&hall, bus_b) / both_kw - 1.0).abs() < 0.05);
    assert!((hall.network.balance.it_kw / both_kw - 1.0).abs() < 0.05);
    hall.network.node_mut(bus_a).unwrap().lost = false;
    hall.advance(0.2);
    assert!((output(&hall, bus_a) / both_kw - 0.5).abs() < 0.05);
}

#[test]
fn a_ups_carries_a_lost_utility_until_its_battery_is_empty() {
    let plant = plant();
    let mut hall = Hall::new(&plant, &scenario(4)).unwrap();
    let (utility, ups) = (id(&plant, "utility-a"), id(&plant, "ups-a"));
    hall.network.node_mut(utility).unwrap().lost = true;
    hall.advance(30.0);
    let node = hall.network.node(ups).unwrap();
    assert!(node.live && node.battery.unwrap().discharging);
    assert!(node.battery_percent().unwrap() < 100.0);
    assert!(hall.network.node(utility).unwrap().input_kw.abs() < 1e-9);
    hall.advance(1800.0);
    assert!(!hall.network.node(ups).unwrap().live);
    assert!(hall.racks.iter().all(|rack| rack.power_kw > 0.0), "the other feed carries on");
    hall.network.node_mut(utility).unwrap().lost = false;
    hall.advance(60.0);
    let node = hall.network.node(ups).unwrap();
    assert!(node.live && !node.battery.unwrap().discharging);
    assert!(node.battery_percent().unwrap() > 0.0, "it charges again");
}

#[test]
fn without_both_feeds_the_ups_carries_the_racks_and_nothing_carries_the_heat_away() {
    let plant = plant();
    let mut hall = Hall::new(&plant, &scenario(6)).unwrap();
    let supply_c = |hall: &Hall| match &hall.circuits[0].body {
        Body::SinglePhase(single) => single.supply_c,
        Body::TwoPhase(_) => f64::NAN,
    };
    hall.advance(10.0);
    let before_c = supply_c(&hall);
    for utility in ["utility-a", "utility-b"] {
        hall.network.node_mut(id(&plant, utility)).unwrap().lost = true;
    }
    hall.advance(30.0);
    assert!(hall.network.balance.it_kw > 500.0);
    assert!(hall.network.balance.supplied_kw.abs() < 1e-9);
    assert!(hall.circuits[0].body.facility().flow_lpm.abs() < 1e-9);
    assert!(supply_c(&hall) > before_c + 3.0, "{}", supply_c(&hall));
    for utility in ["utility-a", "utility-b"] {
        hall.network.node_mut(id(&plant, utility)).unwrap().lost = false;
    }
    hall.advance(900.0);
    assert!((supply_c(&hall) - before_c).abs() < 1.0, "{}", supply_c(&hall));
}

#[test]
fn racks_without_any_flow_throttle_before_they_boil() {
    let plant = plant();
    let mut hall = Hall::new(&plant, &scenario(5)).unwrap();
    let cdu = id(&plant, "cdu-1");
    for pump in &mut hall.single_phase_mut(cdu).unwrap().pumps {
        pump.tripped = true;
    }
    let before_kw = hall.racks[0].power_kw;
    hall.advance(300.0);
    let hottest_c = hall.single_phase_mut(cdu).unwrap().branches[0].return_c;
    assert!((62.0..110.0).contains(&hottest_c), "{hottest_c}");
    assert!(hall.racks[0].power_kw < 0.5 * before_kw);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_is_supplied_is_used_lost_or_stored(
        seed in any::<u64>(), lose in 0_usize..8, trip in any::<bool>(),
    ) {
        let plant = plant();
        let mut hall = Hall::new(&plant, &scenario(seed)).unwrap();
        let names = ["utility-a", "utility-b", "ups-a", "ups-b", "bus-a", "bus-b"];
        if let Some(name) = names.get(lose) {
            hall.network.node_mut(id(&plant, name)).unwrap().lost = true;
        }
        hall.single_phase_mut(id(&plant, "cdu-1")).unwrap().pumps[0].tripped = trip;
        let utilities = ["utility-a", "utility-b"].map(|name| id(&plant, name));
        let mut supplied_kwh = 0.0;
        for _ in 0..100 {
            hall.advance(0.1);
            let balance = hall.network.balance;
            let used_kw = balance.it_kw + balance.losses_kw + balance.cooling_kw
                + balance.other_kw + balance.charging_kw;
            prop_assert!((balance.supplied_kw - used_kw).abs() < 1e-6, "{balance:?}");
            supplied_kwh += balance.supplied_kw * 0.1 / 3600.0;
            for circuit in &hall.circuits {
                prop_assert!(circuit.body.facility().flow_lpm >= 0.0);
            }
        }
        let metered_kwh: f64 =
            utilities.iter().map(|asset| hall.register(*asset).unwrap().energy_kwh()).sum();
        prop_assert!((metered_kwh - supplied_kwh).abs() < 1e-9);
        let totals = hall.network.totals;
        prop_assert!((totals.supplied_kwh - supplied_kwh).abs() < 1e-9);
        let rack_kwh: f64 = hall
            .racks
            .iter()
            .map(|rack| hall.register(rack.asset).unwrap().energy_kwh())
            .sum();
        prop_assert!((totals.it_kwh - rack_kwh).abs() < 1e-9);
    }
}
