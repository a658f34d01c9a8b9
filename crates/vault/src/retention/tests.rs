//! The keeper on a real index, a snapshot's plan, and a naive model: all three take the same packs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dashvault_base::{ContentHash, Ticks90k, WallMs};
use dashvault_media::{Manifest, SealedBy, SegmentEntry};
use proptest::prelude::*;

use super::{
    keeper::{Keeper, Remover},
    plan::Reason,
    rules::{Policy, Rule, VaultBounds},
    summarize,
};
use crate::{
    archive::{
        index::{Candidate, EventRow, EventSource, How, Index, StoredPack, VehicleEvent},
        objects::ObjectKey,
    },
    metrics::Metrics,
    store::ReadError,
};

const SECOND: i64 = 1000;

/// A pack of 60 s of one camera, from this second on, stored at that second.
pub(super) fn pack(device: &str, camera: &str, from_s: i64, stored_s: i64, bytes: u64) -> StoredPack {
    let start_wall = WallMs(from_s * SECOND);
    let entry = SegmentEntry {
        len: 188,
        hash: ContentHash::of(&from_s.to_be_bytes()),
        start_pts: None,
        duration: Ticks90k(60 * 90_000),
        wall_offset_ms: 0,
        keyframe: true,
        damaged: false,
    };
    let manifest = Manifest {
        device: device.parse().unwrap(),
        camera: camera.parse().unwrap(),
        pack: format!("20261122-101500_{from_s:05}").parse().unwrap(),
        sealed_by: SealedBy::Device,
        start_wall,
        start_mono_ms: 0,
        boot_id: [0; 16],
        previous: ContentHash::ZERO,
        segments: vec![entry],
    };
    StoredPack::new(&manifest, bytes, WallMs(stored_s * SECOND), |_| How::Live)
}

fn lock(device: &str, camera: Option<&str>, from_s: i64, to_s: i64, locked: bool) -> EventRow {
    EventRow {
        id: format!("{device}{camera:?}{from_s}-{to_s}{locked}"),
        device: device.parse().unwrap(),
        camera: camera.map(|name| name.parse().unwrap()),
        from: WallMs(from_s * SECOND),
        to: WallMs(to_s * SECOND),
        kind: "manual".into(),
        note: String::new(),
        source: EventSource::User,
        created_by: "somebody".into(),
        created: WallMs(0),
        locked,
    }
}

/// A store of which some objects cannot be removed.
#[derive(Debug, Default)]
struct Objects {
    removed: Mutex<BTreeSet<ObjectKey>>,
    stuck: Option<ObjectKey>,
}

impl Remover for Arc<Objects> {
    async fn remove(&self, key: ObjectKey) -> Result<(), ReadError> {
        if self.stuck.as_ref() == Some(&key) {
            return Err(crate::archive::objects::ObjectError::NotFound(key).into());
        }
        self.removed.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        Ok(())
    }
}

async fn index() -> (tempfile::TempDir, Index) {
    let scratch = tempfile::tempdir().unwrap();
    let index = Index::open(&scratch.path().join("index.sqlite")).await.unwrap();
    (scratch, index)
}

fn keeper(index: &Index, objects: Arc<Objects>) -> Keeper<Arc<Objects>> {
    let metrics = Arc::new(Metrics::new());
    Keeper { index: index.clone(), remover: objects, metrics, pause: Duration::ZERO }
}

fn by_bytes(max_bytes: u64) -> Policy {
    let rule = Rule { device: None, camera: None, max_age_ms: None, max_bytes: Some(max_bytes) };
    Policy { rules: vec![rule], vault: VaultBounds::default() }
}

