//! Going on where an earlier run, or an earlier configuration, left off (S16, S17).

use std::{collections::HashMap, sync::Arc};

use super::{Engine, Events, Slot, event};
use crate::{
    alarm::Letter,
    alarm_set::Transition,
    checkpoint::{Checkpoint, Dated, Past, PastAlarm, Recorded, Restored},
    ledger::LedgerRow,
    messages::{EVENTS_KEPT, Event, LinkView, Moved, What},
    time::{Moment, Now},
};

impl Engine {
    /// What a later run needs to go on. Every ten seconds and at a clean stop it goes to the log.
    pub fn checkpoint(&self, now: Now) -> Checkpoint {
        let mut checkpoint = Checkpoint::new(self.boot, now);
        if !now.wall.trust.is_trusted() {
            checkpoint.trusted = self.trusted;
        }
        self.alarms.save(&mut checkpoint);
        checkpoint.meters = self.ledger.saved();
        checkpoint.commands.clone_from(&self.keys);
        checkpoint.down.clone_from(&self.told_down);
        checkpoint
    }

    /// Goes on from an earlier run, before the first step of this one. `after` is what the journal has since the
    /// checkpoint, oldest first; without a checkpoint, as much of it as there is. The history of events and of closed
    /// intervals before that is for [`Self::recall`].
    ///
    /// Time between the runs is not counted by any delay. Nothing is annunciated again.
    pub fn restore<'a>(
        &mut self,
        now: Now,
        checkpoint: Option<Checkpoint>,
        after: impl Iterator<Item = (Moment, Recorded<'a>)>,
    ) -> Restored {
        let mut past = checkpoint.map(Past::of).unwrap_or_default();
        for (moment, recorded) in after {
            past.fold(&moment, recorded);
        }
        for rows in past.closed.values() {
            for row in rows {
                self.told.keep_row(row);
            }
        }
        self.ledger.resume(&now, past.clock, &mut past.meters, &mut past.closed);
        for (boot, event) in &past.events {
            let instant = Dated { boot: *boot, at: event.at, wall: event.wall };
            let at = past.place(self.boot, &now, instant);
            self.told.keep_event(Event { at, ..event.clone() });
        }
        self.resume(&now, past)
    }

    /// Goes on in the same run with another configuration: what both have keeps its state, its values included.
    pub fn carry_over(&mut self, now: Now, before: Self) -> Restored {
        let mut past = Past::of(before.checkpoint(now));
        self.ledger.carry_over(&before.ledger);
        for meter in self.ledger.meters() {
            past.meters.remove(meter);
        }
        let names = before.plant.point_ids().map(|id| (before.plant.point_name(id), id));
        let names: HashMap<_, _> = names.collect();
        for id in self.plant.point_ids() {
            let Some(old) = names.get(&self.plant.point_name(id)) else { continue };
            let (spec, old_spec) = (self.plant.point(id), before.plant.point(*old));
            if (&spec.unit, spec.kind, spec.origin)
                == (&old_spec.unit, old_spec.kind, old_spec.origin)
            {
                let stale_after = self.slots[id.index()].stale_after;
                let slot = before.slots[old.index()].clone();
                self.slots[id.index()] = Slot { stale_after, ..slot };
                self.known[id.index()] = before.known[old.index()];
                self.for_rules[id.index()] = before.for_rules[old.index()];
            }
        }
        for (device, link) in before.links {
            if let Some(device) = self.plant.find_asset(&before.plant.asset(device).name) {
                self.links.insert(device, LinkView { device, ..link });
            }
        }
        self.alarms.carry_on(&before.alarms);
        (self.clock, self.trusted, self.started) = (before.clock, before.trusted, before.started);
        self.counts = before.counts;
        self.told.carry_over(before.told);
        self.resume(&now, past)
    }

    /// What a snapshot tells of the time before: the newest events, oldest first, and the last closed interval of each
    /// meter. Both from the journal, after [`Self::restore`].
    pub fn recall(
        &mut self,
        now: Now,
        events: impl DoubleEndedIterator<Item = Event>,
        rows: impl Iterator<Item = LedgerRow>,
    ) {
        // By wall time where it is known, and in their order at any rate.
        let mut latest = self.told.journal.front().map_or(now.mono, |event| event.at);
        for event in events.rev() {
            if self.told.journal.len() >= EVENTS_KEPT {
                break;
            }
            let wall = event.wall.filter(|_| now.wall.trust.is_trusted());
            latest = wall.map_or(latest, |wall| now.instant(wall).min(latest));
            self.told.journal.push_front(Event { at: latest, ..event });
        }
        for row in rows {
            if self.plant.find_asset(&row.meter).is_some() {
                self.told.ledger.entry(Arc::clone(&row.meter)).or_insert(row);
            }
        }
    }

    fn resume(&mut self, now: &Now, mut past: Past) -> Restored {
        let mut out = Events::default();
        let boot = self.boot;
        let mut alarms = std::mem::take(&mut past.alarms);
        let place = |instant| past.place(boot, now, instant);
        let moved = self.alarms.resume(&mut alarms, place, &self.for_rules);
        for Transition { asset, moved } in moved {
            out.events.push(event(now, now.mono, self.name(asset), What::Moved(moved)));
        }
        alarms.retain(|_, alarm| alarm.letter != Letter::A);
        for (name, alarm) in &alarms {
            let moved = removed(Arc::clone(name), alarm);
            out.events.push(event(now, now.mono, None, What::Moved(moved)));
        }
        self.told.remember(&out.events, &[]);
        self.keys = past.commands;
        self.told_down =
            past.down.into_iter().filter(|name| self.plant.find_asset(name).is_some()).collect();
        Restored {
            events: out.events,
            alarms_gone: alarms.into_keys().collect(),
            meters_gone: past.meters.into_keys().collect(),
        }
    }
}

fn removed(alarm: Arc<str>, past: &PastAlarm) -> Moved {
    Moved {
        title: Arc::clone(&alarm),
        alarm,
        priority: past.priority,
        from: past.letter,
        to: Letter::A,
        cause: "removed".to_owned(),
        occurrence: past.occurrence,
        operands: String::new(),
        by: None,
        annunciate: false,
    }
}
