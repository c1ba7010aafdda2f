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
    #[command(flatten)]
    clerk: Clerk,
}

/// Who enters something, and how the gateway is reached that has to be asked.
#[derive(clap::Args)]
pub(crate) struct Clerk {
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
        self.clerk.by()
    }

    /// The keys of the ledger. Changes that nothing stands behind are told of.
    pub(crate) fn keys(&self) -> anyhow::Result<Keys> {
        keys(&self.reader()?)
    }

    /// The private key of the ledger; `None` while it has none.
    pub(crate) fn signer(&self) -> anyhow::Result<Option<SigningKey>> {
        signer(&self.reader()?)
    }

    /// Enters all of these in their order. Returns when they are on disk and in the ledger.
    pub(crate) fn post(&self, postings: &[Posting]) -> anyhow::Result<()> {
        self.clerk.post(&self.data, postings)
    }
}

fn keys(reader: &Reader) -> anyhow::Result<Keys> {
    let (keys, faults) = reader.keys()?;
    for (line, fault) in faults {
        super::talk(&format!(
            "line {line} of the ledger changes the key, and does not count: {fault}"
        ));
    }
    Ok(keys)
}

/// The private key of a ledger; `None` while it has none.
pub(crate) fn signer(reader: &Reader) -> anyhow::Result<Option<SigningKey>> {
    let Some(public) = keys(reader)?.in_force() else { return Ok(None) };
    key_file::find(reader.dir(), &public).map(Some)
}

impl Clerk {
    pub(crate) fn by(&self) -> String {
        self.by.clone().unwrap_or_else(|| people::name_of(rustix::process::getuid().as_raw()))
    }

    /// Enters all of these in their order. Returns when they are on disk and in the ledger.
    pub(crate) fn post(&self, dir: &Path, postings: &[Posting]) -> anyhow::Result<()> {
        let before = Reader::open(dir)?.ledger_head()?;
        if offline::post(dir, postings)? {
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
                format!("{} is in use by a gateway, which has to be asked", dir.display())
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
