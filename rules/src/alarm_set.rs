//! All alarms of a site: rules compiled against the plant, judged once a tick.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use thiserror::Error;

use crate::{
    alarm::{Attention, Letter, Life, Priority, Refusal, Step, Timing, Truth},
    checkpoint::{Checkpoint, Dated, PastAlarm, SavedAlarm},
    language::{
        Code, Conditions, Directory, Field, NotApplicable, Operands, Program, RuleFault, Values,
    },
    messages::{AlarmView, Moved},
    plant::{AssetId, Plant},
    rule::{OnStale, RuleSpec},
    time::{Mono, Now},
};

/// What compiling gives: the alarms, and what the rules ask for but the plant does not have.
#[derive(Debug)]
pub struct Compiled {
    pub set: AlarmSet,
    pub not_applicable: Vec<NotApplicable>,
}

/// One change of letter, and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    pub asset: Option<AssetId>,
    pub moved: Moved,
}

/// Why an operator's action on an alarm was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    #[error("no alarm is called \"{0}\"")]
    NoSuchAlarm(String),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Rules bound to assets, with the state of each alarm.
#[derive(Debug)]
pub struct AlarmSet {
    program: Program,
    rules: Vec<Words>,
    alarms: Vec<Alarm>,
    by_name: HashMap<Arc<str>, usize>,
    ticked: Option<Mono>,
    changed: Vec<usize>,
}

/// What all alarms of one rule share.
#[derive(Debug)]
struct Words {
    timing: Timing,
    on_stale: OnStale,
    priority: Priority,
    title: Arc<str>,
    consequence: Arc<str>,
    action: Arc<str>,
    expression: Arc<str>,
    written_at: Arc<str>,
}

#[derive(Debug)]
struct Alarm {
    name: Arc<str>,
    asset: Option<AssetId>,
    rule: usize,
    code: Code,
    operands: Operands,
    life: Life,
    /// The condition could not be judged at the last tick.
    unknown: bool,
    /// It stands in the list of changes already.
    listed: bool,
    active_since: Option<Mono>,
    acknowledged_by: Option<String>,
}

impl AlarmSet {
    /// Binds every rule to every asset that it is for. All faults of all rules at once.
    pub fn compile(specs: &[RuleSpec], plant: &Plant) -> Result<Compiled, Vec<RuleFault>> {
        let directory = Directory::new(plant);
        let mut conditions = Conditions::default();
        let mut ids = HashSet::new();
        for (index, spec) in specs.iter().enumerate() {
            if !ids.insert(&spec.id) {
                conditions.faults.push(RuleFault {
                    index,
                    rule: Arc::clone(&spec.id),
                    field: Field::Id,
                    span: 0..spec.id.len(),
                    message: format!("a rule called \"{}\" is there already", spec.id),
                    remedy: "give one of the two another id".into(),
                });
            }
            conditions.add(index, spec, &directory);
        }
        if !conditions.faults.is_empty() {
            return Err(conditions.faults);
        }
        let alarms: Vec<Alarm> = conditions
            .bound
            .into_iter()
            .map(|condition| Alarm::new(condition, specs, plant))
            .collect();
        let by_name = alarms.iter().enumerate().map(|(at, alarm)| (Arc::clone(&alarm.name), at));
        let set = Self {
            by_name: by_name.collect(),
            program: conditions.layout.program,
            rules: specs.iter().map(Words::new).collect(),
            changed: Vec::with_capacity(alarms.len()),
            alarms,
            ticked: None,
        };
        Ok(Compiled { set, not_applicable: conditions.not_applicable })
    }

    /// Number of alarms.
    pub fn len(&self) -> usize {
        self.alarms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.alarms.is_empty()
    }

    /// Judges every condition once (S1) and adds the transitions to `out`. `values` are those of all points, by id;
    /// a value that is stale is already an error there.
    pub fn tick(&mut self, now: Now, values: Values<'_>, out: &mut Vec<Transition>) {
        let elapsed = self.ticked.map(|then| now.mono.since(then)).unwrap_or_default();
        self.ticked = Some(now.mono);
        self.program.gather(values);
        for index in 0..self.alarms.len() {
            let Some(alarm) = self.alarms.get_mut(index) else { continue };
            let Some(rule) = self.rules.get(alarm.rule) else { continue };
            let judged = self.program.judge(&alarm.code, values, alarm.life.is_active());
            let before = alarm.life.letter(rule.timing);
            let step = alarm.life.tick(rule.on_stale.apply(judged), elapsed, rule.timing);
            let after = alarm.life.letter(rule.timing);
            let unknown = judged.is_none();
            // Nobody lists a normal alarm, so that a lost link does not make news of everything behind it.
            let turned = std::mem::replace(&mut alarm.unknown, unknown) != unknown;
            if (before != after || turned && after != Letter::A) && !alarm.listed {
                alarm.listed = true;
                self.changed.push(index);
            }
            match step {
                Step::Same => {}
                Step::Activated => {
                    alarm.active_since = Some(now.mono);
                    alarm.acknowledged_by = None;
                }
                Step::Cleared => {
                    alarm.active_since = None;
                    if after == Letter::A {
                        alarm.acknowledged_by = None;
                    }
                }
            }
            let cause = match step {
                Step::Same => continue,
                Step::Activated => "condition",
                Step::Cleared => "cleared",
            };
            out.push(alarm.transition(rule, (before, after), cause, None, &self.program, values));
        }
    }

