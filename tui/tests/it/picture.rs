//! The picture follows the gateway.

use std::{sync::Arc, time::Duration};

use rules::{
    alarm::{Letter, Priority},
    plant::EdgeKind,
    value::NoData,
};
use tui::{
    Applied, Model,
    model::{Figure, Shown},
};

use crate::hall::Hall;

fn figures(model: &Model) -> Vec<Figure<'_>> {
    model.plant.point_ids().map(|point| model.figure(Some(point))).collect()
}

#[test]
fn a_snapshot_and_its_updates_make_the_next_snapshot() {
    let mut hall = Hall::new();
    let mut followed = Model::new(hall.snapshot());
    for second in 0..90 {
        let mut update = hall.step(1);
        let changes = match second {
            10 => hall.set_letter("cdu.pump_redundancy@cdu-2", Letter::C, Some("zhao")),
            20 => hall.set_letter("rack.dt_hi@r3-07", Letter::A, None),
            30 => hall.set_letter("rack.inlet_hi@r1-04", Letter::B, None),
            _ => Vec::new(),
        };
        let urgent = !changes.is_empty();
        update.changes.extend(changes);
        let expected = if urgent { Applied::Alarms } else { Applied::Figures };
        assert_eq!(followed.apply(update), expected);
    }
    let anew = Model::new(hall.snapshot());
    assert_eq!(followed.seq, anew.seq);
    assert_eq!(followed.alarms, anew.alarms);
    assert_eq!(followed.counts(), anew.counts());
    assert_eq!(followed.events, anew.events);
    assert_eq!(followed.annunciations(), anew.annunciations());
    assert_eq!(figures(&followed), figures(&anew));
}

#[test]
fn a_missing_update_is_noticed_and_an_old_one_ignored() {
    let mut hall = Hall::new();
    let mut model = Model::new(hall.snapshot());
    let first = hall.step(1);
    let second = hall.step(1);
    assert_eq!(model.apply(second.clone()), Applied::Gap);
    assert_eq!(model.apply(first.clone()), Applied::Figures);
    assert_eq!(model.apply(first), Applied::Old);
    assert_eq!(model.apply(second), Applied::Figures);
    let fourth = {
        hall.step(1);
        hall.step(1)
    };
    assert_eq!(model.apply(fourth), Applied::Gap);
    model.replace(hall.snapshot());
    assert_eq!(model.apply(hall.step(1)), Applied::Figures);
}

#[test]
fn a_value_that_outlived_its_limit_is_stale_although_nobody_said_so() {
    let mut hall = Hall::new();
    let mut model = Model::new(hall.snapshot());
    let flow = model.index.cdus[0].tcs.flow;
    assert!(model.figure(flow).number().is_some());
    let mut update = hall.step(10);
    // The gateway is heard, this point is not.
    update.changes.clear();
    model.apply(update);
    assert_eq!(model.figure(flow).age, Some(Duration::from_secs(11)));
    assert_eq!(model.figure(flow).shown, Shown::Unknown(NoData::Stale));
}

#[test]
fn an_alarm_marks_the_value_it_speaks_of_and_no_other() {
    let model = Model::new(Hall::new().snapshot());
    let cdu = &model.index.cdus[1];
    assert_eq!(model.figure(cdu.tcs.flow).mark, Some(Priority::P2));
    assert_eq!(model.figure(cdu.tcs.supply).mark, None);
    assert_eq!(model.figure(cdu.fws.flow).mark, None, "tcs.flow is not fws.flow");
    assert_eq!(model.figure(model.index.cdus[0].tcs.flow).mark, None, "nor that of another CDU");
    assert_eq!(model.figure(cdu.pumps[1].state).mark, Some(Priority::P1));
    assert_eq!(model.figure(cdu.pumps[0].state).mark, None, "the other pump runs");
}

#[test]
fn the_most_urgent_alarm_comes_first() {
    let model = Model::new(Hall::new().snapshot());
    let order: Vec<(String, u8)> = model
        .alarms
        .iter()
        .map(|alarm| (alarm.letter.to_string(), u8::from(alarm.priority)))
        .take(7)
        .collect();
    let expected = [("B", 1), ("B", 2), ("BL", 2), ("D", 3), ("C", 2), ("C", 3), ("F", 2)]
        .map(|(l, p)| (l.to_owned(), p));
    assert_eq!(order, expected);
    assert_eq!(model.counts().suppressed, 6);
    assert_eq!(model.counts().active, [1, 3, 1, 0]);
}

#[test]
fn a_loop_is_found_at_its_unit_a_feeder_at_its_rack_and_a_device_at_what_it_reports_on() {
    let hall = Hall::new();
    let mut snapshot = hall.snapshot();
    let mut plant = (*snapshot.plant).clone();
    plant.add_edge(hall.asset("m-205"), EdgeKind::Measures, hall.asset("r2-05-a"));
    snapshot.plant = Arc::new(plant);
    let model = Model::new(snapshot);
    let found = |name: &str| model.name(model.index.shown_at(hall.asset(name))).to_owned();
    assert_eq!(found("loop-2"), "cdu-2");
    assert_eq!(found("r2-05-a"), "r2-05");
    assert_eq!(found("m-205"), "r2-05");
    assert_eq!(found("hall-1"), "hall-1", "what has no screen stays what it is");
}
