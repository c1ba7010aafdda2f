//! Replays a recorded feed to a broker:
//!
//! ```sh
//! cargo run -p collector --example replay -- mqtt://127.0.0.1:1883 tests/data/dsx/dsx_exemplar.csv 10
//! ```
//!
//! The last argument is how many times faster than recorded; without it, as fast as the broker takes it.

#[path = "../../tests/support/replay.rs"]
mod replay;

use std::{error::Error, path::Path};

use configs::address::Address;
use links::{mqtt::Broker, publisher::Publisher};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (url, file, speed) = match arguments.as_slice() {
        [url, file] => (url, file, None),
        [url, file, speed] => (url, file, Some(speed.parse()?)),
        _ => return Err("usage: replay mqtt://host:port FILE [SPEED]".into()),
    };
    let Address::Mqtt { host, port, .. } = Address::parse(url)? else {
        return Err("a broker is an mqtt:// URL".into());
    };
    if speed.is_some_and(|speed: f64| speed <= 0.0 || !speed.is_finite()) {
        return Err("the speed is a number above zero".into());
    }
    let rows = replay::read(Path::new(file))?;
    let broker = Broker { host, port, login: None, client_id: "coldwatch-replay".to_owned() };
    let publisher = Publisher::open(&broker, &["BMS/#".to_owned()]);
    replay::replay(&rows, &publisher, speed).await?;
    Ok(())
}
