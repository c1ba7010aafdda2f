//! One Modbus link: its devices take turns, one request in flight.
//!
//! Polls are aligned to multiples of each device's interval since the gateway started; a poll that comes too late is
//! skipped, never made up for. A device that answers waits at most for one timeout of a silent one: silent devices are
//! probed with growing pauses, and only when no other device is due. Their points keep getting samples that say why
//! there is no value.

mod device;
mod points;
mod silence;

use std::{convert::Infallible, sync::Arc, time::Duration};

use configs::site::Device;
use links::modbus::Link;
use rules::plant::Plant;
use tokio::{sync::mpsc, time::Instant};

use crate::{
    clock::MonoClock,
    modbus::{device::Poller, points::DevicePlan},
    outlet::{Batch, NobodyReceives, Outlet},
};

/// What one task does: the devices of one host and port.
#[derive(Debug)]
pub struct LinkPlan {
    host: String,
    port: u16,
    /// As long as the slowest of the devices may take to answer.
    connect_timeout: Duration,
    devices: Vec<DevicePlan>,
}

impl LinkPlan {
    /// Plans the reads of all `devices`, which share this host and port.
    pub fn new(host: &str, port: u16, devices: &[&Device], plant: &Plant) -> Self {
        let connect_timeout = devices.iter().map(|device| device.timeout).max().unwrap_or_default();
        let devices = devices.iter().filter_map(|device| DevicePlan::new(device, plant)).collect();
        Self { host: host.to_owned(), port, connect_timeout, devices }
    }
}

/// Polls until nobody receives any more. To stop it earlier, drop it: nothing in here needs a farewell.
pub async fn run(link: Arc<LinkPlan>, clock: MonoClock, out: mpsc::Sender<Batch>) {
    let mut socket = Link::new(&link.host, link.port, link.connect_timeout);
    let outlet = Outlet { clock, out };
    let mut devices: Vec<_> = link.devices.iter().map(Poller::new).collect();
    // The error only says that nobody receives any more.
    let _ended = take_turns(&mut devices, &mut socket, &outlet).await;
}

async fn take_turns(
    devices: &mut [Poller<'_>],
    socket: &mut Link,
    outlet: &Outlet,
) -> Result<Infallible, NobodyReceives> {
    loop {
        let now = Instant::now();
        for device in devices.iter_mut() {
            device.report_silence(now, outlet).await?;
        }
        let next = devices.iter_mut().filter(|device| device.ready(now)).min_by_key(|d| d.rank());
        if let Some(device) = next {
            device.poll(socket, outlet).await?;
            continue;
        }
        match devices.iter().map(Poller::wakes_at).min() {
            Some(wake) => tokio::time::sleep_until(wake).await,
            None => std::future::pending().await,
        }
    }
}
