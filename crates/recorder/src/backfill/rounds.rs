//! Rounds: what to announce next, and what a reply means.
//!
//! ```text
//! next_due ─► compose ─► (the driver asks the vault) ─► take_reply
//! ```
//! Belongs here: the pure half of the announcer. Not here: HTTP, reading trailers (`announcer`).
//!
//! Invariants: one round at a time; a reply is judged by when its question was asked; nothing the vault says makes the
//! book larger than the packs are, and a receipt is believed only if it checks.

use std::time::{Duration, Instant};

use dashvault_wire::{
    AnnounceReply, ByteRange, LiveKey, PackStatus, RangeSet, Receipt, ReceiptError, SegmentNotice, announce,
};

use super::account::amount_of;
use super::book::Book;
use super::entry::{Entry, PackKey};
use crate::live::Carried;

/// The least time between rounds that only tell of new segments: somewhat less than a segment is long, so that the news
/// of one does not wait for a timer of its own.
const ROUND_SPACING: Duration = Duration::from_millis(700);
/// The least time between any two rounds.
const LEAST_SPACING: Duration = Duration::from_millis(10);
/// How long after its acknowledgement a segment may take to be known in the vault, beyond four round trips.
const SETTLING: Duration = Duration::from_secs(2);
/// How long a refused pack rests.
const REFUSED_REST: Duration = Duration::from_secs(60);
/// Packs of which the vault is known to lack something, beyond which no further old pack is announced.
const MAX_ACTIVE: usize = 128;
/// What JSON makes of one segment, of one pack and of one trailer byte, about.
const SEGMENT_BYTES: usize = 150;
const PACK_BYTES: usize = 180;
/// Bytes of manifest for one segment, in base64 within null packets.
const TRAILER_SEGMENT_BYTES: usize = 80;
/// Uploads of all of a pack, after which it is not tried again at once: its bytes do not verify.
const MAX_UPLOADS_OF_A_PACK: u64 = 3;

/// One announcement to make.
#[derive(Debug)]
pub(crate) struct Round {
    /// When it was composed; a reply says nothing of what happened later.
    pub(crate) asked: Instant,
    /// The packs, in the order to announce.
    pub(crate) packs: Vec<PackNews>,
}

/// What to say of one pack.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PackNews {
    /// The pack.
    pub(crate) key: PackKey,
    /// The index of the first segment listed.
    pub(crate) first: u32,
    /// Segments from there.
    pub(crate) segments: Vec<SegmentNotice>,
    /// Its trailer is to be sent along.
    pub(crate) trailer: bool,
    /// Wall time of its first byte.
    pub(crate) start_wall: dashvault_base::WallMs,
}

/// What a reply leads to, besides wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// The receipt checks: keep it and move the pack, then call [`Book::receipted`].
    Keep(PackKey, Box<Receipt>),
    /// A receipt that does not check; nothing is done about it.
    NotBelieved(PackKey, Option<ReceiptError>),
}

/// What a receipt is checked against.
#[derive(Clone, Debug)]
pub(crate) struct Believer {
    pub(crate) key: LiveKey,
    pub(crate) device: dashvault_base::DeviceId,
    pub(crate) cameras: Vec<dashvault_base::CameraName>,
}

