//! Reading objects for viewers: a few threads of their own, so that a slow disk never holds up the runtime.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use bytes::Bytes;
use dashvault_base::{CameraName, DeviceId, WallMs};
use dashvault_disk::{Disk, DiskError, Entry};
use tokio::sync::{mpsc, oneshot};

use super::{StoreError, Track};
use crate::{
    archive::objects::{ObjectError, ObjectKey, ObjectReader, ObjectStore},
    assembler::scratch,
    layout::Layout,
};

const THREADS: usize = 2;
/// Reads that wait; a viewer waits for room when it is full.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce(&dyn ObjectStore) + Send>;

/// The handle; clones share the threads, which end with the last one.
#[derive(Debug, Clone)]
pub(crate) struct ObjectReads {
    jobs: mpsc::Sender<Job>,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the vault is stopping")]
    Stopped,
    #[error(transparent)]
    Object(#[from] ObjectError),
}

impl ObjectReads {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn start(objects: &Arc<dyn ObjectStore>) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        Self::start_named("reader", THREADS, objects)
    }

    /// Starts threads for other work with the disk; with one thread it is done in the order of the calls.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn start_named(
        name: &str,
        count: usize,
        objects: &Arc<dyn ObjectStore>,
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (jobs, queue) = mpsc::channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::new();
        for number in 0..count {
            let (queue, objects) = (queue.clone(), objects.clone());
            let run = move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                    let Some(job) = job else { return };
                    job(objects.as_ref());
                }
            };
            threads.push(std::thread::Builder::new().name(format!("{name}-{number}")).spawn(run)?);
        }
        Ok((Self { jobs }, threads))
    }

    /// Opens an object.
    pub(crate) async fn open(&self, key: ObjectKey) -> Result<Arc<dyn ObjectReader>, ReadError> {
        self.run(move |objects| objects.open(&key)).await
    }

    /// Reads up to `len` bytes at `offset`.
    pub(crate) async fn read(
        &self,
        object: Arc<dyn ObjectReader>,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, ReadError> {
        self.run(move |_| {
            let mut bytes = vec![0; len];
            let read = object.read_at(&mut bytes, offset)?;
            bytes.truncate(read);
            Ok(Bytes::from(bytes))
        })
        .await
    }

    /// Removes an object, durably.
    pub(crate) async fn delete(&self, key: ObjectKey) -> Result<(), ReadError> {
        self.run(move |objects| objects.delete(&key)).await
    }

    /// Every scratch of live bytes, in the order of devices and cameras.
    pub(crate) async fn live_files(
        &self,
        disk: Arc<dyn Disk>,
        layout: Layout,
    ) -> Result<Vec<LiveFile>, ReadError> {
        self.run(move |_| Ok(live_files(disk.as_ref(), &layout)?)).await
    }

    /// The free space of the disk that holds `path`, where the system says.
    pub(crate) async fn free_bytes(
        &self,
        disk: Arc<dyn Disk>,
        path: PathBuf,
    ) -> Result<Option<u64>, ReadError> {
        self.run(move |_| Ok(disk.space(&path)?.map(|space| space.free_bytes))).await
    }

    /// Does something with the disk.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, DiskError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let answer = self.begin(move || Ok(work()?)).await?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    /// Hands work over; waits only for room.
    pub(crate) async fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |_| drop(reply.send(work())));
        self.jobs.send(job).await.map_err(|_| StoreError::Stopped)?;
        Ok(answer)
    }

    /// Does other blocking work of a viewer's request.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ObjectError> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.run(move |_| work()).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn ObjectStore) -> Result<T, ObjectError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |objects| drop(reply.send(work(objects))));
        self.jobs.send(job).await.map_err(|_| ReadError::Stopped)?;
        Ok(answer.await.map_err(|_| ReadError::Stopped)??)
    }
}

/// A scratch of live bytes.
#[derive(Debug)]
pub(crate) struct LiveFile {
    pub(crate) track: Track,
    pub(crate) begun: WallMs,
    pub(crate) bytes: u64,
}

fn live_files(disk: &dyn Disk, layout: &Layout) -> Result<Vec<LiveFile>, DiskError> {
    let mut files = Vec::new();
    let root = layout.live_root();
    for device in entries(disk, &root)? {
        let Ok(device_id) = device.name.parse::<DeviceId>() else { continue };
        for camera in entries(disk, &root.join(&device.name))? {
            let Ok(camera_name) = camera.name.parse::<CameraName>() else { continue };
            let track = Track { device: device_id.clone(), camera: camera_name };
            let folder = root.join(&device.name).join(&camera.name);
            for recording in entries(disk, &folder)? {
                for file in entries(disk, &folder.join(&recording.name))? {
                    let Some(begun) = scratch::begun(&file.name) else { continue };
                    files.push(LiveFile { track: track.clone(), begun, bytes: file.len });
                }
            }
        }
    }
    Ok(files)
}

/// What is in a folder; nothing where it is gone, or no folder.
fn entries(disk: &dyn Disk, folder: &Path) -> Result<Vec<Entry>, DiskError> {
    match disk.list(folder) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        entries => entries,
    }
}
