//! Publishers that announce nothing, as they are: the Python client's ffmpeg, srt-live-transmit, with and without a
//! passphrase; and the recorder against an SRT server that is not the vault.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use dashvault_proof::{
    Rig, RigOptions,
    compare::files_below,
    programs::{built, run},
    rig::free_udp_port,
};

const UUID: &str = "0b7e4f5e-3a52-4c1c-9d6e-2f2a5f0c9a11";
const SECRET: &str = "correct horse battery";

async fn vault(serve: &[&str]) -> Rig {
    let serve = serve.iter().map(ToString::to_string).collect();
    let mut rig = Rig::new(RigOptions { serve, ..RigOptions::default() }).await.unwrap();
    rig.start_vault().await.unwrap();
    rig
}

/// The blog post's command, shortened by `-t`.
fn python_clients_ffmpeg(srt: SocketAddr) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(
        "-hide_banner -loglevel warning -re -f lavfi -i testsrc2 -f lavfi -i sine -t 8 -c:v libx264"
            .split(' '),
    );
    command.args("-preset veryfast -tune zerolatency -g 25 -c:a aac -b:a 128k -f mpegts".split(' '));
    command.arg(format!("srt://{srt}?streamid=publish:{UUID}/20261122-101500"));
    command
}

fn objects(rig: &Rig) -> Vec<PathBuf> {
    files_below(&rig.data().join("objects")).unwrap()
}

async fn archived(rig: &Rig) -> Vec<PathBuf> {
    for _ in 0..600 {
        let objects = objects(rig);
        if !objects.is_empty() {
            return objects;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing was archived: {}", rig.log("serve.log"));
}

/// Seconds of video, which decode without a complaint but for the end: ffmpeg does not wait for its last packets to
/// be acknowledged, so these may never have left it.
fn playable_seconds(object: &Path) -> f64 {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]).arg(object);
    let seconds: f64 = String::from_utf8(run(&mut probe).unwrap().stdout).unwrap().trim().parse().unwrap();
    let mut decode = Command::new("ffmpeg");
    decode
        .args(["-v", "error", "-t", &format!("{:.3}", seconds - 1.2), "-i"])
        .arg(object)
        .args(["-f", "null", "-"]);
    assert_eq!(String::from_utf8_lossy(&run(&mut decode).unwrap().stderr), "", "{}", object.display());
    seconds
}

