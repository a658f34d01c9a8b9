//! Pictures on disk, at most so many bytes; those not asked for for longest go first. Blocking.
//!
//! Invariant: losing any of it costs only time. What is torn is no picture and is made again.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use dashvault_disk::{Disk, DiskError, EntryKind, is_temporary};

use super::{MOST_BYTES, is_jpeg};

/// The cache; a picture is a file `<name>.jpg`.
#[derive(Debug)]
pub(super) struct Cache {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    most_bytes: u64,
    kept: Mutex<Kept>,
}

/// What is there.
#[derive(Debug, Default)]
struct Kept {
    /// Length, and when it was asked for last.
    pictures: HashMap<String, (u64, u64)>,
    bytes: u64,
    /// Counts up with each question.
    now: u64,
}

impl Cache {
    /// Opens the folder, makes it where it is missing, and removes what a crash left.
    pub(super) fn open(disk: Arc<dyn Disk>, folder: PathBuf, most_bytes: u64) -> Result<Self, DiskError> {
        disk.create_dir_all(&folder)?;
        let mut kept = Kept::default();
        for entry in disk.list(&folder)? {
            if is_temporary(&entry.name) {
                let _ = disk.remove(&folder.join(&entry.name));
            } else if let Some(name) =
                entry.name.strip_suffix(".jpg").filter(|_| entry.kind == EntryKind::File)
            {
                kept.bytes += entry.len;
                kept.pictures.insert(name.to_owned(), (entry.len, 0));
            }
        }
        let cache = Self { disk, folder, most_bytes, kept: Mutex::new(kept) };
        cache.make_room(0);
        Ok(cache)
    }

    /// A picture that is here.
    pub(super) fn find(&self, name: &str) -> Option<Bytes> {
        if !self.kept().touch(name) {
            return None;
        }
        let read = self.disk.read(&self.path(name), MOST_BYTES as u64).ok().filter(|bytes| is_jpeg(bytes));
        if read.is_none() {
            self.forget(name);
        }
        read.map(Bytes::from)
    }

    /// Keeps a picture, and lets others go for it.
    pub(super) fn keep(&self, name: &str, jpeg: &[u8]) -> Result<(), DiskError> {
        let bytes = jpeg.len() as u64;
        if bytes > self.most_bytes {
            return Ok(());
        }
        self.make_room(bytes);
        self.disk.write_atomic(&self.path(name), jpeg)?;
        self.kept().add(name, bytes);
        Ok(())
    }

    fn make_room(&self, needed: u64) {
        loop {
            let oldest = {
                let kept = self.kept();
                if kept.bytes.saturating_add(needed) <= self.most_bytes {
                    return;
                }
                kept.pictures.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| name.clone())
            };
            match oldest {
                Some(name) => self.forget(&name),
                None => return,
            }
        }
    }

    fn forget(&self, name: &str) {
        self.kept().remove(name);
        // One that cannot be removed is seen again at the next start.
        let _ = self.disk.remove(&self.path(name));
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.folder).join(format!("{name}.jpg"))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn touch(&mut self, name: &str) -> bool {
        self.now += 1;
        let now = self.now;
        self.pictures.get_mut(name).map(|(_, used)| *used = now).is_some()
    }

    fn add(&mut self, name: &str, bytes: u64) {
        self.remove(name);
        self.now += 1;
        self.bytes += bytes;
        self.pictures.insert(name.to_owned(), (bytes, self.now));
    }

    fn remove(&mut self, name: &str) {
        if let Some((bytes, _)) = self.pictures.remove(name) {
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use dashvault_disk::OsDisk;
    use proptest::prelude::*;

    use super::*;

    fn picture(bytes: usize) -> Vec<u8> {
        let mut jpeg = vec![0; bytes.max(4)];
        jpeg[..2].copy_from_slice(&[0xFF, 0xD8]);
        let end = jpeg.len() - 2;
        jpeg[end..].copy_from_slice(&[0xFF, 0xD9]);
        jpeg
    }

    fn open(folder: &Path, most_bytes: u64) -> Cache {
        Cache::open(Arc::new(OsDisk), folder.to_owned(), most_bytes).unwrap()
    }

    #[test]
    fn the_one_not_asked_for_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path(), 300);
        for name in ["a", "b", "c"] {
            cache.keep(name, &picture(100)).unwrap();
        }
        assert!(cache.find("a").is_some());
        cache.keep("d", &picture(100)).unwrap();
        assert!(cache.find("b").is_none());
        assert!(cache.find("a").is_some() && cache.find("c").is_some() && cache.find("d").is_some());
    }

    #[test]
    fn a_restart_keeps_pictures_and_removes_what_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), 1000).keep("a", &picture(100)).unwrap();
        std::fs::write(folder.path().join("b.jpg"), [0xFF, 0xD8, 0]).unwrap();
        std::fs::write(folder.path().join("c.jpg.1.tmp~"), b"half").unwrap();
        let cache = open(folder.path(), 1000);
        assert!(cache.find("a").is_some());
        assert!(cache.find("b").is_none());
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["a.jpg"]);
        assert!(open(folder.path(), 50).find("a").is_none(), "a smaller bound holds from the start");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn the_bound_holds_and_the_books_are_right(steps in prop::collection::vec((0..12u8, 4..200usize, any::<bool>()), 1..60)) {
            let folder = tempfile::tempdir().unwrap();
            let cache = open(folder.path(), 500);
            for (name, bytes, keep) in steps {
                if keep { cache.keep(&name.to_string(), &picture(bytes)).unwrap(); } else { cache.find(&name.to_string()); }
                let on_disk: u64 = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
                prop_assert!(on_disk <= 500);
                prop_assert_eq!(cache.kept().bytes, on_disk);
            }
        }
    }
}
