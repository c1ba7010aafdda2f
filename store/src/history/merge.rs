//! Samples of one series from several places, as one.

use super::block::{Said, Values};

/// A sample of a known series: milliseconds since 1970, and what it says.
pub(super) type Timed = (i64, Said);

/// In order of time, each time once: of several samples with one time the one that was added last stays.
pub(super) fn in_order(mut samples: Vec<Timed>) -> Vec<Timed> {
    if !samples.is_sorted_by(|one, next| one.0 < next.0) {
        samples.sort_by_key(|sample| sample.0);
        samples.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
    }
    samples
}

pub(super) fn extend(samples: &mut Vec<Timed>, times: &[i64], values: &Values) {
    samples.extend(
        times.iter().enumerate().filter_map(|(index, time)| Some((*time, values.get(index)?))),
    );
}
