//! Histories of sessions, gaps and restarts: whatever a player reads, and whenever, keeps RFC 8216bis.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dashvault_base::{Pts, RecordingId, WallMs};
use dashvault_testkit::{
    hls::{Playlist, check, check_reload},
    ts::{TsProfile, TsSource, TsStream},
};
use proptest::prelude::*;

use super::{Feeding, Now, Track};
use crate::archive::index::NumberBlock;

/// The index's side of a camera's numbers, which outlives tracks.
struct Reserved {
    sequence: u64,
    discontinuity: u64,
}

/// One camera, its vault, and a player that never gives up.
struct World {
    track: Track,
    reserved: Reserved,
    begun: Instant,
    ms: i64,
    session: Option<Feeding>,
    next_session: u64,
    seen: Option<Playlist>,
    numbers_run_out: bool,
}

fn recording(number: i64) -> RecordingId {
    RecordingId::at(WallMs(1_795_000_000_000 + number * 1000))
}

impl World {
    fn new() -> Self {
        let begun = Instant::now();
        let now = Now { mono: begun, wall: WallMs(0) };
        let mut world = Self {
            track: Track::new(now),
            reserved: Reserved { sequence: 1000, discontinuity: 0 },
            begun,
            ms: 0,
            session: None,
            next_session: 1,
            seen: None,
            numbers_run_out: false,
        };
        world.reserve();
        world
    }

    fn now(&self) -> Now {
        let passed = Duration::from_millis(self.ms.unsigned_abs());
        Now { mono: self.begun + passed, wall: WallMs(1_795_000_000_000 + self.ms) }
    }

    fn reserve(&mut self) {
        let Reserved { sequence, discontinuity } = self.reserved;
        self.track.add_numbers(NumberBlock { sequence, count: 64, discontinuity });
        self.reserved = Reserved { sequence: sequence + 64, discontinuity: discontinuity + 64 };
    }

    fn begin(&mut self, recording: RecordingId, is_recorder: bool) {
        let feeding = Feeding { session: self.next_session, recording, is_recorder };
        self.next_session += 1;
        self.session = Some(feeding);
        self.track.begin(feeding, self.now());
    }

    fn end(&mut self) {
        if let Some(feeding) = self.session.take() {
            self.track.end(feeding.session);
        }
    }

    /// Feeds bytes at about the speed they were recorded; the player reads now and then.
    fn feed(&mut self, bytes: &[u8], watched: bool) {
        let Some(feeding) = self.session else { return };
        for piece in bytes.chunks(188 * 7 * 4) {
            self.ms += 40;
            let piece = Bytes::copy_from_slice(piece);
            self.track.data(feeding, &[piece], self.now());
            if watched && self.ms % 200 == 0 {
                self.read();
            }
        }
        if self.track.numbers().are_few() && !self.numbers_run_out {
            self.reserve();
        }
        self.track.tick(self.now());
    }

    /// The player reads the playlist, by delta update where it can.
    fn read(&mut self) {
        self.track.view(self.now());
        if self.track.is_fed() && self.track.is_empty() {
            return;
        }
        self.track.wait_visibly(self.now());
        let text = String::from_utf8(self.track.text(false).to_vec()).unwrap();
        let whole = Playlist::parse(&text).unwrap();
        assert_eq!(check(&whole), Vec::<String>::new(), "{text}");
        let update = String::from_utf8(self.track.text(true).to_vec()).unwrap();
        let update = Playlist::parse(&update).unwrap();
        assert_eq!(check(&update), Vec::<String>::new());
        let kept = usize::try_from(update.skipped).unwrap();
        assert!(whole.segments[kept..] == update.segments && whole.open == update.open);
        if let Some(seen) = &self.seen {
            let wrong = check_reload(seen, &whole);
            assert!(wrong.is_empty(), "{wrong:?}\nafter {seen:#?}\n{text}");
        }
        self.promises_are_kept(&whole);
        self.seen = Some(whole);
    }

    /// What a playlist names can be had, and segments are their parts.
    fn promises_are_kept(&self, playlist: &Playlist) {
        for (number, _, segment) in playlist.numbered() {
            let mut together = Vec::new();
            for index in 0..segment.parts.len() {
                let part = self.track.part(number, index).unwrap();
                assert!(!part.is_empty() && part.len().is_multiple_of(188));
                together.extend_from_slice(&part);
                assert!(self.track.has(number, Some(index)));
            }
            if !segment.uri.is_empty() && !segment.gap {
                let whole = self.track.segment(number).unwrap().concat();
                assert!(segment.parts.is_empty() || whole == together);
                assert!(self.track.has(number, None));
            }
        }
        let edge = self.track.edge();
        assert_eq!(playlist.hint, Some(format!("{}.{}.ts", edge.number, edge.parts)));
        assert!(!self.track.has(edge.number, Some(edge.parts)) && !self.track.has(edge.number, None));
    }

