//! What is on the screen: which screen, which pane, what is selected. Decides what a command means; draws nothing.

use std::{sync::Arc, time::Duration};

use rules::{
    alarm::Letter,
    messages::{Action as Wish, AlarmView, Snapshot, Update},
    plant::AssetId,
    time::Now,
};

use crate::{
    keymap::{Cmd, Context, HELP, Help},
    looks::Looks,
    model::{Applied, Model, is_set_aside, is_unacknowledged},
    screen::{Pane, Screen},
    source::Lost,
};

/// What lies over the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    Browse,
    /// The filter is being typed.
    Filter,
    Palette {
        query: String,
        at: usize,
    },
    /// Asks before acknowledging these.
    AcknowledgeAll {
        asked: Vec<Asked>,
        at: usize,
    },
}

/// One alarm of a question: exactly this occurrence, whatever happens before the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub name: Arc<str>,
    pub occurrence: u32,
    pub line: String,
}

/// How the gateway is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    Live,
    /// Nothing was heard for longer than an update may take.
    Silent,
    /// There is no connection; attempts go on by themselves.
    Lost(Lost),
    /// The gateway is gone for good.
    Closed,
    /// An update was missed: only a new snapshot helps.
    Resync,
}

/// What the runner has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Quit,
    Redraw,
    Send(Vec<Wish>),
}

/// What the lists show after filter and `v`: indices into the model.
#[derive(Clone, Debug, Default)]
pub struct Visible {
    pub alarms: Vec<usize>,
    pub cdus: Vec<usize>,
    pub rows: Vec<usize>,
    pub branches: Vec<usize>,
}

/// A page of the cursor.
const PAGE: isize = 10;

/// Letters that a filter or a query may have.
const TYPED_MAX: usize = 60;

#[derive(Debug)]
pub struct State {
    pub screen: Screen,
    pub pane: Pane,
    pub mode: Mode,
    pub looks: Looks,
    pub connection: Connection,
    /// For how long nothing was heard, while the connection is not live.
    pub unheard: Duration,
    pub filter: String,
    pub abnormal_only: bool,
    /// One sentence for the operator, until the next key.
    pub notice: Option<String>,
    /// By name, because the list moves under the cursor.
    pub alarm: Option<Arc<str>>,
    pub cdu: usize,
    pub rack: usize,
    /// From the newest.
    pub event: usize,
    visible: Visible,
    /// `None`: this screen may only look.
    operator: Option<String>,
    came_from: Option<Screen>,
    model: Model,
    frozen: Option<Box<Model>>,
}

impl State {
    pub fn new(snapshot: Snapshot, looks: Looks, operator: Option<String>) -> Self {
        let mut state = Self {
            screen: Screen::Overview,
            pane: Pane::Alarms,
            mode: Mode::Browse,
            looks,
            connection: Connection::Live,
            unheard: Duration::ZERO,
            filter: String::new(),
            abnormal_only: false,
            notice: None,
            alarm: None,
            cdu: 0,
            rack: 0,
            event: 0,
            visible: Visible::default(),
            operator,
            came_from: None,
            model: Model::new(snapshot),
            frozen: None,
        };
        state.look_again();
        state
    }

    /// The live picture: what row 1 tells whatever is frozen below.
    pub fn live(&self) -> &Model {
        &self.model
    }

    /// The picture on the screen.
    pub fn shown(&self) -> &Model {
        self.frozen.as_deref().unwrap_or(&self.model)
    }

    /// Since when the picture stands still on request.
    pub fn frozen_at(&self) -> Option<Now> {
        self.frozen.as_ref().map(|model| model.at)
    }

    pub fn visible(&self) -> &Visible {
        &self.visible
    }

    pub fn operator(&self) -> Option<&str> {
        self.operator.as_deref()
    }

    pub fn context(&self) -> Context {
        match self.mode {
            Mode::Browse => Context::Browsing,
            Mode::Filter | Mode::Palette { .. } => Context::Typing,
            Mode::AcknowledgeAll { .. } => Context::Asking,
        }
    }

