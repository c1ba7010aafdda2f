//! Register words against golden vectors from outside, and against whatever bytes may come.

use configs::codec::{Codec, EncodeError, Encoding, Order};
use proptest::prelude::*;
use rules::value::{NoData, Value};

const ORDERS: [Order; 4] = [Order::Abcd, Order::Cdab, Order::Badc, Order::Dcba];

const NUMBERS: [Encoding; 8] = [
    Encoding::U16,
    Encoding::I16,
    Encoding::U32,
    Encoding::I32,
    Encoding::U64,
    Encoding::I64,
    Encoding::F32,
    Encoding::F64,
];

fn encoding(word: &str) -> Encoding {
    match word {
        "u16" => Encoding::U16,
        "i16" => Encoding::I16,
        "u32" => Encoding::U32,
        "i32" => Encoding::I32,
        "u64" => Encoding::U64,
        "i64" => Encoding::I64,
        "f32" => Encoding::F32,
        "f64" => Encoding::F64,
        other => panic!("unknown type {other}"),
    }
}

fn order(word: &str) -> Order {
    match word {
        "abcd" => Order::Abcd,
        "cdab" => Order::Cdab,
        "badc" => Order::Badc,
        "dcba" => Order::Dcba,
        other => panic!("unknown order {other}"),
    }
}

/// `{"number": "41.2"}` or `{"integer": 7}`
fn value(json: &serde_json::Value) -> Value {
    match (json["number"].as_str(), json["integer"].as_i64()) {
        (Some(number), None) => Value::Number(number.parse().expect("a number of the vectors")),
        (None, Some(integer)) => Value::Integer(integer),
        _ => panic!("{json} is no value"),
    }
}

fn words(json: &serde_json::Value) -> Vec<u16> {
    serde_json::from_value(json.clone()).expect("words of the vectors")
}

/// Computed by `tests/data/codec_vectors.py`. If this fails, the codec is wrong, not the vectors.
#[test]
fn words_mean_what_the_golden_vectors_say() {
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("data/codec_vectors.json")).unwrap();
    assert!(vectors.len() > 150);
    for vector in vectors {
        let codec = Codec {
            order: order(vector["order"].as_str().unwrap()),
            scale: vector["scale"].as_f64().unwrap(),
            offset: vector["offset"].as_f64().unwrap(),
            ..Codec::plain(encoding(vector["type"].as_str().unwrap()))
        };
        let (words, value) = (words(&vector["words"]), value(&vector["value"]));
        assert_eq!(codec.decode(&words), Ok(value.clone()), "{vector}");
        assert_eq!(codec.encode(&value), Ok(words), "{vector}");
    }
}

#[test]
fn a_tenth_is_a_tenth() {
    let codec = Codec { scale: 0.1, ..Codec::plain(Encoding::U16) };
    assert_eq!(codec.decode(&[412]), Ok(Value::Number(41.2)));
    assert_eq!(codec.encode(&Value::Number(41.2)), Ok(vec![412]));
}

#[test]
fn a_sentinel_is_known_as_a_number_and_as_bits() {
    for listed in [0x8000, -32768] {
        let codec = Codec { not_available: vec![listed], ..Codec::plain(Encoding::I16) };
        assert_eq!(codec.decode(&[0x8000]), Err(NoData::NotAvailable));
        assert_eq!(codec.encode_not_available(), Some(vec![0x8000]));
        assert_eq!(codec.encode(&Value::Number(-32768.0)), Err(EncodeError::ReadsAsNotAvailable));
    }
    let float = Codec { not_available: vec![-9999, 0x7F80_0000], ..Codec::plain(Encoding::F32) };
    assert_eq!(float.decode(&[0xC61C, 0x3C00]), Err(NoData::NotAvailable));
    assert_eq!(float.decode(&[0x7F80, 0]), Err(NoData::NotAvailable));
}

