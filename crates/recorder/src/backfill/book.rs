//! The book: every pack without a receipt, what live carried of it, what the vault lacks of it.
//!
//! Belongs here: the packs and what the spool and live tell of them. Not here: one pack by itself (`entry`), sums
//! (`account`), talking to the vault (`rounds`), choosing what to upload (`plan`).
//!
//! Invariants: pure, `now` comes in; segment lists are kept only for packs that live may still touch, so memory is
//! about 300 bytes a pack; nothing here is the only copy of anything, the spool's files are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dashvault_base::{PackId, RecordingId, WallMs};
use dashvault_wire::{ByteRange, RangeSet};

use super::account::{Tally, amount_of};
use super::entry::{Entry, PackKey, SealedFact, Segment, SegmentFact};
use super::plan::Running;
use crate::live::LiveLedger;

/// How long a pack rests whose file could not be read.
const UNREADABLE_REST: Duration = Duration::from_secs(60);
/// How long a request holds: the vault repeats it each 10 s.
const REQUEST_LIFE: Duration = Duration::from_secs(45);

/// All packs without a receipt.
#[derive(Debug)]
pub(crate) struct Book {
    pub(super) packs: BTreeMap<PackKey, Entry>,
    pub(super) ledgers: Vec<LiveLedger>,
    pub(super) tallies: Vec<Tally>,
    pub(super) running: BTreeMap<u64, Running>,
    pub(super) next_job: u64,
    pub(super) last_round: Option<Instant>,
    /// The worst round trip of the live links, for how long a delivery may take to show.
    pub(super) live_rtt: Duration,
    /// Rounds follow each other as fast as there is news: the recorder is being stopped.
    pub(super) hurried: bool,
}

impl Book {
    /// An empty book for so many cameras.
    pub(crate) fn new(cameras: usize) -> Self {
        Self {
            packs: BTreeMap::new(),
            ledgers: (0..cameras).map(|_| LiveLedger::default()).collect(),
            tallies: vec![Tally::default(); cameras],
            running: BTreeMap::new(),
            next_job: 0,
            last_round: None,
            live_rtt: Duration::ZERO,
            hurried: false,
        }
    }

    /// A sealed pack of an earlier run; its facts are read when its turn comes.
    pub(crate) fn found(&mut self, key: PackKey, bytes: u64, locked: bool) {
        let entry = Entry {
            body_bytes: bytes,
            unread: true,
            ended: None,
            locked,
            ..Entry::new(key.pack.recording.start())
        };
        self.packs.insert(key, entry);
    }

    /// A segment became durable at `offset` of its pack.
    pub(crate) fn durable(
        &mut self,
        now: Instant,
        key: PackKey,
        start_wall: WallMs,
        fact: SegmentFact,
        offset: u64,
    ) {
        let entry = self.packs.entry(key).or_insert_with(|| Entry::new(start_wall));
        let range = ByteRange::new(offset, offset + u64::from(fact.notice.len));
        let amount = amount_of(&fact.notice);
        entry.segments.push(Segment { fact, range, delivered: false });
        entry.body_bytes = range.end;
        entry.media_ms += amount.ms;
        entry.ended = Some(now);
        if let Some(tally) = self.tallies.get_mut(key.camera) {
            tally.captured.add(amount);
        }
        // It may have arrived over live before it was durable here.
        if matches!(self.carried(key, fact.number), crate::live::Carried::Delivered(_)) {
            self.delivered(key.camera, key.pack.recording, fact.number);
        }
    }

    /// A pack was sealed, in this run or as read from its file.
    pub(crate) fn sealed(&mut self, key: PackKey, fact: SealedFact) {
        let entry = self.packs.entry(key).or_insert_with(|| Entry::new(fact.start_wall));
        entry.body_bytes = fact.body_bytes;
        entry.media_ms = fact.media_ms;
        entry.start_wall = fact.start_wall;
        entry.sealed = Some(fact);
        entry.unread = false;
    }

    /// A pack is no longer in the spool: evicted, or never got a segment.
    pub(crate) fn gone(&mut self, key: PackKey) {
        self.packs.remove(&key);
    }

    /// A pack's file cannot be read: it is left alone for a while, and shown.
    pub(crate) fn unreadable(&mut self, now: Instant, key: PackKey, why: String) {
        if let Some(entry) = self.packs.get_mut(&key) {
            entry.unread = false;
            entry.refused = Some(why);
            entry.want = RangeSet::new();
            entry.ask_at = None;
            entry.unreadable_until = Some(now + UNREADABLE_REST);
        }
    }

    /// Nobody waits any more for what the vault has not asked for again.
    fn forget_requests(&mut self, now: Instant) {
        let is_old = |entry: &&mut Entry| entry.requested_at.is_some_and(|at| at + REQUEST_LIFE <= now);
        for entry in self.packs.values_mut().filter(is_old) {
            (entry.requested, entry.requested_at) = (false, None);
        }
    }

    /// Packs that could not be read a while ago are tried again.
    fn retry_unreadable(&mut self, now: Instant) {
        let rested = |entry: &&mut Entry| entry.unreadable_until.is_some_and(|until| until <= now);
        for entry in self.packs.values_mut().filter(rested) {
            entry.unreadable_until = None;
            entry.refused = None;
            // Of a pack of an earlier run nothing is known before its file is read.
            if entry.sealed.is_none() && entry.segments.is_empty() {
                entry.unread = true;
            } else {
                entry.ask_at = Some(now);
            }
        }
    }

