//! The same numbers for Prometheus.
//!
//! A point becomes a metric named after the last word of its quantity, in the base unit that Prometheus asks for:
//! `coldwatch_supply_temperature_celsius{site,asset,kind,quantity}`. Counters end in `_total`, states in `_code`. A point
//! without a value has no such series, but one of `coldwatch_point_missing` that says why.

use std::{collections::BTreeMap, fmt, sync::Arc};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text::encode},
    metrics::MetricType,
    registry::{Registry, Unit as MetricUnit},
};
use rules::{
    alarm::{Letter, Priority},
    messages::{LinkView, Snapshot},
    plant::{PointId, PointKind, PointSpec},
    units::{Unit, decimal},
    value::{NoData, Value},
};
use store::{Stats, sink::influx::SinkState};
use tokio::task::spawn_blocking;

use super::{counters::Counters, problem::Problem, state::App};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Our units with the base unit in which Prometheus gets them, and its name. Others keep their unit and its symbol.
const UNITS: &[(&str, &str, &str)] = &[
    ("°C", "°C", "celsius"),
    ("K", "K", "kelvins"),
    ("%", "1", "ratio"),
    ("1", "1", "ratio"),
    ("W", "W", "watts"),
    ("kW", "W", "watts"),
    ("kVA", "VA", "volt_amperes"),
    ("kvar", "var", "volt_amperes_reactive"),
    ("kWh", "J", "joules"),
    ("A", "A", "amperes"),
    ("V", "V", "volts"),
    ("Hz", "Hz", "hertz"),
    ("rpm", "rpm", "revolutions_per_minute"),
    ("kPa", "Pa", "pascals"),
    ("L/min", "L/min", "liters_per_minute"),
    ("L/min/kW", "L/min/kW", "liters_per_minute_per_kilowatt"),
    ("kW/m2", "W/m2", "watts_per_square_meter"),
    ("g/m3", "g/m3", "grams_per_cubic_meter"),
    ("µS/cm", "µS/cm", "microsiemens_per_centimeter"),
    ("m3", "m3", "cubic_meters"),
    ("s", "s", "seconds"),
    ("ms", "s", "seconds"),
];

/// First words of our own metrics, which no point takes.
const OURS: [&str; 8] =
    ["build", "alarms", "api_", "device_", "gateway_", "influxdb_", "point_", "storage_"];

const LETTERS: [Letter; 8] =
    [Letter::B, Letter::C, Letter::D, Letter::E, Letter::F, Letter::G, Letter::Bl, Letter::Cl];
const PRIORITIES: [Priority; 4] = [Priority::P1, Priority::P2, Priority::P3, Priority::P4];

/// A figure of a device.
type Count = fn(&LinkView) -> u64;

/// Everything that Prometheus is told.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((
        status = 200,
        description = "OpenMetrics text.",
        body = String,
        content_type = "application/openmetrics-text"
    )),
)]
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let snapshot = app.snapshot().await?;
    let (counters, sink) = (app.counters.clone(), app.port.forwarding());
    let store = app.port.store().cloned();
    // A large site takes a while to write, which is not for the threads that serve everybody.
    let text = spawn_blocking(move || {
        let stats = store.and_then(|store| store.stats().ok());
        write(snapshot, stats, sink, counters)
    })
    .await;
    match text {
        Ok(Ok(text)) => Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()),
        Ok(Err(_)) | Err(_) => Err(Problem::ours("the metrics cannot be written")),
    }
}