#[test]
fn a_value_that_cannot_be_gives_its_reason() {
    let ranged = Codec { scale: 0.1, valid: Some((-40.0, 120.0)), ..Codec::plain(Encoding::I16) };
    assert_eq!(ranged.decode(&[1200]), Ok(Value::Number(120.0)));
    assert_eq!(ranged.decode(&[1201]), Err(NoData::OutOfRange));
    assert_eq!(ranged.decode(&[0x7FFF]), Err(NoData::OutOfRange));
    assert_eq!(ranged.decode(&[]), Err(NoData::Malformed));
    assert_eq!(ranged.decode(&[1, 2]), Err(NoData::Malformed));
    let float = Codec::plain(Encoding::F32);
    assert_eq!(float.decode(&[0x7FC0, 0]), Err(NoData::NotFinite));
    assert_eq!(float.decode(&[0xFF80, 0]), Err(NoData::NotFinite));
    let counter = Codec::plain(Encoding::U64);
    assert_eq!(counter.decode(&[0x8000, 0, 0, 0]), Err(NoData::OutOfRange));
    let empty = Codec::plain(Encoding::Text { registers: 0 });
    assert_eq!(empty.decode(&[]), Err(NoData::Malformed));
}

#[test]
fn bits_are_states_in_their_place() {
    let codec = Codec::plain(Encoding::Bits { first: 4, width: 3 });
    assert_eq!(codec.decode(&[0b1010_1111]), Ok(Value::State(0b010)));
    assert_eq!(codec.encode(&Value::State(5)), Ok(vec![0b0101_0000]));
    assert_eq!(codec.encode(&Value::State(8)), Err(EncodeError::DoesNotFit));
    let top = Codec::plain(Encoding::Bits { first: 15, width: 1 });
    assert_eq!(top.decode(&[0x8000]), Ok(Value::State(1)));
    let coil = Codec::plain(Encoding::Bits { first: 0, width: 1 });
    assert_eq!(coil.decode(&[1]), Ok(Value::State(1)));
    let swapped =
        Codec { order: Order::Badc, ..Codec::plain(Encoding::Bits { first: 0, width: 1 }) };
    assert_eq!(swapped.decode(&[0x0100]), Ok(Value::State(1)));
    let nowhere = Codec::plain(Encoding::Bits { first: 12, width: 9 });
    assert_eq!(nowhere.decode(&[1]), Err(NoData::Malformed));
    let code = Codec::plain(Encoding::Enumeration);
    assert_eq!(code.decode(&[32]), Ok(Value::State(32)));
    assert_eq!(code.encode(&Value::Number(2.0)), Ok(vec![2]));
    assert_eq!(code.encode(&Value::Number(2.5)), Err(EncodeError::DoesNotFit));
}

#[test]
fn text_is_trimmed_and_shows_what_is_not_ascii() {
    let codec = Codec::plain(Encoding::Text { registers: 4 });
    let text = |text: &str| Ok(Value::Text(text.into()));
    assert_eq!(codec.decode(&[0x4130, 0x3220, 0x2000, 0]), text("A02"));
    assert_eq!(codec.decode(&[0x4100, 0x4242, 0x4242, 0x4242]), text("A"));
    // A name ends in a clear-screen sequence: the terminal must not see it.
    assert_eq!(codec.decode(&[0x411B, 0x5B32, 0x4AE9, 0]), text("A\u{fffd}[2J\u{fffd}"));
    assert_eq!(codec.decode(&[0, 0, 0x2020, 0]), Err(NoData::NotAvailable));
    let swapped = Codec { order: Order::Badc, ..codec.clone() };
    assert_eq!(swapped.decode(&[0x4142, 0, 0, 0]), text("BA"));
    assert_eq!(codec.encode(&Value::Text("é".into())), Err(EncodeError::NotAscii));
    assert_eq!(codec.encode(&Value::Text("123456789".into())), Err(EncodeError::DoesNotFit));
    assert_eq!(codec.encode(&Value::Number(1.0)), Err(EncodeError::WrongKind));
}

#[test]
fn what_does_not_fit_is_not_encoded() {
    let small = Codec { scale: 0.1, ..Codec::plain(Encoding::U16) };
    assert_eq!(small.encode(&Value::Number(-0.1)), Err(EncodeError::DoesNotFit));
    assert_eq!(small.encode(&Value::Number(6553.6)), Err(EncodeError::DoesNotFit));
    assert_eq!(small.encode(&Value::Number(f64::NAN)), Err(EncodeError::NotFinite));
    let single = Codec::plain(Encoding::F32);
    assert_eq!(single.encode(&Value::Number(1e39)), Err(EncodeError::DoesNotFit));
    assert_eq!(single.encode(&Value::Text("1".into())), Err(EncodeError::WrongKind));
    let exact = Codec::plain(Encoding::U64);
    assert_eq!(exact.encode(&Value::Integer(-1)), Err(EncodeError::DoesNotFit));
    assert_eq!(exact.encode(&Value::Integer(i64::MAX)), Ok(vec![0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF]));
}

