//! A bounded pool: three processes at once, the rest in a queue, one cancelled.
//!
//! `cargo run -p dashvault-process --example pool`

use dashvault_process::{Command, Exchange, Pool, PoolConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::new(PoolConfig { limit: 3, queue: 16 })?;
    let mut tickets = Vec::new();
    for number in 0..8 {
        let command = Command::shell(format!("sleep 0.1; echo thumbnail {number}"));
        tickets.push(pool.submit_blocking(command, Exchange::new())?);
    }
    println!("{} run, {} wait", pool.running(), pool.queued());
    if let Some(last) = tickets.last() {
        last.cancel();
    }
    for ticket in tickets {
        let id = ticket.id();
        match ticket.result_blocking() {
            Ok(output) => print!("{id}: {}", String::from_utf8_lossy(&output.stdout)),
            Err(error) => println!("{id}: {error}"),
        }
    }
    pool.drain_blocking();
    Ok(())
}
