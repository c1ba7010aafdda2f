//! The session and the publisher against mosquitto, the broker of the field: `cargo test -p links -- --ignored`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    collections::BTreeSet,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use links::{
    mqtt::{Broker, Report, Session},
    publisher::{Publisher, Quality},
};
use tokio::time::timeout;

/// A mosquitto with its own folder and port. Dropping it kills it.
struct Mosquitto {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Mosquitto {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = std::env::temp_dir().join(format!("coldwatch-mosquitto-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        // It gives up root by itself, and its user must be able to write here.
        let settings = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n\
             persistence_location {}/\nmax_queued_messages 0\n",
            folder.display()
        );
        std::fs::write(folder.join("mosquitto.conf"), settings).unwrap();
        Self { child: spawn(&folder), folder, port }
    }

    /// Ends it as a service manager does, so that it saves its sessions, and starts it again.
    fn restart(&mut self) {
        let ended = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(ended.success());
        self.child.wait().unwrap();
        self.child = spawn(&self.folder);
    }

    fn broker(&self, client_id: &str) -> Broker {
        Broker {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            login: None,
            client_id: client_id.to_owned(),
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // Already gone is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new("mosquitto")
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto is installed")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn restarts_lose_no_message_of_quality_1() {
    const COUNT: u32 = 3000;
    let mut mosquitto = Mosquitto::start();
    let mut session = Session::open(&mosquitto.broker("subscriber"), &["test/#".to_owned()]);
    while !matches!(
        timeout(Duration::from_secs(15), session.next()).await.unwrap(),
        Some(Report::Standing(links::mqtt::Standing::Up { .. }))
    ) {}
    let publisher = Publisher::open(&mosquitto.broker("publisher"), &["test/#".to_owned()]);
    let sending = tokio::spawn(async move {
        for n in 0..COUNT {
            let topic = format!("test/{}", n % 7);
            let sent = publisher.publish(&topic, n.to_string(), Quality::AtLeastOnce, false);
            sent.await.unwrap();
        }
        publisher.settled().await.unwrap();
    });
    let mut seen = BTreeSet::new();
    while seen.len() < COUNT as usize {
        let report = timeout(Duration::from_secs(30), session.next()).await;
        let report = report.unwrap_or_else(|_| panic!("{} came, then nothing", seen.len()));
        let Some(Report::Message(message)) = report else { continue };
        let n: u32 = std::str::from_utf8(&message.payload).unwrap().parse().unwrap();
        assert_eq!(message.topic, format!("test/{}", n % 7));
        message.ack.done();
        if seen.insert(n) && [700, 1800].contains(&seen.len()) {
            mosquitto.restart();
        }
    }
    sending.await.unwrap();
    assert!(session.tally().connections >= 3);
    session.close().await;
}
