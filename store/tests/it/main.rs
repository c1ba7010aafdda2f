//! The store on real files.

mod journal;
mod ledger;
mod records;
