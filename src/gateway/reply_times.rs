//! What is kept of reply times. Every device has one a poll, and next to no two are alike: the slowest answer of a minute
//! tells as much, and everything that changes between an answer and none.

use std::{collections::HashMap, mem, time::Duration};

use rules::{
    plant::{Plant, PointId},
    time::Mono,
    value::{Sample, Value},
};

/// So much of one device's reply times is one sample.
const EVERY: Duration = Duration::from_mins(1);

/// Thins reply times out and lets everything else through.
#[derive(Default)]
pub(super) struct ReplyTimes {
    /// By point.
    thinned: Vec<bool>,
    held: HashMap<PointId, Held>,
}

/// What a device's reply times have been since the last one that was kept.
struct Held {
    since: Mono,
    answered: bool,
    slowest: Option<Sample>,
}

impl ReplyTimes {
    pub(super) fn of(plant: &Plant) -> Self {
        let thinned = plant.points().iter().map(|point| &*point.quantity == "reply_time");
        Self { thinned: thinned.collect(), held: HashMap::new() }
    }

    /// Adds what is to be kept of `samples`.
    pub(super) fn thin(&mut self, samples: &[Sample], kept: &mut Vec<Sample>) {
        kept.reserve(samples.len());
        for sample in samples {
            if self.thinned.get(sample.point.index()) == Some(&true) {
                self.hold(sample, kept);
            } else {
                kept.push(sample.clone());
            }
        }
    }

    fn hold(&mut self, sample: &Sample, kept: &mut Vec<Sample>) {
        let answered = sample.value.is_ok();
        let fresh = Held { since: sample.at, answered, slowest: None };
        let Some(held) = self.held.get_mut(&sample.point) else {
            self.held.insert(sample.point, fresh);
            kept.push(sample.clone());
            return;
        };
        if held.answered != answered {
            kept.extend(mem::replace(held, fresh).slowest);
            kept.push(sample.clone());
            return;
        }
        let ms = |sample: &Sample| sample.value.as_ref().ok().and_then(Value::as_number);
        if held.slowest.as_ref().is_none_or(|slowest| ms(slowest) <= ms(sample)) {
            held.slowest = Some(sample.clone());
        }
        if sample.at.since(held.since) >= EVERY {
            kept.extend(mem::replace(held, fresh).slowest);
        }
    }
}

#[cfg(test)]
mod tests {
    use rules::value::NoData;

    use super::*;

    const REPLY: PointId = PointId(0);
    const FLOW: PointId = PointId(1);

    fn sample(point: PointId, second: u64, value: Result<f64, NoData>) -> Sample {
        let value = value.map(Value::Number);
        Sample { point, at: Mono::from_secs(second), source_time: None, value }
    }

    fn kept(samples: &[Sample]) -> Vec<Sample> {
        let mut reply_times = ReplyTimes { thinned: vec![true, false], held: HashMap::new() };
        let mut kept = Vec::new();
        samples.chunks(3).for_each(|chunk| reply_times.thin(chunk, &mut kept));
        kept
    }

    #[test]
    fn of_a_minute_the_slowest_answer_is_kept_and_of_other_points_everything() {
        let reply = |second| sample(REPLY, second, Ok(if second == 17 { 900.0 } else { 4.0 }));
        let flow = |second| sample(FLOW, second, Ok(1.0));
        let samples: Vec<Sample> = (0..=60).flat_map(|s| [reply(s), flow(s)]).collect();
        let (times, flows): (Vec<Sample>, Vec<Sample>) =
            kept(&samples).into_iter().partition(|sample| sample.point == REPLY);
        assert_eq!(times, [reply(0), reply(17)]);
        assert_eq!(flows.len(), 61);
    }

    #[test]
    fn a_device_that_falls_silent_is_kept_at_once_and_so_is_its_return() {
        let told = [
            sample(REPLY, 0, Ok(4.0)),
            sample(REPLY, 1, Ok(6.0)),
            sample(REPLY, 2, Err(NoData::Timeout)),
            sample(REPLY, 3, Err(NoData::Timeout)),
            sample(REPLY, 4, Ok(5.0)),
        ];
        let [first, slowest, silent, again, back] = told.clone();
        assert_eq!(kept(&told), [first, slowest, silent, again, back]);
    }
}