fn any_encoding() -> impl Strategy<Value = Encoding> {
    prop_oneof![
        prop::sample::select(NUMBERS.as_slice()),
        (any::<u8>(), any::<u8>()).prop_map(|(first, width)| Encoding::Bits { first, width }),
        Just(Encoding::Enumeration),
        (0_u16..130).prop_map(|registers| Encoding::Text { registers }),
    ]
}

fn any_codec() -> impl Strategy<Value = Codec> {
    (
        any_encoding(),
        prop::sample::select(ORDERS.as_slice()),
        any::<f64>(),
        any::<f64>(),
        prop::collection::vec(any::<i128>(), 0..3),
        any::<Option<(f64, f64)>>(),
    )
        .prop_map(|(encoding, order, scale, offset, not_available, valid)| Codec {
            encoding,
            order,
            scale,
            offset,
            not_available,
            valid,
        })
}

proptest! {
    #[test]
    fn decode_never_panics_and_never_gives_what_is_not_finite(
        codec in any_codec(),
        words in prop::collection::vec(any::<u16>(), 0..130),
    ) {
        if let Ok(Value::Number(number)) = codec.decode(&words) {
            prop_assert!(number.is_finite());
        }
        let mut fitting = words;
        fitting.resize(usize::from(codec.registers()), 0x8000);
        if let Ok(value) = codec.decode(&fitting) {
            let _ = codec.encode(&value);
        }
        let _ = codec.encode_not_available();
    }

    #[test]
    fn what_was_encoded_is_decoded_within_a_step(
        encoding in prop::sample::select(NUMBERS.as_slice()),
        order in prop::sample::select(ORDERS.as_slice()),
        scale in prop::sample::select([1.0, 0.1, 0.01, 0.001, 10.0, 2.5, 0.378_541, -0.1].as_slice()),
        offset in prop::sample::select([0.0, -40.0, 273.15].as_slice()),
        share in 0.0..1.0_f64,
    ) {
        let codec = Codec { order, scale, offset, ..Codec::plain(encoding) };
        let (low, high) = match encoding {
            Encoding::U16 => (0.0, 65535.0),
            Encoding::I16 => (-32768.0, 32767.0),
            Encoding::U32 => (0.0, 4_294_967_295.0),
            Encoding::I32 => (-2_147_483_648.0, 2_147_483_647.0),
            // Where a float still counts in whole steps.
            _ => (0.0, 9e15),
        };
        let value = ((low + share * (high - low)) * scale) + offset;
        let words = codec.encode(&Value::Number(value)).unwrap();
        prop_assert_eq!(words.len(), usize::from(codec.registers()));
        let back = codec.decode(&words).unwrap().as_number().unwrap();
        // A float register keeps 24 or 53 bits, an integer the nearest step.
        let step = match encoding {
            Encoding::F32 => ((value - offset) * f64::from(f32::EPSILON)).abs(),
            _ => scale.abs(),
        };
        let rounding = value.abs() * 4.0 * f64::EPSILON;
        prop_assert!((back - value).abs() <= 0.501 * step + rounding, "{} became {}", value, back);
    }

    #[test]
    fn whole_registers_survive_the_way_there_and_back(
        encoding in prop::sample::select([Encoding::U16, Encoding::I16, Encoding::U32, Encoding::I32, Encoding::I64].as_slice()),
        order in prop::sample::select(ORDERS.as_slice()),
        words in prop::array::uniform4(any::<u16>()),
    ) {
        let codec = Codec { order, ..Codec::plain(encoding) };
        let words = &words[..usize::from(codec.registers())];
        let value = codec.decode(words).unwrap();
        prop_assert_eq!(codec.encode(&value).unwrap(), words);
    }

    #[test]
    fn states_and_text_survive_the_way_there_and_back(
        order in prop::sample::select(ORDERS.as_slice()),
        first in 0_u8..16,
        code in any::<u16>(),
        text in "[!-~]([ -~]{0,6}[!-~])?",
    ) {
        let width = 16 - first;
        let bits = Codec { order, ..Codec::plain(Encoding::Bits { first, width }) };
        let state = Value::State(u32::from(code >> first));
        prop_assert_eq!(bits.decode(&bits.encode(&state).unwrap()), Ok(state));
        let name = Codec { order, ..Codec::plain(Encoding::Text { registers: 4 }) };
        let text = Value::Text(text.into());
        prop_assert_eq!(name.decode(&name.encode(&text).unwrap()), Ok(text));
    }
}
