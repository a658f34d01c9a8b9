//! The supervisor on real processes: restarts, stalls, stops, the tail.

use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use dashvault_process::{
    BackoffConfig, Command, Event, Events, Exit, Phase, RestartPolicy, Signal, Spec, Stall, Started,
    StopAction, StopLadder, Stopped, Stream, Supervisor, TailLimits, pipe,
};

use crate::observe::{PATIENCE, eventually, is_dead, is_gone, kill};

fn spec(script: &str) -> Spec {
    let backoff = BackoffConfig { initial: Duration::from_millis(10), ..BackoffConfig::default() };
    Spec { backoff, seed: Some(1), ..Spec::new("test", Command::shell(script).stdout(Stream::Piped)) }
}

/// Reads a process's output on a thread of its own, as a recorder does.
fn read_all(started: Started) {
    std::thread::spawn(move || {
        let (mut stdout, mut buffer) = (started.stdout.unwrap(), vec![0; 64 * 1024]);
        while let Ok(read @ 1..) = stdout.read(&mut buffer) {
            started.heartbeat.beat(read);
        }
    });
}

/// Waits for the event that `pick` picks.
fn next<T>(events: &mut Events, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
    loop {
        let event = events.next_for(PATIENCE).expect("the event comes");
        if let Some(picked) = pick(&event) {
            return picked;
        }
    }
}

fn started(event: &Event) -> Option<(u64, u32)> {
    if let Event::Started { run, pid } = event { Some((*run, *pid)) } else { None }
}

fn tail_of(event: &Event) -> Option<Vec<String>> {
    if let Event::Exited { tail, .. } = event { Some(tail.to_vec()) } else { None }
}

#[test]
fn a_failing_process_is_restarted_and_every_run_has_its_own_output() {
    let (send, outputs) = mpsc::channel();
    let on_start = move |started: Started| {
        let mut text = String::new();
        started.stdout.unwrap().read_to_string(&mut text).unwrap();
        send.send((started.run, text)).unwrap();
    };
    let supervisor = Supervisor::spawn(spec("echo from $$; exit 3"), on_start).unwrap();
    let mut events = supervisor.events();
    for run in 1..=3 {
        let pid = next(&mut events, |event| started(event).filter(|(number, _)| *number == run)).1;
        assert_eq!(outputs.recv_timeout(PATIENCE).unwrap(), (run, format!("from {pid}\n")));
        let exited =
            next(
                &mut events,
                |event| if let Event::Exited { exit, .. } = event { Some(*exit) } else { None },
            );
        assert_eq!(exited, Exit::Code(3));
        assert!(matches!(events.next_for(PATIENCE), Some(Event::Restarting { .. })));
    }
    supervisor.stop_blocking();
}

#[test]
fn a_process_killed_from_outside_is_restarted() {
    let supervisor = Supervisor::spawn(spec("exec sleep 1000"), read_all).unwrap();
    let mut events = supervisor.events();
    let (_, first) = next(&mut events, started);
    kill(first);
    let (run, second) = next(&mut events, started);
    assert_eq!(run, 2);
    assert!(is_gone(first) && !is_dead(second));
    let status = supervisor.status();
    assert_eq!(
        (status.phase, status.pid, status.last_exit),
        (Phase::Running, Some(second), Some(Exit::Signal(9)))
    );
    supervisor.stop_blocking();
    assert!(is_gone(second));
}

