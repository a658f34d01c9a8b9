//! The threads that touch the disk, and the handle that the async side has of them.
//!
//! A camera belongs to one *store thread* (by hash), so its packs need no lock. Each store thread has one *finisher*
//! thread, which syncs, moves and indexes complete packs, so that a sync never holds up the bytes that come in.
//!
//! Channels are bounded. A full command channel makes the sender wait: an upload stops reading its socket; a live
//! session lets SRT's own buffer fill, and beyond that SRT closes the connection and backfill repairs it. A finisher
//! that is busy makes complete packs wait in a queue of their own (they are in memory already). A store thread never
//! waits for its finisher, so the two cannot block each other.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dashvault_base::{CameraName, DeviceId, RecordingId, WallMs};
use dashvault_wire::{PackAnnounce, PackReply, PackStatus};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    arriving::ArrivingPack,
    assembler::camera::{DeviceKeys, LiveGone, Standing},
    timeline::WallRange,
    uploads::{Upload, UploadTarget},
};

mod blocking_index;
mod command;
mod error;
mod finisher;
mod reads;
mod shard;

pub(crate) use blocking_index::BlockingIndex;
pub(crate) use error::StoreError;
pub(crate) use reads::{ObjectReads, ReadError};
pub(crate) use shard::ShardContext;

use command::Command;

/// Commands that wait for one store thread.
const QUEUE: usize = 64;
/// How long an announcement with nothing left to ask for waits for its receipts.
const RECEIPT_WAIT: Duration = Duration::from_secs(3);

/// One camera of one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Track {
    pub(crate) device: DeviceId,
    pub(crate) camera: CameraName,
}

/// How a live session's bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionKind {
    /// A recorder's: scratch, claimed by announcements.
    Announced,
    /// Anybody's: the vault makes the packs.
    Plain,
    /// Footage that was recorded before, from this moment on: the vault makes the packs.
    Import(WallMs),
}

/// One live session, as both sides know it.
#[derive(Debug)]
pub(crate) struct SessionHandle {
    pub(crate) id: u64,
    pub(crate) track: Track,
    pub(crate) recording: RecordingId,
    pub(crate) kind: SessionKind,
    /// Cancelled when the session must end: superseded, revoked, stopped, or the store cannot take it.
    pub(crate) over: CancellationToken,
}

/// The async side's handle; clones share the threads.
#[derive(Clone)]
pub(crate) struct Store {
    shards: Arc<[ShardHandle]>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    abandon: Arc<AtomicBool>,
}

struct ShardHandle {
    commands: mpsc::Sender<Command>,
    finished: watch::Receiver<u64>,
}

