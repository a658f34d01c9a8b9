//! One store thread: takes commands one by one and drives its cameras.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, mpsc as blocking},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use dashvault_media::{PackLimits, SealedBy, SigningKey};
use dashvault_wire::PackAnnounce;
use tokio::sync::{mpsc, watch};

use super::{
    SessionHandle, SessionKind, StoreError, Track,
    command::{Command, Finished},
    is_stale,
};
use crate::{
    archive::index::{AnnouncedRow, How, Index},
    assembler::{
        camera::{Camera, DeviceKeys, Outcome, Standing},
        finish::{Archive, FinishError, FinishJob},
    },
    layout::Layout,
    metrics::Metrics,
    plain::PlainCamera,
    uploads::UploadTable,
};

mod sessions;
mod told;
mod uploads;

/// What every store thread works with.
#[derive(Clone)]
pub(crate) struct ShardContext {
    pub(crate) archive: Archive,
    pub(crate) index: Index,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) layout: Layout,
    pub(crate) uploads: Arc<UploadTable>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) pack_limits: PackLimits,
    pub(crate) upload_expiry: Duration,
    /// Free disk space below which only complete packs are written.
    pub(crate) reserve_bytes: u64,
}

struct Shard {
    context: ShardContext,
    announced: HashMap<Track, Used<Camera>>,
    plain: HashMap<Track, Used<PlainCamera>>,
    sessions: HashMap<u64, Arc<SessionHandle>>,
    jobs: blocking::SyncSender<FinishJob>,
    /// Complete packs the finisher has no room for yet.
    waiting: VecDeque<FinishJob>,
    /// Plain packs that could not be made durable: tried again at the next tick.
    failed: Vec<FinishJob>,
    in_flight: usize,
    /// The disk is down to its reserve.
    is_short: bool,
    /// What is announced, to be noted in the index.
    told: Vec<AnnouncedRow>,
    finished: watch::Sender<u64>,
}

struct Used<T> {
    camera: T,
    last_use: Instant,
}

/// Starts it; it ends at [`Command::Stop`] or when all senders are gone.
pub(super) fn start(
    number: usize,
    context: ShardContext,
    queue: mpsc::Receiver<Command>,
    jobs: blocking::SyncSender<FinishJob>,
    finished: watch::Sender<u64>,
) -> std::io::Result<JoinHandle<()>> {
    let shard = Shard {
        context,
        announced: HashMap::new(),
        plain: HashMap::new(),
        sessions: HashMap::new(),
        jobs,
        waiting: VecDeque::new(),
        failed: Vec::new(),
        in_flight: 0,
        is_short: false,
        told: Vec::new(),
        finished,
    };
    std::thread::Builder::new().name(format!("store-{number}")).spawn(move || shard.run(queue))
}

