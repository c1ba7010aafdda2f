//! Charts as SVG text of our own: no script, no font metrics, the same bytes from the same figures. Colours are classes
//! that the document's style sheet fills in, so that light, dark and paper each have theirs.

use std::{fmt::Write as _, ops::Range};

use chrono::{Datelike, NaiveDate};

use crate::{
    account::{State, count, share},
    compliance::{DayLine, Profile},
    density::Quarter,
};

/// Width of every drawing in its own units; it scales with the page.
const WIDTH: f64 = 960.0;
/// Room for the labels of the vertical axis, and at the right edge.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 8.0;
/// Columns of a load profile; a longer period puts several quarter-hours into one.
const COLUMNS: usize = 900;
/// Points of a duration curve.
const CURVE: usize = 240;

/// A drawing in the making.
struct Svg {
    body: String,
    height: f64,
    title: String,
}

/// A vertical axis from zero, or from a floor, to a round number above the largest value.
#[derive(Clone, Copy)]
struct Axis {
    least: f64,
    most: f64,
    step: f64,
    top: f64,
    bottom: f64,
}

impl Svg {
    fn new(title: &str, height: f64) -> Self {
        Self { body: String::new(), height, title: title.to_owned() }
    }

    // Writing to a string cannot fail.
    fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), tip: &str) {
        let _ = write!(
            self.body,
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}""#
        );
        let _ = match tip {
            "" => write!(self.body, "/>"),
            _ => write!(self.body, "><title>{tip}</title></rect>"),
        };
    }

    fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let _ = write!(
            self.body,
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        );
    }

    fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            let _ = write!(self.body, r#"<path class="{class}" d="{path}"/>"#);
        }
    }

    fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let _ = write!(self.body, r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#);
    }

    /// Grid lines with their numbers, and what they count above them.
    fn axis(&mut self, axis: Axis, unit: &str) {
        let decimals = (0..4)
            .find(|places| axis.step * 10_f64.powi(*places) > 0.999)
            .and_then(|places| usize::try_from(places).ok())
            .unwrap_or(4);
        let mut value = axis.least;
        while value <= axis.most + axis.step / 2.0 {
            let y = axis.y(value);
            self.line("grid", (LEFT, y), (WIDTH - RIGHT, y));
            self.text("tick end", (LEFT - 6.0, y + 4.0), &grouped(value, decimals));
            value += axis.step;
        }
        self.text("tick", (LEFT, axis.top - 10.0), unit);
    }

    fn finish(self) -> String {
        let Self { body, height, title } = self;
        format!(
            r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">{body}</svg>"#
        )
    }
}

impl Axis {
    fn new(least: f64, largest: f64, (top, bottom): (f64, f64)) -> Self {
        let step = round_step((largest - least).max(1e-9) / 5.0);
        let most = least + ((largest - least) / step).ceil().max(1.0) * step;
        Self { least, most, step, top, bottom }
    }

    fn y(&self, value: f64) -> f64 {
        let place = (value - self.least) / (self.most - self.least);
        self.bottom - place.clamp(0.0, 1.0) * (self.bottom - self.top)
    }
}

/// 1, 2 or 5 times a power of ten, not below `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= rough * 0.999);
    times.unwrap_or(10.0) * power
}

/// `1 234.5`, with narrow spaces that do not break.
pub(crate) fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    if value < 0.0 && text.contains(|digit: char| digit.is_ascii_digit() && digit != '0') {
        out.push('−');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out + rest
}

fn class_of(state: State) -> &'static str {
    match state {
        State::Measured => "measured",
        State::Bridged => "bridged",
        State::Partial => "partial",
        State::Missing => "missing",
    }
}

