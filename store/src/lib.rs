//! Remembers: the log, the journal, the ledger, the history and the cursors of the sinks.

pub mod log;
pub mod record;
pub mod seam;

mod error;
pub mod journal;
pub mod ledger_db;
mod pool;
mod reader;

pub use error::StoreError;
pub use reader::{ChainReport, ChainState, HeldCatalog, Reader, Stats};
