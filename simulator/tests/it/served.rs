//! The demo hall on real sockets, read by a client that knows nothing of coldwatch.

use std::{net::SocketAddr, time::Duration};

use configs::{
    address::Address,
    library::Library,
    profile::{Map, ModbusPoint, Table},
    site::{Device, Site},
};
use rules::value::Value;
use simulator::{
    Options, Running, StartError, demo::demo_site, image::Holes, scenario::Scenario, start,
    truth::Truth,
};
use tokio::time::timeout;
use tokio_modbus::{
    ExceptionCode,
    client::{Context, tcp},
    prelude::{Reader, Slave, SlaveContext},
};
use tokio_util::sync::CancellationToken;

/// Longer than any answer on this machine, shorter than patience.
const PATIENCE: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_millis(250);

fn site() -> Site {
    demo_site(&Library::shipped()).unwrap()
}

fn scenario(text: &str) -> Scenario {
    Scenario::parse("test", &format!("title = \"test\"\nseed = 1\n{text}")).unwrap()
}

async fn run(text: &str) -> Running {
    start(&site(), &scenario(text), Options::default(), &CancellationToken::new()).await.unwrap()
}

fn device<'a>(site: &'a Site, name: &str) -> &'a Device {
    let asset = site.plant.find_asset(name).unwrap();
    site.devices.iter().find(|device| device.asset == asset).unwrap()
}

fn place(running: &Running, name: &str) -> (SocketAddr, u8) {
    match &device(running.site(), name).address {
        Address::ModbusTcp { host, port, unit } => {
            (SocketAddr::new(host.parse().unwrap(), *port), *unit)
        }
        Address::Mqtt { .. } => panic!("{name} is no Modbus device"),
    }
}

async fn client(running: &Running, name: &str) -> Context {
    let (address, unit) = place(running, name);
    tcp::connect_slave(address, Slave(unit)).await.unwrap()
}

async fn read(context: &mut Context, table: Table, start: u16, count: u16) -> Vec<u16> {
    let reply = match table {
        Table::Holding => context.read_holding_registers(start, count).await,
        Table::Input => context.read_input_registers(start, count).await,
        Table::Coil | Table::DiscreteInput => panic!("no bits in the demo"),
    };
    reply.unwrap().unwrap()
}

fn points(device: &Device) -> &[ModbusPoint] {
    match &device.profile.map {
        Map::Modbus(map) => &map.points,
        Map::Mqtt(_) => &[],
    }
}

fn point<'a>(device: &'a Device, quantity: &str) -> &'a ModbusPoint {
    points(device).iter().find(|point| &*point.quantity == quantity).unwrap()
}

/// Waits until `condition` holds; the hall moves meanwhile.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test]
async fn every_register_of_every_device_says_what_is_true() {
    // So slow that nothing moves while the registers are read.
    let running = run("speed = 0.01").await;
    let mut compared = 0;
    for device in &running.site().devices {
        let name = &running.site().plant.asset(device.asset).name;
        if points(device).is_empty() {
            continue;
        }
        let mut context = client(&running, name).await;
        for (point, binding) in points(device).iter().zip(&device.bindings) {
            let Some(binding) = binding else { continue };
            let count = point.codec.registers();
            let words = read(&mut context, point.table, point.address, count).await;
            let value = point.codec.decode(&words).unwrap();
            let truth = running.look(|world| world.truth(*binding)).unwrap();
            let name = running.site().plant.point_name(*binding);
            match truth {
                Truth::Number(number) => {
                    let unit = &running.site().plant.point(*binding).unit;
                    let read = point.unit.convert(value.as_number().unwrap(), unit).unwrap();
                    let step = point.unit.convert(point.codec.scale, unit).unwrap_or(0.01);
                    let error = (read - number).abs();
                    let margin = 0.51 * step + 1e-6 * number.abs();
                    assert!(error <= margin, "{name}: {read} for {number}");
                }
                Truth::State(state) => {
                    let Value::State(code) = value else { panic!("{name} is no state") };
                    let label = point.states.iter().find(|label| label.code == code).unwrap();
                    assert_eq!(label.text, state, "{name}");
                }
                Truth::Text(text) => assert_eq!(value, Value::Text(text.into()), "{name}"),
            }
            compared += 1;
        }
    }
    assert!(compared > 1500, "{compared} points");
    running.stop().await;
}