/// What the pages say, done as plainly as can be.
fn naive(
    policy: &Policy,
    now: WallMs,
    free: u64,
    packs: &[StoredPack],
    events: &[EventRow],
) -> BTreeSet<ObjectKey> {
    let is_locked = |pack: &StoredPack| {
        events.iter().any(|event| {
            event.locked
                && event.device == pack.row.key.device
                && event.camera.as_ref().is_none_or(|camera| *camera == pack.row.key.camera)
                && event.from.0 - 2000 < pack.row.end_wall.0
                && pack.row.start_wall.0 < event.to.0 + 2000
        })
    };
    let mut left: Vec<&StoredPack> = packs.iter().collect();
    left.sort_by_key(|pack| (pack.row.end_wall.min(pack.row.stored_at), pack.row.key.clone()));
    let mut gone = BTreeSet::new();
    let mut freed = 0;
    let cameras: BTreeSet<_> =
        packs.iter().map(|pack| (pack.row.key.device.clone(), pack.row.key.camera.clone())).collect();
    for (device, camera) in cameras {
        let bounds = policy.bounds(&device, &camera);
        let of = |pack: &StoredPack| pack.row.key.device == device && pack.row.key.camera == camera;
        if let Some(max) = bounds.max_age_ms {
            let old = |pack: &StoredPack| now.0 - pack.row.stored_at.0 >= max as i64;
            let taken: Vec<_> =
                left.extract_if(.., |pack| of(pack) && old(pack) && !is_locked(pack)).collect();
            freed += taken.iter().map(|pack| pack.row.bytes).sum::<u64>();
            gone.extend(taken.iter().map(|pack| pack.row.key.clone()));
        }
        while let Some(max) = bounds.max_bytes {
            let total: u64 = left.iter().filter(|pack| of(pack)).map(|pack| pack.row.bytes).sum();
            let oldest = left.iter().position(|pack| of(pack) && !is_locked(pack));
            let Some(oldest) = oldest.filter(|_| total > max) else { break };
            let pack = left.remove(oldest);
            freed += pack.row.bytes;
            gone.insert(pack.row.key.clone());
        }
    }
    let total = |left: &[&StoredPack]| left.iter().map(|pack| pack.row.bytes).sum::<u64>();
    while policy.vault.max_bytes.is_some_and(|max| total(&left) > max)
        || policy.vault.min_free_bytes.is_some_and(|min| {
            free + freed < min && policy.vault.max_bytes.is_none_or(|max| total(&left) <= max)
        })
    {
        let Some(oldest) = left.iter().position(|pack| !is_locked(pack)) else { break };
        let pack = left.remove(oldest);
        freed += pack.row.bytes;
        gone.insert(pack.row.key.clone());
    }
    gone
}

const DEVICES: [&str; 2] = ["bus", "truck"];
const CAMERAS: [&str; 2] = ["front", "rear"];

fn packs() -> impl Strategy<Value = Vec<StoredPack>> {
    // Some clocks are behind, some ahead; some packs come late.
    let one = (0..2usize, 0..2usize, 0..4000i64, -500..3000i64, 1..1000u64);
    prop::collection::vec(one, 0..160).prop_map(|all| {
        let stored = all.into_iter().map(|(device, camera, from, late, bytes)| {
            pack(DEVICES[device], CAMERAS[camera], from, (from + 60 + late).max(1), bytes)
        });
        let by_key: BTreeMap<_, _> = stored.map(|pack| (pack.row.key.clone(), pack)).collect();
        by_key.into_values().collect()
    })
}