/// Every quarter-hour of the period: a row a day, from midnight to midnight.
pub fn coverage(profile: &Profile) -> String {
    let days = profile.days.len();
    // A month has a row a day; a year would be two pages long.
    let row = if days <= 62 { 13.0 } else { 4.0 };
    let top = 20.0;
    let mut svg = Svg::new("Coverage by quarter-hour", top + row * count(days) + 6.0);
    let longest = profile.days.iter().map(|(_, places)| places.len()).max().unwrap_or(96).max(1);
    let cell = (WIDTH - LEFT - RIGHT) / count(longest);
    for hour in (0..=24_u8).step_by(3) {
        let x = LEFT + f64::from(hour) * 4.0 * cell;
        svg.text("tick middle", (x, 12.0), &format!("{hour:02}"));
        svg.line("grid", (x, top - 4.0), (x, top + row * count(days)));
    }
    for (index, (day, places)) in profile.days.iter().enumerate() {
        let y = top + row * count(index);
        if row > 10.0 || day.day() == 1 {
            svg.text("row end", (LEFT - 6.0, y + row.min(11.0) - 1.0), &day_label(*day));
        }
        for (state, run) in runs(&profile.states, places) {
            let (x, width) = (LEFT + cell * count(run.start), cell * count(run.len()));
            let tip = match state {
                State::Measured => String::new(),
                other => format!("{day}: {}", class_of(other)),
            };
            svg.rect(class_of(state), (x, y), (width, row - 1.0), &tip);
        }
    }
    svg.finish()
}

/// Neighbours of one state as one, counted from the first place.
fn runs(states: &[State], places: &Range<usize>) -> Vec<(State, Range<usize>)> {
    let mut runs: Vec<(State, Range<usize>)> = Vec::new();
    for (at, state) in states.get(places.clone()).unwrap_or_default().iter().enumerate() {
        match runs.last_mut() {
            Some((last, run)) if last == state => run.end = at + 1,
            _ => runs.push((*state, at..at + 1)),
        }
    }
    runs
}

fn day_label(day: NaiveDate) -> String {
    day.format("%a %d").to_string()
}

/// Energy a day: IT and everything else on top of it, and the ratio of the two energies above.
pub fn days(days: &[DayLine]) -> String {
    let mut svg = Svg::new("Energy and energy ratio by day", 330.0);
    let slot = (WIDTH - LEFT - RIGHT) / count(days.len().max(1));
    let place = |index: usize| LEFT + slot * count(index);
    ratio_by_day(&mut svg, days, slot);
    let largest = days.iter().filter_map(|day| day.facility_kwh).fold(0.0, f64::max) / 1000.0;
    let axis = Axis::new(0.0, largest.max(1e-3), (160.0, 306.0));
    svg.axis(axis, "MWh a day");
    let bar = (slot * 0.78).max(0.6);
    for (index, day) in days.iter().enumerate() {
        let x = place(index) + (slot - bar) / 2.0;
        let (Some(facility), Some(it)) = (day.facility_kwh, day.it_kwh) else {
            svg.rect(
                "missing",
                (x, axis.bottom - 3.0),
                (bar, 3.0),
                &format!("{}: not known", day.day),
            );
            continue;
        };
        let (high, low) = (axis.y(facility / 1000.0), axis.y(it / 1000.0));
        let tip = format!(
            "{}: facility {} kWh, IT {} kWh",
            day.day,
            grouped(facility, 0),
            grouped(it, 0)
        );
        svg.rect("it", (x, low), (bar, axis.bottom - low), &tip);
        svg.rect("overhead", (x, high), (bar, (low - high).max(0.0)), &tip);
    }
    day_ticks(&mut svg, days, slot, 322.0);
    svg.finish()
}

fn day_ticks(svg: &mut Svg, days: &[DayLine], slot: f64, y: f64) {
    for (index, day) in days.iter().enumerate() {
        let shown = match days.len() {
            0..=16 => true,
            17..=62 => day.day.day() % 5 == 1 && day.day.day() != 31,
            _ => day.day.day() == 1,
        };
        if shown {
            let format = if days.len() > 62 { "%b" } else { "%d %b" };
            let x = LEFT + slot * (count(index) + 0.5);
            svg.text("tick middle", (x, y), &day.day.format(format).to_string());
        }
    }
}

