//! The newest changes, kept once for all streams.
//!
//! One task takes updates from the gateway and puts them into a ring; streams read from the ring at their own pace. So the
//! gateway has one client however many there are, and a client that takes nothing holds nothing up and holds nothing.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use axum::extract::ws::Utf8Bytes;
use rules::{
    messages::{Change, Feed, Snapshot, Update},
    plant::{Plant, PointId},
    time::{BootId, Now},
    value::Reading,
};
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use super::Port;

/// Ten minutes at one update a second: who was away longer is better off with a snapshot.
const FRAMES_MAX: usize = 600;
/// A reading takes some 70 bytes, so this bounds the ring to some 14 MB: 20 s at 10 000 points a second.
const READINGS_MAX: usize = 200_000;
/// Other changes are larger and rarer.
const OTHERS_MAX: usize = 20_000;
/// A stream that is further behind begins anew from a snapshot.
pub(super) const LAG_MAX: usize = 4;

/// One update as it is kept: readings apart, because they are many and small.
pub(super) struct Frame {
    pub(super) seq: u64,
    at: Now,
    readings: Vec<(PointId, Reading)>,
    others: Vec<Change>,
    /// Written once for all streams that get everything.
    text: OnceLock<Utf8Bytes>,
}

/// How a [`Feed::Update`] is written.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum WrittenFeed<'a> {
    Update { seq: u64, at: Now, changes: Vec<WrittenChange<'a>> },
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenChange<'a> {
    Reading { reading: WrittenReading<'a> },
    Other(&'a Change),
}

#[derive(Serialize)]
struct WrittenReading<'a> {
    point: PointId,
    reading: &'a Reading,
}

impl Frame {
    fn new(update: Update) -> Self {
        let (mut readings, mut others) = (Vec::new(), Vec::new());
        for change in update.changes {
            match change {
                Change::Reading { point, reading } => readings.push((point, reading)),
                other => others.push(other),
            }
        }
        Self { seq: update.seq, at: update.at, readings, others, text: OnceLock::new() }
    }

    /// The update as JSON, with the readings of the points that are wanted; all of them for `None`.
    pub(super) fn text(&self, wanted: Option<&[bool]>) -> Utf8Bytes {
        match wanted {
            None => self.text.get_or_init(|| self.write(|_| true)).clone(),
            Some(wanted) => {
                self.write(|point| wanted.get(point.index()).copied().unwrap_or_default())
            }
        }
    }

    fn write(&self, is_wanted: impl Fn(PointId) -> bool) -> Utf8Bytes {
        let readings = self.readings.iter().filter(|(point, _)| is_wanted(*point));
        let readings = readings.map(|(point, reading)| WrittenChange::Reading {
            reading: WrittenReading { point: *point, reading },
        });
        let changes = readings.chain(self.others.iter().map(WrittenChange::Other)).collect();
        let feed = WrittenFeed::Update { seq: self.seq, at: self.at, changes };
        // None of these types can fail to be written.
        serde_json::to_string(&feed).unwrap_or_default().into()
    }
}

/// Up to where a stream has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Counts the snapshots that the ring began from. A place of another one is no place in this ring.
    pub(super) round: u64,
    pub(super) seq: u64,
}

/// What follows a place.
pub(super) enum Next {
    Frames(Vec<Arc<Frame>>),
    /// The ring does not reach back that far, or it is too much.
    Lost,
}

#[derive(Default)]
struct Ring {
    round: u64,
    boot: Option<BootId>,
    /// Of whose points the frames speak.
    plant: Arc<Plant>,
    /// The change before the oldest frame.
    base: u64,
    frames: VecDeque<Arc<Frame>>,
    readings: usize,
    others: usize,
    newest_at: Option<Instant>,
}

pub(super) struct Hub {
    ring: Mutex<Ring>,
    /// Told after every change of the ring.
    news: watch::Sender<()>,
}

impl Hub {
    pub(super) fn new() -> Self {
        Self { ring: Mutex::default(), news: watch::Sender::new(()) }
    }

