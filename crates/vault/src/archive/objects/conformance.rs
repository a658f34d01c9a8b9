//! What every [`ObjectStore`] must do; a backend's own test calls [`passes`] with an empty store.

use std::path::{Path, PathBuf};

use super::{ObjectError, ObjectKey, ObjectStore};

/// Runs the whole suite against an empty `store`; `scratch` is a folder that files may be put from.
pub(crate) fn passes(store: &dyn ObjectStore, scratch: &Path) {
    what_is_put_can_be_read_by_range(store, scratch);
    a_taken_key_is_never_replaced(store, scratch);
    what_is_not_there_is_said_so(store);
    walk_shows_recordings_in_order(store, scratch);
    what_is_there_can_be_synced_again(store, scratch);
    delete_removes_and_may_be_repeated(store, scratch);
}

fn key(device: &str, pack: &str) -> ObjectKey {
    ObjectKey {
        device: device.parse().unwrap(),
        camera: "front".parse().unwrap(),
        pack: pack.parse().unwrap(),
    }
}

fn file(scratch: &Path, bytes: &[u8]) -> PathBuf {
    let path = scratch.join("to-put.ts");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn content(store: &dyn ObjectStore, key: &ObjectKey) -> Vec<u8> {
    let object = store.open(key).unwrap();
    let mut bytes = vec![0; usize::try_from(object.len()).unwrap()];
    let mut at = 0;
    while at < bytes.len() {
        let read = object.read_at(&mut bytes[at..], at as u64).unwrap();
        assert_ne!(read, 0, "the object ends at {at}");
        at += read;
    }
    bytes
}

fn what_is_put_can_be_read_by_range(store: &dyn ObjectStore, scratch: &Path) {
    let key = key("a", "20261122-101500_00000");
    let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
    let from = file(scratch, &bytes);
    store.put_file_durable(&key, &from).unwrap();
    assert!(!from.exists(), "the file is moved, not copied");
    assert_eq!(store.stat(&key).unwrap(), Some(100_000));
    assert_eq!(content(store, &key), bytes);
    let object = store.open(&key).unwrap();
    let mut middle = [0; 10];
    assert_eq!(object.read_at(&mut middle, 50_000).unwrap(), 10);
    assert_eq!(middle, bytes[50_000..50_010]);
    assert_eq!(object.read_at(&mut middle, 100_000).unwrap(), 0);
    assert_eq!(object.read_at(&mut middle, 1 << 40).unwrap(), 0);
}

fn a_taken_key_is_never_replaced(store: &dyn ObjectStore, scratch: &Path) {
    let key = key("a", "20261122-101500_00001");
    store.put_file_durable(&key, &file(scratch, b"first")).unwrap();
    let from = file(scratch, b"other");
    assert!(matches!(store.put_file_durable(&key, &from), Err(ObjectError::Exists(taken)) if taken == key));
    assert_eq!(content(store, &key), b"first");
    assert!(from.exists(), "what was refused is still there");
}

fn what_is_not_there_is_said_so(store: &dyn ObjectStore) {
    let key = key("nobody", "20261122-101500_00000");
    assert_eq!(store.stat(&key).unwrap(), None);
    assert!(matches!(store.open(&key), Err(ObjectError::NotFound(_))));
}

fn what_is_there_can_be_synced_again(store: &dyn ObjectStore, scratch: &Path) {
    let key = key("d", "20261122-101500_00000");
    assert!(matches!(store.sync(&key), Err(ObjectError::NotFound(missing)) if missing == key));
    store.put_file_durable(&key, &file(scratch, b"x")).unwrap();
    store.sync(&key).unwrap();
    assert_eq!(content(store, &key), b"x");
    store.delete(&key).unwrap();
}

fn walk_shows_recordings_in_order(store: &dyn ObjectStore, scratch: &Path) {
    for pack in ["20261122-101600_00000", "20261122-101500_00010"] {
        store.put_file_durable(&key("a", pack), &file(scratch, b"x")).unwrap();
    }
    store.put_file_durable(&key("B", "20261122-101500_00000"), &file(scratch, b"xy")).unwrap();
    let mut seen = Vec::new();
    store
        .walk(&mut |found| {
            let packs = found.objects.iter().map(|(pack, len)| (pack.to_string(), *len));
            seen.push((found.device.to_string(), packs.collect::<Vec<_>>()));
        })
        .unwrap();
    let pack = |name: &str, len| (name.to_owned(), len);
    assert_eq!(
        seen,
        [
            ("B".to_owned(), vec![pack("20261122-101500_00000", 2)]),
            (
                "a".to_owned(),
                vec![
                    pack("20261122-101500_00000", 100_000),
                    pack("20261122-101500_00001", 5),
                    pack("20261122-101500_00010", 1),
                ]
            ),
            ("a".to_owned(), vec![pack("20261122-101600_00000", 1)]),
        ]
    );
}

fn delete_removes_and_may_be_repeated(store: &dyn ObjectStore, scratch: &Path) {
    let key = key("c", "20261122-101500_00000");
    store.put_file_durable(&key, &file(scratch, b"x")).unwrap();
    store.delete(&key).unwrap();
    store.delete(&key).unwrap();
    assert_eq!(store.stat(&key).unwrap(), None);
}
