//! Charts as SVG text of our own: no script, no font metrics, the same bytes from the same figures. Colours are classes
//! that the document's style sheet fills in, so that light, dark and paper each have theirs.

use std::{fmt::Write as _, ops::Range};

use chrono::{Datelike, NaiveDate};

use crate::{
    account::{State, count, share},
    compliance::{Profile, SpanLine},
    density::RackDensity,
    language::Language,
    sums::Quarter,
    words::Words,
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
        State::Integrated => "integrated",
        State::Bridged => "bridged",
        State::Estimated => "estimated",
        State::Partial => "partial",
        State::Missing => "missing",
    }
}

fn state_word(state: State, words: &Words) -> &'static str {
    match state {
        State::Measured => words.measured,
        State::Integrated => words.integrated,
        State::Bridged => words.bridged,
        State::Estimated => words.estimated,
        State::Partial => words.partial,
        State::Missing => words.missing,
    }
}

/// What stands between tags: the drawing holds names that somebody else wrote.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Every quarter-hour of the period: a row a day, from midnight to midnight.
pub fn coverage(profile: &Profile, language: Language) -> String {
    let words = language.words();
    let days = profile.days.len();
    // A month has a row a day; a year would be two pages long.
    let row = if days <= 62 { 13.0 } else { 4.0 };
    let top = 20.0;
    let mut svg = Svg::new(words.coverage, top + row * count(days) + 6.0);
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
            svg.text("row end", (LEFT - 6.0, y + row.min(11.0) - 1.0), &day_label(*day, language));
        }
        for (state, run) in runs(&profile.states, places) {
            let (x, width) = (LEFT + cell * count(run.start), cell * count(run.len()));
            let tip = match state {
                State::Measured => String::new(),
                other => format!("{day}: {}", state_word(other, words)),
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

fn day_label(day: NaiveDate, language: Language) -> String {
    match language {
        Language::English => day.format("%a %d").to_string(),
        Language::Chinese => day.format("%m-%d").to_string(),
    }
}

fn short_day(day: NaiveDate, language: Language) -> String {
    match language {
        Language::English => day.format("%d %b").to_string(),
        Language::Chinese => day.format("%m-%d").to_string(),
    }
}

fn short_month(day: NaiveDate, language: Language) -> String {
    match language {
        Language::English => day.format("%b %Y").to_string(),
        Language::Chinese => day.format("%Y-%m").to_string(),
    }
}

/// Energy a day: IT and everything else on top of it, and the ratio of the two energies above.
pub fn days(days: &[SpanLine], language: Language) -> String {
    let words = language.words();
    let mut svg = Svg::new(words.by_day, 330.0);
    let slot = (WIDTH - LEFT - RIGHT) / count(days.len().max(1));
    let place = |index: usize| LEFT + slot * count(index);
    let plot = Ratios { spans: days, slot, band: (26.0, 118.0), title: words.by_day_axis };
    plot.draw(&mut svg, &[]);
    let largest = days.iter().filter_map(|day| day.facility_kwh).fold(0.0, f64::max) / 1000.0;
    let axis = Axis::new(0.0, largest.max(1e-3), (160.0, 306.0));
    svg.axis(axis, words.energy_axis);
    let bar = (slot * 0.78).max(0.6);
    for (index, day) in days.iter().enumerate() {
        let x = place(index) + (slot - bar) / 2.0;
        let (Some(facility), Some(it)) = (day.facility_kwh, day.it_kwh) else {
            svg.rect(
                "missing",
                (x, axis.bottom - 3.0),
                (bar, 3.0),
                &format!("{}: {}", day.day, words.not_known),
            );
            continue;
        };
        let (high, low) = (axis.y(facility / 1000.0), axis.y(it / 1000.0));
        let tip = format!(
            "{}: {} {} kWh, {} {} kWh",
            day.day,
            words.facility,
            grouped(facility, 0),
            words.it,
            grouped(it, 0)
        );
        svg.rect("it", (x, low), (bar, axis.bottom - low), &tip);
        svg.rect("overhead", (x, high), (bar, (low - high).max(0.0)), &tip);
    }
    day_ticks(&mut svg, days, slot, language);
    svg.finish()
}

fn day_ticks(svg: &mut Svg, days: &[SpanLine], slot: f64, language: Language) {
    for (index, day) in days.iter().enumerate() {
        let shown = match days.len() {
            0..=16 => true,
            17..=62 => day.day.day() % 5 == 1 && day.day.day() != 31,
            _ => day.day.day() == 1,
        };
        if shown {
            let x = LEFT + slot * (count(index) + 0.5);
            let label = if days.len() > 62 && language == Language::English {
                day.day.format("%b").to_string()
            } else {
                short_day(day.day, language)
            };
            svg.text("tick middle", (x, 322.0), &label);
        }
    }
}

/// A number that figures are held against, as a line across a drawing.
pub struct Line {
    pub number: f64,
    pub label: String,
    pub binds: bool,
}

/// The ratio of energies of each month, against limits.
pub fn months(months: &[SpanLine], limits: &[Line], language: Language) -> String {
    let words = language.words();
    let mut svg = Svg::new(words.by_month, 236.0);
    let slot = (WIDTH - LEFT - RIGHT) / count(months.len().max(1));
    let plot = Ratios { spans: months, slot, band: (26.0, 204.0), title: words.by_month_axis };
    plot.draw(&mut svg, limits);
    for (index, month) in months.iter().enumerate() {
        let x = LEFT + slot * (count(index) + 0.5);
        svg.text("tick middle", (x, 224.0), &short_month(month.day, language));
    }
    svg.finish()
}

/// Ratios of energies, one for each span.
struct Ratios<'a> {
    spans: &'a [SpanLine],
    slot: f64,
    band: (f64, f64),
    title: &'static str,
}

impl Ratios<'_> {
    fn draw(&self, svg: &mut Svg, limits: &[Line]) {
        let numbers = limits.iter().map(|line| line.number);
        let known = || self.spans.iter().filter_map(|span| span.energy_ratio);
        let (least, most) =
            known().chain(numbers).fold((f64::MAX, 0.0), |(least, most): (f64, f64), ratio| {
                (least.min(ratio), most.max(ratio))
            });
        if known().next().is_none() {
            return;
        }
        // Not from 1: spans differ in the second decimal. Never so close that nothing looks like something.
        let step = round_step(((most - least) / 3.0).max(0.01));
        let middle = f64::midpoint(least, most);
        let floor = (((middle - 2.0 * step) / step).round() * step).max(1.0).min(least);
        let floor = (floor / step).floor() * step;
        let axis = Axis::new(floor, most.max(floor + 4.0 * step), self.band);
        svg.axis(axis, self.title);
        for line in limits {
            let y = axis.y(line.number);
            let class = if line.binds { "limit" } else { "limit soft" };
            svg.line(class, (LEFT, y), (WIDTH - RIGHT, y));
            svg.text("limit end", (WIDTH - RIGHT, y - 3.0), &escaped(&line.label));
        }
        let x = |index: usize| LEFT + self.slot * (count(index) + 0.5);
        let mut path = String::new();
        let mut pen_down = false;
        for (index, span) in self.spans.iter().enumerate() {
            let Some(ratio) = span.energy_ratio else {
                pen_down = false;
                continue;
            };
            let pen = if pen_down { "L" } else { "M" };
            let _ = write!(path, "{pen}{:.1} {:.1}", x(index), axis.y(ratio));
            pen_down = true;
        }
        svg.path("ratio", &path);
        for (index, span) in self.spans.iter().enumerate() {
            let Some(ratio) = span.energy_ratio else { continue };
            let whole = span.missing_share <= 0.0;
            let class = if whole { "dot" } else { "dot part" };
            let _ = write!(
                svg.body,
                r#"<circle class="{class}" cx="{:.1}" cy="{:.1}" r="{:.1}"><title>{}: {ratio:.4}</title></circle>"#,
                x(index),
                axis.y(ratio),
                (self.slot / 4.0).clamp(0.8, 3.0),
                span.day,
            );
        }
    }
}

