//! The live playlist: one for ever, its parts equal to what came, whatever publishers and viewers do.

use std::time::Duration;

use dashvault_base::RecordingId;
use dashvault_srt::Caller;
use dashvault_testkit::{
    hls::{Playlist, Segment, check, check_reload},
    ts::{TsProfile, TsSource, TsStream},
};
use dashvault_vault::devices::add_device;
use dashvault_wire::StreamId;
use tokio::{io::AsyncWriteExt, process::Command, time::Instant};

use crate::rig::{Footage, Http, RECORDING, Rig, eventually, read_answer, send};

const PLAYLIST: &str = "/live/bus/front/index.m3u8";

fn camera(seed: u64, seconds: u32) -> TsStream {
    TsSource::stream(TsProfile { bitrate: 300_000, ..TsProfile::default() }, seed, seconds)
}

fn at(stream: &TsStream, segment: usize) -> usize {
    usize::try_from(stream.segments[segment].offset).unwrap()
}

async fn recorder(rig: &Rig, recording: RecordingId) -> Caller {
    let key = rig.device.token.live_key();
    let id = StreamId::proved(&key, rig.device.id.clone(), "front".parse().unwrap(), recording);
    rig.call(&id.reveal()).await.unwrap()
}

/// The segments that can be had. A player that came before the camera has seen a gap.
fn shown(playlist: &Playlist, index: usize) -> &Segment {
    playlist.segments.iter().filter(|segment| !segment.gap).nth(index).unwrap()
}

fn recording() -> RecordingId {
    RECORDING.parse().unwrap()
}

/// A player: reads the playlist again and again, and holds it against the rules and what it read before.
struct Player {
    http: Http,
    seen: Option<Playlist>,
}

impl Player {
    fn new(rig: &Rig) -> Self {
        Self { http: rig.http(), seen: None }
    }

