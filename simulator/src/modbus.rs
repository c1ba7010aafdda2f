//! One Modbus TCP port with the devices behind it.

use std::{
    collections::HashMap, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration,
};

use configs::profile::Table;
use tokio::{net::TcpListener, sync::watch, time::sleep};
use tokio_modbus::{
    ExceptionCode, Request, Response, SlaveRequest,
    server::{Service, tcp::Server},
};
use tokio_util::sync::CancellationToken;

use crate::{
    image::Image,
    shared::SharedWorld,
    world::{DeviceFault, World},
};

/// Pause before a port that could not be opened again is tried once more.
const REOPEN_AFTER: Duration = Duration::from_millis(200);

/// The devices behind one port, by unit id.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) images: HashMap<u8, Image>,
    pub(crate) world: SharedWorld,
}

/// Listens, except while the gate is shut: then the port is closed and every connection is dropped.
pub(crate) async fn serve(
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
                    () = accept(open, Arc::clone(&link)) => {}
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

async fn accept(listener: TcpListener, link: Arc<Link>) {
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
        let world = self.world.lock();
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