fn ratio_by_day(svg: &mut Svg, days: &[DayLine], slot: f64) {
    let known = || days.iter().filter_map(|day| day.energy_ratio);
    let (least, most) = (known().fold(f64::MAX, f64::min), known().fold(0.0, f64::max));
    if most <= 0.0 {
        return;
    }
    // Not from 1: the days differ in the second decimal. Never so close that nothing looks like something.
    let step = round_step(((most - least) / 3.0).max(0.01));
    let middle = f64::midpoint(least, most);
    let floor = (((middle - 2.0 * step) / step).round() * step).max(1.0);
    let axis = Axis::new(floor, most.max(floor + 4.0 * step), (26.0, 118.0));
    svg.axis(axis, "facility over IT energy of the day");
    let mut path = String::new();
    let mut pen_down = false;
    for (index, day) in days.iter().enumerate() {
        let Some(ratio) = day.energy_ratio else {
            pen_down = false;
            continue;
        };
        let (x, y) = (LEFT + slot * (count(index) + 0.5), axis.y(ratio));
        let _ = write!(path, "{}{x:.1} {y:.1}", if pen_down { "L" } else { "M" });
        pen_down = true;
    }
    svg.path("ratio", &path);
    for (index, day) in days.iter().enumerate() {
        let Some(ratio) = day.energy_ratio else { continue };
        let (x, y) = (LEFT + slot * (count(index) + 0.5), axis.y(ratio));
        let whole = day.missing_share <= 0.0;
        let class = if whole { "dot" } else { "dot part" };
        let _ = write!(
            svg.body,
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{:.1}"><title>{}: {ratio:.4}{}</title></circle>"#,
            (slot / 4.0).clamp(0.8, 3.0),
            day.day,
            if whole { "" } else { ", of a part of the day" },
        );
    }
}

/// Means of 15 minutes over the period: a band from least to most where a column holds several, and their mean.
pub fn load(profile: &Profile) -> String {
    let quarters = profile.states.len();
    let mut svg = Svg::new("Facility and IT power over the period", 250.0);
    let known = profile.facility.iter().chain(&profile.it);
    let largest = known.filter_map(|quarter| quarter.kwh).fold(0.0, f64::max) * 4.0;
    let axis = Axis::new(0.0, largest.max(1e-3), (24.0, 222.0));
    let columns = quarters.clamp(1, COLUMNS);
    let edge = |column: usize| column * quarters / columns;
    let x = |place: usize| LEFT + (WIDTH - LEFT - RIGHT) * share(count(place), count(quarters));
    for (state, run) in runs(&profile.states, &(0..quarters)) {
        if state != State::Measured {
            let class = format!("{} behind", class_of(state));
            let width = (x(run.end) - x(run.start)).max(0.5);
            svg.rect(&class, (x(run.start), axis.top), (width, axis.bottom - axis.top), "");
        }
    }
    svg.axis(axis, "kW");
    for (class, values) in [("facility", &profile.facility), ("it", &profile.it)] {
        let columns: Vec<Option<Column>> = (0..columns)
            .map(|at| {
                Column::of(values.get(edge(at)..edge(at + 1)).unwrap_or_default(), x(edge(at)))
            })
            .collect();
        svg.path(&format!("{class} band"), &band(&columns, axis));
        svg.path(&format!("{class} mean"), &means(&columns, axis));
    }
    for (index, (day, places)) in profile.days.iter().enumerate() {
        let every = (profile.days.len() / 12).max(1);
        // A label at the very end would leave the drawing.
        if index % every == 0 && x(places.start) < WIDTH - 48.0 {
            let label = day.format("%d %b").to_string();
            svg.line("grid", (x(places.start), axis.bottom), (x(places.start), axis.bottom + 4.0));
            svg.text("tick", (x(places.start), axis.bottom + 18.0), &label);
        }
    }
    svg.finish()
}

/// Neighbouring quarter-hours drawn at one place, in kW.
#[derive(Clone, Copy)]
struct Column {
    x: f64,
    least: f64,
    most: f64,
    mean: f64,
}

impl Column {
    fn of(quarters: &[Quarter], x: f64) -> Option<Self> {
        let known: Vec<f64> =
            quarters.iter().filter_map(|quarter| quarter.kwh).map(|kwh| kwh * 4.0).collect();
        if known.is_empty() {
            return None;
        }
        Some(Self {
            x,
            least: known.iter().copied().fold(f64::MAX, f64::min),
            most: known.iter().copied().fold(0.0, f64::max),
            mean: known.iter().sum::<f64>() / count(known.len()),
        })
    }
}

