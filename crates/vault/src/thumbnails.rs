//! Thumbnails: one keyframe of a stored segment as a small JPEG, made by ffmpeg when first asked for, then kept.
//!
//! Belongs here: making one, never twice at the same time; the cache on disk ([`cache`]). Does not: which keyframe, HTTP.
//!
//! Invariants: one ffmpeg at a time with the least share of the processors, so many wait, and no more are taken; the
//! cache has at most its bytes; a picture's name follows from the segment's hash and the width, so it never changes.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use dashvault_base::ContentHash;
use dashvault_disk::Disk;
use dashvault_media::join::{begins_with_tables, joint};
use dashvault_process::{
    Canceller, Command, Excess, Exchange, Pool, PoolConfig, PoolError, RunError, SpawnErrorKind, SubmitError,
};
use tokio::sync::OnceCell;

use crate::{
    archive::{
        index::SegmentRow,
        objects::{ObjectError, ObjectKey, ObjectReader, ObjectStore},
    },
    config::ClipConfig,
    store::{ObjectReads, ReadError},
};

mod cache;

use cache::Cache;

/// Widths that are made; what is asked for is rounded up.
const WIDTHS: [u32; 8] = [80, 160, 240, 320, 480, 640, 960, 1280];
/// The longest that one may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest picture that ffmpeg may give.
const MOST_BYTES: usize = 4 << 20;
/// Errors of ffmpeg that are shown.
const SHOWN_CHARS: usize = 200;

/// The keyframe to show.
#[derive(Debug, Clone)]
pub(crate) struct Shot {
    pub(crate) key: ObjectKey,
    pub(crate) segment: SegmentRow,
    /// Where its pack is not stored yet.
    pub(crate) arriving: Option<Arc<dyn ObjectReader>>,
}

/// Why there is no thumbnail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ThumbnailError {
    #[error("too many thumbnails are waiting to be made")]
    Busy,
    #[error("ffmpeg is not installed")]
    NoFfmpeg,
    #[error("footage is gone")]
    Gone,
    #[error("{0}")]
    Failed(String),
}

/// What is being made, by name; everybody who asks for it waits for the same.
type Coming = Arc<OnceCell<Result<Bytes, ThumbnailError>>>;

/// The thumbnails of a vault.
#[derive(Debug)]
pub(crate) struct Thumbnails {
    pool: Pool,
    ffmpeg: PathBuf,
    cache: Arc<Cache>,
    coming: Mutex<HashMap<String, Coming>>,
}

impl Thumbnails {
    /// Starts the pool and looks at what is in the cache. Blocks.
    ///
    /// # Errors
    /// When the system gives no threads, or the folder cannot be used.
    pub(crate) fn start(config: &ClipConfig, disk: Arc<dyn Disk>, folder: PathBuf) -> std::io::Result<Self> {
        let pool = Pool::new(PoolConfig { limit: 1, queue: config.thumbnail_queue })?;
        let cache = Cache::open(disk, folder, config.thumbnail_bytes).map_err(std::io::Error::other)?;
        Ok(Self { pool, ffmpeg: config.ffmpeg.clone(), cache: Arc::new(cache), coming: Mutex::default() })
    }

