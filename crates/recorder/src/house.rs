//! The thread that keeps house and shows the snapshot: all that happens each second for its own sake, in one wake-up.
//!
//! Belongs here: the thread and its pace. Not here: what keeping house is (`housekeeping`), what a snapshot says
//! (`snapshot`). All of it may block on the disk, hence a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dashvault_process::{StopSource, StopToken};
use tokio::sync::watch;

use crate::camera::Camera;
use crate::shared::Shared;
use crate::status::RecorderStatus;
use crate::telling::Feeling;
use crate::{housekeeping, snapshot};

/// Between two snapshots.
const EVERY: Duration = Duration::from_secs(1);
/// Snapshots to one round of housekeeping.
const ROUNDS: u32 = 2;
/// Stack of the thread.
const STACK_BYTES: usize = 512 << 10;

/// The thread; dropped, it ends by itself.
pub(crate) struct House {
    stop: StopSource,
    thread: JoinHandle<()>,
}

impl House {
    /// Starts it.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        cameras: &Arc<Vec<Camera>>,
        began: Instant,
        out: watch::Sender<RecorderStatus>,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = StopSource::new();
        let (shared, cameras) = (Arc::clone(shared), Arc::clone(cameras));
        let thread = thread::Builder::new()
            .name("house".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || keep(&shared, &cameras, began, &out, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Ends it with one more snapshot. Blocks.
    pub(crate) fn end(self) {
        self.stop.stop();
        if self.thread.join().is_err() {
            tracing::error!("the house thread panicked");
        }
    }
}

fn keep(
    shared: &Shared,
    cameras: &[Camera],
    began: Instant,
    out: &watch::Sender<RecorderStatus>,
    stopped: &StopToken,
) {
    let mut feeling = Feeling::default();
    for second in 0u32.. {
        // What fails once may work the next time, and the rest depends on its being tried.
        let round = catch_unwind(AssertUnwindSafe(|| {
            if second.is_multiple_of(ROUNDS) {
                housekeeping::once(shared);
            }
            let snapshot = snapshot::take(shared, cameras, began);
            shared.tell(feeling.status(Instant::now(), &snapshot));
            snapshot::show(shared, snapshot, out);
        }));
        if round.is_err() {
            tracing::error!("housekeeping failed");
        }
        if stopped.sleep(EVERY) {
            break;
        }
    }
    snapshot::show(shared, snapshot::take(shared, cameras, began), out);
}
