//! [`Spool`]: what the uploader, the janitor and the status page share.
//!
//! Four locks, always taken in this order: `sealing`, held while packs without a writer are sealed; `moves`, held while packs change folders or are deleted, also over the
//! syncs that takes; `loss_files`, held while a loss's file is written or removed; and `state`, held only to look or
//! to note. A camera's writer takes `sealing` only to start a pack, and the next two only when the disk is full, so its
//! syncs wait for nobody.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, RecordingId, WallMs};
use dashvault_disk::{Disk, DiskError, DiskLock, DiskReader, OpenMode};
use dashvault_media::{PackError, SignedManifest, SigningKey, read_manifest};

use crate::{
    CameraSpool, Folder, PackReader, QuotaReport, RecoveryReport, SpoolConfig, SpoolError, SpoolLayout, loss,
    recovery,
    shelf::{Shelf, Shelved, State},
    writer::rename_again,
};

mod losses;

/// Room asked for when a small file does not fit.
const SMALL_FILE_BYTES: u64 = 64 << 10;

/// The spool of one recorder. Clones share it.
#[derive(Debug, Clone)]
pub struct Spool {
    inner: Arc<Inner>,
}

/// One pack as the spool knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackInfo {
    /// The camera.
    pub camera: CameraName,
    /// The pack.
    pub pack: PackId,
    /// Its state.
    pub folder: Folder,
    /// Length of its file; of an open pack, of its durable segments.
    pub bytes: u64,
    /// An event keeps it.
    pub locked: bool,
}

/// What [`Spool`] and its writers share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) layout: SpoolLayout,
    pub(crate) device: DeviceId,
    pub(crate) key: SigningKey,
    pub(crate) config: SpoolConfig,
    sealing: Mutex<()>,
    moves: Mutex<()>,
    pub(crate) loss_files: Mutex<()>,
    state: Mutex<State>,
    _lock: DiskLock,
}

impl Spool {
    /// Takes the spool at `root` for this process, creating it where there is none, and puts in order what a crash
    /// left: see [`RecoveryReport`]. Every pack is sealed and pending, or stored, when it returns (but for those
    /// that a full disk left open).
    ///
    /// # Errors
    /// [`SpoolError::InUse`], or the disk fails.
    pub fn open(
        disk: Arc<dyn Disk>,
        root: &Path,
        device: DeviceId,
        key: SigningKey,
        config: SpoolConfig,
    ) -> Result<(Self, RecoveryReport), SpoolError> {
        Self::open_and(disk, root, device, key, config, None)
    }

    /// As [`Spool::open`], and signs with `key` every pending pack that another key has signed, if it is of `device` or
    /// of one in `from`: it is this device's then, with the same footage. Reads and copies each such pack once.
    ///
    /// # Errors
    /// As [`Spool::open`].
    pub fn open_adopting(
        disk: Arc<dyn Disk>,
        root: &Path,
        device: DeviceId,
        key: SigningKey,
        config: SpoolConfig,
        from: &[DeviceId],
    ) -> Result<(Self, RecoveryReport), SpoolError> {
        Self::open_and(disk, root, device, key, config, Some(from))
    }

    fn open_and(
        disk: Arc<dyn Disk>,
        root: &Path,
        device: DeviceId,
        key: SigningKey,
        config: SpoolConfig,
        adopt_from: Option<&[DeviceId]>,
    ) -> Result<(Self, RecoveryReport), SpoolError> {
        let layout = SpoolLayout::new(root);
        disk.create_dir_all(root)?;
        let lock = disk.try_lock(&layout.lock_file())?;
        let lock = lock.ok_or_else(|| SpoolError::InUse { root: root.to_owned() })?;
        let (state, mut report) = recovery::tidy(&*disk, &layout)?;
        let (sealing, moves, loss_files) = (Mutex::default(), Mutex::default(), Mutex::default());
        let state = Mutex::new(state);
        let inner =
            Inner { disk, layout, device, key, config, sealing, moves, loss_files, state, _lock: lock };
        if let Some(from) = adopt_from {
            recovery::adopt_pending(&inner, from, &mut report)?;
        }
        recovery::seal_open_packs(&inner, &mut report)?;
        if adopt_from.is_some() {
            recovery::forget_notes(&inner, &report)?;
        }
        Ok((Self { inner: Arc::new(inner) }, report))
    }

