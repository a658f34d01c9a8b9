//! The real disk does what the trait promises.

use super::*;
use crate::{DiskReader, ErrorKind, is_temporary};
use std::io::{Read, Seek, SeekFrom};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn bytes_written_at_a_position_are_read_back() {
    let dir = folder();
    let file = OsDisk.open(&dir.path().join("pack"), OpenMode::CreateNew).unwrap();
    file.write_all_at(b"world", 6).unwrap();
    file.write_all_at(b"hello ", 0).unwrap();
    file.sync_data().unwrap();
    let mut text = String::new();
    let mut reader = DiskReader::new(file.clone());
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello world");
    reader.seek(SeekFrom::End(-5)).unwrap();
    text.clear();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "world");
    assert!(reader.seek(SeekFrom::Current(-100)).is_err());
    file.set_len(5).unwrap();
    assert_eq!(file.len().unwrap(), 5);
    assert!(file.read_exact_at(&mut [0; 6], 0).is_err());
}

#[test]
fn an_atomic_write_replaces_the_whole_file_and_leaves_no_scrap() {
    let dir = folder();
    let path = dir.path().join("state.json");
    OsDisk.write_atomic(&path, b"first, longer").unwrap();
    OsDisk.write_atomic(&path, b"second").unwrap();
    assert_eq!(OsDisk.read(&path, 100).unwrap(), b"second");
    let names: Vec<_> = OsDisk.list(dir.path()).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["state.json"]);
    assert!(is_temporary(".state.json.tmp~") && !is_temporary("state.json"));
}

#[test]
fn errors_say_the_path_the_operation_and_the_kind() {
    let dir = folder();
    let path = dir.path().join("absent");
    let error = OsDisk.open(&path, OpenMode::Read).unwrap_err();
    assert_eq!((error.kind(), error.operation, &error.path), (ErrorKind::NotFound, Operation::Open, &path));
    assert!(error.to_string().starts_with("open /"), "{error}");
    OsDisk.write_atomic(&path, b"x").unwrap();
    assert_eq!(OsDisk.open(&path, OpenMode::CreateNew).unwrap_err().kind(), ErrorKind::Exists);
    assert_eq!(OsDisk.read(&path, 0).unwrap_err().kind(), ErrorKind::Other);
    for (raw, kind) in [(28, ErrorKind::Full), (122, ErrorKind::Full), (5, ErrorKind::Other)] {
        let error = DiskError::new(Operation::Write, &path, io::Error::from_raw_os_error(raw));
        #[cfg(target_os = "linux")]
        assert_eq!(error.kind(), kind, "{raw}");
        #[cfg(not(target_os = "linux"))]
        let _ = (error, kind);
    }
}

#[test]
fn a_listing_tells_files_from_folders_and_links() {
    let dir = folder();
    OsDisk.create_dir_all(&dir.path().join("b/c")).unwrap();
    OsDisk.create_dir_all(&dir.path().join("b/c")).unwrap();
    OsDisk.write_atomic(&dir.path().join("a"), b"abc").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
    let entries = OsDisk.list(dir.path()).unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.kind, entry.len)).collect();
    let link = ("link", EntryKind::Other, 0);
    assert_eq!(&kinds[..2], [("a", EntryKind::File, 3), ("b", EntryKind::Dir, 0)]);
    assert!(!cfg!(unix) || kinds[2] == link);
}

#[test]
fn a_lock_is_held_by_one_at_a_time() {
    let dir = folder();
    let path = dir.path().join("recorder.lock");
    let held = OsDisk.try_lock(&path).unwrap();
    assert!(held.is_some());
    assert!(OsDisk.try_lock(&path).unwrap().is_none());
    drop(held);
    assert!(OsDisk.try_lock(&path).unwrap().is_some());
}

#[test]
fn durable_rename_and_remove_move_and_delete() {
    let dir = folder();
    let (from, to) = (dir.path().join("open/p"), dir.path().join("pending/p"));
    OsDisk.create_dir_all(parent(&from)).unwrap();
    OsDisk.create_dir_all(parent(&to)).unwrap();
    OsDisk.write_atomic(&from, b"x").unwrap();
    OsDisk.rename_durably(&from, &to).unwrap();
    assert!(!OsDisk.exists(&from).unwrap() && OsDisk.exists(&to).unwrap());
    OsDisk.remove_durably(&to).unwrap();
    OsDisk.remove_durably(&to).unwrap();
    assert!(!OsDisk.exists(&to).unwrap());
}

#[test]
fn the_disk_tells_its_space() {
    let dir = folder();
    if let Some(space) = OsDisk.space(dir.path()).unwrap() {
        assert!(space.total_bytes > 0 && space.free_bytes <= space.total_bytes);
    }
}
