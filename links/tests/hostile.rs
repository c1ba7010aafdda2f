//! Arbitrary bytes against the in-process broker.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use links::broker::Broker;
use proptest::prelude::*;

/// CONNECT of the client `abc`, clean session, keep-alive 60 s.
const CONNECT: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03abc";
const CONNACK: &[u8] = b"\x20\x02\x00\x00";
const PINGREQ: &[u8] = b"\xc0\x00";
const PINGRESP: &[u8] = b"\xd0\x00";

/// Sends bytes, then everything the broker answers until it closes.
fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // The broker may have closed already: that is an answer, too.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Bytes that look like packets: a type, a length that is often right, a body.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let packet = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40), any::<bool>(), 0..6_u8);
    prop::collection::vec(packet, 1..6).prop_map(|packets| {
        packets
            .into_iter()
            .flat_map(|(first, body, honest, off)| {
                let length = u8::try_from(body.len()).unwrap();
                let length = if honest { length } else { length.wrapping_add(off) };
                [first, length].into_iter().chain(body)
            })
            .collect()
    })
}

#[test]
fn nothing_that_a_client_sends_harms_the_broker() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(Broker::start(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
    let address = broker.address();
    let bytes = prop_oneof![prop::collection::vec(any::<u8>(), 0..200), packets()];
    proptest!(ProptestConfig::with_cases(400), |(bytes in bytes, greets in any::<bool>())| {
        let sent = if greets { [CONNECT, &bytes].concat() } else { bytes };
        exchange(address, &sent);
        prop_assert_eq!(broker.tally().panicked, 0);
    });
    let healthy = exchange(address, &[CONNECT, PINGREQ].concat());
    assert_eq!(healthy, [CONNACK, PINGRESP].concat());
    assert_eq!(broker.tally().panicked, 0);
    runtime.block_on(broker.stop());
}
