//! The picture: a snapshot kept up to date by applying updates. Pure; knows nothing of keys or screens.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rules::{
    alarm::{Letter, Priority},
    messages::{
        AlarmView, Change, EVENTS_KEPT, Event, Health, LinkView, SiteInfo, Snapshot, Update, What,
    },
    plant::{AssetId, Origin, Plant, PointId, PointSpec},
    time::{BootId, Mono, Now},
    value::{Coverage, NoData, Reading, Undefined, Value},
};

use crate::{history::History, index::Index};

/// The window of the annunciation rate (S20).
const RATE_WINDOW: Duration = Duration::from_mins(10);

/// What came of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// An alarm came, went or changed its state: redraw at once.
    Alarms,
    /// Only figures changed, or the operands of alarms: the next regular frame will do.
    Figures,
    /// It was contained in the snapshot already.
    Old,
    /// At least one update is missing before it: only a new snapshot helps.
    Gap,
}

/// Everything that can be shown, at one moment.
#[derive(Clone, Debug)]
pub struct Model {
    /// Names the run of the gateway.
    pub boot: BootId,
    pub seq: u64,
    pub at: Now,
    pub site: SiteInfo,
    pub plant: Arc<Plant>,
    pub index: Arc<Index>,
    /// Most urgent first: unacknowledged before acknowledged before set aside, then priority, then newest.
    pub alarms: Vec<AlarmView>,
    pub links: Vec<LinkView>,
    /// Newest last.
    pub events: VecDeque<Event>,
    pub health: Health,
    pub trends: Trends,
    pub leaks: Leaks,
    readings: Vec<Reading>,
    counts: Counts,
    standings: HashMap<AssetId, Standing>,
    marks: HashMap<PointId, Priority>,
    annunciations: VecDeque<Mono>,
}

/// Alarms by priority; index 0 is priority 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub unacknowledged: [u32; 4],
    pub active: [u32; 4],
    pub shelved: u32,
    pub suppressed: u32,
    pub out_of_service: u32,
}

/// How an asset stands: its most urgent alarm, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub letter: Letter,
    pub unknown: bool,
    pub priority: Priority,
    /// Neither shelved, suppressed nor out of service, by priority.
    pub active: [u32; 4],
    pub suppressed: u32,
}

/// All leak detectors by what they say. Nothing counts as dry that did not say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaks {
    /// Those with an alarm first, then the many.
    pub said: Vec<LeakState>,
    pub unknown: u32,
}

/// How many leak detectors are in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakState {
    /// The state's name.
    pub words: String,
    pub count: u32,
    /// The most urgent alarm that is active on one of them.
    pub mark: Option<Priority>,
}

/// What the sparklines remember.
#[derive(Clone, Debug, Default)]
pub struct Trends {
    pub power_ratio: History,
    pub it_power: History,
    pub liquid_heat: History,
    pub fws_supply: History,
    pub dew_point_margin: History,
    pub rack_power_mean: History,
}

/// One value as it can be shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown<'a> {
    /// Nothing measures it here.
    Absent,
    /// Measured, but not known now.
    Unknown(NoData),
    /// Known inputs that give no figure.
    Meaningless(Undefined),
    Number(f64),
    Words(Cow<'a, str>),
}

/// A value with what travels with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure<'a> {
    pub shown: Shown<'a>,
    pub age: Option<Duration>,
    pub coverage: Option<Coverage>,
    /// The priority of the alarm that is active on exactly this value.
    pub mark: Option<Priority>,
    pub unit: &'a str,
}

impl Figure<'_> {
    pub const ABSENT: Figure<'static> =
        Figure { shown: Shown::Absent, age: None, coverage: None, mark: None, unit: "" };

    pub fn number(&self) -> Option<f64> {
        match self.shown {
            Shown::Number(number) => Some(number),
            Shown::Absent | Shown::Unknown(_) | Shown::Meaningless(_) | Shown::Words(_) => None,
        }
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self.shown, Shown::Unknown(_))
    }

    /// Why there is no value; `None` when there is one.
    pub fn reason(&self) -> Option<String> {
        match &self.shown {
            Shown::Absent => Some("not measured".to_owned()),
            Shown::Unknown(reason) => Some(reason.to_string()),
            Shown::Meaningless(reason) => Some(reason.to_string()),
            Shown::Number(_) | Shown::Words(_) => None,
        }
    }
}

