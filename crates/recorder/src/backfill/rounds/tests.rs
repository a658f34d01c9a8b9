//! What `rounds` promises, case by case.

use std::time::{Duration, Instant};

use dashvault_base::WallMs;
use dashvault_wire::{AnnounceReply, ByteRange, PackReply, PackStatus, Receipt};
use proptest::prelude::*;

use super::super::model::*;
use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn record(book: &mut Book, now: Instant, pack: u32, number: u64, index: u64) {
    book.durable(now, key(pack), WallMs(0), fact(number), index * SEGMENT);
}

/// A book with one sealed pack of four segments, none of them live.
fn sealed_pack(now: Instant) -> Book {
    let mut book = Book::new(1);
    (0..4).for_each(|n| record(&mut book, now, 0, n, n));
    book.sealed(key(0), sealed_fact(key(0).pack, 4));
    book
}

fn answer(status: PackStatus) -> AnnounceReply {
    let pack = PackReply { camera: "main".parse().unwrap(), pack: key(0).pack, status };
    AnnounceReply { protocol: 1, packs: vec![pack], ..AnnounceReply::default() }
}

#[test]
fn segments_that_the_vault_knows_are_not_said_again() {
    let (mut book, now) = (Book::new(1), Instant::now());
    record(&mut book, now, 0, 0, 0);
    let round = book.compose(now, 64 << 10).unwrap();
    assert_eq!((round.packs[0].first, round.packs[0].segments.len()), (0, 1));
    let reply = answer(PackStatus::Assembling { known: 1, want: vec![], requested: false });
    book.take_reply(now, &round, reply, &believer());
    assert_eq!(book.next_due(now), None);
    record(&mut book, now, 0, 1, 1);
    assert_eq!(book.next_due(now), Some(now + Duration::from_millis(700)), "coalesced to a round a segment");
    let round = book.compose(now + Duration::from_secs(1), 64 << 10).unwrap();
    assert_eq!((round.packs[0].first, round.packs[0].segments.len()), (1, 1));
}

#[test]
fn lost_reply_leads_to_the_same_round_again() {
    let (mut book, now) = (Book::new(1), Instant::now());
    record(&mut book, now, 0, 0, 0);
    let first = book.compose(now, 64 << 10).unwrap();
    book.round_failed(now, &first);
    let again = book.compose(now + Duration::from_secs(1), 64 << 10).unwrap();
    assert_eq!(first.packs, again.packs);
}

#[test]
fn want_for_a_segment_in_flight_is_put_off_until_it_settles() {
    let (mut book, now) = (Book::new(1), Instant::now());
    book.ledger(0).unwrap().connected(recording(), 0);
    record(&mut book, now, 0, 0, 0);
    let want = || vec![ByteRange::new(0, SEGMENT)];
    let status = || PackStatus::Assembling { known: 1, want: want(), requested: false };
    let round = book.compose(now, 64 << 10).unwrap();
    book.take_reply(now, &round, answer(status()), &believer());
    assert_eq!(book.next_job(now), None);
    let due = book.next_due(now).expect("it is asked again");
    book.ledger(0).unwrap().finished(0, SEGMENT);
    book.acknowledged(now, 0, SEGMENT);
    let early = book.compose(due.min(now + Duration::from_millis(1900)), 64 << 10);
    if let Some(round) = early {
        book.take_reply(now, &round, answer(status()), &believer());
        assert_eq!(book.next_job(now), None, "asked too soon after the delivery");
    }
    let late = book.next_due(now).unwrap().max(now + Duration::from_secs(2));
    let round = book.compose(late, 64 << 10).unwrap();
    book.take_reply(late, &round, answer(status()), &believer());
    assert_eq!(book.next_job(late).map(|job| job.range), Some(ByteRange::new(0, SEGMENT)));
    assert_eq!(book.tally(0).live.segments, 0, "live did not deliver it after all");
}

#[test]
fn reply_to_a_question_asked_before_an_upload_does_not_repeat_it() {
    let now = Instant::now();
    let mut book = sealed_pack(now);
    let want = vec![ByteRange::new(0, 4 * SEGMENT)];
    let status = PackStatus::Assembling { known: 4, want, requested: false };
    let round = book.compose(now, 64 << 10).unwrap();
    book.take_reply(now, &round, answer(status.clone()), &believer());
    let job = book.next_job(now).unwrap();
    book.uploaded_to(now + Duration::from_millis(5), job.id, job.range.end);
    book.job_over(now + Duration::from_millis(5), job.id, false);
    book.take_reply(now + Duration::from_millis(9), &round, answer(status), &believer());
    assert_eq!(book.next_job(now + Duration::from_millis(9)), None);
}

