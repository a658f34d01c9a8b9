//! One suite that every disk passes: the machine's own, and the crashing one that stands in for it in tests.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use dashvault_disk::{Disk, EntryKind, ErrorKind, OpenMode, OsDisk};
use dashvault_testkit::disk::CrashDisk;

fn on_each_disk(test: impl Fn(&dyn Disk, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    test(&OsDisk, dir.path());
    let disk = CrashDisk::new();
    let root = PathBuf::from("/test/root");
    disk.create_dir_all(&root).unwrap();
    test(&disk, &root);
}

#[test]
fn a_file_is_created_as_its_mode_says() {
    on_each_disk(|disk, root| {
        let path = root.join("f");
        for mode in [OpenMode::Read, OpenMode::Write] {
            assert_eq!(disk.open(&path, mode).unwrap_err().kind(), ErrorKind::NotFound, "{mode:?}");
        }
        disk.open(&path, OpenMode::CreateNew).unwrap().write_all_at(b"abc", 0).unwrap();
        assert_eq!(disk.open(&path, OpenMode::CreateNew).unwrap_err().kind(), ErrorKind::Exists);
        assert_eq!(disk.open(&path, OpenMode::Create).unwrap().len().unwrap(), 3);
        assert_eq!(disk.open(&path, OpenMode::Write).unwrap().len().unwrap(), 3);
        assert!(disk.open(&path, OpenMode::Read).unwrap().write_all_at(b"x", 0).is_err());
        assert!(disk.open(&path, OpenMode::Truncate).unwrap().is_empty().unwrap());
        assert_eq!(disk.open(&root.join("no/f"), OpenMode::Create).unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn writes_past_the_end_leave_zeros_and_reads_end_with_the_file() {
    on_each_disk(|disk, root| {
        let file = disk.open(&root.join("f"), OpenMode::CreateNew).unwrap();
        file.write_all_at(b"end", 5).unwrap();
        file.sync_data().unwrap();
        assert_eq!(disk.read(&root.join("f"), 100).unwrap(), b"\0\0\0\0\0end");
        let mut into = [9; 6];
        assert_eq!((file.read_at(&mut into, 4).unwrap(), into), (4, *b"\0end\x09\x09"));
        assert_eq!(file.read_at(&mut into, 8).unwrap(), 0);
        assert_eq!(file.read_at(&mut into, 1 << 40).unwrap(), 0);
        assert!(file.read_exact_at(&mut into, 4).is_err());
        file.set_len(2).unwrap();
        file.set_len(4).unwrap();
        assert_eq!(disk.read(&root.join("f"), 100).unwrap(), [0; 4]);
        assert_eq!(disk.read(&root.join("f"), 3).unwrap_err().kind(), ErrorKind::Other);
    });
}

#[test]
fn names_change_as_asked_and_open_files_stay_readable() {
    on_each_disk(|disk, root| {
        let (a, b) = (root.join("a"), root.join("b"));
        disk.write_atomic(&a, b"first").unwrap();
        disk.write_atomic(&b, b"second").unwrap();
        let open = disk.open(&b, OpenMode::Read).unwrap();
        disk.rename_durably(&a, &b).unwrap();
        assert_eq!(disk.read(&b, 10).unwrap(), b"first");
        assert_eq!(disk.rename(&a, &b).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(disk.rename(&b, &root.join("no/b")).is_err());
        disk.rename(&b, &b).unwrap();
        disk.remove(&b).unwrap();
        assert_eq!(disk.remove(&b).unwrap_err().kind(), ErrorKind::NotFound);
        disk.remove_durably(&b).unwrap();
        assert!(!disk.exists(&b).unwrap());
        let mut bytes = [0; 6];
        open.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"second");
    });
}

#[test]
fn folders_are_made_listed_and_removed() {
    on_each_disk(|disk, root| {
        let deep = root.join("x/y");
        assert_eq!(disk.list(&deep).unwrap_err().kind(), ErrorKind::NotFound);
        disk.create_dir_all(&deep).unwrap();
        disk.create_dir_all(&deep).unwrap();
        disk.write_atomic(&root.join("x/file"), b"1234").unwrap();
        let found: Vec<_> = disk.list(&root.join("x")).unwrap();
        let found: Vec<_> = found.iter().map(|entry| (&*entry.name, entry.kind, entry.len)).collect();
        assert_eq!(found, [("file", EntryKind::File, 4), ("y", EntryKind::Dir, 0)]);
        assert!(disk.exists(&deep).unwrap() && disk.sync_dir(&deep).is_ok());
        assert!(disk.remove_dir(&root.join("x")).is_err());
        assert!(disk.create_dir_all(&root.join("x/file")).is_err());
        disk.remove_dir(&deep).unwrap();
        assert_eq!(disk.remove_dir(&deep).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(disk.sync_dir(&deep).unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_lock_has_one_holder() {
    on_each_disk(|disk, root| {
        let path = root.join("lock");
        let held = disk.try_lock(&path).unwrap().unwrap();
        assert!(disk.try_lock(&path).unwrap().is_none());
        assert!(disk.try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(disk.try_lock(&path).unwrap().is_some());
    });
}
