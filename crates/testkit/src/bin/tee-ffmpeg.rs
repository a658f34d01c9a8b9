//! A stand-in for ffmpeg that keeps its output; see `dashvault_testkit::tee`.

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    match dashvault_testkit::tee::stand_in() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tee-ffmpeg: {error}");
            ExitCode::from(127)
        }
    }
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    eprintln!("tee-ffmpeg: needs exec, which this system does not have");
    ExitCode::FAILURE
}