    /// Keeps up with the gateway until it ends.
    pub(super) async fn follow(&self, port: &Port) {
        while let Some(attached) = port.attach().await {
            self.begin(&attached.snapshot);
            let mut feed = attached.feed;
            while let Some(news) = feed.recv().await {
                match news {
                    Feed::Update(update) => self.push(update),
                    Feed::Snapshot(snapshot) => self.begin(&snapshot),
                }
            }
        }
    }

    /// Wakes whenever there is something new.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// The newest change, if the gateway has said anything yet.
    pub(super) fn newest(&self) -> Option<(BootId, Place)> {
        let ring = self.ring();
        Some((ring.boot?, Place { round: ring.round, seq: ring.newest() }))
    }

    pub(super) fn round(&self) -> u64 {
        self.ring().round
    }

    /// When the gateway last said something.
    pub(super) fn newest_at(&self) -> Option<Instant> {
        self.ring().newest_at
    }

    /// The place of a client that comes back, if the ring still has all that it missed, and the plant there.
    pub(super) fn find(&self, boot: BootId, seq: u64) -> Option<(Place, Arc<Plant>)> {
        let ring = self.ring();
        let held = ring.boot == Some(boot) && (ring.base..=ring.newest()).contains(&seq);
        held.then(|| (Place { round: ring.round, seq }, Arc::clone(&ring.plant)))
    }

    /// At most `limit` frames after `place`.
    pub(super) fn after(&self, place: Place, limit: usize) -> Next {
        let ring = self.ring();
        if place.round != ring.round || place.seq < ring.base {
            return Next::Lost;
        }
        let first = ring.frames.partition_point(|frame| frame.seq <= place.seq);
        if ring.frames.len() - first > limit {
            return Next::Lost;
        }
        Next::Frames(ring.frames.range(first..).cloned().collect())
    }

    fn begin(&self, snapshot: &Snapshot) {
        let mut ring = self.ring();
        *ring = Ring {
            round: ring.round + 1,
            boot: Some(snapshot.boot),
            plant: Arc::clone(&snapshot.plant),
            base: snapshot.seq,
            newest_at: Some(Instant::now()),
            ..Ring::default()
        };
        drop(ring);
        self.news.send_replace(());
    }

    fn push(&self, update: Update) {
        let frame = Arc::new(Frame::new(update));
        let mut ring = self.ring();
        ring.readings += frame.readings.len();
        ring.others += frame.others.len();
        ring.frames.push_back(frame);
        while ring.is_over() {
            let Some(oldest) = ring.frames.pop_front() else { break };
            ring.base = oldest.seq;
            ring.readings -= oldest.readings.len();
            ring.others -= oldest.others.len();
        }
        ring.newest_at = Some(Instant::now());
        drop(ring);
        self.news.send_replace(());
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn newest(&self) -> u64 {
        self.frames.back().map_or(self.base, |frame| frame.seq)
    }

    /// The last frames always stay: a stream that keeps up needs them, however large they are.
    fn is_over(&self) -> bool {
        let too_much = self.frames.len() > FRAMES_MAX
            || self.readings > READINGS_MAX
            || self.others > OTHERS_MAX;
        too_much && self.frames.len() > LAG_MAX
    }
}

#[cfg(test)]
mod tests {
    use rules::{
        messages::{Health, SCHEMA, SiteInfo},
        time::{Mono, Trust, Wall},
        value::NoData,
    };

    use super::*;

    const BOOT: BootId = BootId(7);

    fn now() -> Now {
        let utc = chrono::DateTime::UNIX_EPOCH;
        Now { mono: Mono::from_secs(9), wall: Wall { utc, trust: Trust::Synchronised } }
    }

