//! Which gateway a command talks to, and how it is let in.

use std::path::PathBuf;

use anyhow::Context;
use tui::client::{Address, Client, Token, Trust};

use crate::api::socket;

const URL: &str = "The gateway: unix:PATH, http://127.0.0.1:7420 or https://HOST:7420. Default: the one on this machine, by its socket";

/// The gateway, and what opens its door.
#[derive(clap::Args)]
pub(crate) struct Connect {
    /// Where it is.
    #[arg(long = "connect", value_name = "URL", help = URL)]
    gateway: Option<Address>,
    /// The file that holds the token. Default: on this machine, the gateway's own, if this user may read it.
    #[arg(long, value_name = "FILE", env = "COLDWATCH_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Believe certificates that the authorities in this PEM file signed, in place of those that the system believes.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Connect {
    /// Contacts nobody yet.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let address = self.gateway.clone().unwrap_or_else(|| Address::Unix(socket::default_path()));
        let token = match (&self.token_file, &address) {
            (Some(file), _) => Token::File(file.clone()),
            (None, Address::Http { .. }) => Token::IfReadable(own_token()),
            // On the socket the kernel says who asks; elsewhere only a token does.
            (None, Address::Unix(_) | Address::Https { .. }) => Token::None,
        };
        let trust = match (&address, &self.ca) {
            (Address::Https { .. }, Some(file)) => Some(Trust::in_file(file)),
            (Address::Https { .. }, None) => Trust::of_system(),
            (Address::Unix(_) | Address::Http { .. }, _) => None,
        };
        Ok(Client::new(address, token, trust.transpose().context("no certificate can be judged")?))
    }
}

/// The token of the gateway's own user lies in its data directory: the one that the environment names, or that of the
/// service.
fn own_token() -> PathBuf {
    const OF_THE_SERVICE: &str = "/var/lib/coldwatch";
    let named = std::env::var_os("COLDWATCH_DATA").filter(|value| !value.is_empty());
    PathBuf::from(named.unwrap_or_else(|| OF_THE_SERVICE.into())).join("token")
}
