//! Samples and alarm transitions as lines of InfluxDB's line protocol.
//!
//! What comes before the value of a point, `cdu,asset=cdu-1,… tcs_flow_liters_per_minute=`, is put together once per
//! catalog. The protocol cannot say everything: in names and tags it has no form for a line end or for a backslash before
//! a comma, so both become other characters there; in texts a line end becomes a space, so that a line is a line.

use std::{collections::HashMap, sync::Arc};

use rules::{
    id::{AssetId, PointId},
    messages::{Anchor, Moved},
    plant::{AssetKind, Detail, EdgeKind, Plant, PointKind},
    value::Value,
};
use thiserror::Error;

use super::names;
use crate::record::Catalog;

/// The longest text that InfluxDB takes as the value of a field, in bytes.
const TEXT_MAX: usize = 65_535;

/// Why a value cannot be a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Unwritten {
    #[error("not a finite number")]
    NotFinite,
    #[error("a text of more than {TEXT_MAX} bytes")]
    TooLong,
    #[error("a value of another kind than its point")]
    OtherKind,
    #[error("a point that the catalog does not know")]
    NoSuchPoint,
}

/// The lines that the points of one catalog become.
#[derive(Debug)]
pub(super) struct Lines {
    /// By point.
    series: Vec<Series>,
    /// Site, gateway and the tags of the site file.
    common: Arc<[(String, String)]>,
}

#[derive(Debug)]
struct Series {
    /// Everything before the value.
    head: Box<[u8]>,
    kind: PointKind,
}

impl Lines {
    /// `tags` go on every line, besides site and gateway.
    pub(super) fn new(catalog: &Catalog, tags: &[(String, String)]) -> Self {
        let plant = &catalog.plant;
        let mut common = vec![
            ("site".to_owned(), catalog.site.id.clone()),
            ("gateway".to_owned(), catalog.site.gateway.clone()),
        ];
        common.extend_from_slice(tags);
        let assets: Vec<Vec<u8>> =
            (0..plant.assets().len()).map(|index| asset_head(plant, index, &common)).collect();
        let fields = field_names(plant);
        let series = plant
            .points()
            .iter()
            .zip(&fields)
            .map(|(point, field)| {
                let mut head = assets[point.asset.index()].clone();
                head.push(b' ');
                name(&mut head, field);
                head.push(b'=');
                Series { head: head.into_boxed_slice(), kind: point.kind }
            })
            .collect();
        Self { series, common: common.into() }
    }

    /// Adds the line of one value. After an error nothing was added.
    pub(super) fn sample(
        &self,
        out: &mut Vec<u8>,
        point: PointId,
        value: &Value,
        milliseconds: i64,
    ) -> Result<(), Unwritten> {
        let series = self.series.get(point.index()).ok_or(Unwritten::NoSuchPoint)?;
        let start = out.len();
        out.extend_from_slice(&series.head);
        let written = field_value(out, series.kind, value);
        if let Err(why) = written {
            out.truncate(start);
            return Err(why);
        }
        time(out, milliseconds);
        Ok(())
    }

    /// Adds the line of one transition of one alarm.
    pub(super) fn moved(
        &self,
        out: &mut Vec<u8>,
        asset: Option<&str>,
        moved: &Moved,
        milliseconds: i64,
    ) {
        let mut tags = vec![
            ("alarm".to_owned(), moved.alarm.to_string()),
            ("asset".to_owned(), asset.unwrap_or_default().to_owned()),
            ("priority".to_owned(), u8::from(moved.priority).to_string()),
        ];
        tags.extend_from_slice(&self.common);
        head(out, "alarm", tags);
        let mut first = true;
        let mut column = |out: &mut Vec<u8>, name: &str| {
            out.push(if std::mem::take(&mut first) { b' ' } else { b',' });
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
        };
        let by = moved.by.as_deref().unwrap_or_default();
        for (field, value) in [
            ("letter", moved.to.to_string().as_str()),
            ("from", moved.from.to_string().as_str()),
            ("cause", &moved.cause),
            ("title", &moved.title),
            ("operands", &moved.operands),
            ("by", by),
        ] {
            if !value.is_empty() && value.len() <= TEXT_MAX {
                column(out, field);
                text(out, value);
            }
        }
        column(out, "occurrence");
        integer(out, i64::from(moved.occurrence));
        column(out, "annunciate");
        out.extend_from_slice(if moved.annunciate { b"true" } else { b"false" });
        time(out, milliseconds);
    }

