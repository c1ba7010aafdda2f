//! The rows that every screen has: site, time and alarm counts on top; screens; keys or a sentence at the bottom.

use ratatui::{style::Style, text::Line};
use rules::{
    alarm::Letter,
    alarm::Priority,
    time::{Now, Trust},
};

use super::{row::Row, scene::Scene};
use crate::{
    number::span,
    screen::Screen,
    source::Lost,
    state::{Connection, Mode},
};

const PRIORITIES: [Priority; 4] = [Priority::P1, Priority::P2, Priority::P3, Priority::P4];

/// How much of row 1 is said: whatever is left out, the alarm counts and the state of the screen are not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Length {
    Tiny,
    Short,
    Middle,
    Full,
}

/// Row 1, in the longest form that fits.
pub(super) fn top(scene: &Scene<'_>) -> Line<'static> {
    let forms = [Length::Full, Length::Middle, Length::Short, Length::Tiny];
    let mut rows = forms.into_iter().map(|length| top_row(scene, length));
    let tiny = top_row(scene, Length::Tiny);
    rows.find(|row| row.width() <= scene.width).unwrap_or(tiny).into_line()
}

fn top_row(scene: &Scene<'_>, length: Length) -> Row {
    let (looks, live) = (scene.looks, scene.state.live());
    let mut row = Row::new();
    if length >= Length::Short {
        let site = looks.text(&live.site.name).into_owned();
        row = row.put(" coldwatch", looks.strong()).gap(1).plain(site).gap(1);
    }
    if length == Length::Full {
        row = row.gap(1).plain(looks.text(&live.site.gateway)).gap(2);
    }
    row = whereabouts(row, scene, length);
    let counts = live.counts();
    if length == Length::Full {
        let nothing = counts.unacknowledged == [0; 4];
        row = row.plain(if nothing { "  UNACK none" } else { "  UNACK" });
    }
    for (priority, count) in PRIORITIES.into_iter().zip(counts.unacknowledged) {
        if count > 0 {
            let style = looks.priority(priority).patch(looks.strong());
            row = row.gap(1).put(format!("*{}:{count}", u8::from(priority)), style);
        }
    }
    if length == Length::Tiny {
        return row;
    }
    row = row.plain(if length == Length::Full { "   ACT" } else { "  A" });
    if counts.active == [0; 4] {
        row = row.plain(" none");
    }
    for (priority, count) in PRIORITIES.into_iter().zip(counts.active) {
        if count > 0 {
            row = row.plain(format!(" {}:{count}", u8::from(priority)));
        }
    }
    let overlays = [
        ("SHLV", "SH", counts.shelved),
        ("SUPR", "SU", counts.suppressed),
        ("OOS", "OO", counts.out_of_service),
    ];
    for (long, short, count) in overlays {
        if count > 0 && length >= Length::Middle {
            let full = length == Length::Full;
            row = row.plain(if full {
                format!("  {long} {count}")
            } else {
                format!(" {short}{count}")
            });
        }
    }
    let rate = live.annunciations();
    row.plain(if length == Length::Full {
        format!("   {rate}/10 min")
    } else {
        format!("  {rate}/10m")
    })
}

/// Live, simulated, frozen or lost; and the time, as far as the clock is trusted.
fn whereabouts(row: Row, scene: &Scene<'_>, length: Length) -> Row {
    let (looks, state) = (scene.looks, scene.state);
    let at = state.live().at;
    let time = clock(&at);
    let full = length == Length::Full;
    let mut row = row;
    if state.live().site.simulated {
        row = row.put(if full { "SIMULATED" } else { "SIM" }, looks.notice()).gap(1);
    }
    row = match (&state.connection, state.frozen_at()) {
        (Connection::Silent | Connection::Lost(_) | Connection::Closed, _) => {
            let text = if full { "NO UPDATES SINCE" } else { "LOST" };
            let for_long = match state.unheard.as_secs() {
                0 => String::new(),
                _ => format!(" {}", span(state.unheard)),
            };
            row.put(format!("{text} {time}{for_long}"), looks.notice())
        }
        (Connection::Resync, _) => row.put("RESYNC", looks.notice()).gap(1).plain(time),
        (Connection::Live, Some(frozen)) => {
            row.put(format!("FROZEN {}", clock(&frozen)), looks.notice())
        }
        (Connection::Live, None) if full && !state.live().site.simulated => {
            row.plain(format!("LIVE  {time}"))
        }
        (Connection::Live, None) => row.plain(time),
    };
    match at.wall.trust {
        Trust::Synchronised => row,
        Trust::Unsynchronised => {
            row.gap(1).put(if full { "NOT SYNCHRONISED" } else { "UNSYNC" }, looks.notice())
        }
        Trust::Untrusted => {
            row.gap(1).put(if full { "CLOCK UNTRUSTED" } else { "NO CLOCK" }, looks.notice())
        }
    }
}

/// Time of day in UTC; dashes while nothing vouches for it.
fn clock(at: &Now) -> String {
    at.label(at.mono)
        .map_or_else(|| "--:--:--".to_owned(), |label| label.format("%H:%M:%SZ").to_string())
}

/// The screens there are, the open one in brackets.
pub(super) fn tabs(scene: &Scene<'_>) -> Line<'static> {
    let looks = scene.looks;
    let mut row = Row::new();
    for screen in Screen::ALL {
        let (number, name) = match screen {
            Screen::Overview => (1, "Overview"),
            Screen::Loops => (2, "Loops"),
            Screen::Racks => (3, "Racks"),
            Screen::Alarms => (5, "Alarms"),
        };
        row = if screen == scene.state.screen {
            row.put(format!("[{number} {name}]"), looks.strong()).gap(1)
        } else {
            row.put(format!(" {number} {name} "), Style::new()).gap(1)
        };
    }
    let hints = "/ filter  ? help  q quit ";
    let room = scene.width.saturating_sub(row.width());
    row.right(hints, room, looks.quiet()).into_line()
}

/// The last row: what is being typed, or a sentence, or the keys of this screen.
pub(super) fn bottom(scene: &Scene<'_>) -> Line<'static> {
    let (looks, state) = (scene.looks, scene.state);
    if state.mode == Mode::Filter {
        let text = looks.text(&state.filter);
        return Row::new()
            .put(" / ", looks.strong())
            .plain(text)
            .put("_", looks.strong())
            .put("   Enter keeps the filter, Esc clears it", looks.quiet())
            .into_line();
    }
    if let Some(notice) = &state.notice {
        return Row::new().gap(1).put(looks.text(notice), looks.strong()).into_line();
    }
    let mut row = Row::new().gap(1);
    if !state.filter.is_empty() {
        let filter = looks.text(&state.filter);
        row = row.put(format!("filter \"{filter}\" (Esc clears)"), looks.notice()).gap(2);
    }
    if state.abnormal_only {
        row = row.put("only abnormal (v)", looks.notice()).gap(2);
    }
    match &state.connection {
        Connection::Closed => {
            row = row.put("the gateway is gone; what is shown is old", looks.notice()).gap(2);
        }
        Connection::Lost(lost) => row = row.put(looks.text(&trouble(lost)), looks.notice()).gap(2),
        Connection::Live | Connection::Silent | Connection::Resync => {}
    }
    for key in keys(scene) {
        if row.width() + key.len() < scene.width {
            row = row.put(key, looks.quiet()).gap(2);
        }
    }
    row.into_line()
}

/// Why there is no connection, and that something is done about it.
fn trouble(lost: &Lost) -> String {
    match lost.attempts {
        0 => format!("no connection: {}", lost.why),
        attempts => format!("no connection, attempt {attempts}: {}", lost.why),
    }
}

/// The keys of this screen, most needed first; those that do not fit are in the palette.
fn keys(scene: &Scene<'_>) -> Vec<&'static str> {
    let mut keys = Vec::new();
    let heard = !matches!(scene.state.connection, Connection::Lost(_) | Connection::Closed);
    if heard && scene.state.operator().is_some() {
        if scene.state.selected_alarm().is_some_and(|alarm| alarm.letter == Letter::Cl) {
            keys.push("r reset latch");
        }
        keys.extend(["a ack", "A ack all"]);
    }
    keys.extend::<&[_]>(match scene.state.screen {
        Screen::Overview | Screen::Alarms => &["j/k select", "Enter jump to source", "Tab pane"],
        Screen::Loops => &["j/k select", "[ ] CDU", "Tab pane", "Enter open"],
        Screen::Racks => &["hjkl move", "Enter its CDU"],
    });
    keys.extend(["v abnormal", "f freeze", "Esc back"]);
    keys
}