impl Store {
    /// Starts the threads. Call it within the runtime that answers the index.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub(crate) fn start(context: &ShardContext, shards: usize) -> std::io::Result<Self> {
        let abandon = Arc::new(AtomicBool::new(false));
        let mut handles = Vec::new();
        let mut threads = Vec::new();
        for number in 0..shards.max(1) {
            let (commands, queue) = mpsc::channel(QUEUE);
            let (signal, finished) = watch::channel(0);
            let finisher = finisher::start(number, context, commands.clone(), abandon.clone())?;
            threads.push(finisher.thread);
            threads.push(shard::start(number, context.clone(), queue, finisher.jobs, signal)?);
            handles.push(ShardHandle { commands, finished });
        }
        Ok(Self { shards: handles.into(), threads: Arc::new(Mutex::new(threads)), abandon })
    }

    /// Takes what a device announces; one reply for each pack, in order.
    pub(crate) async fn announce(
        &self,
        device: &DeviceId,
        keys: &DeviceKeys,
        packs: Vec<PackAnnounce>,
    ) -> Result<Vec<PackReply>, StoreError> {
        let deadline = tokio::time::Instant::now() + RECEIPT_WAIT;
        let packs = Arc::new(packs);
        loop {
            let marks: Vec<u64> = self.shards.iter().map(|shard| *shard.finished.borrow()).collect();
            let standings = self.standings(device, keys, &packs).await?;
            let finishing = standings.iter().any(|one| matches!(one, Standing::Finishing { .. }));
            let wanting = standings.iter().any(is_wanting);
            let waited = finishing && !wanting && self.until_finished(&marks, deadline).await;
            if !waited {
                let replies = packs.iter().zip(standings);
                return Ok(replies.map(|(pack, standing)| reply(pack, standing)).collect());
            }
        }
    }

    /// Begins an upload of announced bytes.
    pub(crate) async fn begin_upload(
        &self,
        id: String,
        target: UploadTarget,
    ) -> Result<Arc<Upload>, StoreError> {
        let track = Track { device: target.device.clone(), camera: target.camera.clone() };
        self.ask(&track, |reply| Command::UploadBegin { id, target, reply }).await?
    }

    /// Hands over bytes at the upload's offset; the answer says the offset after them. Waits only for room.
    pub(crate) async fn write_upload(
        &self,
        upload: &Arc<Upload>,
        data: Vec<Bytes>,
    ) -> Result<oneshot::Receiver<Result<u64, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::UploadWrite { upload: upload.clone(), data, reply };
        self.send(&track_of(upload), command).await?;
        Ok(answer)
    }

    /// Moves an upload back to an earlier offset: what came since then was corrupted on its way.
    pub(crate) async fn rewind_upload(&self, upload: &Arc<Upload>, offset: u64) -> Result<(), StoreError> {
        let upload = upload.clone();
        self.ask(&track_of(&upload), |reply| Command::UploadRewind { upload, offset, reply }).await?
    }

    /// Forgets an upload that was taken out of the table.
    pub(crate) async fn end_upload(&self, upload: Arc<Upload>) -> Result<(), StoreError> {
        self.send(&track_of(&upload), Command::UploadEnd { upload }).await
    }

    /// Begins a live session.
    pub(crate) async fn live_begin(&self, session: Arc<SessionHandle>) -> Result<(), StoreError> {
        let track = session.track.clone();
        self.ask(&track, |reply| Command::LiveBegin { session, reply }).await?
    }

    /// Hands over a session's next bytes. Waits only for room; failures end the session by its token.
    pub(crate) async fn live_data(
        &self,
        session: &Arc<SessionHandle>,
        data: Vec<Bytes>,
    ) -> Result<(), StoreError> {
        self.send(&session.track, Command::LiveData { session: session.clone(), data }).await
    }

    /// Packets of a session are lost for good.
    pub(crate) async fn live_lost(
        &self,
        session: &Arc<SessionHandle>,
        packets: u64,
    ) -> Result<(), StoreError> {
        self.send(&session.track, Command::LiveLost { session: session.clone(), packets }).await
    }

    /// Ends a session. Returns after what it brought is cut and, for a plain one, sealed (not yet durable).
    pub(crate) async fn live_end(&self, session: Arc<SessionHandle>) -> Result<(), StoreError> {
        let track = session.track.clone();
        self.ask(&track, |reply| Command::LiveEnd { session, reply }).await
    }

    /// Removes a camera's unclaimed live bytes that were begun at `cutoff` or before, but for what a lock keeps.
    pub(crate) async fn expire_live(
        &self,
        track: &Track,
        cutoff: WallMs,
        locked: Vec<(WallMs, WallMs)>,
    ) -> Result<LiveGone, StoreError> {
        let of = track.clone();
        self.ask(track, |reply| Command::ExpireLive { track: of, cutoff, locked, reply }).await?
    }

    /// The packs of a camera that are not stored and may have segments within `range`.
    pub(crate) async fn arriving(
        &self,
        track: Track,
        range: WallRange,
    ) -> Result<Vec<ArrivingPack>, StoreError> {
        let of = track.clone();
        self.ask(&track, |reply| Command::Arriving { track: of, range, reply }).await
    }

    /// Gives every thread a moment for what is due by time.
    pub(crate) async fn tick(&self) {
        for shard in self.shards.iter() {
            // A full queue has no time for housekeeping.
            let _ = shard.commands.try_send(Command::Tick);
        }
    }

    /// Whether all threads answer.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        for shard in self.shards.iter() {
            let (reply, answer) = oneshot::channel();
            shard.commands.send(Command::Ping { reply }).await.map_err(|_| StoreError::Stopped)?;
            answer.await.map_err(|_| StoreError::Stopped)?;
        }
        Ok(())
    }

    /// Ends the threads. Gracefully: open sessions end, complete packs become durable first.
    pub(crate) async fn stop(&self, graceful: bool) {
        self.abandon.store(!graceful, Ordering::Release);
        for shard in self.shards.iter() {
            let (reply, answer) = oneshot::channel();
            if shard.commands.send(Command::Stop { graceful, reply }).await.is_ok() {
                let _ = answer.await;
            }
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().for_each(|thread| drop(thread.join()));
        });
        let _ = joined.await;
    }

    async fn standings(
        &self,
        device: &DeviceId,
        keys: &DeviceKeys,
        packs: &Arc<Vec<PackAnnounce>>,
    ) -> Result<Vec<Standing>, StoreError> {
        // All cameras at once, each in its own thread; then the answers in the order asked.
        let mut answers = Vec::with_capacity(packs.len());
        for (index, pack) in packs.iter().enumerate() {
            let track = Track { device: device.clone(), camera: pack.camera.clone() };
            let (reply, answer) = oneshot::channel();
            let (track_sent, keys) = (track.clone(), keys.clone());
            let command = Command::Announce { track: track_sent, keys, packs: packs.clone(), index, reply };
            self.send(&track, command).await?;
            answers.push(answer);
        }
        let mut standings = Vec::with_capacity(answers.len());
        for answer in answers {
            standings.push(match answer.await.map_err(|_| StoreError::Stopped)? {
                Ok(standing) => standing,
                Err(StoreError::Stopped) => return Err(StoreError::Stopped),
                Err(error) => ask_later(device, &error),
            });
        }
        Ok(standings)
    }

    /// Waits until some shard finishes a pack after `marks`; false when the time is over.
    async fn until_finished(&self, marks: &[u64], deadline: tokio::time::Instant) -> bool {
        let mut changes = tokio::task::JoinSet::new();
        for (shard, mark) in self.shards.iter().zip(marks) {
            let (mut finished, mark) = (shard.finished.clone(), *mark);
            changes.spawn(async move { finished.wait_for(|now| *now != mark).await.is_ok() });
        }
        let first = tokio::time::timeout_at(deadline, changes.join_next()).await;
        matches!(first, Ok(Some(Ok(true))))
    }

    async fn ask<T>(
        &self,
        track: &Track,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(track, command(reply)).await?;
        answer.await.map_err(|_| StoreError::Stopped)
    }

    async fn send(&self, track: &Track, command: Command) -> Result<(), StoreError> {
        let mut hasher = DefaultHasher::new();
        track.hash(&mut hasher);
        let shards = self.shards.len() as u64;
        let at = usize::try_from(hasher.finish() % shards).unwrap_or(0);
        let shard = self.shards.get(at).ok_or(StoreError::Stopped)?;
        shard.commands.send(command).await.map_err(|_| StoreError::Stopped)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({} threads)", self.shards.len())
    }
}