    /// Takes an update into the picture.
    pub fn apply(&mut self, update: Update) -> Applied {
        let applied = self.model.apply(update);
        match applied {
            Applied::Old | Applied::Gap => {}
            Applied::Alarms | Applied::Figures => {
                if self.connection != Connection::Resync {
                    self.connect();
                }
                self.look_again();
            }
        }
        applied
    }

    /// Takes a whole new picture. What is selected stays selected, wherever the new picture has it.
    pub fn replace(&mut self, snapshot: Snapshot) {
        let selected = self.selected_names();
        self.connect();
        if snapshot.boot != self.model.boot {
            self.notice = Some("the gateway was restarted".to_owned());
        }
        self.model.replace(snapshot);
        if self.frozen.is_none() {
            self.select(selected);
        }
        self.look_again();
    }

    /// The connection broke, or could not be made again. What is shown stays, as old.
    pub fn lose(&mut self, lost: Lost) {
        if lost.attempts == 0 {
            // What was said before must not stand where the loss is said.
            self.notice = None;
        }
        self.connection = Connection::Lost(lost);
    }

    fn connect(&mut self) {
        if matches!(self.connection, Connection::Lost(_)) {
            self.notice = Some("connected again".to_owned());
        }
        self.connection = Connection::Live;
    }

    /// The CDU and the rack under the cursors. Their places belong to one plant, their names to all of them.
    fn selected_names(&self) -> [Option<String>; 2] {
        let model = &self.model;
        let cdu = model.index.cdus.get(self.cdu).map(|cdu| model.name(cdu.asset).to_owned());
        let rack = model.index.racks.get(self.rack).map(|rack| model.name(rack.asset).to_owned());
        [cdu, rack]
    }

    fn select(&mut self, [cdu, rack]: [Option<String>; 2]) {
        let find = |name: Option<String>| self.model.plant.find_asset(&name?);
        let cdu = find(cdu).and_then(|asset| self.model.index.cdu(asset));
        let rack = find(rack).and_then(|asset| self.model.index.rack(asset));
        self.cdu = cdu.unwrap_or(self.cdu);
        self.rack = rack.unwrap_or(self.rack);
    }

    pub fn update(&mut self, cmd: Cmd) -> Option<Action> {
        match cmd {
            Cmd::Quit => return Some(Action::Quit),
            Cmd::Redraw => return Some(Action::Redraw),
            _ => {}
        }
        self.notice = None;
        let action = match self.mode {
            Mode::Browse => self.browse(cmd),
            Mode::Filter => self.type_filter(cmd),
            Mode::Palette { .. } => self.use_palette(cmd),
            Mode::AcknowledgeAll { .. } => self.answer(cmd),
        };
        self.look_again();
        action
    }

