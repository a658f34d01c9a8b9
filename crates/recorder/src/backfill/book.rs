//! The book: every pack without a receipt, what live carried of it, what the vault lacks of it.
//!
//! Belongs here: the entries and what the spool and live tell of them. Not here: talking to the vault (`rounds`),
//! choosing what to upload (`plan`).
//!
//! Invariants: pure, `now` comes in; segment lists are kept only for packs that live may still touch, so memory is
//! about 300 bytes a pack; nothing here is the only copy of anything, the spool's files are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dashvault_base::{ContentHash, PackId, RecordingId, WallMs};
use dashvault_media::Manifest;
use dashvault_wire::{ByteRange, RangeSet, SegmentNotice};

use super::plan::Running;
use crate::live::LiveLedger;
use crate::status::Amount;

/// How long a pack rests whose file could not be read.
const UNREADABLE_REST: Duration = Duration::from_secs(60);

/// A pack of one of this recorder's cameras, which are counted in the order of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackKey {
    /// The camera's place in the settings.
    pub(crate) camera: usize,
    /// The pack.
    pub(crate) pack: PackId,
}

/// A segment that is durable in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentFact {
    /// Its number within the recording, as live counts.
    pub(crate) number: u64,
    /// What is announced of it.
    pub(crate) notice: SegmentNotice,
}

/// What is known of a pack that has been sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealedFact {
    /// Length of its file.
    pub(crate) bytes: u64,
    /// Length of its segments; the trailer is the rest.
    pub(crate) body_bytes: u64,
    /// Hash of its manifest.
    pub(crate) manifest: ContentHash,
    /// How many segments.
    pub(crate) segments: u32,
    /// Milliseconds of media.
    pub(crate) media_ms: u64,
    /// Wall time of its first byte.
    pub(crate) start_wall: WallMs,
}

impl SealedFact {
    /// What a manifest says, of a file of so many bytes.
    pub(crate) fn of(manifest: &Manifest, bytes: u64) -> Self {
        Self {
            bytes,
            body_bytes: manifest.body_len(),
            manifest: manifest.hash(),
            segments: u32::try_from(manifest.segments.len()).unwrap_or(u32::MAX),
            media_ms: manifest.duration_90k() / 90,
            start_wall: manifest.start_wall,
        }
    }
}

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

/// One pack.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) start_wall: WallMs,
    pub(super) segments: Vec<Segment>,
    /// The end of the last durable segment.
    pub(super) body_bytes: u64,
    pub(super) media_ms: u64,
    pub(super) sealed: Option<SealedFact>,
    /// It is sealed, but its facts have to be read from its file first.
    pub(super) unread: bool,
    /// When its last segment ended; none for a pack of an earlier run.
    pub(super) ended: Option<Instant>,
    pub(super) locked: bool,
    pub(super) requested: bool,
    /// How many segments the vault knows of, by its last reply.
    pub(super) known: u32,
    /// The vault has answered to the trailer.
    pub(super) trailer_told: bool,
    /// When to ask again, news or not.
    pub(super) ask_at: Option<Instant>,
    /// Replies in a row that wanted nothing and gave no receipt.
    pub(super) idle_replies: u32,
    /// What may be uploaded.
    pub(super) want: RangeSet,
    /// What was uploaded, and when: a reply to an earlier question may still want it.
    pub(super) done: Vec<(ByteRange, Instant)>,
    /// Bytes uploaded, for the account.
    pub(super) uploaded: u64,
    /// The vault's reason, where it refuses; or the disk's.
    pub(super) refused: Option<String>,
    /// Its file could not be read: until then it is left alone.
    pub(super) unreadable_until: Option<Instant>,
}

/// A segment of an open or young pack.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) fact: SegmentFact,
    pub(super) range: ByteRange,
    /// Counted as delivered over live.
    pub(super) delivered: bool,
}

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

impl Entry {
    fn new(start_wall: WallMs) -> Self {
        Self {
            start_wall,
            segments: Vec::new(),
            body_bytes: 0,
            media_ms: 0,
            sealed: None,
            unread: false,
            ended: None,
            locked: false,
            requested: false,
            known: 0,
            trailer_told: false,
            ask_at: None,
            idle_replies: 0,
            want: RangeSet::new(),
            done: Vec::new(),
            uploaded: 0,
            refused: None,
            unreadable_until: None,
        }
    }

    pub(super) const fn is_sealed(&self) -> bool {
        self.sealed.is_some() || self.unread
    }

    /// How many segments there are to be known.
    pub(super) fn segment_count(&self) -> u32 {
        self.sealed
            .map_or_else(|| u32::try_from(self.segments.len()).unwrap_or(u32::MAX), |sealed| sealed.segments)
    }

    /// Milliseconds of so many bytes of this pack, on average.
    pub(super) const fn ms_of(&self, bytes: u64) -> u64 {
        match self.media_ms.saturating_mul(bytes).checked_div(self.body_bytes) {
            Some(ms) => ms,
            None => 0,
        }
    }

    fn has_old_segments(&self) -> bool {
        self.sealed.is_some() && !self.segments.is_empty()
    }

    /// The account keeps what live delivered, as if it had been uploaded; the trailer says the rest.
    pub(super) fn forget_segments(&mut self) {
        let delivered = self.segments.iter().filter(|segment| segment.delivered);
        self.uploaded += delivered.map(|segment| segment.range.len()).sum::<u64>();
        self.segments = Vec::new();
    }

    fn on_vehicle(&self) -> Amount {
        let delivered = self.segments.iter().filter(|segment| segment.delivered);
        let carried: u64 = delivered.map(|segment| segment.range.len()).sum::<u64>() + self.uploaded;
        let bytes = self.body_bytes.saturating_sub(carried);
        Amount { segments: 0, ms: self.ms_of(bytes), bytes }
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