#[test]
fn silence_restarts_the_process_and_output_does_not() {
    // The first run falls silent after a line; the second goes on talking.
    let directory = tempfile::tempdir().unwrap();
    let script = "echo first; if [ ! -e once ]; then : > once; exec sleep 1000; fi; \
        while :; do echo more; sleep 0.02; done";
    let mut spec = spec(script);
    spec.command = spec.command.directory(directory.path());
    spec.stall = Some(Stall { first_after: PATIENCE, ..Stall::after(Duration::from_millis(400)) });
    let supervisor = Supervisor::spawn(spec, |started| {
        // The second run outlives several stall times: it tells so itself, by bytes.
        read_all(started);
    })
    .unwrap();
    let mut events = supervisor.events();
    let idle =
        next(&mut events, |event| if let Event::Stalled { idle } = event { Some(*idle) } else { None });
    assert!(idle >= Duration::from_millis(400));
    let (run, pid) = next(&mut events, started);
    assert_eq!(run, 2);
    assert_eq!(events.next_for(Duration::from_millis(1200)), None, "a talking process is left alone");
    assert_eq!((supervisor.status().stalls, supervisor.status().pid), (1, Some(pid)));
    supervisor.stop_blocking();
}

#[tokio::test]
async fn a_stop_escalates_until_the_process_is_gone() {
    let mut spec = spec("trap '' INT TERM; echo ready; exec sleep 1000");
    let step = Duration::from_millis(30);
    spec.stop = StopLadder::new([
        (StopAction::Write(b"q".to_vec()), step),
        (StopAction::Signal(Signal::Interrupt), step),
        (StopAction::Signal(Signal::Terminate), step),
    ]);
    let (send, ready) = mpsc::channel();
    let supervisor = Supervisor::spawn(spec, move |started| {
        let mut line = [0; 6];
        started.stdout.unwrap().read_exact(&mut line).unwrap();
        send.send(started.pid).unwrap();
    })
    .unwrap();
    let pid = ready.recv_timeout(PATIENCE).unwrap();
    let stopped = supervisor.stop().await;
    assert_eq!(stopped, Stopped::Asked { exit: Some(Exit::Signal(9)), clean: false });
    assert!(is_gone(pid));
    let mut events = supervisor.events();
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    assert_eq!(
        last,
        Some(Event::Stopped(stopped)),
        "it is the last event, and a late subscriber sees it too"
    );
}

#[test]
fn the_first_rung_that_works_is_the_last() {
    let mut spec = spec("read line; echo got $line >&2; exit 0");
    spec.stop = StopLadder::new([(StopAction::Write(b"q\n".to_vec()), PATIENCE)]);
    let supervisor = Supervisor::spawn(spec, read_all).unwrap();
    let mut events = supervisor.events();
    next(&mut events, started);
    assert_eq!(supervisor.stop_blocking(), Stopped::Asked { exit: Some(Exit::Code(0)), clean: true });
    assert_eq!(next(&mut events, tail_of), ["got q"]);
    assert_eq!(supervisor.tail(), ["got q"]);
}

#[test]
fn a_flood_on_standard_error_neither_stops_the_child_nor_fills_memory() {
    let script = "head -c 20000000 /dev/zero | tr '\\0' 'x' >&2; yes noise | head -n 200000 >&2; \
        echo the end >&2; exit 3";
    let mut spec = spec(script);
    spec.restart = RestartPolicy::Never;
    spec.tail = TailLimits { lines: 10, bytes: 4096, line_bytes: 512 };
    let supervisor = Supervisor::spawn(spec, read_all).unwrap();
    let tail = next(&mut supervisor.events(), tail_of);
    assert_eq!(tail.len(), 10);
    assert_eq!(tail.last().unwrap(), "the end");
    assert_eq!(supervisor.wait_blocking(), Stopped::Ended(Exit::Code(3)));
}

#[test]
fn secrets_do_not_reach_the_tail_even_where_a_line_is_cut() {
    let mut spec =
        spec("echo cannot open rtsp://u:hunter2@cam >&2; printf 'aaaaaaaaaaaaaaaahunter2hunter2x' >&2");
    spec.restart = RestartPolicy::Never;
    spec.command = spec.command.secret("hunter2");
    spec.tail.line_bytes = 36;
    let supervisor = Supervisor::spawn(spec.clone(), read_all).unwrap();
    let tail = next(&mut supervisor.events(), tail_of);
    assert_eq!(tail, ["cannot open rtsp://u:***@cam", "aaaaaaaaaaaaaaaa******x"]);
    for line_bytes in 10..36 {
        spec.tail.line_bytes = line_bytes;
        let supervisor = Supervisor::spawn(spec.clone(), read_all).unwrap();
        let shown = next(&mut supervisor.events(), tail_of).join("\n");
        assert!(!shown.contains("hun"), "{line_bytes}: {shown}");
    }
}

