//! Every screen as it looks, cell by cell.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    style::{Color, Modifier},
};
use rules::{messages::Snapshot, time::Trust};
use tui::{Letters, Looks, Lost, State, draw, keymap, state::Connection};

use crate::hall::Hall;

pub(crate) const ASCII: Looks = Looks { letters: Letters::Ascii, colour: true };
pub(crate) const WIDE: (u16, u16) = (120, 40);
pub(crate) const SMALL: (u16, u16) = (80, 24);

/// A dashboard on a hall, after some keys: `5 j a` or `/ r e`.
pub(crate) fn after(keys: &str, looks: Looks, snapshot: Snapshot) -> State {
    let mut state = State::new(snapshot, looks, Some("zhao".to_owned()));
    press(&mut state, keys);
    state
}

pub(crate) fn press(state: &mut State, keys: &str) -> Vec<tui::state::Action> {
    let mut actions = Vec::new();
    for key in keys.split_whitespace() {
        let code = match key {
            "Enter" => KeyCode::Enter,
            "Esc" => KeyCode::Esc,
            "Tab" => KeyCode::Tab,
            letter => KeyCode::Char(letter.chars().next().unwrap_or(' ')),
        };
        let event = KeyEvent::new(code, KeyModifiers::NONE);
        if let Some(cmd) = keymap::command(event, state.context()) {
            actions.extend(state.update(cmd));
        }
    }
    actions
}

pub(crate) fn screen(state: &State, (width, height): (u16, u16)) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    terminal.backend().clone()
}

fn shows(keys: &str, size: (u16, u16)) -> TestBackend {
    screen(&after(keys, ASCII, Hall::new().snapshot()), size)
}

#[test]
fn the_overview_tells_in_five_seconds_whether_the_hall_is_safe() {
    insta::assert_snapshot!("overview_120x40", shows("", WIDE));
    insta::assert_snapshot!("overview_80x24", shows("", SMALL));
}

#[test]
fn a_loop_has_its_numbers_on_its_pipes() {
    insta::assert_snapshot!("loop_120x40", shows("2 j", WIDE));
    insta::assert_snapshot!("loop_80x24", shows("2 j", SMALL));
}

#[test]
fn a_two_phase_loop_claims_no_heat_from_flow_and_temperatures() {
    insta::assert_snapshot!("two_phase_loop_120x40", shows("2 G", WIDE));
}

#[test]
fn a_rack_whose_meter_is_silent_says_why_it_has_no_figures() {
    insta::assert_snapshot!("silent_rack_120x40", shows("3 j j j j l l", WIDE));
    insta::assert_snapshot!("silent_rack_80x24", shows("3 j j j j l l", SMALL));
}

#[test]
fn a_two_phase_rack_says_why_it_has_no_heat() {
    insta::assert_snapshot!("two_phase_rack_80x24", shows("3 G", SMALL));
}

#[test]
fn an_alarm_is_told_with_condition_consequence_and_action() {
    insta::assert_snapshot!("alarms_120x40", shows("5 j", WIDE));
    insta::assert_snapshot!("alarms_80x24", shows("5", SMALL));
}

#[test]
fn the_palette_is_searched_and_the_bulk_question_lists() {
    insta::assert_snapshot!("palette_80x24", shows("? a c k", SMALL));
    insta::assert_snapshot!("acknowledge_all_80x24", shows("A", SMALL));
}

#[test]
fn a_filter_narrows_every_list_and_says_so() {
    insta::assert_snapshot!("filtered_80x24", shows("/ r 3 Enter", SMALL));
}

#[test]
fn the_unicode_letters_line_up_as_well() {
    let full = Looks { letters: Letters::Full, colour: true };
    let state = after("", full, Hall::new().snapshot());
    insta::assert_snapshot!("overview_unicode_120x40", screen(&state, WIDE));
}

#[test]
fn a_chinese_title_takes_two_cells_a_character_and_moves_no_column() {
    let mut hall = Hall::new();
    hall.set_title("cdu-2", "二号冷却液分配单元");
    let text = Looks { letters: Letters::Text, colour: false };
    let state = after("", text, hall.snapshot());
    insta::assert_snapshot!("chinese_title_80x24", screen(&state, SMALL));
    let ascii = screen(&after("", ASCII, hall.snapshot()), SMALL).to_string();
    assert!(ascii.contains(" cdu-2 "), "without its letters, an asset goes by its identifier");
}