fn write(
    snapshot: Snapshot,
    stats: Option<Stats>,
    sink: Option<SinkState>,
    counters: Counters,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    counters.register(&mut registry);
    registry.register_collector(Box::new(Scrape { snapshot, stats, sink }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// The picture, to be written as metrics.
struct Scrape {
    snapshot: Snapshot,
    /// `None` where nothing is kept, or where that cannot be read now.
    stats: Option<Stats>,
    /// `None` where nothing is forwarded.
    sink: Option<SinkState>,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").field("seq", &self.snapshot.seq).finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.points(&mut encoder)?;
        self.missing(&mut encoder)?;
        self.alarms(&mut encoder)?;
        self.devices(&mut encoder)?;
        self.gateway(&mut encoder)?;
        self.storage(&mut encoder)?;
        self.sink(&mut encoder)
    }
}

/// One metric: points of one word and unit.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    word: String,
    unit: String,
}

/// A point of a metric.
struct One {
    point: PointId,
    number: f64,
    is_counter: bool,
}

impl Scrape {
    fn points(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        // All of one metric stand together.
        let mut metrics: BTreeMap<Name, Vec<One>> = BTreeMap::new();
        for point in self.snapshot.plant.point_ids() {
            let spec = self.snapshot.plant.point(point);
            let reading = self.snapshot.readings.get(point.index());
            let Some(value) = reading.and_then(|reading| reading.value.as_ref().ok()) else {
                continue;
            };
            if let Some((name, number, is_counter)) = metric(spec, value) {
                metrics.entry(name).or_default().push(One { point, number, is_counter });
            }
        }
        for (name, values) in metrics {
            let unit = MetricUnit::Other(name.unit);
            let unit = if unit.as_str().is_empty() { None } else { Some(&unit) };
            // A metric is of one type: where only some points count, none is called a counter.
            let is_counter = values.iter().all(|one| one.is_counter);
            let kind = if is_counter { MetricType::Counter } else { MetricType::Gauge };
            let help = "A point of the site";
            let mut metric = encoder.encode_descriptor(&name.word, help, unit, kind)?;
            for One { point, number, .. } in values {
                let labels = self.labels(point);
                let mut one = metric.encode_family(&labels)?;
                if is_counter {
                    one.encode_counter::<NoLabelSet, _, f64>(&number, None)?;
                } else {
                    one.encode_gauge(&number)?;
                }
            }
        }
        Ok(())
    }

    fn labels(&self, point: PointId) -> [(&str, &str); 4] {
        let plant = &self.snapshot.plant;
        let spec = plant.point(point);
        let asset = plant.asset(spec.asset);
        [
            ("site", &self.snapshot.site.id),
            ("asset", &asset.name),
            ("kind", asset.kind.word()),
            ("quantity", &spec.quantity),
        ]
    }

    fn missing(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 for a point without a value, with the reason";
        let mut metric = gauge(encoder, "coldwatch_point_missing", help, None)?;
        for (point, reading) in self.snapshot.plant.point_ids().zip(&self.snapshot.readings) {
            let Err(reason) = &reading.value else { continue };
            let (reason, [site, asset, kind, quantity]) = (word(*reason), self.labels(point));
            let labels = [site, asset, kind, quantity, ("reason", &reason)];
            metric.encode_family(&labels)?.encode_gauge(&1_u32)?;
        }
        Ok(())
    }

    fn alarms(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Alarms by ISA-18.2 letter and priority";
        let mut metric = gauge(encoder, "coldwatch_alarms", help, None)?;
        let alarms = &self.snapshot.alarms;
        for (letter, priority) in
            LETTERS.iter().flat_map(|letter| PRIORITIES.map(|priority| (*letter, priority)))
        {
            let here = alarms.iter().filter(|a| a.letter == letter && a.priority == priority);
            let count = u64::try_from(here.count()).unwrap_or(u64::MAX);
            let (letter, priority) = (letter.to_string(), u8::from(priority).to_string());
            let labels =
                [("site", self.site()), ("letter", letter.as_str()), ("priority", &priority)];
            metric.encode_family(&labels)?.encode_gauge(&count)?;
        }
        let help = "Alarms whose condition cannot be judged now";
        let mut metric = gauge(encoder, "coldwatch_alarms_unknown", help, None)?;
        let unknown = alarms.iter().filter(|alarm| alarm.unknown).count();
        let labels = [("site", self.site())];
        metric.encode_family(&labels)?.encode_gauge(&unknown)
    }

    fn devices(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let name = |link: &LinkView| Arc::clone(&self.snapshot.plant.asset(link.device).name);
        let mut up = gauge(encoder, "coldwatch_device_up", "1 for a device that answers", None)?;
        for link in &self.snapshot.links {
            let labels = [("site", self.site()), ("device", &name(link))];
            up.encode_family(&labels)?.encode_gauge(&u32::from(link.up))?;
        }
        let help = "How long the newest answer took";
        let seconds = MetricUnit::Seconds;
        let mut time = gauge(encoder, "coldwatch_device_reply_time", help, Some(&seconds))?;
        for link in &self.snapshot.links {
            let Some(reply_time_ms) = link.reply_time_ms else { continue };
            let labels = [("site", self.site()), ("device", &name(link))];
            time.encode_family(&labels)?.encode_gauge(&(reply_time_ms / 1000.0))?;
        }
        let counts: [(&str, &str, Count); 4] = [
            ("replies", "Answers of a device", |link| link.replies),
            ("timeouts", "Requests that a device did not answer in time", |link| link.timeouts),
            ("refusals", "Requests that a device refused", |link| link.refusals),
            ("discarded", "Answers of a device that were not believed", |link| link.discarded),
        ];
        for (word, help, count) in counts {
            let full = format!("coldwatch_device_{word}");
            let mut metric = encoder.encode_descriptor(&full, help, None, MetricType::Counter)?;
            for link in &self.snapshot.links {
                let labels = [("site", self.site()), ("device", &*name(link))];
                let mut one = metric.encode_family(&labels)?;
                one.encode_counter::<NoLabelSet, _, f64>(&count(link), None)?;
            }
        }
        Ok(())
    }

    fn gateway(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let health = &self.snapshot.health;
        let labels = [("site", self.site()), ("gateway", &self.snapshot.site.gateway)];
        let trusted = self.snapshot.at.wall.trust.is_trusted();
        let gauges = [
            ("points", "Points of the site", f64::from(health.points)),
            ("points_stale", "Points whose value is too old", f64::from(health.stale)),
            ("points_bad", "Points without a value for another reason", f64::from(health.bad)),
            ("rules", "Alarms that are judged", f64::from(health.rules)),
            ("samples_per_second", "Samples taken", health.samples_per_second),
            ("clock_trusted", "1 while the wall clock is believed", f64::from(u8::from(trusted))),
        ];
        for (word, help, value) in gauges {
            let full = format!("coldwatch_gateway_{word}");
            gauge(encoder, &full, help, None)?.encode_family(&labels)?.encode_gauge(&value)?;
        }
        let counters = [
            ("discarded", "Answers and messages not believed or not taken", health.discarded),
            ("link_restarts", "Links that failed and were started again", health.restarts),
            ("late_samples", "Published samples too old or out of order", health.late),
        ];
        for (word, help, count) in counters {
            let full = format!("coldwatch_gateway_{word}");
            let mut metric = encoder.encode_descriptor(&full, help, None, MetricType::Counter)?;
            let mut one = metric.encode_family(&labels)?;
            one.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
        }
        let (seconds, help) = (MetricUnit::Seconds, "How long judging everything took");
        let step = std::time::Duration::from_micros(health.step_us).as_secs_f64();
        let mut metric = gauge(encoder, "coldwatch_gateway_step", help, Some(&seconds))?;
        metric.encode_family(&labels)?.encode_gauge(&step)?;
        let help = "The program";
        let mut build =
            encoder.encode_descriptor("coldwatch_build", help, None, MetricType::Info)?;
        build.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }

    fn sink(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(sink) = &self.sink else { return Ok(()) };
        let labels = [("site", self.site())];
        let help = "1 while InfluxDB takes what it is sent";
        let mut up = gauge(encoder, "coldwatch_influxdb_up", help, None)?;
        up.encode_family(&labels)?.encode_gauge(&u32::from(sink.up))?;
        let (seconds, help) = (MetricUnit::Seconds, "Age of the oldest record not forwarded");
        let mut backlog = gauge(encoder, "coldwatch_influxdb_backlog", help, Some(&seconds))?;
        backlog.encode_family(&labels)?.encode_gauge(&sink.backlog_s)?;
        let counters = [
            ("written_lines", "Lines that InfluxDB took", sink.written_lines),
            ("rejected_lines", "Lines in quarantine", sink.rejected_lines),
            ("skipped_values", "Samples without a value or a time", sink.skipped_values),
            ("lost_records", "Records gone before they were forwarded", sink.lost_records),
        ];
        for (word, help, count) in counters {
            let full = format!("coldwatch_influxdb_{word}");
            let mut metric = encoder.encode_descriptor(&full, help, None, MetricType::Counter)?;
            let mut one = metric.encode_family(&labels)?;
            one.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
        }
        Ok(())
    }

    fn storage(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(stats) = &self.stats else { return Ok(()) };
        let bytes = MetricUnit::Bytes;
        let help = "What the data directory holds, by part";
        let mut size = gauge(encoder, "coldwatch_storage_size", help, Some(&bytes))?;
        for (part, count) in [
            ("log", stats.log_bytes),
            ("ledger", stats.ledger_bytes),
            ("history", stats.history_bytes),
            ("reserve", stats.reserve_bytes),
            ("other", stats.other_bytes),
        ] {
            let labels = [("site", self.site()), ("part", part)];
            size.encode_family(&labels)?.encode_gauge(&count)?;
        }
        let labels = [("site", self.site())];
        for (word, help, count) in [
            ("segments", "Segments of the log", stats.segments),
            ("journal_lines", "Lines of the journal", stats.journal_lines),
            ("ledger_lines", "Lines of the ledger", stats.ledger_lines),
            ("applied", "The last record that journal and ledger contain", stats.applied.0),
        ] {
            let full = format!("coldwatch_storage_{word}");
            gauge(encoder, &full, help, None)?.encode_family(&labels)?.encode_gauge(&count)?;
        }
        Ok(())
    }

    fn site(&self) -> &str {
        &self.snapshot.site.id
    }
}

fn gauge<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    name: &'e str,
    help: &str,
    unit: Option<&'e MetricUnit>,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    encoder.encode_descriptor(name, help, unit, MetricType::Gauge)
}

