//! What a mapper keeps about the messages it could not use.

use rules::value::NoData;

/// Longest part of a topic or payload that is kept as an example.
const EXAMPLE_CHARS: usize = 160;

/// Counters of one device since start, and the last trouble in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages on the device's topics.
    pub messages: u64,
    /// Samples that had a value.
    pub values: u64,
    /// Messages whose payload could not be understood.
    pub not_understood: u64,
    /// Messages about assets or points that the device does not give.
    pub unknown: u64,
    /// Values from a second source of a point that another source already gives.
    pub second_source: u64,
    /// Values or metadata that there was no room to keep.
    pub overflow: u64,
    /// What went wrong last, with an example. Safe to print.
    pub trouble: Option<String>,
}

impl Tally {
    /// Messages that gave nothing.
    pub fn discarded(&self) -> u64 {
        self.not_understood + self.unknown + self.second_source + self.overflow
    }

    pub(super) fn not_understood(&mut self, topic: &str, payload: &[u8], why: &str) -> NoData {
        self.not_understood += 1;
        let topic = printable(topic);
        let payload = printable(&String::from_utf8_lossy(payload));
        self.trouble = Some(format!("{why}: {topic} = {payload}"));
        NoData::BadPayload
    }

    pub(super) fn second_source(&mut self, source: &str, holder: &str) {
        self.second_source += 1;
        let (source, holder) = (printable(source), printable(holder));
        self.trouble = Some(format!("two sources of one point: {source} beside {holder}"));
    }
}

/// Bytes from outside reach a terminal only like this.
pub(super) fn printable(text: &str) -> String {
    let mut shown: String = text.chars().take(EXAMPLE_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(EXAMPLE_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
