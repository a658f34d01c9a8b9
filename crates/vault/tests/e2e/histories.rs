//! Random histories of outages, losses, restarts and imports: timeline, playlist and clips say what was done. Needs ffmpeg.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use dashvault_base::{LossCause, RecordingId, WallMs};
use dashvault_wire::{AnnounceRequest, LossNotice, PackAnnounce, paths::PROTOCOL};
use serde_json::json;

use crate::{
    clips,
    film::{FRAME_MS, complaints, durations_ms, encoded, footage},
    import,
    rig::{Footage, FootagePack, Rig, send},
    timeline::{play, playable, playlist, rig, runs, store, until_runs},
};

const SIZE: &str = "320x180";
const PICTURES_A_SECOND: usize = 30;
const PACK_SECONDS: i64 = 4;
const ROUNDS: usize = 4;

/// What became of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Live,
    Backfilled,
    Imported,
    OnVehicle,
    Lost,
}

impl Fate {
    const OF_PACKS: [Self; 4] = [Self::Live, Self::Backfilled, Self::OnVehicle, Self::Lost];

    const fn state(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backfilled | Self::Imported => "backfilled",
            Self::OnVehicle => "on_vehicle",
            Self::Lost => "lost quota",
        }
    }

    const fn plays(self) -> bool {
        matches!(self, Self::Live | Self::Backfilled | Self::Imported)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_show_play_and_are_cut_as_they_were() {
    for seed in [1, 2, 3] {
        println!("seed {seed}");
        let mut history = History::begin(seed).await;
        for round in 0..ROUNDS {
            history.at = history.at.plus_ms(history.rng.i64(2..20) * 1000);
            history.record().await;
            if round % 2 == 1 {
                history.import(round).await;
                let graceful = history.rng.bool();
                history.restart(graceful).await;
            }
        }
        history.check_timeline().await;
        history.check_playlist().await;
        history.check_clips().await;
    }
}

/// A camera's past, and what there is to show for it.
struct History {
    rig: Rig,
    rng: fastrand::Rng,
    first: WallMs,
    at: WallMs,
    /// By the second's start; a second that is not here was not recorded.
    truth: BTreeMap<WallMs, Fate>,
    /// What the recorder's stored packs play, in order.
    recorded: Vec<u8>,
    on_vehicle: Vec<PackAnnounce>,
}

impl History {
    async fn begin(seed: u64) -> Self {
        let first: RecordingId = crate::rig::RECORDING.parse().unwrap();
        let at = first.start();
        let rng = fastrand::Rng::with_seed(seed);
        Self {
            rig: rig().await,
            rng,
            first: at,
            at,
            truth: BTreeMap::new(),
            recorded: Vec::new(),
            on_vehicle: Vec::new(),
        }
    }

    /// One recording; each of its packs has a fate of its own.
    async fn record(&mut self) {
        let seconds = self.rng.u32(1..4) * 4;
        let footage = footage(&self.rig, &RecordingId::at(self.at).to_string(), SIZE, seconds);
        let mut live = None;
        let mut came_live: Vec<&FootagePack> = Vec::new();
        for pack in &footage.packs {
            let fate = Fate::OF_PACKS[self.rng.usize(..4)];
            live = self.connected(&footage, live, fate == Fate::Live).await;
            match fate {
                Fate::Live => {
                    send(live.as_ref().unwrap(), &pack.body()).await;
                    self.rig.http().announce_one(pack.sealed()).await;
                    came_live.push(pack);
                }
                Fate::Backfilled => store(&self.rig, pack).await,
                Fate::OnVehicle => {
                    self.rig.http().announce_one(pack.sealed()).await;
                    self.on_vehicle.push(pack.sealed());
                }
                Fate::Lost => lose(&self.rig, pack).await,
                Fate::Imported => unreachable!("packs are recorded"),
            }
            if fate.plays() {
                self.recorded.extend(playable(pack));
            }
            self.passed(PACK_SECONDS, fate);
        }
        self.connected(&footage, live, false).await;
        for pack in came_live {
            self.rig.http().receipt(pack).await;
        }
    }

    /// Connects, or ends the connection.
    async fn connected(
        &self,
        footage: &Footage,
        live: Option<dashvault_srt::Caller>,
        wanted: bool,
    ) -> Option<dashvault_srt::Caller> {
        match (live, wanted) {
            (None, true) => Some(self.rig.live(footage).await),
            (Some(caller), false) => {
                caller.close(Duration::from_secs(1)).await;
                None
            }
            (live, _) => live,
        }
    }

    /// A vehicle says again what a vault that died may have forgotten.
    async fn restart(&mut self, graceful: bool) {
        self.rig.restart(graceful).await;
        self.rig.http().announce(self.on_vehicle.clone()).await;
    }

    /// A film that somebody had in a drawer.
    async fn import(&mut self, round: usize) {
        self.at = self.at.plus_ms(self.rng.i64(2..9) * 1000);
        // No two of the same length: the same bytes would be the same film.
        let seconds = u32::try_from(2 * round + 1).unwrap();
        let path = format!("front/drawer-{round}.ts?at={}", self.at.0);
        let http = self.rig.admin();
        let job = import::put(&http, &path, &encoded(SIZE, seconds)).await;
        import::done(&http, &job).await;
        self.passed(seconds.into(), Fate::Imported);
    }

    fn passed(&mut self, seconds: i64, fate: Fate) {
        for _ in 0..seconds {
            self.truth.insert(self.at, fate);
            self.at = self.at.plus_ms(1000);
        }
    }

    async fn check_timeline(&self) {
        let count = (self.at.0 - self.first.0) / 1000 + 3;
        let state = |second| {
            let fate = self.truth.get(&self.first.plus_ms(second * 1000));
            fate.map_or("not_recorded", |fate| fate.state()).to_owned()
        };
        let expected: Vec<String> = (0..count).map(state).collect();
        until_runs(&self.rig, self.first, count, &runs(&expected)).await;
    }

    async fn check_playlist(&self) {
        let answer = playlist(&self.rig, self.first, self.at).await;
        let played = if answer.status == 404 { Vec::new() } else { play(&self.rig, &answer.text()).await };
        let (mut recorded, mut imported, mut fate) = (Vec::new(), Vec::new(), None);
        for one in played {
            if let Some(wall) = one.wall {
                fate = self.truth.get(&wall).copied().filter(|fate| fate.plays());
                assert!(fate.is_some(), "{wall} plays, and is {:?}", self.truth.get(&wall));
            }
            if fate == Some(Fate::Imported) { &mut imported } else { &mut recorded }.extend(one.bytes);
        }
        assert!(
            recorded == self.recorded,
            "{} of {} recorded bytes are played",
            recorded.len(),
            self.recorded.len()
        );
        let file = self.rig.data.path().join("imported.ts");
        std::fs::write(&file, imported).unwrap();
        let films = self.truth.values().filter(|fate| **fate == Fate::Imported).count();
        assert_eq!(import::pictures(&file).0, films * PICTURES_A_SECOND);
    }

    /// The whole, and any part of it: as many pictures as seconds say, in both formats.
    async fn check_clips(&mut self) {
        let count = (self.at.0 - self.first.0) / 1000;
        self.check_clip(0..count).await;
        let from = self.rng.i64(0..count - 1);
        let part = from..self.rng.i64(from + 1..count);
        self.check_clip(part).await;
    }

    async fn check_clip(&self, seconds: Range<i64>) {
        let (from, to) = (self.first.plus_ms(seconds.start * 1000), self.first.plus_ms(seconds.end * 1000));
        let covered = self.truth.range(from..to).filter(|(_, fate)| fate.plays()).count();
        let http = self.rig.admin();
        let path = format!("/api/v1/devices/bus/cameras/front/clip.ts?from={}&to={}", from.0, to.0);
        let stream = http.get(&path).await;
        if covered == 0 {
            assert_eq!(stream.status, 404, "{seconds:?}");
            return;
        }
        assert_eq!(stream.status, 200, "{seconds:?}: {}", stream.text());
        let file = self.rig.data.path().join("clip.ts");
        std::fs::write(&file, &stream.body).unwrap();
        assert_eq!(import::pictures(&file).0, covered * PICTURES_A_SECOND, "{seconds:?}");
        assert_eq!(complaints(&file), "", "{seconds:?}");

        let wish = json!({"device": "bus", "camera": "front", "from": from.0, "to": to.0});
        let id = clips::asked(&http, &wish).await;
        let job = clips::ended(&http, &id).await;
        assert_eq!(job["state"], "finished", "{job}");
        let covered_ms = covered * 1000;
        assert_eq!(job["summary"]["covered_ms"], covered_ms, "{job}");
        let clip = clips::saved(&self.rig, &id).await;
        let lasts = *durations_ms(&clip).last().unwrap();
        assert!((lasts - covered_ms as f64).abs() <= FRAME_MS, "{seconds:?}: {lasts} of {covered_ms} ms");
        assert_eq!(complaints(&clip), "", "{seconds:?}");
    }
}

/// The vehicle says that it had to delete the pack.
async fn lose(rig: &Rig, pack: &FootagePack) {
    let from = pack.manifest.start_wall;
    let loss = LossNotice {
        id: format!("loss-{}", from.0),
        camera: pack.manifest.camera.clone(),
        recording: Some(pack.id().recording),
        from,
        to: from.plus_ms(PACK_SECONDS * 1000),
        lost_ms: 4000,
        bytes: 1,
        cause: LossCause::Quota,
    };
    rig.http().announce_one(pack.sealed()).await;
    let request = AnnounceRequest { protocol: PROTOCOL, losses: vec![loss], ..AnnounceRequest::default() };
    rig.http().announce_raw(&serde_json::to_vec(&request).unwrap()).await;
}
