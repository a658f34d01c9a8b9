//! A vault of a few lines, for the book's tests: it holds what was announced, delivered live and uploaded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, Pts, RecordingId, Ticks90k, WallMs};
use dashvault_wire::{
    AnnounceReply, ByteRange, DeviceToken, LiveKey, PackReply, PackStatus, RangeSet, Receipt, SegmentNotice,
};

use super::book::Book;
use super::entry::{PackKey, SealedFact, SegmentFact};
use super::rounds::{Believer, Consequence, Round};

pub(super) const SEGMENT: u64 = 188 * 10;
pub(super) const TRAILER: u64 = 188 * 2;

/// One pack in the vault.
#[derive(Debug, Default)]
struct Held {
    announced: u64,
    sealed: Option<u64>,
    bytes: RangeSet,
    stored: bool,
}

/// The vault, and the truth of what it was sent.
#[derive(Debug, Default)]
pub(super) struct ModelVault {
    packs: BTreeMap<PackId, Held>,
    /// Live bytes that arrived, by segment number; one recording.
    pub(super) live: BTreeSet<u64>,
    /// Bytes that came although they were held.
    pub(super) doubled: u64,
}

pub(super) fn recording() -> RecordingId {
    "20261122-101500".parse().unwrap()
}

pub(super) fn key(number: u32) -> PackKey {
    PackKey { camera: 0, pack: PackId { recording: recording(), number } }
}

pub(super) fn live_key() -> LiveKey {
    DeviceToken::from_random([9; 32]).live_key()
}

pub(super) fn believer() -> Believer {
    Believer { key: live_key(), device: "bus".parse().unwrap(), cameras: vec![CameraName::main()] }
}

pub(super) fn fact(number: u64) -> SegmentFact {
    let notice = SegmentNotice {
        len: u32::try_from(SEGMENT).unwrap(),
        hash: ContentHash::of(&number.to_be_bytes()),
        pts: Some(Pts(0)),
        dur: Ticks90k(90_000),
        at: 0,
    };
    SegmentFact { number, notice }
}

pub(super) fn manifest(pack: PackId) -> ContentHash {
    ContentHash::of(pack.to_string().as_bytes())
}

pub(super) fn sealed_fact(pack: PackId, segments: u32) -> SealedFact {
    let body_bytes = u64::from(segments) * SEGMENT;
    SealedFact {
        bytes: body_bytes + TRAILER,
        body_bytes,
        manifest: manifest(pack),
        segments,
        media_ms: u64::from(segments) * 1000,
        start_wall: WallMs(0),
    }
}

pub(super) fn receipt(pack: PackId, bytes: u64) -> Receipt {
    let device: DeviceId = "bus".parse().unwrap();
    Receipt::seal(&live_key(), device, CameraName::main(), pack, manifest(pack), bytes, WallMs(5))
}

impl ModelVault {
    /// Answers a round; `per_pack` segments make a pack, so that live segments find their place.
    pub(super) fn reply(&mut self, round: &Round, per_pack: u64) -> AnnounceReply {
        let packs = round.packs.iter().map(|news| {
            let pack = news.key.pack;
            let held = self.packs.entry(pack).or_default();
            let first = u64::from(news.first);
            if first <= held.announced {
                held.announced = held.announced.max(first + news.segments.len() as u64);
            }
            if news.trailer {
                // The trailer says how many there are; the tests seal full packs only, or say so.
                held.sealed.get_or_insert(per_pack);
                held.announced = per_pack;
            }
            for index in 0..held.announced {
                if self.live.contains(&(u64::from(pack.number) * per_pack + index)) {
                    held.bytes.insert(ByteRange::new(index * SEGMENT, (index + 1) * SEGMENT));
                }
            }
            let body = ByteRange::new(0, held.announced * SEGMENT);
            held.stored |=
                held.sealed.is_some_and(|count| held.bytes.contains(ByteRange::new(0, count * SEGMENT)));
            let status = if held.stored {
                PackStatus::Stored { receipt: receipt(pack, body.end + TRAILER) }
            } else {
                PackStatus::Assembling {
                    known: u32::try_from(held.announced).unwrap(),
                    want: held.bytes.missing(body),
                    requested: false,
                }
            };
            PackReply { camera: CameraName::main(), pack, status }
        });
        AnnounceReply { protocol: 1, packs: packs.collect(), ..AnnounceReply::default() }
    }

    /// Takes uploaded bytes.
    pub(super) fn upload(&mut self, pack: PackId, range: ByteRange) {
        let held = self.packs.entry(pack).or_default();
        let missing: u64 = held.bytes.missing(range).into_iter().map(ByteRange::len).sum();
        self.doubled += range.len() - missing;
        held.bytes.insert(range);
    }

    /// Forgets every announcement, as a restart may; the bytes stay.
    pub(super) fn restart(&mut self) {
        for held in self.packs.values_mut().filter(|held| !held.stored) {
            held.announced = 0;
            held.sealed = None;
        }
    }
}

/// Makes rounds and uploads until nothing is due before `until`; gives the receipts kept.
pub(super) fn drain(
    book: &mut Book,
    vault: &mut ModelVault,
    from: Instant,
    until: Instant,
    per_pack: u64,
) -> usize {
    let (mut now, mut kept) = (from, 0);
    while now < until {
        if let Some(round) = book.compose(now, 64 << 10) {
            let reply = vault.reply(&round, per_pack);
            for consequence in book.take_reply(now, &round, reply, &believer()) {
                if let Consequence::Keep(key, _) = consequence {
                    book.receipted(key);
                    kept += 1;
                }
            }
        }
        while let Some(job) = book.next_job(now) {
            vault.upload(job.key.pack, job.range);
            book.uploaded_to(now, job.id, job.range.end);
            book.job_over(now, job.id, false);
        }
        now = match book.next_due(now) {
            Some(due) => due.max(now + Duration::from_millis(1)),
            None => until,
        };
    }
    kept
}
