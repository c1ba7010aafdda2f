//! A checked site: the plant, the devices that report on it, and the rules that watch it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rules::{
    messages::SiteInfo,
    plant::{AssetId, Plant, PointId},
    rule::RuleSpec,
};

use crate::{address::Address, api::Api, profile::Profile};

#[derive(Clone, Debug)]
pub struct Site {
    pub info: SiteInfo,
    pub plant: Plant,
    pub devices: Vec<Device>,
    pub rules: Vec<RuleSpec>,
    pub storage: Storage,
    pub api: Api,
}

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
