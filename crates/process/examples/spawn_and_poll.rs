//! Spawn a process, do something else, look now and then whether it has ended, and stop one that has not.
//!
//! `cargo run -p dashvault-process --example spawn_and_poll`

use std::io::{BufRead, BufReader};
use std::time::Duration;

use dashvault_process::{Command, StopLadder, Stream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let child = Command::shell("sleep 0.3; exit 7").spawn()?;
    let mut looks = 0;
    let exit = loop {
        // Never waits.
        if let Some(exit) = child.poll() {
            break exit;
        }
        looks += 1;
        std::thread::sleep(Duration::from_millis(50)); // The something else.
    };
    println!("after {looks} looks: {exit}");

    // This one ignores requests: SIGINT, SIGTERM, then SIGKILL, each with its own time.
    let script = "trap '' INT TERM; echo I stay; exec sleep 1000";
    let mut stubborn = Command::shell(script).stdout(Stream::Piped).spawn()?;
    let mut says = String::new();
    BufReader::new(stubborn.stdout.take().ok_or("piped above")?).read_line(&mut says)?;
    println!("process {} says: {}", stubborn.pid(), says.trim());
    match stubborn.stop_blocking(&StopLadder::polite()) {
        Some(exit) => println!("stopped: {exit}"),
        None => println!("it survived SIGKILL: the kernel holds it"),
    }
    Ok(())
}