    /// The vault is started again: nothing is left but what the index knows.
    fn restart(&mut self, gracefully: bool) {
        self.end();
        if gracefully {
            let (rest, end) = self.track.numbers().rest();
            assert_eq!(end, self.reserved.sequence);
            self.reserved = Reserved { sequence: rest.sequence, discontinuity: rest.discontinuity };
        }
        self.track = Track::new(self.now());
        self.reserve();
    }
}

fn stream(seed: u64, seconds: u32) -> TsStream {
    TsSource::stream(TsProfile { bitrate: 60_000, ..TsProfile::default() }, seed, seconds)
}

fn at(stream: &TsStream, segment: usize) -> usize {
    usize::try_from(stream.segments[segment].offset).unwrap()
}

#[test]
fn a_camera_that_is_not_live_is_a_playlist_that_waits() {
    let mut world = World::new();
    world.read();
    let waiting = world.seen.clone().unwrap();
    assert!(waiting.segments.len() == 1 && waiting.segments[0].gap);
    world.read();
    assert_eq!(world.seen.as_ref(), Some(&waiting), "it waits, and does not grow");
    world.begin(recording(0), true);
    world.feed(&stream(1, 3).bytes, true);
    let live = world.seen.unwrap();
    assert_eq!(live.media_sequence, waiting.media_sequence);
    assert!(live.segments[1].discontinuity && !live.segments[1].gap);
}

#[test]
fn a_graceful_restart_continues_without_a_hole() {
    let mut world = World::new();
    world.begin(recording(0), true);
    world.feed(&stream(2, 4).bytes, true);
    let before = world.seen.clone().unwrap();
    world.restart(true);
    world.begin(recording(0), true);
    world.feed(&stream(2, 4).bytes, true);
    let after = world.seen.unwrap();
    assert_eq!(after.media_sequence, before.next_sequence() + 1, "the open segment had its number");
    assert!(after.numbered()[0].1 > before.numbered().last().unwrap().1);
}

#[test]
fn announcements_make_live_times_those_of_the_recording() {
    let mut world = World::new();
    world.track.view(world.now());
    let stream = stream(3, 8);
    world.begin(recording(0), true);
    world.feed(&stream.bytes[..at(&stream, 3)], true);
    // The vehicle's clock is half a second behind the vault's; its reader is late by some.
    let truth = |pts: i64| 1_795_000_000_000 - 500 + (pts - 126_000) / 90;
    let heard = |late: i64| {
        let stream = &stream;
        move |n: usize| {
            let pts = stream.segments[n].start_pts;
            (Pts(pts), WallMs(truth(pts) + late * (n as i64 % 3)))
        }
    };
    world.track.observe(recording(0), (0..3).map(heard(60)));
    world.feed(&stream.bytes[at(&stream, 3)..], true);
    let seen = world.seen.unwrap();
    for (index, segment) in seen.segments.iter().enumerate().skip(4) {
        let expected = truth(stream.segments[index].start_pts);
        let written = segment.program_date_time_ms.unwrap();
        assert!((written - expected).abs() <= 34, "segment {index}: {written} for {expected}");
    }
}

#[test]
fn a_clock_that_is_set_back_leaves_times_out_until_they_go_forward() {
    let mut world = World::new();
    let stream = stream(4, 40);
    world.begin(recording(0), true);
    world.feed(&stream.bytes[..at(&stream, 10)], true);
    let early = WallMs(1_700_000_000_000);
    world.track.observe(recording(0), std::iter::once((Pts(stream.segments[10].start_pts), early)));
    world.feed(&stream.bytes[at(&stream, 10)..at(&stream, 14)], true);
    assert_eq!(world.seen.as_ref().unwrap().segments.last().unwrap().program_date_time_ms, None);
    world.feed(&stream.bytes[at(&stream, 14)..], true);
    let last = world.seen.unwrap().segments.last().unwrap().program_date_time_ms.unwrap();
    assert!(last < 1_700_000_100_000, "{last}");
}

#[test]
fn nothing_is_shown_without_numbers_and_all_goes_on_when_there_are_some() {
    let mut world = World::new();
    world.numbers_run_out = true;
    let stream = stream(5, 80);
    world.begin(recording(0), true);
    world.feed(&stream.bytes[..at(&stream, 70)], true);
    let stuck = world.track.edge();
    assert_eq!(stuck.number, 1064);
    world.reserve();
    world.feed(&stream.bytes[at(&stream, 70)..], true);
    assert!(world.track.edge().number > 1064);
    assert!(world.seen.unwrap().segments.iter().any(|one| one.discontinuity));
}

#[test]
fn an_hour_without_a_session_costs_no_memory_and_breaks_no_playlist() {
    let mut world = World::new();
    world.begin(recording(0), true);
    world.feed(&stream(6, 5).bytes, true);
    world.end();
    assert!(world.track.bytes() > 0);
    world.ms += 3_600_000;
    world.track.tick(world.now());
    assert_eq!(world.track.bytes(), 0);
    world.read();
    assert!(world.seen.as_ref().unwrap().segments.iter().all(|one| one.gap));
    world.begin(recording(1), true);
    world.feed(&stream(7, 5).bytes, true);
}