#[tokio::test]
async fn one_block_read_gives_the_same_words_as_single_reads() {
    let running = run("speed = 0.01").await;
    let mut context = client(&running, "cdu-1-plc").await;
    let block = read(&mut context, Table::Holding, 0, 18).await;
    for (address, word) in (0..).zip(block) {
        assert_eq!(read(&mut context, Table::Holding, address, 1).await, [word], "{address}");
    }
    running.stop().await;
}

#[tokio::test]
async fn holes_are_zeros_or_refused_and_the_rest_of_the_map_is_always_refused() {
    for (holes, expected) in
        [(Holes::Zeros, Ok(vec![0])), (Holes::Refused, Err(ExceptionCode::IllegalDataAddress))]
    {
        let options = Options { holes, ..Options::default() };
        let stop = CancellationToken::new();
        let running = start(&site(), &scenario(""), options, &stop).await.unwrap();
        let mut context = client(&running, "utility-a-meter").await;
        // Between the currents, which end at 25, and the energy register at 100.
        assert_eq!(context.read_input_registers(50, 1).await.unwrap(), expected);
        let beyond = context.read_input_registers(4000, 1).await.unwrap();
        assert_eq!(beyond, Err(ExceptionCode::IllegalDataAddress));
        let no_table = context.read_coils(0, 1).await.unwrap();
        assert_eq!(no_table, Err(ExceptionCode::IllegalDataAddress));
        running.stop().await;
    }
}

#[tokio::test]
async fn nothing_can_be_written_and_an_unknown_unit_does_not_answer_for_another() {
    let running = run("").await;
    let mut context = client(&running, "cdu-1-plc").await;
    let write = tokio_modbus::prelude::Writer::write_single_register(&mut context, 2, 0).await;
    assert_eq!(write.unwrap(), Err(ExceptionCode::IllegalFunction));
    context.set_slave(Slave(99));
    let unknown = context.read_holding_registers(0, 1).await.unwrap();
    assert_eq!(unknown, Err(ExceptionCode::GatewayTargetDevice));
    running.stop().await;
}

#[tokio::test]
async fn a_silent_device_gives_no_answer_and_its_neighbour_does() {
    let running = run("[[event]]\nat_s = 0\ndo.device_silent = { device = \"row-1-a-meter\" }\n\
         [[event]]\nat_s = 3\ndo.device_back = { device = \"row-1-a-meter\" }")
    .await;
    let running = &running;
    let answers = async |name: &str| {
        let mut context = client(running, name).await;
        timeout(SILENCE, context.read_input_registers(0, 2)).await.is_ok()
    };
    until(async || !answers("row-1-a-meter").await).await;
    assert!(answers("row-2-a-meter").await, "behind the same port");
    until(async || answers("row-1-a-meter").await).await;
}

#[tokio::test]
async fn a_slow_device_answers_late() {
    let running =
        run("[[event]]\nat_s = 0\ndo.device_slow = { device = \"cdu-1-plc\", delay_ms = 400 }")
            .await;
    let mut context = client(&running, "cdu-1-plc").await;
    let running = &running;
    until(async || {
        let started = tokio::time::Instant::now();
        let mut context = client(running, "cdu-1-plc").await;
        context.read_holding_registers(0, 1).await.unwrap().unwrap();
        started.elapsed() >= Duration::from_millis(400)
    })
    .await;
    let early = timeout(Duration::from_millis(100), context.read_holding_registers(0, 1)).await;
    assert!(early.is_err());
}

