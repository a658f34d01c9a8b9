//! The requests of one upload, header by header, and what follows from each answer.
//!
//! Belongs here: creation, PATCH, HEAD (tus 1.0). Not here: which of them comes next ([`super`]).

use std::time::{Duration, Instant};

use dashvault_wire::{paths, upload::PackTarget};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use tokio::sync::mpsc;

use super::{PATCH_BYTES, SHORT_PAUSE, Step, Upload, Uploader};
use crate::backfill::announcer::{detail_of, retry_after};
use crate::backfill::body::Outgoing;
use crate::backfill::entry::PackKey;
use crate::backfill::feed::{ReadError, feed};
use crate::backfill::http::{Answer, HttpError};
use crate::backfill::plan::Job;
use crate::camera::with_sources;
use crate::reach::Side;

/// An upload without progress for this long has failed. The governor alone may hold a piece for some seconds.
const SILENCE: Duration = Duration::from_secs(8);
/// So few bytes go along with the creation: one round trip less.
const SMALL_BYTES: u64 = 256 << 10;
/// How long a PATCH should take: so that a more urgent job waits no longer.
const PATCH_TIME: Duration = Duration::from_secs(2);

pub(super) const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const OFFSET_STREAM: HeaderValue = HeaderValue::from_static("application/offset+octet-stream");

/// Why a request with a body came to nothing.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("pack cannot be read")]
    Disk(#[source] ReadError),
}

impl Uploader {
    pub(super) async fn step(&mut self, upload: &mut Upload, lost: bool) -> Step {
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
