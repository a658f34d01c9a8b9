//! A bounded pool of processes: so many run, so many wait, and no more are taken.
//!
//! Belongs here: the queue, the workers that run it, cancelling, results. Not here: how one command is run
//! (`communicate`).
//!
//! Invariants: at most `limit` processes run and at most `queue` tasks wait; every accepted task gets exactly one
//! result; dropping the pool kills what runs, cancels what waits, and joins the workers.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::blocking::{block_on, off_thread};
use crate::command::Command;
use crate::communicate::{CommunicateError, Exchange, Output, RunError};
use crate::token::{StopSource, StopToken};

/// The bounds of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Processes that run at once; at least 1.
    pub limit: usize,
    /// Tasks that wait for their turn; at least 1. When it is full, [`Pool::submit`] waits and
    /// [`Pool::try_submit`] refuses.
    pub queue: usize,
}

impl Default for PoolConfig {
    /// As many processes as there are processors, and 64 waiting tasks.
    fn default() -> Self {
        let limit = std::thread::available_parallelism().map_or(1, usize::from);
        Self { limit, queue: 64 }
    }
}

/// A bounded pool of processes. Dropping it kills what runs and cancels what waits.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    workers: Vec<JoinHandle<()>>,
}

/// A task in a pool: its result, and the way to cancel it. Dropping it loses the result and lets the task go on.
#[derive(Debug)]
pub struct Ticket {
    id: u64,
    shared: Arc<Shared>,
    stop: Arc<StopSource>,
    result: oneshot::Receiver<Result<Output, PoolError>>,
}

/// Cancels a task whose ticket somebody waits on; cheap to clone, and owns nothing.
#[derive(Clone, Debug)]
pub struct Canceller {
    id: u64,
    shared: Arc<Shared>,
    stop: Arc<StopSource>,
}

/// A task that did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// It was cancelled, by its ticket or with the pool, while it waited or ran.
    #[error("the task was cancelled")]
    Cancelled,
    /// Its command did not start or exceeded a limit.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A task that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue is full.
    #[error("the pool's queue is full")]
    Full,
    /// The pool takes no more tasks.
    #[error("the pool is closed")]
    Closed,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Task>,
    /// What runs, so that it can be cancelled with the pool.
    running: Vec<(u64, Arc<StopSource>)>,
    closed: bool,
    next: u64,
}

#[derive(Debug)]
struct Task {
    id: u64,
    command: Command,
    exchange: Exchange,
    stop: Arc<StopSource>,
    token: StopToken,
    result: oneshot::Sender<Result<Output, PoolError>>,
    /// The place in the queue, freed when the task leaves it.
    place: OwnedSemaphorePermit,
}

