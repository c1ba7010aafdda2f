//! The collector against devices on real sockets.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod device;
mod hall;

use std::time::Duration;

use configs::{
    codec::Encoding,
    profile::{ModbusPoint, Table},
};
use rules::{
    units::Unit,
    value::{NoData, Value},
};

use crate::{
    device::{Answer, Asked, Device, bits, registers},
    hall::{Hall, PATIENCE, Polled, holding, point},
};

const POLL: Duration = Duration::from_millis(100);
/// Long enough for a busy machine to answer in.
const TIMEOUT: Duration = Duration::from_millis(250);

fn polled<'a>(name: &'a str, device: &Device, unit: u8, points: Vec<ModbusPoint>) -> Polled<'a> {
    Polled { name, at: device.address, unit, poll_every: POLL, timeout: TIMEOUT, points }
}

/// Every register holds its own address.
fn addresses(asked: Asked) -> Answer {
    registers(asked, |address| address)
}

#[tokio::test]
async fn every_table_and_width_arrives_in_the_unit_of_its_point() {
    let device = Device::start(|asked| match asked.function {
        1 => bits(asked, |address| address == 20),
        2 => bits(asked, |address| address != 300),
        4 => registers(asked, |address| [0x4248, 0x0000][usize::from(address)]),
        _ => registers(asked, |address| match address {
            10 => 0xFFF6,
            11 => 0x0001,
            12 => 0x86A0,
            65_535 => 42,
            other => other,
        }),
    })
    .await;
    let watts = |point: ModbusPoint| ModbusPoint { unit: Unit::parse("W").unwrap(), ..point };
    let bit = Encoding::Bits { first: 0, width: 1 };
    let points = vec![
        point("below_zero", Table::Holding, 10, Encoding::I16),
        watts(point("power", Table::Holding, 11, Encoding::U32)),
        holding("last_register", 65_535),
        point("end_of_block", Table::Holding, 134, Encoding::U16),
        point("float", Table::Input, 0, Encoding::F32),
        point("coil_on", Table::Coil, 20, bit),
        point("coil_off", Table::Coil, 19, bit),
        point("input_off", Table::DiscreteInput, 300, bit),
        point("input_on", Table::DiscreteInput, 0, bit),
    ];
    let mut hall = Hall::of(vec![polled("pdu", &device, 7, points)]);
    hall.until("all points", |hall| hall.link("pdu").is_some()).await;

    assert!(hall.is("pdu.below_zero", -10.0));
    assert!(hall.is("pdu.power", 100.0));
    assert!(hall.is("pdu.last_register", 42.0));
    assert!(hall.is("pdu.end_of_block", 134.0));
    assert!(hall.is("pdu.float", 50.0));
    for (name, state) in
        [("pdu.coil_on", 1), ("pdu.coil_off", 0), ("pdu.input_off", 0), ("pdu.input_on", 1)]
    {
        assert_eq!(hall.value(name), Some(Ok(Value::State(state))), "{name}");
    }
    assert!(matches!(hall.value("pdu.comms.reply_time"), Some(Ok(Value::Number(ms))) if ms > 0.0));
    let link = hall.link("pdu").unwrap();
    assert!(link.up && link.trouble.is_none() && link.points == 9, "{link:?}");
    // One read a table, but two of the holding registers: 10 to 134 is a whole block of 125.
    assert_eq!(device.asked().iter().filter(|asked| asked.count == 125).count(), 1);
    assert!(device.asked().iter().all(|asked| asked.unit == 7));
}

#[tokio::test]
async fn a_hole_that_the_device_refuses_costs_no_point() {
    let refuses_the_hole = |asked: Asked| {
        if asked.touches(5) { Answer::Exception(2) } else { addresses(asked) }
    };
    let device = Device::start(refuses_the_hole).await;
    let points = vec![holding("below", 4), holding("above", 6)];
    let mut hall = Hall::of(vec![polled("cdu", &device, 1, points)]);
    for _ in 0..3 {
        let below = hall.samples("cdu.below", 1).await.remove(0);
        assert_eq!(below.value, Ok(Value::Number(4.0)));
    }
    hall.until("the other side", |hall| hall.is("cdu.above", 6.0)).await;
    // Asked across the hole once, and remembered.
    assert_eq!(device.asked().iter().filter(|asked| asked.touches(5)).count(), 1);
}

