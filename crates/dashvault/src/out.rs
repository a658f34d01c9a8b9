//! Results on stdout, where the reader may have left (`dashvault status | head -1`).
//!
//! What belongs here: writing. Logs and progress go to stderr by other ways.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write},
};

/// Writes one line of a result; use it instead of `println!`, which panics when the reader has left.
macro_rules! say {
    ($($word:tt)*) => { $crate::out::line(format_args!($($word)*)) };
}
pub(crate) use say;

/// A reader that left wants no more; a result that cannot be written otherwise is an error of this run.
pub(crate) fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("error: the result cannot be written: {error}\n  next: see where stdout leads");
        std::process::exit(3);
    }
}