    /// What the palette lists for its query.
    pub fn palette(&self) -> Vec<&'static Help> {
        let Mode::Palette { query, .. } = &self.mode else { return Vec::new() };
        let query = query.to_lowercase();
        let mut found: Vec<&'static Help> = HELP
            .iter()
            .filter(|help| help.what.to_lowercase().contains(&query) || help.keys.contains(&query))
            .collect();
        // "ack" means "acknowledge" before it means "racks" or "back".
        found.sort_by_key(|help| {
            let what = help.what.to_lowercase();
            let begins_a_word = what.split(' ').any(|word| word.starts_with(&query));
            (!what.starts_with(&query), !begins_a_word)
        });
        found
    }

    pub fn selected_alarm(&self) -> Option<&AlarmView> {
        let name = self.alarm.as_ref()?;
        self.shown().alarms.iter().find(|alarm| alarm.name == *name)
    }

    fn browse(&mut self, cmd: Cmd) -> Option<Action> {
        match cmd {
            Cmd::Show(screen) => self.show(screen),
            Cmd::NextPane => self.turn_pane(1),
            Cmd::PreviousPane => self.turn_pane(-1),
            Cmd::Up => self.step(-1),
            Cmd::Down => self.step(1),
            Cmd::PageUp => self.step(-PAGE),
            Cmd::PageDown => self.step(PAGE),
            Cmd::Top => self.step(isize::MIN),
            Cmd::Bottom => self.step(isize::MAX),
            Cmd::Left => self.sidestep(-1),
            Cmd::Right => self.sidestep(1),
            Cmd::PreviousUnit => self.cdu = step_in(&self.visible.cdus, self.cdu, -1),
            Cmd::NextUnit => self.cdu = step_in(&self.visible.cdus, self.cdu, 1),
            Cmd::Open => self.open(),
            Cmd::Back => self.back(),
            Cmd::Filter => self.mode = Mode::Filter,
            Cmd::AbnormalOnly => self.abnormal_only = !self.abnormal_only,
            Cmd::Help => self.mode = Mode::Palette { query: String::new(), at: 0 },
            Cmd::Freeze => {
                self.frozen = match self.frozen.take() {
                    Some(_) => None,
                    None => Some(Box::new(self.model.clone())),
                }
            }
            Cmd::Acknowledge => return self.acknowledge(),
            Cmd::AcknowledgeAll => self.ask_acknowledge_all(),
            Cmd::Reset => return self.reset(),
            Cmd::Quit | Cmd::Redraw | Cmd::Type(_) | Cmd::Erase | Cmd::Confirm => {}
        }
        None
    }

    fn type_filter(&mut self, cmd: Cmd) -> Option<Action> {
        match cmd {
            Cmd::Type(letter) if self.filter.chars().count() < TYPED_MAX => {
                self.filter.push(letter);
            }
            Cmd::Erase => {
                self.filter.pop();
            }
            Cmd::Confirm => self.mode = Mode::Browse,
            Cmd::Back => {
                self.filter.clear();
                self.mode = Mode::Browse;
            }
            Cmd::Up => self.step(-1),
            Cmd::Down => self.step(1),
            _ => {}
        }
        None
    }

    fn use_palette(&mut self, cmd: Cmd) -> Option<Action> {
        let found = self.palette();
        let Mode::Palette { query, at } = &mut self.mode else { return None };
        match cmd {
            Cmd::Type(letter) if query.chars().count() < TYPED_MAX => {
                query.push(letter);
                *at = 0;
            }
            Cmd::Erase => {
                query.pop();
                *at = 0;
            }
            Cmd::Up => *at = at.saturating_sub(1),
            Cmd::Down => *at = (*at + 1).min(found.len().saturating_sub(1)),
            Cmd::Back => self.mode = Mode::Browse,
            Cmd::Confirm => {
                let chosen = found.get(*at).map(|help| help.cmd);
                self.mode = Mode::Browse;
                return chosen.and_then(|cmd| self.update(cmd));
            }
            _ => {}
        }
        None
    }

    fn answer(&mut self, cmd: Cmd) -> Option<Action> {
        let Mode::AcknowledgeAll { asked, at } = &mut self.mode else { return None };
        match cmd {
            Cmd::Up => *at = at.saturating_sub(1),
            Cmd::Down => *at = (*at + 1).min(asked.len().saturating_sub(1)),
            Cmd::Back => self.mode = Mode::Browse,
            Cmd::Confirm => {
                let wishes: Vec<Wish> = asked
                    .drain(..)
                    .map(|alarm| Wish::Ack {
                        alarm: alarm.name,
                        occurrence: Some(alarm.occurrence),
                    })
                    .collect();
                self.mode = Mode::Browse;
                self.notice = Some(format!("acknowledging {} alarms", wishes.len()));
                return Some(Action::Send(wishes));
            }
            _ => {}
        }
        None
    }

    fn show(&mut self, screen: Screen) {
        self.screen = screen;
        self.came_from = None;
        self.pane = screen.panes()[0];
        // The detail below the list needs an alarm. It is chosen by name, so the cursor cannot slip onto another one.
        if screen == Screen::Alarms && self.selected_alarm().is_none() {
            self.alarm = self.listed_alarm(0);
        }
    }

    fn jump(&mut self, screen: Screen) {
        let from = self.screen;
        self.show(screen);
        self.came_from = Some(from);
    }

    fn turn_pane(&mut self, by: isize) {
        let panes = self.screen.panes();
        let at = panes.iter().position(|pane| *pane == self.pane).unwrap_or(0);
        let turned = at.cast_signed().saturating_add(by).rem_euclid(panes.len().cast_signed());
        self.pane = panes.get(turned.cast_unsigned()).copied().unwrap_or(self.pane);
    }

    fn step(&mut self, by: isize) {
        match self.pane {
            Pane::Alarms => {
                let shown = self.shown();
                let is_selected = |at: &usize| {
                    shown.alarms.get(*at).map(|alarm| &alarm.name) == self.alarm.as_ref()
                };
                let at = match self.visible.alarms.iter().position(is_selected) {
                    Some(at) => clamp_step(at, by, self.visible.alarms.len()),
                    None => 0,
                };
                self.alarm = self.listed_alarm(at);
            }
            Pane::Loops => self.cdu = step_in(&self.visible.cdus, self.cdu, by),
            Pane::Rows | Pane::Grid => self.step_row(by),
            Pane::Branches => self.rack = step_in(&self.visible.branches, self.rack, by),
            Pane::Events => {
                self.event = clamp_step(self.event, by, self.shown().events.len());
            }
        }
    }

    fn sidestep(&mut self, by: isize) {
        match self.pane {
            Pane::Grid => {
                let racks = self.shown().index.racks.len();
                self.rack = clamp_step(self.rack, by, racks);
            }
            Pane::Loops if self.screen == Screen::Loops => {
                self.cdu = step_in(&self.visible.cdus, self.cdu, by);
            }
            Pane::Loops | Pane::Alarms | Pane::Rows | Pane::Events | Pane::Branches => {}
        }
    }

    /// To the rack at the same place of another row.
    fn step_row(&mut self, by: isize) {
        let index = Arc::clone(&self.shown().index);
        let Some(rack) = index.racks.get(self.rack) else { return };
        let row = step_in(&self.visible.rows, rack.row, by);
        let Some(range) = index.rows.get(row).map(|row| row.racks.clone()) else { return };
        let place = rack.position;
        let nearest = range.min_by_key(|at| {
            index.racks.get(*at).map_or(u32::MAX, |other| other.position.abs_diff(place))
        });
        self.rack = nearest.unwrap_or(self.rack);
    }

    fn listed_alarm(&self, at: usize) -> Option<Arc<str>> {
        let listed = self.visible.alarms.get(at)?;
        self.shown().alarms.get(*listed).map(|alarm| Arc::clone(&alarm.name))
    }

    fn open(&mut self) {
        match (self.screen, self.pane) {
            (Screen::Overview | Screen::Alarms, Pane::Alarms) => {
                let source = self.selected_alarm().map(|alarm| alarm.asset);
                match source {
                    Some(Some(asset)) => self.go_to(asset),
                    Some(None) | None => self.jump_to_alarms(),
                }
            }
            (_, Pane::Events) => {
                let events = &self.shown().events;
                let event = events.iter().rev().nth(self.event);
                let asset = event.and_then(|event| event.asset.as_deref());
                match asset.and_then(|name| self.shown().plant.find_asset(name)) {
                    Some(asset) => self.go_to(asset),
                    None => self.notice = Some("this event has no source to go to".to_owned()),
                }
            }
            (Screen::Loops, Pane::Loops) => self.pane = Pane::Branches,
            (_, Pane::Loops) => self.jump(Screen::Loops),
            (_, Pane::Rows | Pane::Branches) => self.jump(Screen::Racks),
            (_, Pane::Grid) => match self.shown().index.racks.get(self.rack) {
                Some(rack) if rack.cdu.is_some() => {
                    self.cdu = rack.cdu.unwrap_or(self.cdu);
                    self.jump(Screen::Loops);
                }
                _ => self.notice = Some("no CDU is declared for this rack".to_owned()),
            },
            (_, Pane::Alarms) => {}
        }
    }

    fn jump_to_alarms(&mut self) {
        if self.screen == Screen::Alarms {
            self.notice = Some("this alarm has no screen of its own source".to_owned());
        } else {
            self.jump(Screen::Alarms);
        }
    }

    /// To the screen that shows an asset; to its alarms where none does.
    fn go_to(&mut self, asset: AssetId) {
        let index = Arc::clone(&self.shown().index);
        if let Some(cdu) = index.cdu(asset) {
            self.cdu = cdu;
            self.jump(Screen::Loops);
        } else if let Some(rack) = index.rack(asset) {
            self.rack = rack;
            self.jump(Screen::Racks);
        } else {
            self.jump_to_alarms();
        }
    }

    fn back(&mut self) {
        if !self.filter.is_empty() {
            self.filter.clear();
        } else if self.screen != Screen::Overview {
            let screen = self.came_from.take().unwrap_or(Screen::Overview);
            self.show(screen);
        } else {
            self.alarm = None;
        }
    }

    fn acknowledge(&mut self) -> Option<Action> {
        if !self.may_act() {
            return None;
        }
        let Some(alarm) = self.selected_alarm() else {
            self.notice = Some("select an alarm first (j/k in the alarm list)".to_owned());
            return None;
        };
        if !is_unacknowledged(alarm.letter) {
            self.notice = Some(format!("{} needs no acknowledgement", alarm.title));
            return None;
        }
        let wish = Wish::Ack { alarm: Arc::clone(&alarm.name), occurrence: Some(alarm.occurrence) };
        self.notice = Some(format!("acknowledging {}", alarm.title));
        Some(Action::Send(vec![wish]))
    }

    /// Releases a latch. The gateway decides; what it would refuse in any case is said here.
    fn reset(&mut self) -> Option<Action> {
        if !self.may_act() {
            return None;
        }
        let Some(alarm) = self.selected_alarm() else {
            self.notice = Some("select an alarm first (j/k in the alarm list)".to_owned());
            return None;
        };
        if alarm.letter != Letter::Cl {
            let why = match alarm.letter {
                Letter::Bl => "acknowledge it first (a)",
                _ => "it is not latched",
            };
            self.notice = Some(format!("{} cannot be reset: {why}", alarm.title));
            return None;
        }
        let wish = Wish::Reset { alarm: Arc::clone(&alarm.name) };
        self.notice = Some(format!("resetting {}", alarm.title));
        Some(Action::Send(vec![wish]))
    }

    fn ask_acknowledge_all(&mut self) {
        if !self.may_act() {
            return;
        }
        let model = self.shown();
        let asked: Vec<Asked> = self
            .visible
            .alarms
            .iter()
            .filter_map(|at| model.alarms.get(*at))
            .filter(|alarm| is_unacknowledged(alarm.letter))
            .map(|alarm| Asked {
                name: Arc::clone(&alarm.name),
                occurrence: alarm.occurrence,
                line: format!(
                    "[{}] {:<2}  {:<10}  {}",
                    u8::from(alarm.priority),
                    alarm.letter.to_string(),
                    alarm.asset.map_or("", |asset| model.title(asset)),
                    alarm.title
                ),
            })
            .collect();
        if asked.is_empty() {
            self.notice = Some("nothing waits for an acknowledgement".to_owned());
        } else {
            self.mode = Mode::AcknowledgeAll { asked, at: 0 };
        }
    }

    fn may_act(&mut self) -> bool {
        if self.operator.is_none() {
            self.notice = Some("this screen may only look: no operator was named".to_owned());
        } else if self.connection == Connection::Closed {
            self.notice = Some("the gateway is gone: it takes no commands".to_owned());
        } else if matches!(self.connection, Connection::Lost(_)) {
            self.notice = Some("no connection to the gateway: nothing can be sent".to_owned());
        } else {
            return true;
        }
        false
    }

    /// Works out anew what the lists show, and keeps every cursor on something that is there.
    fn look_again(&mut self) {
        let needle = self.filter.to_lowercase();
        let model = self.frozen.as_deref().unwrap_or(&self.model);
        let index = &model.index;
        let passes = |asset: AssetId| {
            needle.is_empty()
                || model.title(asset).to_lowercase().contains(&needle)
                || model.name(asset).to_lowercase().contains(&needle)
        };
        let abnormal = |asset: AssetId| !self.abnormal_only || is_abnormal(model, asset);
        let is_listed = |asset: AssetId| passes(asset) && abnormal(asset);
        // What was set aside is counted in row 1 and listed among the alarms; here it would hide what needs someone.
        let top_only = self.screen == Screen::Overview;
        let alarm_passes = |alarm: &AlarmView| {
            (!self.abnormal_only || is_unacknowledged(alarm.letter))
                && !(top_only && is_set_aside(alarm.letter))
                && (alarm.asset.is_some_and(|asset| passes(asset) || passes(index.shown_at(asset)))
                    || alarm.title.to_lowercase().contains(&needle)
                    || alarm.name.to_lowercase().contains(&needle))
        };
        let numbers = |count: usize| 0..count;
        let visible = Visible {
            alarms: numbers(model.alarms.len())
                .filter(|at| alarm_passes(&model.alarms[*at]))
                .collect(),
            cdus: numbers(index.cdus.len()).filter(|at| is_listed(index.cdus[*at].asset)).collect(),
            rows: numbers(index.rows.len())
                .filter(|at| {
                    let row = &index.rows[*at];
                    let mut racks = index.racks[row.racks.clone()].iter();
                    (needle.is_empty() && !self.abnormal_only)
                        || row.label.to_lowercase() == needle
                        || racks.any(|rack| is_listed(rack.asset))
                })
                .collect(),
            branches: index.cdus.get(self.cdu).map_or_else(Vec::new, |cdu| {
                let racks = cdu.racks.iter().copied();
                let on_loops = self.screen == Screen::Loops && self.pane == Pane::Branches;
                racks
                    .filter(|at| {
                        let rack = index.racks[*at].asset;
                        abnormal(rack) && (!on_loops || passes(rack))
                    })
                    .collect()
            }),
        };
        let (cdus, racks, events) = (index.cdus.len(), index.racks.len(), model.events.len());
        self.cdu = self.cdu.min(cdus.saturating_sub(1));
        self.rack = self.rack.min(racks.saturating_sub(1));
        self.event = self.event.min(events.saturating_sub(1));
        self.visible = visible;
        if self.screen == Screen::Loops && self.pane == Pane::Branches {
            self.rack = step_in(&self.visible.branches, self.rack, 0);
        }
        if self.selected_alarm().is_none() {
            self.alarm = None;
        }
    }
}

/// An asset with an alarm that nobody set aside, or with a value that is not known.
fn is_abnormal(model: &Model, asset: AssetId) -> bool {
    let alarm = model.standing(asset).is_some();
    alarm
        || model.index.points_of(asset).iter().any(|point| model.figure(Some(*point)).is_unknown())
}

fn clamp_step(at: usize, by: isize, count: usize) -> usize {
    at.saturating_add_signed(by).min(count.saturating_sub(1))
}

/// Steps from one listed index to another; an index that is not listed goes to the first that is.
fn step_in(listed: &[usize], current: usize, by: isize) -> usize {
    let at = match listed.iter().position(|index| *index == current) {
        Some(at) => clamp_step(at, by, listed.len()),
        None => 0,
    };
    listed.get(at).copied().unwrap_or(current)
}
