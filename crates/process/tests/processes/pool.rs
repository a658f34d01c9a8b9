//! The pool's bounds, results and cancelling.

use std::fs;
use std::path::{Path, PathBuf};

use dashvault_process::{Command, Exchange, Pool, PoolConfig, PoolError, SubmitError, Ticket};

use crate::observe::{eventually, is_gone};

/// Tasks that show themselves in a directory while they run and end when told to.
struct Gate {
    directory: tempfile::TempDir,
}

impl Gate {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs until the gate is open; says how many ran at its start.
    fn task(&self) -> Command {
        let script = "mkdir -p run; : > run/$$; ls run | wc -l; \
            while [ ! -e open ]; do sleep 0.01; done; rm run/$$";
        Command::shell(script).directory(self.directory.path())
    }

    fn running(&self) -> Vec<u32> {
        let names =
            fs::read_dir(self.path("run")).map(|run| run.flatten().collect::<Vec<_>>()).unwrap_or_default();
        names.iter().map(|entry| entry.file_name().to_str().unwrap().parse().unwrap()).collect()
    }

    fn open(&self) {
        fs::write(self.path("open"), "").unwrap();
    }
}

fn submit(pool: &Pool, gate: &Gate) -> Ticket {
    pool.submit_blocking(gate.task(), Exchange::new()).unwrap()
}

#[test]
fn no_more_run_than_the_limit_and_every_task_has_its_result() {
    let gate = Gate::new();
    let pool = Pool::new(PoolConfig { limit: 3, queue: 9 }).unwrap();
    let tickets: Vec<Ticket> = (0..9).map(|_| submit(&pool, &gate)).collect();
    eventually("three run", || gate.running().len() == 3);
    assert_eq!((pool.running(), pool.queued()), (3, 6));
    gate.open();
    for ticket in tickets {
        let output = ticket.result_blocking().unwrap();
        let at_once: usize = std::str::from_utf8(&output.stdout).unwrap().trim().parse().unwrap();
        assert!((1..=3).contains(&at_once), "{at_once} ran at once");
    }
    pool.drain_blocking();
}

#[test]
fn a_full_queue_refuses_or_makes_wait() {
    let gate = Gate::new();
    let pool = Pool::new(PoolConfig { limit: 1, queue: 1 }).unwrap();
    let first = submit(&pool, &gate);
    eventually("the first runs", || pool.running() == 1);
    let second = submit(&pool, &gate);
    assert_eq!(pool.try_submit(gate.task(), Exchange::new()).unwrap_err(), SubmitError::Full);
    gate.open();
    let third = submit(&pool, &gate);
    for ticket in [first, second, third] {
        assert!(ticket.result_blocking().unwrap().exit.success());
    }
}

#[test]
fn a_waiting_task_is_cancelled_without_running_and_makes_room() {
    let gate = Gate::new();
    let pool = Pool::new(PoolConfig { limit: 1, queue: 1 }).unwrap();
    let first = submit(&pool, &gate);
    eventually("the first runs", || pool.running() == 1);
    let second = submit(&pool, &gate);
    second.cancel();
    assert!(matches!(second.result_blocking(), Err(PoolError::Cancelled)));
    let third = pool.try_submit(gate.task(), Exchange::new()).unwrap();
    gate.open();
    assert!(first.result_blocking().unwrap().exit.success());
    assert!(third.result_blocking().unwrap().exit.success());
}

#[test]
fn a_running_task_is_killed_when_cancelled() {
    let gate = Gate::new();
    let pool = Pool::new(PoolConfig { limit: 1, queue: 1 }).unwrap();
    let ticket = submit(&pool, &gate);
    eventually("it runs", || gate.running().len() == 1);
    let pid = gate.running()[0];
    ticket.cancel();
    assert!(matches!(ticket.result_blocking(), Err(PoolError::Cancelled)));
    assert!(is_gone(pid));
}

#[tokio::test]
async fn dropping_the_pool_kills_what_runs_and_cancels_what_waits() {
    let gate = Gate::new();
    let pool = Pool::new(PoolConfig { limit: 1, queue: 4 }).unwrap();
    let first = pool.submit(gate.task(), Exchange::new()).await.unwrap();
    let second = pool.submit(gate.task(), Exchange::new()).await.unwrap();
    eventually("one runs", || gate.running().len() == 1);
    let pid = gate.running()[0];
    drop(pool);
    assert!(is_gone(pid));
    assert!(matches!(first.result().await, Err(PoolError::Cancelled)));
    assert!(matches!(second.result().await, Err(PoolError::Cancelled)));
}

#[tokio::test]
async fn draining_runs_everything_taken_and_takes_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let pool = Pool::new(PoolConfig { limit: 2, queue: 8 }).unwrap();
    for number in 0..8 {
        let command = Command::shell(format!(": > {number}")).directory(directory.path());
        drop(pool.submit(command, Exchange::new()).await.unwrap());
    }
    pool.close();
    let refused = pool.submit(Command::new("true"), Exchange::new()).await.unwrap_err();
    assert_eq!(refused, SubmitError::Closed);
    pool.drain().await;
    let exists = |number: i32| Path::exists(&directory.path().join(number.to_string()));
    assert!((0..8).all(exists));
}

#[test]
fn a_command_that_cannot_start_is_the_tasks_error() {
    let pool = Pool::new(PoolConfig::default()).unwrap();
    let ticket = pool.submit_blocking(Command::new("/no/such/program"), Exchange::new()).unwrap();
    assert!(matches!(ticket.result_blocking(), Err(PoolError::Run(_))));
}
