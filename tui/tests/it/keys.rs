//! What keys lead to.

use rules::{alarm::Letter, messages::Action as Wish};
use tui::{
    Looks, State,
    screen::{Pane, Screen},
    state::{Action, Mode},
};

use crate::{
    hall::Hall,
    screens::{SMALL, after, press, screen},
};

fn start() -> (Hall, State) {
    let hall = Hall::new();
    let state = after("", Looks::PLAIN, hall.snapshot());
    (hall, state)
}

fn acknowledged(actions: &[Action]) -> Vec<(&str, Option<u32>)> {
    let wishes = actions.iter().flat_map(|action| match action {
        Action::Send(wishes) => wishes.as_slice(),
        Action::Quit | Action::Redraw => &[],
    });
    let acknowledged = wishes.filter_map(|wish| match wish {
        Wish::Ack { alarm, occurrence } => Some((&**alarm, *occurrence)),
        Wish::Reset { .. } => None,
    });
    acknowledged.collect()
}

#[test]
fn an_acknowledgement_needs_a_selection() {
    let (_, mut state) = start();
    assert_eq!(press(&mut state, "a"), []);
    assert!(state.notice.as_deref().unwrap().contains("select an alarm"));
    let actions = press(&mut state, "j a");
    assert_eq!(acknowledged(&actions), [("cdu.pump_redundancy@cdu-2", Some(3))]);
}

#[test]
fn the_selection_stays_on_its_alarm_while_the_list_moves() {
    let (mut hall, mut state) = start();
    press(&mut state, "j j");
    let selected = state.alarm.clone();
    assert_eq!(selected.as_deref(), Some("loop.flow_lo@loop-2"));
    let mut update = hall.step(1);
    // The first one drops to the acknowledged, the list moves up.
    update.changes.extend(hall.set_letter("cdu.pump_redundancy@cdu-2", Letter::C, Some("li")));
    state.apply(update);
    assert_eq!(state.alarm, selected);
    let mut update = hall.step(1);
    update.changes.extend(hall.set_letter("loop.flow_lo@loop-2", Letter::A, None));
    state.apply(update);
    assert_eq!(state.alarm, None);
    assert_eq!(press(&mut state, "a"), [], "nothing slips under the key");
}

#[test]
fn a_latch_is_reset_once_it_is_acknowledged() {
    let (mut hall, mut state) = start();
    let leak = "leak.spot@r2-05";
    press(&mut state, "5");
    while state.alarm.as_deref() != Some(leak) {
        press(&mut state, "j");
    }
    assert!(!screen(&state, SMALL).to_string().contains("r reset latch"));
    assert_eq!(press(&mut state, "r"), []);
    assert!(state.notice.as_deref().unwrap().contains("acknowledge it first"));

    let mut update = hall.step(1);
    update.changes.extend(hall.set_letter(leak, Letter::Cl, Some("li")));
    state.apply(update);
    press(&mut state, "v v");
    assert!(screen(&state, SMALL).to_string().contains("r reset latch"));
    let wish = Wish::Reset { alarm: leak.into() };
    assert_eq!(press(&mut state, "r"), [Action::Send(vec![wish])]);
}

#[test]
fn an_acknowledged_alarm_is_not_acknowledged_again() {
    let (_, mut state) = start();
    assert_eq!(press(&mut state, "5 j j j j a"), []);
    assert!(state.notice.as_deref().unwrap().contains("needs no acknowledgement"));
}

#[test]
fn acknowledging_all_asks_and_sends_exactly_what_was_listed() {
    let (mut hall, mut state) = start();
    assert_eq!(press(&mut state, "A Esc"), []);
    assert_eq!(state.mode, Mode::Browse);
    press(&mut state, "A");
    // Something new comes between question and answer: it is not part of the answer.
    let mut update = hall.step(1);
    update.changes.extend(hall.set_letter("rack.dt_hi@r3-07", Letter::B, None));
    state.apply(update);
    let actions = press(&mut state, "y");
    let names: Vec<&str> = acknowledged(&actions).into_iter().map(|(name, _)| name).collect();
    let expected = [
        "cdu.pump_redundancy@cdu-2",
        "loop.flow_lo@loop-2",
        "leak.spot@r2-05",
        "rack.inlet_hi@r1-04",
    ];
    assert_eq!(names, expected);
}