#[tokio::test]
async fn one_register_that_the_device_does_not_have_costs_its_own_point_only() {
    let lacks_one = |asked: Asked| {
        if asked.touches(3) { Answer::Exception(2) } else { addresses(asked) }
    };
    let device = Device::start(lacks_one).await;
    let names: Vec<String> = (0..9).map(|address| format!("r{address}")).collect();
    let points = names.iter().zip(0..).map(|(name, address)| holding(name, address)).collect();
    let mut hall = Hall::of(vec![polled("cdu", &device, 1, points)]);
    hall.until("a whole poll", |hall| hall.link("cdu").is_some()).await;
    for (name, address) in names.iter().zip(0_u16..) {
        let expected =
            if address == 3 { Err(NoData::Refused(2)) } else { Ok(Value::Number(address.into())) };
        assert_eq!(hall.value(&format!("cdu.{name}")), Some(expected), "{name}");
    }
    let link = hall.link("cdu").unwrap();
    assert!(link.up, "{link:?}");
    assert_eq!(link.trouble.as_deref(), Some("refused by the device (exception 2)"));

    // It is asked for less and less often, its point keeps saying why, and the others come with every poll.
    let asked = || device.asked().iter().filter(|asked| asked.touches(3)).count();
    let before = asked();
    let refused = hall.samples("cdu.r3", 15).await;
    assert!(refused.iter().all(|sample| sample.value == Err(NoData::Refused(2))), "{refused:?}");
    assert!(asked() - before < 6, "{} requests in 15 polls", asked() - before);
    device.behave(addresses);
    hall.until("it is there after all", |hall| hall.is("cdu.r3", 3.0)).await;
}

#[tokio::test]
async fn a_device_that_refuses_everything_is_asked_in_whole_blocks_again() {
    let device = Device::start(|_| Answer::Exception(2)).await;
    let points = (0..60).map(|n| holding(&format!("r{n}"), n)).collect();
    let mut hall = Hall::of(vec![polled("cdu", &device, 1, points)]);
    hall.until("refusal", |hall| hall.lacks("cdu.r59", NoData::Refused(2))).await;
    device.behave(addresses);
    hall.until("values", |hall| hall.is("cdu.r59", 59.0)).await;
    assert_eq!(device.asked().last().unwrap().count, 60);
}

#[tokio::test]
async fn a_device_that_stops_turns_its_points_bad_within_three_polls_and_heals_when_it_is_back() {
    let device = Device::start(addresses).await;
    let slow = ModbusPoint { poll_every: Some(PATIENCE * 100), ..holding("serial", 20) };
    let mut hall = Hall::of(vec![polled("cdu", &device, 1, vec![slow, holding("flow", 2000)])]);
    let good = |hall: &Hall| hall.is("cdu.flow", 2000.0) && hall.is("cdu.serial", 20.0);
    hall.until("values", good).await;

    device.stop();
    let stopped = hall.clock.now();
    let mut after = hall.samples("cdu.flow", 5).await;
    after.retain(|sample| sample.at > stopped);
    let bad = after.iter().position(|sample| sample.value == Err(NoData::Unreachable));
    assert!(bad.is_some_and(|polls| polls < 3), "{after:?}");
    assert!(
        hall.lacks("cdu.serial", NoData::Unreachable),
        "what is polled slowly has no value either"
    );
    hall.until("status", |hall| hall.link("cdu").is_some_and(|link| !link.up)).await;
    assert!(hall.lacks("cdu.comms.reply_time", NoData::Unreachable));
    assert!(hall.link("cdu").unwrap().trouble.is_some());

    device.start_again().await;
    hall.until("values again", good).await;
    hall.until("status again", |hall| hall.link("cdu").is_some_and(|link| link.up)).await;

    // Falling silent is another way to be gone.
    device.behave(|_| Answer::Silence);
    let silent = |hall: &Hall| {
        hall.lacks("cdu.flow", NoData::Timeout) && hall.lacks("cdu.serial", NoData::Timeout)
    };
    hall.until("silence", silent).await;
    device.behave(addresses);
    hall.until("values once more", good).await;
}