    /// A picture's name.
    pub(crate) fn name(shot: &Shot, width: u32) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(shot.segment.hash.as_bytes());
        hasher.update(&rounded(width).to_be_bytes());
        ContentHash::from(hasher.finalize()).to_string().chars().take(32).collect()
    }

    /// The picture of `shot`, from the cache or made now.
    ///
    /// # Cancel safety
    /// When every future that waits for a picture is dropped, it is not made.
    pub(crate) async fn picture(
        &self,
        reads: &ObjectReads,
        objects: &Arc<dyn ObjectStore>,
        shot: Shot,
        width: u32,
    ) -> Result<Bytes, ThumbnailError> {
        let name = Self::name(&shot, width);
        let (cache, wanted) = (self.cache.clone(), name.clone());
        if let Some(jpeg) = reads.work(move || Ok(cache.find(&wanted))).await? {
            return Ok(jpeg);
        }
        let coming = self.coming(&name);
        let made =
            coming.get_or_init(|| self.make(reads, objects, shot, rounded(width), &name)).await.clone();
        self.coming.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        made
    }

    fn coming(&self, name: &str) -> Coming {
        let mut coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        coming.entry(name.to_owned()).or_default().clone()
    }

    async fn make(
        &self,
        reads: &ObjectReads,
        objects: &Arc<dyn ObjectStore>,
        shot: Shot,
        width: u32,
        name: &str,
    ) -> Result<Bytes, ThumbnailError> {
        if self.pool.is_full() {
            return Err(ThumbnailError::Busy);
        }
        let objects = objects.clone();
        let input = reads.work(move || segment(objects.as_ref(), &shot)).await?;
        let exchange = Exchange::new().input(input).timeout(PATIENCE).output_limit(MOST_BYTES, Excess::Kill);
        let ticket =
            self.pool.try_submit(command(&self.ffmpeg, width), exchange).map_err(|error| match error {
                SubmitError::Full => ThumbnailError::Busy,
                SubmitError::Closed => ThumbnailError::Gone,
            })?;
        let cancel = CancelOnDrop(ticket.canceller());
        let output = ticket.result().await;
        drop(cancel);
        let output = output.map_err(|error| match error {
            PoolError::Run(RunError::Spawn(error)) if error.kind() == SpawnErrorKind::Operator => {
                ThumbnailError::NoFfmpeg
            }
            error => ThumbnailError::Failed(error.to_string()),
        })?;
        if !is_jpeg(&output.stdout) {
            let log = String::from_utf8_lossy(&output.stderr);
            let said: String =
                log.lines().last().unwrap_or("it gave no picture").chars().take(SHOWN_CHARS).collect();
            return Err(ThumbnailError::Failed(said));
        }
        let jpeg = Bytes::from(output.stdout);
        let (cache, name, kept) = (self.cache.clone(), name.to_owned(), jpeg.clone());
        if let Err(error) = reads.work(move || Ok(cache.keep(&name, &kept)?)).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "thumbnail cannot be kept");
        }
        Ok(jpeg)
    }
}

/// Takes a task out of the pool when nobody waits for it any more; without effect once it has ended.
struct CancelOnDrop(Canceller);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn rounded(width: u32) -> u32 {
    let largest = WIDTHS.last().copied().unwrap_or(width);
    WIDTHS.into_iter().find(|known| *known >= width).unwrap_or(largest)
}

/// A segment's bytes, so that a decoder can begin with them.
fn segment(objects: &dyn ObjectStore, shot: &Shot) -> Result<Vec<u8>, ObjectError> {
    let object = shot.arriving.clone().map_or_else(|| objects.open(&shot.key), Ok)?;
    let mut bytes = vec![0; usize::try_from(shot.segment.bytes).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while filled < bytes.len() {
        match object.read_at(&mut bytes[filled..], shot.segment.start_byte + filled as u64)? {
            0 => return Err(ObjectError::Short(shot.key.clone())),
            read => filled += read,
        }
    }
    Ok(if begins_with_tables(&bytes) { bytes } else { [joint(&bytes), bytes].concat() })
}

fn command(ffmpeg: &std::path::Path, width: u32) -> Command {
    Command::new(ffmpeg)
        .args(["-hide_banner", "-nostdin", "-v", "error", "-threads", "1", "-skip_frame", "nokey"])
        .args(["-f", "mpegts", "-i", "pipe:0", "-map", "0:v:0", "-an", "-frames:v", "1"])
        .args(["-vf", &format!("scale='min({width},iw)':-2"), "-q:v", "5", "-f", "mjpeg", "pipe:1"])
        .low_priority()
}

fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8]) && bytes.ends_with(&[0xFF, 0xD9])
}

impl From<ReadError> for ThumbnailError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Object(ObjectError::NotFound(_) | ObjectError::Short(_)) => Self::Gone,
            error => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_rounded_up_to_a_few() {
        assert_eq!([1, 80, 81, 300, 1280, 9999].map(rounded), [80, 80, 160, 320, 1280, 1280]);
    }

    #[test]
    fn a_torn_picture_is_none() {
        assert!(is_jpeg(&[0xFF, 0xD8, 1, 2, 0xFF, 0xD9]));
        assert!(!is_jpeg(&[0xFF, 0xD8, 1, 2]));
        assert!(!is_jpeg(&[]));
    }
}
