//! What the spool can fail with, and what a caller can do about it.

use std::path::PathBuf;

use dashvault_base::{CameraName, PackId};
use dashvault_disk::{DiskError, ErrorKind};
use dashvault_media::{ManifestError, PackError};

/// An operation of the spool that failed.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another recorder holds the spool's lock.
    #[error("spool {} is in use by another recorder", root.display())]
    InUse {
        /// The spool.
        root: PathBuf,
    },
    /// The camera has a writer already.
    #[error("camera {camera} is being written already")]
    CameraTaken {
        /// The camera.
        camera: CameraName,
    },
    /// There is no such pack (any more).
    #[error("camera {camera} has no pack {pack} here")]
    NoSuchPack {
        /// The camera.
        camera: CameraName,
        /// The pack.
        pack: PackId,
    },
    /// The pack's name is taken.
    #[error("camera {camera} has a pack {pack} already")]
    PackExists {
        /// The camera.
        camera: CameraName,
        /// The pack.
        pack: PackId,
    },
    /// The pack is in another state than the operation needs.
    #[error("pack {pack} of camera {camera} is {found}, not {expected}")]
    WrongState {
        /// The camera.
        camera: CameraName,
        /// The pack.
        pack: PackId,
        /// The state it is in.
        found: &'static str,
        /// The state it must be in.
        expected: &'static str,
    },
    /// The receipt is for other content than the pack has.
    #[error("receipt does not fit pack {pack} of camera {camera}: its {what} differs")]
    ReceiptMismatch {
        /// The camera.
        camera: CameraName,
        /// The pack.
        pack: PackId,
        /// What differs.
        what: &'static str,
    },
    /// No pack was started, or it was sealed.
    #[error("camera {camera} has no open pack")]
    NoOpenPack {
        /// The camera.
        camera: CameraName,
    },
    /// The bytes given are not as long as the segment says.
    #[error("segment {index} of pack {pack} is said to be {said} bytes, but {given} were given")]
    SegmentLength {
        /// The pack.
        pack: PackId,
        /// The segment's index.
        index: usize,
        /// By its entry.
        said: u64,
        /// By the bytes.
        given: u64,
    },
    /// The pack has as many segments as one may have.
    #[error("pack {pack} is full")]
    PackFull {
        /// The pack.
        pack: PackId,
    },
    /// The pack's trailer cannot be read.
    #[error("pack {pack} of camera {camera} has no sound manifest")]
    Unsound {
        /// The camera.
        camera: CameraName,
        /// The pack.
        pack: PackId,
        /// Why.
        source: Box<PackError>,
    },
    /// The manifest cannot be signed.
    #[error("pack {pack} cannot be sealed")]
    Seal {
        /// The pack.
        pack: PackId,
        /// Why.
        source: ManifestError,
    },
}

/// What a caller can do about a [`SpoolError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolErrorKind {
    /// No room: try again once there is.
    Full,
    /// The pack is not here, or in another state: ask the spool again what there is.
    Stale,
    /// The disk does not work, or the spool is taken: an operator must act.
    Operator,
    /// The caller broke the contract.
    Caller,
}

impl SpoolError {
    /// What a caller can do.
    #[must_use]
    pub fn kind(&self) -> SpoolErrorKind {
        match self {
            Self::Disk(error) if error.kind() == ErrorKind::Full => SpoolErrorKind::Full,
            Self::NoSuchPack { .. } | Self::WrongState { .. } | Self::ReceiptMismatch { .. } => {
                SpoolErrorKind::Stale
            }
            Self::Disk(_) | Self::InUse { .. } | Self::Unsound { .. } => SpoolErrorKind::Operator,
            Self::CameraTaken { .. }
            | Self::PackExists { .. }
            | Self::NoOpenPack { .. }
            | Self::SegmentLength { .. }
            | Self::PackFull { .. }
            | Self::Seal { .. } => SpoolErrorKind::Caller,
        }
    }

    /// Whether the disk was full.
    pub(crate) fn is_full(&self) -> bool {
        self.kind() == SpoolErrorKind::Full
    }
}