impl Pool {
    /// Makes a pool and its worker threads, one for each process that may run.
    ///
    /// # Errors
    /// When a thread cannot be made.
    pub fn new(config: PoolConfig) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let room = Arc::new(Semaphore::new(config.queue.max(1)));
        let mut pool = Self { shared, room, workers: Vec::new() };
        for number in 0..config.limit.max(1) {
            let shared = Arc::clone(&pool.shared);
            let worker = Builder::new().name(format!("pool-{number}"));
            pool.workers.push(worker.spawn(move || shared.work_off())?);
        }
        Ok(pool)
    }

    /// Adds a task, waiting for room in the queue.
    ///
    /// # Errors
    /// When the pool is closed.
    ///
    /// # Cancel safety
    /// Cancel safe: the task is added or it is not.
    pub async fn submit(&self, command: Command, exchange: Exchange) -> Result<Ticket, SubmitError> {
        let place = Arc::clone(&self.room).acquire_owned().await.map_err(|_| SubmitError::Closed)?;
        self.add(command, exchange, place)
    }

    /// Adds a task, waiting for room in the queue on this thread.
    ///
    /// # Errors
    /// When the pool is closed.
    pub fn submit_blocking(&self, command: Command, exchange: Exchange) -> Result<Ticket, SubmitError> {
        block_on(self.submit(command, exchange))
    }

    /// Adds a task if there is room.
    ///
    /// # Errors
    /// When the queue is full or the pool closed.
    pub fn try_submit(&self, command: Command, exchange: Exchange) -> Result<Ticket, SubmitError> {
        let place = Arc::clone(&self.room).try_acquire_owned().map_err(|error| match error {
            tokio::sync::TryAcquireError::NoPermits => SubmitError::Full,
            tokio::sync::TryAcquireError::Closed => SubmitError::Closed,
        })?;
        self.add(command, exchange, place)
    }

    /// Returns how many tasks run.
    pub fn running(&self) -> usize {
        self.shared.lock().running.len()
    }

    /// Returns how many tasks wait.
    pub fn queued(&self) -> usize {
        self.shared.lock().queue.len()
    }

    /// Returns whether [`try_submit`](Self::try_submit) would find no room just now.
    pub fn is_full(&self) -> bool {
        self.room.available_permits() == 0
    }

    /// Takes no more tasks; what was taken is done. Does not wait.
    pub fn close(&self) {
        self.room.close();
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }

    /// Closes the pool and waits until everything taken is done.
    ///
    /// # Cancel safety
    /// When the future is dropped, the pool stays closed and is drained by a thread of its own.
    pub async fn drain(self) {
        // Where no thread can be made the pool is dropped, which cancels its tasks.
        let _ = off_thread("pool-drain".into(), move || self.drain_blocking()).await;
    }

    /// Closes the pool and waits on this thread until everything taken is done.
    pub fn drain_blocking(mut self) {
        self.close();
        self.join();
    }

    fn add(
        &self,
        command: Command,
        exchange: Exchange,
        place: OwnedSemaphorePermit,
    ) -> Result<Ticket, SubmitError> {
        let (stop, token) = StopSource::new();
        let stop = Arc::new(stop);
        let (sender, result) = oneshot::channel();
        let mut state = self.shared.lock();
        if state.closed {
            return Err(SubmitError::Closed);
        }
        let id = state.next;
        state.next += 1;
        let task = Task { id, command, exchange, stop: Arc::clone(&stop), token, result: sender, place };
        state.queue.push_back(task);
        drop(state);
        self.shared.work.notify_one();
        Ok(Ticket { id, shared: Arc::clone(&self.shared), stop, result })
    }

    fn join(&mut self) {
        for worker in self.workers.drain(..) {
            // A worker does not panic: the command runs in threads and processes of its own.
            let _ = worker.join();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
        let mut state = self.shared.lock();
        for task in state.queue.drain(..) {
            let _ = task.result.send(Err(PoolError::Cancelled));
        }
        state.running.iter().for_each(|(_, stop)| stop.stop());
        drop(state);
        self.join();
    }
}

impl Ticket {
    /// Returns the number of the task in its pool, from 0.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Takes the task out of the queue, or kills its process and group. Its result is [`PoolError::Cancelled`] unless
    /// it ended before.
    pub fn cancel(&self) {
        self.canceller().cancel();
    }

    /// Returns what cancels the task while its result is waited for.
    pub fn canceller(&self) -> Canceller {
        Canceller { id: self.id, shared: Arc::clone(&self.shared), stop: Arc::clone(&self.stop) }
    }

    /// Waits for the result.
    ///
    /// # Errors
    /// When the task was cancelled, did not start or exceeded a limit.
    pub async fn result(self) -> Result<Output, PoolError> {
        self.result.await.unwrap_or(Err(PoolError::Cancelled))
    }

    /// Waits for the result on this thread.
    ///
    /// # Errors
    /// As [`result`](Self::result).
    pub fn result_blocking(self) -> Result<Output, PoolError> {
        block_on(self.result())
    }
}

impl Canceller {
    /// As [`Ticket::cancel`].
    pub fn cancel(&self) {
        self.stop.stop();
        let mut state = self.shared.lock();
        if let Some(place) = state.queue.iter().position(|task| task.id == self.id) {
            let task = state.queue.remove(place);
            drop(state);
            if let Some(task) = task {
                let _ = task.result.send(Err(PoolError::Cancelled));
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker: runs one task after the other until the pool is closed and empty.
    fn work_off(&self) {
        while let Some(task) = self.next() {
            let Task { id, command, exchange, token, result, place, .. } = task;
            drop(place);
            let outcome = if token.is_stopped() {
                Err(PoolError::Cancelled)
            } else {
                command.run_until(exchange, &token).map_err(|error| match error {
                    RunError::Communicate(CommunicateError::Cancelled { .. }) => PoolError::Cancelled,
                    error => PoolError::Run(error),
                })
            };
            self.lock().running.retain(|(running, _)| *running != id);
            // The ticket may be gone.
            let _ = result.send(outcome);
        }
    }

    fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.queue.pop_front() {
                state.running.push((task.id, Arc::clone(&task.stop)));
                return Some(task);
            }
            if state.closed {
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
