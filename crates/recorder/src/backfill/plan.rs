//! What to upload next: jobs, their order, and when one gives way to another.
//!
//! Order: packs held by an event, then those asked for, then the young (newest first), then the old (oldest first).
//! Belongs here: the pure choice and the account of what runs. Not here: uploading (`upload`).
//!
//! Invariants: no byte is in two running jobs; a job never leaves its pack's body; what was uploaded is not chosen
//! again until a reply to a later question wants it.

use std::time::{Duration, Instant};

use dashvault_wire::ByteRange;

use super::book::Book;
use super::entry::{Entry, PackKey};
use crate::status::Amount;

/// The longest job: so that the order can change soon.
pub(crate) const MAX_JOB_BYTES: u64 = 8 << 20;
/// How long a pack counts as young.
const YOUNG: Duration = Duration::from_secs(600);
/// After the last upload of a pack the vault is asked this much later, so that uploads that end together ask once.
const ASK_AFTER: Duration = Duration::from_millis(5);

/// A run of bytes to upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// Its number.
    pub(crate) id: u64,
    /// The pack.
    pub(crate) key: PackKey,
    /// The bytes of its file.
    pub(crate) range: ByteRange,
}

/// A job under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    pub(super) key: PackKey,
    pub(super) range: ByteRange,
    class: Class,
}

/// How urgent a pack is; the least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Event,
    Requested,
    Young,
    Old,
}

impl Book {
    /// Chooses the next job and counts it as running.
    pub(crate) fn next_job(&mut self, now: Instant) -> Option<Job> {
        let (key, class, range) = self.best(now)?;
        let id = self.next_job;
        self.next_job += 1;
        self.running.insert(id, Running { key, range, class });
        Some(Job { id, key, range })
    }

    /// Whether a job should make room for a more urgent one, every worker being busy.
    pub(crate) fn should_yield(&self, now: Instant, job: u64) -> bool {
        let Some(own) = self.running.get(&job) else { return true };
        self.best(now).is_some_and(|(_, class, _)| class < own.class && class <= Class::Requested)
    }

    /// The vault has the job's bytes up to, not including, `end` of the pack's file.
    pub(crate) fn uploaded_to(&mut self, now: Instant, job: u64, end: u64) {
        let Some(running) = self.running.get_mut(&job) else { return };
        let done = ByteRange::new(running.range.start, end.min(running.range.end));
        if done.is_empty() {
            return;
        }
        running.range.start = done.end;
        let key = running.key;
        let Some(entry) = self.packs.get_mut(&key) else { return };
        entry.want.remove(done);
        match entry.done.last_mut() {
            Some((last, at)) if last.end == done.start => (last.end, *at) = (done.end, now),
            _ => entry.done.push((done, now)),
        }
        entry.uploaded += done.len();
        let amount = Amount { segments: 0, ms: entry.ms_of(done.len()), bytes: done.len() };
        if let Some(tally) = self.tallies.get_mut(key.camera) {
            tally.backfilled.add(amount);
        }
    }

    /// The job is over, at its end or not. What it did not bring is chosen again, unless the vault must be asked first.
    pub(crate) fn job_over(&mut self, now: Instant, job: u64, ask_first: bool) {
        let Some(running) = self.running.remove(&job) else { return };
        let more = self.running.values().any(|other| other.key == running.key);
        let Some(entry) = self.packs.get_mut(&running.key) else { return };
        if ask_first {
            // What the vault holds of it is not known here.
            entry.want.remove(running.range);
        }
        if (entry.want.is_empty() && !more) || ask_first {
            let at = now + ASK_AFTER;
            entry.ask_at = Some(entry.ask_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// Ranges that wait for a worker.
    pub(crate) fn queued(&self) -> u64 {
        self.packs.iter().map(|(key, entry)| self.free_ranges(*key, entry).count() as u64).sum()
    }

    /// Jobs under way.
    pub(crate) fn jobs_running(&self) -> u64 {
        self.running.len() as u64
    }

    fn best(&self, now: Instant) -> Option<(PackKey, Class, ByteRange)> {
        let candidates =
            self.packs.iter().filter(|(_, entry)| !entry.want.is_empty()).filter_map(|(key, entry)| {
                let range = self.free_ranges(*key, entry).next()?;
                let class = entry.class(now);
                let age = key.pack;
                // Two orders in one: the young newest first, the others oldest first.
                let order =
                    (class, (class == Class::Young).then_some(std::cmp::Reverse(age)), age, key.camera);
                Some((order, *key, class, range))
            });
        let (_, key, class, range) = candidates.min_by_key(|(order, ..)| *order)?;
        Some((key, class, ByteRange::new(range.start, range.end.min(range.start + MAX_JOB_BYTES))))
    }

    /// What the vault lacks of a pack and no job brings.
    fn free_ranges<'a>(&'a self, key: PackKey, entry: &'a Entry) -> impl Iterator<Item = ByteRange> + 'a {
        let running = move || self.running.values().filter(move |running| running.key == key);
        let mut free = if running().next().is_some() { Some(entry.want.clone()) } else { None };
        if let Some(free) = &mut free {
            running().for_each(|running| free.remove(running.range));
        }
        let ranges: Vec<ByteRange> = free.as_ref().unwrap_or(&entry.want).iter().collect();
        ranges.into_iter()
    }
}

impl Entry {
    fn class(&self, now: Instant) -> Class {
        let young = self.ended.is_some_and(|at| now.saturating_duration_since(at) < YOUNG);
        match (self.locked, self.requested, young) {
            (true, _, _) => Class::Event,
            (_, true, _) => Class::Requested,
            (_, _, true) => Class::Young,
            _ => Class::Old,
        }
    }
}

#[cfg(test)]
mod tests;
