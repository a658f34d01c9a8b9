//! One camera: its ffmpeg, the thread that reads it, and the thread that writes its packs.
//!
//! ```text
//! ffmpeg ─pipe─► reader ─► segmenter ─┬─► queue ─► writer ─► spool, book
//!                                     └─► live ring
//! ```
//! Belongs here: these threads and the queue between them. Not here: the command (`crate::capture`), keeping the
//! process alive (`dashvault-process`), files (`dashvault-spool`).

mod downtime;
mod queue;
mod reader;
mod writer;

use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dashvault_process::{Command, Spec, Stall, Started, Supervisor};

use crate::boot::Boot;
use crate::capture::{self, CaptureCommand};
use crate::shared::{Shared, lock};
pub(crate) use downtime::Downtime;
pub(crate) use queue::Began;
use queue::Queue;
pub(crate) use writer::with_sources;

/// Stack of the reader and writer threads.
const STACK_BYTES: usize = 256 * 1024;
/// Between attempts to find out what a camera delivers.
const PROBE_PAUSE: Duration = Duration::from_secs(3);

/// A camera at work.
#[derive(Debug)]
pub(crate) struct Camera {
    name: String,
    supervisor: Arc<OnceLock<Supervisor>>,
    stop: dashvault_process::StopSource,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Camera {
    /// Starts the threads; ffmpeg follows as soon as it is known what to run.
    pub(crate) fn start(shared: &Arc<Shared>, index: usize, boot: Boot) -> std::io::Result<Self> {
        let name = shared.cameras[index].name.to_string();
        let queue = Arc::new(Queue::new(shared.config.disk_queue_bytes));
        let supervisor = Arc::new(OnceLock::new());
        let (stop, stopped) = dashvault_process::StopSource::new();
        let writer = {
            let writer = writer::Writer::new(Arc::clone(shared), index, boot);
            let queue = Arc::clone(&queue);
            spawn(format!("write-{name}"), move || writer.run(&queue))?
        };
        let reader = {
            let (shared, supervisor) = (Arc::clone(shared), Arc::clone(&supervisor));
            let mut reader = reader::Reader::new(Arc::clone(&shared), index, Arc::clone(&queue));
            spawn(format!("read-{name}"), move || {
                if let Some(started) = supervise(&shared, index, &supervisor, &stopped) {
                    // The channel ends when supervision has ended.
                    started.into_iter().for_each(|started| reader.record(started));
                }
                reader.over();
                queue.close();
            })?
        };
        Ok(Self { name, supervisor, stop, threads: Mutex::new(vec![reader, writer]) })
    }

    /// The supervisor, once ffmpeg is to run.
    pub(crate) fn supervisor(&self) -> Option<&Supervisor> {
        self.supervisor.get()
    }

    /// Asks for the stop and does not wait.
    pub(crate) fn ask_stop(&self) {
        self.stop.stop();
        if let Some(supervisor) = self.supervisor.get() {
            supervisor.ask_stop();
        }
    }

    /// Waits until ffmpeg has ended and all it wrote is sealed. Blocks.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!(camera = self.name, "a camera thread panicked");
            }
        }
    }
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(body)
}

/// Finds out what to run and keeps it running; `None` when stopped before.
fn supervise(
    shared: &Shared,
    index: usize,
    place: &OnceLock<Supervisor>,
    stopped: &dashvault_process::StopToken,
) -> Option<mpsc::Receiver<Started>> {
    let spec = shared.config.cameras.get(index)?;
    let camera = &shared.cameras[index];
    let command = loop {
        if stopped.is_stopped() {
            return None;
        }
        match capture::prepare(spec, &shared.config.ffmpeg) {
            Ok(command) => break command,
            Err(error) => {
                tracing::warn!(camera = %camera.name, %error, "camera is not ready");
                lock(&camera.capture).trouble = Some(error.to_string());
                if stopped.sleep(PROBE_PAUSE) {
                    return None;
                }
            }
        }
    };
    let mut capture = lock(&camera.capture);
    (capture.trouble, capture.encoder) = (None, Some(command.encoder.clone()));
    drop(capture);
    let (sender, started) = mpsc::sync_channel(1);
    let spec = process_spec(shared, &camera.name.to_string(), command);
    let supervisor = Supervisor::spawn(spec, move |started| {
        // The reader is gone only after the stop.
        let _ = sender.send(started);
    });
    match supervisor {
        Ok(supervisor) => {
            let supervisor = place.get_or_init(|| supervisor);
            if stopped.is_stopped() {
                supervisor.ask_stop();
            }
            Some(started)
        }
        Err(error) => {
            tracing::error!(camera = %camera.name, %error, "no thread for the supervisor");
            lock(&camera.capture).trouble = Some(format!("no thread for the supervisor: {error}"));
            None
        }
    }
}

fn process_spec(shared: &Shared, name: &str, capture: CaptureCommand) -> Spec {
    let CaptureCommand { args, secrets, .. } = capture;
    let command = Command::new(&shared.config.ffmpeg).args(args);
    let command = secrets.into_iter().fold(command, Command::secret);
    let stall = Stall::after(Duration::from_secs(u64::from(shared.config.stall_seconds)));
    let mut spec = Spec { stall: Some(stall), ..Spec::ffmpeg(name, command) };
    // A camera that is back after a jolt should be recorded again soon.
    spec.backoff.max = Duration::from_secs(10);
    spec
}
