//! A Modbus TCP device written byte by byte, without the codec under test.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A request as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) unit: u8,
    pub(crate) function: u8,
    pub(crate) address: u16,
    pub(crate) count: u16,
}

impl Asked {
    pub(crate) fn touches(self, address: u16) -> bool {
        let from = u32::from(self.address);
        (from..from + u32::from(self.count)).contains(&u32::from(address))
    }
}

pub(crate) enum Answer {
    /// Function code, byte count, data.
    Pdu(Vec<u8>),
    Exception(u8),
    Silence,
}

type Behaviour = Box<dyn FnMut(Asked) -> Answer + Send>;

#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    behaviour: Behaviour,
    asked: Vec<Asked>,
    connections: u32,
    /// Dropped to stop the device.
    running: Option<JoinSet<()>>,
}

impl Device {
    pub(crate) async fn start(behaviour: impl FnMut(Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Shared {
            behaviour: Box::new(behaviour),
            asked: Vec::new(),
            connections: 0,
            running: None,
        };
        let address = listener.local_addr().unwrap();
        let device = Self { address, shared: Arc::new(Mutex::new(shared)) };
        device.serve(listener);
        device
    }

    /// Closes the port and every connection.
    pub(crate) fn stop(&self) {
        self.shared.lock().unwrap().running = None;
    }

    pub(crate) async fn start_again(&self) {
        self.serve(TcpListener::bind(self.address).await.unwrap());
    }

    pub(crate) fn behave(&self, behaviour: impl FnMut(Asked) -> Answer + Send + 'static) {
        self.shared.lock().unwrap().behaviour = Box::new(behaviour);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.lock().unwrap().asked.clone()
    }

    pub(crate) fn connections(&self) -> u32 {
        self.shared.lock().unwrap().connections
    }

    fn serve(&self, listener: TcpListener) {
        let mut tasks = JoinSet::new();
        let device = self.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                device.shared.lock().unwrap().connections += 1;
                connections.spawn(converse(device.clone(), socket));
            }
        });
        self.shared.lock().unwrap().running = Some(tasks);
    }
}

async fn converse(device: Device, mut socket: TcpStream) {
    let mut request = [0; 12];
    while socket.read_exact(&mut request).await.is_ok() {
        let [
            id_high,
            id_low,
            _,
            _,
            _,
            _,
            unit,
            function,
            address_high,
            address_low,
            count_high,
            count_low,
        ] = request;
        let asked = Asked {
            unit,
            function,
            address: u16::from_be_bytes([address_high, address_low]),
            count: u16::from_be_bytes([count_high, count_low]),
        };
        let answer = {
            let mut shared = device.shared.lock().unwrap();
            shared.asked.push(asked);
            (shared.behaviour)(asked)
        };
        let pdu = match answer {
            Answer::Pdu(pdu) => pdu,
            Answer::Exception(code) => vec![function | 0x80, code],
            Answer::Silence => continue,
        };
        let length = u16::try_from(pdu.len() + 1).unwrap().to_be_bytes();
        let frame = [&[id_high, id_low, 0, 0, length[0], length[1], unit], &pdu[..]].concat();
        if socket.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// Answers a register read with `register(address)`.
pub(crate) fn registers(asked: Asked, register: impl Fn(u16) -> u16) -> Answer {
    let bytes = u8::try_from(asked.count * 2).unwrap();
    let mut pdu = vec![asked.function, bytes];
    for offset in 0..asked.count {
        pdu.extend(register(asked.address + offset).to_be_bytes());
    }
    Answer::Pdu(pdu)
}

/// Answers a bit read with `bit(address)`, first bit lowest.
pub(crate) fn bits(asked: Asked, bit: impl Fn(u16) -> bool) -> Answer {
    let mut data = vec![0_u8; usize::from(asked.count.div_ceil(8))];
    for offset in 0..asked.count {
        data[usize::from(offset / 8)] |= u8::from(bit(asked.address + offset)) << (offset % 8);
    }
    let bytes = u8::try_from(data.len()).unwrap();
    Answer::Pdu([&[asked.function, bytes], &data[..]].concat())
}
