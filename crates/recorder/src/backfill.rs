//! Everything that live did not carry: announced, uploaded, receipted.
//!
//! ```text
//! spool writer ─► Book ◄─ live ledger          Book: pure; what exists, what the vault lacks, what to send next
//!                  │ ▲
//!        rounds, jobs │ replies, progress
//!                  ▼ │
//!         announcer, uploaders ─► HTTP         drivers: they decide nothing
//! ```
//! The protocol and its failure table: `docs/design/reconciliation.md`.
//!
//! Belongs here: the book, the announcer, the uploaders and their HTTP connections. Not here: files (`dashvault-spool`),
//! messages (`dashvault-wire`), the rate (`crate::governor`).

mod announcer;
mod body;
mod book;
mod counted;
mod http;
#[cfg(test)]
mod model;
mod plan;
mod rounds;
mod upload;

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::shared::Shared;
use crate::target::VaultUrl;
pub(crate) use book::{Book, PackKey, SealedFact, SegmentFact};
pub(crate) use rounds::Believer;

/// Starts the announcer and the uploaders.
pub(crate) fn start(
    shared: &Arc<Shared>,
    url: &VaultUrl,
    bearer: &str,
    believer: Believer,
) -> Vec<JoinHandle<()>> {
    let client = |account| http::Client::new(shared, url.clone(), bearer, account);
    let announcer = announcer::Announcer::new(shared, believer, client(|wire| &wire.announce));
    let mut tasks = vec![tokio::spawn(announcer::run(Arc::clone(shared), announcer))];
    for _ in 0..shared.config.uploads {
        tasks.push(tokio::spawn(upload::run(Arc::clone(shared), client(|wire| &wire.backfill))));
    }
    tasks
}