fn events() -> impl Strategy<Value = Vec<EventRow>> {
    let one = (0..2usize, prop::option::of(0..2usize), 0..4000i64, 1..600i64, any::<bool>());
    prop::collection::vec(one, 0..8).prop_map(|all| {
        let event = |(device, camera, from, length, locked): (usize, Option<usize>, i64, i64, bool)| {
            lock(DEVICES[device], camera.map(|camera| CAMERAS[camera]), from, from + length, locked)
        };
        all.into_iter().map(event).collect()
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let bounds = || (prop::option::of(1..5_000_000u64), prop::option::of(1..20_000u64));
    let scope = prop::sample::subsequence(vec![(2, 2), (0, 2), (1, 2), (0, 0), (0, 1), (1, 0)], 0..5);
    let rules = scope.prop_flat_map(move |scopes| {
        scopes.into_iter().map(|scope| (Just(scope), bounds())).collect::<Vec<_>>()
    });
    let vault = (prop::option::of(1..60_000u64), prop::option::of(1..60_000u64));
    (rules, vault).prop_map(|(rules, (max_bytes, min_free_bytes))| {
        let rule = |((device, camera), (max_age_ms, max_bytes)): ((usize, usize), _)| Rule {
            device: DEVICES.get(device).map(|id| id.parse().unwrap()),
            camera: CAMERAS.get(camera).map(|name| name.parse().unwrap()),
            max_age_ms,
            max_bytes,
        };
        let vault = VaultBounds { max_bytes, min_free_bytes, live_max_age_ms: None };
        Policy { rules: rules.into_iter().map(rule).collect(), vault }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn keeper_plan_and_naive_model_take_the_same_and_never_what_is_locked(
        packs in packs(), events in events(), policy in policy(), free in 0..60_000u64,
    ) {
        policy.check().unwrap();
        let now = WallMs(8000 * SECOND);
        let expected = naive(&policy, now, free, &packs, &events);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (summary, gone) = runtime.block_on(async {
            let (_scratch, index) = index().await;
            for pack in &packs {
                index.commit_pack(pack).await.unwrap();
            }
            for event in &events {
                index.add_event(event).await.unwrap();
            }
            index.set_retention(&policy, "test", now).await.unwrap();
            let policy = index.retention().await.unwrap().policy;
            let held = index.held_packs().await.unwrap();
            let summary = summarize(&policy, now, Some(free), held);
            let objects = Arc::new(Objects::default());
            let keeper = keeper(&index, objects.clone());
            keeper.by_rules(&policy, now).await.unwrap();
            let removed = objects.removed.lock().unwrap().clone();
            let freed: u64 =
                packs.iter().filter(|pack| removed.contains(&pack.row.key)).map(|pack| pack.row.bytes).sum();
            let needed = policy.vault.min_free_bytes.map_or(0, |min| min.saturating_sub(free + freed));
            keeper.for_room(needed, now).await.unwrap();
            index.close().await;
            (summary, objects.removed.lock().unwrap().clone())
        });
        prop_assert_eq!(&gone, &expected);
        prop_assert_eq!(summary.packs, expected.len() as u64);
        let bytes = packs.iter().filter(|pack| expected.contains(&pack.row.key)).map(|pack| pack.row.bytes);
        prop_assert_eq!(summary.bytes, bytes.sum::<u64>());
    }
}

#[tokio::test]
async fn expired_pack_keeps_its_row_and_nothing_else() {
    let (_scratch, index) = index().await;
    let pack = pack("bus", "front", 0, 60, 500);
    index.commit_pack(&pack).await.unwrap();
    index.mark_missing(&pack.row.key, WallMs(1)).await.unwrap();
    let candidate = Candidate { key: pack.row.key.clone(), bytes: 500 };
    let marked = index.expire(std::slice::from_ref(&candidate), WallMs(9)).await.unwrap();
    assert_eq!(marked, std::slice::from_ref(&candidate));
    assert!(index.expire(&[candidate], WallMs(10)).await.unwrap().is_empty(), "once is enough");
    let row = index.pack(&pack.row.key).await.unwrap().unwrap();
    assert_eq!((row.expired_at, row.missing_since, row.manifest), (Some(WallMs(9)), None, pack.row.manifest));
    assert!(!index.mark_missing(&pack.row.key, WallMs(11)).await.unwrap());
    assert_eq!(index.count_missing().await.unwrap(), 0);
    assert!(index.segments_of_pack(&pack.row.key).await.unwrap().is_empty());
    let (device, camera) = (&pack.row.key.device, &pack.row.key.camera);
    assert!(index.packs_of_camera(device, camera, None, 9).await.unwrap().is_empty());
    assert!(index.usage().await.unwrap().is_empty());
}

#[tokio::test]
async fn object_that_cannot_be_removed_is_tried_again_and_holds_nothing_up() {
    let (_scratch, index) = index().await;
    let packs: Vec<_> = (0..3).map(|n| pack("bus", "front", n * 60, 1000, 10)).collect();
    for pack in &packs {
        index.commit_pack(pack).await.unwrap();
    }
    let stuck = Arc::new(Objects { stuck: Some(packs[0].row.key.clone()), ..Objects::default() });
    let now = WallMs(5000 * SECOND);
    keeper(&index, stuck.clone()).by_rules(&by_bytes(5), now).await.unwrap();
    assert_eq!(stuck.removed.lock().unwrap().len(), 2);
    assert_eq!(index.count_to_remove().await.unwrap(), 1);
    let mended = Arc::new(Objects::default());
    assert_eq!(keeper(&index, mended.clone()).finish(now).await.unwrap(), 0);
    assert_eq!(mended.removed.lock().unwrap().iter().collect::<Vec<_>>(), [&packs[0].row.key]);
    assert_eq!(index.count_to_remove().await.unwrap(), 0);
}

#[tokio::test]
async fn a_pack_that_overlaps_a_lock_by_a_moment_is_kept_whole_until_it_is_unlocked() {
    let (_scratch, index) = index().await;
    for n in 0..3 {
        index.commit_pack(&pack("bus", "front", n * 100, 1000, 10)).await.unwrap();
    }
    // The packs are 0 to 60, 100 to 160, 200 to 260.
    let event = lock("bus", None, 155, 170, true);
    index.add_event(&event).await.unwrap();
    let objects = Arc::new(Objects::default());
    let keeper = keeper(&index, objects.clone());
    keeper.by_rules(&by_bytes(1), WallMs(5000 * SECOND)).await.unwrap();
    assert_eq!(objects.removed.lock().unwrap().len(), 2);
    let held = index.held_packs().await.unwrap();
    assert_eq!((held.len(), held[0].range.0, held[0].locked), (1, WallMs(100 * SECOND), true));
    index.change_event(&event.id, Some(false), None).await.unwrap();
    keeper.by_rules(&by_bytes(1), WallMs(5000 * SECOND)).await.unwrap();
    assert!(index.held_packs().await.unwrap().is_empty());
}

#[tokio::test]
async fn vehicles_event_counts_once_is_locked_and_stays_as_it_was_changed() {
    let (_scratch, index) = index().await;
    let told = VehicleEvent {
        id: "button-1".into(),
        camera: None,
        from: WallMs(5),
        to: WallMs(5),
        kind: "button".into(),
        note: String::new(),
    };
    let (bus, truck) = ("bus".parse().unwrap(), "truck".parse().unwrap());
    assert_eq!(index.add_vehicle_events(&bus, vec![told.clone(), told.clone()], WallMs(9)).await.unwrap(), 1);
    assert_eq!(index.add_vehicle_events(&truck, vec![told.clone()], WallMs(9)).await.unwrap(), 1);
    let all = index.events(&crate::archive::index::EventFilter::default(), 9).await.unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|event| event.locked && event.to == WallMs(6)));
    let of_bus = all.iter().find(|event| event.device == bus).unwrap();
    index.change_event(&of_bus.id, Some(false), Some("nothing")).await.unwrap();
    assert_eq!(index.add_vehicle_events(&bus, vec![told], WallMs(10)).await.unwrap(), 0);
    let again = index.event(&of_bus.id).await.unwrap().unwrap();
    assert_eq!((again.locked, again.note.as_str(), again.created), (false, "nothing", WallMs(9)));
}

#[tokio::test]
async fn deleting_by_hand_takes_what_is_within_and_counts_what_stays() {
    let (_scratch, index) = index().await;
    for n in 0..4 {
        index.commit_pack(&pack("bus", "front", n * 100, 1000, 10)).await.unwrap();
    }
    index.add_event(&lock("bus", Some("front"), 210, 220, true)).await.unwrap();
    let (device, camera) = ("bus".parse().unwrap(), "front".parse().unwrap());
    let range = (WallMs(50 * SECOND), WallMs(400 * SECOND));
    let within = index.packs_within(&device, &camera, range, 9).await.unwrap();
    let metrics = Metrics::new();
    let marked = super::keeper::mark(&index, &metrics, &within, Reason::Hand, WallMs(9)).await.unwrap();
    let kept = index.kept_within(&device, &camera, range).await.unwrap();
    assert_eq!((marked.len(), kept.locked, kept.partly), (2, 1, 1));
    assert!(metrics.render().contains("dashvault_retention_deleted_bytes_total{rule=\"hand\"} 20"));
}