impl Model {
    pub fn new(snapshot: Snapshot) -> Self {
        let index = Arc::new(Index::new(&snapshot.plant));
        let mut model = Self {
            boot: snapshot.boot,
            seq: snapshot.seq,
            at: snapshot.at,
            site: snapshot.site,
            index,
            alarms: snapshot.alarms,
            links: snapshot.links,
            events: VecDeque::new(),
            health: snapshot.health,
            trends: Trends::default(),
            leaks: Leaks::default(),
            readings: vec![Reading::NEVER_SEEN; snapshot.plant.points().len()],
            plant: snapshot.plant,
            counts: Counts::default(),
            standings: HashMap::new(),
            marks: HashMap::new(),
            annunciations: VecDeque::new(),
        };
        for (number, reading) in (0_u32..).zip(snapshot.readings) {
            model.set_reading(PointId(number), reading);
        }
        for event in snapshot.events {
            model.add_event(event);
        }
        model.alarms.retain(|alarm| alarm.letter != Letter::A);
        model.sort_alarms();
        model.remember();
        model.leaks = model.count_leaks();
        model
    }

    /// Takes over a new snapshot of the same or another boot. What the sparklines remember stays with the boot.
    pub fn replace(&mut self, snapshot: Snapshot) {
        let same_clock = snapshot.boot == self.boot && snapshot.plant == self.plant;
        let trends = std::mem::take(&mut self.trends);
        *self = Self::new(snapshot);
        if same_clock {
            self.trends = trends;
            self.remember();
        }
    }

    /// Applies the next update. An old one changes nothing; one that comes too early changes nothing either.
    pub fn apply(&mut self, update: Update) -> Applied {
        if update.seq <= self.seq {
            return Applied::Old;
        }
        if update.seq != self.seq + 1 {
            return Applied::Gap;
        }
        self.seq = update.seq;
        self.at = update.at;
        let mut alarms: BTreeMap<Arc<str>, AlarmView> = BTreeMap::new();
        for change in update.changes {
            match change {
                Change::Reading { point, reading } => self.set_reading(point, reading),
                Change::Alarm(alarm) => {
                    alarms.insert(Arc::clone(&alarm.name), alarm);
                }
                Change::Link(link) => self.set_link(link),
                Change::Event(event) => self.add_event(event),
                Change::Health(health) => self.health = health,
                // No screen shows ledger rows yet.
                Change::Ledger(_) => {}
            }
        }
        let news = self.take_alarms(alarms);
        self.remember();
        self.leaks = self.count_leaks();
        if news { Applied::Alarms } else { Applied::Figures }
    }