async fn wait(mut child: Child) -> std::process::ExitStatus {
    tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_unchanged_is_archived_and_playable() {
    let rig = vault(&["--allow-anonymous"]).await;
    let child = python_clients_ffmpeg(rig.vault_ports().1).stdin(Stdio::null()).spawn().unwrap();
    assert!(wait(child).await.success());
    let objects = archived(&rig).await;
    let folder = format!("objects/{UUID}/main/20261122-101500");
    assert!(objects[0].starts_with(rig.data().join(folder)), "{objects:?}");
    let seconds: f64 = objects.iter().map(|object| playable_seconds(object)).sum();
    assert!((7.0..9.0).contains(&seconds), "{seconds} s of 8 s");
    run(Command::new(built("dashvault").unwrap()).args(["verify", "--data"]).arg(rig.data())).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anonymous_publishing_is_off_unless_configured() {
    let rig = vault(&[]).await;
    let output = python_clients_ffmpeg(rig.vault_ports().1).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    assert!(rig.log("serve.log").contains("anonymous"), "{}", rig.log("serve.log"));
    assert!(objects(&rig).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passphrase_encrypts_and_a_wrong_one_is_rejected_on_both_sides() {
    let rig = vault(&["--allow-anonymous", "--passphrase", SECRET]).await;
    let srt = rig.vault_ports().1;
    for key_bytes in [16, 32] {
        let child = ffmpeg_with_passphrase(srt, SECRET, key_bytes).stdin(Stdio::null()).spawn().unwrap();
        assert!(wait(child).await.success(), "{}", rig.log("serve.log"));
    }
    assert!(archived(&rig).await.iter().all(|object| playable_seconds(object) > 0.5));
    let wrong = ffmpeg_with_passphrase(srt, "a wrong passphrase", 16).stdin(Stdio::null()).output().unwrap();
    assert!(!wrong.status.success());
    let live = Command::new("srt-live-transmit")
        .args(["-loglevel:debug", "-to:10", &format!("udp://{}", free_udp_port().unwrap())])
        .arg(format!(
            "srt://{srt}?streamid=publish:{UUID}/20261122-101700&passphrase=wrong-wrong-wrong&mode=caller"
        ))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [live.stdout, live.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("Incorrect passphrase") || said.contains("BADSECRET"), "{said}");
    assert!(rig.log("serve.log").to_lowercase().contains("passphrase"), "{}", rig.log("serve.log"));
}

fn ffmpeg_with_passphrase(srt: SocketAddr, secret: &str, key_bytes: u8) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(
        "-hide_banner -loglevel warning -re -f lavfi -i testsrc2=size=320x180 -t 4 -c:v libx264".split(' '),
    );
    command.args("-preset veryfast -tune zerolatency -g 25 -f mpegts -passphrase".split(' ')).arg(secret);
    command.args(["-pbkeylen", &key_bytes.to_string()]);
    command.arg(format!("srt://{srt}?streamid=publish:{UUID}/20261122-1016{key_bytes:02}"));
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn srt_live_transmit_is_archived() {
    let rig = vault(&["--allow-anonymous"]).await;
    let mut source = Command::new("ffmpeg")
        .args(
            "-hide_banner -loglevel warning -re -f lavfi -i testsrc2=size=320x180 -t 6 -c:v libx264"
                .split(' '),
        )
        .args("-preset veryfast -tune zerolatency -g 25 -f mpegts pipe:1".split(' '))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut transmit = Command::new("srt-live-transmit")
        .arg("file://con")
        .arg(format!("srt://{}?streamid=publish:{UUID}/20261122-101500&mode=caller", rig.vault_ports().1))
        .stdin(source.stdout.take().unwrap())
        .spawn()
        .unwrap();
    wait(source).await;
    let objects = archived_after_end(&rig, &mut transmit).await;
    let seconds: f64 = objects.iter().map(|object| playable_seconds(object)).sum();
    assert!(seconds > 4.0, "{seconds} s of 6 s");
}

/// srt-live-transmit may wait for more input: it is ended once its input is over.
async fn archived_after_end(rig: &Rig, transmit: &mut Child) -> Vec<PathBuf> {
    for _ in 0..30 {
        if transmit.try_wait().unwrap().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let _ = transmit.kill();
    let _ = transmit.wait();
    archived(rig).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorder_streams_to_a_server_that_is_not_the_vault() {
    let folder = tempfile::tempdir().unwrap();
    let (srt, received) = (free_udp_port().unwrap(), folder.path().join("received.ts"));
    let mut listener = Command::new("srt-live-transmit")
        .arg(format!("srt://{srt}?mode=listener"))
        .arg("file://con")
        .stdin(Stdio::null())
        .stdout(File::create(&received).unwrap())
        .spawn()
        .unwrap();
    let spool = folder.path().join("spool");
    let recorder = Command::new(built("dashvault").unwrap())
        .args(["record", "--camera", "front=test,size=320x180,fps=15", "--for", "8s", "--reserve", "1MiB"])
        .args(["--srt", &format!("srt://{srt}?streamid=publish:x/20261122-101500"), "--spool"])
        .arg(&spool)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    assert!(wait(recorder).await.success());
    let _ = listener.kill();
    let _ = listener.wait();
    let got = fs::read(&received).unwrap();
    let recorded: Vec<u8> =
        dashvault_proof::concatenations(&spool).unwrap().into_values().flatten().collect();
    assert!(got.len() > 188 * 100, "{} bytes arrived", got.len());
    // What arrived is one unbroken run of what was recorded.
    let at = recorded
        .windows(188)
        .step_by(188)
        .position(|packet| packet == &got[..188])
        .expect("it begins at a packet of ours")
        * 188;
    let both = got.len().min(recorded.len() - at);
    assert!(got[..both] == recorded[at..at + both], "the bytes differ");
}
