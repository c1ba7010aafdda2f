//! Remembers: the log, the journal, the ledger, the history and the cursors of the sinks.

pub mod record;
