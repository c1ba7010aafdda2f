//! Serves a simulated site on real Modbus TCP ports, at the pace of the wall clock.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use configs::{address::Address, profile::Table, site::Site};
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_modbus::{
    ExceptionCode, Request, Response, SlaveRequest,
    server::{Service, tcp::Server},
};
use tokio_util::sync::CancellationToken;

use crate::{
    hall::STEP_S,
    image::{Holes, Image},
    scenario::Scenario,
    world::{DeviceFault, World, WorldError},
};

/// How often the hall is moved on, in wall time.
const TICK: Duration = Duration::from_millis(100);
/// Most simulated seconds in one tick; what a busy machine cannot keep up with is left out of simulated time.
const CATCH_UP_S: f64 = 120.0;
/// Pause before a port that could not be opened again is tried once more.
const REOPEN_AFTER: Duration = Duration::from_millis(200);

/// Which ports to listen on. Always on the loopback interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// Whichever are free.
    #[default]
    Free,
    /// Those that the site's addresses name.
    Configured,
    /// This one and those after it, one for each host and port of the site, in their order.
    From(u16),
}

/// How to serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub ports: Ports,
    pub holes: Holes,
}

/// Why a site cannot be served.
#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    World(#[from] WorldError),
    /// One line for each point.
    #[error("the simulator cannot supply these points:\n{}", .0.join("\n"))]
    Unsupplied(Vec<String>),
    #[error("two devices answer at {0}")]
    SameUnit(String),
    #[error("there is no port after 65535 for all {0} links")]
    TooManyLinks(usize),
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
}

/// A hall that is being served. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    site: Site,
    world: Arc<Mutex<World>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    /// The site with every Modbus address rewritten to where it is served now.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Looks at the truth, between two steps.
    pub fn look<T>(&self, at: impl FnOnce(&World) -> T) -> T {
        at(&lock(&self.world))
    }

    /// Closes all ports and ends all tasks.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves the Modbus devices of a site under a scenario, until `stop` or [`Running::stop`]. Needs a tokio runtime.
///
/// # Errors
/// When the scenario names what the site does not have, when the site has a point that the physics cannot supply, or
/// when a port is taken.
pub async fn start(
    site: &Site,
    scenario: &Scenario,
    options: Options,
    stop: &CancellationToken,
) -> Result<Running, StartError> {
    let world = World::new(site, scenario)?;
    let links = links(site, &world, options.holes)?;
    let ports = ports(&links, options.ports)?;

    let stop = stop.child_token();
    let world = Arc::new(Mutex::new(world));
    let mut tasks = JoinSet::new();
    let mut gates = Vec::new();
    let mut served = HashMap::new();
    for ((name, images), port) in links.into_iter().zip(ports) {
        let asked = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let listening = |source| StartError::Listen { address: asked, source };
        let listener = TcpListener::bind(asked).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        served.insert(name, address);
        let devices = images.values().map(|image| image.device).collect();
        let (gate, closed) = watch::channel(false);
        gates.push(Gate { devices, closed: gate });
        let unit = Arc::new(Link { images, world: Arc::clone(&world) });
        tasks.spawn(serve_link(listener, address, unit, closed, stop.clone()));
    }
    tasks.spawn(pace(Arc::clone(&world), scenario.speed, gates, stop.clone()));
    Ok(Running { site: rewritten(site, &served), world, stop, tasks })
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    // A panic while the hall was stepped shows in the task that panicked; readers go on with what there is.
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Host and port as the site has them.
type LinkName = (String, u16);

/// The devices of each link by unit id.
fn links(
    site: &Site,
    world: &World,
    holes: Holes,
) -> Result<BTreeMap<LinkName, HashMap<u8, Image>>, StartError> {
    let mut links: BTreeMap<LinkName, HashMap<u8, Image>> = BTreeMap::new();
    let mut missing = Vec::new();
    for device in &site.devices {
        let Address::ModbusTcp { host, port, unit } = &device.address else { continue };
        let image = match Image::of(site, device, world, holes) {
            Ok(image) => image,
            Err(unsupplied) => {
                missing.extend(unsupplied);
                continue;
            }
        };
        let units = links.entry((host.clone(), *port)).or_default();
        if units.insert(*unit, image).is_some() {
            return Err(StartError::SameUnit(device.address.to_string()));
        }
    }
    if missing.is_empty() { Ok(links) } else { Err(StartError::Unsupplied(missing)) }
}

fn ports(
    links: &BTreeMap<LinkName, HashMap<u8, Image>>,
    ports: Ports,
) -> Result<Vec<u16>, StartError> {
    let names = links.keys();
    match ports {
        Ports::Free => Ok(names.map(|_| 0).collect()),
        Ports::Configured => Ok(names.map(|(_, port)| *port).collect()),
        Ports::From(first) => {
            let free = (first..=u16::MAX).take(links.len());
            let chosen: Vec<u16> = free.collect();
            let enough = chosen.len() == links.len();
            enough.then_some(chosen).ok_or(StartError::TooManyLinks(links.len()))
        }
    }
}

fn rewritten(site: &Site, served: &HashMap<LinkName, SocketAddr>) -> Site {
    let mut site = site.clone();
    for device in &mut site.devices {
        let Address::ModbusTcp { host, port, .. } = &mut device.address else { continue };
        if let Some(address) = served.get(&(host.clone(), *port)) {
            *host = address.ip().to_string();
            *port = address.port();
        }
    }
    site
}

/// Shuts a link while one of its devices is to refuse connections.
struct Gate {
    devices: Vec<rules::plant::AssetId>,
    closed: watch::Sender<bool>,
}

/// Moves the hall on with the wall clock, a whole number of steps at a time.
async fn pace(world: Arc<Mutex<World>>, speed: f64, gates: Vec<Gate>, stop: CancellationToken) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = Instant::now();
    let mut owed_s = 0.0;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = Instant::now();
        owed_s += (now - last).as_secs_f64() * speed;
        last = now;
        owed_s = f64::min(owed_s, CATCH_UP_S);
        while owed_s >= STEP_S {
            owed_s -= STEP_S;
            // Taken anew for each step, so that nobody who reads a register waits for a long catch-up.
            lock(&world).step();
        }
        set_gates(&world, &gates);
    }
}

