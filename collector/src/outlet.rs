//! What comes out of a link, and where it goes.

use std::time::Duration;

use rules::{messages::LinkView, plant::AssetId, value::Sample};
use tokio::sync::{mpsc, oneshot};

use crate::clock::MonoClock;

/// What comes out of a link.
#[derive(Debug)]
pub enum Batch {
    /// What one answer, message or failure says about its points.
    Samples(Vec<Sample>),
    /// Samples of messages that the broker keeps until they are acknowledged.
    Owed { samples: Vec<Sample>, receipt: Receipt },
    /// How a device is doing, when that changes and about once a second.
    Link(LinkView),
}

/// The promise that samples will not be lost. Dropped without [`Self::stored`], their messages come again.
#[derive(Debug)]
pub struct Receipt(oneshot::Sender<()>);

impl Receipt {
    /// A receipt, and what hears of it.
    pub fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Says that the samples are on disk.
    pub fn stored(self) {
        // A link that has ended needs no answer.
        let _ = self.0.send(());
    }
}

/// Room between the links and the gateway, in batches: one aligned burst of 500 devices with up to four batches each.
/// When it is full, a polled link waits with its samples and skips polls meanwhile; nothing is lost silently.
pub const QUEUE: usize = 2048;

/// Where samples go, and the clock that stamps them.
pub(crate) struct Outlet {
    pub(crate) clock: MonoClock,
    pub(crate) out: mpsc::Sender<Batch>,
}

pub(crate) struct NobodyReceives;

impl Outlet {
    /// Waits for room: a slow gateway slows the link down, it does not lose what was read.
    pub(crate) async fn send(&self, batch: Batch) -> Result<(), NobodyReceives> {
        self.out.send(batch).await.map_err(|_closed| NobodyReceives)
    }

    pub(crate) async fn samples(&self, samples: Vec<Sample>) -> Result<(), NobodyReceives> {
        if samples.is_empty() { Ok(()) } else { self.send(Batch::Samples(samples)).await }
    }
}

/// How long an answer took, in milliseconds, rounded up to a tenth: what is finer is the noise of this machine, and would
/// cost more room in log and history than all other points of a device together.
pub(crate) fn reply_milliseconds(took: Duration) -> f64 {
    f64::from(u32::try_from(took.as_micros().div_ceil(100)).unwrap_or(u32::MAX)) / 10.0
}

/// A device that nothing was heard of so far.
pub(crate) fn unheard(device: AssetId, address: &str, points: u32) -> LinkView {
    LinkView {
        device,
        address: address.to_owned(),
        up: false,
        trouble: None,
        replies: 0,
        timeouts: 0,
        refusals: 0,
        discarded: 0,
        reply_time_ms: None,
        points,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_took_whole_tenths_of_a_millisecond_and_never_none() {
        for (took_us, told) in [(1, 0.1), (100, 0.1), (101, 0.2), (12_345, 12.4)] {
            assert!(
                reply_milliseconds(Duration::from_micros(took_us)).to_bits() == f64::to_bits(told)
            );
        }
    }
}
