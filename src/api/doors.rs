//! Who comes in, and what they may do.
//!
//! - With `Authorization: Bearer TOKEN` the token decides, whichever way the request came. Users of `[[api.user]]` have
//!   the role that the site file gives them. The token of the file that only the gateway's own user can read is that
//!   user's, who is `admin`: it could as well stop the gateway or change its files.
//! - Without one, the Unix socket knows who is at the other end. Root and the gateway's own user are `admin`. The kernel
//!   lets others in only as members of the socket's group: they have the role `socket_role`, by default `operator`.
//! - Everybody else is refused, except where health is asked for.
//!
//! Commands are journaled under the name of who comes in. Root and the gateway's own user may name somebody else with
//! `by`, for a shared screen in a control room: they could write the journal itself.
//!
//! A web page that somebody looks at on this machine may send requests too. So over the network `Host` must name this
//! machine (a page cannot rebind its own name to us), and a page's `Origin` must be this host or one of the site file's.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    str::FromStr,
    sync::Arc,
};

use anyhow::bail;
use axum::http::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, HOST, HeaderName, ORIGIN},
    uri::Authority,
};
use configs::api::{Api, Role};
use subtle::ConstantTimeEq;
use tokio::sync::OwnedSemaphorePermit;

use super::{problem::Problem, socket, token};
use crate::people;

/// What is known of the other end of a connection.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) peer: Peer,
    /// Its place among those that are served at once, for as long as anything of it lives.
    pub(super) place: Arc<OwnedSemaphorePermit>,
}

#[derive(Clone)]
pub(super) enum Peer {
    /// On the Unix socket, as the kernel says.
    User { uid: u32, name: Arc<str> },
    /// Over the network, at this address of ours.
    Network { here: SocketAddr },
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) name: Arc<str>,
    pub(super) role: Role,
    /// May name somebody else on a command.
    pub(super) speaks_for_others: bool,
}

impl Caller {
    /// Refuses who may do less than `role` may.
    pub(super) fn at_least(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!("{} is {}, and this takes {}", self.name, self.role.word(), role.word()),
            "ask somebody with that role, or let the site file's [api] give it",
        ))
    }
}

struct Key {
    name: Arc<str>,
    role: Role,
    token: String,
}

pub(super) struct Doors {
    keys: Vec<Key>,
    own_uid: u32,
    socket_role: Role,
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Doors {
    /// `folder` holds the token of the gateway's own user; it is made where it is missing.
    pub(super) fn new(site: &Api, folder: Option<&Path>) -> anyhow::Result<Self> {
        let own_uid = socket::own_uid();
        let mut keys = Vec::new();
        for user in &site.users {
            if user.token.len() < token::LENGTH_MIN {
                bail!(
                    "the token of {} has fewer than {} characters; make one with: openssl rand -hex 32",
                    user.name,
                    token::LENGTH_MIN
                );
            }
            keys.push(Key {
                name: user.name.as_str().into(),
                role: user.role,
                token: user.token.clone(),
            });
        }
        if let Some(folder) = folder {
            let name = people::name_of(own_uid).into();
            keys.push(Key { name, role: Role::Admin, token: token::in_folder(folder)? });
        }
        if let Some(twice) = keys.iter().enumerate().find_map(|(index, key)| {
            keys[..index].iter().find(|earlier| earlier.token == key.token).map(|_| &key.name)
        }) {
            bail!("the token of {twice} is somebody else's too; give every user one of their own");
        }
        Ok(Self {
            keys,
            own_uid,
            socket_role: site.socket_role,
            hosts: site.hosts.clone(),
            origins: site.origins.clone(),
        })
    }

    /// Checks what the request says of where it goes and where it comes from.
    pub(super) fn check_way(&self, peer: &Peer, headers: &HeaderMap) -> Result<(), Problem> {
        let host = single(headers, &HOST)?.and_then(|host| Authority::from_str(host).ok());
        if let Peer::Network { here } = peer {
            let known = host.as_ref().is_some_and(|host| self.is_ours(host.host(), here.ip()));
            if !known {
                return Err(Problem::new(
                    StatusCode::MISDIRECTED_REQUEST,
                    "the Host header does not name this gateway",
                    "ask for localhost or the gateway's address, or add the name to hosts in the site file's [api]",
                ));
            }
        }
        let Some(origin) = single(headers, &ORIGIN)? else { return Ok(()) };
        let same_host = || {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority
                .zip(host.as_ref())
                .is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host.as_str()))
        };
        if self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin)) || same_host() {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "a web page of another origin asks",
            "add its origin to origins in the site file's [api], if it should be let in",
        ))
    }

    fn is_ours(&self, host: &str, here: IpAddr) -> bool {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.is_ok_and(|address| address.is_loopback() || address == here.to_canonical())
            || host.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// Who asks.
    pub(super) fn identify(&self, peer: &Peer, headers: &HeaderMap) -> Result<Caller, Problem> {
        match (single(headers, &AUTHORIZATION)?, peer) {
            (Some(credential), _) => {
                bearer(credential).and_then(|token| self.by_token(token)).ok_or_else(|| {
                    Problem::new(
                        StatusCode::UNAUTHORIZED,
                        "the credential is not known here",
                        "send Authorization: Bearer TOKEN with the token of a user of the site file's [api], or of the \
                         file named token beside the gateway's data",
                    )
                })
            }
            (None, Peer::User { uid, name }) => {
                let trusted = *uid == 0 || *uid == self.own_uid;
                let role = if trusted { Role::Admin } else { self.socket_role };
                Ok(Caller { name: Arc::clone(name), role, speaks_for_others: trusted })
            }
            (None, Peer::Network { .. }) => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "no credential",
                "send Authorization: Bearer TOKEN",
            )),
        }
    }

    /// Takes as long for every wrong token, however much of it is right.
    fn by_token(&self, given: &str) -> Option<Caller> {
        let mut found = None;
        for key in &self.keys {
            if bool::from(key.token.as_bytes().ct_eq(given.as_bytes())) {
                found = Some(key);
            }
        }
        found.map(|key| Caller {
            name: Arc::clone(&key.name),
            role: key.role,
            speaks_for_others: false,
        })
    }
}