#[test]
fn forged_and_replayed_receipts_are_not_believed() {
    let now = Instant::now();
    let mut book = sealed_pack(now);
    let bytes = sealed_fact(key(0).pack, 4).bytes;
    let good = receipt(key(0).pack, bytes);
    let forged = Receipt { stored_at: WallMs(6), ..good.clone() };
    let other = receipt(key(0).pack, bytes + 188);
    let mut at = now;
    for (receipt, error) in [(forged, ReceiptError::Forged), (other, ReceiptError::OtherPack)] {
        let round = book.compose(at, 64 << 10).unwrap();
        let consequences = book.take_reply(at, &round, answer(PackStatus::Stored { receipt }), &believer());
        assert_eq!(consequences, [Consequence::NotBelieved(key(0), Some(error))]);
        assert!(book.holds(key(0)));
        at += MINUTE;
    }
    let nothing_asked = Round { asked: at, packs: vec![] };
    let unasked = answer(PackStatus::Stored { receipt: good.clone() });
    assert!(book.take_reply(at, &nothing_asked, unasked, &believer()).is_empty());
    let round = book.compose(at, 64 << 10).unwrap();
    let kept =
        book.take_reply(now, &round, answer(PackStatus::Stored { receipt: good.clone() }), &believer());
    assert_eq!(kept, [Consequence::Keep(key(0), Box::new(good))]);
}

#[test]
fn refused_pack_rests_and_is_shown() {
    let now = Instant::now();
    let mut book = sealed_pack(now);
    let round = book.compose(now, 64 << 10).unwrap();
    let status = PackStatus::Refused { code: "other-content".into(), detail: "x".into() };
    book.take_reply(now, &round, answer(status), &believer());
    assert!(book.next_due(now).unwrap() >= now + Duration::from_secs(59));
    assert!(book.refusals()[0].contains("other-content"));
}

#[test]
fn vault_that_forgot_is_told_everything_again() {
    let now = Instant::now();
    let (mut book, mut vault) = (sealed_pack(now), ModelVault::default());
    let round = book.compose(now, 64 << 10).unwrap();
    let reply = vault.reply(&round, 4);
    book.take_reply(now, &round, reply, &believer());
    vault.restart();
    assert_eq!(drain(&mut book, &mut vault, now, now + MINUTE, 4), 1);
    assert!(book.is_empty());
}

#[test]
fn small_budget_still_makes_progress() {
    let (mut book, mut vault, now) = (Book::new(1), ModelVault::default(), Instant::now());
    (0..40).for_each(|n| record(&mut book, now, 0, n, n));
    let mut at = now;
    for _ in 0..40 {
        let Some(round) = book.compose(at, 400) else { break };
        assert_eq!(round.packs[0].segments.len(), 1);
        let reply = vault.reply(&round, 60);
        book.take_reply(at, &round, reply, &believer());
        at += Duration::from_secs(1);
    }
    assert_eq!(book.packs.values().next().unwrap().known, 40);
}

#[test]
fn hour_offline_is_announced_newest_first_and_ends_empty() {
    let (mut book, mut vault, now) = (Book::new(1), ModelVault::default(), Instant::now());
    for pack in 0..60 {
        book.found(key(pack), 4 * SEGMENT + TRAILER, false);
    }
    let mut at = now;
    while !book.is_empty() && at < now + 10 * MINUTE {
        for key in book.unread(8) {
            book.sealed(key, sealed_fact(key.pack, 4));
        }
        drain(&mut book, &mut vault, at, at + Duration::from_secs(1), 4);
        at += Duration::from_secs(1);
    }
    assert!(book.is_empty() && vault.doubled == 0, "{} left", book.keys().len());
}

#[derive(Clone, Debug)]
enum Step {
    Record,
    Connect,
    Send,
    Acknowledge,
    Disconnect { arrived: bool },
    Round { reply_lost: bool },
    Upload { share: u64, dies: bool },
    VaultRestart,
    Pass { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Record),
        2 => Just(Step::Connect),
        4 => Just(Step::Send),
        3 => Just(Step::Acknowledge),
        1 => any::<bool>().prop_map(|arrived| Step::Disconnect { arrived }),
        4 => any::<bool>().prop_map(|reply_lost| Step::Round { reply_lost }),
        3 => (0u64..=10, any::<bool>()).prop_map(|(share, dies)| Step::Upload { share, dies }),
        1 => Just(Step::VaultRestart),
        2 => (0u64..4000).prop_map(|ms| Step::Pass { ms }),
    ]
}