/// Means of 15 minutes over the period: a band from least to most where a column holds several, and their mean.
pub fn load(profile: &Profile, language: Language) -> String {
    let quarters = profile.states.len();
    let mut svg = Svg::new(language.words().load, 250.0);
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
            let label = short_day(*day, language);
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
pub fn duration(profile: &Profile, language: Language) -> String {
    let words = language.words();
    let mut svg = Svg::new(words.load, 230.0);
    let sorted = |quarters: &[Quarter]| {
        let mut known: Vec<f64> = quarters
            .iter()
            .filter(|quarter| matches!(quarter.state, State::Measured | State::Integrated))
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
    svg.text("tick end", (WIDTH - RIGHT, axis.bottom + 32.0), words.duration_axis);
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

/// One band of an energy flow.
pub struct Flow {
    pub class: &'static str,
    pub name: String,
    pub kwh: f64,
}

/// Where energy comes in at the left, and where it goes at the right, in the order given.
pub fn flow(title: &str, inward: &[Flow], outward: &[Flow]) -> String {
    const TOP: f64 = 14.0;
    const ROOM: f64 = 210.0;
    const GAP: f64 = 8.0;
    const BAR: f64 = 16.0;
    let total = |flows: &[Flow]| -> f64 { flows.iter().map(|flow| flow.kwh.max(0.0)).sum() };
    let whole = total(inward).max(total(outward));
    let height = TOP + ROOM + GAP * count(inward.len().max(outward.len())) + 10.0;
    let mut svg = Svg::new(title, height);
    if whole <= 0.0 {
        return svg.finish();
    }
    let (left, middle, right) = (230.0, WIDTH / 2.0 - BAR / 2.0, WIDTH - 246.0);
    let tall = |kwh: f64| ROOM * kwh.max(0.0) / whole;
    svg.rect("rest", (middle, TOP), (BAR, tall(whole)), "");
    let mut sides = |flows: &[Flow], from_left: bool| {
        let (mut outer, mut inner) = (TOP, TOP);
        for flow in flows.iter().filter(|flow| flow.kwh > 0.0) {
            let high = tall(flow.kwh).max(0.8);
            let (x1, x2) = if from_left { (left + BAR, middle) } else { (middle + BAR, right) };
            let (y1, y2) = if from_left { (outer, inner) } else { (inner, outer) };
            let bend = f64::midpoint(x1, x2);
            let path = format!(
                "M{x1:.1} {y1:.1}C{bend:.1} {y1:.1} {bend:.1} {y2:.1} {x2:.1} {y2:.1}L{x2:.1} {:.1}C{bend:.1} {:.1} {bend:.1} {:.1} {x1:.1} {:.1}Z",
                y2 + high,
                y2 + high,
                y1 + high,
                y1 + high,
            );
            svg.path(&format!("{} flow", flow.class), &path);
            let bar = if from_left { left } else { right };
            svg.rect(flow.class, (bar, outer), (BAR, high), "");
            let label = format!("{} {} MWh", escaped(&flow.name), grouped(flow.kwh / 1000.0, 1));
            let y = outer + high / 2.0 + 4.0;
            if from_left {
                svg.text("tick end", (left - 8.0, y), &label);
            } else {
                svg.text("tick", (right + BAR + 8.0, y), &label);
            }
            outer += high + GAP.max(14.0 - high);
            inner += high;
        }
    };
    sides(inward, true);
    sides(outward, false);
    svg.finish()
}

/// Racks where they stand: a row of racks is a row of squares, the darker the more power.
pub fn heat_map(title: &str, racks: &[RackDensity]) -> String {
    let mut rows: Vec<&str> = racks.iter().map(|rack| rack.row.as_str()).collect();
    rows.dedup();
    let positions = racks.iter().map(|rack| rack.position).max().unwrap_or(1);
    let (cell, high) = ((WIDTH - LEFT - RIGHT) / f64::from(positions.max(1)), 30.0);
    let cell = cell.min(64.0);
    let mut svg = Svg::new(title, 8.0 + high * count(rows.len()));
    for (index, row) in rows.iter().enumerate() {
        let y = 4.0 + high * count(index);
        svg.text("row end", (LEFT - 6.0, y + 18.0), &escaped(row));
        for rack in racks.iter().filter(|rack| rack.row == *row) {
            let x = LEFT + cell * f64::from(rack.position.saturating_sub(1));
            let load = rack.mean_kw.map(|kw| share(kw, rack.design_kw));
            // Ten steps of the style sheet.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9")]
            let step = load.map(|load| (load.clamp(0.0, 0.999) * 10.0) as u8);
            let class = step.map_or_else(|| "unknown".to_owned(), |step| format!("heat h{step}"));
            let tip = rack.mean_kw.map_or_else(
                || escaped(&rack.rack),
                |kw| format!("{}: {kw:.1} kW / {:.0} kW", escaped(&rack.rack), rack.design_kw),
            );
            svg.rect(&class, (x, y), (cell - 3.0, high - 4.0), &tip);
            if cell >= 30.0
                && let Some(kw) = rack.mean_kw
            {
                let class = if step > Some(5) { "cell middle light" } else { "cell middle" };
                svg.text(class, (x + (cell - 3.0) / 2.0, y + 17.0), &grouped(kw, 0));
            }
        }
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
        for language in Language::ALL {
            for drawing in [
                coverage(&profile, language),
                load(&profile, language),
                duration(&profile, language),
                days(&[], language),
                months(&[], &[], language),
                flow("flow", &[], &[]),
                heat_map("racks", &[]),
            ] {
                assert!(drawing.starts_with("<svg") && drawing.ends_with("</svg>"));
                assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
            }
        }
    }
}
