//! Where something is entered into a ledger: through the gateway that has it, or into the directory where none runs.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rules::{
    book::{Keys, Posting},
    signing::SigningKey,
};
use serde_json::{Value, json};
use store::Reader;

use super::{connect::Connect, key_file, progress::Progress, runtime};
use crate::{gateway::offline, people};

/// The ledger, and who enters something.
#[derive(clap::Args)]
pub(crate) struct Desk {
    /// The gateway's data directory.
    #[arg(long, value_name = "DIR", env = "COLDWATCH_DATA")]
    data: PathBuf,
    /// Who says so. Default: this user.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Desk {
    pub(crate) fn dir(&self) -> &Path {
        &self.data
    }

    pub(crate) fn reader(&self) -> anyhow::Result<Reader> {
        Ok(Reader::open(&self.data)?)
    }

    pub(crate) fn by(&self) -> String {
        self.by.clone().unwrap_or_else(|| people::name_of(rustix::process::getuid().as_raw()))
    }

    /// The keys of the ledger. Changes that nothing stands behind are told of.
    pub(crate) fn keys(&self) -> anyhow::Result<Keys> {
        let (keys, faults) = self.reader()?.keys()?;
        for (line, fault) in faults {
            super::talk(&format!(
                "line {line} of the ledger changes the key, and does not count: {fault}"
            ));
        }
        Ok(keys)
    }

    /// The private key of the ledger; `None` while it has none.
    pub(crate) fn signer(&self) -> anyhow::Result<Option<SigningKey>> {
        let Some(public) = self.keys()?.in_force() else { return Ok(None) };
        key_file::find(&self.data, &public).map(Some)
    }

    /// Enters all of these in their order. Returns when they are on disk and in the ledger.
    pub(crate) fn post(&self, postings: &[Posting]) -> anyhow::Result<()> {
        let before = self.reader()?.ledger_head()?;
        if offline::post(&self.data, postings)? {
            return Ok(());
        }
        let client = self.connect.client()?.speaking_for_others();
        let runtime = runtime()?;
        let mut progress = Progress::new();
        for (done, posting) in (0_u64..).zip(postings) {
            progress.show(done, postings.len() as u64, || "entering".to_owned());
            let document = json!({ "posting": posting, "after": before });
            let answer =
                runtime.block_on(async { client.post("/api/v1/ledger/postings", &document).await });
            let (status, answer) = answer.with_context(|| {
                format!("{} is in use by a gateway, which has to be asked", self.data.display())
            })?;
            if !(200..300).contains(&status) {
                progress.clear();
                let word =
                    |member: &str| answer.get(member).and_then(Value::as_str).unwrap_or_default();
                bail!("{}", [word("error"), word("remedy")].join("\n").trim());
            }
        }
        progress.clear();
        Ok(())
    }
}