#[test]
fn a_small_terminal_keeps_row_one_and_the_alarms() {
    insta::assert_snapshot!("alarms_only_60x9", shows("2", (60, 9)));
    insta::assert_snapshot!("alarms_only_30x3", shows("", (30, 3)));
}

#[test]
fn row_one_tells_what_the_picture_is_worth() {
    let top = |state: &State, size| {
        let text = screen(state, size).to_string();
        text.lines().next().unwrap_or_default().to_owned()
    };
    let mut hall = Hall::new();
    let mut snapshot = hall.snapshot();
    snapshot.site.simulated = true;
    let simulated = after("", ASCII, snapshot);
    hall.trust = Trust::Untrusted;
    let untrusted = after("", ASCII, hall.snapshot());
    hall.trust = Trust::Unsynchronised;
    let unsynchronised = after("", ASCII, hall.snapshot());
    let frozen = after("f", ASCII, Hall::new().snapshot());
    let mut lost = after("", ASCII, Hall::new().snapshot());
    lost.connection = Connection::Silent;
    let rows: Vec<String> = [&simulated, &untrusted, &unsynchronised, &frozen, &lost]
        .into_iter()
        .flat_map(|state| [top(state, WIDE), top(state, SMALL), top(state, (40, 24))])
        .collect();
    insta::assert_snapshot!("row_one", rows.join("\n"));
}

#[test]
fn a_lost_connection_says_since_when_for_how_long_and_why() {
    let mut lost = after("", ASCII, Hall::new().snapshot());
    lost.notice = Some("acknowledged something".to_owned());
    lost.lose(Lost { why: "no gateway at unix:/run/coldwatch/api.sock".to_owned(), attempts: 0 });
    lost.lose(Lost { why: "no gateway at unix:/run/coldwatch/api.sock".to_owned(), attempts: 7 });
    lost.unheard = Duration::from_secs(95);
    let rows = |state: &State, size| {
        let text = screen(state, size).to_string();
        let lines: Vec<&str> = text.lines().collect();
        format!("{}\n{}", lines[0], lines[lines.len() - 1])
    };
    let rows: Vec<String> =
        [WIDE, SMALL, (40, 24)].into_iter().map(|size| rows(&lost, size)).collect();
    insta::assert_snapshot!("lost", rows.join("\n"));
    assert_eq!(press(&mut lost, "j a"), [], "nothing is sent");
    assert!(lost.notice.as_deref().unwrap().contains("no connection"));
}

#[test]
fn a_pipe_gets_the_overview_as_plain_text() {
    let text = tui::once(&Hall::new().snapshot(), 100, 30);
    assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 100 && !line.ends_with(' ')));
    insta::assert_snapshot!("once_100x30", text);
}

fn cells(buffer: &Buffer) -> impl Iterator<Item = &ratatui::buffer::Cell> {
    buffer.content().iter()
}

#[test]
fn without_colour_no_cell_is_coloured_and_priority_one_still_stands_out() {
    let state = after("", Looks::PLAIN, Hall::new().snapshot());
    let backend = screen(&state, WIDE);
    assert!(cells(backend.buffer()).all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    let first_alarm = &backend.buffer()[(2, 3)];
    assert_eq!(first_alarm.symbol(), "[");
    assert!(first_alarm.modifier.contains(Modifier::REVERSED | Modifier::BOLD));
}

#[test]
fn colour_is_for_the_abnormal_only() {
    let mut snapshot = Hall::new().snapshot();
    let calm = |snapshot: Snapshot| {
        let backend = screen(&after("", ASCII, snapshot), WIDE);
        cells(backend.buffer()).all(|cell| cell.fg == Color::Reset)
    };
    assert!(!calm(snapshot.clone()));
    snapshot.alarms.clear();
    assert!(calm(snapshot));
}

#[test]
fn what_came_from_a_lost_gateway_is_grey() {
    let mut state = after("", ASCII, Hall::new().snapshot());
    let dim = |state: &State| {
        let backend = screen(state, WIDE);
        backend.buffer()[(16, 12)].modifier.contains(Modifier::DIM)
    };
    assert!(!dim(&state));
    state.connection = Connection::Closed;
    assert!(dim(&state));
}
