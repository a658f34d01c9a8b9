//! The contract between recorder and vault: names on the wire, messages and limits.
//!
//! Pure: what either side does with a message is its own affair, but what a message may say, how it
//! is parsed and when it is refused is decided here, once, so that the two never import each other.
//! The protocol's states and failure table are in `docs/design/reconciliation.md`.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod announce;
pub mod credentials;
pub mod event;
pub mod evidence;
pub mod paths;
pub mod problem;
mod ranges;
mod receipt;
pub mod status;
mod stream_id;
pub mod upload;

pub use announce::{
    AnnounceReply, AnnounceRequest, LossNotice, MissingPack, PackAnnounce, PackReply, PackStatus,
    RequestedPack, SegmentNotice,
};
pub use credentials::{DeviceToken, LiveKey};
pub use event::EventNotice;
pub use problem::Problem;
pub use ranges::{ByteRange, RangeSet};
pub use receipt::{Receipt, ReceiptError};
pub use status::{CameraState, DeviceStatus, LinkStatus};
pub use stream_id::{Credential, StreamId, StreamIdError};
