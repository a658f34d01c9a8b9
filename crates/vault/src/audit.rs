//! The audit log: who did, watched or downloaded what.
//!
//! Belongs here: which views are worth a line, and the task that writes lines in batches. Does not: the table
//! ([`crate::archive::index`]), what a handler notes. Invariant: noting never waits; what finds no room is counted.

mod views;
mod writer;

pub(crate) use views::Views;
pub(crate) use writer::{AuditLog, AuditWriter, Keep};