#[test]
fn the_newer_of_two_sessions_is_shown_and_the_older_one_when_it_is_alone() {
    let mut world = World::new();
    let (one, two) = (stream(8, 4), stream(9, 4));
    world.begin(recording(0), false);
    let older = world.session.unwrap();
    world.feed(&one.bytes[..at(&one, 2)], true);
    world.begin(recording(1), false);
    assert!(!world.track.data(older, &[Bytes::copy_from_slice(&one.bytes[at(&one, 2)..])], world.now()));
    world.feed(&two.bytes, true);
    world.end();
    let shown = world.track.edge();
    world.session = Some(older);
    world.feed(&one.bytes[at(&one, 2)..], true);
    assert!(world.track.edge().number > shown.number + 1, "{:?} after {shown:?}", world.track.edge());
}

#[derive(Debug, Clone)]
enum Step {
    Feed(usize),
    Cut { lost: usize },
    Reconnect { back: usize },
    NewRecording,
    Plain,
    End,
    Restart(bool),
    Wait(i64),
    Read,
    Clock(i64),
    Announce,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..120usize).prop_map(Step::Feed),
        2 => (1..80usize).prop_map(|lost| Step::Cut { lost }),
        2 => (0..60usize).prop_map(|back| Step::Reconnect { back }),
        1 => Just(Step::NewRecording),
        1 => Just(Step::Plain),
        1 => Just(Step::End),
        1 => any::<bool>().prop_map(Step::Restart),
        2 => (0..100_000i64).prop_map(Step::Wait),
        2 => Just(Step::Read),
        1 => (-100_000..100_000i64).prop_map(Step::Clock),
        2 => Just(Step::Announce),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_reads_as_one_playlist(seed in any::<u64>(), steps in steps(), watched in any::<bool>()) {
        const PACKETS: usize = 188 * 7;
        let profile = TsProfile { bitrate: 60_000, fps: [8, 25, 30][(seed % 3) as usize], gop: 1 + (seed % 90) as u32, ..TsProfile::default() };
        let stream = TsSource::stream(profile, seed, 60);
        let mut world = World::new();
        let (mut place, mut count, mut clock) = (0, 0, 0);
        for step in steps {
            match step {
                Step::Feed(payloads) => {
                    let end = (place + payloads * PACKETS).min(stream.bytes.len());
                    world.feed(&stream.bytes[place..end], watched);
                    place = end % stream.bytes.len();
                }
                Step::Cut { lost } => {
                    if let Some(feeding) = world.session {
                        world.track.lost(feeding.session);
                    }
                    place = (place + lost * PACKETS) % stream.bytes.len();
                }
                Step::Reconnect { back } => {
                    world.end();
                    // At the start of some segment, as recorders do.
                    let from = place.saturating_sub(back * PACKETS) as u64;
                    let known = stream.segments.iter().rev().find(|one| one.offset <= from).unwrap();
                    place = usize::try_from(known.offset).unwrap();
                    world.begin(recording(count), true);
                }
                Step::NewRecording => {
                    count += 1;
                    world.begin(recording(count), true);
                }
                Step::Plain => world.begin(recording(count), false),
                Step::End => world.end(),
                Step::Restart(gracefully) => world.restart(gracefully),
                Step::Wait(ms) => {
                    world.ms += ms;
                    world.track.tick(world.now());
                }
                Step::Read => world.read(),
                Step::Clock(ms) => clock = ms,
                Step::Announce => {
                    let seen = stream.segments.iter().take_while(|one| one.offset < place as u64);
                    let (pts, wall) = match seen.last() {
                        Some(one) => (Pts(one.start_pts), WallMs(1_795_000_000_000 + world.ms + clock)),
                        None => continue,
                    };
                    world.track.observe(recording(count), std::iter::once((pts, wall)));
                }
            }
        }
        world.read();
    }
}

/// `cargo test -p dashvault-vault --lib -- --ignored --nocapture two_hundred`
#[test]
#[ignore = "a measurement"]
fn two_hundred_cameras_that_nobody_watches_cost_little() {
    const CAMERAS: u64 = 200;
    const SECONDS: u32 = 10;
    let stream = TsSource::stream(TsProfile { bitrate: 2_000_000, ..TsProfile::default() }, 1, SECONDS);
    let mut worlds: Vec<World> = (0..CAMERAS).map(|_| World::new()).collect();
    let begun = Instant::now();
    for world in &mut worlds {
        world.begin(recording(0), true);
        world.feed(&stream.bytes, false);
    }
    let spent = begun.elapsed();
    let held: usize = worlds.iter().map(|world| world.track.bytes()).sum();
    let camera_seconds = CAMERAS as f64 * f64::from(SECONDS);
    eprintln!(
        "{:.3} % of a core and {} KB for each camera of {:.2} Mbit/s",
        spent.as_secs_f64() / camera_seconds * 100.0,
        held / CAMERAS as usize / 1000,
        stream.bytes.len() as f64 * 8.0 / f64::from(SECONDS) / 1e6,
    );
    assert!(held / (CAMERAS as usize) < 4 << 20);
}