/// The metric of a point, its value there, and whether it counts; `None` for a text.
fn metric(spec: &PointSpec, value: &Value) -> Option<(Name, f64, bool)> {
    let (number, is_state) = match value {
        Value::Number(_) | Value::Integer(_) => (value.as_number()?, false),
        Value::State(code) => (f64::from(*code), true),
        Value::Text(_) => return None,
    };
    let (unit, number) =
        if is_state { ("code".to_owned(), number) } else { base(&spec.unit, number) };
    let quantity = spec.quantity.rsplit('.').next().unwrap_or_default();
    // A power ratio is not called a ratio twice.
    let word = name_part(quantity);
    let word = word.strip_suffix(&format!("_{unit}")).unwrap_or(&word);
    let own = if OURS.iter().any(|ours| word.starts_with(ours)) { "quantity_" } else { "" };
    let word = format!("coldwatch_{own}{word}");
    Some((Name { word, unit }, number, spec.kind == PointKind::Counter && !is_state))
}

/// Name of the base unit, and the number in it.
fn base(unit: &Unit, number: f64) -> (String, f64) {
    let known = UNITS.iter().find(|(symbol, ..)| *symbol == unit.symbol());
    let Some((_, base, name)) = known else { return (name_part(unit.symbol()), number) };
    match Unit::parse(base).and_then(|base| unit.convert(number, &base)) {
        Ok(converted) => ((*name).to_owned(), decimal(converted)),
        Err(_) => (name_part(unit.symbol()), number),
    }
}