    fn snapshot(seq: u64) -> Snapshot {
        let site = SiteInfo {
            id: "hall".to_owned(),
            name: "Hall".to_owned(),
            time_zone: "UTC".to_owned(),
            gateway: "gw".to_owned(),
            simulated: false,
        };
        Snapshot {
            schema: SCHEMA,
            boot: BOOT,
            seq,
            at: now(),
            site,
            plant: Arc::default(),
            readings: Vec::new(),
            alarms: Vec::new(),
            links: Vec::new(),
            events: Vec::new(),
            ledger: Vec::new(),
            health: Health::default(),
        }
    }

    fn update(seq: u64, readings: u32) -> Update {
        let reading = |point| Change::Reading {
            point: PointId(point),
            reading: Reading { value: Err(NoData::Timeout), at: Some(Mono::ZERO), coverage: None },
        };
        let mut changes: Vec<Change> = (0..readings).map(reading).collect();
        changes.push(Change::Health(Health::default()));
        Update { seq, at: now(), changes }
    }

    /// A hub that was told changes `11..=10 + count`.
    fn hub(count: u64) -> Hub {
        let hub = Hub::new();
        hub.begin(&snapshot(10));
        (11..=10 + count).for_each(|seq| hub.push(update(seq, 2)));
        hub
    }

    fn after(hub: &Hub, seq: u64, limit: usize) -> Option<Vec<u64>> {
        match hub.after(Place { round: hub.round(), seq }, limit) {
            Next::Frames(frames) => Some(frames.iter().map(|frame| frame.seq).collect()),
            Next::Lost => None,
        }
    }

    #[test]
    fn what_follows_a_place_is_told_unless_it_is_too_much() {
        let hub = hub(5);
        assert_eq!(after(&hub, 15, LAG_MAX), Some(vec![]));
        assert_eq!(after(&hub, 12, LAG_MAX), Some(vec![13, 14, 15]));
        assert_eq!(after(&hub, 10, LAG_MAX), None, "five are more than four");
        assert_eq!(after(&hub, 10, usize::MAX), Some(vec![11, 12, 13, 14, 15]));
        assert_eq!(after(&hub, 9, usize::MAX), None, "before the beginning");
        assert_eq!(after(&hub, 99, LAG_MAX), Some(vec![]), "a snapshot newer than the ring");
    }

    #[test]
    fn a_place_is_found_only_in_the_run_and_the_ring_it_belongs_to() {
        let hub = hub(5);
        assert!(hub.find(BOOT, 10).is_some());
        assert!(hub.find(BOOT, 15).is_some());
        for (boot, seq) in [(BOOT, 9), (BOOT, 16), (BootId(8), 12)] {
            assert!(hub.find(boot, seq).is_none(), "{seq}");
        }
        let (place, _) = hub.find(BOOT, 12).unwrap();
        hub.begin(&snapshot(15));
        assert!(matches!(hub.after(place, LAG_MAX), Next::Lost), "another plant, another ring");
        assert!(Hub::new().find(BOOT, 0).is_none());
    }

    #[test]
    fn the_ring_is_bounded_by_what_it_holds_and_keeps_what_streams_need() {
        let hub = hub(2 * FRAMES_MAX as u64);
        assert_eq!(hub.ring().frames.len(), FRAMES_MAX);
        let hub = self::hub(0);
        let large = u32::try_from(READINGS_MAX / 2).unwrap();
        (11..=30).for_each(|seq| hub.push(update(seq, large)));
        assert_eq!(hub.ring().frames.len(), LAG_MAX);
        assert_eq!(after(&hub, 26, LAG_MAX), Some(vec![27, 28, 29, 30]));
        assert!(hub.find(BOOT, 25).is_none());
    }

    #[test]
    fn a_frame_is_written_as_the_update_was() {
        let update = update(11, 3);
        let frame = Frame::new(update.clone());
        let read = |text: &str| serde_json::from_str::<Feed>(text).unwrap();
        assert_eq!(read(&frame.text(None)), Feed::Update(update.clone()));
        let Feed::Update(part) = read(&frame.text(Some(&[false, true]))) else {
            panic!("no update")
        };
        assert_eq!(part.changes, [update.changes[1].clone(), update.changes[3].clone()]);
    }
}
