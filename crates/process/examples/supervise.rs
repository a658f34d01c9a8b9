//! The supervisor by hand: restart policy, backoff, giving up, and the tail of standard error.
//!
//! `cargo run -p dashvault-process --example supervise`

use std::time::Duration;

use dashvault_process::{BackoffConfig, Command, Event, RestartPolicy, Spec, Supervisor};

fn main() -> std::io::Result<()> {
    let mut spec = Spec::new("flaky", Command::shell("echo trying; echo no camera there >&2; exit 1"));
    spec.restart = RestartPolicy::OnFailure;
    spec.backoff = BackoffConfig { initial: Duration::from_millis(50), ..BackoffConfig::default() };
    spec.give_up_after = Some(4);
    let supervisor = Supervisor::spawn(spec, |_started| {})?;
    let mut events = supervisor.events();
    while let Some(event) = events.next_blocking() {
        match event {
            Event::Exited { exit, uptime, tail } => println!("{exit} after {uptime:?}: {}", tail.join(" / ")),
            Event::Restarting { after, failures } => println!("failure {failures}: again in {after:?}"),
            event => println!("{event:?}"),
        }
    }
    Ok(())
}
