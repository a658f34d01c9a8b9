//! [`CrashDisk`]: an in-memory `Disk` that forgets, at a crash, what nobody had synced.
//!
//! It keeps two states: the *live* one that a running program sees, and the *durable* one that a power cut leaves.
//! `DiskFile::sync_data` carries the bytes of a file over, `Disk::sync_dir` the names of a folder. At
//! [`CrashDisk::restart`] a seed decides what becomes of the rest, in any way that a journaling filesystem could
//! have left it (see `aftermath`): un-synced bytes are there, gone, torn at any byte, or a patchwork of 512-byte
//! sectors; un-synced names are there or not, in the order of each folder.
//!
//! Belongs here: the disk and its faults (crash at the n-th operation, a full disk, an operation that fails).
//! Does not: what anyone stores on it. Links and renamed folders are not supported.

mod aftermath;
mod crash_disk;
mod file;
mod names;
#[cfg(test)]
mod tests;

pub use crash_disk::CrashDisk;
