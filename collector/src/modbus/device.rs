//! Polling one device: due blocks are read one after the other, and each answer or failure becomes samples at once.

use std::{collections::VecDeque, mem, time::Duration};

use links::modbus::{Answer, Link, Read, ReadError, Table};
use rules::{
    messages::LinkView,
    value::{NoData, Sample, Value},
};
use tokio::time::Instant;

use crate::{
    modbus::{points::DevicePlan, silence::Silence},
    outlet::{Batch, NobodyReceives, Outlet, reply_milliseconds, unheard},
    plan::Request,
};

/// Exceptions that may be due to one address in a block: illegal data address, illegal data value.
const SPLIT_ON: [u8; 2] = [2, 3];

/// Exceptions that say something about the block, not about the moment: illegal function, address, value.
const LASTING: [u8; 3] = [1, 2, 3];

/// Exceptions with which a gateway says that the device behind it does not answer: path unavailable, target failed to
/// respond.
const NO_DEVICE: [u8; 2] = [10, 11];

/// So many refused blocks are split in one poll; the others wait for the next.
const SPLITS_PER_POLL: u32 = 8;

/// A device that refused everything has its blocks split no earlier than after this.
const SPLIT_PAUSE: Duration = Duration::from_secs(30);

/// The status of a device is sent at least this often, if it is polled that often.
const VIEW_EVERY: Duration = Duration::from_secs(1);

/// One device in its turns.
pub(super) struct Poller<'a> {
    plan: &'a DevicePlan,
    blocks: Vec<Block>,
    due: Instant,
    /// Set while the device does not answer.
    silence: Option<Silence>,
    split_from: Instant,
    view: LinkView,
    view_sent: Option<Instant>,
}

/// One planned request.
#[derive(Clone)]
struct Block {
    request: Request,
    due: Instant,
    /// Set while the device answers, but not to this, or refuses this alone.
    silence: Option<Silence>,
    /// Why there was nothing in the poll that is under way.
    missed: Option<NoData>,
}

/// What one poll has brought so far.
#[derive(Default)]
struct Tally {
    /// Something was due, and not at rest.
    asked: bool,
    /// The slowest answer of the device, be it a refusal.
    reply_time: Option<Duration>,
    delivered: u64,
    refused: u64,
    splits: u32,
    /// Why the rest of the poll is not tried.
    gave_up: Option<NoData>,
    /// The last thing that went wrong.
    trouble: Option<(NoData, String)>,
}

impl<'a> Poller<'a> {
    pub(super) fn new(plan: &'a DevicePlan) -> Self {
        let now = Instant::now();
        let points = u32::try_from(plan.points.len()).unwrap_or(u32::MAX);
        Self {
            plan,
            blocks: planned(plan, now),
            due: now,
            silence: None,
            split_from: now,
            view: unheard(plan.asset, &plan.address, points),
            view_sent: None,
        }
    }

    /// Whether there is something to ask the device now.
    pub(super) fn ready(&self, now: Instant) -> bool {
        self.silence.as_ref().map_or(self.due, |silence| silence.probe_at) <= now
    }

    /// Who is ready with the lowest rank is next. A silent device yields for one interval to those that answer, but
    /// not for ever.
    pub(super) fn rank(&self) -> Instant {
        match &self.silence {
            Some(silence) => silence.probe_at + self.plan.poll_every,
            None => self.due,
        }
    }

    pub(super) fn wakes_at(&self) -> Instant {
        self.silence.as_ref().map_or(self.due, |silence| silence.probe_at.min(self.due))
    }

    /// At each tick of a silent device, whether it is probed or not, its points are said to have no value: the slow ones
    /// too, for nothing is known of them either.
    pub(super) async fn report_silence(
        &mut self,
        now: Instant,
        outlet: &Outlet,
    ) -> Result<(), NobodyReceives> {
        let Some(silence) = self.silence.as_ref().filter(|_| self.due <= now) else {
            return Ok(());
        };
        let at = outlet.clock.now();
        let mut samples = vec![Sample {
            point: self.plan.reply_time,
            at,
            source_time: None,
            value: Err(silence.reason),
        }];
        let next = outlet.clock.next_tick(self.plan.poll_every, now);
        for block in &mut self.blocks {
            block.due = next;
            samples.extend(self.plan.samples(&block.request, &Err(silence.reason), at));
        }
        self.due = next;
        outlet.samples(samples).await
    }

