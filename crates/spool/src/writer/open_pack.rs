//! The open pack: its two files, and every write to them in its order.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dashvault_base::{CameraName, ContentHash, LossCause};
use dashvault_disk::{Disk, DiskError, DiskFile, OpenMode};
use dashvault_media::{Manifest, SealedBy, SegmentEntry, SignedManifest, trailer};

use super::{PackStart, SealedPack};
use crate::{Folder, SpoolError, journal::JournalWriter, spool::Inner};

/// A pack being written.
#[derive(Debug)]
pub(super) struct OpenPack {
    pub(super) start: PackStart,
    previous: ContentHash,
    /// `None` while the disk has no room for a new pack.
    files: Option<Files>,
    /// The durable segments.
    pub(super) segments: Vec<SegmentEntry>,
    /// Their bytes.
    pub(super) body_len: u64,
    /// Bytes given for the segment that has not ended.
    pub(super) given: u64,
    /// That segment is not written, for this cause.
    pub(super) dropping: Option<LossCause>,
    /// What readers may rely on.
    pub(super) readable: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Files {
    pack: Arc<dyn DiskFile>,
    journal: JournalWriter,
}

impl OpenPack {
    pub(super) fn new(start: PackStart, previous: ContentHash) -> Self {
        Self {
            start,
            previous,
            files: None,
            segments: Vec::new(),
            body_len: 0,
            given: 0,
            dropping: None,
            readable: Arc::default(),
        }
    }

    pub(super) fn has_files(&self) -> bool {
        self.files.is_some()
    }

    /// Creates journal and pack. Returns after both names are durable; on an error neither is there.
    pub(super) fn create(&mut self, inner: &Inner, camera: &CameraName) -> Result<(), SpoolError> {
        let Inner { disk, layout, .. } = inner;
        let (start, previous) = (self.start, self.previous);
        let create = || -> Result<Files, DiskError> {
            let journal =
                JournalWriter::create(&**disk, &layout.journal(camera, start.pack), start, previous)?;
            // Nobody has a pack of this name: what may be there is the scrap of an earlier try.
            let pack = disk.open(&layout.pack(camera, Folder::Open, start.pack), OpenMode::Truncate)?;
            disk.sync_dir(&layout.folder(camera, Folder::Open))?;
            Ok(Files { pack, journal })
        };
        match create() {
            Ok(files) => self.files = Some(files),
            Err(error) => {
                self.delete(inner, camera);
                return Err(error.into());
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Result<(), SpoolError> {
        match &self.files {
            Some(files) => Ok(files.pack.write_all_at(bytes, offset)?),
            None => Err(self.no_files()),
        }
    }

    pub(super) fn sync(&self) -> Result<(), SpoolError> {
        match &self.files {
            Some(files) => Ok(files.pack.sync_data()?),
            None => Err(self.no_files()),
        }
    }

    pub(super) fn write_journal(&mut self, entry: &SegmentEntry) -> Result<(), SpoolError> {
        match &mut self.files {
            Some(files) => Ok(files.journal.append(entry)?),
            None => Err(self.no_files()),
        }
    }

    /// Takes a segment in that is durable; gives its offset.
    pub(super) fn take_in(&mut self, entry: &SegmentEntry) -> u64 {
        let offset = self.body_len;
        self.body_len = offset.saturating_add(entry.len.into());
        self.segments.push(*entry);
        self.readable.store(self.body_len, Ordering::Release);
        offset
    }

    /// Cuts off what is not durable. A failure does no harm: the next segment overwrites it, and sealing cuts again.
    pub(super) fn truncate(&self) {
        if let Some(files) = &self.files {
            let _ = files.pack.set_len(self.body_len);
        }
    }

    /// Removes both files; what a crash brings back of an empty pack, recovery deletes.
    pub(super) fn delete(&mut self, inner: &Inner, camera: &CameraName) {
        let Inner { disk, layout, .. } = inner;
        self.files = None;
        let _ = disk.remove(&layout.pack(camera, Folder::Open, self.start.pack));
        let _ = disk.remove(&layout.journal(camera, self.start.pack));
    }

    /// Every step may be done again when a later one has failed.
    pub(super) fn seal(&self, inner: &Inner, camera: &CameraName) -> Result<SealedPack, SpoolError> {
        let Some(files) = &self.files else { return Err(self.no_files()) };
        let pack = self.start.pack;
        let manifest = Manifest {
            device: inner.device.clone(),
            camera: camera.clone(),
            pack,
            sealed_by: SealedBy::Device,
            start_wall: self.start.start_wall,
            start_mono_ms: self.start.start_mono_ms,
            boot_id: self.start.boot_id,
            previous: self.previous,
            segments: self.segments.clone(),
        };
        let signed =
            SignedManifest::sign(manifest, &inner.key).map_err(|source| SpoolError::Seal { pack, source })?;
        let bytes = inner.finish_pack(&*files.pack, camera, &signed)?;
        Ok(SealedPack { pack, signed, bytes })
    }

    fn no_files(&self) -> SpoolError {
        // Only where the disk had no room for them.
        let path = self.start.pack.file_name();
        DiskError::new(
            dashvault_disk::Operation::Write,
            path.as_ref(),
            std::io::ErrorKind::StorageFull.into(),
        )
        .into()
    }
}

impl Inner {
    /// Writes the trailer of a pack whose body is durable, moves it to `pending` and puts it on the shelf. Returns
    /// its length after all of that is durable. May be done again when it has failed.
    pub(crate) fn finish_pack(
        &self,
        file: &dyn DiskFile,
        camera: &CameraName,
        signed: &SignedManifest,
    ) -> Result<u64, SpoolError> {
        let body_len = signed.manifest().body_len();
        let trailer = trailer(signed);
        let bytes = body_len.saturating_add(trailer.len() as u64);
        self.with_room(trailer.len() as u64, &mut || {
            file.set_len(body_len)?;
            file.write_all_at(&trailer, body_len)?;
            Ok(file.sync_data()?)
        })?;
        self.move_to_pending(camera, signed.manifest(), bytes)?;
        Ok(bytes)
    }

    /// Moves a sealed pack of which all `bytes` are durable, and puts it on the shelf; its journal is of no use then.
    pub(crate) fn move_to_pending(
        &self,
        camera: &CameraName,
        manifest: &Manifest,
        bytes: u64,
    ) -> Result<(), SpoolError> {
        let (Self { disk, layout, .. }, pack) = (self, manifest.pack);
        let place = |folder| layout.pack(camera, folder, pack);
        rename_again(&**disk, &place(Folder::Open), &place(Folder::Pending))?;
        {
            let mut state = self.state();
            let shelf = state.cameras.entry(camera.clone()).or_default();
            shelf.seal(pack, bytes, manifest.hash());
        }
        match disk.remove(&layout.journal(camera, pack)) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// As [`Disk::rename_durably`], but where an earlier try has renamed already, only syncs.
pub(crate) fn rename_again(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), DiskError> {
    match disk.rename_durably(from, to) {
        Err(error) if error.is_not_found() && disk.exists(to)? => {
            [to, from].into_iter().filter_map(Path::parent).try_for_each(|folder| disk.sync_dir(folder))
        }
        result => result,
    }
}
