//! Megabytes in and out at the same time, without a deadlock and within a limit.
//!
//! `cargo run -p dashvault-process --example communicate`

use dashvault_process::{Command, Excess, Exchange, RunError};

fn main() -> Result<(), RunError> {
    // `tee` writes its input to both outputs. Writing it all first and reading then would block for ever.
    let both = Command::new("tee").arg("/dev/stderr");
    let output = both.run_blocking(Exchange::new().input(vec![b'x'; 8 << 20]))?;
    println!("{} bytes on standard output, {} on standard error", output.stdout.len(), output.stderr.len());

    // An endless talker: only the first kilobyte is kept, and more than that ends it.
    let endless = Command::new("yes").run_blocking(Exchange::new().output_limit(1024, Excess::Kill));
    println!("{}", endless.map_or_else(|error| error.to_string(), |output| output.exit.to_string()));
    Ok(())
}