    /// A pack that its writer left was sealed by the spool: its facts are to be read.
    pub(crate) fn sealed_elsewhere(&mut self, key: PackKey) {
        if let Some(entry) = self.packs.get_mut(&key).filter(|entry| entry.sealed.is_none()) {
            entry.unread = entry.refused.is_none();
        }
    }

    /// What is known of a sealed pack.
    pub(crate) fn sealed_fact(&self, key: PackKey) -> Option<SealedFact> {
        self.packs.get(&key)?.sealed
    }

    /// Lets go of the segment lists that live can have nothing to do with any more, and takes up again what could not
    /// be read. To be called every few seconds.
    pub(crate) fn tidy(&mut self, now: Instant) {
        const SETTLED: Duration = Duration::from_secs(30);
        self.retry_unreadable(now);
        self.forget_requests(now);
        let keys: Vec<PackKey> =
            self.packs.iter().filter(|(_, e)| e.has_old_segments()).map(|(key, _)| *key).collect();
        for key in keys {
            let Some(mut entry) = self.packs.remove(&key) else { continue };
            let may_change = |segment: &Segment| match self.carried(key, segment.fact.number) {
                crate::live::Carried::InFlight => true,
                crate::live::Carried::Delivered(at) => now.saturating_duration_since(at) < SETTLED,
                crate::live::Carried::NotLive => false,
            };
            if !entry.segments.iter().any(may_change) {
                entry.forget_segments();
            }
            self.packs.insert(key, entry);
        }
    }

    /// An event holds a pack, or holds it no more.
    pub(crate) fn set_locked(&mut self, key: PackKey, locked: bool) {
        if let Some(entry) = self.packs.get_mut(&key) {
            entry.locked = locked;
        }
    }

    /// The vault says that somebody waits for a pack.
    pub(crate) fn requested(&mut self, now: Instant, key: PackKey) {
        if let Some(entry) = self.packs.get_mut(&key) {
            (entry.requested, entry.requested_at) = (true, Some(now));
        }
    }

    /// Whether the pack is here.
    pub(crate) fn holds(&self, key: PackKey) -> bool {
        self.packs.contains_key(&key)
    }

    /// The packs that are here, without their receipts.
    pub(crate) fn keys(&self) -> Vec<PackKey> {
        self.packs.keys().copied().collect()
    }

    /// The receipt of a pack was kept durably: the book is done with it.
    pub(crate) fn receipted(&mut self, key: PackKey) {
        if self.packs.remove(&key).is_some()
            && let Some(tally) = self.tallies.get_mut(key.camera)
        {
            tally.stored += 1;
        }
    }

    /// From now on every news is told at once.
    pub(crate) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Live will bring nothing more: what was put off is asked about now.
    pub(crate) fn ask_put_off(&mut self, now: Instant) {
        for entry in self.packs.values_mut().filter(|entry| entry.refused.is_none()) {
            entry.ask_at = entry.ask_at.map(|at| at.min(now));
        }
    }

    /// One camera's live account, for the live link to keep.
    pub(crate) fn ledger(&mut self, camera: usize) -> Option<&mut LiveLedger> {
        self.ledgers.get_mut(camera)
    }

    /// SRT's peer acknowledged bytes since the connection of `camera` began.
    pub(crate) fn acknowledged(&mut self, now: Instant, camera: usize, bytes: u64) -> usize {
        let Some(ledger) = self.ledgers.get_mut(camera) else { return 0 };
        let newly = ledger.acknowledged(now, bytes);
        for (recording, number) in &newly {
            self.delivered(camera, *recording, *number);
        }
        newly.len()
    }

    /// The live links' worst round trip.
    pub(crate) fn set_live_rtt(&mut self, rtt: Duration) {
        self.live_rtt = rtt;
    }

    /// Wall time of a pack's first byte.
    pub(crate) fn start_wall(&self, key: PackKey) -> Option<WallMs> {
        self.packs.get(&key).map(|entry| entry.start_wall)
    }

    pub(super) fn carried(&self, key: PackKey, number: u64) -> crate::live::Carried {
        let ledger = self.ledgers.get(key.camera);
        ledger.map_or(crate::live::Carried::NotLive, |ledger| ledger.carried(key.pack.recording, number))
    }

    fn delivered(&mut self, camera: usize, recording: RecordingId, number: u64) {
        let of_recording = PackKey { camera, pack: PackId { recording, number: 0 } }..=PackKey {
            camera,
            pack: PackId { recording, number: u32::MAX },
        };
        for entry in self.packs.range_mut(of_recording).rev().map(|(_, entry)| entry) {
            let found = entry.segments.iter_mut().rev().find(|segment| segment.fact.number == number);
            if let Some(segment) = found {
                if !std::mem::replace(&mut segment.delivered, true)
                    && let Some(tally) = self.tallies.get_mut(camera)
                {
                    tally.live.add(amount_of(&segment.fact.notice));
                }
                return;
            }
        }
    }
}
