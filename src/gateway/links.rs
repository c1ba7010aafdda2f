//! The links of the site in force, and what comes out of them.

use std::mem;

use collector::{Batch, Collector, MonoClock};
use configs::site::Site;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(super) struct Links {
    clock: MonoClock,
    running: Running,
}

struct Running {
    collector: Collector,
    batches: mpsc::Receiver<Batch>,
    stop: CancellationToken,
}

impl Links {
    /// Starts polling.
    pub(super) fn start(site: &Site, clock: MonoClock) -> Self {
        Self { clock, running: Running::start(site, clock) }
    }

    /// `None` when all links have ended, and nothing is left of what they gave.
    pub(super) async fn next(&mut self) -> Option<Batch> {
        self.running.batches.recv().await
    }

    /// Links that panicked and were started again.
    pub(super) fn restarts(&self) -> u64 {
        self.running.collector.restarts()
    }

    /// Ends the links; gives what they gave and nobody took yet.
    pub(super) async fn end(&mut self) -> Vec<Batch> {
        self.running.stop.cancel();
        mem::take(&mut self.running.collector).stopped().await;
        let mut left = Vec::new();
        while let Some(batch) = self.running.batches.recv().await {
            left.push(batch);
        }
        left
    }

    /// Starts the links of another site, after the end of those of the last one.
    pub(super) fn restart(&mut self, site: &Site) {
        self.running = Running::start(site, self.clock);
    }
}

impl Running {
    fn start(site: &Site, clock: MonoClock) -> Self {
        let stop = CancellationToken::new();
        let (batches_in, batches) = mpsc::channel(collector::QUEUE);
        let collector = collector::start(site, clock, &batches_in, &stop);
        Self { collector, batches, stop }
    }
}

#[cfg(test)]
impl Links {
    /// No link: a test gives what would come out of some.
    pub(super) fn fed() -> (Self, mpsc::Sender<Batch>) {
        let (batches_in, batches) = mpsc::channel(8);
        let (collector, stop) = (Collector::default(), CancellationToken::new());
        let running = Running { collector, batches, stop };
        (Self { clock: MonoClock::start(), running }, batches_in)
    }
}
