//! A checked site: the plant, the devices that report on it, and the rules that watch it.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use rules::{
    messages::SiteInfo,
    plant::{AssetId, Plant, PointId},
    rule::RuleSpec,
};

use crate::{
    address::{Address, Credentials},
    api::Api,
    profile::Profile,
};

#[derive(Clone, Debug)]
pub struct Site {
    pub info: SiteInfo,
    pub plant: Plant,
    pub devices: Vec<Device>,
    pub rules: Vec<RuleSpec>,
    pub storage: Storage,
    pub api: Api,
    /// Where else the numbers go.
    pub influxdb: Option<InfluxDb>,
    /// Where the ends of journal and ledger are kept besides.
    pub anchors: Option<Anchors>,
}

/// What the point `storage.state` of a site says, by code.
pub const STORAGE_STATES: [&str; 3] = ["NotStored", "Stored", "Off"];
/// What the point `influxdb.state` of a site says, by code.
pub const SINK_STATES: [&str; 3] = ["Failing", "Up", "Off"];

/// Where the gateway keeps what it saw, how much and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// `None`: the place that the command line, or the system, gives.
    pub directory: Option<PathBuf>,
    /// Every byte of the directory counts.
    pub cap_bytes: u64,
    /// Of these, kept free for journal and ledger.
    pub reserve_bytes: u64,
    pub keep_raw: Duration,
    /// Rollups of one minute.
    pub keep_minutes: Duration,
    /// Rollups of fifteen minutes.
    pub keep_quarters: Duration,
}

/// What answers on a link, and which points it gives.
#[derive(Clone, Debug)]
pub struct Device {
    /// The asset of kind `Device` that its comms points belong to.
    pub asset: AssetId,
    pub address: Address,
    pub profile: Arc<Profile>,
    pub poll_every: Duration,
    pub timeout: Duration,
    /// Time from request to reply in milliseconds, given with every good poll or message.
    pub reply_time: PointId,
    /// For a Modbus device: parallel to the profile's points; `None` where the site leaves a point out. For an MQTT
    /// device: every point that it may give.
    /// Values are converted to the point's unit on the way in.
    pub bindings: Vec<Option<PointId>>,
}

/// A broker that keeps the newest ends of journal and ledger, as a retained message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchors {
    pub host: String,
    pub port: u16,
    pub credentials: Option<Credentials>,
    /// Begins with `coldwatch/`.
    pub topic: String,
}

/// A database that the numbers are forwarded to.
#[derive(Clone, PartialEq, Eq)]
pub struct InfluxDb {
    /// Scheme, host and port, nothing else: `https://influx.example.net:8086`.
    pub url: String,
    pub org: String,
    pub bucket: String,
    /// A secret; never shown.
    pub token: String,
    /// A PEM file with the authority that signed the server's certificate, besides the public ones.
    pub ca: Option<String>,
    /// On every line, by name.
    pub tags: Vec<(String, String)>,
}

impl fmt::Debug for InfluxDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, org, bucket, token: _, ca, tags } = self;
        f.debug_struct("InfluxDb")
            .field("url", url)
            .field("org", org)
            .field("bucket", bucket)
            .field("ca", ca)
            .field("tags", tags)
            .finish_non_exhaustive()
    }
}
