//! A gateway to ask, and a client that says exactly what a test wants said.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

pub(super) use crate::support::COLDWATCH;
use crate::support::Program;

pub(super) const PATIENCE: Duration = Duration::from_secs(15);

pub(super) const SITE: &str = r#"
[site]
id = "hall"
name = "Hall"
time_zone = "UTC"
gateway = "gw"

[[room]]
id = "room"
area = "240 m2"
"#;

/// A gateway that ends with the test.
pub(super) struct Gateway {
    pub(super) program: Program,
    pub(super) folder: TempDir,
    /// Of the gateway's own user.
    pub(super) token: String,
    port: u16,
}

impl Gateway {
    /// Starts one on a site with no device, and with `more` in its file. It answers when this returns.
    pub(super) fn start(more: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site.toml");
        fs::write(&site, format!("{SITE}{more}")).unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new(COLDWATCH);
        command.env("COLDWATCH_DATA", folder.path().join("data"));
        command.args(["run", "--stream", "--trust-clock", "--site"]).arg(&site);
        command.arg("--socket").arg(folder.path().join("api.sock")).args(arguments);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.env("COLDWATCH_DATA", folder.path().join("data"));
        command.envs(variables.iter().copied()).stderr(File::create(&log).unwrap());
        let program = Program::start(&mut command);
        program.line(PATIENCE);
        let said = fs::read_to_string(&log).unwrap();
        let port = said.lines().find_map(|line| {
            let address = line.split_once("answering at http")?.1;
            address.trim().rsplit(':').next()?.parse().ok()
        });
        let port = port.unwrap_or_else(|| panic!("no address in {said}"));
        let token = fs::read_to_string(folder.path().join("data/token")).unwrap().trim().to_owned();
        Self { program, folder, token, port }
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(super) fn local(&self) -> Way {
        Way::Local(self.folder.path().join("api.sock"))
    }

    pub(super) fn network(&self) -> Way {
        Way::Network(self.port)
    }

    pub(super) fn secure(&self, trust: links::tls_client::Trust) -> Way {
        Way::Secure(self.port, trust)
    }

    pub(super) fn bearer(&self) -> Bearer {
        Bearer(format!("Bearer {}", self.token))
    }

    /// Over the network, with the token of the gateway's own user.
    pub(super) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[self.bearer().as_pair()], b"")
    }

    /// Over the network, with these headers.
    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let host = [("Host", "localhost")];
        let has_host = headers.iter().any(|(name, _)| *name == "Host");
        let headers = headers.iter().chain(host.iter().filter(|_| !has_host));
        let headers = lines(headers.copied());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        request(&self.network(), &[head.as_bytes(), body].concat())
    }

    /// Looks at the site once a second until there is what is looked for.
    pub(super) fn until<T>(&self, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        self.until_at("/api/v1/snapshot", what, look)
    }

    /// The same, at another address.
    pub(super) fn until_at<T>(
        &self,
        path: &str,
        what: &str,
        look: impl Fn(&Value) -> Option<T>,
    ) -> T {
        for _ in 0..PATIENCE.as_secs() {
            if let Some(found) = look(&self.get(path).json()) {
                return found;
            }
            self.program.line(PATIENCE);
        }
        panic!("{what}: not within {PATIENCE:?}");
    }
}

/// An `Authorization` header.
pub(super) struct Bearer(String);

impl Bearer {
    pub(super) fn as_pair(&self) -> (&str, &str) {
        ("Authorization", &self.0)
    }
}

/// How to reach a gateway.
pub(super) enum Way {
    Local(PathBuf),
    Network(u16),
    Secure(u16, links::tls_client::Trust),
}

impl Way {
    pub(super) fn address(&self) -> (&str, u16) {
        match self {
            Self::Local(_) => panic!("a socket has no address"),
            Self::Network(port) | Self::Secure(port, _) => ("127.0.0.1", *port),
        }
    }
}

/// What came back. Status 0: nothing did.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
        Self { status: status.unwrap_or_default(), text: body }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

fn lines<'h>(headers: impl Iterator<Item = (&'h str, &'h str)>) -> String {
    headers.flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect()
}

/// The head of a WebSocket handshake, with these headers.
pub(super) fn handshake(headers: &[(&str, &str)]) -> String {
    let headers = lines(headers.iter().copied());
    format!(
        "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// Says this and reads until the gateway closes. What is asked for should say `Connection: close`.
pub(super) fn request(way: &Way, bytes: &[u8]) -> Answer {
    talk(way, bytes, false)
}

/// Says this and nothing more, ever: for what is no request.
pub(super) fn throw(way: &Way, bytes: &[u8]) -> Answer {
    talk(way, bytes, true)
}

fn talk(way: &Way, bytes: &[u8], hang_up: bool) -> Answer {
    let mut said = Vec::new();
    // A gateway that has heard enough closes while it is still being spoken to.
    match way {
        Way::Local(path) => {
            let mut stream = UnixStream::connect(path).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let _ = stream.write_all(bytes);
            let _ = stream.read_to_end(&mut said);
        }
        Way::Network(_) => {
            let mut stream = TcpStream::connect(way.address()).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let _ = stream.write_all(bytes);
            if hang_up {
                let _ = stream.shutdown(Shutdown::Write);
            }
            let _ = stream.read_to_end(&mut said);
        }
        Way::Secure(_, trust) => said = talk_secretly(way, trust, bytes),
    }
    Answer::of(&said)
}

fn talk_secretly(way: &Way, trust: &links::tls_client::Trust, bytes: &[u8]) -> Vec<u8> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(way.address()).await.unwrap();
        let mut stream = links::tls_client::connect(stream, "localhost", trust).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        said
    })
}
