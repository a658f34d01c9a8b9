//! The crashing disk keeps what was synced, may lose what was not, and invents nothing.

use std::{collections::BTreeSet, io, path::Path};

use dashvault_disk::{Disk, ErrorKind, OpenMode};

use super::CrashDisk;

const SEEDS: u64 = 300;

fn disk_with_folders() -> CrashDisk {
    let disk = CrashDisk::new();
    for dir in ["/a", "/b"] {
        disk.create_dir_all(Path::new(dir)).unwrap();
    }
    disk
}

/// All that can be left of `disk`, told by `look`.
fn fates<T: Ord>(disk: &CrashDisk, look: impl Fn(&CrashDisk) -> T) -> BTreeSet<T> {
    let fate = |seed| {
        let fork = disk.fork();
        fork.crash();
        fork.restart(seed);
        look(&fork)
    };
    (0..SEEDS).map(fate).collect()
}

fn content(disk: &CrashDisk, path: &str) -> Option<Vec<u8>> {
    disk.read(Path::new(path), u64::MAX).ok()
}

#[test]
fn synced_bytes_under_a_synced_name_always_survive() {
    let disk = disk_with_folders();
    let file = disk.open(Path::new("/a/p"), OpenMode::CreateNew).unwrap();
    file.write_all_at(b"segment", 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/a")).unwrap();
    file.write_all_at(&[7; 2000], 7).unwrap();
    let left = fates(&disk, |disk| content(disk, "/a/p").unwrap());
    assert!(left.iter().all(|bytes| bytes.starts_with(b"segment")));
    assert!(left.contains(b"segment".as_slice()), "nothing of the tail");
    assert!(left.iter().any(|bytes| bytes.len() == 2007 && !bytes.contains(&0)), "all of the tail");
    assert!(left.iter().any(|bytes| bytes.len() > 7 && bytes.len() < 2007), "a torn tail");
    assert!(left.iter().any(|bytes| bytes.contains(&0)), "a hole in the tail");
}

#[test]
fn an_unsynced_name_may_be_lost_though_its_bytes_were_synced() {
    let disk = disk_with_folders();
    let file = disk.open(Path::new("/a/p"), OpenMode::CreateNew).unwrap();
    file.write_all_at(b"x", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(fates(&disk, |disk| content(disk, "/a/p")), BTreeSet::from([None, Some(b"x".to_vec())]));
}

#[test]
fn a_rename_leaves_the_old_name_or_the_new_or_both_but_never_none() {
    let disk = disk_with_folders();
    disk.write_atomic(Path::new("/a/p"), b"x").unwrap();
    disk.rename(Path::new("/a/p"), Path::new("/b/p")).unwrap();
    let names = |disk: &CrashDisk| (content(disk, "/a/p").is_some(), content(disk, "/b/p").is_some());
    assert_eq!(fates(&disk, names), BTreeSet::from([(true, false), (false, true), (true, true)]));
    let synced = disk.fork();
    synced.sync_dir(Path::new("/b")).unwrap();
    assert_eq!(fates(&synced, names), BTreeSet::from([(true, true), (false, true)]));
    disk.sync_dir(Path::new("/a")).unwrap();
    assert_eq!(fates(&disk, names), BTreeSet::from([(false, true)]));
}

#[test]
fn an_atomic_write_leaves_the_old_content_or_the_new_at_every_crash_point() {
    for point in 1.. {
        let disk = disk_with_folders();
        disk.write_atomic(Path::new("/a/s"), b"old").unwrap();
        disk.crash_at(point);
        let done = disk.write_atomic(Path::new("/a/s"), b"newer").is_ok();
        let left = fates(&disk, |disk| content(disk, "/a/s").unwrap());
        let allowed = BTreeSet::from([b"old".to_vec(), b"newer".to_vec()]);
        assert!(left.is_subset(&allowed), "point {point}: {left:?}");
        if done {
            assert_eq!(left, BTreeSet::from([b"newer".to_vec()]));
            break;
        }
    }
}

#[test]
fn a_removed_file_may_come_back_until_its_folder_is_synced() {
    let disk = disk_with_folders();
    disk.write_atomic(Path::new("/a/p"), b"x").unwrap();
    disk.remove(Path::new("/a/p")).unwrap();
    assert_eq!(fates(&disk, |disk| content(disk, "/a/p").is_some()), BTreeSet::from([false, true]));
    disk.sync_dir(Path::new("/a")).unwrap();
    assert_eq!(fates(&disk, |disk| content(disk, "/a/p").is_some()), BTreeSet::from([false]));
}

#[test]
fn a_full_disk_takes_what_fits_and_has_room_again_after_a_removal() {
    let disk = disk_with_folders();
    disk.set_capacity(Some(10));
    let file = disk.open(Path::new("/a/p"), OpenMode::Create).unwrap();
    let error = file.write_all_at(&[1; 12], 0).unwrap_err();
    assert_eq!((error.kind(), file.len().unwrap()), (ErrorKind::Full, 10));
    assert_eq!(disk.space(Path::new("/a")).unwrap().unwrap().free_bytes, 0);
    file.write_all_at(&[2; 10], 0).unwrap();
    disk.remove(Path::new("/a/p")).unwrap();
    assert_eq!(disk.space(Path::new("/a")).unwrap().unwrap().free_bytes, 10);
}

#[test]
fn after_a_crash_everything_fails_until_the_restart_and_old_files_stay_dead() {
    let disk = disk_with_folders();
    let file = disk.open(Path::new("/a/p"), OpenMode::Create).unwrap();
    let lock = disk.try_lock(Path::new("/a/lock")).unwrap().unwrap();
    assert!(disk.try_lock(Path::new("/a/lock")).unwrap().is_none());
    disk.crash_at(2);
    file.write_all_at(b"1", 0).unwrap();
    assert!(file.write_all_at(b"2", 1).is_err() && disk.is_crashed());
    assert!(disk.list(Path::new("/a")).is_err() && disk.sync_dir(Path::new("/a")).is_err());
    disk.restart(1);
    assert!(file.sync_data().is_err());
    let again = disk.try_lock(Path::new("/a/lock")).unwrap();
    drop(lock);
    assert!(again.is_some() && disk.try_lock(Path::new("/a/lock")).unwrap().is_none());
}

#[test]
fn an_injected_fault_hits_one_operation_and_changes_nothing() {
    let disk = disk_with_folders();
    disk.write_atomic(Path::new("/a/p"), b"x").unwrap();
    disk.fail_at(1, io::ErrorKind::StorageFull);
    assert!(disk.rename(Path::new("/a/p"), Path::new("/b/p")).unwrap_err().is_full());
    disk.rename(Path::new("/a/p"), Path::new("/b/p")).unwrap();
    assert_eq!(disk.files(), [Path::new("/b/p")]);
}

#[test]
fn the_same_seed_leaves_the_same_disk() {
    let disk = disk_with_folders();
    let file = disk.open(Path::new("/a/p"), OpenMode::Create).unwrap();
    file.write_all_at(&[9; 5000], 0).unwrap();
    let fate = |seed| {
        let fork = disk.fork();
        fork.restart(seed);
        content(&fork, "/a/p")
    };
    assert!((0..50).all(|seed| fate(seed) == fate(seed)));
}

#[test]
fn a_killed_process_leaves_all_it_wrote() {
    let disk = disk_with_folders();
    let file = disk.open(Path::new("/a/p"), OpenMode::Create).unwrap();
    file.write_all_at(b"unsynced", 0).unwrap();
    disk.kill();
    assert_eq!(content(&disk, "/a/p").unwrap(), b"unsynced");
    assert!(file.len().is_err());
}
