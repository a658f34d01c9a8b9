//! What `plan` promises, case by case.

use std::time::Instant;

use dashvault_base::{CameraName, WallMs};
use dashvault_wire::{AnnounceReply, PackReply, PackStatus};

use super::super::model::{SEGMENT, believer, fact, key, sealed_fact};
use super::*;

/// A book in which the vault wants all of each pack: (number, requested, young).
fn wanted(now: Instant, packs: &[(u32, bool, bool)]) -> Book {
    let mut book = Book::new(1);
    for (number, _, young) in packs {
        if *young {
            book.durable(now, key(*number), WallMs(0), fact(u64::from(*number)), 0);
        }
        book.sealed(key(*number), sealed_fact(key(*number).pack, 4));
    }
    let round = book.compose(now, 1 << 20).unwrap();
    let reply = packs.iter().map(|(number, requested, _)| PackReply {
        camera: CameraName::main(),
        pack: key(*number).pack,
        status: PackStatus::Assembling {
            known: 4,
            want: vec![ByteRange::new(0, 4 * SEGMENT)],
            requested: *requested,
        },
    });
    let reply = AnnounceReply { protocol: 1, packs: reply.collect(), ..AnnounceReply::default() };
    book.take_reply(now, &round, reply, &believer());
    book
}

fn order(book: &mut Book, now: Instant) -> Vec<u32> {
    std::iter::from_fn(|| book.next_job(now).map(|job| job.key.pack.number)).collect()
}

#[test]
fn event_goes_before_requested_before_newest_before_oldest() {
    let now = Instant::now();
    let packs = [
        (0, false, false),
        (1, false, false),
        (2, true, false),
        (3, false, false),
        (4, false, true),
        (5, false, true),
    ];
    let mut book = wanted(now, &packs);
    book.set_locked(key(3), true);
    assert_eq!(order(&mut book, now), [3, 2, 5, 4, 0, 1]);
}

#[test]
fn running_bytes_are_not_given_out_twice() {
    let now = Instant::now();
    let mut book = wanted(now, &[(0, false, false)]);
    let first = book.next_job(now).unwrap();
    assert_eq!((first.range, book.next_job(now)), (ByteRange::new(0, 4 * SEGMENT), None));
    book.uploaded_to(now, first.id, SEGMENT);
    book.job_over(now, first.id, false);
    assert_eq!(book.next_job(now).unwrap().range, ByteRange::new(SEGMENT, 4 * SEGMENT));
}

#[test]
fn long_wants_are_cut_into_jobs() {
    let now = Instant::now();
    let mut book = Book::new(1);
    let body = 20u64 << 20;
    book.sealed(key(0), SealedFactOf(body).into());
    let round = book.compose(now, 1 << 20).unwrap();
    let status = PackStatus::Assembling { known: 4, want: vec![ByteRange::new(0, body)], requested: false };
    let pack = PackReply { camera: CameraName::main(), pack: key(0).pack, status };
    book.take_reply(
        now,
        &round,
        AnnounceReply { protocol: 1, packs: vec![pack], ..AnnounceReply::default() },
        &believer(),
    );
    let lengths: Vec<u64> =
        std::iter::from_fn(|| book.next_job(now).map(|job| job.range.len() >> 20)).collect();
    assert_eq!(lengths, [8, 8, 4]);
}

struct SealedFactOf(u64);

impl From<SealedFactOf> for super::super::entry::SealedFact {
    fn from(SealedFactOf(body_bytes): SealedFactOf) -> Self {
        Self { body_bytes, bytes: body_bytes + 376, ..sealed_fact(key(0).pack, 4) }
    }
}

#[test]
fn event_preempts_what_is_being_uploaded_and_nothing_else_does() {
    let now = Instant::now();
    let mut book = wanted(now, &[(0, false, false), (1, false, true), (2, false, true)]);
    let running = book.next_job(now).unwrap();
    assert_eq!(running.key.pack.number, 2);
    assert!(!book.should_yield(now, running.id), "young packs wait for each other");
    book.set_locked(key(0), true);
    assert!(book.should_yield(now, running.id));
    book.job_over(now, running.id, false);
    assert_eq!(order(&mut book, now), [0, 2, 1]);
}

#[test]
fn job_that_died_without_a_trace_asks_before_it_repeats() {
    let now = Instant::now();
    let mut book = wanted(now, &[(0, false, false)]);
    let job = book.next_job(now).unwrap();
    book.job_over(now, job.id, true);
    assert_eq!(book.next_job(now), None);
    assert!(book.next_due(now).is_some());
}