    /// S10. The name is that of [`AlarmView::name`].
    pub fn ack(
        &mut self,
        name: &str,
        occurrence: Option<u32>,
        by: &str,
        values: Values<'_>,
    ) -> Result<Transition, Rejection> {
        let act = |life: &mut Life, timing| life.acknowledge(occurrence, timing);
        self.operate(name, (by, "ack"), values, act)
    }

    /// S11: only a latched alarm that is acknowledged can be reset.
    pub fn reset(
        &mut self,
        name: &str,
        by: &str,
        values: Values<'_>,
    ) -> Result<Transition, Rejection> {
        self.operate(name, (by, "reset"), values, Life::reset)
    }

    fn operate(
        &mut self,
        name: &str,
        (by, cause): (&str, &str),
        values: Values<'_>,
        act: impl Fn(&mut Life, Timing) -> Result<(), Refusal>,
    ) -> Result<Transition, Rejection> {
        let unknown = || Rejection::NoSuchAlarm(name.to_owned());
        let index = *self.by_name.get(name).ok_or_else(unknown)?;
        let alarm = self.alarms.get_mut(index).ok_or_else(unknown)?;
        let rule = self.rules.get(alarm.rule).ok_or_else(unknown)?;
        let before = alarm.life.letter(rule.timing);
        act(&mut alarm.life, rule.timing)?;
        let after = alarm.life.letter(rule.timing);
        alarm.acknowledged_by =
            (alarm.life.attention == Attention::Acknowledged).then(|| by.to_owned());
        if !alarm.listed {
            alarm.listed = true;
            self.changed.push(index);
        }
        Ok(alarm.transition(rule, (before, after), cause, Some(by), &self.program, values))
    }

    /// Adds what a later run needs to `checkpoint`.
    pub(crate) fn save(&self, checkpoint: &mut Checkpoint) {
        for alarm in &self.alarms {
            let Some(rule) = self.rules.get(alarm.rule) else { continue };
            let (letter, delay) = (alarm.life.letter(rule.timing), alarm.life.delay());
            let name = Arc::clone(&alarm.name);
            if letter == Letter::A && delay.is_none() {
                if alarm.life.occurrence > 0 {
                    checkpoint.occurrences.insert(name, alarm.life.occurrence);
                }
                continue;
            }
            let saved = SavedAlarm {
                letter,
                occurrence: alarm.life.occurrence,
                priority: rule.priority,
                delay,
                active_since: alarm.active_since,
                acknowledged_by: alarm.acknowledged_by.clone(),
            };
            checkpoint.alarms.insert(name, saved);
        }
    }

    /// Goes on from an earlier run. Nothing is annunciated; the transitions are those of letters that the rules of today
    /// do not have, such as a latched one without a latch. Alarms that are no more stay behind in `past`.
    pub(crate) fn resume(
        &mut self,
        past: &mut BTreeMap<Arc<str>, PastAlarm>,
        place: impl Fn(Dated) -> Mono,
        values: Values<'_>,
    ) -> Vec<Transition> {
        let mut moved = Vec::new();
        for alarm in &mut self.alarms {
            let Some(past) = past.remove(&alarm.name) else { continue };
            let Some(rule) = self.rules.get(alarm.rule) else { continue };
            alarm.life = Life::resumed(past.letter, past.occurrence, past.delay);
            let letter = alarm.life.letter(rule.timing);
            if letter == Letter::A {
                alarm.life.attention = Attention::None;
            } else {
                alarm.acknowledged_by = past.acknowledged_by;
                alarm.active_since = past.active_since.map(&place);
            }
            if letter != past.letter {
                let letters = (past.letter, letter);
                let cause = "configuration";
                moved.push(alarm.transition(rule, letters, cause, None, &self.program, values));
            }
        }
        moved
    }

    /// Counts on from the last tick of `before`, in the same run.
    pub(crate) fn carry_on(&mut self, before: &Self) {
        self.ticked = before.ticked;
    }

