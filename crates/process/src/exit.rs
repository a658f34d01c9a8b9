//! How a process ended.
//!
//! Belongs here: the value and its reading as success or as a clean stop. Not here: waiting for it (`child`).

use std::fmt;
use std::process::ExitStatus;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// It was ended by this signal (Unix).
    Signal(i32),
    /// It is gone, but its status was taken by something else in this program.
    Unknown,
}

impl Exit {
    /// Returns whether the process ended with code 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// Returns whether this is how a process ends that was *asked* to stop.
    ///
    /// Code 0; 255 (ffmpeg after SIGINT); SIGINT, SIGTERM or SIGHUP; and what a shell makes of those (128 + signal).
    /// SIGKILL is not among them: a process that had to be killed did not finish its work.
    pub fn clean_after_stop(self) -> bool {
        const POLITE: [i32; 3] = [1, 2, 15];
        match self {
            Self::Code(code) => code == 0 || code == 255 || POLITE.contains(&(code - 128)),
            Self::Signal(signal) => POLITE.contains(&signal),
            Self::Unknown => false,
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        if let Some(code) = status.code() {
            return Self::Code(code);
        }
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(signal);
        }
        Self::Unknown
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "ended by {name}"),
                None => write!(f, "ended by signal {signal}"),
            },
            Self::Unknown => f.write_str("ended, status unknown"),
        }
    }
}

/// The signals whose numbers are the same on every Unix.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffmpeg_exiting_255_after_sigint_is_a_clean_stop_but_not_a_success() {
        assert!(Exit::Code(255).clean_after_stop());
        assert!(!Exit::Code(255).success());
    }

    #[test]
    fn a_kill_is_never_a_clean_stop() {
        assert!(!Exit::Signal(9).clean_after_stop());
        assert!(!Exit::Code(137).clean_after_stop());
        assert!(Exit::Code(130).clean_after_stop());
    }

    #[test]
    fn an_exit_is_told_in_words() {
        assert_eq!(Exit::Code(1).to_string(), "exit code 1");
        assert_eq!(Exit::Signal(9).to_string(), "ended by SIGKILL");
        assert_eq!(Exit::Signal(64).to_string(), "ended by signal 64");
    }
}