fn track_of(upload: &Upload) -> Track {
    Track { device: upload.target.device.clone(), camera: upload.target.camera.clone() }
}

/// One pack's trouble must not hold up the others: it is refused for now. A recorder lets a refused pack rest and then
/// announces it again.
fn ask_later(device: &DeviceId, error: &StoreError) -> Standing {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let text: Vec<String> = causes.map(ToString::to_string).collect();
    tracing::error!(%device, error = text.join(": "), "announced pack cannot be taken up now");
    let detail = if error.is_full() {
        "the vault's disk is full; its operator has to make room"
    } else {
        "the vault cannot take this pack up now; its log says why"
    };
    Standing::Says(PackStatus::Refused { code: "unavailable".to_owned(), detail: detail.to_owned() })
}

fn is_wanting(standing: &Standing) -> bool {
    matches!(standing, Standing::Says(PackStatus::Assembling { .. }))
}

fn reply(pack: &PackAnnounce, standing: Standing) -> PackReply {
    let status = match standing {
        Standing::Says(status) => status,
        Standing::Finishing { known } => PackStatus::Assembling { known, want: Vec::new(), requested: false },
    };
    PackReply { camera: pack.camera.clone(), pack: pack.pack, status }
}

/// Wall time between two looks at what is due.
pub(crate) const TICK: Duration = Duration::from_secs(5);

/// Monotonic time since which a camera without work is forgotten.
pub(crate) fn is_stale(last_use: Instant) -> bool {
    last_use.elapsed() > Duration::from_secs(600)
}
