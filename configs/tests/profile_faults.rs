//! What the profile reader says about files that are wrong, and that it says something about any of them.

use configs::{
    codec::{Encoding, Order},
    fault::{Fault, Source},
    profile::{Map, ModbusPoint, Table},
    profile_file,
};
use proptest::prelude::*;
use rules::value::{NoData, Value};

fn read(text: &str) -> Result<configs::profile::Profile, Vec<Fault>> {
    profile_file::read(&Source { name: "profiles/p.toml".into(), text: text.into() })
}

/// One fault a line: place, the text it points at, message, remedy.
fn faults(text: &str) -> String {
    let line = |fault: &Fault| {
        let (line, column) = fault.line_and_column();
        let place = text.get(fault.span.clone()).unwrap_or("outside the text");
        let place = place.lines().next().unwrap_or_default();
        format!("{line}:{column} `{place}`\n  {}\n  {}\n", fault.message, fault.remedy)
    };
    match read(text) {
        Ok(_) => "no faults".to_owned(),
        Err(faults) => faults.iter().map(line).collect(),
    }
}

/// The points of a Modbus profile whose header is given here.
fn points(header: &str, rest: &str) -> Vec<ModbusPoint> {
    let text = format!("title = \"t\"\nsource = \"s\"\nprotocol = \"modbus\"\n{header}\n{rest}");
    match read(&text) {
        Ok(profile) => match profile.map {
            Map::Modbus(map) => map.points,
            Map::Mqtt(_) => panic!("no Modbus profile"),
        },
        Err(found) => panic!("{} faults: {}", found.len(), faults(&text)),
    }
}

#[test]
fn every_fault_of_a_register_map_is_reported_at_its_place() {
    insta::assert_snapshot!(faults(include_str!("data/bad_modbus.toml")));
}

#[test]
fn every_fault_of_a_metadata_contract_is_reported_at_its_place() {
    insta::assert_snapshot!(faults(include_str!("data/bad_mqtt.toml")));
}

#[test]
fn every_fault_of_a_topic_list_is_reported_at_its_place() {
    insta::assert_snapshot!(faults(include_str!("data/bad_topics.toml")));
}

#[test]
fn addresses_are_read_in_the_notation_of_the_document() {
    const POINT: &str = "[[point]]\nquantity = \"load\"\nunit = \"%\"\ntype = \"u16\"\naddress = ";
    let place = |header: &str, address: &str| {
        let points = points(header, &format!("{POINT}{address}"));
        (points[0].table, points[0].address)
    };
    assert_eq!(place("", "36865"), (Table::Holding, 36865));
    assert_eq!(place("", "0x9000"), (Table::Holding, 0x9000));
    assert_eq!(place("address_base = 1", "1"), (Table::Holding, 0));
    assert_eq!(place("address_base = 1", "65536"), (Table::Holding, 65535));
    assert_eq!(place("notation = \"40001\"", "40001"), (Table::Holding, 0));
    assert_eq!(place("notation = \"40001\"", "30385"), (Table::Input, 384));
    assert_eq!(place("notation = \"40001\"", "465536"), (Table::Holding, 65535));
    // Some makers count 40000 as the first one.
    assert_eq!(place("notation = \"40001\"\naddress_base = 0", "40001"), (Table::Holding, 1));
}

#[test]
fn a_leading_digit_names_coils_and_inputs() {
    let read = points(
        "notation = \"40001\"",
        "[[point]]\nquantity = \"door.state\"\naddress = \"00017\"\n\
         [[point]]\nquantity = \"smoke.state\"\naddress = 10022",
    );
    let places: Vec<_> = read.iter().map(|point| (point.table, point.address)).collect();
    assert_eq!(places, [(Table::Coil, 16), (Table::DiscreteInput, 21)]);
    assert!(read.iter().all(|point| point.codec.encoding == Encoding::Bits { first: 0, width: 1 }));
}