    /// Reads what is due, or everything if the device was silent so far. If it does not answer at all, none of its points
    /// has a value.
    pub(super) async fn poll(
        &mut self,
        socket: &mut Link,
        outlet: &Outlet,
    ) -> Result<(), NobodyReceives> {
        let now = Instant::now();
        let mut tally = Tally::default();
        let mut samples = Vec::new();
        // What is due comes first: whether the device answers at all is known when the others have their turn.
        self.blocks.sort_by_key(|block| block.due > now);
        let mut work = VecDeque::from(mem::take(&mut self.blocks));
        while let Some(mut block) = work.pop_front() {
            let probing = self.silence.is_some();
            let missing = tally.gave_up.or_else(|| block.rests(now).filter(|_| !probing));
            let wanted = block.due <= now || (probing && missing.is_none()) || tally.is_lost();
            if !wanted {
                self.blocks.push(block);
                continue;
            }
            let answer = if let Some(reason) = missing {
                tally.trouble.get_or_insert_with(|| (reason, reason.to_string()));
                Err(reason)
            } else {
                // What has been read does not wait for what may take a timeout.
                outlet.samples(mem::take(&mut samples)).await?;
                self.read(&block.request, socket, &mut tally).await
            };
            if let Some(pieces) = self.split(&block, &answer, &mut tally, now) {
                pieces.into_iter().rev().for_each(|piece| work.push_front(piece));
                continue;
            }
            // A slow point without a value is asked for again with the next poll.
            let every = if answer.is_ok() { block.request.every } else { self.plan.poll_every };
            block.due = outlet.clock.next_tick(every, now);
            if missing.is_none() {
                block.missed = answer.as_ref().err().copied();
                block.silence = block.silence.filter(|_| block.missed.is_some());
            }
            samples.extend(self.plan.samples(&block.request, &answer, outlet.clock.now()));
            self.blocks.push(block);
        }
        self.close(&tally, now);
        if self.due <= now {
            self.due = outlet.clock.next_tick(self.plan.poll_every, now);
        }
        let discarded = socket.counters().discarded;
        samples.extend(self.reply_time(&tally, outlet));
        outlet.samples(samples).await?;
        self.report(&tally, discarded, outlet).await
    }

    async fn read(
        &mut self,
        request: &Request,
        socket: &mut Link,
        tally: &mut Tally,
    ) -> Result<Answer, NoData> {
        use configs::profile::Table as Declared;
        let table = match request.table {
            Declared::Coil => Table::Coils,
            Declared::DiscreteInput => Table::DiscreteInputs,
            Declared::Holding => Table::HoldingRegisters,
            Declared::Input => Table::InputRegisters,
        };
        let read =
            Read { unit: self.plan.unit, table, address: request.address, count: request.count };
        tally.asked = true;
        match socket.read(read, self.plan.timeout).await {
            Ok(reply) => {
                tally.delivered += 1;
                self.view.replies += 1;
                tally.heard(reply.took);
                Ok(reply.data)
            }
            Err(why) => Err(self.count(&why, tally)),
        }
    }

    /// Why there is no value, with everything that a failed read says about the device.
    fn count(&mut self, why: &ReadError, tally: &mut Tally) -> NoData {
        let reason = match why {
            ReadError::Timeout(_) => {
                self.view.timeouts += 1;
                tally.gave_up = Some(NoData::Timeout);
                NoData::Timeout
            }
            ReadError::Unreachable(_) => {
                tally.gave_up = Some(NoData::Unreachable);
                NoData::Unreachable
            }
            ReadError::Refused { code, took } => {
                self.view.refusals += 1;
                let reason = NoData::Refused(*code);
                if NO_DEVICE.contains(code) {
                    tally.gave_up = Some(reason);
                } else {
                    tally.refused += 1;
                    tally.heard(*took);
                }
                reason
            }
            ReadError::Malformed(_) => NoData::Malformed,
        };
        let text = match why {
            ReadError::Timeout(_) | ReadError::Refused { .. } => reason.to_string(),
            ReadError::Unreachable(_) | ReadError::Malformed(_) => why.to_string(),
        };
        tally.trouble = Some((reason, text));
        reason
    }

    /// The parts of a block that was refused, to be read in its place: first what lies between gaps, then halves, so
    /// that one address that the device does not have costs its own point only. Kept until the device refuses
    /// everything, which then is not the fault of a block.
    fn split(
        &self,
        block: &Block,
        answer: &Result<Answer, NoData>,
        tally: &mut Tally,
        now: Instant,
    ) -> Option<Vec<Block>> {
        let Err(NoData::Refused(code)) = answer else { return None };
        let wanted = SPLIT_ON.contains(code) && tally.splits < SPLITS_PER_POLL;
        if !wanted || now < self.split_from || tally.gave_up.is_some() {
            return None;
        }
        let pieces = block.request.parts(&self.plan.items, self.plan.limits)?;
        tally.splits += 1;
        tracing::info!(
            device = %self.plan.address, table = ?block.request.table, address = block.request.address,
            count = block.request.count, code, "block refused, reading it in {} parts", pieces.len()
        );
        let piece = |request| Block { request, ..block.clone() };
        Some(pieces.into_iter().map(piece).collect())
    }