/// Lower-case letters, digits and underscores.
fn name_part(text: &str) -> String {
    let part =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    part.collect::<String>().trim_matches('_').to_owned()
}

/// The reason as messages write it: `timeout`, `refused_2`, `undefined_no_flow`.
fn word(reason: NoData) -> String {
    let flat = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    match serde_json::to_value(reason).unwrap_or_default() {
        serde_json::Value::Object(members) => {
            let words = members.into_iter().flat_map(|(key, value)| [key, flat(value)]);
            words.collect::<Vec<_>>().join("_")
        }
        other => flat(other),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rules::{
        plant::{AssetId, Origin},
        value::Undefined,
    };

    use super::*;

    fn check(quantity: &str, unit: &str, kind: PointKind, value: &Value, expected: &str) {
        let spec = PointSpec {
            asset: AssetId(0),
            quantity: quantity.into(),
            unit: Unit::parse(unit).unwrap(),
            kind,
            origin: Origin::Polled,
            stale_after: Duration::from_secs(3),
            states: Vec::new(),
        };
        let told = metric(&spec, value).map(|(name, number, is_counter)| {
            let total = if is_counter { "_total" } else { "" };
            format!("{}_{}{total} {number}", name.word, name.unit)
        });
        assert_eq!(told.as_deref().unwrap_or("nothing"), expected);
    }

    #[test]
    fn a_point_is_named_after_its_word_and_the_base_unit() {
        let number = Value::Number;
        let gauge = PointKind::Gauge;
        let cases = [
            (
                "tcs.supply_temperature",
                "°C",
                number(32.5),
                "coldwatch_supply_temperature_celsius 32.5",
            ),
            ("tcs.delta_temperature", "K", number(7.1), "coldwatch_delta_temperature_kelvins 7.1"),
            ("power", "kW", number(1.1), "coldwatch_power_watts 1100"),
            ("pump_1.speed", "%", number(93.0), "coldwatch_speed_ratio 0.93"),
            ("power_ratio", "1", number(1.2), "coldwatch_power_ratio 1.2"),
            ("tcs.flow", "L/min", number(120.0), "coldwatch_flow_liters_per_minute 120"),
            ("device_age", "h", number(2.0), "coldwatch_quantity_device_age_h 2"),
            ("leak.state", "1", Value::State(2), "coldwatch_state_code 2"),
            ("serial", "1", Value::Text("x".into()), "nothing"),
        ];
        for (quantity, unit, value, expected) in cases {
            check(quantity, unit, gauge, &value, expected);
        }
        let energy = Value::Integer(2);
        check(
            "energy",
            "kWh",
            PointKind::Counter,
            &energy,
            "coldwatch_energy_joules_total 7200000",
        );
    }

    #[test]
    fn a_reason_is_one_word() {
        assert_eq!(word(NoData::NeverSeen), "never_seen");
        assert_eq!(word(NoData::Refused(2)), "refused_2");
        assert_eq!(word(NoData::Undefined(Undefined::NoFlow)), "undefined_no_flow");
    }
}
