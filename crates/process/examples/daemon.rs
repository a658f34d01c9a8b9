//! Helpers that end with the program: nobody joins them, and none is left behind.
//!
//! `cargo run -p dashvault-process --example daemon`, and then `pgrep -f 'sleep 4242'` finds nothing. The same after a
//! `kill -9` of the example.

use std::time::Duration;

use dashvault_process::{Command, Daemon};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (say, hear) = std::sync::mpsc::channel();
    let ticker = Daemon::thread("ticker", move |stop| {
        while !stop.sleep(Duration::from_millis(10)) && say.send("tick").is_ok() {}
    })?;
    let helper = Daemon::process("helper", &Command::shell("sleep 4242 & wait"))?;
    println!("thread {} says {}", ticker.name(), hear.recv()?);
    println!("process {} is {:?}, running: {}", helper.name(), helper.pid(), helper.is_running());
    // The program ends here, in the middle of both; the thread ends with it, and the process and its child are killed.
    Ok(())
}
