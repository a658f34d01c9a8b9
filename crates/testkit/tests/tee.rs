//! The stand-in for ffmpeg keeps ffmpeg's signals, stdin, pid and exit status, on the real ffmpeg.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use dashvault_testkit::{
    chaos::{ChildGuard, is_running, wait_for, wait_until},
    tee,
};

const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

struct Scene {
    dir: tempfile::TempDir,
    ffmpeg: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("it's tee").tempdir().unwrap();
        let ffmpeg = tee::fake_ffmpeg(&dir.path().join("out"), &dir.path().join("log")).unwrap();
        Self { dir, ffmpeg }
    }

    /// ffmpeg in a group of its own, encoding a small picture for `seconds` at most, in real time.
    fn start(&self, seconds: &str) -> ChildGuard {
        self.start_by(&mut Command::new(&self.ffmpeg), seconds)
    }

    fn start_by(&self, command: &mut Command, seconds: &str) -> ChildGuard {
        let arguments =
            ["-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25"];
        let output = ["-t", seconds, "-c:v", "mpeg2video", "-f", "mpegts", "-flush_packets", "1", "pipe:1"];
        command.args(arguments).args(output).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        ChildGuard::spawn("ffmpeg", command).unwrap()
    }

    fn only_output(&self) -> Vec<u8> {
        let outputs = tee::outputs(&self.dir.path().join("out")).unwrap();
        assert_eq!(outputs.len(), 1, "{outputs:?}");
        fs::read(&outputs[0]).unwrap()
    }
}

/// Reads the first bytes, so that ffmpeg is known to run.
fn first_packet(ffmpeg: &mut ChildGuard) -> Vec<u8> {
    let mut packet = vec![0; 188];
    ffmpeg.child().stdout.as_mut().unwrap().read_exact(&mut packet).unwrap();
    packet
}

fn rest(ffmpeg: &mut ChildGuard, mut output: Vec<u8>) -> Vec<u8> {
    ffmpeg.child().stdout.take().unwrap().read_to_end(&mut output).unwrap();
    output
}

#[test]
fn the_copy_is_what_the_reader_gets_and_the_log_knows_the_pid() {
    let scene = Scene::new();
    let mut ffmpeg = scene.start("0.2");
    let output = rest(&mut ffmpeg, Vec::new());
    assert!(ffmpeg.wait(LIMIT).unwrap().success());
    assert!(output.len() > 188 && output[0] == 0x47);
    assert!(scene.only_output() == output, "the copy differs");
    let starts = tee::starts(&scene.dir.path().join("log")).unwrap();
    assert_eq!(starts.iter().map(|start| start.pid).collect::<Vec<_>>(), [ffmpeg.id()]);
    assert!(starts[0].arguments.ends_with("pipe:1"));
}

#[test]
fn an_interrupt_or_a_q_ends_ffmpeg_as_without_the_copier() {
    for (by_signal, code) in [(true, 255), (false, 0)] {
        let scene = Scene::new();
        let mut ffmpeg = scene.start("1000");
        let output = first_packet(&mut ffmpeg);
        if by_signal {
            ffmpeg.interrupt().unwrap();
        } else {
            ffmpeg.child().stdin.as_mut().unwrap().write_all(b"q").unwrap();
        }
        let output = rest(&mut ffmpeg, output);
        assert_eq!(ffmpeg.wait(LIMIT).unwrap().code(), Some(code));
        assert!(scene.only_output() == output, "the copy differs");
    }
}

#[test]
fn a_killed_ffmpeg_ends_the_copier_too() {
    let scene = Scene::new();
    let mut ffmpeg = scene.start("1000");
    let output = first_packet(&mut ffmpeg);
    assert_eq!(ffmpeg.kill().unwrap().signal(), Some(9));
    let output = rest(&mut ffmpeg, output);
    assert!(scene.only_output() == output, "the copy differs");
}

#[test]
fn a_reader_that_goes_away_ends_ffmpeg_and_the_copy_has_all_that_it_got() {
    let scene = Scene::new();
    let mut ffmpeg = scene.start("1000");
    let output = first_packet(&mut ffmpeg);
    ffmpeg.child().stdout.take();
    wait_until("ffmpeg's end by a broken pipe", LIMIT, POLL, || !is_running(ffmpeg.id()));
    assert!(scene.only_output().starts_with(&output));
}

/// `setpriv` stands for a supervisor that asks for a parent-death signal; the shell is the parent that dies.
#[test]
#[cfg(target_os = "linux")]
fn ffmpeg_dies_with_its_parent_where_the_parent_asked_for_it() {
    let scene = Scene::new();
    let mut parent = Command::new("/bin/sh");
    parent.args(["-c", "setpriv --pdeathsig KILL \"$@\" & wait", "sh"]).arg(&scene.ffmpeg);
    let mut parent = scene.start_by(&mut parent, "1000");
    let output = first_packet(&mut parent);
    let ffmpeg = tee::starts(&scene.dir.path().join("log")).unwrap()[0].pid;
    assert!(ffmpeg != parent.id() && is_running(ffmpeg));
    let mut stdout = parent.child().stdout.take().unwrap();
    parent.kill().unwrap();
    wait_until("ffmpeg's end with its parent", LIMIT, POLL, || !is_running(ffmpeg));
    let mut output = output;
    stdout.read_to_end(&mut output).unwrap();
    assert!(scene.only_output() == output, "the copy differs");
}

#[test]
fn a_probe_leaves_no_copy_and_its_exit_code_is_ffmpegs() {
    let scene = Scene::new();
    let run = |arguments: &[&str]| Command::new(&scene.ffmpeg).args(arguments).output().unwrap();
    let version = run(&["-hide_banner", "-version"]);
    assert!(version.status.success() && version.stdout.starts_with(b"ffmpeg version"));
    let null =
        ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x64", "-frames:v", "1", "-f", "null", "-"];
    assert!(run(&null).status.success());
    assert_eq!(run(&["-v", "quiet", "-i", "/nowhere", "-f", "mpegts", "pipe:1"]).status.code(), Some(1));
    assert_eq!(tee::outputs(&scene.dir.path().join("out")).unwrap(), [] as [PathBuf; 0]);
    let started = wait_for("three starts", LIMIT, POLL, || {
        tee::starts(&scene.dir.path().join("log")).ok().filter(|starts| starts.len() == 3)
    });
    assert_eq!(started[0].arguments, "-hide_banner -version");
}
