//! Remembers: the log, the journal, the ledger, the history and the cursors of the sinks.

pub mod history;
pub mod journal;
pub mod ledger_db;
pub mod log;
pub mod record;
pub mod seam;
pub mod sink;

mod bookkeeper;
mod directory;
mod error;
mod export;
mod finding;
mod heads;
mod lock;
mod pool;
mod projector;
mod reader;
mod recall;
mod repair;
mod reserve;

pub use directory::{Before, Opened, Options, Store, open};
pub use error::StoreError;
pub use export::{ExportLines, Exported, check_export};
pub use finding::Finding;
pub use projector::Projected;
pub use reader::{ChainReport, ChainState, HeldCatalog, Reader, Stats};
