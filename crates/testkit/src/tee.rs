//! A stand-in for ffmpeg whose output is also kept in files: what the recorder was given, known independently of it.
//!
//! `ffmpeg "$@" | tee FILE` would not do: the shell, not ffmpeg, would get the signals and the pid, the exit code
//! would be tee's, and tee writes to the pipe before the file. Instead the program `tee-ffmpeg` starts a copier in a
//! process group of its own and then *becomes* ffmpeg (exec): same pid, group, stdin, parent-death signal and exit
//! status as without it. The copier writes each run of bytes to the file, then passes it on, until ffmpeg's output
//! ends; so a file holds everything that the reader was given, and, where the reader was killed, a little more.

mod stand_in;

pub use stand_in::stand_in;

use std::{
    env, fs, io,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Writes `dir/ffmpeg`, an executable script that runs the real ffmpeg and keeps what it writes to its standard
/// output in `dir/<start time, ns>-<pid>.ts`. Calls without output to a pipe (probes) leave no file. Each start
/// is one line `<start time, ns> <pid> <arguments>` in `log`.
///
/// The real ffmpeg is `DASHVAULT_REAL_FFMPEG`, by default the one on the PATH.
///
/// # Errors
/// When the script cannot be written or `tee-ffmpeg` cannot be found or built.
pub fn fake_ffmpeg(dir: &Path, log: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let (dir, log) = (std::path::absolute(dir)?, std::path::absolute(log)?);
    let real = env::var_os("DASHVAULT_REAL_FFMPEG").map_or_else(|| PathBuf::from("ffmpeg"), PathBuf::from);
    let script = format!(
        "#!/bin/sh\nDASHVAULT_TEE_DIR={} DASHVAULT_TEE_LOG={} DASHVAULT_REAL_FFMPEG={} exec {} \"$@\"\n",
        quoted(&dir)?,
        quoted(&log)?,
        quoted(&real)?,
        quoted(&tee_ffmpeg()?)?,
    );
    let path = dir.join("ffmpeg");
    // Written by another process: a descriptor of ours that is open for writing could be inherited by a child that
    // another thread starts right now, and the script would be "text file busy".
    let mut install = Command::new("/bin/sh")
        .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .spawn()?;
    install.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(script.as_bytes()))?;
    let status = install.wait()?;
    if status.success() {
        Ok(path)
    } else {
        Err(io::Error::other(format!("writing {}: {status}", path.display())))
    }
}

/// The files that stand-ins in `dir` have written so far, in the order of their starts.
///
/// # Errors
/// When the folder cannot be read.
pub fn outputs(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: Vec<PathBuf> =
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    let mut outputs: Vec<PathBuf> =
        entries.into_iter().filter(|path| path.extension().is_some_and(|end| end == "ts")).collect();
    outputs.sort();
    Ok(outputs)
}

/// One start of the stand-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Nanoseconds since 1970; the first part of the name of its output.
    pub at_ns: u128,
    /// The pid of the stand-in and of ffmpeg alike.
    pub pid: u32,
    /// The arguments, joined by spaces.
    pub arguments: String,
}

/// The starts in a log, in order; none where the log does not exist yet.
///
/// # Errors
/// When the log cannot be read or is none.
pub fn starts(log: &Path) -> io::Result<Vec<Start>> {
    let text = match fs::read_to_string(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    let parse = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let (at_ns, pid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Start { at_ns, pid, arguments: parts.next()?.to_owned() })
    };
    let wrong = |line: &str| io::Error::new(io::ErrorKind::InvalidData, format!("not a start: {line:?}"));
    text.lines().map(|line| parse(line).ok_or_else(|| wrong(line))).collect()
}

/// The program next to the running test, built where it is not there yet.
fn tee_ffmpeg() -> io::Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(|| find_or_build().map_err(|error| error.to_string())).clone().map_err(io::Error::other)
}

fn find_or_build() -> io::Result<PathBuf> {
    let test = env::current_exe()?;
    // target/debug/deps/test-1234, target/debug/examples/x, or target/debug/program.
    let profile_dir = test
        .ancestors()
        .skip(1)
        .find(|dir| !dir.ends_with("deps") && !dir.ends_with("examples"))
        .ok_or_else(|| io::Error::other("the test runs outside a target folder"))?;
    let program = profile_dir.join(format!("tee-ffmpeg{}", env::consts::EXE_SUFFIX));
    if !program.exists() {
        build(profile_dir)?;
    }
    if program.exists() { Ok(program) } else { Err(io::Error::other(format!("no {}", program.display()))) }
}

fn build(profile_dir: &Path) -> io::Result<()> {
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(name) => name,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--offline",
            "-p",
            "dashvault-testkit",
            "--bin",
            "tee-ffmpeg",
            "--profile",
            profile,
        ])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .arg("--target-dir")
        .arg(profile_dir.parent().unwrap_or(profile_dir))
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("building tee-ffmpeg: {status}"))) }
}

fn quoted(path: &Path) -> io::Result<String> {
    let text = path.to_str().ok_or_else(|| io::Error::other(format!("{} is not UTF-8", path.display())))?;
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}
