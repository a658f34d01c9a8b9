//! The receivers that are compared, and how each is started.
//!
//! What does not belong here: what they do; that is `part`'s, and `libsrt.c`'s.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::Part;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// recvmmsg and nothing else.
    Sink,
    /// Our crate.
    Dashvault,
    /// The interim crate, by itself.
    Sapflow,
    /// libsrt that delivers at once.
    LibsrtAtOnce,
    /// libsrt as it is by default.
    LibsrtTsbpd,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Sink, Self::Dashvault, Self::Sapflow, Self::LibsrtAtOnce, Self::LibsrtTsbpd];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sink => "bare sink",
            Self::Dashvault => "dashvault-srt",
            Self::Sapflow => "sapflow-srt",
            Self::LibsrtAtOnce => "libsrt, no TSBPD",
            Self::LibsrtTsbpd => "libsrt, TSBPD",
        }
    }

    pub(crate) const fn is_libsrt(self) -> bool {
        matches!(self, Self::LibsrtAtOnce | Self::LibsrtTsbpd)
    }
}

/// Starts receivers; holds the compiled libsrt listener.
pub(crate) struct Receivers {
    /// Where this run keeps its files.
    folder: PathBuf,
    libsrt: Option<PathBuf>,
}

impl Receivers {
    /// Compiles the libsrt listener, if it is wanted.
    pub(crate) fn new(libsrt: bool) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("srt-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut receivers = Self { folder, libsrt: None };
        if libsrt {
            receivers.libsrt = Some(receivers.compile()?);
        }
        Ok(receivers)
    }

    /// Where files of this run may be put; it goes with the run.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn has_libsrt(&self) -> bool {
        self.libsrt.is_some()
    }

    /// Those that can be started.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| self.has_libsrt() || !kind.is_libsrt())
    }

    /// Starts a receiver on a port of its own.
    pub(crate) fn start(&self, kind: Kind) -> Result<(Part, SocketAddrV4)> {
        let part = match kind {
            Kind::Sink => Part::own(&["sink".to_owned()])?,
            Kind::Dashvault => Part::own(&["dashvault".to_owned()])?,
            Kind::Sapflow => Part::own(&["sapflow".to_owned()])?,
            Kind::LibsrtAtOnce => Part::start(self.libsrt("0", None)?)?,
            Kind::LibsrtTsbpd => Part::start(self.libsrt("1", None)?)?,
        };
        addressed(part)
    }

    /// Starts libsrt with TSBPD, which writes what it delivers to a file.
    pub(crate) fn start_libsrt_to(&self, file: &Path) -> Result<(Part, SocketAddrV4)> {
        addressed(Part::start(self.libsrt("1", Some(file))?)?)
    }

    fn libsrt(&self, tsbpd: &str, file: Option<&Path>) -> Result<Command> {
        let mut command = Command::new(self.libsrt.as_ref().context("libsrt was not compiled")?);
        command.args([tsbpd, "120"]).args(file);
        Ok(command)
    }

    fn compile(&self) -> Result<PathBuf> {
        let (source, program) = (self.folder.join("libsrt.c"), self.folder.join("libsrt"));
        std::fs::write(&source, include_str!("libsrt.c"))?;
        let done = Command::new("gcc")
            .args(["-O2", "-o"])
            .args([&program, &source])
            .args(["-lsrt", "-lpthread"])
            .status()
            .context("gcc is needed for the libsrt listener (or --no-libsrt)")?;
        if !done.success() {
            bail!("the libsrt listener does not compile: is libsrt-openssl-dev installed? (or --no-libsrt)");
        }
        Ok(program)
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        // What stays behind is in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn addressed(part: Part) -> Result<(Part, SocketAddrV4)> {
    let port = u16::try_from(part.ready())?;
    Ok((part, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))
}