    /// The writer of one camera; its folders are created where they are missing.
    ///
    /// # Errors
    /// [`SpoolError::CameraTaken`] while another value writes it, or the disk fails.
    pub fn camera(&self, camera: &CameraName) -> Result<CameraSpool, SpoolError> {
        for folder in self.inner.layout.folders(camera) {
            self.inner.with_room(4096, &mut || Ok(self.inner.disk.create_dir_all(&folder)?))?;
        }
        loss::keep_reserve(&*self.inner.disk, &self.inner.layout, camera)?;
        let mut state = self.inner.state();
        let shelf = state.cameras.entry(camera.clone()).or_default();
        if std::mem::replace(&mut shelf.taken, true) {
            return Err(SpoolError::CameraTaken { camera: camera.clone() });
        }
        Ok(CameraSpool::new(Arc::clone(&self.inner), camera.clone()))
    }

    /// The id for a recording that starts now. Later than any other of this camera, also when the clock was set
    /// back, so that packs sort in the order they were recorded. Returns after the id is durably taken (but on a
    /// full disk, where only the packs that are there keep it from being given again).
    ///
    /// # Errors
    /// The disk fails other than by being full.
    pub fn next_recording_id(&self, camera: &CameraName, wall: WallMs) -> Result<RecordingId, SpoolError> {
        let id = {
            let mut state = self.inner.state();
            state.cameras.entry(camera.clone()).or_default().next_recording(RecordingId::at(wall))
        };
        let Inner { disk, layout, .. } = &*self.inner;
        disk.create_dir_all(&layout.camera(camera))?;
        match disk.write_atomic(&layout.last_recording(camera), id.to_string().as_bytes()) {
            Err(error) if !error.is_full() => Err(error.into()),
            _ => Ok(id),
        }
    }

    /// The packs in `folder`, oldest first for each camera.
    #[must_use]
    pub fn packs(&self, folder: Folder) -> Vec<PackInfo> {
        let state = self.inner.state();
        let of_camera = |(camera, shelf): (&CameraName, &Shelf)| {
            let packs = shelf.packs.iter().filter(|(_, shelved)| shelved.folder == folder);
            packs.map(|(pack, shelved)| info(camera, *pack, shelved)).collect::<Vec<_>>()
        };
        state.cameras.iter().flat_map(of_camera).collect()
    }

    /// One pack; `None` where it is not here (any more).
    #[must_use]
    pub fn pack(&self, camera: &CameraName, pack: PackId) -> Option<PackInfo> {
        self.inner.state().pack(camera, pack).map(|shelved| info(camera, pack, shelved))
    }

