//! What a store thread can be asked.

use std::sync::Arc;

use bytes::Bytes;
use dashvault_base::WallMs;
use dashvault_wire::PackAnnounce;
use tokio::sync::oneshot;

use super::{SessionHandle, StoreError, Track};
use crate::{
    archive::index::PackRow,
    arriving::ArrivingPack,
    assembler::{
        camera::{DeviceKeys, LiveGone, Standing},
        finish::{FinishError, FinishJob},
    },
    timeline::WallRange,
    uploads::{Upload, UploadTarget},
};

pub(super) enum Command {
    /// One pack of an announcement.
    Announce {
        track: Track,
        keys: DeviceKeys,
        packs: Arc<Vec<PackAnnounce>>,
        index: usize,
        reply: oneshot::Sender<Result<Standing, StoreError>>,
    },
    UploadBegin {
        id: String,
        target: UploadTarget,
        reply: oneshot::Sender<Result<Arc<Upload>, StoreError>>,
    },
    UploadWrite {
        upload: Arc<Upload>,
        data: Vec<Bytes>,
        reply: oneshot::Sender<Result<u64, StoreError>>,
    },
    UploadRewind {
        upload: Arc<Upload>,
        offset: u64,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    UploadEnd {
        upload: Arc<Upload>,
    },
    LiveBegin {
        session: Arc<SessionHandle>,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    LiveData {
        session: Arc<SessionHandle>,
        data: Vec<Bytes>,
    },
    LiveLost {
        session: Arc<SessionHandle>,
        packets: u64,
    },
    LiveEnd {
        session: Arc<SessionHandle>,
        reply: oneshot::Sender<()>,
    },
    /// Live bytes that nobody claimed are too old.
    ExpireLive {
        track: Track,
        cutoff: WallMs,
        locked: Vec<(WallMs, WallMs)>,
        reply: oneshot::Sender<Result<LiveGone, StoreError>>,
    },
    /// The packs of a camera that are not stored, for viewers.
    Arriving {
        track: Track,
        range: WallRange,
        reply: oneshot::Sender<Vec<ArrivingPack>>,
    },
    /// From the finisher.
    Finished(Box<Finished>),
    Tick,
    Ping {
        reply: oneshot::Sender<()>,
    },
    Stop {
        graceful: bool,
        reply: oneshot::Sender<()>,
    },
}

/// What became of a complete pack.
pub(super) struct Finished {
    pub(super) job: FinishJob,
    pub(super) result: Result<PackRow, FinishError>,
}