fn set_gates(world: &Mutex<World>, gates: &[Gate]) {
    let world = lock(world);
    for gate in gates {
        let refuses = |device| world.fault(device) == Some(DeviceFault::Refused);
        let closed = gate.devices.iter().any(|device| refuses(*device));
        gate.closed.send_if_modified(|before| std::mem::replace(before, closed) != closed);
    }
}

/// Listens, except while the gate is shut: then the port is closed and every connection is dropped.
async fn serve_link(
    listener: TcpListener,
    address: SocketAddr,
    link: Arc<Link>,
    mut closed: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    let mut listener = Some(listener);
    let serving = async {
        loop {
            if let Some(open) = listener.take() {
                tokio::select! {
                    () = serve(open, Arc::clone(&link)) => {}
                    _ = closed.wait_for(|closed| *closed) => {}
                }
            }
            if closed.wait_for(|closed| !*closed).await.is_err() {
                return;
            }
            match TcpListener::bind(address).await {
                Ok(open) => listener = Some(open),
                Err(error) => {
                    tracing::warn!(%address, %error, "cannot listen again");
                    sleep(REOPEN_AFTER).await;
                }
            }
        }
    };
    stop.run_until_cancelled(serving).await;
}

async fn serve(listener: TcpListener, link: Arc<Link>) {
    let connect = |stream, _| {
        let link = Arc::clone(&link);
        async move { Ok(Some((link, stream))) }
    };
    let broken = |error: io::Error| tracing::debug!(%error, "connection ended");
    if let Err(error) = Server::new(listener).serve(&connect, broken).await {
        tracing::warn!(%error, "cannot accept");
        sleep(REOPEN_AFTER).await;
    }
}

/// The devices behind one port.
#[derive(Debug)]
struct Link {
    images: HashMap<u8, Image>,
    world: Arc<Mutex<World>>,
}

/// What a device does with a request.
enum Answer {
    Now(Result<Response, ExceptionCode>),
    Later(Duration, Result<Response, ExceptionCode>),
    Never,
}

impl Link {
    fn answer(&self, unit: u8, request: &Request<'_>) -> Answer {
        let Some(image) = self.images.get(&unit) else {
            return Answer::Now(Err(ExceptionCode::GatewayTargetDevice));
        };
        let world = lock(&self.world);
        match world.fault(image.device) {
            Some(DeviceFault::Silent | DeviceFault::Refused) => Answer::Never,
            Some(DeviceFault::Slow(delay)) => Answer::Later(delay, respond(image, &world, request)),
            Some(DeviceFault::Stale) | None => Answer::Now(respond(image, &world, request)),
        }
    }
}

impl Service for Link {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = Pin<Box<dyn Future<Output = Result<Option<Response>, ExceptionCode>> + Send>>;

    fn call(&self, request: Self::Request) -> Self::Future {
        let answer = self.answer(request.slave, &request.request);
        Box::pin(async move {
            match answer {
                Answer::Now(response) => response.map(Some),
                Answer::Later(delay, response) => {
                    sleep(delay).await;
                    response.map(Some)
                }
                Answer::Never => Ok(None),
            }
        })
    }
}

/// Reads only: every other function is refused with exception 1.
fn respond(image: &Image, world: &World, request: &Request<'_>) -> Result<Response, ExceptionCode> {
    let read = |table, start, count, most| {
        if !(1..=most).contains(&count) {
            return Err(ExceptionCode::IllegalDataValue);
        }
        image.read(world, table, start, count).map_err(|_| ExceptionCode::IllegalDataAddress)
    };
    let bits = |words: Vec<u16>| words.into_iter().map(|word| word != 0).collect();
    match *request {
        Request::ReadCoils(start, count) => {
            read(Table::Coil, start, count, 2000).map(|words| Response::ReadCoils(bits(words)))
        }
        Request::ReadDiscreteInputs(start, count) => read(Table::DiscreteInput, start, count, 2000)
            .map(|words| Response::ReadDiscreteInputs(bits(words))),
        Request::ReadHoldingRegisters(start, count) => {
            read(Table::Holding, start, count, 125).map(Response::ReadHoldingRegisters)
        }
        Request::ReadInputRegisters(start, count) => {
            read(Table::Input, start, count, 125).map(Response::ReadInputRegisters)
        }
        _ => Err(ExceptionCode::IllegalFunction),
    }
}
