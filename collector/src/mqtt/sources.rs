//! One point, one source: which of several topics may give a point, and whether a kept message says anything new.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use rules::{
    plant::PointId,
    time::Mono,
    value::{NoData, Sample},
};

/// Two topics that lead to one point are a mistake in a profile or a feed; their values are never mixed. The first in
/// the order of their names gives the point, whatever comes first in time. One that falls silent loses it.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    holders: HashMap<PointId, Holder>,
    silent_after: Duration,
    /// Points that had a live or dated value since start.
    dated: HashSet<PointId>,
}

#[derive(Clone, Debug)]
struct Holder {
    name: String,
    heard: Mono,
}

impl Sources {
    pub(super) fn new(silent_after: Duration) -> Self {
        Self { holders: HashMap::new(), silent_after, dated: HashSet::new() }
    }

    /// Whether `name` may give `point` now; otherwise who does.
    pub(super) fn claim(&mut self, point: PointId, name: &str, now: Mono) -> Result<(), &str> {
        let holder = self
            .holders
            .entry(point)
            .or_insert_with(|| Holder { name: name.to_owned(), heard: now });
        if holder.name == name {
            holder.heard = now;
            return Ok(());
        }
        if name < holder.name.as_str() || now.since(holder.heard) > self.silent_after {
            *holder = Holder { name: name.to_owned(), heard: now };
            return Ok(());
        }
        Err(&holder.name)
    }

    /// A retained message without a time says what was last, but not when. Until a live one comes, its point is stale;
    /// after that it says nothing.
    pub(super) fn admit(&mut self, mut sample: Sample, retain: bool) -> Option<Sample> {
        if !retain || sample.source_time.is_some() {
            self.dated.insert(sample.point);
            return Some(sample);
        }
        if self.dated.contains(&sample.point) {
            return None;
        }
        sample.value = Err(NoData::Stale);
        Some(sample)
    }
}

#[cfg(test)]
mod tests {
    use rules::value::Value;

    use super::*;

    const POINT: PointId = PointId(0);

    #[test]
    fn the_first_name_gives_the_point_in_whatever_order_they_come() {
        let mut sources = Sources::new(Duration::from_secs(200));
        let mut claim = |name, at| sources.claim(POINT, name, Mono::from_secs(at)).is_ok();
        assert!(claim("b", 0));
        assert!(claim("a", 1));
        assert!(!claim("b", 2));
        assert!(claim("a", 3));
        assert!(!claim("b", 203));
        assert!(claim("b", 204), "the holder has been silent for more than 200 s");
        assert!(claim("a", 205));
    }

    #[test]
    fn what_was_kept_without_a_time_is_stale_and_never_covers_a_live_value() {
        let mut sources = Sources::new(Duration::from_secs(200));
        let sample = Sample {
            point: POINT,
            at: Mono::ZERO,
            source_time: None,
            value: Ok(Value::Number(1.0)),
        };
        let kept = sources.admit(sample.clone(), true).map(|sample| sample.value);
        assert_eq!(kept, Some(Err(NoData::Stale)));
        assert_eq!(sources.admit(sample.clone(), false), Some(sample.clone()));
        assert_eq!(sources.admit(sample, true), None);
    }
}
