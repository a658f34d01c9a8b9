//! The vehicle's pack files: write, seal, recover, retain.
//!
//! ```text
//! SPOOL/recorder.lock                  held by the one recorder
//! SPOOL/<camera>/open/<pack>.ts        being written: whole segments, then a tail that nobody was told of
//! SPOOL/<camera>/open/<pack>.journal   which segments of it are durable
//! SPOOL/<camera>/pending/<pack>.ts     sealed, without a receipt
//! SPOOL/<camera>/stored/<pack>.ts      sealed, durable in the vault
//! SPOOL/<camera>/stored/<pack>.receipt the vault's word for it
//! SPOOL/<camera>/locked/<pack>         an event's marker: never evicted
//! SPOOL/<camera>/last-recording        the last recording id given out
//! SPOOL/<camera>/losses/<id>.json      footage that will never exist, until the vault acknowledges
//! SPOOL/<camera>/losses/.reserve       room for one more, for when the disk is full
//! ```
//! The files are the state; what is in memory is derived from them at [`Spool::open`]. The order of every write,
//! sync, rename and removal is in `docs/design/storage.md`, with what a power cut leaves at each step.
//!
//! Belongs here: everything above. Does not: cutting streams (`dashvault-media`), talking to the vault, deciding
//! when to record. Everything blocks; one thread writes a camera's [`CameraSpool`], any number share a [`Spool`].

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod event;
mod journal;
mod layout;
mod loss;
mod quota;
mod reader;
mod recovery;
mod shelf;
mod spool;
mod status;
mod writer;

pub use error::{SpoolError, SpoolErrorKind};
pub use event::{leave_event, marker_text, names_its_event};
pub use layout::{Folder, SpoolLayout};
pub use loss::{Loss, LossReport};
pub use quota::{Evicted, OnFull, QuotaReport, SpoolConfig};
pub use reader::PackReader;
pub use recovery::{CameraRecovery, RecoveredPack, RecoveryReport};
pub use spool::{PackInfo, Spool};
pub use status::{CameraStatus, FolderStatus, PackOnDisk, SpoolStatus, scan_packs};
pub use writer::{CameraSpool, PackStart, SealedPack, SegmentOutcome};
