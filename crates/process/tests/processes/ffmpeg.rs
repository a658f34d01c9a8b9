//! The supervisor with a real ffmpeg.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use dashvault_process::{
    Command, Event, Exit, Heartbeat, Signal, Spec, Stall, Started, StopAction, StopLadder, Stopped, Stream,
    Supervisor,
};

use crate::observe::PATIENCE;

fn ffmpeg(output: &[&str]) -> Command {
    let input = "testsrc2=size=160x120:rate=25";
    Command::new("ffmpeg")
        .args([
            "-hide_banner",
            "-flush_packets",
            "1",
            "-nostats",
            "-progress",
            "pipe:2",
            "-stats_period",
            "0.1",
        ])
        .args(["-re", "-f", "lavfi", "-i", input, "-c:v", "mpeg2video", "-g", "5"])
        .args(output)
}

/// Reads like a recorder, on a thread, and says how many bytes came.
fn reader(started: Started) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let (mut stdout, mut buffer) = (started.stdout.unwrap(), vec![0; 64 * 1024]);
        while let Ok(read @ 1..) = stdout.read(&mut buffer) {
            started.heartbeat.beat(read);
        }
        started.heartbeat.bytes()
    })
}

/// Runs ffmpeg until it tells progress, stops it by `stop`, and returns the outcome with the bytes it wrote.
fn record_and_stop(stop: StopLadder) -> (Stopped, u64) {
    let readers = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&readers);
    let mut spec = Spec::ffmpeg("ffmpeg", ffmpeg(&["-f", "mpegts", "pipe:1"]));
    spec.stop = stop;
    let supervisor =
        Supervisor::spawn(spec, move |started| kept.lock().unwrap().push(reader(started))).unwrap();
    let mut events = supervisor.events();
    loop {
        match events.next_for(PATIENCE).expect("progress comes") {
            Event::Progress(progress) if progress.frame > Some(0) && progress.total_size > Some(0) => break,
            Event::Exited { tail, .. } => panic!("ffmpeg ended: {tail:#?}"),
            _ => {}
        }
    }
    let stopped = supervisor.stop_blocking();
    assert!(supervisor.tail().iter().any(|line| line.contains("mpegts")), "the log is kept");
    assert!(!supervisor.tail().iter().any(|line| line.starts_with("out_time")), "progress is no log");
    let bytes = readers.lock().unwrap().pop().unwrap().join().unwrap();
    (stopped, bytes)
}

#[test]
fn ffmpeg_ends_cleanly_on_q_with_whole_packets() {
    let (stopped, bytes) = record_and_stop(StopLadder::ffmpeg());
    assert_eq!(stopped, Stopped::Asked { exit: Some(Exit::Code(0)), clean: true });
    assert!(bytes > 0 && bytes % 188 == 0, "{bytes} bytes");
}

#[test]
fn ffmpeg_ending_with_255_after_sigint_is_a_clean_stop() {
    let interrupt = StopLadder::new([(StopAction::Signal(Signal::Interrupt), PATIENCE)]);
    let (stopped, bytes) = record_and_stop(interrupt);
    assert_eq!(stopped, Stopped::Asked { exit: Some(Exit::Code(255)), clean: true });
    assert_eq!(bytes % 188, 0);
}

/// A process stopped by SIGSTOP is what a hung camera looks like from here.
#[test]
fn a_hung_ffmpeg_is_noticed_and_replaced() {
    let heart: Arc<Mutex<Option<Heartbeat>>> = Arc::default();
    let kept = Arc::clone(&heart);
    let bytes_read = || heart.lock().unwrap().as_ref().map_or(0, Heartbeat::bytes);
    let mut spec = Spec::ffmpeg("ffmpeg", ffmpeg(&["-f", "mpegts", "pipe:1"]));
    spec.stall = Some(Stall { first_after: PATIENCE, ..Stall::after(Duration::from_secs(1)) });
    spec.stall.as_mut().unwrap().stop = StopLadder::kill();
    let supervisor = Supervisor::spawn(spec, move |started| {
        *kept.lock().unwrap() = Some(started.heartbeat.clone());
        reader(started);
    })
    .unwrap();
    let mut events = supervisor.events();
    let mut hung = None;
    let second = loop {
        match events.next_for(PATIENCE).expect("the next event comes") {
            // ffmpeg counts bytes that it has not written yet: ask the reader.
            Event::Progress(_) if hung.is_none() && bytes_read() > 0 => {
                let pid = supervisor.status().pid.unwrap();
                let os_pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
                rustix::process::kill_process(os_pid, rustix::process::Signal::STOP).unwrap();
                hung = Some(pid);
            }
            Event::Started { run: 2, pid } => break pid,
            Event::Started { run, .. } => assert_eq!(run, 1),
            _ => {}
        }
    };
    assert_ne!(hung, Some(second));
    assert_eq!(supervisor.status().stalls, 1);
    assert!(supervisor.stop_blocking().clean());
}

#[test]
fn progress_counts_as_life_where_nobody_reads_the_output() {
    let mut spec = Spec::ffmpeg("ffmpeg", ffmpeg(&["-t", "2", "-f", "null", "-"]));
    spec.command = spec.command.stdout(Stream::Null);
    spec.restart = dashvault_process::RestartPolicy::OnFailure;
    spec.stall = Some(Stall {
        first_after: PATIENCE,
        progress_counts: true,
        ..Stall::after(Duration::from_millis(1200))
    });
    let supervisor = Supervisor::spawn(spec, |_| {}).unwrap();
    assert_eq!(supervisor.wait_blocking(), Stopped::Ended(Exit::Code(0)));
    let status = supervisor.status();
    assert_eq!((status.runs, status.stalls), (1, 0));
    assert!(status.progress.unwrap().end);
}
