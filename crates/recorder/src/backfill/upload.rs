//! The uploaders: take jobs, and bring their bytes to the vault by tus 1.0, resuming at the byte.
//!
//! ```text
//! create (with the bytes, where they are few) ─► PATCH … PATCH ─► done
//!      │                                          │ connection broke
//!      └─ no answer: what the vault holds is      └► HEAD: where to go on
//!         not known, so the vault is asked
//! ```
//! Belongs here: the driver of one upload after the other. Not here: the requests ([`steps`]), which bytes (`plan`), how fast (`crate::governor`).
//!
//! Invariants: what is not acknowledged by the vault's offset is not counted as done; memory is one piece of reading and
//! one of sending an uploader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashvault_spool::{PackReader, SpoolError};
use hyper::Method;

use super::announcer::blocking;
use super::body::Outgoing;
use super::http::Client;
use super::plan::Job;
use crate::camera::with_sources;
use crate::reach::jittered;
use crate::shared::{Shared, lock};
use steps::{TUS_RESUMABLE, VERSION};

mod steps;

/// How long the vault may take to hear that an upload is given up: nothing depends on it.
const END_SILENCE: Duration = Duration::from_secs(2);
const PATCH_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=8 << 20;
/// Between attempts on connections that break.
const SHORT_PAUSE: Duration = Duration::from_millis(100);
/// Failures without a byte of progress, after which the vault is asked anew.
const MAX_FAILURES: u32 = 6;

/// Takes jobs for ever.
pub(crate) async fn run(shared: Arc<Shared>, client: Client) {
    let mut uploader =
        Uploader { shared: Arc::clone(&shared), client, patch_bytes: 512 << 10, fragile: false };
    loop {
        let jobs = shared.jobs.notified();
        tokio::pin!(jobs);
        // Listens before it looks, so that a job that comes in between is not missed.
        jobs.as_mut().enable();
        let job = if shared.reach.http_up() { shared.book().next_job(Instant::now()) } else { None };
        match job {
            Some(job) => uploader.serve(job).await,
            // The announcer finds out when the vault is back.
            None => jobs.await,
        }
    }
}

struct Uploader {
    shared: Arc<Shared>,
    client: Client,
    /// How long the next PATCH is.
    patch_bytes: u64,
    /// Connections die young here: nothing is sent before its place is known.
    fragile: bool,
}

/// One job's upload.
struct Upload {
    job: Job,
    reader: PackReader,
    /// The upload's path in the vault, once it is created.
    location: Option<String>,
    /// The next byte of the pack's file that the vault lacks.
    at: u64,
}

/// How an attempt ended.
enum Step {
    /// The vault holds more, perhaps all.
    Went,
    /// The connection broke, or the vault was busy: try again, from where the vault says.
    Broke(Duration),
    /// The vault refuses this upload: ask what it wants.
    Ask,
    /// There is no upload to go on with: the vault does not know it, or the pack cannot be read.
    Lost,
}

/// A job that runs; dropped, also by a panic, it is over.
struct Running<'a> {
    shared: &'a Shared,
    job: u64,
    ask_first: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.book().job_over(Instant::now(), self.job, self.ask_first);
        self.shared.book_news.notify_one();
        self.shared.jobs.notify_waiters();
    }
}

impl Uploader {
    async fn serve(&mut self, job: Job) {
        tracing::debug!(pack = %job.key.pack, start = job.range.start, bytes = job.range.len(), "upload begins");
        let shared = Arc::clone(&self.shared);
        let mut running = Running { shared: &shared, job: job.id, ask_first: true };
        running.ask_first = self.upload(job).await;
    }

    /// Uploads one job; true when the vault must be asked before its bytes are tried again.
    async fn upload(&mut self, job: Job) -> bool {
        let Some(reader) = self.open(job).await else { return true };
        let mut upload = Upload { job, reader, location: None, at: job.range.start };
        let mut failures = 0;
        while upload.at < job.range.end {
            let before = upload.at;
            let step = self.step(&mut upload, failures > 0).await;
            if upload.at > before {
                failures = 0;
                self.shared.book().uploaded_to(Instant::now(), job.id, upload.at);
            }
            match step {
                Step::Went if upload.at >= job.range.end => break,
                Step::Went => {
                    if self.shared.book().should_yield(Instant::now(), job.id) {
                        break;
                    }
                }
                Step::Lost => return true,
                Step::Ask => {
                    self.end(&upload).await;
                    return true;
                }
                Step::Broke(pause) if upload.location.is_none() || failures >= MAX_FAILURES => {
                    self.end(&upload).await;
                    // A vault that is busy with creations is busy with the next one too.
                    if pause > SHORT_PAUSE {
                        self.shared.reach.pause(jittered(pause)).await;
                    }
                    return true;
                }
                Step::Broke(pause) => {
                    self.until_up().await;
                    // A connection that brought something before it died is followed by the next one at once.
                    if failures > 0 || pause > SHORT_PAUSE {
                        self.shared.reach.pause(jittered(pause)).await;
                    }
                    failures += 1;
                }
            }
        }
        false
    }

    /// Tells the vault that an upload is given up, where the connection works; else the vault ends it by its age.
    async fn end(&mut self, upload: &Upload) {
        let Some(location) = &upload.location else { return };
        if !self.client.is_connected() {
            return;
        }
        let headers = [(TUS_RESUMABLE, VERSION)];
        let ended = self.client.ask(Method::DELETE, location, &headers, Outgoing::empty(), END_SILENCE).await;
        if let Err(error) = ended {
            tracing::debug!(error = %with_sources(&error), "upload is not ended");
        }
    }

    /// Waits until HTTP works; the announcer finds out.
    async fn until_up(&self) {
        while !self.shared.reach.http_up() {
            self.shared.reach.pause(Duration::from_secs(1)).await;
        }
    }

    async fn open(&self, job: Job) -> Option<PackReader> {
        let shared = Arc::clone(&self.shared);
        let opened = blocking(move || {
            let camera = &shared.cameras[job.key.camera].name;
            shared.spool.reader(camera, job.key.pack)
        });
        match opened.await? {
            Ok(reader) => Some(reader),
            Err(SpoolError::NoSuchPack { .. }) => {
                self.shared.book().gone(job.key);
                None
            }
            Err(error) => {
                self.shared.book().unreadable(Instant::now(), job.key, with_sources(&error));
                None
            }
        }
    }

    fn show(&self, what: &str) {
        tracing::warn!("{what}");
        lock(&self.shared.vault).last_error = Some(format!("{what}; see the vault's log"));
    }
}
