//! The thread that makes complete packs durable.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc as blocking,
    },
    thread::JoinHandle,
};

use tokio::sync::mpsc;

use super::{
    command::{Command, Finished},
    shard::ShardContext,
};
use crate::assembler::finish::FinishJob;

/// Packs that wait for the finisher besides the one it works on.
const QUEUE: usize = 2;

pub(super) struct Finisher {
    pub(super) jobs: blocking::SyncSender<FinishJob>,
    pub(super) thread: JoinHandle<()>,
}

/// Starts it; it ends when `jobs` is dropped.
pub(super) fn start(
    number: usize,
    context: &ShardContext,
    results: mpsc::Sender<Command>,
    abandon: Arc<AtomicBool>,
) -> std::io::Result<Finisher> {
    let (jobs, queue) = blocking::sync_channel::<FinishJob>(QUEUE);
    let archive = context.archive.clone();
    let run = move || {
        for job in queue {
            if abandon.load(Ordering::Acquire) {
                return;
            }
            let result = archive.finish(&job);
            if results.blocking_send(Command::Finished(Box::new(Finished { job, result }))).is_err() {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name(format!("finisher-{number}")).spawn(run)?;
    Ok(Finisher { jobs, thread })
}
