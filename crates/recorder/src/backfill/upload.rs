//! The uploaders: take jobs, and bring their bytes to the vault by tus 1.0, resuming at the byte.
//!
//! ```text
//! create (with the bytes, where they are few) ─► PATCH … PATCH ─► done
//!      │                                          │ connection broke
//!      └─ no answer: what the vault holds is      └► HEAD: where to go on
//!         not known, so the vault is asked
//! ```
//! Belongs here: the driver of one upload after the other. Not here: which bytes (`plan`), how fast (`crate::governor`).
//!
//! Invariants: what is not acknowledged by the vault's offset is not counted as done; memory is one piece of reading and
//! one of sending an uploader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashvault_spool::{PackReader, SpoolError};
use dashvault_wire::{paths, upload::PackTarget};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use tokio::sync::mpsc;

use super::announcer::{blocking, detail_of, retry_after};
use super::body::Outgoing;
use super::book::PackKey;
use super::feed::{ReadError, feed};
use super::http::{Answer, Client, HttpError};
use super::plan::Job;
use crate::camera::with_sources;
use crate::reach::{Side, jittered};
use crate::shared::{Shared, lock};

/// An upload without progress for this long has failed. The governor alone may hold a piece for some seconds.
const SILENCE: Duration = Duration::from_secs(8);
/// How long the vault may take to hear that an upload is given up: nothing depends on it.
const END_SILENCE: Duration = Duration::from_secs(2);
/// So few bytes go along with the creation: one round trip less.
const SMALL_BYTES: u64 = 256 << 10;
/// How long a PATCH should take: so that a more urgent job waits no longer.
const PATCH_TIME: Duration = Duration::from_secs(2);
const PATCH_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=8 << 20;
/// Between attempts on connections that break.
const SHORT_PAUSE: Duration = Duration::from_millis(100);
/// Failures without a byte of progress, after which the vault is asked anew.
const MAX_FAILURES: u32 = 6;

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const OFFSET_STREAM: HeaderValue = HeaderValue::from_static("application/offset+octet-stream");

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

