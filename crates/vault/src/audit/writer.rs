//! The queue of notes, and the task that writes them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use dashvault_base::{Clock, ContentHash, SystemClock, WallMs};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    archive::index::{AuditRow, Index, IndexError},
    metrics::Metrics,
    users::session::Lifetimes,
};

/// Notes that may wait. When they do, further ones are counted and dropped: playback goes on.
const QUEUE: usize = 4096;
/// Notes of one transaction.
const BATCH: usize = 256;
/// Tries of one batch, which the index answers after its own busy time.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// What is to be written down.
#[derive(Debug)]
enum Note {
    Act(AuditRow),
    Session(ContentHash, WallMs),
    Token(String, WallMs),
}

/// Where notes are put.
#[derive(Debug, Clone)]
pub(crate) struct AuditLog {
    queue: mpsc::Sender<Note>,
    metrics: Arc<Metrics>,
}

/// The other end.
#[derive(Debug)]
pub(crate) struct AuditWriter {
    notes: mpsc::Receiver<Note>,
    index: Index,
    metrics: Arc<Metrics>,
    keep: Keep,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) audit: Duration,
    pub(crate) sessions: Lifetimes,
}

impl AuditLog {
    /// A log whose notes wait until its writer runs.
    pub(crate) fn new(index: Index, metrics: Arc<Metrics>, keep: Keep) -> (Self, AuditWriter) {
        let (queue, notes) = mpsc::channel(QUEUE);
        (Self { queue, metrics: metrics.clone() }, AuditWriter { notes, index, metrics, keep })
    }

    /// Notes an act; never waits.
    pub(crate) fn note(&self, act: AuditRow) {
        let Err(error) = self.queue.try_send(Note::Act(act)) else { return };
        self.metrics.audit_lost.increment(1);
        if let Note::Act(AuditRow { who, action, .. }) = error.into_inner() {
            tracing::error!(who, action, "audit queue is full: a line is lost");
        }
    }

    /// Notes that a session was used; forgotten when the queue is full, since the next request notes it again.
    pub(crate) fn session_used(&self, hash: ContentHash, now: WallMs) {
        let _ = self.queue.try_send(Note::Session(hash, now));
    }

    /// As [`Self::session_used`], for an API token.
    pub(crate) fn token_used(&self, id: &str, now: WallMs) {
        let _ = self.queue.try_send(Note::Token(id.to_owned(), now));
    }
}

impl AuditWriter {
    /// Writes until `stopping`, then what still waits.
    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        let mut prune = tokio::time::interval(PRUNE_EVERY);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                // What waits is written before the stop is heeded.
                biased;
                _ = prune.tick() => self.forget().await,
                taken = self.notes.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return;
                    }
                    self.write(batch.drain(..)).await;
                }
                () = stopping.cancelled(), if !self.notes.is_closed() => self.notes.close(),
            }
        }
    }

    async fn write(&self, batch: impl Iterator<Item = Note>) {
        let (mut acts, mut sessions, mut tokens) = (Vec::new(), HashMap::new(), HashMap::new());
        for note in batch {
            match note {
                Note::Act(row) => acts.push(row),
                Note::Session(hash, at) => drop(sessions.insert(hash, at)),
                Note::Token(id, at) => drop(tokens.insert(id, at)),
            }
        }
        self.write_acts(&acts).await;
        for (hash, at) in sessions {
            warn("session's use", self.index.touch_session(hash, at).await);
        }
        for (id, at) in tokens {
            warn("token's use", self.index.touch_token(&id, at).await);
        }
    }

    async fn write_acts(&self, acts: &[AuditRow]) {
        if acts.is_empty() {
            return;
        }
        for attempt in 1..=TRIES {
            match self.index.add_audit(acts).await {
                Ok(()) => return,
                Err(error) if attempt < TRIES => {
                    warn("audit log", Err(error));
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    let lines = acts.len();
                    self.metrics.audit_lost.increment(lines as u64);
                    tracing::error!(error = &error as &dyn std::error::Error, lines, "audit lines are lost");
                }
            }
        }
    }

    async fn forget(&self) {
        let now = SystemClock.wall();
        let before =
            |age: Duration| now.plus_ms(i64::try_from(age.as_millis()).unwrap_or(i64::MAX).saturating_neg());
        let Keep { audit, sessions } = self.keep;
        warn("old audit lines", self.index.prune_audit(before(audit)).await.map(drop));
        let pruned = self.index.prune_sessions(before(sessions.idle), before(sessions.whole)).await;
        warn("old sessions", pruned.map(drop));
    }
}

fn warn(what: &str, done: Result<(), IndexError>) {
    if let Err(error) = done {
        tracing::warn!(error = &error as &dyn std::error::Error, what, "cannot be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::index::AuditFilter;

    const KEEP: Keep = Keep {
        audit: Duration::from_secs(60),
        sessions: Lifetimes { idle: Duration::from_secs(60), whole: Duration::from_secs(60) },
    };

    fn line(action: &str, at: WallMs) -> AuditRow {
        AuditRow {
            at,
            who: "user:anna".into(),
            role: "viewer".into(),
            address: "127.0.0.1".into(),
            action: action.into(),
            device: Some("bus".parse().unwrap()),
            camera: None,
            range: Some((WallMs(1), WallMs(2))),
            detail: String::new(),
        }
    }

    #[tokio::test]
    async fn what_waits_when_the_vault_stops_is_written_and_old_lines_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(&folder.path().join("index.sqlite")).await.unwrap();
        index.add_audit(&[line("old", WallMs(5))]).await.unwrap();
        let metrics = Arc::new(Metrics::new());
        let (log, writer) = AuditLog::new(index.clone(), metrics.clone(), KEEP);
        let now = SystemClock.wall();
        for n in 0..1000 {
            log.note(line(&format!("act-{n}"), now));
        }
        let stopping = CancellationToken::new();
        stopping.cancel();
        writer.run(stopping).await;
        let all = index.audit(&AuditFilter::default(), 5000).await.unwrap();
        assert_eq!(all.len(), 1000);
        assert_eq!(all[0].1, line("act-999", now));
        log.note(line("late", now));
        assert!(metrics.render().contains("dashvault_audit_lost_total 1"), "{}", metrics.render());
    }

    #[tokio::test]
    async fn a_full_queue_loses_lines_and_counts_them_but_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(&folder.path().join("index.sqlite")).await.unwrap();
        let metrics = Arc::new(Metrics::new());
        let (log, _writer) = AuditLog::new(index, metrics.clone(), KEEP);
        for _ in 0..QUEUE + 7 {
            log.note(line("view", WallMs(0)));
        }
        assert!(metrics.render().contains("dashvault_audit_lost_total 7"));
    }
}
