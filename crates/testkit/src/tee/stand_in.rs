//! The program `tee-ffmpeg`: becomes ffmpeg, with a copier on its standard output.
//!
//! It must not set a parent-death signal or a group of its own for ffmpeg: a supervisor that forgets to do so has
//! to fail its test.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::{Command, Stdio, id},
    time::{SystemTime, UNIX_EPOCH},
};

/// Set for the copier alone: the file that it writes.
const COPY_TO: &str = "DASHVAULT_TEE_COPY_TO";

/// Becomes ffmpeg, or, where it was started as the copier, copies until ffmpeg's output ends.
///
/// `DASHVAULT_REAL_FFMPEG`: the real one (default `ffmpeg`). `DASHVAULT_TEE_DIR`: where the copies go; without it
/// nothing is copied. `DASHVAULT_TEE_LOG`: a file that gets a line for each start.
///
/// # Errors
/// When a file cannot be written or ffmpeg cannot be started.
pub fn stand_in() -> io::Result<()> {
    match env::var_os(COPY_TO) {
        Some(path) => copy(Path::new(&path)),
        None => become_ffmpeg(),
    }
}

/// Returns only when it fails.
fn become_ffmpeg() -> io::Result<()> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let started_ns = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    if let Some(log) = env::var_os("DASHVAULT_TEE_LOG") {
        write_start(Path::new(&log), started_ns, &arguments)?;
    }
    let mut ffmpeg = Command::new(env::var_os("DASHVAULT_REAL_FFMPEG").unwrap_or_else(|| "ffmpeg".into()));
    ffmpeg.args(&arguments);
    if let Some(dir) = env::var_os("DASHVAULT_TEE_DIR").filter(|_| writes_to_stdout(&arguments)) {
        let (reader, writer) = io::pipe()?;
        Command::new(env::current_exe()?)
            .env(COPY_TO, Path::new(&dir).join(format!("{started_ns}-{}.ts", id())))
            .stdin(reader)
            // Signals to ffmpeg's group must not reach it: it ends when ffmpeg's output does.
            .process_group(0)
            .spawn()?;
        ffmpeg.stdout(Stdio::from(writer));
    }
    Err(ffmpeg.exec())
}

fn writes_to_stdout(arguments: &[OsString]) -> bool {
    let is_stdout = |name: &OsString| {
        [OsStr::new("-"), OsStr::new("pipe:"), OsStr::new("pipe:1")].contains(&name.as_os_str())
    };
    // Not after `-i`, where the same words mean standard input.
    let is_input = |index: usize| index > 0 && arguments[index - 1] == "-i";
    arguments.iter().enumerate().any(|(index, argument)| is_stdout(argument) && !is_input(index))
}

fn write_start(log: &Path, started_ns: u128, arguments: &[OsString]) -> io::Result<()> {
    let joined = arguments.join(OsStr::new(" ")).to_string_lossy().replace('\n', " ");
    // One write, so that lines of several starts do not mix.
    let line = format!("{started_ns} {} {joined}\n", id());
    OpenOptions::new().create(true).append(true).open(log)?.write_all(line.as_bytes())
}

fn copy(path: &Path) -> io::Result<()> {
    let (mut from, mut onward) = (io::stdin().lock(), File::from(io::stdout().as_fd().try_clone_to_owned()?));
    let mut file: Option<File> = None;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let len = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let file = match &mut file {
            Some(file) => file,
            // Made by the first byte: a probe that writes nothing leaves nothing.
            none => none.insert(File::create_new(path)?),
        };
        file.write_all(&buffer[..len])?;
        match onward.write_all(&buffer[..len]) {
            // The reader is gone: ffmpeg is to feel it as it would without a copier.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
}