#[tokio::test]
async fn a_device_that_is_not_there_yet_is_found_when_it_comes() {
    let device = Device::start(addresses).await;
    device.stop();
    let mut hall = Hall::of(vec![polled("cdu", &device, 1, vec![holding("flow", 30)])]);
    hall.until("bad", |hall| hall.lacks("cdu.flow", NoData::Unreachable)).await;
    device.start_again().await;
    hall.until("good", |hall| hall.is("cdu.flow", 30.0)).await;
}

#[tokio::test]
async fn a_silent_unit_does_not_hold_up_its_neighbour_and_says_so_at_every_poll() {
    let device = Device::start(|asked| match asked.unit {
        1 => addresses(asked),
        _ => Answer::Silence,
    })
    .await;
    // The dead ones come first in the site.
    let mut hall = Hall::of(vec![
        polled("dead-1", &device, 8, vec![holding("flow", 30), holding("far", 2000)]),
        polled("dead-2", &device, 9, vec![holding("flow", 30)]),
        polled("live", &device, 1, vec![holding("flow", 30)]),
    ]);
    let live = hall.samples("live.flow", 15).await;
    assert!(live.iter().all(|sample| sample.value == Ok(Value::Number(30.0))), "{live:?}");
    assert!(
        hall.lacks("dead-1.flow", NoData::Timeout) && hall.lacks("dead-1.far", NoData::Timeout)
    );
    assert!(hall.lacks("dead-2.comms.reply_time", NoData::Timeout));

    let asked = device.asked();
    // After the first poll, in which nobody was known to be dead, never two dead ones in a row.
    let held_up = asked.windows(2).skip(2).any(|pair| pair.iter().all(|asked| asked.unit != 1));
    assert!(!held_up, "{asked:?}");
    let probes = |unit| asked.iter().filter(|asked| asked.unit == unit).count();
    assert!(probes(8) < 6 && probes(9) < 6, "{asked:?}");

    // At the pace of its polls, not of its probes.
    let said = hall.samples("dead-1.far", 6).await;
    let span = said[5].at.since(said[0].at);
    assert!(span < POLL * 5 + TIMEOUT * 4, "{span:?}");

    device.behave(addresses);
    hall.until("back", |hall| hall.is("dead-1.far", 2000.0) && hall.is("dead-2.flow", 30.0)).await;
}

#[tokio::test]
async fn a_gateway_that_cannot_reach_a_unit_is_asked_less_often() {
    let device = Device::start(|asked| match asked.unit {
        1 => addresses(asked),
        _ => Answer::Exception(11),
    })
    .await;
    let mut hall = Hall::of(vec![
        polled("gone", &device, 9, vec![holding("flow", 30), holding("far", 2000)]),
        polled("live", &device, 1, vec![holding("flow", 30)]),
    ]);
    let said = hall.samples("gone.far", 20).await;
    assert!(said.iter().all(|sample| sample.value == Err(NoData::Refused(11))), "{said:?}");
    let asked = device.asked();
    assert!(asked.iter().filter(|asked| asked.unit == 9).count() < 8, "{asked:?}");
    assert!(
        asked.iter().all(|asked| asked.unit == 1 || asked.address == 30 || asked.address == 2000)
    );
}

#[tokio::test]
async fn a_block_that_is_never_answered_costs_its_own_points_only() {
    let device =
        Device::start(|asked| if asked.touches(1000) { Answer::Silence } else { addresses(asked) })
            .await;
    let points = vec![holding("first", 0), holding("second", 1000), holding("third", 2000)];
    let mut hall = Hall::of(vec![polled("cdu", &device, 1, points)]);
    hall.until("both others", |hall| hall.is("cdu.first", 0.0) && hall.is("cdu.third", 2000.0))
        .await;
    let third = hall.samples("cdu.third", 10).await;
    assert!(third.iter().all(|sample| sample.value == Ok(Value::Number(2000.0))), "{third:?}");
    assert!(hall.lacks("cdu.second", NoData::Timeout));
}

#[tokio::test]
async fn a_point_may_be_read_less_often_than_its_device() {
    let device = Device::start(addresses).await;
    let slow = ModbusPoint { poll_every: Some(POLL * 10), ..holding("slow", 2000) };
    let mut hall = Hall::of(vec![polled("cdu", &device, 1, vec![holding("fast", 0), slow])]);
    hall.samples("cdu.slow", 3).await;
    let asked = |address| device.asked().iter().filter(|asked| asked.address == address).count();
    assert!(asked(0) > 2 * asked(2000), "{} and {}", asked(0), asked(2000));
}

