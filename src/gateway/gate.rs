//! Nothing is shown, answered or acknowledged before it is on disk: here it waits for that.
//!
//! Everything passes in the order in which it came. When the disk cannot take anything, pictures pass all the same, marked
//! by the point that says so; answers become refusals, and receipts wait on.

use std::collections::VecDeque;

use collector::Receipt;
use rules::messages::{Feed, Outcome, Snapshot, Update};
use store::{
    log::{Durable, Storing},
    record::Seq,
};
use tokio::sync::{mpsc, oneshot};

use super::port::{Attached, NotTaken};

/// Updates queued for one client. One that is further behind gets a new snapshot instead.
pub(super) const CLIENT_QUEUE: usize = 4;

/// What waits.
enum Held {
    /// With the picture for clients that have missed something, if there are any.
    Update(Update, Option<Box<Snapshot>>),
    Attach(oneshot::Sender<Attached>, Box<Snapshot>),
    Snapshot(oneshot::Sender<Snapshot>, Box<Snapshot>),
    Answer(oneshot::Sender<Result<Outcome, NotTaken>>, Outcome),
}

#[derive(Default)]
pub(super) struct Gate {
    held: VecDeque<(Seq, Held)>,
    receipts: VecDeque<(Seq, Receipt)>,
    clients: Vec<Client>,
    /// Updates among what is held.
    updates: usize,
    /// Samples that found no room in memory while the disk took nothing.
    dropped_samples: u64,
}

struct Client {
    feed: mpsc::Sender<Feed>,
    /// It missed an update: the next thing it gets is a snapshot.
    behind: bool,
}

impl Gate {
    /// True while an update waits: the next one can as well tell of more.
    pub(super) fn has_update(&self) -> bool {
        self.updates > 0
    }

    /// Nothing that clients hold fits what comes next.
    pub(super) fn everybody_missed(&mut self) {
        for client in &mut self.clients {
            client.behind = true;
        }
    }

    /// True when a client needs a picture with the next update.
    pub(super) fn is_missed(&self) -> bool {
        self.clients.iter().any(|client| client.behind)
    }

    pub(super) fn update(&mut self, seq: Seq, update: Update, snapshot: Option<Box<Snapshot>>) {
        self.updates += 1;
        self.held.push_back((seq, Held::Update(update, snapshot)));
    }

    pub(super) fn attach(&mut self, seq: Seq, reply: oneshot::Sender<Attached>, picture: Snapshot) {
        self.held.push_back((seq, Held::Attach(reply, Box::new(picture))));
    }

    pub(super) fn snapshot(
        &mut self,
        seq: Seq,
        reply: oneshot::Sender<Snapshot>,
        picture: Snapshot,
    ) {
        self.held.push_back((seq, Held::Snapshot(reply, Box::new(picture))));
    }

    pub(super) fn answer(
        &mut self,
        seq: Seq,
        reply: oneshot::Sender<Result<Outcome, NotTaken>>,
        outcome: Outcome,
    ) {
        self.held.push_back((seq, Held::Answer(reply, outcome)));
    }

    pub(super) fn receipt(&mut self, seq: Seq, receipt: Receipt) {
        self.receipts.push_back((seq, receipt));
    }

    /// Lets through what is on disk.
    pub(super) fn open(&mut self, durable: &Durable) {
        let stored = match durable.storing {
            Storing::Stored => true,
            Storing::NotStored { dropped_samples, .. } => {
                if dropped_samples > self.dropped_samples {
                    // Whose they were is not known. All come again, which does no harm.
                    self.receipts.clear();
                    self.dropped_samples = dropped_samples;
                }
                false
            }
        };
        while let Some((_, held)) =
            self.held.pop_front_if(|(seq, _)| *seq <= durable.seq || !stored)
        {
            self.pass(held, stored);
        }
        while let Some((_, receipt)) = self.receipts.pop_front_if(|(seq, _)| *seq <= durable.seq) {
            receipt.stored();
        }
    }

    fn pass(&mut self, held: Held, stored: bool) {
        // Who no longer waits is no trouble.
        match held {
            Held::Update(update, snapshot) => {
                self.updates -= 1;
                self.clients.retain_mut(|client| client.send(&update, snapshot.as_deref()));
            }
            Held::Attach(reply, snapshot) => {
                let (sender, feed) = mpsc::channel(CLIENT_QUEUE);
                if reply.send(Attached { snapshot: *snapshot, feed }).is_ok() {
                    self.clients.push(Client { feed: sender, behind: false });
                }
            }
            Held::Snapshot(reply, snapshot) => {
                let _ = reply.send(*snapshot);
            }
            Held::Answer(reply, outcome) => {
                let _ = reply.send(if stored { Ok(outcome) } else { Err(NotTaken::NotStored) });
            }
        }
    }
}

