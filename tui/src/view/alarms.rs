//! Alarms: the list, and all about one of them.
//!
//! ```text
//! list      priority, letter, occurrence, since, how long, source, title, operands
//! detail    expression, live operands, consequence, action, rule file
//! history   what the events tell about this alarm
//! ```

use ratatui::{style::Style, text::Line};
use rules::{
    alarm::Letter,
    messages::{AlarmView, What},
    plant::AssetId,
};
use unicode_width::UnicodeWidthStr;

use super::{
    events,
    row::{Row, cut},
    scene::Scene,
    section::Section,
};
use crate::{
    model::{is_set_aside, is_unacknowledged},
    number,
    screen::Pane,
};

pub(super) fn sections<'a>(scene: &'a Scene<'a>, height: usize) -> Vec<Section<'a>> {
    let list = table(scene);
    let Some(alarm) = scene.state.selected_alarm() else {
        let hint = if scene.model.alarms.is_empty() {
            "  Nothing is active and nothing waits for an acknowledgement."
        } else {
            "  Select an alarm with j/k to see its condition, consequence, action and history."
        };
        let heading = scene.heading("DETAIL", None);
        let hint = Line::styled(hint, scene.looks.quiet());
        return vec![list, Section::fixed(heading, vec![hint]), events::section(scene)];
    };
    let detail = detail(scene, alarm);
    let history = history(scene, alarm);
    // The list yields to the detail, but never below a third of the screen.
    let least = height.saturating_sub(detail.lines + 6).max(height / 3);
    let list = Section { least, ..list };
    let mut sections = vec![list, detail, history];
    sections.push(events::section(scene));
    sections
}

/// The alarms of one asset, in brief.
pub(super) fn on_asset<'a>(scene: &'a Scene<'a>, asset: AssetId) -> Section<'a> {
    let title = format!("ALARMS ON {}", scene.name(asset));
    let lines: Vec<Line<'static>> = scene
        .model
        .alarms
        .iter()
        .filter(|alarm| alarm.asset.map(|source| scene.model.index.shown_at(source)) == Some(asset))
        .take(ON_ASSET)
        .map(|alarm| brief(scene, alarm))
        .collect();
    let lines =
        if lines.is_empty() { vec![Line::styled(" none", scene.looks.quiet())] } else { lines };
    Section { least: 2, ..Section::fixed(scene.heading(&title, None), lines) }
}

/// Alarms of one asset that are listed; the screen Alarms has them all.
const ON_ASSET: usize = 30;

/// The list as the overview has it: one line an alarm, operands instead of durations.
pub(super) fn list<'a>(scene: &'a Scene<'a>, width: usize) -> Section<'a> {
    let shown = &scene.state.visible().alarms;
    let heading = scene.heading("TOP ALARMS", Some(Pane::Alarms));
    let counts = scene.model.counts();
    let aside = counts.shelved + counts.suppressed + counts.out_of_service;
    let hint = if width >= 110 { "unacknowledged first " } else { "" };
    let hint =
        if aside > 0 { format!("{hint}(+{aside} set aside, see 5) ") } else { hint.to_owned() };
    let heading = heading.put(hint, scene.looks.quiet());
    if shown.is_empty() {
        let nothing = if scene.model.alarms.is_empty() { " none" } else { " none that match" };
        return Section::fixed(heading, vec![Line::styled(nothing, scene.looks.quiet())]);
    }
    Section {
        heading,
        lines: shown.len(),
        least: 3,
        most: usize::MAX,
        selected: selected_line(scene),
        line: Box::new(move |at| match shown.get(at).and_then(|at| scene.model.alarms.get(*at)) {
            Some(alarm) => brief(scene, alarm),
            None => Line::default(),
        }),
    }
}

fn selected_line(scene: &Scene<'_>) -> Option<usize> {
    let name = scene.state.alarm.as_ref()?;
    scene
        .state
        .visible()
        .alarms
        .iter()
        .position(|at| scene.model.alarms.get(*at).is_some_and(|alarm| alarm.name == *name))
}