#[tokio::test]
async fn a_slow_point_that_failed_does_not_wait_for_its_next_turn() {
    let device = Device::start(|_| Answer::Exception(6)).await;
    let slow = ModbusPoint { poll_every: Some(PATIENCE * 100), ..holding("slow", 2000) };
    let mut hall = Hall::of(vec![polled("cdu", &device, 1, vec![holding("fast", 0), slow])]);
    hall.until("busy", |hall| hall.lacks("cdu.slow", NoData::Refused(6))).await;
    device.behave(addresses);
    hall.until("value", |hall| hall.is("cdu.slow", 2000.0)).await;
}

#[tokio::test]
async fn a_device_is_not_called_down_for_a_point_that_it_does_not_have() {
    let lacks_one =
        |asked: Asked| if asked.touches(3) { Answer::Exception(2) } else { addresses(asked) };
    let device = Device::start(lacks_one).await;
    let slow = ModbusPoint { poll_every: Some(PATIENCE * 100), ..holding("slow", 2000) };
    let mut hall = Hall::of(vec![polled("cdu", &device, 1, vec![slow, holding("missing", 3)])]);
    // Between its probes, the missing point is all that is due.
    let missing = hall.samples("cdu.missing", 5).await;
    assert!(missing.iter().all(|sample| sample.value == Err(NoData::Refused(2))), "{missing:?}");
    assert!(matches!(hall.value("cdu.comms.reply_time"), Some(Ok(_))));
    assert!(hall.link("cdu").is_some_and(|link| link.up));
}

/// Every second register is missing: no two points can be read together.
#[tokio::test]
async fn many_holes_are_found_in_a_few_polls() {
    let device = Device::start(|asked| {
        let missing = (0..40).any(|n| asked.touches(n * 4 + 2));
        if missing { Answer::Exception(2) } else { addresses(asked) }
    })
    .await;
    let points = (0..40).map(|n| holding(&format!("r{n}"), n * 4)).collect();
    let mut hall = Hall::of(vec![polled("cdu", &device, 1, points)]);
    hall.until("all", |hall| (0..40_u16).all(|n| hall.is(&format!("cdu.r{n}"), f64::from(n * 4))))
        .await;
}

#[tokio::test]
async fn devices_of_one_host_and_port_share_one_connection() {
    let device = Device::start(addresses).await;
    let mut hall = Hall::of(vec![
        polled("a", &device, 1, vec![holding("flow", 1)]),
        polled("b", &device, 2, vec![holding("flow", 2)]),
    ]);
    hall.until("both", |hall| hall.is("a.flow", 1.0) && hall.is("b.flow", 2.0)).await;
    assert_eq!(device.connections(), 1);
}

#[tokio::test]
async fn a_gateway_that_does_not_take_samples_slows_polling_and_loses_none() {
    let device = Device::start({
        let mut polls = 0;
        move |asked| {
            polls += 1;
            registers(asked, |_| polls)
        }
    })
    .await;
    let points = vec![holding("count", 0)];
    let mut hall = Hall::with_queue(vec![polled("cdu", &device, 1, points)], 1);
    // That nothing happens is only seen by waiting: the queue is full after the first answer.
    tokio::time::sleep(POLL * 5).await;
    let asked = device.asked().len();
    assert!(asked <= 2, "{asked} polls into a full queue");
    let taken = hall.samples("cdu.count", 5).await;
    let numbers: Vec<_> = taken.into_iter().map(|sample| sample.value.unwrap()).collect();
    assert_eq!(numbers, [1.0, 2.0, 3.0, 4.0, 5.0].map(Value::Number));
}

#[tokio::test]
async fn stopping_ends_every_link() {
    let device = Device::start(|_| Answer::Silence).await;
    let hall = Hall::of(vec![polled("cdu", &device, 1, vec![holding("flow", 1)])]);
    hall.stop.cancel();
    assert_eq!(hall.collector.restarts(), 0);
    tokio::time::timeout(PATIENCE, hall.collector.stopped()).await.unwrap();
}