/// Everything at once: what is recorded, what live has carried, and the two sides.
struct World {
    book: Book,
    vault: ModelVault,
    now: Instant,
    recorded: u64,
    /// The next segment live sends, where it is connected.
    live: Option<u64>,
    sent: Vec<u64>,
}

const PER_PACK: u64 = 4;

impl World {
    fn take(&mut self, step: Step) {
        let Self { book, vault, now, .. } = self;
        match step {
            Step::Record => {
                let pack = u32::try_from(self.recorded / PER_PACK).unwrap();
                record(book, *now, pack, self.recorded, self.recorded % PER_PACK);
                self.recorded += 1;
                if self.recorded.is_multiple_of(PER_PACK) {
                    book.sealed(key(pack), sealed_fact(key(pack).pack, 4));
                }
            }
            Step::Connect if self.live.is_none() => {
                self.live = Some(self.recorded);
                self.sent.clear();
                book.ledger(0).unwrap().connected(recording(), self.recorded);
            }
            // Live may be ahead of the disk by the segment that is being written.
            Step::Send => {
                if let Some(next) = self.live.filter(|next| *next <= self.recorded) {
                    self.sent.push(next);
                    book.ledger(0).unwrap().finished(next, self.sent.len() as u64 * SEGMENT);
                    self.live = Some(next + 1);
                }
            }
            Step::Acknowledge => {
                self.sent.iter().for_each(|number| _ = vault.live.insert(*number));
                book.acknowledged(*now, 0, self.sent.len() as u64 * SEGMENT);
            }
            Step::Disconnect { arrived } => {
                if arrived {
                    self.sent.iter().for_each(|number| _ = vault.live.insert(*number));
                }
                self.live = None;
                book.ledger(0).unwrap().disconnected();
            }
            Step::Round { reply_lost } => {
                if let Some(round) = book.compose(*now, 2000) {
                    let reply = vault.reply(&round, PER_PACK);
                    if reply_lost {
                        book.round_failed(*now, &round);
                    } else {
                        for consequence in book.take_reply(*now, &round, reply, &believer()) {
                            if let Consequence::Keep(key, _) = consequence {
                                book.receipted(key);
                            }
                        }
                    }
                }
            }
            Step::Upload { share, dies } => {
                if let Some(job) = book.next_job(*now) {
                    let end = job.range.start + job.range.len() * share / 10;
                    vault.upload(job.key.pack, ByteRange::new(job.range.start, end));
                    if !dies {
                        book.uploaded_to(*now, job.id, end);
                    }
                    book.job_over(*now, job.id, dies);
                }
            }
            Step::VaultRestart => vault.restart(),
            Step::Pass { ms } => *now += Duration::from_millis(ms),
            Step::Connect => {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_every_pack_is_receipted_and_acknowledged_bytes_are_not_sent_twice(steps in prop::collection::vec(step(), 0..150)) {
        let now = Instant::now();
        let mut world = World { book: Book::new(1), vault: ModelVault::default(), now, recorded: 0, live: None, sent: vec![] };
        let mut at_risk = 0;
        for step in steps {
            // Bytes that arrived without our knowing may come again: in a live connection that ended.
            if let Step::Disconnect { arrived: true } = step { at_risk += world.sent.len() as u64 * SEGMENT; }
            world.take(step);
        }
        world.take(Step::Disconnect { arrived: false });
        while !world.recorded.is_multiple_of(PER_PACK) { world.take(Step::Record); }
        let end = world.now + 20 * MINUTE;
        drain(&mut world.book, &mut world.vault, world.now, end, PER_PACK);
        prop_assert!(world.book.is_empty(), "{:?}", world.book);
        prop_assert!(world.vault.doubled <= at_risk, "{} doubled", world.vault.doubled);
        prop_assert_eq!(world.book.backlog(0), Default::default());
    }

    #[test]
    fn hostile_replies_do_no_harm(known in any::<u32>(), want in prop::collection::vec((any::<u64>(), any::<u64>()), 0..20), requested in any::<bool>()) {
        let now = Instant::now();
        let mut book = sealed_pack(now);
        let round = book.compose(now, 64 << 10).unwrap();
        let want = want.into_iter().map(ByteRange::from).collect();
        book.take_reply(now, &round, answer(PackStatus::Assembling { known, want, requested }), &believer());
        while let Some(job) = book.next_job(now) {
            prop_assert!(job.range.end <= 4 * SEGMENT && !job.range.is_empty());
            book.uploaded_to(now, job.id, job.range.end);
            book.job_over(now, job.id, false);
        }
    }
}
