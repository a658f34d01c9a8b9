//! Start and join: work in the background that somebody waits for.
//!
//! Belongs here: a named thread with a way to stop and a result, the same around a command, and sets of them. Not here:
//! work that nobody joins (`daemon`), nor more work than may run at once (`pool`).
//!
//! Invariant: a [`Job`] never outlives its owner: dropping it asks for the stop and joins.

use std::any::Any;
use std::io;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::blocking::{block_on, block_until};
use crate::command::Command;
use crate::communicate::{Exchange, Output, RunError};
use crate::token::{StopSource, StopToken};

/// Background work with a result. Dropping it asks it to stop and joins it.
#[derive(Debug)]
#[must_use = "dropping a job stops it and waits for its end"]
pub struct Job<T> {
    name: String,
    stop: StopSource,
    result: Option<oneshot::Receiver<Result<T, String>>>,
    thread: Option<JoinHandle<()>>,
}

/// Background work that gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("job {name} panicked: {message}")]
pub struct JobError {
    /// The job.
    pub name: String,
    /// What the panic said.
    pub message: String,
}

impl<T: Send + 'static> Job<T> {
    /// Starts `work` on a thread of its own. It should return soon once its token is stopped.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(
        name: impl Into<String>,
        work: impl FnOnce(StopToken) -> T + Send + 'static,
    ) -> io::Result<Self> {
        let name = name.into();
        let (stop, token) = StopSource::new();
        let (done, result) = oneshot::channel();
        let body = move || {
            let work = std::panic::AssertUnwindSafe(|| work(token));
            // The owner may have lost interest.
            let _ = done.send(std::panic::catch_unwind(work).map_err(|panic| panic_message(&*panic)));
        };
        let thread = Builder::new().name(name.clone()).spawn(body)?;
        Ok(Self { name, stop, result: Some(result), thread: Some(thread) })
    }
}

impl Job<Result<Output, RunError>> {
    /// Starts a command; asking for the stop kills it and its group.
    ///
    /// # Errors
    /// When the thread cannot be made. That the command cannot be started is the job's result.
    pub fn run(name: impl Into<String>, command: Command, exchange: Exchange) -> io::Result<Self> {
        Self::start(name, move |stop| command.run_until(exchange, &stop))
    }
}

impl<T> Job<T> {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the work has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Asks the work to stop. Does not wait.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Waits for the result.
    ///
    /// # Errors
    /// When the work panicked.
    ///
    /// # Cancel safety
    /// Dropping the future asks for the stop and joins, which blocks.
    pub async fn join(mut self) -> Result<T, JobError> {
        let Some(result) = self.result.take() else { return Err(self.error("no result")) };
        let outcome = result.await;
        self.settle(outcome.ok())
    }

    /// Waits for the result on this thread.
    ///
    /// # Errors
    /// When the work panicked.
    pub fn join_blocking(self) -> Result<T, JobError> {
        block_on(self.join())
    }

    /// Waits for the result on this thread, for `patience` at most; gives the job back when it is not done by then.
    ///
    /// # Errors
    /// The job itself when its work goes on.
    pub fn join_for(mut self, patience: Duration) -> Result<Result<T, JobError>, Self> {
        let Some(mut result) = self.result.take() else { return Ok(Err(self.error("no result"))) };
        match block_until(Some(Instant::now() + patience), &mut result) {
            Some(outcome) => Ok(self.settle(outcome.ok())),
            None => {
                self.result = Some(result);
                Err(self)
            }
        }
    }

    fn settle(&self, outcome: Option<Result<T, String>>) -> Result<T, JobError> {
        outcome.unwrap_or_else(|| Err("no result".into())).map_err(|message| self.error(&message))
    }

    fn error(&self, message: &str) -> JobError {
        JobError { name: self.name.clone(), message: message.to_owned() }
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            // Its panic was caught and told by `join`.
            let _ = thread.join();
        }
    }
}

/// Several jobs that are joined together.
#[derive(Debug)]
pub struct Jobs<T> {
    jobs: Vec<Job<T>>,
}

impl<T> Default for Jobs<T> {
    fn default() -> Self {
        Self { jobs: Vec::new() }
    }
}

impl<T> Jobs<T> {
    /// Returns an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a job.
    pub fn add(&mut self, job: Job<T>) {
        self.jobs.push(job);
    }

    /// Returns how many have not ended.
    pub fn running(&self) -> usize {
        self.jobs.iter().filter(|job| !job.is_finished()).count()
    }

    /// Asks all of them to stop.
    pub fn stop(&self) {
        self.jobs.iter().for_each(Job::stop);
    }

    /// Waits for all of them, and returns their results in the order they were added.
    ///
    /// # Cancel safety
    /// Dropping the future stops and joins what is left, which blocks.
    pub async fn join(self) -> Vec<Result<T, JobError>> {
        let mut results = Vec::with_capacity(self.jobs.len());
        for job in self.jobs {
            results.push(job.join().await);
        }
        results
    }

    /// Waits for all of them on this thread, and returns their results in the order they were added.
    pub fn join_blocking(self) -> Vec<Result<T, JobError>> {
        block_on(self.join())
    }
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_started_and_joined() {
        let job = Job::start("sum", |_| (1..=10).sum::<u32>()).unwrap();
        assert_eq!(job.join_blocking(), Ok(55));
    }

    #[test]
    fn a_panic_becomes_an_error_with_the_name() {
        let job: Job<()> = Job::start("bad", |_| panic!("no luck")).unwrap();
        let error = job.join_blocking().unwrap_err();
        assert_eq!(error.to_string(), "job bad panicked: no luck");
    }

    #[test]
    fn a_job_that_goes_on_is_given_back_and_stops_when_dropped() {
        let (ended, seen) = std::sync::mpsc::channel();
        let job = Job::start("loop", move |stop: StopToken| {
            while !stop.sleep(Duration::from_secs(3600)) {}
            ended.send(()).unwrap();
        })
        .unwrap();
        let job = job.join_for(Duration::from_millis(5)).expect_err("it goes on");
        drop(job);
        seen.try_recv().unwrap();
    }

    #[test]
    fn jobs_are_joined_in_order() {
        let mut jobs = Jobs::new();
        for number in 0..4 {
            jobs.add(Job::start(format!("job-{number}"), move |_| number).unwrap());
        }
        assert_eq!(jobs.join_blocking(), (0..4).map(Ok).collect::<Vec<_>>());
    }
}