/// ` *[1] B   05:40:51  CDU-2      PUMP REDUNDANCY LOST            1 of 2 < 2`
fn brief(scene: &Scene<'_>, alarm: &AlarmView) -> Line<'static> {
    let row = shape(scene, alarm);
    let source = if scene.is_wide() { 14 } else { 10 };
    let title = scene.width.saturating_sub(34) * 3 / 5;
    let since = alarm.active_since.map_or_else(|| "-".to_owned(), |since| scene.moment(since));
    row.left(&since, 9, Style::new())
        .left(&source_of(scene, alarm), source, Style::new())
        .gap(1)
        .left(&scene.looks.text(&alarm.title), title.clamp(8, 48), weight(scene, alarm))
        .gap(1)
        .plain(scene.looks.text(&alarm.operands))
        .into_line()
}

/// Marker, priority and letter: tells everything without colour. `*` waits for an acknowledgement, `~` has returned
/// to normal and waits for one.
fn shape(scene: &Scene<'_>, alarm: &AlarmView) -> Row {
    let selected = scene.state.alarm.as_ref() == Some(&alarm.name);
    let mark = match alarm.letter {
        Letter::D => "~",
        letter if is_unacknowledged(letter) => "*",
        _ => " ",
    };
    let style = if is_set_aside(alarm.letter) {
        scene.looks.quiet()
    } else {
        scene.looks.priority(alarm.priority)
    };
    let unknown = if alarm.unknown { "?" } else { "" };
    Row::new()
        .put(scene.cursor(Pane::Alarms, selected), scene.looks.strong())
        .put(format!("{mark}[{}]", u8::from(alarm.priority)), style)
        .gap(1)
        .left(&format!("{}{unknown}", alarm.letter), 4, weight(scene, alarm))
}

fn weight(scene: &Scene<'_>, alarm: &AlarmView) -> Style {
    if is_unacknowledged(alarm.letter) {
        scene.looks.strong()
    } else if is_set_aside(alarm.letter) {
        scene.looks.quiet()
    } else {
        Style::new()
    }
}

fn source_of(scene: &Scene<'_>, alarm: &AlarmView) -> String {
    alarm.asset.map_or_else(|| "site".to_owned(), |asset| scene.name(asset))
}

fn table<'a>(scene: &'a Scene<'a>) -> Section<'a> {
    let shown = &scene.state.visible().alarms;
    let heading = scene
        .heading(&format!("ALARMS {}", shown.len()), Some(Pane::Alarms))
        .put("sorted: unacknowledged, priority, time ", scene.looks.quiet());
    let source = if scene.is_wide() { 14 } else { 9 };
    let title = scene.width.saturating_sub(32 + source) * 3 / 5;
    let title = title.min(48);
    let head = Row::new()
        .left("   P  ST   OCC  SINCE       FOR", 33, scene.looks.quiet())
        .left("SOURCE", source + 1, scene.looks.quiet())
        .left("ALARM", title + 1, scene.looks.quiet())
        .put("NOW", scene.looks.quiet())
        .into_line();
    Section {
        heading,
        lines: shown.len().max(1) + 1,
        least: 4,
        most: usize::MAX,
        selected: selected_line(scene).map(|line| line + 1),
        line: Box::new(move |at| {
            let Some(at) = at.checked_sub(1) else { return head.clone() };
            match shown.get(at).and_then(|at| scene.model.alarms.get(*at)) {
                Some(alarm) => line(scene, alarm, source, title),
                None => Line::styled(" none", scene.looks.quiet()),
            }
        }),
    }
}

fn line(scene: &Scene<'_>, alarm: &AlarmView, source: usize, title: usize) -> Line<'static> {
    let now = scene.model.at.mono;
    let since = alarm.active_since;
    let lasts = since
        .filter(|_| alarm.letter != Letter::D)
        .map_or_else(|| "--".to_owned(), |since| number::span(now.since(since)));
    let since = since.map_or_else(|| "-".to_owned(), |since| scene.moment(since));
    shape(scene, alarm)
        .right(&alarm.occurrence.to_string(), 4, Style::new())
        .gap(2)
        .left(&since, 8, Style::new())
        .right(&lasts, 7, Style::new())
        .gap(2)
        .left(&source_of(scene, alarm), source, Style::new())
        .gap(1)
        .left(&scene.looks.text(&alarm.title), title, weight(scene, alarm))
        .gap(1)
        .plain(scene.looks.text(&alarm.operands))
        .into_line()
}

/// Everything the rule says, in words that tell what to do.
fn detail<'a>(scene: &Scene<'_>, alarm: &AlarmView) -> Section<'a> {
    let heading =
        scene.heading(&format!("DETAIL  {} / {}", source_of(scene, alarm), alarm.title), None);
    let unknown =
        if alarm.unknown { "  (cannot be judged now: an operand is unknown)" } else { "" };
    let state = format!("{} {}{unknown}", alarm.letter, meaning(alarm.letter));
    let since = alarm.active_since.map_or_else(String::new, |since| {
        let lasts = number::span(scene.model.at.mono.since(since));
        format!("; active since {} ({lasts})", scene.moment(since))
    });
    let acknowledged = alarm.acknowledged_by.as_deref();
    let acknowledged =
        acknowledged.map_or_else(String::new, |by| format!("; acknowledged by {by}"));
    let fields = [
        ("state", format!("{state}; occurrence {}{since}{acknowledged}", alarm.occurrence)),
        ("condition", alarm.expression.to_string()),
        ("now", alarm.operands.clone()),
        ("consequence", alarm.consequence.to_string()),
        ("action", alarm.action.to_string()),
        ("rule", format!("{} in {}", alarm.name, alarm.rule_file)),
    ];
    let lines = fields.iter().flat_map(|(label, text)| {
        let text = if text.trim().is_empty() { "-".into() } else { scene.looks.text(text) };
        wrapped(&text, scene.width.saturating_sub(LABEL), 3).into_iter().enumerate().map(
            move |(at, part)| {
                let label = if at == 0 { *label } else { "" };
                Row::new()
                    .gap(1)
                    .left(label, LABEL - 1, scene.looks.quiet())
                    .plain(part)
                    .into_line()
            },
        )
    });
    Section::fixed(heading, lines.collect())
}