/// Why a request with a body came to nothing.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("pack cannot be read")]
    Disk(#[source] ReadError),
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

    async fn step(&mut self, upload: &mut Upload, lost: bool) -> Step {
        let Some(location) = upload.location.clone() else { return self.create(upload).await };
        if lost {
            match self.head(upload, &location).await {
                Step::Went if upload.at < upload.job.range.end => {}
                other => return other,
            }
        }
        self.patch(upload, &location).await
    }

    async fn create(&mut self, upload: &mut Upload) -> Step {
        let Job { key, range, .. } = upload.job;
        let camera = self.shared.cameras[key.camera].name.clone();
        let metadata = PackTarget { camera, pack: key.pack, start: range.start }.to_metadata();
        let mut headers = vec![
            (TUS_RESUMABLE, VERSION),
            (UPLOAD_LENGTH, HeaderValue::from(range.len())),
            (UPLOAD_METADATA, HeaderValue::try_from(metadata).expect("base64 is a header value")),
        ];
        let along = if range.len() <= SMALL_BYTES && !self.fragile { range.len() } else { 0 };
        if along > 0 {
            headers.push((CONTENT_TYPE, OFFSET_STREAM));
        }
        let answer = self.send(Method::POST, paths::UPLOADS, &headers, upload, along).await;
        let answer = match answer {
            Ok(answer) if answer.status == StatusCode::CREATED => answer,
            other => return self.judge(key, other),
        };
        let Some(location) = answer.headers.get(LOCATION).and_then(|value| path_of(value.to_str().ok()?))
        else {
            self.show("vault created an upload without a Location");
            return Step::Ask;
        };
        upload.location = Some(self.client.below_base(location));
        upload.advance(&answer, along);
        Step::Went
    }

    async fn patch(&mut self, upload: &mut Upload, location: &str) -> Step {
        let offset = upload.at - upload.job.range.start;
        let length = (upload.job.range.end - upload.at).min(self.patch_bytes);
        let headers = [
            (TUS_RESUMABLE, VERSION),
            (UPLOAD_OFFSET, HeaderValue::from(offset)),
            (CONTENT_TYPE, OFFSET_STREAM),
        ];
        let began = Instant::now();
        let answer = self.send(Method::PATCH, location, &headers, upload, length).await;
        match answer {
            Ok(answer) if answer.status == StatusCode::NO_CONTENT => {
                upload.advance(&answer, offset + length);
                self.fragile = false;
                let fits =
                    if began.elapsed() < PATCH_TIME / 2 { self.patch_bytes * 2 } else { self.patch_bytes };
                let fits = if began.elapsed() > PATCH_TIME * 2 { self.patch_bytes / 2 } else { fits };
                self.patch_bytes = fits.clamp(*PATCH_BYTES.start(), *PATCH_BYTES.end());
                Step::Went
            }
            Ok(answer) if answer.status == StatusCode::CONFLICT => Step::Broke(SHORT_PAUSE),
            other => self.judge(upload.job.key, other),
        }
    }

    /// Asks where to go on.
    async fn head(&mut self, upload: &mut Upload, location: &str) -> Step {
        let headers = [(TUS_RESUMABLE, VERSION)];
        let answer = self.client.ask(Method::HEAD, location, &headers, Outgoing::empty(), SILENCE).await;
        match answer {
            Ok(answer) if answer.status.is_success() => {
                let Some(offset) = offset_of(&answer) else { return Step::Ask };
                if offset > upload.job.range.len() {
                    return Step::Ask;
                }
                upload.at = upload.job.range.start + offset;
                Step::Went
            }
            other => self.judge(upload.job.key, other.map_err(SendError::Http)),
        }
    }

    /// Sends `length` bytes from where the upload stands, as fast as the governor allows.
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        upload: &Upload,
        length: u64,
    ) -> Result<Answer, SendError> {
        if length == 0 {
            return Ok(self.client.ask(method, path, headers, Outgoing::empty(), SILENCE).await?);
        }
        let (sender, pieces) = mpsc::channel(1);
        let body = Outgoing::Stream { pieces, left: length };
        let feeding = feed(&self.shared, upload.reader.clone(), upload.at, upload.at + length, sender);
        let asking = self.client.ask(method, path, headers, body, SILENCE);
        tokio::pin!(feeding, asking);
        tokio::select! {
            answer = &mut asking => Ok(answer?),
            fed = &mut feeding => {
                // The request cannot be brought to its end; its connection goes with it.
                fed.map_err(SendError::Disk)?;
                Ok(asking.await?)
            }
        }
    }

    /// What follows from an answer that was not hoped for.
    fn judge(&mut self, key: PackKey, answer: Result<Answer, SendError>) -> Step {
        match answer {
            Err(SendError::Disk(error)) => {
                let why = format!("it cannot be read: {}; check the disk", with_sources(&error));
                tracing::error!(pack = %key.pack, "{why}");
                self.shared.book().unreadable(Instant::now(), key, why);
                Step::Lost
            }
            Err(SendError::Http(error)) => {
                tracing::debug!(error = %with_sources(&error), "upload interrupted");
                if matches!(error, HttpError::Connect { .. } | HttpError::Silent { .. }) {
                    self.shared.reach.failed(Side::Http);
                    self.shared.book_news.notify_one();
                }
                self.fragile = true;
                self.patch_bytes = (self.patch_bytes / 2).max(*PATCH_BYTES.start());
                Step::Broke(SHORT_PAUSE)
            }
            Ok(answer)
                if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS =>
            {
                self.show(&format!(
                    "vault answered an upload with {}: {}",
                    answer.status,
                    detail_of(&answer)
                ));
                // Its next refusal should not cost a body.
                self.fragile = true;
                Step::Broke(retry_after(&answer))
            }
            Ok(answer) => {
                // 404 and 410 are what a vault says that was restarted.
                if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
                    return Step::Lost;
                }
                self.show(&format!(
                    "vault answered an upload with {}: {}",
                    answer.status,
                    detail_of(&answer)
                ));
                Step::Ask
            }
        }
    }

    fn show(&self, what: &str) {
        tracing::warn!("{what}");
        lock(&self.shared.vault).last_error = Some(format!("{what}; see the vault's log"));
    }
}

impl Upload {
    /// The vault holds up to its `Upload-Offset`, or up to `otherwise` where it does not say.
    fn advance(&mut self, answer: &Answer, otherwise: u64) {
        let offset = offset_of(answer).unwrap_or(otherwise).min(self.job.range.len());
        self.at = self.at.max(self.job.range.start + offset);
    }
}

fn offset_of(answer: &Answer) -> Option<u64> {
    answer.headers.get(UPLOAD_OFFSET)?.to_str().ok()?.parse().ok()
}

/// The path of a `Location`, which may be a whole address: what we talk to stays the vault we were given.
fn path_of(location: &str) -> Option<String> {
    let path = match location.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => location,
    };
    let plain =
        path.starts_with('/') && path.len() <= 512 && path.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_is_taken_as_a_path_only() {
        assert_eq!(path_of("/api/v1/uploads/7").as_deref(), Some("/api/v1/uploads/7"));
        assert_eq!(path_of("http://elsewhere/api/7").as_deref(), Some("/api/7"));
        assert_eq!(path_of("http://elsewhere"), None);
        assert_eq!(path_of("uploads/7"), None);
        assert_eq!(path_of("/a b"), None);
    }
}
