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

mod account;
mod announcer;
mod body;
mod book;
mod counted;
mod entry;
mod feed;
mod http;
mod kept;
#[cfg(test)]
mod model;
mod plan;
mod rounds;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};

use crate::reach::jittered;
use crate::shared::Shared;
use crate::target::VaultUrl;
pub(crate) use book::Book;
pub(crate) use entry::{PackKey, SealedFact, SegmentFact};
pub(crate) use rounds::Believer;

/// Before a task that failed is started again: what failed may fail again.
const RESTART_PAUSE: Duration = Duration::from_secs(2);

/// Starts the announcer and the uploaders.
pub(crate) fn start(
    shared: &Arc<Shared>,
    url: &VaultUrl,
    bearer: &str,
    believer: Believer,
) -> Vec<JoinHandle<()>> {
    let client = {
        let (shared, url, bearer) = (Arc::clone(shared), url.clone(), bearer.to_owned());
        move |account| http::Client::new(&shared, url.clone(), &bearer, account)
    };
    let announce = {
        let (shared, client) = (Arc::clone(shared), client.clone());
        move || {
            let client = client(|wire| &wire.announce);
            announcer::run(announcer::Announcer::new(&shared, believer.clone(), client))
        }
    };
    let mut tasks = vec![tokio::spawn(kept_running("announcer", announce))];
    for _ in 0..shared.config.uploads {
        let (shared, client) = (Arc::clone(shared), client.clone());
        let upload = move || upload::run(Arc::clone(&shared), client(|wire| &wire.backfill));
        tasks.push(tokio::spawn(kept_running("uploader", upload)));
    }
    tasks
}

/// Starts a task, and starts it again whenever it ends: without it nothing more would reach the vault, and nobody
/// would know. Dropped, it takes the task with it.
async fn kept_running<F>(name: &'static str, start: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut task = JoinSet::new();
        task.spawn(start());
        match task.join_next().await {
            Some(Err(error)) => tracing::error!(task = name, %error, "it failed and is started again"),
            Some(Ok(())) | None => tracing::error!(task = name, "it ended and is started again"),
        }
        tokio::time::sleep(jittered(RESTART_PAUSE)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn task_that_panics_is_started_again() {
        let (starts, (sender, mut third)) = (Arc::new(AtomicU32::new(0)), tokio::sync::mpsc::channel(1));
        let start = move || {
            let (starts, sender) = (Arc::clone(&starts), sender.clone());
            async move {
                assert!(starts.fetch_add(1, Ordering::Relaxed) == 2, "it fails twice");
                let _ = sender.send(()).await;
                std::future::pending::<()>().await;
            }
        };
        let kept = tokio::spawn(kept_running("test", start));
        assert_eq!(third.recv().await, Some(()));
        kept.abort();
    }
}