#[test]
fn a_program_that_cannot_be_started_is_tried_again_and_given_up() {
    let mut spec = spec("");
    spec.command = Command::new("/no/such/program");
    spec.give_up_after = Some(3);
    let supervisor = Supervisor::spawn(spec, |_| unreachable!("it never starts")).unwrap();
    let mut events = supervisor.events();
    for _ in 0..3 {
        let error = next(&mut events, |event| match event {
            Event::SpawnFailed { error, .. } => Some(error.clone()),
            _ => None,
        });
        assert_eq!(error, "cannot start /no/such/program: No such file or directory (os error 2)");
    }
    assert_eq!(supervisor.wait_blocking(), Stopped::GaveUp { failures: 3 });
    assert_eq!(events.next_for(PATIENCE), Some(Event::Stopped(Stopped::GaveUp { failures: 3 })));
    assert_eq!(events.next_for(PATIENCE), None);
}

#[test]
fn a_restart_is_asked_for_and_comes_without_a_delay() {
    let mut spec = spec("exec sleep 1000");
    spec.backoff.initial = Duration::from_secs(3600);
    let supervisor = Supervisor::spawn(spec, read_all).unwrap();
    let mut events = supervisor.events();
    next(&mut events, started);
    supervisor.restart();
    assert_eq!(next(&mut events, started).0, 2);
    supervisor.stop_blocking();
}

#[test]
fn dropping_the_supervisor_stops_the_process() {
    let supervisor = Supervisor::spawn(spec("exec sleep 1000"), read_all).unwrap();
    let mut events = supervisor.events();
    let (_, pid) = next(&mut events, started);
    drop(supervisor);
    eventually("the process is gone", || is_gone(pid));
    let clean = Stopped::Asked { exit: Some(Exit::Signal(2)), clean: true };
    next(&mut events, |event| (*event == Event::Stopped(clean)).then_some(()));
}

#[test]
fn a_panic_in_on_start_kills_the_process_and_is_told() {
    let (send, receive) = mpsc::channel();
    let supervisor = Supervisor::spawn(spec("exec sleep 1000"), move |started| {
        send.send(started.pid).unwrap();
        panic!("on purpose");
    })
    .unwrap();
    let pid = receive.recv_timeout(PATIENCE).unwrap();
    assert_eq!(supervisor.wait_blocking(), Stopped::Panicked);
    eventually("the process is gone", || is_gone(pid));
}

#[tokio::test]
async fn the_output_can_be_read_asynchronously_through_an_enlarged_pipe() {
    let (send, receive) = tokio::sync::oneshot::channel();
    let mut send = Some(send);
    let mut spec = spec("echo hello; exec sleep 1000");
    spec.command = spec.command.stdout_pipe_bytes(1 << 20);
    let supervisor = Supervisor::spawn(spec, move |started| {
        if let Some(send) = send.take() {
            send.send(started.stdout.unwrap()).unwrap();
        }
    })
    .unwrap();
    let stdout = receive.await.unwrap();
    assert_eq!(rustix::pipe::fcntl_getpipe_size(&stdout).unwrap(), 1 << 20);
    assert_eq!(pipe::enlarge(&stdout, 4096).unwrap(), 1 << 20, "a pipe is never made smaller");
    let mut stdout = pipe::stdout_into_async(stdout).unwrap();
    let mut line = [0; 6];
    tokio::io::AsyncReadExt::read_exact(&mut stdout, &mut line).await.unwrap();
    assert_eq!(&line, b"hello\n");
    supervisor.stop().await;
}
