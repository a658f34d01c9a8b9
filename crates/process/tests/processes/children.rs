//! Spawn, poll, wait, signal, groups, stop, zombies.

use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

use dashvault_process::{
    Command, Exchange, Exit, Job, Lifetime, Signal, SignalError, SpawnErrorKind, StopAction, StopLadder,
    Stream,
};

use crate::observe::{PATIENCE, eventually, is_dead, is_gone, kill};

/// Spawns a script with its standard output piped, and waits for its first line.
fn spawn_and_read_line(script: &str) -> (dashvault_process::Child, String) {
    let mut child = Command::shell(script).stdout(Stream::Piped).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().to_owned())
}

#[test]
fn poll_never_waits_and_wait_gives_the_exit() {
    let mut child = Command::new("cat").stdin(Stream::Piped).stdout(Stream::Null).spawn().unwrap();
    assert_eq!(child.poll(), None);
    assert_eq!(child.wait_for(Duration::ZERO), None);
    child.stdin = None;
    assert_eq!(child.wait_blocking(), Exit::Code(0));
    assert_eq!(child.poll(), Some(Exit::Code(0)));
    assert!(matches!(child.signal(Signal::Terminate), Err(SignalError::Ended { .. })));
}

#[tokio::test]
async fn an_exit_is_awaited_without_a_runtime_of_its_own() {
    let child = Command::shell("exit 7").spawn().unwrap();
    assert_eq!(child.wait().await, Exit::Code(7));
}

#[test]
fn a_missing_program_is_an_operators_matter_and_names_itself() {
    let error = Command::new("/no/such/program").directory("/").spawn().unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::Operator);
    assert_eq!(error.to_string(), "cannot start /no/such/program in /");
}

#[test]
fn environment_and_directory_are_those_of_the_command() {
    let script = "echo $A-$B-$(pwd)";
    let command = Command::shell(script).env("A", "1").env("B", "2").env_remove("B").directory("/usr");
    let output = command.run_blocking(Exchange::new()).unwrap();
    assert_eq!(output.stdout, b"1--/usr\n");
}

#[test]
fn every_descendant_in_the_group_is_signalled() {
    let (child, line) = spawn_and_read_line("sh -c 'sleep 1000 & echo $!; wait' & wait");
    let grandchild: u32 = line.parse().unwrap();
    child.signal(Signal::Terminate).unwrap();
    assert_eq!(child.wait_for(PATIENCE), Some(Exit::Signal(15)));
    eventually("the grandchild ends too", || is_dead(grandchild));
}

#[test]
fn what_a_leader_leaves_behind_is_killed() {
    let (child, line) = spawn_and_read_line("sleep 1000 & echo $!");
    assert_eq!(child.wait_for(PATIENCE), Some(Exit::Code(0)));
    let left_behind: u32 = line.parse().unwrap();
    eventually("it is killed", || is_dead(left_behind));
}

/// A shell dies of SIGTERM at once; the ffmpeg that it runs must have its time all the same.
#[test]
fn a_descendant_that_was_asked_to_end_has_time_after_its_leader() {
    let inner = "trap 'sleep 0.2; echo done; exit' TERM; echo ready; while :; do sleep 0.01; done";
    let command = Command::new("sh").args(["-c", "sh -c \"$0\" & wait", inner]).stdout(Stream::Piped);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    child.signal(Signal::Terminate).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "done");
    assert_eq!(child.wait_for(PATIENCE), Some(Exit::Signal(15)));
}

#[test]
fn a_descendant_that_refuses_to_end_is_killed_by_the_last_rung() {
    let inner = "trap '' TERM; echo $$; exec sleep 1000";
    let command = Command::new("sh").args(["-c", "sh -c \"$0\" & wait", inner]).stdout(Stream::Piped);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let stubborn: u32 = line.trim().parse().unwrap();
    let ladder = StopLadder::new([(StopAction::Signal(Signal::Terminate), Duration::from_millis(50))]);
    assert_eq!(child.stop_blocking(&ladder), Some(Exit::Signal(15)));
    eventually("it is dead", || is_dead(stubborn));
}

#[test]
fn without_a_group_only_the_child_is_signalled() {
    let mut child =
        Command::shell("sleep 1000 & echo $!; wait").stdout(Stream::Piped).group(false).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let grandchild: u32 = line.trim().parse().unwrap();
    child.handle().kill();
    assert_eq!(child.wait_for(PATIENCE), Some(Exit::Signal(9)));
    assert!(!is_dead(grandchild));
    kill(grandchild);
}

