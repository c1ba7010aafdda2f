//! A session over a pipe in memory, against a device that may send anything.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

fn holding(unit: u8, address: u16, count: u16) -> Read {
    Read { unit, table: Table::HoldingRegisters, address, count }
}

fn connected() -> (Session, DuplexStream) {
    let (ours, device) = duplex(4096);
    (Session::over(ours), device)
}

/// Takes one request, sends `bytes`, hangs up.
async fn answer(device: &mut DuplexStream, bytes: &[u8]) {
    let mut request = [0; 12];
    device.read_exact(&mut request).await.unwrap();
    device.write_all(bytes).await.unwrap();
}

#[tokio::test]
async fn what_came_before_the_request_is_not_its_answer() {
    let (mut session, mut device) = connected();
    // Right in every respect, with the id of the request to come: 0.
    device.write_all(&[0, 0, 0, 0, 0, 5, 1, 3, 2, 0x66, 0x66]).await.unwrap();
    let (reply, ()) = tokio::join!(
        session.read(holding(1, 9, 1), PATIENCE),
        answer(&mut device, &[0, 0, 0, 0, 0, 5, 1, 3, 2, 0, 9]),
    );
    assert_eq!(reply.unwrap().data, Answer::Words(vec![9]));
    assert_eq!(session.discarded.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_answer_in_single_bytes_is_put_together() {
    let (mut session, mut device) = connected();
    let slow = async {
        let mut request = [0; 12];
        device.read_exact(&mut request).await.unwrap();
        for byte in [0, 0, 0, 0, 0, 5, 1, 3, 2, 0, 9] {
            device.write_u8(byte).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (reply, ()) = tokio::join!(session.read(holding(1, 9, 1), PATIENCE), slow);
    assert_eq!(reply.unwrap().data, Answer::Words(vec![9]));
}

/// What an answer to request 0 must be, read off the bytes without the code under test. `None`: no answer in there.
fn expected(bytes: &[u8], read: Read) -> Option<Vec<u16>> {
    let mut rest = bytes;
    let mut foreign = 0;
    loop {
        let length = usize::from(u16::from_be_bytes([*rest.get(4)?, *rest.get(5)?]));
        if rest.get(2..4)? != [0, 0] || !(2..=254).contains(&length) {
            return None;
        }
        let body = rest.get(6..6 + length)?;
        if rest.get(..2)? == [0, 0] {
            let wanted_bytes = u8::try_from(read.count * 2).ok()?;
            let head = [read.unit, 3, wanted_bytes];
            let data = body.strip_prefix(&head)?;
            let whole = data.len() == usize::from(wanted_bytes);
            let word = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]);
            return whole.then(|| data.chunks(2).map(word).collect());
        }
        foreign += 1;
        if foreign >= frames::FOREIGN_FRAMES_MAX {
            return None;
        }
        rest = rest.get(6 + length..)?;
    }
}

/// Frames that are nearly right, right, or not frames at all.
fn device_bytes() -> impl Strategy<Value = Vec<u8>> {
    let frame = (
        prop_oneof![3 => Just(0_u16), 1 => 1..4_u16],
        prop_oneof![9 => Just(0_u16), 1 => any::<u16>()],
        prop_oneof![5 => Just(1_u8), 1 => any::<u8>()],
        prop_oneof![6 => Just(3_u8), 1 => Just(0x83), 1 => any::<u8>()],
        prop_oneof![6 => Just(4_u8), 1 => any::<u8>()],
        prop_oneof![6 => prop::collection::vec(any::<u8>(), 4), 1 => prop::collection::vec(any::<u8>(), 0..300)],
        prop_oneof![9 => Just(0_u16), 1 => 0..300_u16],
    )
        .prop_map(|(id, protocol, unit, function, count, data, excess)| {
            let length = u16::try_from(data.len()).unwrap() + 3 + excess;
            let header = [id, protocol, length].map(u16::to_be_bytes).concat();
            [&header[..], &[unit, function, count], &data].concat()
        });
    let garbage = prop::collection::vec(any::<u8>(), 0..40);
    prop::collection::vec(prop_oneof![5 => frame, 1 => garbage], 0..5)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn only_the_answer_to_the_request_is_a_value(bytes in device_bytes()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let wanted = holding(1, 7, 2);
        let outcome = runtime.block_on(async {
            let (mut session, mut device) = connected();
            let hangs_up = async move { answer(&mut device, &bytes).await; (bytes, drop(device)) };
            let (outcome, (bytes, ())) = tokio::join!(session.read(wanted, PATIENCE), hangs_up);
            (outcome, expected(&bytes, wanted))
        });
        match outcome {
            (Ok(reply), Some(words)) => prop_assert_eq!(reply.data, Answer::Words(words)),
            (Err(why), None) => prop_assert!(!matches!(why, ReadError::Timeout(_))),
            (outcome, expected) => prop_assert!(false, "{outcome:?}, but {expected:?} was sent"),
        }
    }
}