impl Shard {
    fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        self.look_at_room();
        while let Some(command) = queue.blocking_recv() {
            if let Command::Stop { graceful, reply } = command {
                if graceful {
                    self.drain(&mut queue);
                }
                let _ = reply.send(());
                return;
            }
            self.handle(command);
            self.feed_finisher();
        }
    }

    /// Ends all sessions and waits until every complete pack is durable.
    fn drain(&mut self, queue: &mut mpsc::Receiver<Command>) {
        let open: Vec<_> = self.sessions.values().cloned().collect();
        open.iter().for_each(|session| self.live_end(session));
        self.feed_finisher();
        while self.in_flight > 0 {
            match queue.blocking_recv() {
                // Nothing new is begun any more; dropping a reply says so.
                Some(command @ Command::Finished(_)) => self.handle(command),
                Some(_) => {}
                None => return,
            }
            self.feed_finisher();
        }
        self.note_told();
        for (track, used) in &mut self.announced {
            if let Err(error) = used.camera.settle_stored() {
                report("live bytes of stored packs cannot be removed", track.device.as_str(), &error);
            }
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Announce { track, keys, packs, index, reply } => {
                let standing = packs.get(index).ok_or(StoreError::Stopped);
                drop(reply.send(standing.and_then(|pack| self.announce(&track, &keys, pack))));
            }
            Command::UploadBegin { id, target, reply } => drop(reply.send(self.upload_begin(id, target))),
            Command::UploadWrite { upload, data, reply } => {
                drop(reply.send(self.upload_write(&upload, &data)));
            }
            Command::UploadRewind { upload, offset, reply } => {
                drop(reply.send(self.upload_rewind(&upload, offset)));
            }
            Command::UploadEnd { upload } => self.upload_end(&upload),
            Command::LiveBegin { session, reply } => drop(reply.send(self.live_begin(&session))),
            Command::LiveData { session, data } => self.live_data(&session, &data),
            Command::LiveLost { session, packets } => self.live_lost(&session, packets),
            Command::LiveEnd { session, reply } => {
                self.live_end(&session);
                let _ = reply.send(());
            }
            Command::ExpireLive { track, cutoff, locked, reply } => {
                let gone = self.announced(&track).and_then(|camera| Ok(camera.expire_live(cutoff, &locked)?));
                let _ = reply.send(gone);
            }
            Command::Arriving { track, range, reply } => {
                let announced = self.announced.get(&track).map(|used| used.camera.arriving(range));
                let plain = self.plain.get(&track).map(|used| used.camera.arriving(range));
                let _ = reply.send(announced.into_iter().chain(plain).flatten().collect());
            }
            Command::Finished(done) => self.finished(*done),
            Command::Tick => self.tick(),
            Command::Ping { reply } => {
                let _ = reply.send(());
            }
            Command::Stop { .. } => {}
        }
    }

    fn announce(
        &mut self,
        track: &Track,
        keys: &DeviceKeys,
        pack: &PackAnnounce,
    ) -> Result<Standing, StoreError> {
        let key = crate::archive::objects::ObjectKey {
            device: track.device.clone(),
            camera: track.camera.clone(),
            pack: pack.pack,
        };
        let brought = self.context.uploads.brought(&key);
        let mut outcome = Outcome::default();
        let standing = self.announced(track)?.announce(pack, keys, &brought, &mut outcome);
        self.take(outcome);
        Ok(standing?)
    }

    fn finished(&mut self, done: Finished) {
        let Finished { job, result } = done;
        self.in_flight -= 1;
        let track = Track { device: job.key.device.clone(), camera: job.key.camera.clone() };
        let is_plain = job.signed.manifest().sealed_by == SealedBy::Vault;
        match result {
            Ok(row) => {
                tracing::info!(object = %row.key, bytes = row.bytes, segments = row.segments, "pack is stored");
                self.context.metrics.packs_stored.increment(1);
                let stored = self.announced.get_mut(&track).map(|used| used.camera.stored(row.key.pack));
                if let Some(Err(error)) = stored {
                    report("live bytes of a stored pack cannot be removed", &row.key.to_string(), &error);
                }
                let uploads = self.context.uploads.remove_pack(&row.key);
                uploads.iter().for_each(|upload| self.upload_end(upload));
            }
            Err(error) => {
                report("complete pack cannot be made durable", &job.key.to_string(), &error);
                self.context.metrics.finish_failures.increment(1);
                if is_plain {
                    // Of one that has rotted the next start keeps what can still be cut.
                    if !matches!(error, FinishError::Rotted { .. }) {
                        let in_doubt = job.in_doubt || error.is_in_doubt();
                        self.failed.push(FinishJob { in_doubt, ..job });
                    }
                } else if let Some(used) = self.announced.get_mut(&track)
                    && let Err(error) = used.camera.not_stored(job.key.pack, &error)
                {
                    report("useless part cannot be removed", &job.key.to_string(), &error);
                }
            }
        }
        self.finished.send_modify(|count| *count += 1);
    }

    /// Below the reserve nothing more is taken of what a recorder still has, so that complete packs can be stored.
    fn look_at_room(&mut self) {
        let space = self.context.archive.disk.space(&self.context.layout.objects());
        let short = match space {
            Ok(space) => space.is_some_and(|space| space.free_bytes < self.context.reserve_bytes),
            Err(error) => return report("free space is not known", "disk", &error),
        };
        if short && !self.is_short {
            tracing::error!("disk is almost full: recorders' live streams and uploads are turned away");
        }
        self.is_short = short;
        if short {
            let others = self.sessions.values().filter(|one| one.kind != SessionKind::Plain);
            others.for_each(|session| session.over.cancel());
        }
    }

    fn tick(&mut self) {
        self.look_at_room();
        let failed = std::mem::take(&mut self.failed);
        self.enqueue(failed);
        let now = self.context.archive.clock.wall();
        let expiry = i64::try_from(self.context.upload_expiry.as_millis()).unwrap_or(i64::MAX);
        let expired = self.context.uploads.expire(now.plus_ms(expiry.saturating_neg()));
        expired.iter().for_each(|upload| self.upload_end(upload));
        for (track, used) in &mut self.announced {
            if let Err(error) = used.camera.settle_when_quiet() {
                report("live bytes of stored packs cannot be removed", track.device.as_str(), &error);
            }
        }
        self.note_told();
        self.announced.retain(|_, used| !(used.camera.is_idle() && is_stale(used.last_use)));
        if self.in_flight == 0 && self.waiting.is_empty() {
            self.plain.retain(|_, used| !(used.camera.sessions().is_empty() && is_stale(used.last_use)));
        }
    }

    /// Hands complete packs over; never waits.
    fn feed_finisher(&mut self) {
        while let Some(job) = self.waiting.pop_front() {
            match self.jobs.try_send(job) {
                Ok(()) => {}
                Err(blocking::TrySendError::Full(job) | blocking::TrySendError::Disconnected(job)) => {
                    self.waiting.push_front(job);
                    return;
                }
            }
        }
    }

    fn announced(&mut self, track: &Track) -> Result<&mut Camera, StoreError> {
        let context = &self.context;
        if !self.announced.contains_key(track) {
            let (device, camera) = (track.device.clone(), track.camera.clone());
            let camera = Camera::load(context.archive.clone(), context.layout.clone(), device, camera)?;
            self.announced.insert(track.clone(), Used { camera, last_use: Instant::now() });
        }
        let used = self.announced.get_mut(track).ok_or(StoreError::Stopped)?;
        used.last_use = Instant::now();
        Ok(&mut used.camera)
    }

    fn plain(&mut self, track: &Track) -> Result<&mut PlainCamera, StoreError> {
        let context = &self.context;
        if !self.plain.contains_key(track) {
            let camera = PlainCamera::load(
                context.archive.clone(),
                context.layout.clone(),
                context.key.clone(),
                context.pack_limits,
                track.device.clone(),
                track.camera.clone(),
            )?;
            self.plain.insert(track.clone(), Used { camera, last_use: Instant::now() });
        }
        let used = self.plain.get_mut(track).ok_or(StoreError::Stopped)?;
        used.last_use = Instant::now();
        Ok(&mut used.camera)
    }

    fn take(&mut self, outcome: Outcome) {
        for (how, bytes) in &outcome.verified {
            match how {
                How::Live => self.context.metrics.live.segment(*bytes),
                _ => self.context.metrics.upload.segment(*bytes),
            }
        }
        self.context.metrics.mismatches.increment(outcome.mismatches);
        self.enqueue(outcome.complete);
    }

    fn enqueue(&mut self, jobs: Vec<FinishJob>) {
        self.in_flight += jobs.len();
        self.waiting.extend(jobs);
    }
}

fn report(what: &'static str, about: &str, error: &dyn std::error::Error) {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let text: Vec<String> = causes.map(ToString::to_string).collect();
    tracing::error!(about, error = text.join(": "), "{what}");
}