#[test]
fn an_address_that_its_notation_does_not_know_is_refused() {
    const HEAD: &str = "title = \"t\"\nsource = \"s\"\nprotocol = \"modbus\"\n";
    const POINT: &str = "[[point]]\nquantity = \"load\"\nunit = \"%\"\ntype = \"u16\"\naddress = ";
    for (header, address) in [
        ("", "-1"),
        ("", "65536"),
        ("address_base = 1", "0"),
        ("", "\"40001\""),
        ("notation = \"40001\"", "40000"),
        ("notation = \"40001\"", "50001"),
        ("notation = \"40001\"", "465537"),
        ("notation = \"40001\"", "4000001"),
        ("notation = \"40001\"", "-4001"),
    ] {
        let text = format!("{HEAD}{header}\n{POINT}{address}");
        assert_eq!(read(&text).unwrap_err().len(), 1, "{header} {address}");
    }
}

#[test]
fn defaults_hold_until_a_point_says_otherwise() {
    let points = points(
        "[defaults]\ntable = \"input\"\norder = \"cdab\"\ntype = \"u32\"\npoll_every = \"5 s\"\nnot_available = { u32 = [0xFFFF_FFFF] }",
        "[[point]]\nquantity = \"power\"\naddress = 0\nunit = \"W\"\n\
         [[point]]\nquantity = \"load\"\naddress = 2\ntype = \"u16\"\ntable = \"holding\"\norder = \"abcd\"\npoll_every = \"1 s\"\nunit = \"%\"\n\
         [[point]]\nquantity = \"energy\"\naddress = 4\nkind = \"counter\"\nunit = \"kWh\"\nnot_available = [0]",
    );
    let [power, load, energy] = points.as_slice() else { panic!("three points") };
    assert_eq!((power.table, power.codec.order), (Table::Input, Order::Cdab));
    assert_eq!(power.codec.not_available, [0xFFFF_FFFF]);
    assert_eq!(power.poll_every.map(|every| every.as_secs()), Some(5));
    assert_eq!((load.table, load.codec.order), (Table::Holding, Order::Abcd));
    assert_eq!(load.codec.not_available, []);
    assert_eq!(load.poll_every.map(|every| every.as_secs()), Some(1));
    assert_eq!(energy.codec.not_available, [0]);
}

#[test]
fn what_is_not_available_as_a_number_is_so_as_a_state_but_not_as_flags() {
    let points = points(
        "[defaults]\nnot_available = { u16 = [0xFFFF] }",
        "[[point]]\nquantity = \"pump.state\"\naddress = 0\ntype = \"u16\"\nstates = { 0 = \"Off\" }\n\
         [[flags]]\naddress = 1\nbits = { 0 = \"alarm.low\" }\n\
         [[flags]]\naddress = 2\nnot_available = [0xFFFF]\nbits = { 0 = \"alarm.high\" }",
    );
    let read: Vec<_> = points.iter().map(|point| point.codec.decode(&[0xFFFF])).collect();
    assert_eq!(read, [Err(NoData::NotAvailable), Ok(Value::State(1)), Err(NoData::NotAvailable)]);
}

#[test]
fn a_number_and_the_flags_of_its_register_may_share_it() {
    let points = points(
        "",
        "[[point]]\nquantity = \"status\"\naddress = 0\ntype = \"u16\"\nkind = \"state\"\n\
         [[flags]]\naddress = 0\nbits = { 0 = \"alarm.low\", 15 = \"alarm.high\" }",
    );
    assert_eq!(points.len(), 3);
}

#[test]
fn repeats_take_numbers_and_words() {
    let points = points(
        "",
        "[[point]]\nquantity = \"pump_{n}.rotation\"\naddress = 10\ntype = \"u32\"\nunit = \"rpm\"\nrepeat = { n = [1, 2] }\n\
         [[point]]\nquantity = \"{side}.temperature\"\naddress = 20\ntype = \"i16\"\nunit = \"°C\"\nrepeat = { side = [\"front\", \"rear\"], stride = 10 }",
    );
    let places: Vec<_> = points.iter().map(|p| (p.quantity.as_ref(), p.address)).collect();
    let expected = [
        ("pump_1.rotation", 10),
        ("pump_2.rotation", 12),
        ("front.temperature", 20),
        ("rear.temperature", 30),
    ];
    assert_eq!(places, expected);
}

