//! Where the ends of journal and ledger are kept once a day, besides the database of `[influxdb]`.
//!
//! ```toml
//! [anchors]
//! url = "mqtt://broker.example.net:1883"
//! user = "coldwatch"
//! password = "${file:/etc/coldwatch/broker}"
//! topic = "coldwatch/gw-1/anchor"            # the default, with this gateway's name
//! ```

use rules::messages::SiteInfo;

use super::devices;
use crate::{
    address::Address,
    secret::Resolve,
    site::Anchors,
    table::{At, Table},
};

const OWN: &str = "coldwatch/";
/// MQTT allows more; a topic that is read by people has less.
const LONGEST: usize = 256;

/// Reads `[anchors]`; `None` where it is absent or has a fault.
pub(super) fn read(
    root: &Table<'_>,
    site: Option<&SiteInfo>,
    resolve: Resolve<'_>,
) -> Option<Anchors> {
    let table = root.table("anchors", "[anchors]")?;
    let address = devices::address(&table, resolve);
    let gateway = site.map(|site| site.gateway.as_str()).unwrap_or_default();
    let topic = match table.text("topic", "coldwatch/gw-1/anchor") {
        None => Some(format!("{OWN}{gateway}/anchor")),
        Some(topic) => own(&table, &topic),
    };
    let broker = match address {
        Some(Address::Mqtt { host, port, credentials }) => Some((host, port, credentials)),
        Some(Address::ModbusTcp { .. }) => {
            let remedy = "write url = \"mqtt://host:1883\"";
            table.fault(table.place("url"), "anchors are kept by an MQTT broker", remedy);
            None
        }
        None => None,
    };
    table.finish();
    let (host, port, credentials) = broker?;
    Some(Anchors { host, port, credentials, topic: topic? })
}

/// Nothing is ever published where a device might listen.
fn own(table: &Table<'_>, topic: &At<&str>) -> Option<String> {
    let text = topic.value;
    let plain = !text.contains(['+', '#']) && !text.chars().any(char::is_control);
    let below = text.strip_prefix(OWN).is_some_and(|rest| !rest.is_empty());
    if plain && below && text.len() <= LONGEST {
        return Some(text.to_owned());
    }
    let message = format!("\"{text}\" is no topic of coldwatch's own");
    let remedy = "write one that begins with coldwatch/ and has no wildcard";
    table.fault(topic.span.clone(), message, remedy);
    None
}