#[test]
fn dropping_a_child_kills_it_and_leaves_no_zombie() {
    let pids: Vec<u32> = (0..20)
        .map(|number| {
            let script = if number % 2 == 0 { "exec sleep 1000" } else { "exit 3" };
            Command::shell(script).spawn().unwrap().pid()
        })
        .collect();
    for pid in pids {
        eventually("no zombie is left", || is_gone(pid));
    }
}

#[test]
fn an_independent_or_detached_child_survives_its_handle() {
    let independent = Command::new("sleep").arg("1000").lifetime(Lifetime::Independent).spawn().unwrap();
    let pid = independent.pid();
    let waiting = independent.handle();
    drop(independent);
    let detached = Command::new("sleep").arg("1000").spawn().unwrap().detach();
    assert!(waiting.poll().is_none() && !is_dead(pid));
    assert!(detached.poll().is_none() && !is_dead(detached.pid()));
    waiting.kill();
    detached.kill();
    assert_eq!(detached.wait_for(PATIENCE), Some(Exit::Signal(9)));
    eventually("it is reaped", || is_gone(pid));
}

#[test]
fn a_paused_child_can_be_continued_and_killed() {
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    child.signal(Signal::Pause).unwrap();
    child.signal(Signal::Continue).unwrap();
    child.signal(Signal::Hangup).unwrap();
    assert_eq!(child.wait_for(PATIENCE), Some(Exit::Signal(1)));
}

#[test]
fn a_stop_escalates_on_a_child_that_ignores_every_request() {
    let (child, line) = spawn_and_read_line("trap '' INT TERM; echo ready; exec sleep 1000");
    assert_eq!(line, "ready");
    let pid = child.pid();
    let step = Duration::from_millis(30);
    let ladder = StopLadder::new([
        (StopAction::Write(b"q".to_vec()), PATIENCE), // No pipe: skipped at once.
        (StopAction::Signal(Signal::Interrupt), step),
        (StopAction::Signal(Signal::Terminate), step),
    ]);
    assert_eq!(child.stop_blocking(&ladder), Some(Exit::Signal(9)));
    assert!(is_gone(pid));
}

#[tokio::test]
async fn a_stop_ends_at_the_first_rung_that_works() {
    let script = "trap 'exit 0' INT; echo ready; while :; do sleep 0.01; done";
    let (child, _) = spawn_and_read_line(script);
    let ladder = StopLadder::new([(StopAction::Signal(Signal::Interrupt), PATIENCE)]);
    assert_eq!(child.stop(&ladder).await, Some(Exit::Code(0)));
}

#[test]
fn closing_standard_input_can_be_a_rung() {
    let child = Command::new("cat").stdin(Stream::Piped).stdout(Stream::Null).spawn().unwrap();
    let ladder = StopLadder::new([(StopAction::CloseStdin, PATIENCE)]);
    assert_eq!(child.stop_blocking(&ladder), Some(Exit::Code(0)));
}

/// Linux sends the parent-death signal when the forking *thread* ends.
#[test]
fn a_child_survives_the_short_lived_thread_that_asked_for_it() {
    let spawner = std::thread::spawn(|| {
        let child = Command::new("cat").stdin(Stream::Piped).stdout(Stream::Piped).spawn().unwrap();
        (child, rustix::thread::gettid().as_raw_nonzero())
    });
    let (mut child, thread) = spawner.join().unwrap();
    let task = format!("/proc/self/task/{thread}");
    eventually("the thread is gone for the kernel too", || !std::path::Path::new(&task).exists());
    child.stdin.as_mut().unwrap().write_all(b"alive").unwrap();
    let mut echo = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"alive");
}

#[test]
fn a_job_around_a_command_is_joined_or_stopped() {
    let job = Job::run("echo", Command::shell("echo done"), Exchange::new()).unwrap();
    assert_eq!(job.join_blocking().unwrap().unwrap().stdout, b"done\n");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", file.display());
    let job = Job::run("sleep", Command::shell(script), Exchange::new()).unwrap();
    eventually("it runs", || file.exists());
    let pid: u32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    job.stop();
    job.join_blocking().unwrap().unwrap_err();
    assert!(is_gone(pid));
}
