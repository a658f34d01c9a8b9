//! The disk itself: operations, their count, and the faults a test schedules.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dashvault_disk::{Disk, DiskError, DiskFile, DiskLock, Entry, EntryKind, OpenMode, Operation, Space};
use fastrand::Rng;

use super::{
    aftermath::{self, is_root},
    file::{Content, CrashFile},
    names::{Names, Node, parent},
};

/// An in-memory disk that can crash. Clones share the same disk; [`CrashDisk::fork`] copies it.
#[derive(Debug, Clone, Default)]
pub struct CrashDisk {
    state: Arc<Mutex<State>>,
}

/// Everything on the disk, and the faults to come.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) names: Names,
    pub(super) contents: Vec<Content>,
    capacity: Option<u64>,
    locks: BTreeSet<PathBuf>,
    operations: u64,
    crash_at: Option<u64>,
    fault: Option<(u64, io::ErrorKind)>,
    crashed: bool,
    /// Rises with every restart: files opened before are dead.
    boot: u64,
}

impl CrashDisk {
    /// An empty disk without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the bytes of all files; `None` for no limit. A disk that holds more already is full.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// How many operations that change something were tried so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Lets the power fail in the `n`-th changing operation from now, counted from 1: it and all after it fail.
    pub fn crash_at(&self, n: u64) {
        let mut state = self.state();
        state.crash_at = Some(state.operations + n);
    }

    /// Lets the power fail now.
    pub fn crash(&self) {
        self.state().crashed = true;
    }

    /// Whether the power has failed.
    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Lets the `n`-th changing operation from now, counted from 1, fail with `kind` and change nothing.
    pub fn fail_at(&self, n: u64, kind: io::ErrorKind) {
        let mut state = self.state();
        state.fault = Some((state.operations + n, kind));
    }

    /// Starts the machine again after a crash (or a reset, when there was none): `seed` decides what became of
    /// everything un-synced. Scheduled faults, locks and open files are gone.
    pub fn restart(&self, seed: u64) {
        let mut state = self.state();
        let rng = &mut Rng::with_seed(seed);
        let live = aftermath::names(std::mem::take(&mut state.names), rng);
        for content in &mut state.contents {
            *content = Content::settled(aftermath::bytes(&content.durable, &content.live, rng));
        }
        state.names = Names { durable: live.clone(), live, ..Names::default() };
        state.locks.clear();
        (state.crash_at, state.fault, state.crashed) = (None, None, false);
        state.boot += 1;
    }

    /// Ends every process without a power cut, as a `SIGKILL` does: all that was written is still there.
    pub fn kill(&self) {
        let mut state = self.state();
        state.locks.clear();
        (state.crash_at, state.fault, state.crashed) = (None, None, false);
        state.boot += 1;
    }

    /// A copy of the disk as it is now, with a fate of its own: to try several seeds from one crash.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.state().clone();
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The paths of all files as a program sees them, in order.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let state = self.state();
        let files = state.names.live.iter().filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `act`, which changes nothing on the disk, unless the power has failed.
    pub(super) fn look<T>(
        &self,
        operation: Operation,
        path: &Path,
        boot: Option<u64>,
        act: impl FnOnce(&State) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        let state = self.state();
        let alive = if state.is_dead(boot) { Err(crashed()) } else { act(&state) };
        alive.map_err(|error| DiskError::new(operation, path, error))
    }

    /// Counts an operation and runs `act`, unless a fault was scheduled for it.
    pub(super) fn change<T>(
        &self,
        operation: Operation,
        path: &Path,
        boot: Option<u64>,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        let mut state = self.state();
        state.try_change(operation, boot, act).map_err(|error| DiskError::new(operation, path, error))
    }
}