#[test]
fn numbers_beyond_every_register_and_deep_nesting_are_faults() {
    let least = i128::MIN;
    for text in [
        format!("address_base = 1\n[[point]]\naddress = {least}"),
        format!("notation = \"40001\"\n[[point]]\naddress = {least}"),
        format!("[[point]]\naddress = 0\ntype = \"i64\"\nnot_available = [{least}]"),
        format!("[[point]]\naddress = 65535\nrepeat = {{ n = [{least}], stride = {least} }}"),
        format!("[[point]]\nscale = 1e400\nvalid = [{least}, nan]"),
        format!("[[flags]]\naddress = 0\nbits = {{ {least} = \"a\", 256 = \"b\" }}"),
        format!("x = {}", "[".repeat(50_000)),
        format!("x = {}", "{ a = ".repeat(50_000)),
    ] {
        let text = format!("protocol = \"modbus\"\n{text}");
        assert!(!read(&text).unwrap_err().is_empty());
    }
}

/// The smallest profile with inline tables, a table of flags and a repeat.
const SMALL: &str = "title = \"t\"\nsource = \"s\"\nprotocol = \"modbus\"\n\
    [[point]]\nquantity = \"pump_{n}.state\"\naddress = 1\ntype = \"u16\"\nstates = { 0 = \"Off\", 1 = \"On\" }\n\
    repeat = { n = [1, 2], stride = 1 }\n\
    [[flags]]\naddress = 9\n[flags.bits]\n0 = \"leak.internal\"\n1 = \"leak.external\"\n";

#[test]
fn one_wrong_character_anywhere_gives_faults_inside_the_text() {
    assert_eq!(faults(SMALL), "no faults");
    for at in 0..=SMALL.len() {
        for put in TELLING {
            let mut text = SMALL.to_owned();
            text.insert_str(at, put);
            assert_sound_faults(&text);
        }
    }
}

/// The parser gives the value of such a line no place of its own.
#[test]
fn a_line_with_an_equals_sign_for_its_value_is_marked_from_its_key() {
    let text = SMALL.replace("0 = \"leak.internal\"", "0 = =");
    let found = read(&text).unwrap_err();
    let bit = found.iter().find(|fault| fault.message.starts_with("a flag is a bit")).unwrap();
    assert_eq!(text.get(bit.span.clone()), Some("0"));
}

/// A text is read, or refused with at least one fault, each of which points into it and can be shown.
fn assert_sound_faults(text: &str) {
    if let Err(faults) = read(text) {
        assert!(!faults.is_empty(), "{text}");
        for fault in &faults {
            assert!(text.get(fault.span.clone()).is_some(), "{fault:?}");
        }
        // One is enough: to draw them all takes longer than to find them.
        assert!(!configs::render::text(&faults[..1], false).is_empty());
    }
}

const SHIPPED: [&str; 3] = [
    include_str!("../profiles/orv3-rpu.toml"),
    include_str!("../profiles/generic-room-sensor.toml"),
    include_str!("../profiles/dsx-exchange.toml"),
];

/// Bytes that decide something in TOML or in a profile.
const TELLING: [&str; 16] = [
    "[", "]", "{", "}", "\"", "=", "#", "\n", ".", "-", "99999", "0x", "{n}", "°", "\u{0}",
    "repeat",
];

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_fault(text in "(?s).{0,300}") {
        if let Err(faults) = read(&text) {
            prop_assert!(!faults.is_empty());
        }
    }

    #[test]
    fn a_mutated_profile_is_read_or_refused_with_faults_inside_the_text(
        which in 0..SHIPPED.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, prop::sample::select(TELLING.as_slice())), 1..4),
    ) {
        let mut text = SHIPPED[which].to_owned();
        for (at, length, put) in cuts {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let first = at.index(places.len());
            let last = (first + length).min(places.len() - 1);
            text.replace_range(places[first]..places[last], put);
        }
        assert_sound_faults(&text);
    }
}
