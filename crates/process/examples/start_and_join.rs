//! Background jobs that somebody joins: closures, commands, and sets of them.
//!
//! `cargo run -p dashvault-process --example start_and_join`

use std::time::Duration;

use dashvault_process::{Command, Exchange, Job, Jobs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A closure on a thread, with a result.
    let sum = Job::start("sum", |_stop| (1..=1000_u64).sum::<u64>())?;

    // One that works until it is asked to stop.
    let watcher = Job::start("watcher", |stop| {
        let mut rounds = 0;
        while !stop.sleep(Duration::from_millis(20)) {
            rounds += 1;
        }
        rounds
    })?;

    // Several commands in parallel, each with its whole process group, joined together.
    let mut jobs = Jobs::new();
    for name in ["front", "rear"] {
        let command = Command::shell(format!("sleep 0.2; echo {name} is ready"));
        jobs.add(Job::run(name, command, Exchange::new())?);
    }
    for result in jobs.join_blocking() {
        print!("{}", String::from_utf8_lossy(&result??.stdout));
    }

    println!("the sum is {}", sum.join_blocking()?);
    watcher.stop();
    println!("the watcher made {} rounds", watcher.join_blocking()?);
    Ok(())
}