#[test]
fn without_an_operator_the_screen_may_only_look() {
    let mut state = State::new(Hall::new().snapshot(), Looks::PLAIN, None);
    assert_eq!(press(&mut state, "j a A y"), []);
    assert_eq!(state.mode, Mode::Browse);
}

#[test]
fn the_cause_of_a_pump_trip_is_three_keys_away() {
    let (_, mut state) = start();
    press(&mut state, "j Enter");
    assert_eq!(state.screen, Screen::Loops);
    assert_eq!(state.live().index.cdus[state.cdu].asset, state.live().alarms[0].asset.unwrap());
}

#[test]
fn enter_follows_the_plant_and_escape_goes_back() {
    let (_, mut state) = start();
    press(&mut state, "j j j Enter");
    assert_eq!(state.screen, Screen::Racks);
    assert_eq!(state.live().name(state.live().index.racks[state.rack].asset), "r2-05");
    press(&mut state, "Enter");
    assert_eq!((state.screen, state.cdu), (Screen::Loops, 0));
    press(&mut state, "Enter");
    assert_eq!(state.pane, Pane::Branches);
    press(&mut state, "Esc Esc");
    assert_eq!(state.screen, Screen::Overview);
}

#[test]
fn a_source_without_a_screen_leads_to_its_alarm() {
    let (_, mut state) = start();
    press(&mut state, "j j j j j j Enter");
    assert_eq!(state.screen, Screen::Alarms);
    assert_eq!(state.alarm.as_deref(), Some("comms.device@m-205"));
}

#[test]
fn tab_goes_round_the_panes() {
    let (_, mut state) = start();
    let mut panes = vec![state.pane];
    for _ in 0..4 {
        press(&mut state, "Tab");
        panes.push(state.pane);
    }
    assert_eq!(panes, [Pane::Alarms, Pane::Loops, Pane::Rows, Pane::Events, Pane::Alarms]);
}

#[test]
fn the_filter_matches_identifiers_and_titles_and_escape_clears_it() {
    let (_, mut state) = start();
    press(&mut state, "/ C D U - 2 Enter");
    let visible = state.visible();
    assert_eq!((visible.alarms.len(), visible.cdus.as_slice()), (2, &[1][..]));
    press(&mut state, "Esc");
    assert_eq!(state.visible().cdus.len(), 4);
}

#[test]
fn only_the_abnormal_stays_with_v() {
    let (_, mut state) = start();
    press(&mut state, "v 2");
    let cdus = &state.visible().cdus;
    assert_eq!(cdus.as_slice(), [1], "the two-phase unit has no alarm and no unknown value");
    press(&mut state, "1 v");
    assert_eq!(state.visible().cdus.len(), 4);
}

#[test]
fn the_palette_runs_what_it_lists() {
    let (_, mut state) = start();
    press(&mut state, "? r a c k s Enter");
    assert_eq!((state.screen, &state.mode), (Screen::Racks, &Mode::Browse));
    assert_eq!(press(&mut state, "? q u i t Enter"), [Action::Quit]);
}

#[test]
fn a_frozen_picture_stands_still_while_row_one_goes_on() {
    let (mut hall, mut state) = start();
    press(&mut state, "f");
    let mut update = hall.step(5);
    update.changes.extend(hall.set_letter("loop.flow_lo@loop-2", Letter::C, Some("li")));
    state.apply(update);
    assert_eq!(state.shown().counts().unacknowledged, [1, 2, 1, 0]);
    assert_eq!(state.live().counts().unacknowledged, [1, 1, 1, 0]);
    press(&mut state, "f");
    assert_eq!(state.shown().counts().unacknowledged, [1, 1, 1, 0]);
}