    pub fn figure(&self, point: Option<PointId>) -> Figure<'_> {
        let Some(id) = point else { return Figure::ABSENT };
        let (Some(spec), Some(reading)) =
            (self.plant.points().get(id.index()), self.readings.get(id.index()))
        else {
            return Figure::ABSENT;
        };
        let age = reading.age(self.at.mono);
        Figure {
            shown: shown(spec, reading, age),
            age,
            coverage: reading.coverage,
            mark: self.marks.get(&id).copied(),
            unit: spec.unit.symbol(),
        }
    }

    pub fn reading(&self, point: PointId) -> Option<&Reading> {
        self.readings.get(point.index())
    }

    /// The name people use; the identifier of an asset that is not in the plant is empty.
    pub fn title(&self, asset: AssetId) -> &str {
        self.plant
            .assets()
            .get(asset.index())
            .map_or("", |asset| asset.title.as_deref().unwrap_or(&asset.name))
    }

    pub fn name(&self, asset: AssetId) -> &str {
        self.plant.assets().get(asset.index()).map_or("", |asset| &asset.name)
    }

    /// What people call an alarm, and where it is; its name when it is gone.
    pub fn alarm_title(&self, name: &str) -> String {
        let alarm = self.alarms.iter().find(|alarm| &*alarm.name == name);
        alarm.map_or_else(
            || name.to_owned(),
            |alarm| match alarm.asset {
                Some(asset) => format!("{} ({})", alarm.title, self.title(asset)),
                None => alarm.title.to_string(),
            },
        )
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn standing(&self, asset: AssetId) -> Option<Standing> {
        self.standings.get(&asset).copied()
    }

    /// Annunciations within the last ten minutes, as far back as the events reach.
    pub fn annunciations(&self) -> usize {
        self.annunciations.len()
    }

    /// The warmest facility water that a CDU is supplied with, and that CDU; `None` while none is known.
    pub fn warmest_supply(&self) -> Option<(usize, f64)> {
        let known = self.index.cdus.iter().enumerate().filter_map(|(at, cdu)| {
            self.figure(cdu.fws.supply).number().map(|temperature| (at, temperature))
        });
        known.max_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    fn set_reading(&mut self, point: PointId, reading: Reading) {
        if let Some(slot) = self.readings.get_mut(point.index()) {
            *slot = reading;
        }
    }

    /// True when an operator has to see it at once.
    fn take_alarms(&mut self, mut alarms: BTreeMap<Arc<str>, AlarmView>) -> bool {
        let mut news = false;
        self.alarms.retain_mut(|known| {
            let Some(alarm) = alarms.remove(&known.name) else { return true };
            news |= state_of(known) != state_of(&alarm);
            *known = alarm;
            known.letter != Letter::A
        });
        alarms.retain(|_, alarm| alarm.letter != Letter::A);
        news |= !alarms.is_empty();
        self.alarms.extend(alarms.into_values());
        if news {
            self.sort_alarms();
        }
        news
    }

    fn count_leaks(&self) -> Leaks {
        let mut leaks = Leaks::default();
        for point in &self.index.leaks {
            let figure = self.figure(Some(*point));
            let Shown::Words(words) = figure.shown else {
                leaks.unknown += 1;
                continue;
            };
            match leaks.said.iter_mut().find(|known| known.words == words) {
                Some(known) => {
                    known.count += 1;
                    // The most urgent is the smallest.
                    known.mark = [known.mark, figure.mark].into_iter().flatten().min();
                }
                None => leaks.said.push(LeakState {
                    words: words.into_owned(),
                    count: 1,
                    mark: figure.mark,
                }),
            }
        }
        leaks.said.sort_by_key(|state| (state.mark.is_none(), Reverse(state.count)));
        leaks
    }

    fn set_link(&mut self, link: LinkView) {
        match self.links.iter_mut().find(|known| known.device == link.device) {
            Some(known) => *known = link,
            None => self.links.push(link),
        }
    }

    fn add_event(&mut self, event: Event) {
        if let What::Moved(moved) = &event.what
            && moved.annunciate
        {
            self.annunciations.push_back(event.at);
        }
        self.events.push_back(event);
        while self.events.len() > EVENTS_KEPT {
            self.events.pop_front();
        }
    }

    fn sort_alarms(&mut self) {
        self.alarms.sort_by(|a, b| urgency(a).cmp(&urgency(b)));
        self.counts = count(&self.alarms);
        self.standings.clear();
        self.marks.clear();
        for alarm in &self.alarms {
            let Some(asset) = alarm.asset else { continue };
            let shown_at = self.index.shown_at(asset);
            note_standing(&mut self.standings, shown_at, alarm);
            if !matches!(alarm.letter, Letter::B | Letter::C | Letter::Bl | Letter::Cl) {
                continue;
            }
            let own = self.index.points_of(asset);
            let elsewhere = if shown_at == asset { &[] } else { self.index.points_of(shown_at) };
            for point in own.iter().chain(elsewhere) {
                let Some(reading) = self.readings.get(point.index()) else { continue };
                if blames(&alarm.expression, self.plant.point(*point), reading) {
                    // Alarms come most urgent first, so the first mark on a value stays.
                    self.marks.entry(*point).or_insert(alarm.priority);
                }
            }
        }
    }

    fn remember(&mut self) {
        let at = self.at.mono;
        let oldest = at - RATE_WINDOW;
        while self.annunciations.front().is_some_and(|first| *first <= oldest && at > *first) {
            self.annunciations.pop_front();
        }
        let site = &self.index.site;
        let number = |point| self.figure(point).number();
        let figures = [
            number(site.power_ratio),
            number(site.it_power),
            number(site.liquid_heat),
            self.warmest_supply().map(|(_, temperature)| temperature),
            number(site.dew_point_margin),
            number(site.rack_power_mean),
        ];
        let trends = &mut self.trends;
        let histories = [
            &mut trends.power_ratio,
            &mut trends.it_power,
            &mut trends.liquid_heat,
            &mut trends.fws_supply,
            &mut trends.dew_point_margin,
            &mut trends.rack_power_mean,
        ];
        for (history, figure) in histories.into_iter().zip(figures) {
            history.push(at, figure);
        }
    }
}

/// Waiting for an acknowledgement: active, latched or gone again.
pub fn is_unacknowledged(letter: Letter) -> bool {
    matches!(letter, Letter::B | Letter::Bl | Letter::D)
}

/// Shelved, suppressed or out of service.
pub fn is_set_aside(letter: Letter) -> bool {
    matches!(letter, Letter::E | Letter::F | Letter::G)
}

/// What an operator must see at once when it changes; operands may wait for the next frame.
fn state_of(alarm: &AlarmView) -> (Letter, bool, u32, Priority, Option<Mono>) {
    (alarm.letter, alarm.unknown, alarm.occurrence, alarm.priority, alarm.active_since)
}

fn urgency(alarm: &AlarmView) -> (u8, Priority, Reverse<Option<Mono>>, &str) {
    let group = if is_unacknowledged(alarm.letter) {
        0
    } else if is_set_aside(alarm.letter) {
        2
    } else {
        1
    };
    (group, alarm.priority, Reverse(alarm.active_since), &alarm.name)
}

fn count(alarms: &[AlarmView]) -> Counts {
    let mut counts = Counts::default();
    for alarm in alarms {
        let priority = usize::from(u8::from(alarm.priority) - 1);
        match alarm.letter {
            Letter::E => counts.shelved += 1,
            Letter::F => counts.suppressed += 1,
            Letter::G => counts.out_of_service += 1,
            Letter::B | Letter::C | Letter::Bl | Letter::Cl => counts.active[priority] += 1,
            Letter::A | Letter::D => {}
        }
        if is_unacknowledged(alarm.letter) {
            counts.unacknowledged[priority] += 1;
        }
    }
    counts
}

fn note_standing(standings: &mut HashMap<AssetId, Standing>, asset: AssetId, alarm: &AlarmView) {
    let standing = standings.entry(asset).or_insert(Standing {
        letter: alarm.letter,
        unknown: alarm.unknown,
        priority: alarm.priority,
        active: [0; 4],
        suppressed: 0,
    });
    if is_set_aside(alarm.letter) {
        standing.suppressed += 1;
    } else {
        standing.active[usize::from(u8::from(alarm.priority) - 1)] += 1;
    }
}

/// Whether a condition holds because of this point: what stands left of the comparison, in each part of an `or`. What
/// follows an `and` only says when the comparison counts. A state is blamed when it is the one that is named.
fn blames(expression: &str, point: &PointSpec, reading: &Reading) -> bool {
    expression.split(" or ").any(|part| {
        let end = part.find(['<', '>', '=', '!']).unwrap_or(part.len());
        let (subject, rest) = part.split_at(end);
        let named = rest.strip_prefix("== '").and_then(|rest| rest.split('\'').next());
        let is_named = match (named, &reading.value) {
            (Some(named), Ok(Value::State(code))) => {
                point.states.iter().any(|label| label.code == *code && label.text == named)
            }
            _ => true,
        };
        is_named && mentions(subject, &point.quantity)
    })
}

/// Whether a text speaks of a quantity as a whole path: `tcs.flow` is not in `cdu.tcs.flow_limit`.
fn mentions(text: &str, quantity: &str) -> bool {
    let part_of_path = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(quantity).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        before == Some('.') && !after.is_some_and(|c| part_of_path(c) || c == '.')
    })
}

/// What there is to show. A measured value that outlived its limit is stale whether or not the gateway has said so.
fn shown<'a>(spec: &'a PointSpec, reading: &'a Reading, age: Option<Duration>) -> Shown<'a> {
    let outlived = spec.origin != Origin::Computed && age.is_some_and(|age| age > spec.stale_after);
    if outlived && reading.value.is_ok() {
        return Shown::Unknown(NoData::Stale);
    }
    match &reading.value {
        Ok(Value::State(code)) => Shown::Words(
            spec.states
                .iter()
                .find(|label| label.code == *code)
                .map_or_else(|| format!("code {code}").into(), |label| label.text.as_str().into()),
        ),
        Ok(Value::Text(text)) => Shown::Words(text.as_ref().into()),
        // A number that is none never reaches the screen as one.
        Ok(value) => match value.as_number().filter(|number| number.is_finite()) {
            Some(number) => Shown::Number(number),
            None => Shown::Unknown(NoData::NotFinite),
        },
        Err(NoData::Undefined(why)) => Shown::Meaningless(*why),
        Err(reason) => Shown::Unknown(*reason),
    }
}