fn bearer(credential: &str) -> Option<&str> {
    let (scheme, token) = credential.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A header that means nothing when it is there twice.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let refused = |what| {
        Problem::new(StatusCode::BAD_REQUEST, format!("the header {name} {what}"), "send it once")
    };
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| refused("is not text")),
        (Some(_), Some(_)) => Err(refused("is there twice")),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use configs::api::User;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn doors() -> Doors {
        let user = User { name: "anna".to_owned(), role: Role::Viewer, token: TOKEN.to_owned() };
        let site = Api {
            hosts: vec!["gw-1.example".to_owned()],
            origins: vec!["https://dash.example".to_owned()],
            users: vec![user],
            ..Api::default()
        };
        Doors::new(&site, None).unwrap()
    }

    fn network() -> Peer {
        Peer::Network { here: "192.0.2.7:7420".parse().unwrap() }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        headers
    }

    fn status<T>(result: Result<T, Problem>) -> u16 {
        result.err().map_or(200, |problem| problem.into_response().status().as_u16())
    }

    #[test]
    fn a_host_is_loopback_the_address_itself_or_a_configured_name() {
        let doors = doors();
        for (host, expected) in [
            ("localhost:7420", 200),
            ("LOCALHOST", 200),
            ("127.0.0.1:1", 200),
            ("[::1]:7420", 200),
            ("192.0.2.7:7420", 200),
            ("gw-1.example", 200),
            ("192.0.2.8:7420", 421),
            ("evil.example:7420", 421),
            ("localhost.evil.example", 421),
            ("user@localhost", 200),
            ("", 421),
        ] {
            assert_eq!(
                status(doors.check_way(&network(), &headers(&[("host", host)]))),
                expected,
                "{host}"
            );
        }
        assert_eq!(status(doors.check_way(&network(), &HeaderMap::new())), 421);
        let twice = headers(&[("host", "localhost"), ("host", "evil.example")]);
        assert_eq!(status(doors.check_way(&network(), &twice)), 400);
    }

    #[test]
    fn a_page_is_let_in_from_this_host_or_a_configured_origin() {
        let doors = doors();
        for (origin, expected) in [
            ("http://localhost:7420", 200),
            ("https://dash.example", 200),
            ("https://dash.example.evil.example", 403),
            ("http://localhost:3000", 403),
            ("http://evil.example", 403),
            ("null", 403),
        ] {
            let headers = headers(&[("host", "localhost:7420"), ("origin", origin)]);
            assert_eq!(status(doors.check_way(&network(), &headers)), expected, "{origin}");
        }
    }

    #[test]
    fn a_token_decides_and_without_one_only_the_socket_knows_who_asks() {
        let doors = doors();
        let with = |credential: &str| {
            doors.identify(&network(), &headers(&[("authorization", credential)]))
        };
        let caller = with(&format!("Bearer {TOKEN}")).unwrap();
        assert_eq!((&*caller.name, caller.role), ("anna", Role::Viewer));
        for wrong in ["Bearer ", "Bearer x", &TOKEN[..31], &format!("Basic {TOKEN}"), ""] {
            assert_eq!(status(with(wrong)), 401, "{wrong}");
        }
        assert_eq!(status(doors.identify(&network(), &HeaderMap::new())), 401);

        let user = |uid| Peer::User { uid, name: "zhao".into() };
        let other = doors.own_uid + 1;
        let member = doors.identify(&user(other), &HeaderMap::new()).unwrap();
        assert_eq!((member.role, member.speaks_for_others), (Role::Operator, false));
        let owner = doors.identify(&user(doors.own_uid), &HeaderMap::new()).unwrap();
        assert_eq!((owner.role, owner.speaks_for_others), (Role::Admin, true));
        let wrong = headers(&[("authorization", "Bearer wrong")]);
        assert_eq!(status(doors.identify(&user(0), &wrong)), 401, "a wrong token is not ignored");
    }

    #[test]
    fn a_token_too_short_or_given_twice_opens_nothing() {
        let user = |name: &str, token: &str| User {
            name: name.to_owned(),
            role: Role::Viewer,
            token: token.to_owned(),
        };
        let site = |users| Api { users, ..Api::default() };
        assert!(Doors::new(&site(vec![user("anna", "")]), None).is_err());
        let twice = vec![user("anna", TOKEN), user("zhao", TOKEN)];
        let error = Doors::new(&site(twice), None).err().unwrap().to_string();
        assert!(error.contains("zhao") && !error.contains(TOKEN), "{error}");
    }
}
