//! Publishes a recorded feed to a broker: rows of offset, topic and payload, as in `tests/data/dsx`.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use links::publisher::{PublishError, Publisher, Quality};

/// Stands for the time of sending in milliseconds since 1970.
const TIMESTAMP: &str = "{{timestamp_ms}}";

/// One recorded message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Since the start of the recording.
    pub(crate) offset: Duration,
    pub(crate) topic: String,
    pub(crate) payload: String,
}

impl Row {
    /// Metadata is retained at the broker, values are not.
    pub(crate) fn is_metadata(&self) -> bool {
        self.topic.contains("/Metadata/")
    }

    /// The payload as sent at `at`.
    pub(crate) fn payload_at(&self, at: SystemTime) -> String {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.payload.replace(TIMESTAMP, &since.as_millis().to_string())
    }
}

/// Reads a recording; the error names the line.
pub(crate) fn read(path: &Path) -> Result<Vec<Row>, String> {
    let text = std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
    let rows = text.lines().enumerate().skip(1);
    rows.map(|(line, row)| {
        parse(row).ok_or_else(|| format!("{}:{}: not a row", path.display(), line + 1))
    })
    .collect()
}

/// `offset,topic,"payload"` with doubled quotes in the payload.
fn parse(row: &str) -> Option<Row> {
    let (offset, rest) = row.split_once(',')?;
    let (topic, payload) = rest.split_once(',')?;
    let payload = payload.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\"");
    Some(Row { offset: go_duration(offset)?, topic: topic.to_owned(), payload })
}

/// `1m39.3s`, `3.4731ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "µs" | "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = tail;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// Publishes every row at quality of service 1, paced by its offset divided by `speed`, or without pause for `None`.
/// Returns when the broker has all of it.
pub(crate) async fn replay(
    rows: &[Row],
    publisher: &Publisher,
    speed: Option<f64>,
) -> Result<(), PublishError> {
    let begin = tokio::time::Instant::now();
    for row in rows {
        if let Some(speed) = speed {
            tokio::time::sleep_until(begin + row.offset.div_f64(speed)).await;
        }
        let payload = row.payload_at(SystemTime::now());
        publisher.publish(&row.topic, payload, Quality::AtLeastOnce, row.is_metadata()).await?;
    }
    publisher.settled().await
}
