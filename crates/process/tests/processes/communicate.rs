//! Run and wait, communicate, and their bounds.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dashvault_process::{Command, CommunicateError, Excess, Exchange, Exit, RunError, Stream};

use crate::observe::{PATIENCE, eventually, is_dead, is_gone, kill};

#[test]
fn run_captures_both_outputs_and_the_exit() {
    let output = Command::shell("echo out; echo err >&2; exit 3").run_blocking(Exchange::new()).unwrap();
    assert_eq!(output.exit, Exit::Code(3));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
}

#[test]
fn eight_megabytes_each_way_at_once_do_not_deadlock() {
    let input: Vec<u8> = (0..8 << 20).map(|number: u32| number.to_le_bytes()[1]).collect();
    let command = Command::new("tee").arg("/dev/stderr");
    let exchange = Exchange::new().input(input.clone()).timeout(PATIENCE);
    let output = command.run_blocking(exchange).unwrap();
    assert!(output.exit.success());
    assert!(output.stdout == input, "standard output is the input");
    assert!(output.stderr == input, "standard error is the input");
}

#[tokio::test]
async fn communicate_works_in_a_runtime_too() {
    let command = Command::new("cat").stdin(Stream::Piped).stdout(Stream::Piped);
    let child = command.spawn().unwrap();
    let output = child.communicate(Exchange::new().input("hello")).await.unwrap();
    assert_eq!(output.stdout, b"hello");
    let output = Command::shell("cat >&2").run(Exchange::new().input("hello")).await.unwrap();
    assert_eq!(output.stderr, b"hello");
}

#[test]
fn a_child_that_does_not_want_its_input_is_no_error() {
    let exchange = Exchange::new().input(vec![0; 1 << 20]).timeout(PATIENCE);
    assert!(Command::new("true").run_blocking(exchange).unwrap().exit.success());
}

#[test]
fn a_timeout_kills_the_whole_group_and_gives_what_there_was() {
    let command = Command::shell("sleep 1000 & echo $!; wait");
    let error = command.run_blocking(Exchange::new().timeout(Duration::from_millis(300))).unwrap_err();
    let RunError::Communicate(CommunicateError::TimedOut { pid, partial, .. }) = error else {
        panic!("{error}");
    };
    assert!(is_gone(pid));
    assert_eq!(partial.exit, Exit::Signal(9));
    let grandchild: u32 = std::str::from_utf8(&partial.stdout).unwrap().trim().parse().unwrap();
    eventually("the grandchild is dead", || is_dead(grandchild));
}

#[test]
fn output_beyond_the_limit_is_dropped_and_counted() {
    let exchange = Exchange::new().output_limit(1000, Excess::Drop).timeout(PATIENCE);
    let output = Command::shell("head -c 3000000 /dev/zero").run_blocking(exchange).unwrap();
    assert!(output.exit.success());
    assert_eq!((output.stdout.len(), output.stdout_dropped), (1000, 2_999_000));
}

#[test]
fn output_beyond_the_limit_can_be_fatal() {
    let exchange = Exchange::new().output_limit(1000, Excess::Kill).timeout(PATIENCE);
    let error = Command::new("yes").run_blocking(exchange).unwrap_err();
    let RunError::Communicate(CommunicateError::TooMuchOutput { pid, limit: 1000 }) = error else {
        panic!("{error}");
    };
    assert!(is_gone(pid));
}

#[tokio::test]
async fn dropping_the_future_kills_the_child() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", file.display());
    let command = Command::shell(script);
    let run = tokio::spawn(async move { command.run(Exchange::new()).await });
    while !file.exists() {
        tokio::task::yield_now().await;
    }
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    let pid: u32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    eventually("the child is dead and reaped", || is_gone(pid));
}

/// A daemon that leaves the group keeps the pipe open: it must not keep the exchange from ending.
#[test]
fn an_escaped_descendant_does_not_hold_up_the_result() {
    let command = Command::shell("setsid sleep 1000 & echo $!");
    let output = command.run_blocking(Exchange::new().timeout(PATIENCE)).unwrap();
    let escaped: u32 = std::str::from_utf8(&output.stdout).unwrap().trim().parse().unwrap();
    assert!(output.exit.success());
    kill(escaped);
}

#[test]
fn input_may_be_made_as_it_is_taken_and_stops_when_the_child_has_enough() {
    let many = || {
        Exchange::new().timeout(PATIENCE).feed(|stdin| (0..300_000).try_for_each(|n| writeln!(stdin, "{n}")))
    };
    let output = Command::new("tail").args(["-n", "1"]).run_blocking(many()).unwrap();
    assert_eq!(output.stdout, b"299999\n");
    let output = Command::new("head").args(["-n", "1"]).run_blocking(many()).unwrap();
    assert_eq!(output.stdout, b"0\n");
}

#[test]
fn progress_is_told_and_the_rest_of_the_log_is_kept() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&told);
    let log =
        "echo Input >&2; printf 'frame=5\\nprogress=continue\\nframe=9\\nprogress=end\\n' >&2; echo Bye >&2";
    let exchange = Exchange::new().on_progress(move |progress| keep.lock().unwrap().push(progress.frame));
    let output = Command::shell(log).run_blocking(exchange).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "Input\nBye\n");
    assert_eq!(*told.lock().unwrap(), [Some(5), Some(9)]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_of_low_priority_and_what_it_starts_are_nice() {
    let nice = |command: Command| command.run_blocking(Exchange::new()).unwrap().stdout;
    let script = "sleep 0.1; sh -c 'cut -d\" \" -f19 /proc/self/stat'";
    assert_eq!(nice(Command::shell(script).low_priority()), b"19\n");
    assert_eq!(nice(Command::shell(script).low_priority().group(false)), b"19\n");
}
