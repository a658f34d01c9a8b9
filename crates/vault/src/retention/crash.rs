//! Retention on a disk that loses power at every operation: never a pack that comes back, never one that counts as
//! missing, never a receipt that is withdrawn, and the next start ends what was begun.

use std::{path::Path, sync::Arc, time::Duration};

use dashvault_base::{ContentHash, WallMs};
use dashvault_disk::{Disk, OpenMode};
use dashvault_media::{Manifest, SealedBy, SegmentEntry, SignedManifest, SigningKey, trailer};
use dashvault_testkit::{FakeClock, disk::CrashDisk};
use tokio::runtime::Handle;

use super::{
    keeper::{Keeper, Remover},
    rules::{Policy, Rule, VaultBounds},
};
use crate::{
    archive::{
        index::{How, Index},
        objects::{DirStore, ObjectError, ObjectKey, ObjectStore},
        reconcile::{Reconciled, reconcile},
    },
    assembler::{
        finish::{Archive, FinishJob},
        model::footage,
    },
    metrics::Metrics,
    store::{BlockingIndex, ReadError},
};

const PACKS: u32 = 4;
/// Kept by the rule.
const KEPT: u32 = 1;

struct OnDisk(Arc<dyn ObjectStore>);

impl Remover for OnDisk {
    async fn remove(&self, key: ObjectKey) -> Result<(), ReadError> {
        Ok(self.0.delete(&key)?)
    }
}

/// A vault's archive with some packs, on a disk that can crash and an index that keeps what it committed.
struct Vault {
    _scratch: tempfile::TempDir,
    disk: CrashDisk,
    index: Index,
}

