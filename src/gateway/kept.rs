//! What outlives the gateway: its store, and what is forwarded from it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use configs::site::{InfluxDb, Site};
use rules::time::BootId;
use store::{
    Opened, Store,
    history::Hold,
    log::Writer,
    sink::influx::{self, Handle, SinkState},
};
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::restart;

/// How forwarding to InfluxDB goes.
pub(super) type Forwarding = watch::Receiver<SinkState>;

pub(super) struct Kept {
    pub(super) store: Store,
    sink: Option<(Handle, CancellationToken)>,
}

impl Kept {
    /// Opens the store, and begins to forward from it where the site asks for that.
    pub(super) fn open(
        site: &Site,
        directory: PathBuf,
        boot: BootId,
    ) -> anyhow::Result<(Self, Writer, restart::Found)> {
        let options = restart::options(&site.storage, directory);
        let Opened { store, writer, before, findings } = store::open(&options, boot)?;
        let sink = site.influxdb.as_ref().map(|site| forward(site, &store, &options.dir));
        let kept = Self { store, sink: sink.transpose()? };
        Ok((kept, writer, restart::Found { before, findings }))
    }

    pub(super) fn forwarding(&self) -> Option<Forwarding> {
        self.sink.as_ref().map(|(sink, _)| sink.changed())
    }

    /// After the last record: what is not forwarded yet is forwarded by the next run.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        if let Some((sink, stop)) = self.sink {
            stop.cancel();
            sink.stopped().await;
        }
        let store = self.store;
        spawn_blocking(move || store.close()).await.context("the store panicked")
    }
}

fn forward(
    site: &InfluxDb,
    store: &Store,
    dir: &Path,
) -> anyhow::Result<(Handle, CancellationToken)> {
    let InfluxDb { url, org, bucket, token, ca, tags } = site.clone();
    let ca = ca.map(PathBuf::from);
    let config =
        influx::Config { url, org, bucket, token, ca, tags, tuning: influx::Tuning::default() };
    let stop = CancellationToken::new();
    let sink = influx::start(&config, store.log(), dir, stop.clone())
        .context("failed to begin forwarding to InfluxDB")?;
    store.pins().add(Hold::WhileThereIsRoom, sink.pin());
    Ok((sink, stop))
}