impl Client {
    /// False when the client is gone.
    fn send(&mut self, update: &Update, snapshot: Option<&Snapshot>) -> bool {
        match (self.feed.try_reserve(), snapshot) {
            (Ok(place), Some(snapshot)) if self.behind => {
                place.send(Feed::Snapshot(Box::new(snapshot.clone())));
                self.behind = false;
            }
            (Ok(_), None) if self.behind => {}
            (Ok(place), _) => place.send(Feed::Update(update.clone())),
            (Err(mpsc::error::TrySendError::Full(())), _) => self.behind = true,
            (Err(mpsc::error::TrySendError::Closed(())), _) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use rules::{
        messages::{Health, SCHEMA, SiteInfo},
        plant::Plant,
        time::{BootId, Mono, Now, Trust, Wall},
    };

    use super::*;

    const AT: Now = Now {
        mono: Mono::from_secs(60),
        wall: Wall { utc: DateTime::UNIX_EPOCH, trust: Trust::Synchronised },
    };

    fn picture(seq: u64) -> Snapshot {
        Snapshot {
            schema: SCHEMA,
            boot: BootId(1),
            seq,
            at: AT,
            site: SiteInfo {
                id: "hall".to_owned(),
                name: "Hall".to_owned(),
                time_zone: "UTC".to_owned(),
                gateway: "gw".to_owned(),
                simulated: true,
            },
            plant: Arc::new(Plant::default()),
            readings: Vec::new(),
            alarms: Vec::new(),
            links: Vec::new(),
            events: Vec::new(),
            ledger: Vec::new(),
            health: Health::default(),
        }
    }

    fn update(seq: u64) -> Update {
        Update { seq, at: AT, changes: Vec::new() }
    }

    fn stored(seq: u64) -> Durable {
        Durable { seq: Seq(seq), storing: Storing::Stored }
    }

    fn full(seq: u64, dropped_samples: u64) -> Durable {
        let storing = Storing::NotStored { why: "no space left".into(), dropped_samples };
        Durable { seq: Seq(seq), storing }
    }

    #[test]
    fn what_waits_passes_in_its_order_when_it_is_on_disk() {
        let mut gate = Gate::default();
        let (attach, mut attached) = oneshot::channel();
        let (reply, mut answer) = oneshot::channel();
        gate.attach(Seq(5), attach, picture(1));
        gate.update(Seq(7), update(2), None);
        gate.answer(Seq(7), reply, Outcome::Done);
        gate.open(&stored(4));
        assert!(attached.try_recv().is_err() && gate.has_update());
        gate.open(&stored(6));
        let mut client = attached.try_recv().unwrap();
        assert!(client.feed.try_recv().is_err() && answer.try_recv().is_err());
        gate.open(&stored(7));
        assert_eq!(client.feed.try_recv().unwrap(), Feed::Update(update(2)));
        assert_eq!(answer.try_recv().unwrap(), Ok(Outcome::Done));
        assert!(!gate.has_update());
    }

    #[test]
    fn a_full_disk_lets_pictures_pass_and_nothing_else() {
        let mut gate = Gate::default();
        let (look, mut looked) = oneshot::channel();
        let (reply, mut answer) = oneshot::channel();
        let (receipt, mut receipted) = Receipt::new();
        gate.snapshot(Seq(5), look, picture(1));
        gate.answer(Seq(6), reply, Outcome::Done);
        gate.receipt(Seq(6), receipt);
        gate.open(&full(4, 0));
        assert_eq!(looked.try_recv().unwrap().seq, 1);
        assert_eq!(answer.try_recv().unwrap(), Err(NotTaken::NotStored));
        assert!(receipted.try_recv().is_err());
        gate.open(&stored(6));
        assert!(receipted.try_recv().is_ok());
    }

    #[test]
    fn samples_that_did_not_fit_into_memory_are_never_acknowledged() {
        let mut gate = Gate::default();
        let (receipt, mut receipted) = Receipt::new();
        gate.receipt(Seq(6), receipt);
        gate.open(&full(4, 1));
        gate.open(&stored(6));
        assert!(receipted.try_recv().is_err());
    }

    #[test]
    fn a_client_that_falls_behind_gets_a_snapshot_and_goes_on_from_it() {
        let mut gate = Gate::default();
        let (attach, mut attached) = oneshot::channel();
        gate.attach(Seq(0), attach, picture(0));
        gate.open(&stored(0));
        let mut client = attached.try_recv().unwrap();
        let room = u64::try_from(CLIENT_QUEUE).unwrap();
        for seq in 1..=room + 1 {
            assert!(!gate.is_missed());
            gate.update(Seq(0), update(seq), None);
            gate.open(&stored(0));
        }
        assert!(gate.is_missed());
        for seq in 1..=room {
            assert_eq!(client.feed.try_recv().unwrap(), Feed::Update(update(seq)));
        }
        gate.update(Seq(0), update(room + 2), Some(Box::new(picture(room + 2))));
        gate.update(Seq(0), update(room + 3), None);
        gate.open(&stored(0));
        let Feed::Snapshot(picture) = client.feed.try_recv().unwrap() else { panic!("no picture") };
        assert_eq!(picture.seq, room + 2);
        assert_eq!(client.feed.try_recv().unwrap(), Feed::Update(update(room + 3)));
    }
}