    /// Bytes of all packs.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.inner.state().used_bytes()
    }

    /// The manifest of a sealed pack, read from its trailer; its signature is checked, its body is not.
    ///
    /// # Errors
    /// [`SpoolError::NoSuchPack`], [`SpoolError::WrongState`] while it is open, [`SpoolError::Unsound`].
    pub fn manifest(&self, camera: &CameraName, pack: PackId) -> Result<SignedManifest, SpoolError> {
        self.inner.manifest(camera, pack)
    }

    /// Opens a pack in any state to read what is durable of it.
    ///
    /// # Errors
    /// [`SpoolError::NoSuchPack`], or the disk fails.
    pub fn reader(&self, camera: &CameraName, pack: PackId) -> Result<PackReader, SpoolError> {
        self.inner.reader(camera, pack)
    }

    /// Moves a pack to `stored`, on a receipt that the caller has checked to be the vault's. `manifest` and `bytes`
    /// are what it says of the pack; `receipt` is kept beside it. Once more is no error. Returns after the move is
    /// durable: from then on the pack may be evicted.
    ///
    /// # Errors
    /// [`SpoolError::ReceiptMismatch`] when the pack has other content; [`SpoolError::WrongState`] while it is open;
    /// [`SpoolError::NoSuchPack`]; or the disk fails.
    pub fn mark_stored(
        &self,
        camera: &CameraName,
        pack: PackId,
        manifest: ContentHash,
        bytes: u64,
        receipt: &[u8],
    ) -> Result<(), SpoolError> {
        let _moves = self.inner.moves();
        let found = self.pack(camera, pack).ok_or_else(|| no_such_pack(camera, pack))?;
        let mismatch = |what| SpoolError::ReceiptMismatch { camera: camera.clone(), pack, what };
        if self.manifest(camera, pack)?.manifest().hash() != manifest {
            return Err(mismatch("manifest hash"));
        }
        if found.bytes != bytes {
            return Err(mismatch("length"));
        }
        if found.folder == Folder::Stored {
            return Ok(());
        }
        let Inner { disk, layout, .. } = &*self.inner;
        match disk.write_atomic(&layout.receipt(camera, pack), receipt) {
            // The folder is the state. On a full disk the move, which makes room possible, matters more.
            Err(error) if error.is_full() => {}
            result => result?,
        }
        let place = |folder| layout.pack(camera, folder, pack);
        rename_again(&**disk, &place(Folder::Pending), &place(Folder::Stored))?;
        if let Some(shelved) = self.inner.state().pack_mut(camera, pack) {
            shelved.folder = Folder::Stored;
        }
        Ok(())
    }

    /// Moves a stored pack back to `pending`, since the vault has lost it: it is to be sent again, and counts as not in
    /// the vault until then. `None` where there is no such stored pack. Returns after the move is durable.
    ///
    /// # Errors
    /// The disk fails.
    pub fn take_back(&self, camera: &CameraName, pack: PackId) -> Result<Option<PackInfo>, SpoolError> {
        let _moves = self.inner.moves();
        if self.pack(camera, pack).is_none_or(|found| found.folder != Folder::Stored) {
            return Ok(None);
        }
        let Inner { disk, layout, .. } = &*self.inner;
        let place = |folder| layout.pack(camera, folder, pack);
        rename_again(&**disk, &place(Folder::Stored), &place(Folder::Pending))?;
        if let Some(shelved) = self.inner.state().pack_mut(camera, pack) {
            shelved.folder = Folder::Pending;
        }
        match disk.remove(&layout.receipt(camera, pack)) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(self.pack(camera, pack)),
        }
    }

    /// Keeps a pack, in any state, from eviction; `event` is kept in its marker. Returns after that is durable.
    ///
    /// # Errors
    /// [`SpoolError::NoSuchPack`], or the disk fails.
    pub fn lock(&self, camera: &CameraName, pack: PackId, event: &[u8]) -> Result<(), SpoolError> {
        let _moves = self.inner.moves();
        if self.pack(camera, pack).is_none() {
            return Err(no_such_pack(camera, pack));
        }
        let marker = self.inner.layout.marker(camera, pack);
        match self.inner.disk.write_atomic(&marker, event) {
            Err(error) if error.is_full() => {
                self.inner.make_room_for(SMALL_FILE_BYTES, Some((camera, pack)))?;
                self.inner.disk.write_atomic(&marker, event)?;
            }
            result => result?,
        }
        self.inner.note_lock(camera, pack, true);
        Ok(())
    }

    /// Lets a pack be evicted again. Returns after that is durable; a pack that is not locked is no error.
    ///
    /// # Errors
    /// The disk fails.
    pub fn unlock(&self, camera: &CameraName, pack: PackId) -> Result<(), SpoolError> {
        let _moves = self.inner.moves();
        self.inner.disk.remove_durably(&self.inner.layout.marker(camera, pack))?;
        self.inner.note_lock(camera, pack, false);
        Ok(())
    }

    /// Brings the spool within its quota and the disk within its reserve, as far as may be deleted; decides whether
    /// new segments are taken; writes losses, and seals packs, that a full disk had refused. To be called every few
    /// seconds, by one thread.
    ///
    /// # Errors
    /// The disk fails.
    pub fn enforce_quota(&self) -> Result<QuotaReport, SpoolError> {
        let report = {
            let _moves = self.inner.moves();
            self.inner.enforce_quota()?
        };
        for loss in self.inner.unwritten_losses() {
            self.inner.write_loss(&loss.camera, &loss.id)?;
        }
        let cameras: Vec<CameraName> = self.inner.state().cameras.keys().cloned().collect();
        for camera in cameras {
            loss::keep_reserve(&*self.inner.disk, &self.inner.layout, &camera)?;
        }
        recovery::seal_left_over(&self.inner, None)?;
        Ok(report)
    }

    /// The spool's paths.
    #[must_use]
    pub fn layout(&self) -> &SpoolLayout {
        &self.inner.layout
    }
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sealing(&self) -> MutexGuard<'_, ()> {
        self.sealing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn moves(&self) -> MutexGuard<'_, ()> {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn manifest(&self, camera: &CameraName, pack: PackId) -> Result<SignedManifest, SpoolError> {
        let open =
            || SpoolError::WrongState { camera: camera.clone(), pack, found: "open", expected: "sealed" };
        if self.state().pack(camera, pack).is_some_and(|shelved| shelved.folder == Folder::Open) {
            return Err(open());
        }
        let reader = self.reader(camera, pack)?;
        let unsound = |source: PackError| SpoolError::Unsound {
            camera: camera.clone(),
            pack,
            source: Box::new(source),
        };
        read_manifest(&mut DiskReader::new(reader.file)).map_err(unsound)?.ok_or_else(open)
    }

    pub(crate) fn reader(&self, camera: &CameraName, pack: PackId) -> Result<PackReader, SpoolError> {
        // It can move on between the look and the open, twice at most.
        let mut last: Option<DiskError> = None;
        for _ in Folder::ALL {
            let shelved =
                self.state().pack(camera, pack).cloned().ok_or_else(|| no_such_pack(camera, pack))?;
            match self.disk.open(&self.layout.pack(camera, shelved.folder, pack), OpenMode::Read) {
                Ok(file) => return Ok(PackReader { file, readable: shelved.readable }),
                Err(error) if error.is_not_found() => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        // It was moved, but that could not be made durable, so it does not count as moved.
        if let Some(shelved) = self.state().pack(camera, pack).cloned() {
            for folder in Folder::ALL {
                if let Ok(file) = self.disk.open(&self.layout.pack(camera, folder, pack), OpenMode::Read) {
                    return Ok(PackReader { file, readable: shelved.readable });
                }
            }
        }
        Err(last.map_or_else(|| no_such_pack(camera, pack), SpoolError::from))
    }

    fn note_lock(&self, camera: &CameraName, pack: PackId, locked: bool) {
        if let Some(shelved) = self.state().pack_mut(camera, pack) {
            shelved.locked = locked;
        }
    }
}

fn info(camera: &CameraName, pack: PackId, shelved: &Shelved) -> PackInfo {
    let Shelved { folder, locked, .. } = *shelved;
    PackInfo { camera: camera.clone(), pack, folder, bytes: shelved.bytes(), locked }
}

fn no_such_pack(camera: &CameraName, pack: PackId) -> SpoolError {
    SpoolError::NoSuchPack { camera: camera.clone(), pack }
}
