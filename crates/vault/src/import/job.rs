//! One job: from a whole file to durable packs. Every step may be done again after a crash.
//!
//! Belongs here: the order of the steps and what their failures mean. Does not: ffmpeg's words ([`super::tools`]), where a
//! file lies in time ([`super::place`]), how packs are made (`plain`).
//!
//! Invariant: the transport stream is whole and synced before a recording is taken for it, and is not made again after.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use dashvault_base::{ContentHash, RecordingId, WallMs};
use dashvault_disk::{Disk, DiskError, OpenMode};
use dashvault_media::{Segment, SegmentSink, Segmenter, SegmenterConfig};
use dashvault_process::{Command, Excess, Exchange};
use tokio_util::sync::CancellationToken;

use super::{
    desk::{Desk, Running},
    place::{Probe, place},
    tools::{self, Problem, Ran},
};
use crate::{
    archive::index::{ImportRow, ImportState},
    core::Core,
    store::{SessionHandle, SessionKind, StoreError, Track},
};

/// Read at once.
const PIECE_BYTES: usize = 1 << 20;
/// What ffprobe may print.
const OUTPUT_BYTES: usize = 4 << 20;
/// How often ffmpeg's progress is looked at, and whether packs are durable.
const LOOK: Duration = Duration::from_millis(200);
/// Thousandths of the work that are done when the transport stream is made.
const REMUXED: u64 = 800;

/// Why a job ended before its packs are durable.
enum End {
    /// The file is here already.
    Duplicate(String),
    Failed(Problem),
    /// The vault could not go on; the job is tried again.
    Later(StoreError),
    /// It is not wanted any more, or the vault stops.
    Cancelled,
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stopped => Self::Cancelled,
            error => Self::Later(error),
        }
    }
}

impl From<crate::archive::index::IndexError> for End {
    fn from(error: crate::archive::index::IndexError) -> Self {
        Self::Later(error.into())
    }
}

/// Runs a job to its end. An error: the index or the disk failed, and the job is still queued.
pub(super) async fn run(core: &Arc<Core>, mut row: ImportRow, running: &Running) -> Result<(), StoreError> {
    row.state = ImportState::Running;
    if !core.index.save_import(&row).await? {
        return Ok(());
    }
    let job = Job { core, desk: &core.imports, running };
    let result = match job.store(&mut row).await {
        Ok(()) => "done",
        Err(End::Cancelled) => {
            if running.over.is_cancelled() {
                job.desk.forget(&row.id).await?;
            }
            return Ok(());
        }
        Err(End::Later(error)) => {
            row.state = ImportState::Queued;
            core.index.save_import(&row).await?;
            return Err(error);
        }
        Err(End::Duplicate(of)) => {
            row.state = ImportState::Duplicate;
            row.duplicate_of = Some(of);
            "duplicate"
        }
        Err(End::Failed(problem)) => {
            tracing::warn!(
                import = row.id,
                code = problem.code,
                detail = problem.detail,
                "file cannot be imported"
            );
            row.state = ImportState::Failed;
            row.error = Some((problem.code.to_owned(), problem.detail));
            "failed"
        }
    };
    if row.state == ImportState::Running {
        row.state = ImportState::Done;
    }
    job.close(&row).await?;
    core.metrics.import_ended(result);
    tracing::info!(import = row.id, result, recording = ?row.recording, "import has ended");
    Ok(())
}

struct Job<'a> {
    core: &'a Arc<Core>,
    desk: &'a Desk,
    running: &'a Running,
}

