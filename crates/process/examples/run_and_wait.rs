//! Run a command to its end: captured output, exit code, a time limit.
//!
//! `cargo run -p dashvault-process --example run_and_wait`

use std::time::Duration;

use dashvault_process::{Command, CommunicateError, Exchange, RunError};

fn main() -> Result<(), RunError> {
    let output = Command::new("uname").arg("-s").run_blocking(Exchange::new())?;
    println!("{}, saying {:?}", output.exit, String::from_utf8_lossy(&output.stdout).trim());

    // The limit kills the command with everything it has started, and keeps what it had said by then.
    let slow = Command::shell("echo working; sleep 1000 & wait");
    match slow.run_blocking(Exchange::new().timeout(Duration::from_millis(200))) {
        Err(RunError::Communicate(CommunicateError::TimedOut { after, partial, .. })) => {
            println!(
                "killed after {after:?}, having said {:?}",
                String::from_utf8_lossy(&partial.stdout).trim()
            );
            Ok(())
        }
        other => other.map(|output| println!("it was quick: {}", output.exit)),
    }
}
