//! Who may ask the gateway: `[api]`, with one `[[api.user]]` for each person or program that has a token.
//!
//! ```toml
//! [api]
//! listen = "0.0.0.0:7420"
//! hosts = ["gw-1.example"]
//! tls = { certificate = "/etc/coldwatch/tls.pem", key = "/etc/coldwatch/tls.key" }
//!
//! [[api.user]]
//! name = "anna"
//! role = "operator"
//! token = "${file:/etc/coldwatch/anna.token}"
//! ```

use core::net::SocketAddr;
use std::path::PathBuf;

use url::{Host, Url};

use crate::{
    api::{Api, Role, TlsFiles, User},
    secret::Resolve,
    table::{At, Table},
};

const ROLES: &[(&str, Role)] =
    &[("viewer", Role::Viewer), ("operator", Role::Operator), ("admin", Role::Admin)];
const TLS_EXAMPLE: &str =
    "{ certificate = \"/etc/coldwatch/tls.pem\", key = \"/etc/coldwatch/tls.key\" }";
/// A name stands in journal lines.
const NAME_CHARS_MAX: usize = 64;

pub(super) fn read(root: &Table<'_>, secret: Resolve<'_>) -> Api {
    let Some(table) = root.table("api", "[api]") else { return Api::default() };
    let api = Api {
        listen: listen(&table),
        socket: table.text("socket", "/run/coldwatch/api.sock").map(|path| path.value.into()),
        socket_role: table.choice("socket_role", ROLES).unwrap_or_default(),
        hosts: table
            .texts("hosts", "gw-1.example")
            .iter()
            .filter_map(|host| read_host(&table, host))
            .collect(),
        origins: table
            .texts("origins", "https://dash.example")
            .iter()
            .filter_map(|origin| read_origin(&table, origin))
            .collect(),
        tls: tls(&table),
        users: users(&table, secret),
    };
    let objection = api.listen.and_then(|listen| api.objection(listen));
    // Users and TLS with faults of their own bring on no other.
    if let Some(objection) = objection.filter(|_| table.is_sound()) {
        table.fault(
            table.place("listen"),
            objection,
            format!(
                "listen on 127.0.0.1, or add tls = {TLS_EXAMPLE} and at least one [[api.user]]"
            ),
        );
    }
    table.finish();
    api
}

fn listen(table: &Table<'_>) -> Option<SocketAddr> {
    const EXAMPLE: &str = "127.0.0.1:7420";
    let text = table.text("listen", EXAMPLE)?;
    let address = text.value.trim().parse().ok();
    if address.is_none() {
        table.fault(
            text.span,
            format!("\"{}\" is not an address with a port", text.value),
            format!("write the number of the address: listen = \"{EXAMPLE}\" or \"[::1]:7420\""),
        );
    }
    address
}

fn read_host(table: &Table<'_>, host: &At<&str>) -> Option<String> {
    // An IPv6 address is written bare, and a port after a name does not parse as a host.
    let bare = host.value.parse().map(Host::Ipv6).ok();
    let Some(host) = bare.or_else(|| Host::parse(host.value).ok()) else {
        table.fault(
            host.span.clone(),
            format!("\"{}\" is not the name of a host", host.value),
            "write the name alone, without scheme and port: hosts = [\"gw-1.example\"]",
        );
        return None;
    };
    Some(host.to_string().to_ascii_lowercase())
}

fn read_origin(table: &Table<'_>, origin: &At<&str>) -> Option<String> {
    let url = Url::parse(origin.value).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && matches!(url.path(), "" | "/")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if url.is_none() {
        table.fault(
            origin.span.clone(),
            format!("\"{}\" is not the origin of a web page", origin.value),
            "write scheme, host and port, nothing more: origins = [\"https://dash.example\"]",
        );
    }
    Some(url?.origin().ascii_serialization())
}

fn tls(table: &Table<'_>) -> Option<TlsFiles> {
    let tls = table.table("tls", TLS_EXAMPLE)?;
    let certificate = tls.required_text("certificate", "/etc/coldwatch/tls.pem");
    let key = tls.required_text("key", "/etc/coldwatch/tls.key");
    tls.finish();
    let path = |text: At<&str>| PathBuf::from(text.value);
    if !tls.is_sound() {
        table.doubt();
    }
    Some(TlsFiles { certificate: path(certificate?), key: path(key?) })
}

fn users(table: &Table<'_>, secret: Resolve<'_>) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for user in table.tables("user") {
        let name = user.required_text("name", "anna");
        if let Some(name) = &name {
            check_name(&user, name, &users);
        }
        let role = user.required_choice("role", ROLES);
        let token = token(&user, secret);
        user.finish();
        if !user.is_sound() {
            table.doubt();
        }
        if let (Some(name), Some(role), Some(token)) = (name, role, token) {
            users.push(User { name: name.value.to_owned(), role, token });
        }
    }
    users
}

fn check_name(user: &Table<'_>, name: &At<&str>, earlier: &[User]) {
    if earlier.iter().any(|other| other.name == name.value) {
        user.fault(
            name.span.clone(),
            format!("a user called \"{}\" is there already", name.value),
            "give one of the two another name",
        );
    }
    if name.value.chars().any(char::is_control) || name.value.chars().count() > NAME_CHARS_MAX {
        user.fault(
            name.span.clone(),
            "the name has a control character or is too long for the journal",
            format!("write at most {NAME_CHARS_MAX} letters on one line"),
        );
    }
}

fn token(user: &Table<'_>, secret: Resolve<'_>) -> Option<String> {
    if user.has("token") {
        return user.secret("token", secret);
    }
    user.required_text("token", "${file:/etc/coldwatch/anna.token}").map(|_| String::new())
}