    /// Adds the line of the ends of both chains.
    pub(super) fn anchor(&self, out: &mut Vec<u8>, anchor: &Anchor, milliseconds: i64) {
        let Anchor { day, ledger, journal } = anchor;
        head(out, "anchor", self.common.to_vec());
        let fields = format!(
            " day=\"{day}\",line={}i,head=\"{}\",journal_line={}i,journal_head=\"{}\"",
            ledger.lines, ledger.head, journal.lines, journal.head
        );
        out.extend_from_slice(fields.as_bytes());
        time(out, milliseconds);
    }
}

/// `cdu,asset=cdu-1,gateway=gw-1,room=room-1,site=hall-1`.
fn asset_head(plant: &Plant, index: usize, common: &[(String, String)]) -> Vec<u8> {
    let id = AssetId(u32::try_from(index).unwrap_or(u32::MAX));
    let asset = plant.asset(id);
    let mut tags = vec![("asset".to_owned(), asset.name.to_string())];
    let rooms = plant.targets(id, EdgeKind::LocatedIn);
    if let Some(room) =
        rooms.map(|room| plant.asset(room)).find(|room| room.kind == AssetKind::Room)
    {
        tags.push(("room".to_owned(), room.name.to_string()));
    }
    if let Detail::Rack(rack) = &asset.detail {
        tags.push(("row".to_owned(), rack.row.clone()));
    }
    tags.extend_from_slice(common);
    let mut out = Vec::new();
    head(&mut out, asset.kind.word(), tags);
    out
}

/// Measurement and tags. Tags are sorted, as the database wants them; of two with one name the first stays, and an empty
/// one, which the protocol has no form for, is left out.
fn head(out: &mut Vec<u8>, measurement: &str, mut tags: Vec<(String, String)>) {
    tags.retain(|(key, value)| !key.trim().is_empty() && !value.trim().is_empty());
    tags.sort_by(|one, other| one.0.cmp(&other.0));
    tags.dedup_by(|later, earlier| later.0 == earlier.0);
    name(out, measurement);
    for (key, value) in &tags {
        out.push(b',');
        name(out, key);
        out.push(b'=');
        name(out, value);
    }
}

/// The field of every point. Two quantities of one asset that would share a name keep their dots.
fn field_names(plant: &Plant) -> Vec<String> {
    let fields: Vec<String> = plant.points().iter().map(names::field).collect();
    let mut uses: HashMap<(AssetId, &str), usize> = HashMap::new();
    for (point, field) in plant.points().iter().zip(&fields) {
        *uses.entry((point.asset, field)).or_default() += 1;
    }
    let alone = |(point, field): (&rules::plant::PointSpec, &String)| {
        if uses.get(&(point.asset, field.as_str())) == Some(&1) {
            field.clone()
        } else {
            point.quantity.to_string()
        }
    };
    plant.points().iter().zip(&fields).map(alone).collect()
}

