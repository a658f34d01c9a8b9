//! The thread that reads ffmpeg's output, cuts it, and hands it to the disk and to live.
//!
//! Belongs here: one recording after the other, from first byte to last. Not here: the cut (`dashvault-media`).
//!
//! Invariants: it never waits for the network, and for the disk at most [`PATIENCE`] a segment; a segment is queued
//! whole or counted as lost whole; live gets every byte either way.

use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use dashvault_base::RecordingId;
use dashvault_media::{Segment, SegmentSink, Segmenter, SegmenterConfig};
use dashvault_process::Started;

use super::downtime::{Since, Then};
use super::queue::{Began, Item, Queue};
use super::writer::with_sources;
use crate::shared::{CameraShared, Shared, lock};

/// What a camera of 5 Mbit/s gives in one [`GATHER`].
const READ_BYTES: usize = 128 * 1024;
/// After a read the reader lets the pipe fill for so long, unless it left something there: a few frames at a time cost a
/// fraction of one by one.
const GATHER: Duration = Duration::from_millis(200);
/// How long the reader waits for a slow disk before it gives a segment up. The pipe holds a megabyte meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);

/// Reads one camera.
pub(super) struct Reader {
    shared: Arc<Shared>,
    index: usize,
    queue: Arc<Queue>,
    buffer: Box<[u8]>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, index: usize, queue: Arc<Queue>) -> Self {
        lock(&shared.cameras[index].downtime).begin(Began::now(), Since::Start);
        Self { shared, index, queue, buffer: vec![0; READ_BYTES].into() }
    }

    /// Records one run of ffmpeg, to its end.
    pub(super) fn record(&mut self, started: Started) {
        let Some(mut stdout) = started.stdout else { return };
        let mut cut: Option<Cut> = None;
        let mut last_byte = None;
        let mut gather = false;
        loop {
            if gather {
                thread::sleep(GATHER);
            }
            let read = match stdout.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::warn!(camera = %self.camera().name, %error, "reading ffmpeg failed");
                    break;
                }
            };
            started.heartbeat.beat(read);
            gather = read < READ_BYTES;
            let now = Began::now();
            let block = Bytes::copy_from_slice(&self.buffer[..read]);
            let cut = cut.get_or_insert_with(|| self.begin(now));
            last_byte = Some(now);
            if let Err(error) = cut.push(&block, now, &self.queue, &self.shared.cameras[self.index]) {
                tracing::error!(camera = %self.camera().name, %error, "ffmpeg writes no transport stream");
                lock(&self.camera().capture).trouble = Some(error.to_string());
                break;
            }
        }
        // Dropping it makes a process that still writes fail, and so be started again.
        drop(stdout);
        if let Some(cut) = cut {
            cut.end(&self.queue, self.camera());
        }
        if let Some(from) = last_byte {
            lock(&self.camera().downtime).begin(from, Since::Recording);
        }
        lock(&self.camera().capture).recording = None;
    }

    /// The camera is stopped; if it gave nothing at the end, that is counted.
    pub(super) fn over(&self) {
        self.downtime_over(Began::now(), Then::Stop);
    }

    fn camera(&self) -> &CameraShared {
        &self.shared.cameras[self.index]
    }

    fn begin(&self, now: Began) -> Cut {
        self.downtime_over(now, Then::Footage);
        let wall = now.wall;
        let recording =
            self.shared.spool.next_recording_id(&self.camera().name, wall).unwrap_or_else(|error| {
                tracing::error!(error = %with_sources(&error), "recording id is not durable");
                RecordingId::at(wall)
            });
        tracing::info!(camera = %self.camera().name, %recording, "recording");
        lock(&self.camera().capture).recording = Some(recording);
        self.queue.push(Item::Begin(recording));
        self.camera().ring().begin(recording);
        Cut::new(recording)
    }

    fn downtime_over(&self, now: Began, then: Then) {
        let camera = self.camera();
        let ended = lock(&camera.downtime).end(&self.shared.spool, &camera.name, now, then);
        if let Some(ended) = ended {
            self.queue.push(Item::Lost(ended));
        }
    }
}

/// One recording's cut.
struct Cut {
    recording: RecordingId,
    segmenter: Segmenter,
    open: Open,
}

/// The open segment, as far as it has come.
struct Open {
    number: u64,
    begun: bool,
    whole: bool,
}

impl Cut {
    fn new(recording: RecordingId) -> Self {
        let open = Open { number: 0, begun: false, whole: true };
        Self { recording, segmenter: Segmenter::new(SegmenterConfig::default()), open }
    }

    fn push(
        &mut self,
        block: &Bytes,
        now: Began,
        queue: &Queue,
        camera: &CameraShared,
    ) -> Result<(), dashvault_media::SegmenterError> {
        let mut sink = Sink { block, now, queue, camera, open: &mut self.open };
        let pushed = self.segmenter.push(block, &mut sink);
        camera.fresh.notify_one();
        pushed
    }

    fn end(mut self, queue: &Queue, camera: &CameraShared) {
        let now = Began::now();
        let block = Bytes::new();
        self.segmenter.finish(&mut Sink { block: &block, now, queue, camera, open: &mut self.open });
        camera.ring().end();
        camera.fresh.notify_one();
        queue.push(Item::End);
        let counters = self.segmenter.counters();
        tracing::info!(camera = %camera.name, recording = %self.recording, segments = counters.segments,
            continuity_errors = counters.continuity_errors, "recording ended");
    }
}

/// Hands runs and segments to both sides.
struct Sink<'a> {
    block: &'a Bytes,
    now: Began,
    queue: &'a Queue,
    camera: &'a CameraShared,
    open: &'a mut Open,
}

impl SegmentSink for Sink<'_> {
    fn bytes(&mut self, run: &[u8]) {
        let bytes = shared_run(self.block, run);
        if !std::mem::replace(&mut self.open.begun, true) {
            self.queue.push(Item::Open(self.now));
        }
        if self.open.whole {
            self.open.whole = self.queue.push_bytes(bytes.clone(), PATIENCE);
        }
        self.camera.ring().push(self.now.at, bytes);
    }

    fn closed(&mut self, segment: Segment) {
        self.camera.ring().close();
        let next = Open { number: self.open.number + 1, begun: false, whole: true };
        let Open { number, whole, .. } = std::mem::replace(self.open, next);
        self.queue.push(Item::Close { segment, number, whole });
    }
}

/// The run as a part of the block it lies in; a run that the segmenter held back lies elsewhere and is copied.
fn shared_run(block: &Bytes, run: &[u8]) -> Bytes {
    let within = block.as_ptr_range();
    let run_range = run.as_ptr_range();
    if within.start <= run_range.start && run_range.end <= within.end {
        block.slice_ref(run)
    } else {
        Bytes::copy_from_slice(run)
    }
}