impl Book {
    /// When the next round is due; none while there is nothing to say.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let spaced = |spacing| self.last_round.map_or(now, |last| (last + spacing).max(now));
        let news_at = spaced(if self.hurried { LEAST_SPACING } else { ROUND_SPACING });
        let asks_at = spaced(LEAST_SPACING);
        let active = self.active();
        let readable = |(_, entry): &(_, &Entry)| entry.unreadable_until.is_none();
        let due = |(_, entry): (_, &Entry)| match (entry.has_news(active), entry.ask_at) {
            (true, Some(at)) => Some(news_at.min(at.max(asks_at))),
            (true, None) => Some(news_at),
            (false, Some(at)) => Some(at.max(asks_at)),
            (false, None) => None,
        };
        self.packs.iter().filter(readable).filter_map(due).min()
    }

    /// Sealed packs whose facts must be read from their files before they can be announced: the next few.
    pub(crate) fn unread(&self, most: usize) -> Vec<PackKey> {
        let active = self.active();
        let wanted = |entry: &Entry| entry.unread && (active < MAX_ACTIVE || entry.locked || entry.requested);
        let mut keys: Vec<_> = self
            .packs
            .iter()
            .filter(|(_, entry)| wanted(entry))
            .map(|(key, entry)| (entry.locked, *key))
            .collect();
        keys.sort_by_key(|(locked, key)| std::cmp::Reverse((*locked, key.pack)));
        keys.into_iter().take(most).map(|(_, key)| key).collect()
    }

    /// The next round, of about `budget` bytes, if one is due: first what is young, then what is old.
    pub(crate) fn compose(&mut self, now: Instant, budget: usize) -> Option<Round> {
        self.next_due(now).filter(|due| *due <= now)?;
        let active = self.active();
        let mut keys: Vec<_> = self
            .packs
            .iter()
            .filter(|(_, entry)| entry.unreadable_until.is_none())
            .filter(|(_, entry)| entry.has_news(active) || entry.ask_at.is_some_and(|at| at <= now))
            .map(|(key, entry)| ((entry.is_sealed(), !entry.locked, std::cmp::Reverse(key.pack)), *key))
            .collect();
        keys.sort_unstable();
        let (mut packs, mut left) = (Vec::new(), budget);
        for (_, key) in keys.into_iter().take(announce::MAX_PACKS) {
            let Some(entry) = self.packs.get_mut(&key) else { continue };
            let (news, cost) = entry.news(key, left, packs.is_empty());
            if cost > left && !packs.is_empty() {
                break;
            }
            left = left.saturating_sub(cost);
            entry.ask_at = None;
            packs.push(news);
        }
        self.last_round = Some(now);
        (!packs.is_empty()).then_some(Round { asked: now, packs })
    }

    /// The round came to nothing: say it all again.
    pub(crate) fn round_failed(&mut self, now: Instant, round: &Round) {
        for news in &round.packs {
            if let Some(entry) = self.packs.get_mut(&news.key) {
                entry.ask_at = Some(entry.ask_at.map_or(now, |at| at.min(now)));
            }
        }
    }

    /// Takes the vault's reply to `round`.
    pub(crate) fn take_reply(
        &mut self,
        now: Instant,
        round: &Round,
        reply: AnnounceReply,
        believer: &Believer,
    ) -> Vec<Consequence> {
        let mut consequences = Vec::new();
        let mut answered = vec![false; round.packs.len()];
        for pack in reply.packs {
            let asked = round.packs.iter().position(|news| {
                news.key.pack == pack.pack && believer.cameras.get(news.key.camera) == Some(&pack.camera)
            });
            let Some(index) = asked.filter(|index| !std::mem::replace(&mut answered[*index], true)) else {
                continue;
            };
            let news = &round.packs[index];
            match pack.status {
                PackStatus::Assembling { known, want, requested } => {
                    self.assembling(now, round.asked, news, known, &want, requested);
                }
                PackStatus::Stored { receipt } => {
                    consequences.extend(self.stored(now, news.key, receipt, believer));
                }
                PackStatus::Refused { code, detail } => {
                    if let Some(entry) = self.packs.get_mut(&news.key) {
                        entry.refused =
                            Some(format!("{code}: {}", detail.chars().take(200).collect::<String>()));
                        entry.want = RangeSet::new();
                        entry.rest(now);
                    }
                }
            }
        }
        // A pack that was not answered is asked about again.
        for (news, _) in round.packs.iter().zip(answered).filter(|(_, answered)| !answered) {
            if let Some(entry) = self.packs.get_mut(&news.key) {
                entry.ask_at = Some(now + ROUND_SPACING);
            }
        }
        consequences
    }

    fn assembling(
        &mut self,
        now: Instant,
        asked: Instant,
        news: &PackNews,
        known: u32,
        want: &[ByteRange],
        requested: bool,
    ) {
        let settling = SETTLING + 4 * self.live_rtt;
        let key = news.key;
        // What it says of a pack that could not be read meanwhile is asked again then.
        if self.packs.get(&key).is_none_or(|entry| entry.unreadable_until.is_some()) {
            return;
        }
        let Some(mut entry) = self.packs.remove(&key) else { return };
        entry.refused = None;
        entry.requested = requested || entry.requested_at.is_some();
        entry.known = known.min(entry.segment_count());
        entry.trailer_told = if news.trailer {
            true
        } else {
            // The vault has forgotten what it was told.
            entry.trailer_told && entry.known == entry.segment_count()
        };
        let body = ByteRange::new(0, entry.body_bytes);
        let mut wanted: RangeSet = want.iter().map(|range| range.intersection(body)).collect();
        entry.done.retain(|(_, at)| *at > asked);
        entry.done.iter().for_each(|(range, _)| wanted.remove(*range));
        let put_off = self.put_off(key, &entry, asked, settling, &mut wanted);
        self.uncount_delivered(key, &mut entry, &wanted);
        entry.want = wanted;
        entry.ask_at =
            self.ask_again_at(now, key, &mut entry, put_off.map(|at| at.unwrap_or(now + settling)));
        self.packs.insert(key, entry);
    }

    /// Takes out of `wanted` what live may still bring; says until when, where that is known.
    fn put_off(
        &self,
        key: PackKey,
        entry: &Entry,
        asked: Instant,
        settling: Duration,
        wanted: &mut RangeSet,
    ) -> Option<Option<Instant>> {
        let mut until: Option<Option<Instant>> = None;
        for segment in &entry.segments {
            let waits = match self.carried(key, segment.fact.number) {
                Carried::InFlight => Some(None),
                Carried::Delivered(at) if asked < at + settling => Some(Some(at + settling)),
                Carried::Delivered(_) | Carried::NotLive => None,
            };
            let Some(waits) = waits else { continue };
            let before = wanted.len();
            wanted.remove(segment.range);
            if wanted.len() < before {
                until = Some(match (until.flatten(), waits) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                });
            }
        }
        until
    }

    /// What live delivered but the vault wants all the same was not delivered well.
    fn uncount_delivered(&mut self, key: PackKey, entry: &mut Entry, wanted: &RangeSet) {
        let Some(tally) = self.tallies.get_mut(key.camera) else { return };
        for segment in entry.segments.iter_mut().filter(|segment| segment.delivered) {
            if wanted.contains(segment.range) {
                segment.delivered = false;
                tally.live.remove(amount_of(&segment.fact.notice));
            }
        }
    }

    fn ask_again_at(
        &self,
        now: Instant,
        key: PackKey,
        entry: &mut Entry,
        put_off: Option<Instant>,
    ) -> Option<Instant> {
        let uploading = self.running.values().any(|running| running.key == key);
        if !entry.want.is_empty() || uploading {
            entry.idle_replies = 0;
            if entry.uploaded > entry.body_bytes.saturating_mul(MAX_UPLOADS_OF_A_PACK) {
                entry.refused =
                    Some("its bytes do not verify in the vault; check the disk and the memory".into());
                entry.want = RangeSet::new();
                return Some(now + REFUSED_REST);
            }
            // The last upload asks.
            return put_off;
        }
        if put_off.is_some() || !entry.is_sealed() {
            return put_off;
        }
        // All is there: the vault makes it durable now, and has a receipt the next time, or the one after.
        entry.idle_replies += 1;
        if entry.idle_replies.is_multiple_of(6) {
            entry.trailer_told = false;
        }
        Some(now + Duration::from_millis(50 << entry.idle_replies.min(6)))
    }

    fn stored(
        &mut self,
        now: Instant,
        key: PackKey,
        receipt: Receipt,
        believer: &Believer,
    ) -> Option<Consequence> {
        let entry = self.packs.get_mut(&key)?;
        let (Some(sealed), Some(camera)) = (entry.sealed, believer.cameras.get(key.camera)) else {
            entry.rest(now);
            return Some(Consequence::NotBelieved(key, None));
        };
        let checked =
            receipt.check(&believer.key, &believer.device, camera, key.pack, sealed.manifest, sealed.bytes);
        // Asked again in any case, until the receipt is kept.
        entry.rest(now);
        Some(match checked {
            Ok(()) => Consequence::Keep(key, Box::new(receipt)),
            Err(error) => Consequence::NotBelieved(key, Some(error)),
        })
    }

    /// Packs that the vault was told of and that are not done.
    fn active(&self) -> usize {
        self.packs.values().filter(|entry| entry.trailer_told && !entry.want.is_empty()).count()
    }
}