/// A measurement, or the key or value of a tag, or the key of a field.
fn name(out: &mut Vec<u8>, text: &str) {
    for character in text.trim().chars() {
        match character {
            ',' | '=' | ' ' => out.extend_from_slice(&[b'\\', character as u8]),
            '\\' => out.push(b'/'),
            _ if character.is_control() => out.extend_from_slice(b"\\ "),
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// A field has one type for ever, by the kind of its point: a number is a float also where the device counts in whole
/// units, because the same field of another device does not.
fn field_value(out: &mut Vec<u8>, kind: PointKind, value: &Value) -> Result<(), Unwritten> {
    match (kind, value) {
        (PointKind::Gauge | PointKind::Counter, Value::Text(_)) => Err(Unwritten::OtherKind),
        (PointKind::Gauge | PointKind::Counter, number) => {
            float(out, number.as_number().ok_or(Unwritten::OtherKind)?)
        }
        (PointKind::State, Value::State(code)) => {
            integer(out, i64::from(*code));
            Ok(())
        }
        (PointKind::State, Value::Integer(code)) => {
            integer(out, *code);
            Ok(())
        }
        (PointKind::Text, Value::Text(value)) if value.len() > TEXT_MAX => Err(Unwritten::TooLong),
        (PointKind::Text, Value::Text(value)) => {
            text(out, value);
            Ok(())
        }
        (PointKind::State, Value::Number(_) | Value::Text(_))
        | (PointKind::Text, Value::Number(_) | Value::Integer(_) | Value::State(_)) => {
            Err(Unwritten::OtherKind)
        }
    }
}

fn float(out: &mut Vec<u8>, number: f64) -> Result<(), Unwritten> {
    if !number.is_finite() {
        return Err(Unwritten::NotFinite);
    }
    out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    Ok(())
}

fn integer(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.push(b'i');
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
            _ if character.is_control() => out.push(b' '),
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

fn time(out: &mut Vec<u8>, milliseconds: i64) {
    out.push(b' ');
    out.extend_from_slice(itoa::Buffer::new().format(milliseconds).as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines};
    use proptest::prelude::*;
    use rules::{
        alarm::{Letter, Priority},
        messages::SiteInfo,
        plant::{Asset, Origin, PointSpec, Rack, Room, Supply},
        units::Unit,
    };

    use super::*;

    fn asset(name: &str, kind: AssetKind, detail: Detail) -> Asset {
        Asset { name: name.into(), kind, title: None, detail }
    }

    fn point(asset: AssetId, quantity: &str, unit: &str, kind: PointKind) -> PointSpec {
        PointSpec {
            asset,
            quantity: quantity.into(),
            unit: Unit::parse(unit).unwrap(),
            kind,
            origin: Origin::Polled,
            stale_after: Duration::from_secs(3),
            states: Vec::new(),
        }
    }

    /// A rack with a row of any name in a room, at a gateway of any name.
    fn catalog(row: &str, gateway: &str) -> Catalog {
        let mut plant = Plant::default();
        let room =
            plant.add_asset(asset("room-1", AssetKind::Room, Detail::Room(Room { area_m2: 9.0 })));
        let rack = Detail::Rack(Rack {
            row: row.to_owned(),
            position: 1,
            footprint_m2: None,
            design_power_kw: 132.0,
            feeds: 1,
            supply: Supply::Ac,
        });
        let rack = plant.add_asset(asset("rack-1", AssetKind::Rack, rack));
        plant.add_edge(rack, EdgeKind::LocatedIn, room);
        for (quantity, unit, kind) in [
            ("power", "kW", PointKind::Gauge),
            ("leak.state", "1", PointKind::State),
            ("serial", "1", PointKind::Text),
            ("a.b_c", "1", PointKind::Gauge),
            ("a_b.c", "1", PointKind::Gauge),
        ] {
            plant.add_point(point(rack, quantity, unit, kind));
        }
        let site = SiteInfo {
            id: "hall-1".to_owned(),
            name: "Hall 1".to_owned(),
            time_zone: "UTC".to_owned(),
            gateway: gateway.to_owned(),
            simulated: false,
        };
        Catalog { version: "0".to_owned(), site, plant: Arc::new(plant) }
    }

    const POWER: PointId = PointId(0);
    const LEAK: PointId = PointId(1);
    const SERIAL: PointId = PointId(2);

    fn written(lines: &Lines, point: PointId, value: &Value) -> String {
        let mut out = Vec::new();
        lines.sample(&mut out, point, value, 1_700_000_000_123).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn parsed(text: &str) -> ParsedLine<'_> {
        assert_eq!(text.matches('\n').count(), 1, "one line: {text:?}");
        let mut lines = parse_lines(text);
        let line = lines.next().unwrap().unwrap();
        assert!(lines.next().is_none());
        line
    }

    #[test]
    fn a_sample_is_a_line_with_the_place_of_its_asset() {
        let lines =
            Lines::new(&catalog("R 1", "gw-1"), &[("owner".to_owned(), "a,b=c".to_owned())]);
        assert_eq!(
            written(&lines, POWER, &Value::Number(45.5)),
            "rack,asset=rack-1,gateway=gw-1,owner=a\\,b\\=c,room=room-1,row=R\\ 1,site=hall-1 \
             power_kilowatts=45.5 1700000000123\n"
        );
        assert!(written(&lines, POWER, &Value::Integer(7)).contains("power_kilowatts=7.0 "));
        assert!(written(&lines, LEAK, &Value::State(1)).contains(" leak_state=1i "));
        assert!(
            written(&lines, SERIAL, &Value::Text("a\"b\\c\nd".into()))
                .contains(" serial_text=\"a\\\"b\\\\c d\" ")
        );
    }

    #[test]
    fn two_quantities_that_would_share_a_field_keep_their_dots() {
        let lines = Lines::new(&catalog("R1", "gw-1"), &[]);
        assert!(written(&lines, PointId(3), &Value::Number(1.0)).contains(" a.b_c=1.0 "));
        assert!(written(&lines, PointId(4), &Value::Number(1.0)).contains(" a_b.c=1.0 "));
    }

    #[test]
    fn a_tag_of_the_site_file_never_stands_in_for_one_of_ours() {
        let mine = [("asset".to_owned(), "mine".to_owned()), ("empty".to_owned(), " ".to_owned())];
        let lines = Lines::new(&catalog("", "gw-1"), &mine);
        let line = written(&lines, POWER, &Value::Number(1.0));
        assert!(
            line.starts_with("rack,asset=rack-1,gateway=gw-1,room=room-1,site=hall-1 "),
            "{line}"
        );
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let lines = Lines::new(&catalog("R1", "gw-1"), &[]);
        let long = Value::Text("x".repeat(TEXT_MAX + 1).into());
        for (point, value, why) in [
            (POWER, Value::Number(f64::NAN), Unwritten::NotFinite),
            (POWER, Value::Number(f64::INFINITY), Unwritten::NotFinite),
            (POWER, Value::Text("45".into()), Unwritten::OtherKind),
            (LEAK, Value::Number(1.0), Unwritten::OtherKind),
            (SERIAL, Value::State(1), Unwritten::OtherKind),
            (SERIAL, long, Unwritten::TooLong),
            (PointId(99), Value::Number(1.0), Unwritten::NoSuchPoint),
        ] {
            let mut out = b"before\n".to_vec();
            assert_eq!(lines.sample(&mut out, point, &value, 0), Err(why));
            assert_eq!(out, b"before\n");
        }
    }

    fn moved(text: &str) -> Moved {
        Moved {
            alarm: "cdu.supply_hi@cdu-2".into(),
            title: text.into(),
            priority: Priority::P2,
            from: Letter::A,
            to: Letter::B,
            cause: "condition".to_owned(),
            occurrence: 3,
            operands: "46.2 °C > 45 °C".to_owned(),
            by: None,
            annunciate: true,
        }
    }

    #[test]
    fn an_alarm_transition_is_a_line_of_its_own_measurement() {
        let lines = Lines::new(&catalog("R1", "gw-1"), &[]);
        let mut out = Vec::new();
        lines.moved(&mut out, Some("cdu-2"), &moved("Supply \"hot\""), 5);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "alarm,alarm=cdu.supply_hi@cdu-2,asset=cdu-2,gateway=gw-1,priority=2,site=hall-1 \
             letter=\"B\",from=\"A\",cause=\"condition\",title=\"Supply \\\"hot\\\"\",\
             operands=\"46.2 °C > 45 °C\",occurrence=3i,annunciate=true 5\n"
        );
    }

    #[test]
    fn the_ends_of_the_chains_are_a_line_of_their_own_measurement() {
        let chain = |lines: u64| rules::chain::Chain { lines, ..rules::chain::Chain::empty("x") };
        let (ledger, journal) = (chain(7), chain(9));
        let anchor = Anchor { day: "2026-10-01".parse().unwrap(), ledger, journal };
        let mut out = Vec::new();
        Lines::new(&catalog("R1", "gw-1"), &[]).anchor(&mut out, &anchor, 5);
        let head = ledger.head;
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!(
                "anchor,gateway=gw-1,site=hall-1 day=\"2026-10-01\",line=7i,head=\"{head}\",\
                 journal_line=9i,journal_head=\"{head}\" 5\n"
            )
        );
    }

    fn field<'a>(line: &'a ParsedLine<'_>, name: &str) -> &'a FieldValue<'a> {
        line.field_value(name).unwrap()
    }

    proptest! {
        #[test]
        fn any_name_and_tag_stays_one_line_that_a_parser_takes(
            row in any::<String>(), gateway in any::<String>(), key in "[a-z\\\\,= \n]{1,8}", value in any::<String>()
        ) {
            let lines = Lines::new(&catalog(&row, &gateway), &[(key, value)]);
            let text = written(&lines, POWER, &Value::Number(1.5));
            let line = parsed(&text);
            prop_assert_eq!(field(&line, "power_kilowatts"), &FieldValue::F64(1.5));
            prop_assert_eq!(line.timestamp, Some(1_700_000_000_123));
            prop_assert_eq!(line.series.measurement.as_str(), "rack");
            prop_assert_eq!(line.tag_value("asset").unwrap().as_str(), "rack-1");
            prop_assert_eq!(line.tag_value("site").unwrap().as_str(), "hall-1");
            let plain = |text: &str| {
                let text = text.trim().replace('\\', "/");
                text.replace(|letter: char| letter.is_control(), " ")
            };
            let read = line.tag_value("gateway").map(|tag| tag.as_str().to_owned());
            prop_assert_eq!(read.unwrap_or_default(), plain(&gateway));
            prop_assert_eq!(line.tag_value("row").map(|tag| tag.as_str().to_owned()).unwrap_or_default(), plain(&row));
        }

        #[test]
        fn any_text_comes_back_but_for_its_control_characters(text in any::<String>()) {
            let lines = Lines::new(&catalog("R1", "gw-1"), &[]);
            let plain = text.replace(|letter: char| letter.is_control(), " ");
            let out = written(&lines, SERIAL, &Value::Text(text.as_str().into()));
            let line = parsed(&out);
            let FieldValue::String(read) = field(&line, "serial_text") else { panic!("a text") };
            prop_assert_eq!(read.as_str(), plain.as_str());

            let mut out = Vec::new();
            lines.moved(&mut out, Some(&text), &moved(&text), 5);
            let out = String::from_utf8(out).unwrap();
            let line = parsed(&out);
            prop_assert_eq!(field(&line, "occurrence"), &FieldValue::I64(3));
        }

        #[test]
        fn any_finite_number_comes_back_to_the_last_bit(bits in any::<u64>(), code in any::<u32>(), ms in any::<i64>()) {
            let lines = Lines::new(&catalog("R1", "gw-1"), &[]);
            let number = f64::from_bits(bits);
            let mut out = Vec::new();
            let done = lines.sample(&mut out, POWER, &Value::Number(number), ms);
            prop_assert_eq!(done.is_ok(), number.is_finite());
            if number.is_finite() {
                let out = String::from_utf8(out).unwrap();
                let line = parsed(&out);
                let FieldValue::F64(read) = field(&line, "power_kilowatts") else { panic!("a float") };
                prop_assert_eq!(read.to_bits(), number.to_bits());
                prop_assert_eq!(line.timestamp, Some(ms));
            }
            let out = written(&lines, LEAK, &Value::State(code));
            let line = parsed(&out);
            prop_assert_eq!(field(&line, "leak_state"), &FieldValue::I64(i64::from(code)));
        }
    }
}
