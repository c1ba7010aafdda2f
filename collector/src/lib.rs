//! Reads: bytes in, samples out, each a value or the reason why there is none.
//!
//! One task per physical link, whatever the site file looks like: all devices behind one host and port share its
//! connection and its queue. A panicked task is counted and started again; the others do not notice.

mod clock;
mod conversion;
pub mod modbus;
pub mod mqtt;
mod outlet;
pub mod plan;

use std::{
    collections::BTreeMap,
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use configs::{address::Address, site::Site};
use links::backoff::Backoff;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use clock::MonoClock;
pub use outlet::{Batch, QUEUE, Receipt};

/// The running links; by default none. Dropping it stops them.
#[derive(Debug, Default)]
pub struct Collector {
    tasks: JoinSet<()>,
    restarts: Arc<AtomicU64>,
}

impl Collector {
    /// Links that panicked and were started again, since start.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Waits until all links have ended, after `stop` or because nobody receives any more.
    pub async fn stopped(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Starts one task per link of the site. Must be called within a tokio runtime. Make `out` with room for [`QUEUE`].
pub fn start(
    site: &Site,
    clock: MonoClock,
    out: &mpsc::Sender<Batch>,
    stop: &CancellationToken,
) -> Collector {
    let mut collector = Collector { tasks: JoinSet::new(), restarts: Arc::default() };
    let mut modbus = BTreeMap::<(String, u16), Vec<_>>::new();
    let mut mqtt = BTreeMap::<(String, u16, Option<&str>), Vec<_>>::new();
    for device in &site.devices {
        match &device.address {
            Address::ModbusTcp { host, port, .. } => {
                // Host names know no letter case.
                modbus.entry((host.to_ascii_lowercase(), *port)).or_default().push(device);
            }
            Address::Mqtt { host, port, credentials } => {
                let user = credentials.as_ref().map(|credentials| credentials.user.as_str());
                mqtt.entry((host.to_ascii_lowercase(), *port, user)).or_default().push(device);
            }
        }
    }
    for ((host, port), devices) in modbus {
        let link = Arc::new(modbus::LinkPlan::new(&host, port, &devices, &site.plant));
        let out = out.clone();
        let run = move || modbus::run(Arc::clone(&link), clock, out.clone());
        collector.spawn(format!("modbus+tcp://{host}:{port}"), stop, run);
    }
    let client_id = format!("coldwatch-{}-{}", site.info.id, site.info.gateway);
    for devices in mqtt.into_values() {
        let Some(address) = devices.first().map(|device| &device.address) else { continue };
        let Some(link) = mqtt::LinkPlan::new(address, &client_id, &devices, &site.plant) else {
            continue;
        };
        let (link, out) = (Arc::new(link), out.clone());
        let run = move || mqtt::run(Arc::clone(&link), clock, out.clone());
        collector.spawn(address.to_string(), stop, run);
    }
    collector
}

impl Collector {
    fn spawn<F>(
        &mut self,
        link: String,
        stop: &CancellationToken,
        run: impl Fn() -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let supervised = supervise(link, Arc::clone(&self.restarts), run);
        let stop = stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(supervised).await;
        });
    }
}

/// Runs a link until it ends by itself; after a panic, again.
async fn supervise<F>(link: String, restarts: Arc<AtomicU64>, run: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut hasher = DefaultHasher::new();
    link.hash(&mut hasher);
    let mut backoff = Backoff::new(hasher.finish());
    loop {
        // A set, because it takes the task with it when this future is dropped.
        let mut task = JoinSet::new();
        task.spawn(run());
        match task.join_next().await {
            Some(Err(panic)) if panic.is_panic() => {
                restarts.fetch_add(1, Ordering::Relaxed);
                let pause = backoff.after_failure();
                tracing::error!(%link, ?pause, "the link's task panicked and is started again");
                tokio::time::sleep(pause).await;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_link_that_panics_is_counted_and_started_again() {
        let restarts = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&restarts);
        let link = move || {
            let earlier = seen.load(Ordering::Relaxed);
            async move { assert!(earlier >= 3, "panic number {earlier}, wanted by this test") }
        };
        supervise("link".to_owned(), Arc::clone(&restarts), link).await;
        assert_eq!(restarts.load(Ordering::Relaxed), 3);
    }
}