fn band(columns: &[Option<Column>], axis: Axis) -> String {
    let mut path = String::new();
    for part in columns.split(Option::is_none) {
        let known: Vec<Column> = part.iter().flatten().copied().collect();
        for (index, column) in known.iter().enumerate() {
            let pen = if index == 0 { "M" } else { "L" };
            let _ = write!(path, "{pen}{:.1} {:.1}", column.x, axis.y(column.most));
        }
        for column in known.iter().rev() {
            let _ = write!(path, "L{:.1} {:.1}", column.x, axis.y(column.least));
        }
        path.push_str(if known.is_empty() { "" } else { "Z" });
    }
    path
}

fn means(columns: &[Option<Column>], axis: Axis) -> String {
    let mut path = String::new();
    let mut pen_down = false;
    for column in columns {
        let Some(column) = column else {
            pen_down = false;
            continue;
        };
        let pen = if pen_down { "L" } else { "M" };
        let _ = write!(path, "{pen}{:.1} {:.1}", column.x, axis.y(column.mean));
        pen_down = true;
    }
    path
}

/// How long the load was at least how high, of measured quarter-hours.
pub fn duration(profile: &Profile) -> String {
    let mut svg = Svg::new("Duration curves of facility and IT power", 230.0);
    let sorted = |quarters: &[Quarter]| {
        let mut known: Vec<f64> = quarters
            .iter()
            .filter(|quarter| quarter.state == State::Measured)
            .filter_map(|quarter| quarter.kwh)
            .map(|kwh| kwh * 4.0)
            .collect();
        known.sort_by(|one, other| other.total_cmp(one));
        known
    };
    let curves = [("facility", sorted(&profile.facility)), ("it", sorted(&profile.it))];
    let largest = curves.iter().filter_map(|(_, curve)| curve.first()).copied().fold(0.0, f64::max);
    let axis = Axis::new(0.0, largest.max(1e-3), (24.0, 196.0));
    svg.axis(axis, "kW");
    let span = WIDTH - LEFT - RIGHT;
    for (class, curve) in &curves {
        let mut path = String::new();
        for at in 0..=CURVE {
            let place = (at * curve.len().saturating_sub(1)) / CURVE;
            let Some(kw) = curve.get(place) else { continue };
            let x = LEFT + span * count(at) / count(CURVE);
            let _ = write!(path, "{}{x:.1} {:.1}", if at == 0 { "M" } else { "L" }, axis.y(*kw));
        }
        svg.path(&format!("{class} mean"), &path);
    }
    for tenth in (0..=10_u8).step_by(2) {
        let x = LEFT + span * f64::from(tenth) / 10.0;
        let anchor = if tenth == 10 { "tick end" } else { "tick middle" };
        svg.text(anchor, (x, axis.bottom + 16.0), &format!("{} %", tenth * 10));
    }
    svg.text("tick end", (WIDTH - RIGHT, axis.bottom + 32.0), "of the measured time at or above");
    svg.finish()
}

/// Parts of a whole as one bar, by the classes of the style sheet.
pub fn bar(title: &str, parts: &[(&str, f64)]) -> String {
    let height = 14.0;
    let mut svg = Svg::new(title, height);
    let mut x = 0.0;
    for (class, share) in parts {
        let width = WIDTH * share.clamp(0.0, 1.0);
        if width > 0.0 {
            svg.rect(class, (x, 0.0), (width, height), "");
        }
        x += width;
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(1_234_567.89, 1), "1\u{202f}234\u{202f}567.9");
        assert_eq!(grouped(-999.96, 1), "−1\u{202f}000.0");
        assert_eq!(grouped(-0.01, 1), "0.0");
        assert_eq!(grouped(0.0, 0), "0");
    }

    #[test]
    fn an_axis_ends_on_a_round_number_above_the_largest_value() {
        let axis = Axis::new(0.0, 87.0, (0.0, 100.0));
        assert!((axis.most - 100.0).abs() < 1e-9 && (axis.step - 20.0).abs() < 1e-9);
        assert!((axis.y(50.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_period_without_data_is_drawn_without_numbers_that_are_none() {
        let day = "2026-10-01".parse().unwrap();
        let profile = Profile {
            facility: vec![Quarter::default(); 96],
            it: vec![Quarter::default(); 96],
            states: vec![State::Missing; 96],
            days: vec![(day, 0..96)],
        };
        for drawing in [coverage(&profile), load(&profile), duration(&profile), days(&[])] {
            assert!(drawing.starts_with("<svg") && drawing.ends_with("</svg>"));
            assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
        }
    }
}