impl Job<'_> {
    async fn store(&self, row: &mut ImportRow) -> Result<(), End> {
        let target = row.target.clone().ok_or(End::Cancelled)?;
        let target = (&target.0, &target.1);
        if row.recording.is_none() && !self.desk.has_room_for(row.length).await? {
            return Err(End::Later(StoreError::Full));
        }
        if row.content.is_none() {
            row.content = Some(self.hash(&row.id).await?);
            self.core.index.save_import(row).await?;
        }
        if row.recording.is_none() {
            let content = row.content.ok_or(End::Cancelled)?;
            if let Some(same) = self.core.index.same_import(target, content).await? {
                row.recording = same.recording;
                (row.start_wall, row.end_wall) = (same.start_wall, same.end_wall);
                return Err(End::Duplicate(same.id));
            }
            self.remux(row).await?;
        }
        let segments = self.cut(&row.id).await?;
        let start = row.start_wall.ok_or(End::Cancelled)?;
        if row.recording.is_none() {
            let wanted = RecordingId::at(start);
            let now = self.core.clock.wall();
            let taken = self.core.index.take_recording(&row.id, target, wanted, now).await?;
            row.recording = Some(taken);
        }
        row.end_wall = Some(start.plus_ms(ms(segments.iter().map(|segment| segment.duration_90k).sum())));
        self.core.index.save_import(row).await?;
        let recording = row.recording.ok_or(End::Cancelled)?;
        let track = Track { device: target.0.clone(), camera: target.1.clone() };
        self.running.is_storing.store(true, Ordering::Release);
        self.feed(&row.id, &track, recording, start, &segments).await
    }

    /// The file's BLAKE3.
    async fn hash(&self, id: &str) -> Result<ContentHash, End> {
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        loop {
            self.check()?;
            let (disk, path) = (self.core.disk.clone(), self.desk.original(id));
            let piece = self.desk.thread.on_disk(move || piece(disk.as_ref(), &path, at)).await?;
            if piece.is_empty() {
                return Ok(ContentHash::from_bytes(*hasher.finalize().as_bytes()));
            }
            hasher.update(&piece);
            at += piece.len() as u64;
        }
    }

    /// Makes the transport stream, durably, and finds where it lies in time.
    async fn remux(&self, row: &mut ImportRow) -> Result<(), End> {
        let original = self.desk.original(&row.id);
        let exchange = Exchange::new().timeout(tools::PATIENCE).output_limit(OUTPUT_BYTES, Excess::Drop);
        let asked = self.tool(tools::probe(&original), exchange.clone(), None).await;
        let printed = asked?.map_err(End::Failed)?;
        let unreadable = || End::Failed(Problem::new("unreadable", "ffprobe cannot say what the file is"));
        let probe = Probe::read(&printed).ok_or_else(unreadable)?;
        let stream = self.desk.stream(&row.id);
        let command = |transcode| tools::remux(&original, &probe, transcode, &stream);
        let copy = command(false).ok_or_else(|| End::Failed(Problem::no_video()))?;
        let watched = Some((row.length, stream.as_path()));
        let made = self.tool(copy, exchange.clone(), watched).await?;
        // Some files hold what a transport stream cannot say, such as frames without times.
        let made = match (made, command(true)) {
            (Err(problem), Some(transcode)) if problem.code == "unreadable" => {
                let again = self.tool(transcode, exchange, watched).await?;
                again.map_err(|_| problem)
            }
            (made, _) => made,
        };
        made.map_err(End::Failed)?;
        let disk = self.core.disk.clone();
        let synced = self.desk.thread.on_disk(move || {
            disk.open(&stream, OpenMode::Write)?.sync_data()?;
            stream.parent().map_or(Ok(()), |folder| disk.sync_dir(folder))
        });
        synced.await?;
        let placed = place(row.said_at, &probe, &row.filename, row.zone_ms, row.created);
        row.start_wall = Some(placed.at);
        row.time_source = Some(placed.source);
        row.warning = placed.warning.map(str::to_owned);
        Ok(())
    }

    /// Runs a tool; what it printed, or what is wrong with the file. `watched`: the bytes that go in, and what comes out.
    async fn tool(
        &self,
        command: Command,
        exchange: Exchange,
        watched: Option<(u64, &Path)>,
    ) -> Result<Result<Vec<u8>, Problem>, End> {
        let ticket = self.desk.pool.submit(command, exchange).await.map_err(|_| End::Cancelled)?;
        let canceller = ticket.canceller();
        let mut result = std::pin::pin!(ticket.result());
        let ended = loop {
            tokio::select! {
                ended = result.as_mut() => break ended,
                () = tokio::time::sleep(LOOK) => self.watch(watched).await,
                () = self.over() => {
                    canceller.cancel();
                    // The file is free only when the process is gone.
                    let _ = result.as_mut().await;
                    return Err(End::Cancelled);
                }
            }
        };
        match tools::outcome(ended) {
            Ran::Well(printed) => Ok(Ok(printed)),
            Ran::Badly(problem) => Ok(Err(problem)),
            Ran::Cancelled => Err(End::Cancelled),
        }
    }

    async fn watch(&self, watched: Option<(u64, &Path)>) {
        let Some((length, path)) = watched else { return };
        let (disk, path) = (self.core.disk.clone(), path.to_owned());
        let made: Result<u64, StoreError> = self.desk.thread.on_disk(move || disk.len(&path)).await;
        let made = made.unwrap_or(0).saturating_mul(REMUXED) / length.max(1);
        self.progress(made.min(REMUXED));
    }

    /// The segments of the transport stream.
    async fn cut(&self, id: &str) -> Result<Vec<Cut>, End> {
        let mut segmenter = Segmenter::new(SegmenterConfig::default());
        let mut found = Cuts::default();
        let mut at = 0;
        loop {
            self.check()?;
            let (disk, path) = (self.core.disk.clone(), self.desk.stream(id));
            let piece = self.desk.thread.on_disk(move || piece(disk.as_ref(), &path, at)).await?;
            if piece.is_empty() {
                break;
            }
            at += piece.len() as u64;
            let pushed = segmenter.push(&piece, &mut found);
            pushed.map_err(|error| End::Failed(Problem::new("unreadable", error.to_string())))?;
        }
        segmenter.finish(&mut found);
        // Where it goes on after a crash is said by bytes, so every byte has to be some segment's.
        if found.0.iter().map(|segment| segment.bytes).sum::<u64>() != at {
            return Err(End::Failed(Problem::new(
                "unreadable",
                "the transport stream has bytes between its packets",
            )));
        }
        if found.0.is_empty() { Err(End::Failed(Problem::no_video())) } else { Ok(found.0) }
    }

    /// Brings what is not stored yet through the camera's store thread; returns when all of it is durable.
    async fn feed(
        &self,
        id: &str,
        track: &Track,
        recording: RecordingId,
        start: WallMs,
        segments: &[Cut],
    ) -> Result<(), End> {
        let target = (&track.device, &track.camera);
        let stored = self.core.index.stored_of(target, recording).await?;
        let end: u64 = segments.iter().map(|segment| segment.bytes).sum();
        if stored.body_bytes < end {
            let session = Arc::new(SessionHandle {
                id: self.core.next_session(),
                track: track.clone(),
                recording,
                kind: SessionKind::Import(start.plus_ms(ms(stored.duration_90k))),
                over: CancellationToken::new(),
            });
            self.core.store.live_begin(session.clone()).await?;
            let fed = self.segments(id, &session, segments, stored.body_bytes).await;
            self.core.store.live_end(session.clone()).await?;
            fed?;
            if session.over.is_cancelled() {
                return Err(End::Later(StoreError::Full));
            }
        }
        while self.core.index.stored_of(target, recording).await?.body_bytes < end {
            let slept = self.core.stopping.run_until_cancelled(tokio::time::sleep(LOOK)).await;
            slept.ok_or(End::Cancelled)?;
        }
        Ok(())
    }

    /// Hands segments over, whole ones, from byte `at` of the transport stream on.
    async fn segments(
        &self,
        id: &str,
        session: &Arc<SessionHandle>,
        segments: &[Cut],
        mut at: u64,
    ) -> Result<(), End> {
        let total: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let mut end = 0;
        for segment in segments {
            end += segment.bytes;
            while at < end {
                let (disk, path) = (self.core.disk.clone(), self.desk.stream(id));
                let most = usize::try_from(end - at).unwrap_or(PIECE_BYTES);
                let mut piece = self.desk.thread.on_disk(move || piece(disk.as_ref(), &path, at)).await?;
                piece.truncate(most);
                if piece.is_empty() {
                    return Err(End::Failed(Problem::new("unreadable", "the transport stream is cut off")));
                }
                at += piece.len() as u64;
                self.core.store.live_data(session, vec![piece]).await?;
            }
            self.progress(REMUXED + at.saturating_mul(1000 - REMUXED) / total.max(1));
            if session.over.is_cancelled() || self.core.stopping.is_cancelled() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Notes how the job ended, then removes its files; the original moves aside where it is to be kept.
    async fn close(&self, row: &ImportRow) -> Result<(), StoreError> {
        if row.keep && row.state == ImportState::Done {
            let (disk, from, to) = (self.core.disk.clone(), self.desk.original(&row.id), self.desk.kept(row));
            let moved = self.desk.thread.on_disk(move || {
                to.parent().map_or(Ok(()), |folder| disk.create_dir_all(folder))?;
                match disk.rename_durably(&from, &to) {
                    // An earlier run got as far.
                    Err(error) if error.is_not_found() => Ok(()),
                    moved => moved,
                }
            });
            moved.await?;
        }
        self.core.index.save_import(row).await?;
        self.desk.remove_files(&row.id).await
    }

    fn progress(&self, permille: u64) {
        self.running.progress.store(u32::try_from(permille).unwrap_or(1000), Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), End> {
        let is_over = self.running.over.is_cancelled() || self.core.stopping.is_cancelled();
        if is_over { Err(End::Cancelled) } else { Ok(()) }
    }

    async fn over(&self) {
        tokio::select! {
            () = self.running.over.cancelled() => {}
            () = self.core.stopping.cancelled() => {}
        }
    }
}

/// A segment of the transport stream.
struct Cut {
    bytes: u64,
    duration_90k: u64,
}

#[derive(Default)]
struct Cuts(Vec<Cut>);

impl SegmentSink for Cuts {
    fn bytes(&mut self, _run: &[u8]) {}

    fn closed(&mut self, segment: Segment) {
        self.0.push(Cut { bytes: segment.len.into(), duration_90k: segment.duration.0.into() });
    }
}

fn ms(ticks_90k: u64) -> i64 {
    i64::try_from(ticks_90k / 90).unwrap_or(i64::MAX)
}

/// The next bytes of a file; none at its end.
fn piece(disk: &dyn Disk, path: &Path, at: u64) -> Result<Bytes, DiskError> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; PIECE_BYTES];
    let read = file.read_at(&mut bytes, at)?;
    bytes.truncate(read);
    Ok(bytes.into())
}