#[tokio::test]
async fn a_link_that_refuses_drops_its_connections_and_comes_back_on_the_same_port() {
    let running = run("[[event]]\nat_s = 1\ndo.connection_refused = { device = \"cdu-1-plc\" }\n\
         [[event]]\nat_s = 3\ndo.device_back = { device = \"cdu-1-plc\" }")
    .await;
    let (address, unit) = place(&running, "cdu-1-plc");
    let mut context = client(&running, "cdu-1-plc").await;
    until(async || {
        let reply = timeout(SILENCE, context.read_holding_registers(0, 1)).await;
        !matches!(reply, Ok(Ok(_)))
    })
    .await;
    until(async || tcp::connect_slave(address, Slave(unit)).await.is_err()).await;
    until(async || match tcp::connect_slave(address, Slave(unit)).await {
        Ok(mut context) => {
            matches!(timeout(SILENCE, context.read_holding_registers(0, 1)).await, Ok(Ok(Ok(_))))
        }
        Err(_) => false,
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_frozen_sensor_and_a_stale_device_repeat_themselves_while_the_truth_moves() {
    let running = run("speed = 20\n\
         [[event]]\nat_s = 1\ndo.sensor_frozen = { point = \"cdu-1.tcs.return_temperature\" }\n\
         [[event]]\nat_s = 1\ndo.stale = { device = \"cdu-2-plc\" }")
    .await;
    until(async || running.look(|world| world.hall.elapsed_s()) > 1.5).await;
    let mut one = client(&running, "cdu-1-plc").await;
    let mut two = client(&running, "cdu-2-plc").await;
    let frozen = read(&mut one, Table::Holding, 1, 1).await;
    let moving = read(&mut one, Table::Holding, 7, 1).await;
    let stale = read(&mut two, Table::Holding, 0, 18).await;
    until(async || read(&mut one, Table::Holding, 7, 1).await != moving).await;
    until(async || running.look(|world| world.hall.elapsed_s()) > 60.0).await;
    assert_eq!(read(&mut one, Table::Holding, 1, 1).await, frozen);
    assert_eq!(read(&mut two, Table::Holding, 0, 18).await, stale);
    running.stop().await;
}

#[tokio::test]
async fn a_register_rolls_over_in_whole_steps_while_the_truth_goes_on() {
    let running = run("speed = 60\n\
         [[event]]\nat_s = 1\ndo.meter_rollover = { meter = \"row-1-a\", before_kwh = 5 }")
    .await;
    let device = device(running.site(), "row-1-a-meter");
    let energy = point(device, "energy");
    let meter = running.site().plant.find_asset("row-1-a").unwrap();
    let mut context = client(&running, "row-1-a-meter").await;
    let true_kwh = || running.look(|world| world.hall.register(meter).unwrap().energy_kwh());

    let mut readings: Vec<(f64, f64, f64)> = Vec::new();
    until(async || {
        let before_kwh = true_kwh();
        let words = read(&mut context, energy.table, energy.address, 4).await;
        let after_kwh = true_kwh();
        let watt_hours = energy.codec.decode(&words).unwrap().as_number().unwrap();
        readings.push((before_kwh, watt_hours / 1000.0, after_kwh));
        readings.windows(2).any(|pair| pair[1].1 < pair[0].1)
    })
    .await;

    // Register step 0.1 kWh and modulus 1 000 000 kWh, as the site declares.
    for (_, shown_kwh, _) in &readings {
        let steps = shown_kwh / 0.1;
        assert!((steps - steps.round()).abs() < 1e-3, "{shown_kwh} is no whole number of steps");
        assert!(*shown_kwh < 1_000_000.0);
    }
    let at = readings.windows(2).position(|pair| pair[1].1 < pair[0].1).unwrap();
    let (first, last) = (readings[at], readings[at + 1]);
    assert!(first.1 >= 999_994.9, "{first:?}");
    let counted_kwh = last.1 - first.1 + 1_000_000.0;
    assert!(counted_kwh <= last.2 - first.0 + 0.1, "{first:?} {last:?}");
    assert!(counted_kwh >= last.0 - first.2 - 0.1, "{first:?} {last:?}");
    running.stop().await;
}

#[tokio::test]
async fn room_sensors_publish_what_is_true() {
    let running = run("speed = 0.01").await;
    let sensor = running.site().plant.find_asset("air-3").unwrap();
    let (host, port) = match &device(running.site(), "room-broker").address {
        Address::Mqtt { host, port, .. } => (host.clone(), *port),
        Address::ModbusTcp { .. } => panic!("an MQTT device"),
    };
    let client_id = "test".to_owned();
    let broker = links::mqtt::Broker { host, port, login: None, client_id };
    let topic = "coldwatch/room/air-3/air".to_owned();
    let mut session = links::mqtt::Session::open(&broker, &[topic]);
    let message = timeout(PATIENCE, async {
        loop {
            if let links::mqtt::Report::Message(message) = session.next().await.unwrap() {
                return message;
            }
        }
    })
    .await
    .unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    for quantity in ["temperature", "humidity"] {
        let plant = &running.site().plant;
        let point = plant.find_point(sensor, quantity).unwrap();
        let Some(Truth::Number(truth)) = running.look(|world| world.truth(point)) else {
            panic!("a number")
        };
        let published = payload[quantity].as_f64().unwrap();
        assert!((published - truth).abs() < 0.1, "{quantity}: {published} for {truth}");
    }
    let sent_ms = payload["timestamp"].as_i64().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!((now.as_millis() - u128::try_from(sent_ms).unwrap()) < 20_000);
    running.stop().await;
}

#[tokio::test]
async fn stopping_closes_every_port() {
    let running = run("").await;
    let (address, unit) = place(&running, "cdu-1-plc");
    running.stop().await;
    assert!(tcp::connect_slave(address, Slave(unit)).await.is_err());
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = Options { ports: simulator::Ports::From(port), ..Options::default() };
    let error =
        start(&site(), &scenario(""), options, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1:{port}"));
}

#[tokio::test]
async fn names_that_the_site_does_not_have_are_all_reported() {
    let wrong = scenario(
        "[[event]]\nat_s = 1\ndo.pump_trip = { cdu = \"cdu-9\", pump = 1 }\n\
         [[event]]\nat_s = 2\ndo.pump_trip = { cdu = \"cdu-1\", pump = 3 }\n\
         [[event]]\nat_s = 3\ndo.leak = { asset = \"weather\", litres_per_hour = 1 }\n\
         [[event]]\nat_s = 4\ndo.device_silent = { device = \"cdu-1\" }\n\
         [[event]]\nat_s = 5\ndo.sensor_frozen = { point = \"cdu-1.tcs.colour\" }\n\
         [[event]]\nat_s = 6\ndo.feed_lost = { asset = \"loop-1\" }\n\
         [[event]]\nat_s = 7\ndo.meter_rollover = { meter = \"ups-a\", before_kwh = 1 }",
    );
    let error =
        start(&site(), &wrong, Options::default(), &CancellationToken::new()).await.unwrap_err();
    insta::assert_snapshot!(error);
}

#[tokio::test]
async fn a_point_that_the_physics_lack_is_an_error_that_names_it() {
    let mut site = site();
    let cdu = device(&site, "cdu-1-plc").bindings[0].unwrap();
    let at = site.devices.iter().position(|device| &*device.profile.id == "generic-rack").unwrap();
    // A rack manifold whose first point is said to be a point of a device asset.
    let nowhere = site.devices[at].reply_time;
    site.devices[at].bindings[0] = Some(nowhere);
    site.devices[at].bindings[1] = Some(cdu);
    let error = start(&site, &scenario(""), Options::default(), &CancellationToken::new())
        .await
        .unwrap_err();
    assert!(matches!(&error, StartError::Unsupplied(points) if points.len() == 1));
    insta::assert_snapshot!(error);
}

#[tokio::test]
async fn every_shipped_scenario_fits_the_demo_site() {
    for name in Scenario::shipped_names() {
        let scenario = Scenario::shipped(name).unwrap();
        let stop = CancellationToken::new();
        let running = start(&site(), &scenario, Options::default(), &stop).await;
        running.unwrap_or_else(|error| panic!("{name}: {error}")).stop().await;
    }
}
