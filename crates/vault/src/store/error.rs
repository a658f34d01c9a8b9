//! Why the store cannot do what it was asked.

use dashvault_disk::DiskError;

use crate::{
    archive::{index::IndexError, objects::ObjectError},
    assembler::{camera::CameraError, finish::FinishError},
    import::upload::ReceiveError,
    plain::PlainError,
    store::ReadError,
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The vault is stopping.
    #[error("the vault is stopping")]
    Stopped,
    /// The upload was ended, or its pack is stored.
    #[error("the upload has ended; announce the pack again")]
    Gone,
    /// The disk's reserve is for packs that are complete.
    #[error("the vault's disk is almost full")]
    Full,
    #[error(transparent)]
    Camera(#[from] CameraError),
    #[error(transparent)]
    Plain(#[from] PlainError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl StoreError {
    /// Whether there is no room left on the disk.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Disk(error)
            | Self::Plain(PlainError::Disk(error))
            | Self::Camera(CameraError::Disk(error) | CameraError::Finish(FinishError::Disk(error))) => {
                error.is_full()
            }
            Self::Camera(CameraError::Object(error) | CameraError::Finish(FinishError::Object(error))) => {
                error.is_full()
            }
            Self::Full => true,
            _ => false,
        }
    }
}

impl From<IndexError> for StoreError {
    fn from(error: IndexError) -> Self {
        Self::Camera(error.into())
    }
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Stopped => Self::Stopped,
            ReadError::Object(error) => error.into(),
        }
    }
}

impl From<ReceiveError> for StoreError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Disk(error) => Self::Disk(error),
            ReceiveError::Index(error) => error.into(),
        }
    }
}

impl From<ObjectError> for StoreError {
    fn from(error: ObjectError) -> Self {
        Self::Camera(error.into())
    }
}
