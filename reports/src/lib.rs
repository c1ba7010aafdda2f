//! Proves: from the ledger to a document.
