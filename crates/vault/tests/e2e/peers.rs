//! Real publishers and players: ffmpeg, ffprobe, srt-live-transmit.

use std::process::{Output, Stdio};

use dashvault_media::{VerifyOptions, verify_pack};
use dashvault_srt::Passphrase;
use dashvault_vault::{ObjectInfo, list_objects};
use tokio::process::Command;

use crate::rig::{RECORDING, Rig, eventually};

const CLIENT: &str = "0b7e4f5e-3a52-4c1c-9d6e-2f2a5f0c9a11";

/// The Python client's command, for `seconds`, with `more` in its address.
fn client(rig: &Rig, seconds: u32, more: &str) -> Command {
    let address = format!("srt://{}?streamid=publish:{CLIENT}/{RECORDING}{more}", rig.vault().srt_addr());
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-re"])
        .args(["-f", "lavfi", "-i", "testsrc2=size=320x240", "-f", "lavfi", "-i", "sine"])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-tune",
            "zerolatency",
            "-c:a",
            "aac",
            "-b:a",
            "128k",
        ])
        .args(["-t", &seconds.to_string(), "-f", "mpegts", &address])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn one_object(rig: &Rig) -> ObjectInfo {
    eventually("the object", async || {
        let listed = list_objects(rig.data.path()).await.unwrap();
        listed.into_iter().find(|object| object.indexed.is_some())
    })
    .await
}

/// What ffprobe counts in the object as the vault serves it.
async fn frames(rig: &Rig) -> u32 {
    let path = format!("/objects/{CLIENT}/main/{RECORDING}/{RECORDING}_00000.ts");
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-count_frames"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(format!("http://{}{path}", rig.vault().http_addr()))
        .output()
        .await
        .unwrap();
    assert!(probe.status.success(), "{probe:?}");
    let text = String::from_utf8(probe.stdout).unwrap();
    text.lines().next().unwrap().trim_matches(',').parse().unwrap()
}

async fn run(mut command: Command) -> Output {
    command.output().await.expect("ffmpeg is installed")
}

#[tokio::test]
async fn the_python_clients_ffmpeg_is_archived_and_plays_over_http() {
    let rig = Rig::start_with(|config| config.allow_anonymous = true).await;
    let published = run(client(&rig, 3, "")).await;
    assert!(published.status.success(), "{published:?}");
    let object = one_object(&rig).await;
    let mut file = std::fs::File::open(&object.path).unwrap();
    let report = verify_pack(&mut file, &VerifyOptions::default()).unwrap();
    assert!(report.signed.manifest().segments.iter().all(|segment| !segment.damaged), "{report:?}");
    // ffmpeg ends without waiting for its last packets.
    let frames = frames(&rig).await;
    assert!(frames >= 60, "{frames} of 75 frames");
}

#[tokio::test]
async fn passphrases_of_both_key_sizes_are_taken_and_a_wrong_one_is_refused() {
    let rig = Rig::start_with(|config| {
        config.allow_anonymous = true;
        config.srt_passphrase = Some(Passphrase::new("correct horse battery").unwrap());
    })
    .await;
    let right = "&passphrase=correct horse battery&pbkeylen=";
    let refused = run(client(&rig, 1, "&passphrase=wrong horse battery")).await;
    assert!(!refused.status.success(), "a wrong passphrase is no way in");
    assert_eq!(rig.metric("dashvault_refused_total{protocol=\"srt\",reason=\"handshake\"}").await, 1);
    for bytes in ["16", "32"] {
        let taken = run(client(&rig, 1, &format!("{right}{bytes}"))).await;
        assert!(taken.status.success(), "{taken:?}");
    }
    one_object(&rig).await;
}

#[tokio::test]
async fn srt_live_transmit_publishes_what_ffmpeg_wrote() {
    let rig = Rig::start_with(|config| config.allow_anonymous = true).await;
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240", "-t", "2"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-f", "mpegts", "-y"])
        .arg(rig.data.path().join("made.ts"))
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let source = std::fs::read(rig.data.path().join("made.ts")).unwrap();
    let address = format!("srt://{}?streamid=publish:{CLIENT}/{RECORDING}", rig.vault().srt_addr());
    let mut transmit = Command::new("srt-live-transmit")
        .args(["-q", "-chunk:1316", "file://con", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("srt-live-transmit is installed");
    let mut stdin = transmit.stdin.take().unwrap();
    // It throws away what it reads before its connection stands, and holds back some of what it read last: null
    // packets before and after the stream take that fate.
    let null = [&[0x47, 0x1f, 0xff, 0x10][..], &[0xff; 184]].concat();
    let sent = [null.repeat(700), source.clone(), null.repeat(200)].concat();
    let feed = tokio::spawn(async move {
        for piece in sent.chunks(1316 * 4) {
            tokio::io::AsyncWriteExt::write_all(&mut stdin, piece).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        stdin
    });
    let stdin = feed.await.unwrap();
    let mut last = (0, 0);
    eventually("no more bytes come", async || {
        let now = rig.metric("dashvault_received_bytes_total{way=\"plain\"}").await;
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        (now > source.len() as u64 && last.1 > 15).then_some(())
    })
    .await;
    drop(stdin);
    transmit.kill().await.unwrap();
    let object = one_object(&rig).await;
    let stored = std::fs::read(&object.path).unwrap();
    let at = stored.chunks(188).position(|packet| packet == &source[..188]).expect("the first packet");
    assert!(stored[at * 188..].starts_with(&source), "{} of {} bytes", stored.len(), source.len());
}