    /// Draws the conclusions from a poll: who is silent, and which blocks to ask for next time.
    fn close(&mut self, tally: &Tally, now: Instant) {
        let DevicePlan { poll_every, timeout, .. } = *self.plan;
        let heard = tally.reply_time.is_some();
        if heard && self.silence.take().is_some() {
            self.blocks.iter_mut().for_each(|block| block.silence = None);
        }
        // What timed out is asked last next time, so that it cannot keep the others from their turn.
        self.blocks.sort_by_key(|block| block.missed == Some(NoData::Timeout));
        for block in &mut self.blocks {
            let rests = match block.missed {
                Some(NoData::Timeout) => heard,
                // A device that refuses everything may be starting up; a block that can be divided will be.
                Some(NoData::Refused(code)) => {
                    tally.delivered > 0
                        && LASTING.contains(&code)
                        && block.request.parts(&self.plan.items, self.plan.limits).is_none()
                }
                _ => false,
            };
            if let Some(reason) = block.missed.take()
                && rests
            {
                let earlier = block.silence.as_ref();
                block.silence = Some(Silence::after(earlier, reason, poll_every, timeout));
            }
        }
        match tally.gave_up {
            // The link rests by itself when it cannot connect.
            None | Some(NoData::Unreachable) => self.silence = None,
            Some(_) if heard => {}
            Some(reason) => {
                let earlier = self.silence.as_ref();
                self.silence = Some(Silence::after(earlier, reason, poll_every, timeout));
            }
        }
        if tally.splits > 0 && tally.delivered == 0 && tally.refused > 0 {
            self.blocks = planned(self.plan, self.due);
            self.split_from = now + SPLIT_PAUSE;
        }
    }

    /// `None` when nothing was asked: then nothing is known that was not known before.
    fn reply_time(&self, tally: &Tally, outlet: &Outlet) -> Option<Sample> {
        let value = match (tally.milliseconds(), &tally.trouble) {
            (Some(milliseconds), _) => Ok(Value::Number(milliseconds)),
            (None, Some((reason, _))) if tally.asked => Err(*reason),
            (None, _) => return None,
        };
        let at = outlet.clock.now();
        Some(Sample { point: self.plan.reply_time, at, source_time: None, value })
    }

    async fn report(
        &mut self,
        tally: &Tally,
        discarded: u64,
        outlet: &Outlet,
    ) -> Result<(), NobodyReceives> {
        let milliseconds = tally.milliseconds();
        if !tally.asked {
            return Ok(());
        }
        let up = milliseconds.is_some();
        let trouble = tally.trouble.as_ref().map(|(_, text)| text.clone());
        let changed = self.view.up != up || self.view.trouble != trouble;
        if self.view.up != up && self.view_sent.is_some() {
            tracing::info!(device = %self.plan.address, up, ?trouble, "device");
        }
        self.view.up = up;
        self.view.trouble = trouble;
        self.view.reply_time_ms = milliseconds;
        self.view.discarded = discarded;
        if !changed && self.view_sent.is_some_and(|sent| sent.elapsed() < VIEW_EVERY) {
            return Ok(());
        }
        self.view_sent = Some(Instant::now());
        outlet.send(Batch::Link(self.view.clone())).await
    }
}

impl Block {
    /// Why it is not asked for now, if it rests.
    fn rests(&self, now: Instant) -> Option<NoData> {
        self.silence.as_ref().filter(|silence| silence.probe_at > now).map(|s| s.reason)
    }
}

impl Tally {
    /// The device does not answer at all.
    fn is_lost(&self) -> bool {
        self.gave_up.is_some() && self.reply_time.is_none()
    }

    fn milliseconds(&self) -> Option<f64> {
        self.reply_time.map(reply_milliseconds)
    }

    fn heard(&mut self, took: Duration) {
        self.reply_time = Some(self.reply_time.map_or(took, |slowest| slowest.max(took)));
    }
}

fn planned(plan: &DevicePlan, due: Instant) -> Vec<Block> {
    let block =
        |request: &Request| Block { request: request.clone(), due, silence: None, missed: None };
    plan.plan.requests.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use rules::plant::{AssetId, PointId};

    use super::*;
    use crate::plan::{Limits, Plan};

    #[test]
    fn a_silent_device_yields_to_those_that_answer_for_one_interval_and_not_for_ever() {
        let poll_every = Duration::from_secs(1);
        let plan = DevicePlan {
            asset: AssetId(0),
            address: String::new(),
            unit: 1,
            poll_every,
            timeout: poll_every,
            reply_time: PointId(0),
            limits: Limits { max_registers: 125, max_bits: 2000 },
            plan: Plan::default(),
            items: Vec::new(),
            points: Vec::new(),
        };
        let (mut live, mut silent) = (Poller::new(&plan), Poller::new(&plan));
        let silence = Silence::after(None, NoData::Timeout, poll_every, poll_every);
        let probe_at = silence.probe_at;
        silent.silence = Some(silence);

        live.due = probe_at + poll_every / 2;
        assert!(live.ready(live.due) && silent.ready(live.due));
        assert!(live.rank() < silent.rank(), "the silent one was ready before");
        live.due = probe_at + poll_every * 2;
        assert!(silent.rank() < live.rank(), "the silent one has waited for two intervals");
    }
}
