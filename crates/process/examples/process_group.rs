//! A process group: every descendant is signalled, none outlives its leader, and all die with this program.
//!
//! `cargo run -p dashvault-process --example process_group`

use std::io::{BufRead, BufReader};

use dashvault_process::{Command, Lifetime, Signal, Stream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let script = "for i in 1 2 3; do sh -c 'trap \"echo $$ ends; exit\" TERM; echo $$ runs; sleep 1000 & wait' & done; wait";
    let command = Command::shell(script).stdout(Stream::Piped).lifetime(Lifetime::GroupWithProgram);
    let mut child = command.spawn()?;
    println!("the leader, and so the group, is {}", child.pid());
    let mut lines = BufReader::new(child.stdout.take().ok_or("piped above")?).lines();
    for line in lines.by_ref().take(3) {
        println!("{}", line?);
    }
    child.signal(Signal::Terminate)?;
    println!("the leader: {}", child.wait_blocking());
    // The pipe ends when the last process that holds it does.
    for line in lines {
        println!("{}", line?);
    }
    Ok(())
}
