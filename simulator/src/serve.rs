//! Serves a simulated site on real Modbus TCP ports and through an MQTT broker, at the pace of the wall clock.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use configs::{
    address::{Address, Credentials},
    site::Site,
};
use rules::plant::AssetId;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    feed::Feed,
    hall::STEP_S,
    image::{Holes, Image},
    modbus, publish,
    scenario::Scenario,
    shared::SharedWorld,
    world::{DeviceFault, World, WorldError},
};

/// How often the hall is moved on, in wall time.
const TICK: Duration = Duration::from_millis(100);
/// Most simulated seconds in one tick; what a busy machine cannot keep up with is left out of simulated time.
const CATCH_UP_S: f64 = 120.0;

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

/// Where MQTT devices publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Brokers {
    /// At brokers inside the simulator, on ports by [`Ports`].
    #[default]
    Own,
    /// At the brokers that the site names, which must be there.
    OfSite,
}

/// How to serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub ports: Ports,
    pub brokers: Brokers,
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
    world: SharedWorld,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    /// The site with every address rewritten to where it is served now.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Looks at the truth, between two steps.
    pub fn look<T>(&self, at: impl FnOnce(&World) -> T) -> T {
        at(&self.world.lock())
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

/// Serves the devices of a site under a scenario, until `stop` or [`Running::stop`]. Needs a tokio runtime.
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
    let links = Links::of(site, &world, options.holes)?;
    let mut server = Server {
        ports: links.ports(options.ports)?.into_iter(),
        world: SharedWorld::new(world),
        stop: stop.child_token(),
        tasks: JoinSet::new(),
        gates: Vec::new(),
        served: HashMap::new(),
    };
    for (name, images) in links.modbus {
        server.serve_modbus(name, images).await?;
    }
    for (name, (credentials, feeds)) in links.mqtt {
        match options.brokers {
            Brokers::Own => server.serve_mqtt(name, feeds).await?,
            Brokers::OfSite => {
                let link = publish::Link::at_broker(&name.0, name.1, credentials, feeds);
                let closed = server.gate(Vec::new());
                server.tasks.spawn(link.run(server.world.clone(), closed, server.stop.clone()));
            }
        }
    }
    let Server { world, stop, mut tasks, gates, served, .. } = server;
    tasks.spawn(pace(world.clone(), scenario.speed, gates, stop.clone()));
    Ok(Running { site: rewritten(site, &served), world, stop, tasks })
}

/// What is being put up.
struct Server {
    ports: std::vec::IntoIter<u16>,
    world: SharedWorld,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    gates: Vec<Gate>,
    served: HashMap<LinkName, SocketAddr>,
}

impl Server {
    async fn serve_modbus(
        &mut self,
        name: LinkName,
        images: HashMap<u8, Image>,
    ) -> Result<(), StartError> {
        let asked = self.next_address();
        let listening = |source| StartError::Listen { address: asked, source };
        let listener = TcpListener::bind(asked).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        self.served.insert(name, address);
        let closed = self.gate(images.values().map(|image| image.device).collect());
        let link = Arc::new(modbus::Link { images, world: self.world.clone() });
        self.tasks.spawn(modbus::serve(listener, address, link, closed, self.stop.clone()));
        Ok(())
    }

    async fn serve_mqtt(&mut self, name: LinkName, feeds: Vec<Feed>) -> Result<(), StartError> {
        let asked = self.next_address();
        let listening = |source| StartError::Listen { address: asked, source };
        let closed = self.gate(feeds.iter().map(|feed| feed.device).collect());
        let (link, address) =
            publish::Link::with_own_broker(asked, feeds).await.map_err(listening)?;
        self.served.insert(name, address);
        self.tasks.spawn(link.run(self.world.clone(), closed, self.stop.clone()));
        Ok(())
    }

    fn next_address(&mut self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.ports.next().unwrap_or(0))
    }

    /// Says whether a link is to be shut for one of its devices.
    fn gate(&mut self, devices: Vec<AssetId>) -> watch::Receiver<bool> {
        let (gate, closed) = watch::channel(false);
        self.gates.push(Gate { devices, closed: gate });
        closed
    }
}

/// Host and port as the site has them.
type LinkName = (String, u16);

/// What is to be served, by link.
#[derive(Default)]
struct Links {
    /// The devices by unit id.
    modbus: BTreeMap<LinkName, HashMap<u8, Image>>,
    mqtt: BTreeMap<LinkName, (Option<Credentials>, Vec<Feed>)>,
}

impl Links {
    fn of(site: &Site, world: &World, holes: Holes) -> Result<Self, StartError> {
        let mut links = Self::default();
        let mut missing = Vec::new();
        for device in &site.devices {
            match &device.address {
                Address::ModbusTcp { host, port, unit } => {
                    let units = links.modbus.entry((host.clone(), *port)).or_default();
                    match Image::of(site, device, world, holes) {
                        Ok(image) => {
                            if units.insert(*unit, image).is_some() {
                                return Err(StartError::SameUnit(device.address.to_string()));
                            }
                        }
                        Err(unsupplied) => missing.extend(unsupplied),
                    }
                }
                Address::Mqtt { host, port, credentials } => {
                    let (login, feeds) = links.mqtt.entry((host.clone(), *port)).or_default();
                    login.clone_from(credentials);
                    match Feed::of(site, device, world) {
                        Ok(feed) => feeds.push(feed),
                        Err(unsupplied) => missing.extend(unsupplied),
                    }
                }
            }
        }
        if missing.is_empty() { Ok(links) } else { Err(StartError::Unsupplied(missing)) }
    }

    /// One port for each link, those of Modbus first.
    fn ports(&self, ports: Ports) -> Result<Vec<u16>, StartError> {
        let names = self.modbus.keys().chain(self.mqtt.keys());
        let count = self.modbus.len() + self.mqtt.len();
        match ports {
            Ports::Free => Ok(vec![0; count]),
            Ports::Configured => Ok(names.map(|(_, port)| *port).collect()),
            Ports::From(first) => {
                let chosen: Vec<u16> = (first..=u16::MAX).take(count).collect();
                let enough = chosen.len() == count;
                enough.then_some(chosen).ok_or(StartError::TooManyLinks(count))
            }
        }
    }
}

fn rewritten(site: &Site, served: &HashMap<LinkName, SocketAddr>) -> Site {
    let mut site = site.clone();
    for device in &mut site.devices {
        let (Address::ModbusTcp { host, port, .. } | Address::Mqtt { host, port, .. }) =
            &mut device.address;
        if let Some(address) = served.get(&(host.clone(), *port)) {
            *host = address.ip().to_string();
            *port = address.port();
        }
    }
    site
}

/// Shuts a link while one of its devices is to refuse connections.
struct Gate {
    devices: Vec<AssetId>,
    closed: watch::Sender<bool>,
}

/// Moves the hall on with the wall clock, a whole number of steps at a time.
async fn pace(world: SharedWorld, speed: f64, gates: Vec<Gate>, stop: CancellationToken) {
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
            world.lock().step();
        }
        set_gates(&world, &gates);
    }
}

fn set_gates(world: &SharedWorld, gates: &[Gate]) {
    let world = world.lock();
    for gate in gates {
        let refuses = |device| world.fault(device) == Some(DeviceFault::Refused);
        let closed = gate.devices.iter().any(|device| refuses(*device));
        gate.closed.send_if_modified(|before| std::mem::replace(before, closed) != closed);
    }
}