impl Entry {
    fn has_news(&self, active: usize) -> bool {
        if self.unread || self.refused.is_some() {
            return false;
        }
        match self.sealed {
            Some(_) => !self.trailer_told && (active < MAX_ACTIVE || self.locked || self.requested),
            None => self.segment_count() > self.known,
        }
    }

    /// What to say of it within `budget` bytes, and about how long that is.
    fn news(&self, key: PackKey, budget: usize, alone: bool) -> (PackNews, usize) {
        let mut news = PackNews {
            key,
            first: self.known,
            segments: Vec::new(),
            trailer: false,
            start_wall: self.start_wall,
        };
        let mut cost = PACK_BYTES;
        if let Some(sealed) = self.sealed {
            news.trailer = !self.trailer_told;
            cost += if news.trailer { sealed.segments as usize * TRAILER_SEGMENT_BYTES + 700 } else { 0 };
        } else {
            let fits = (budget.saturating_sub(cost) / SEGMENT_BYTES).max(usize::from(alone));
            let new = self.segments.iter().skip(self.known as usize).take(fits);
            news.segments = new.map(|segment| segment.fact.notice).collect();
            cost += news.segments.len().max(1) * SEGMENT_BYTES;
        }
        (news, cost)
    }

    fn rest(&mut self, now: Instant) {
        self.ask_at = Some(now + REFUSED_REST);
    }
}

#[cfg(test)]
mod tests;
