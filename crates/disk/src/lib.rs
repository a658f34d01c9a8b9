//! Durable file operations behind a trait: what the spool and the vault's pack assembler may ask of a disk.
//!
//! Belongs here: the [`Disk`] trait, the real one ([`OsDisk`]), typed errors that say which path and operation,
//! and a [`DiskReader`] for code that wants `Read + Seek`. Does not: what a pack is, where files go, retention.
//!
//! The durability rules that every caller relies on, and that the crashing filesystem of the test kit checks:
//! - written bytes are durable after [`DiskFile::sync_data`], not before, and may survive in part;
//! - a name (created, renamed, removed) is durable after [`Disk::sync_dir`] of its folder, not before;
//! - a rename is atomic: after a crash the old or the new state is there, never a mixture.
//!
//! Everything here blocks: call it on a thread of its own, never in an async task.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod disk;
mod error;
mod os;
mod reader;

pub use disk::{Disk, DiskFile, DiskLock, Entry, EntryKind, OpenMode, Space, is_temporary};
pub use error::{DiskError, ErrorKind, Operation};
pub use os::OsDisk;
pub use reader::DiskReader;
