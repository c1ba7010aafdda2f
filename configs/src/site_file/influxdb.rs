//! Where the numbers go besides the gateway's own disk.
//!
//! ```toml
//! [influxdb]
//! url = "https://influx.example.net:8086"
//! org = "facilities"
//! bucket = "hall-1"
//! token = "${file:/etc/coldwatch/influxdb-token}"
//! ca = "/etc/coldwatch/influxdb-ca.pem"  # where its certificate is not signed by a public authority
//! tags = { region = "eu-central" }       # on every line, besides site, gateway, asset, room and row
//! ```
//!
//! Plain `http://` to another machine sends the token readable for everybody on the way: it is taken only with
//! `plain_text = true`.

// The core has addresses without sockets.
use core::net::IpAddr;

use toml::{Spanned, de::DeValue};
use url::{Host, Url};

use crate::{
    secret::{self, Resolve},
    site::InfluxDb,
    table::{At, Table},
};

const URL: &str = "https://influx.example.net:8086";
const TAGS: &str = "{ region = \"eu-central\" }";

/// Tags and columns that the sink and the database set themselves.
const TAKEN: [&str; 8] = ["site", "gateway", "asset", "room", "row", "alarm", "priority", "time"];

/// Reads `[influxdb]`; `None` where it is absent or has a fault.
pub(super) fn read(root: &Table<'_>, resolve: Resolve<'_>) -> Option<InfluxDb> {
    let table = root.table("influxdb", "[influxdb]")?;
    let plain_text = table.flag("plain_text").unwrap_or(false);
    let url = table.required_text("url", URL).and_then(|url| address(&table, &url, plain_text));
    let org = table.required_text("org", "facilities");
    let bucket = table.required_text("bucket", "hall-1");
    let token = token(&table, resolve);
    let ca = table.text("ca", "/etc/coldwatch/influxdb-ca.pem");
    let tags = tags(&table);
    table.finish();
    Some(InfluxDb {
        url: url?,
        org: org?.value.to_owned(),
        bucket: bucket?.value.to_owned(),
        token: token?,
        ca: ca.map(|ca| ca.value.to_owned()),
        tags: tags?,
    })
}

/// The client writes to `/api/v2/write` whatever path the URL has, so a path would be lost without a word.
fn address(table: &Table<'_>, at: &At<&str>, plain_text: bool) -> Option<String> {
    let refuse = |message: String, remedy: &str| {
        table.fault(at.span.clone(), message, remedy);
        None
    };
    let url = match Url::parse(at.value.trim()) {
        Ok(url) => url,
        Err(error) => {
            if at.value.contains('@') || secret::is_secret_key(at.value) {
                table.hide(at.span.clone());
            }
            let remedy = format!("write url = \"{URL}\"");
            return refuse(format!("the URL cannot be read: {error}"), &remedy);
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        table.hide(at.span.clone());
        return refuse(
            "a secret is written into the file, in the URL".to_owned(),
            "write token = \"${file:/etc/coldwatch/influxdb-token}\" as a key of its own",
        );
    }
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("InfluxDB does not answer on \"{}://\"", url.scheme());
        return refuse(message, &format!("write url = \"{URL}\""));
    }
    if url.query().is_some() || url.fragment().is_some() {
        table.hide(at.span.clone());
        return refuse(
            "the URL has a query or fragment that means nothing here".to_owned(),
            "write org, bucket and token as keys of their own",
        );
    }
    if !matches!(url.path(), "" | "/") {
        return refuse(
            format!("the URL has the path \"{}\", which would be dropped", url.path()),
            "let the server or proxy answer at the root of a host name or port of its own",
        );
    }
    if url.scheme() == "http" && !plain_text && !is_loopback(&url) {
        return refuse(
            "the token would cross the network as plain text".to_owned(),
            "write https://, or plain_text = true where the network is trusted",
        );
    }
    Some(url.origin().ascii_serialization())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

fn token(table: &Table<'_>, resolve: Resolve<'_>) -> Option<String> {
    if !table.has("token") {
        table.ask(&["token"]);
        table.fault(
            table.span(),
            format!("{} has no \"token\"", table.title()),
            "add it: token = \"${file:/etc/coldwatch/influxdb-token}\" or \"${env:NAME}\"",
        );
        return None;
    }
    let token = table.secret("token", resolve)?;
    if token.chars().any(|character| !character.is_ascii_graphic()) {
        table.fault(
            table.place("token"),
            "the token has a space, a line end or another character that no header can carry",
            "put the token alone on the first line of its file",
        );
        return None;
    }
    Some(token)
}

/// Tags in the order of their names; `None` after a fault.
fn tags(table: &Table<'_>) -> Option<Vec<(String, String)>> {
    let entries = table.entries("tags", TAGS);
    let read: Vec<_> = entries.iter().map(|(key, value)| tag(table, key, value)).collect();
    let mut tags = read.into_iter().collect::<Option<Vec<_>>>()?;
    tags.sort();
    Some(tags)
}

fn tag(
    table: &Table<'_>,
    key: &At<&str>,
    value: &Spanned<DeValue<'_>>,
) -> Option<(String, String)> {
    let name_is_sound = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    if TAKEN.contains(&key.value) {
        table.fault(
            key.span.clone(),
            format!("the tag \"{}\" is already given by coldwatch", key.value),
            "choose another name",
        );
        return None;
    }
    if !name_is_sound(key.value) {
        table.fault(
            key.span.clone(),
            format!("\"{}\" cannot be the name of a tag", key.value),
            "begin with a letter and use letters, digits and _",
        );
        return None;
    }
    let text = value.get_ref().as_str().map(str::trim).filter(|text| !text.is_empty());
    let Some(text) = text.filter(|text| !text.contains(char::is_control)) else {
        table.fault(
            value.span(),
            format!("the tag \"{}\" needs a text on one line", key.value),
            format!("write it like this: tags = {TAGS}"),
        );
        return None;
    };
    Some((key.value.to_owned(), text.to_owned()))
}
