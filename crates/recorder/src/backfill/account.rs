//! What the book adds up: captured, carried, stored, and what is on the vehicle only.
//!
//! Belongs here: the sums for the snapshot, and whether the backlog has come to its end. Not here: what changes them.

use dashvault_wire::SegmentNotice;

use super::book::Book;
use super::entry::{Entry, PackKey};
use crate::status::Amount;

/// One camera's account since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Durable in the spool.
    pub(crate) captured: Amount,
    /// Of these, acknowledged over live and not wanted since.
    pub(crate) live: Amount,
    /// Uploaded.
    pub(crate) backfilled: Amount,
    /// Packs with a receipt.
    pub(crate) stored: u64,
}

/// What is on the vehicle only, of one camera.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Backlog {
    /// Footage that neither live nor backfill has carried.
    pub(crate) on_vehicle: Amount,
    /// Sealed packs without a receipt.
    pub(crate) pending: u64,
}

impl Book {
    /// One camera's account since the start.
    pub(crate) fn tally(&self, camera: usize) -> Tally {
        self.tallies.get(camera).copied().unwrap_or_default()
    }

    /// What is on the vehicle only.
    pub(crate) fn backlog(&self, camera: usize) -> Backlog {
        let mut backlog = Backlog::default();
        for (_, entry) in self.packs.iter().filter(|(key, _)| key.camera == camera) {
            backlog.on_vehicle.add(entry.on_vehicle());
            backlog.pending += u64::from(entry.is_sealed());
        }
        backlog
    }

    /// The vault's reasons for refusing packs.
    pub(crate) fn refusals(&self) -> Vec<String> {
        let refused =
            |(key, entry): (&PackKey, &Entry)| Some(format!("{}: {}", key.pack, entry.refused.as_ref()?));
        self.packs.iter().filter_map(refused).take(8).collect()
    }

    /// Whether nothing is left to do for the vault.
    pub(crate) fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    /// Whether nothing is left that waiting could change.
    pub(crate) fn is_drained(&self) -> bool {
        self.packs.values().all(|entry| entry.refused.is_some())
    }
}

impl Amount {
    /// Adds footage.
    pub(crate) const fn add(&mut self, other: Self) {
        self.segments += other.segments;
        self.ms += other.ms;
        self.bytes += other.bytes;
    }

    /// Takes footage off.
    pub(crate) const fn remove(&mut self, other: Self) {
        self.segments = self.segments.saturating_sub(other.segments);
        self.ms = self.ms.saturating_sub(other.ms);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

pub(super) fn amount_of(notice: &SegmentNotice) -> Amount {
    Amount { segments: 1, ms: u64::from(notice.dur.0) / 90, bytes: u64::from(notice.len) }
}