impl Vault {
    async fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let index = Index::open(&scratch.path().join("index.sqlite")).await.unwrap();
        let vault = Self { _scratch: scratch, disk: CrashDisk::new(), index };
        let archive = vault.archive();
        let key = SigningKey::from_seed([7; 32]);
        let jobs: Vec<FinishJob> = (0..PACKS).map(|number| job(&vault.disk, &key, number)).collect();
        blocking(move || jobs.iter().for_each(|job| drop(archive.finish(job).unwrap()))).await;
        vault
    }

    fn archive(&self) -> Archive {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let objects: Arc<dyn ObjectStore> =
            Arc::new(DirStore::open(disk.clone(), "/data/objects".into()).unwrap());
        let index = BlockingIndex { index: self.index.clone(), runtime: Handle::current() };
        Archive { disk, objects, index: Arc::new(index), clock: Arc::new(FakeClock::default()) }
    }

    fn keeper(&self) -> Keeper<OnDisk> {
        let objects = DirStore::open(Arc::new(self.disk.clone()), "/data/objects".into());
        // Of a disk that is down nothing can be opened; the keeper of then is of no interest.
        let objects = objects.unwrap();
        let metrics = Arc::new(Metrics::new());
        Keeper {
            index: self.index.clone(),
            remover: OnDisk(Arc::new(objects)),
            metrics,
            pause: Duration::ZERO,
        }
    }

    /// What a start does before it serves.
    async fn start(&self) -> Reconciled {
        let (archive, index, runtime) = (self.archive(), self.index.clone(), Handle::current());
        blocking(move || reconcile(&archive, &index, &runtime).unwrap()).await
    }

    fn objects(&self) -> Vec<String> {
        let files = self.disk.files().into_iter().filter(|path| path.starts_with("/data/objects"));
        files.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// A part that is complete.
fn job(disk: &CrashDisk, key: &SigningKey, number: u32) -> FinishJob {
    let segments = footage(u64::from(number) + 1, 2);
    let manifest = Manifest {
        device: "bus".parse().unwrap(),
        camera: "front".parse().unwrap(),
        // Two recordings, so that a folder becomes empty.
        pack: format!("20261122-1{}1500_{number:05}", number / 3).parse().unwrap(),
        sealed_by: SealedBy::Device,
        start_wall: WallMs(i64::from(number) * 60_000),
        start_mono_ms: 0,
        boot_id: [0; 16],
        previous: ContentHash::ZERO,
        segments: segments.iter().map(|(segment, _)| SegmentEntry::new(segment, 0)).collect(),
    };
    let from = Path::new("/data/incoming").join(number.to_string());
    disk.create_dir_all(Path::new("/data/incoming")).unwrap();
    let body: Vec<u8> = segments.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let how = vec![How::Live; segments.len()];
    let key_of =
        ObjectKey { device: manifest.device.clone(), camera: manifest.camera.clone(), pack: manifest.pack };
    let signed = SignedManifest::sign(manifest, key).unwrap();
    let file = disk.open(&from, OpenMode::CreateNew).unwrap();
    file.write_all_at(&[body, trailer(&signed)].concat(), 0).unwrap();
    FinishJob { key: key_of, from, signed, how, in_doubt: false }
}

fn policy(bytes_left: u64) -> Policy {
    let rule = Rule { device: None, camera: None, max_age_ms: None, max_bytes: Some(bytes_left) };
    Policy { rules: vec![rule], vault: VaultBounds::default() }
}

async fn bytes_of_newest(index: &Index) -> u64 {
    let mut held = index.held_packs().await.unwrap();
    held.sort_by_key(|pack| pack.recorded);
    held.last().unwrap().bytes
}

#[tokio::test]
async fn a_power_cut_at_any_step_resurrects_nothing_and_alarms_nobody() {
    let whole = Vault::new().await;
    let bytes = bytes_of_newest(&whole.index).await;
    let keeper = whole.keeper();
    let before = whole.disk.operations();
    keeper.by_rules(&policy(bytes), WallMs(1)).await.unwrap();
    let operations = whole.disk.operations() - before;
    assert_eq!(whole.objects().len(), KEPT as usize);
    assert!(operations >= u64::from(PACKS - KEPT) * 2, "{operations}");

    for crash_at in 1..=operations {
        let vault = Vault::new().await;
        let keeper = vault.keeper();
        vault.disk.crash_at(crash_at);
        // Objects that cannot be removed stay marked, as a killed vault leaves them.
        keeper.by_rules(&policy(bytes), WallMs(1)).await.unwrap();
        for seed in 0..3 {
            let after = Vault {
                _scratch: tempfile::tempdir().unwrap(),
                disk: vault.disk.fork(),
                index: vault.index.clone(),
            };
            after.disk.restart(seed);
            let reconciled = after.start().await;
            assert_eq!((reconciled.missing, reconciled.adopted, reconciled.left), (0, 0, 0), "{crash_at}");
            let held = after.index.held_packs().await.unwrap();
            assert_eq!(held.len(), KEPT as usize, "nothing expired is held again, nothing else is gone");
            for number in 0..PACKS {
                let key = job(&CrashDisk::new(), &SigningKey::from_seed([7; 32]), number).key;
                assert!(after.index.pack(&key).await.unwrap().is_some(), "proof that {key} was stored");
            }
            let objects = after.objects().len();
            assert!(objects >= KEPT as usize);
            // The last fate ends it for all of them: the index is shared.
            if seed == 2 {
                assert_eq!(after.keeper().finish(WallMs(2)).await.unwrap(), 0);
                assert_eq!(after.index.count_to_remove().await.unwrap(), 0);
                assert_eq!(after.objects().len(), KEPT as usize);
                after.disk.restart(9);
                assert_eq!(after.objects().len(), KEPT as usize, "gone means gone");
            }
        }
    }
}

#[tokio::test]
async fn a_kill_between_mark_and_unlink_is_ended_by_the_next_start() {
    let vault = Vault::new().await;
    let packs = vault.index.oldest_packs(None, 2).await.unwrap();
    vault.index.expire(&packs, WallMs(1)).await.unwrap();
    vault.disk.kill();
    assert_eq!(vault.objects().len(), PACKS as usize);
    let reconciled = vault.start().await;
    assert_eq!((reconciled.missing, reconciled.adopted, reconciled.left), (0, 0, 0));
    vault.keeper().finish(WallMs(2)).await.unwrap();
    assert_eq!(vault.objects().len(), PACKS as usize - 2);
    for pack in packs {
        assert_eq!(vault.index.pack(&pack.key).await.unwrap().unwrap().removed_at, Some(WallMs(2)));
    }
}

#[tokio::test]
async fn a_missing_pack_that_expires_while_it_is_sent_again_stays_deleted() {
    let vault = Vault::new().await;
    let key = SigningKey::from_seed([7; 32]);
    let again = job(&vault.disk, &key, 0);
    let archive = vault.archive();
    archive.objects.delete(&again.key).unwrap();
    assert_eq!(vault.start().await.missing, 1);
    let candidate = crate::archive::index::Candidate { key: again.key.clone(), bytes: 0 };
    vault.index.expire(&[candidate], WallMs(5)).await.unwrap();
    let of = again.key.clone();
    let row = blocking(move || archive.finish(&again).unwrap()).await;
    assert_eq!(row.expired_at, Some(WallMs(5)));
    assert!(matches!(vault.archive().objects.open(&of), Err(ObjectError::NotFound(_))));
    assert!(!vault.disk.exists(Path::new("/data/incoming/0")).unwrap(), "the part goes too");
    assert_eq!(vault.index.count_missing().await.unwrap(), 0);
}

#[tokio::test]
async fn an_object_that_somebody_puts_back_is_left_and_not_shown() {
    let vault = Vault::new().await;
    let again = job(&vault.disk, &SigningKey::from_seed([7; 32]), 0);
    let candidate = crate::archive::index::Candidate { key: again.key.clone(), bytes: 0 };
    vault.index.expire(&[candidate], WallMs(5)).await.unwrap();
    vault.keeper().finish(WallMs(6)).await.unwrap();
    vault.archive().objects.put_file_durable(&again.key, &again.from).unwrap();
    let reconciled = vault.start().await;
    assert_eq!((reconciled.left, reconciled.adopted, reconciled.missing), (1, 0, 0));
    assert_eq!(vault.index.held_packs().await.unwrap().len(), PACKS as usize - 1);
    vault.keeper().finish(WallMs(7)).await.unwrap();
    assert_eq!(vault.objects().len(), PACKS as usize, "it is not ours to delete");
}