    async fn read(&mut self, query: &str) -> &Playlist {
        let answer = self.http.get(&format!("{PLAYLIST}{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/vnd.apple.mpegurl"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        let read = Playlist::parse(&answer.text()).unwrap();
        assert_eq!(check(&read), Vec::<String>::new(), "{}", answer.text());
        if let Some(seen) = &self.seen {
            assert_eq!(check_reload(seen, &read), Vec::<String>::new(), "{seen:#?}\n{}", answer.text());
        }
        self.seen.insert(read)
    }

    /// Reads until so many segments have ended that are no gap.
    async fn until(&mut self, segments: usize) -> Playlist {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let read = self.read("").await.clone();
            if read.segments.iter().filter(|segment| !segment.gap).count() >= segments {
                return read;
            }
            assert!(Instant::now() < deadline, "not in time: {segments} segments in {read:#?}");
            let edge = (read.next_sequence(), read.open.parts.len());
            self.read(&format!("?_HLS_msn={}&_HLS_part={}", edge.0, edge.1)).await;
        }
    }

    /// A segment by its own name, which equals its parts together.
    async fn segment(&self, playlist: &Playlist, index: usize) -> Vec<u8> {
        let segment = shown(playlist, index);
        let whole = self.media(&segment.uri).await;
        let mut parts = Vec::new();
        for part in &segment.parts {
            parts.extend(self.media(&part.uri).await);
        }
        assert!(parts == whole, "parts of {} are not the segment", segment.uri);
        whole
    }

    async fn media(&self, name: &str) -> Vec<u8> {
        let answer = self.http.get(&format!("/live/bus/front/{name}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("video/mp2t")), "{name}");
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
        answer.body
    }
}

#[tokio::test]
async fn segments_and_their_parts_are_the_bytes_that_came() {
    let rig = Rig::start().await;
    let stream = camera(81, 5);
    let caller = recorder(&rig, recording()).await;
    send(&caller, &stream.bytes).await;
    let mut player = Player::new(&rig);
    let playlist = player.until(4).await;
    for index in 0..4 {
        // Audio before the first keyframe is not shown.
        let whole = player.segment(&playlist, index).await;
        let archived = stream.segment(index);
        assert!(if index == 0 { archived.ends_with(&whole) } else { archived == whole }, "segment {index}");
    }
    assert_eq!(playlist.part_target, Some(0.35));
    assert_eq!(playlist.segments.iter().filter(|segment| segment.discontinuity).count(), 1);
    assert!(rig.metric("dashvault_received_bytes_total{way=\"live\"}").await > 0);
}

#[tokio::test]
async fn a_broken_connection_goes_on_unseen_and_a_new_recording_is_a_discontinuity() {
    let rig = Rig::start().await;
    let stream = camera(82, 5);
    let mut player = Player::new(&rig);
    let caller = recorder(&rig, recording()).await;
    let died_at = at(&stream, 2) + 188 * 60;
    send(&caller, &stream.bytes[..died_at]).await;
    player.until(2).await;
    // The vehicle's next connection takes over and sends the open segment again.
    let second = recorder(&rig, recording()).await;
    send(&second, &stream.bytes[at(&stream, 2)..]).await;
    let playlist = player.until(4).await;
    assert!(player.segment(&playlist, 2).await == stream.segment(2), "one segment of two connections");
    assert_eq!(playlist.segments.iter().filter(|segment| segment.discontinuity).count(), 1);
    let next = camera(83, 4);
    let third = recorder(&rig, recording().next_second()).await;
    send(&third, &next.bytes).await;
    let playlist = player.until(8).await;
    assert!(shown(&playlist, 5).discontinuity, "{playlist:#?}");
    assert!(next.segment(0).ends_with(&player.segment(&playlist, 5).await));
    drop((caller, second));
}

#[tokio::test]
async fn a_player_goes_on_after_a_restart_and_after_a_crash() {
    let mut rig = Rig::start().await;
    let mut player = Player::new(&rig);
    let mut last = 0;
    for (round, gracefully) in [(0, true), (1, false), (2, true)] {
        let caller = recorder(&rig, recording()).await;
        send(&caller, &camera(84 + round, 4).bytes).await;
        let playlist = player.until(2).await;
        assert!(playlist.media_sequence >= last, "{} after {last}", playlist.media_sequence);
        last = playlist.next_sequence();
        rig.restart(gracefully).await;
        player.http = rig.http();
        let waiting = player.read("").await;
        assert!(waiting.segments.iter().all(|segment| segment.gap), "{waiting:#?}");
        drop(caller);
    }
}

#[tokio::test]
async fn requests_wait_for_what_they_ask_and_no_longer() {
    let rig = Rig::start().await;
    let stream = camera(87, 4);
    let caller = recorder(&rig, recording()).await;
    send(&caller, &stream.bytes[..at(&stream, 2) + 188 * 5]).await;
    let mut player = Player::new(&rig);
    let playlist = player.until(2).await;
    let hint = playlist.hint.clone().unwrap();
    let waiting = {
        let (http, next) = (rig.http(), playlist.next_sequence());
        let query = format!("{PLAYLIST}?_HLS_msn={next}&_HLS_part=0&_HLS_skip=YES");
        let hinted = format!("/live/bus/front/{hint}");
        tokio::spawn(async move { tokio::join!(http.get(&query), http.get(&hinted)) })
    };
    // Both requests arrive before the bytes do; if they did not, the answers would be the same.
    eventually("they wait", async || (rig.metric("dashvault_http_connections").await >= 3).then_some(()))
        .await;
    let begun = Instant::now();
    send(&caller, &stream.bytes[at(&stream, 2) + 188 * 5..]).await;
    let (text, part) = waiting.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let read = Playlist::parse(&text.text()).unwrap();
    assert!(read.next_sequence() > playlist.next_sequence() || !read.open.parts.is_empty());
    assert!(part.status == 200 && stream.segment(2).starts_with(&part.body));
    let far = rig.http().get(&format!("{PLAYLIST}?_HLS_msn={}", read.next_sequence() + 10)).await;
    assert_eq!((far.status, far.code().as_str()), (400, "malformed"));
    assert_eq!(rig.http().get(&format!("{PLAYLIST}?_HLS_part=1")).await.status, 400);
}

#[tokio::test]
async fn a_stopping_vault_answers_whoever_waits() {
    let mut rig = Rig::start().await;
    let caller = recorder(&rig, recording()).await;
    send(&caller, &camera(88, 3).bytes).await;
    let mut player = Player::new(&rig);
    let playlist = player.until(2).await;
    let (http, next) = (rig.http(), playlist.next_sequence());
    let query = format!("{PLAYLIST}?_HLS_msn={next}");
    let waiting = tokio::spawn(async move { http.get(&query).await });
    eventually("it waits", async || (rig.metric("dashvault_http_connections").await >= 2).then_some(()))
        .await;
    let begun = Instant::now();
    rig.stop(true).await;
    assert_eq!(waiting.await.unwrap().status, 200);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    drop(caller);
}

#[tokio::test]
async fn only_known_cameras_have_a_playlist_and_only_for_who_may_see_them() {
    let rig = Rig::start().await;
    let truck = add_device(rig.data.path(), "truck").await.unwrap();
    assert_eq!(rig.http().get(PLAYLIST).await.status, 404, "it has never recorded");
    let footage = Footage::new(&rig.device, 89, 4);
    rig.http().announce_one(footage.packs[0].open(1)).await;
    let waiting = rig.http().get(PLAYLIST).await;
    assert!(waiting.status == 200 && waiting.text().contains("#EXT-X-GAP"), "{}", waiting.text());
    assert_eq!(rig.stranger().get(PLAYLIST).await.status, 401);
    assert_eq!(rig.http_as(&truck.token).get(PLAYLIST).await.status, 404);
    for name in ["1.ts", "1.0.ts", "x.ts", "1.mp4"] {
        assert_eq!(rig.http().get(&format!("/live/bus/front/{name}")).await.status, 404, "{name}");
        assert_eq!(rig.stranger().get(&format!("/live/bus/front/{name}")).await.status, 401, "{name}");
    }
}

#[tokio::test]
async fn two_hundred_viewers_who_wait_and_one_who_does_not_read_stop_nobody() {
    let rig = Rig::start().await;
    let stream = camera(90, 6);
    let caller = recorder(&rig, recording()).await;
    send(&caller, &stream.bytes[..at(&stream, 2)]).await;
    let mut player = Player::new(&rig);
    let playlist = player.until(1).await;
    let next = playlist.next_sequence() + 1;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let http = rig.http();
        waiting
            .spawn(async move { http.get(&format!("{PLAYLIST}?_HLS_msn={next}&_HLS_part=1")).await.status });
    }
    let mut deaf = Vec::new();
    for _ in 0..10 {
        let mut stream = rig.http().connect().await;
        let name = format!("/live/bus/front/{}", shown(&playlist, 0).uri);
        let head = rig.http().head_of("GET", &name, &[], None);
        stream.write_all(head.as_bytes()).await.unwrap();
        deaf.push(stream);
    }
    send(&caller, &stream.bytes[at(&stream, 2)..]).await;
    let arrived = stream.bytes.len() as u64;
    eventually("all bytes are kept", async || {
        (rig.metric("dashvault_received_bytes_total{way=\"live\"}").await == arrived).then_some(())
    })
    .await;
    while let Some(status) = waiting.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    for mut stream in deaf {
        assert!(read_answer(&mut stream, false).await.body == player.media(&shown(&playlist, 0).uri).await);
    }
}

#[tokio::test]
async fn live_times_are_those_that_the_vehicle_announced() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 91, 8);
    let caller = rig.live(&footage).await;
    let first = &footage.packs[0];
    send(&caller, &first.body()).await;
    let mut player = Player::new(&rig);
    player.until(3).await;
    rig.http().announce_one(first.open(3)).await;
    send(&caller, &footage.packs[1].body()).await;
    let playlist = player.until(7).await;
    let second = &footage.packs[1].manifest;
    for (index, entry) in second.segments.iter().enumerate().skip(1).take(2) {
        let recorded = second.start_wall.plus_ms(entry.wall_offset_ms.into()).0;
        let shown = shown(&playlist, 4 + index).program_date_time_ms;
        // The clock of the test's recording lies behind the one that was shown before it was known.
        assert!(
            shown.is_none() || shown.is_some_and(|ms| (ms - recorded).abs() <= 34),
            "{shown:?} {recorded}"
        );
    }
}

