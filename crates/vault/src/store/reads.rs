//! Reading objects for viewers: a few threads of their own, so that a slow disk never holds up the runtime.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use bytes::Bytes;
use dashvault_disk::Disk;
use tokio::sync::{mpsc, oneshot};

use crate::archive::objects::{ObjectError, ObjectKey, ObjectReader, ObjectStore};

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
        let (jobs, queue) = mpsc::channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::new();
        for number in 0..THREADS {
            let (queue, objects) = (queue.clone(), objects.clone());
            let run = move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                    let Some(job) = job else { return };
                    job(objects.as_ref());
                }
            };
            threads.push(std::thread::Builder::new().name(format!("reader-{number}")).spawn(run)?);
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

    /// The free space of the disk that holds `path`, where the system says.
    pub(crate) async fn free_bytes(
        &self,
        disk: Arc<dyn Disk>,
        path: PathBuf,
    ) -> Result<Option<u64>, ReadError> {
        self.run(move |_| Ok(disk.space(&path)?.map(|space| space.free_bytes))).await
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