impl State {
    /// Bytes that may still be written.
    pub(super) fn free(&self) -> u64 {
        let file_len = |node: &Node| match node {
            Node::File(content) => self.contents[*content].live.len() as u64,
            Node::Dir => 0,
        };
        let used: u64 = self.names.live.values().map(file_len).sum();
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used))
    }

    fn is_dead(&self, boot: Option<u64>) -> bool {
        self.crashed || boot.is_some_and(|boot| boot != self.boot)
    }

    fn try_change<T>(
        &mut self,
        operation: Operation,
        boot: Option<u64>,
        act: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.is_dead(boot) {
            return Err(crashed());
        }
        self.operations += 1;
        if let Some((_, kind)) = self.fault.take_if(|(at, _)| *at == self.operations) {
            return Err(kind.into());
        }
        if self.crash_at != Some(self.operations) {
            return act(self);
        }
        // A sync that the crash interrupts promised nothing. Any other change is made but un-synced, so that the
        // restart decides about it.
        if !matches!(operation, Operation::SyncData | Operation::SyncDir) {
            let _ = act(self);
        }
        self.crashed = true;
        Err(crashed())
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        let root = is_root(path).then_some(Node::Dir);
        self.names.live.get(path).copied().or(root).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn require_dir(&self, path: &Path) -> io::Result<()> {
        match self.node(path)? {
            Node::Dir => Ok(()),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn content_of(&self, path: &Path) -> io::Result<usize> {
        match self.node(path)? {
            Node::File(content) => Ok(content),
            Node::Dir => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn create(&mut self, path: &Path) -> io::Result<usize> {
        self.require_dir(parent(path))?;
        let content = self.contents.len();
        self.contents.push(Content::default());
        self.names.link(path, Node::File(content));
        Ok(content)
    }

    fn open(&mut self, path: &Path, mode: OpenMode) -> io::Result<usize> {
        let existing = self.content_of(path);
        match (mode, existing) {
            (OpenMode::CreateNew, Ok(_)) => Err(io::ErrorKind::AlreadyExists.into()),
            (OpenMode::Truncate, Ok(content)) => {
                self.contents[content].set_len(0);
                Ok(content)
            }
            (OpenMode::Create | OpenMode::CreateNew | OpenMode::Truncate, Err(error))
                if error.kind() == io::ErrorKind::NotFound =>
            {
                self.create(path)
            }
            (_, existing) => existing,
        }
    }
}

fn crashed() -> io::Error {
    io::Error::other("the disk has crashed")
}

impl Disk for CrashDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        let creates = !matches!(mode, OpenMode::Read | OpenMode::Write);
        let content = if creates {
            self.change(Operation::Open, path, None, |state| state.open(path, mode))
        } else {
            self.look(Operation::Open, path, None, |state| state.content_of(path))
        }?;
        let boot = self.state().boot;
        let (disk, path) = (self.clone(), path.to_owned());
        Ok(Arc::new(CrashFile { disk, boot, content, path, writable: mode != OpenMode::Read }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.change(Operation::Rename, from, None, |state| {
            let content = state.content_of(from)?;
            state.require_dir(parent(to))?;
            if state.names.live.get(to) == Some(&Node::Dir) {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if from != to {
                state.names.rename(from, to, Node::File(content));
            }
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.change(Operation::Remove, path, None, |state| {
            state.content_of(path)?;
            state.names.unlink(path, None);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.change(Operation::SyncDir, dir, None, |state| {
            state.require_dir(dir)?;
            state.names.sync_dir(dir);
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, DiskError> {
        self.look(Operation::List, dir, None, |state| {
            state.require_dir(dir)?;
            let inside = state.names.live.iter().filter(|(path, _)| parent(path) == dir && *path != dir);
            let entry = |(path, node): (&PathBuf, &Node)| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                match node {
                    Node::Dir => Entry { name, kind: EntryKind::Dir, len: 0 },
                    Node::File(content) => {
                        let len = state.contents[*content].live.len() as u64;
                        Entry { name, kind: EntryKind::File, len }
                    }
                }
            };
            Ok(inside.map(entry).collect())
        })
    }

    fn len(&self, path: &Path) -> Result<u64, DiskError> {
        self.look(Operation::Length, path, None, |state| match state.node(path)? {
            Node::Dir => Ok(0),
            Node::File(content) => Ok(state.contents[content].live.len() as u64),
        })
    }

    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        match self.look(Operation::CreateDir, dir, None, |state| state.require_dir(dir)) {
            Err(error) if error.is_not_found() => {}
            result => return result,
        }
        self.create_dir_all(parent(dir))?;
        self.change(Operation::CreateDir, dir, None, |state| {
            state.names.link(dir, Node::Dir);
            Ok(())
        })?;
        self.sync_dir(parent(dir))
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.change(Operation::Remove, dir, None, |state| {
            state.require_dir(dir)?;
            if state.names.live.keys().any(|path| parent(path) == dir && path != dir) {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            state.names.unlink(dir, None);
            Ok(())
        })
    }

    fn space(&self, path: &Path) -> Result<Option<Space>, DiskError> {
        self.look(Operation::Space, path, None, |state| {
            let space = |total_bytes| Space { free_bytes: state.free(), total_bytes };
            Ok(state.capacity.map(space))
        })
    }

    fn try_lock(&self, path: &Path) -> Result<Option<DiskLock>, DiskError> {
        self.open(path, OpenMode::Create)?;
        let (is_free, boot) = {
            let mut state = self.state();
            (state.locks.insert(path.to_owned()), state.boot)
        };
        let held = || Held { disk: self.clone(), boot, path: path.to_owned() };
        Ok(is_free.then(|| DiskLock::holding(held())))
    }
}

/// Releases a lock of this boot when dropped.
struct Held {
    disk: CrashDisk,
    boot: u64,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.boot == self.boot {
            state.locks.remove(&self.path);
        }
    }
}