    /// Every alarm that is not in letter A, with its live operands.
    pub fn views<'a>(&'a self, values: Values<'a>) -> impl Iterator<Item = AlarmView> + 'a {
        // Asked before anything is printed: nearly all alarms are normal.
        let stands = |alarm: &&Alarm| {
            self.rules
                .get(alarm.rule)
                .is_some_and(|rule| alarm.life.letter(rule.timing) != Letter::A)
        };
        self.alarms.iter().filter(stands).filter_map(move |alarm| self.view(alarm, values))
    }

    /// The alarms whose letter, `?` or acknowledgement changed since [`Self::forget_changes`]; those that went to A
    /// too, so that a list can drop them.
    pub fn changed<'a>(&'a self, values: Values<'a>) -> impl Iterator<Item = AlarmView> + 'a {
        self.changed
            .iter()
            .filter_map(|index| self.alarms.get(*index))
            .filter_map(move |alarm| self.view(alarm, values))
    }

    /// The state of one alarm, by name; `None` when there is no such alarm.
    pub fn find(&self, name: &str, values: Values<'_>) -> Option<AlarmView> {
        self.view(self.alarms.get(*self.by_name.get(name)?)?, values)
    }

    fn view(&self, alarm: &Alarm, values: Values<'_>) -> Option<AlarmView> {
        let rule = self.rules.get(alarm.rule)?;
        Some(AlarmView {
            name: Arc::clone(&alarm.name),
            asset: alarm.asset,
            letter: alarm.life.letter(rule.timing),
            unknown: alarm.unknown,
            priority: rule.priority,
            occurrence: alarm.life.occurrence,
            title: Arc::clone(&rule.title),
            consequence: Arc::clone(&rule.consequence),
            action: Arc::clone(&rule.action),
            expression: Arc::clone(&rule.expression),
            rule_file: Arc::clone(&rule.written_at),
            operands: alarm.operands.print(&self.program, values, alarm.life.is_active()),
            active_since: alarm.active_since,
            acknowledged_by: alarm.acknowledged_by.clone(),
        })
    }

    /// Begins a new list of changes, once the last one has been told.
    pub fn forget_changes(&mut self) {
        for index in self.changed.drain(..) {
            if let Some(alarm) = self.alarms.get_mut(index) {
                alarm.listed = false;
            }
        }
    }
}

impl OnStale {
    /// S8: what an unknown condition counts as.
    fn apply(self, judged: Option<bool>) -> Truth {
        match (judged, self) {
            (Some(true), Self::Hold | Self::Alarm | Self::Normal) | (None, Self::Alarm) => {
                Truth::True
            }
            (Some(false), Self::Hold | Self::Alarm | Self::Normal) | (None, Self::Normal) => {
                Truth::False
            }
            (None, Self::Hold) => Truth::Unknown,
        }
    }
}

impl Words {
    fn new(spec: &RuleSpec) -> Self {
        Self {
            timing: Timing {
                on_delay: spec.on_delay,
                off_delay: spec.off_delay,
                latch: spec.latch,
            },
            on_stale: spec.on_stale,
            priority: spec.priority,
            title: Arc::clone(&spec.title),
            consequence: Arc::clone(&spec.consequence),
            action: Arc::clone(&spec.action),
            expression: spec.when.as_str().into(),
            written_at: Arc::clone(&spec.written_at),
        }
    }
}

impl Alarm {
    fn new(condition: crate::language::Condition, specs: &[RuleSpec], plant: &Plant) -> Self {
        let id = specs.get(condition.rule).map_or("", |spec| &*spec.id);
        let name = match condition.asset {
            Some(asset) => format!("{id}@{}", plant.asset(asset).name).into(),
            None => id.into(),
        };
        Self {
            name,
            asset: condition.asset,
            rule: condition.rule,
            code: condition.code,
            operands: condition.operands,
            life: Life::default(),
            unknown: false,
            listed: false,
            active_since: None,
            acknowledged_by: None,
        }
    }

    fn transition(
        &self,
        rule: &Words,
        (from, to): (Letter, Letter),
        cause: &str,
        by: Option<&str>,
        program: &Program,
        values: Values<'_>,
    ) -> Transition {
        let moved = Moved {
            alarm: Arc::clone(&self.name),
            title: Arc::clone(&rule.title),
            priority: rule.priority,
            from,
            to,
            cause: cause.to_owned(),
            occurrence: self.life.occurrence,
            operands: self.operands.print(program, values, self.life.is_active()),
            by: by.map(str::to_owned),
            annunciate: cause == "condition" && to == Letter::B,
        };
        Transition { asset: self.asset, moved }
    }
}
