//! A recorder in small: ffmpeg's MPEG-TS is read from its pipe, a hung ffmpeg is replaced, and the end is polite.
//!
//! `cargo run -p dashvault-process --example supervise_ffmpeg`

use std::io::Read;
use std::time::Duration;

use dashvault_process::{Command, Event, Signal, Spec, Stall, Started, Supervisor};

/// One recording: called at every (re)start, with the new process's output.
fn record(started: Started) {
    let Some(mut stdout) = started.stdout else { return };
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = stdout.read(&mut buffer) {
            started.heartbeat.beat(read); // Tells the watchdog.
        }
        println!("recording {} ended with {} bytes", started.run, started.heartbeat.bytes());
    });
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ffmpeg = Command::new("ffmpeg")
        .args([
            "-hide_banner",
            "-nostats",
            "-progress",
            "pipe:2",
            "-re",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=320x240",
        ])
        .args(["-c:v", "mpeg2video", "-g", "25", "-flush_packets", "1", "-f", "mpegts", "pipe:1"]);
    let mut spec = Spec::ffmpeg("front", ffmpeg);
    spec.stall = Some(Stall::after(Duration::from_secs(1)));
    let supervisor = Supervisor::spawn(spec, record)?;
    let mut events = supervisor.events();
    let mut blocks = 0;
    while let Some(event) = events.next().await {
        match event {
            Event::Progress(progress) => {
                blocks += 1;
                println!("{:?} frames at {:?} times real time", progress.frame, progress.speed);
                match (blocks, supervisor.status().pid) {
                    (2, Some(pid)) => hang(pid)?,
                    (4.., _) => break,
                    _ => {}
                }
            }
            event => println!("{event:?}"),
        }
    }
    println!("{:?}", supervisor.stop().await);
    Ok(())
}

/// Makes ffmpeg stand still, as a camera that does not answer would.
fn hang(pid: u32) -> Result<(), Box<dyn std::error::Error>> {
    println!("-- ffmpeg now hangs --");
    let stop = Command::new("kill").args(["-STOP", &pid.to_string()]).spawn()?;
    stop.wait_blocking();
    let _ = stop.signal(Signal::Continue); // It has ended: an error, and never another process.
    Ok(())
}