#[tokio::test]
async fn ffmpeg_plays_what_ffmpeg_publishes() {
    let rig = Rig::start_with(|config| config.allow_anonymous = true).await;
    let address = format!("srt://{}?streamid=publish:bus2/{RECORDING}", rig.vault().srt_addr());
    let mut publisher = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x240"])
        .args([
            "-f",
            "lavfi",
            "-i",
            "sine",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
        ])
        .args(["-g", "25", "-c:a", "aac", "-t", "30", "-f", "mpegts", &address])
        .kill_on_drop(true)
        .spawn()
        .expect("ffmpeg is installed");
    let url = format!("http://{}/live/bus2/main/index.m3u8", rig.vault().http_addr());
    eventually("it is live", async || {
        let answer = rig.stranger().get("/live/bus2/main/index.m3u8").await;
        (answer.status == 200 && answer.text().matches("#EXTINF").count() >= 3).then_some(())
    })
    .await;
    let mut player = Command::new("ffmpeg");
    let player = player
        .args(["-nostdin", "-v", "error", "-i", &url, "-t", "4", "-f", "framemd5", "-map", "0:v", "-"])
        .kill_on_drop(true)
        .output();
    let played = player.await.unwrap();
    publisher.kill().await.unwrap();
    let text = String::from_utf8(played.stdout).unwrap();
    let frames = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(
        played.status.success() && frames >= 95,
        "{frames} frames; {:?}",
        String::from_utf8(played.stderr)
    );
}