/// Width of the labels in the detail.
const LABEL: usize = 14;

/// What a letter of ISA-18.2 means.
fn meaning(letter: Letter) -> &'static str {
    match letter {
        Letter::A => "normal",
        Letter::B => "active, not acknowledged",
        Letter::C => "active, acknowledged",
        Letter::D => "returned to normal, not acknowledged",
        Letter::E => "shelved",
        Letter::F => "suppressed by design",
        Letter::G => "out of service",
        Letter::Bl => "latched, not acknowledged",
        Letter::Cl => "latched, acknowledged, waits for the reset",
    }
}

fn history<'a>(scene: &Scene<'_>, alarm: &AlarmView) -> Section<'a> {
    let moves = scene.model.events.iter().rev().filter_map(|event| match &event.what {
        What::Moved(moved) if moved.alarm == alarm.name => Some((event.at, moved)),
        _ => None,
    });
    let mut lines: Vec<Line<'static>> = moves
        .take(HISTORY)
        .map(|(at, moved)| {
            let row = Row::new().gap(1).left(&scene.moment(at), LABEL - 1, Style::new());
            row.plain(scene.looks.text(&events::transition(moved))).into_line()
        })
        .collect();
    if lines.is_empty() {
        lines.push(Line::styled(" nothing in the events kept here", scene.looks.quiet()));
    }
    Section { least: 2, ..Section::fixed(scene.heading("HISTORY (newest first)", None), lines) }
}

/// Transitions of one alarm that are shown.
const HISTORY: usize = 20;

/// Text in lines of at most `width`, broken at spaces; what does not fit into `most` of them is cut off visibly.
fn wrapped(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let full = lines.len() >= most;
        match lines.last_mut() {
            Some(line) if full || line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| cut(line, width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_wrapped_and_then_cut() {
        let text = "confirm pump A runs and reset the drive once";
        assert_eq!(wrapped(text, 20, 3), ["confirm pump A runs", "and reset the drive", "once"]);
        assert_eq!(wrapped(text, 20, 2), ["confirm pump A runs", "and reset the drive~"]);
        assert_eq!(wrapped("", 20, 2), Vec::<String>::new());
        assert_eq!(wrapped("机房冷却", 5, 1), ["机房~"]);
    }
}
