//! The engine on a clock that the test moves, called by the core's own caller and by hostile peers.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sapflow_srt::seq::Seq;
use sapflow_srt::{Caller, CallerConfig};

use super::*;
use crate::Delivery;
use crate::queue::DeliveryQueue;

const MS: Duration = Duration::from_millis(1);

/// An engine with one accepted caller, whose packets the test carries by hand.
struct Bench {
    engine: Engine,
    caller: Caller,
    queue: Arc<DeliveryQueue>,
    id: u32,
    now: Instant,
}

fn from() -> SocketAddr {
    "192.0.2.1:5000".parse().unwrap()
}

fn to() -> SocketAddr {
    "192.0.2.2:8890".parse().unwrap()
}

fn caller(now: Instant, socket: u32) -> Caller {
    let config = CallerConfig { stream_id: "publish:x".to_owned(), ..CallerConfig::default() };
    Caller::with_ids(config, to(), socket, Seq::new(Seq::MAX - 3), now).unwrap()
}

/// Carries packets both ways until both are silent.
fn carry(engine: &mut Engine, caller: &mut Caller, now: Instant) {
    loop {
        let mut moved = false;
        while let Some((_, datagram)) = caller.poll_transmit(now) {
            engine.handle_datagram(now, from(), &datagram);
            moved = true;
        }
        while let Some((_, datagram)) = engine.poll_transmit() {
            caller.handle_datagram(now, to(), &datagram);
            moved = true;
        }
        if !moved {
            return;
        }
    }
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        let mut engine = Engine::new(ListenerConfig::default(), now);
        let mut caller = caller(now, 77);
        carry(&mut engine, &mut caller, now);
        let id = engine.poll_request().unwrap().id;
        let queue = engine.accept(now, id).unwrap().queue;
        carry(&mut engine, &mut caller, now);
        assert!(caller.is_connected());
        Self { engine, caller, queue, id, now }
    }

    /// The datagrams of payloads with these bytes.
    fn datagrams(&mut self, payloads: impl IntoIterator<Item = u8>) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        for byte in payloads {
            self.caller.enqueue(self.now, vec![byte; 188]).unwrap();
            self.now += 2 * MS;
            out.extend(self.caller.poll_transmit(self.now).map(|(_, datagram)| datagram));
        }
        out
    }

    fn deliver(&mut self, datagram: &[u8]) {
        self.engine.handle_datagram(self.now, from(), datagram);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.engine.tick(self.now);
    }

    /// The first byte of each payload delivered, and losses as negative numbers.
    fn taken(&self) -> Vec<i64> {
        let mut out = Vec::new();
        while let Some(Some(delivery)) = self.queue.try_take() {
            match delivery {
                Delivery::Data(run) => out.extend(run.chunks(188).map(|payload| i64::from(payload[0]))),
                Delivery::Lost { packets } => out.push(-(packets as i64)),
                Delivery::Closed(_) => break,
            }
        }
        out
    }

    /// Sequence numbers that the engine acknowledges and asks for, as offsets from the first.
    fn feedback(&mut self) -> (Option<i32>, usize) {
        let (mut acknowledged, mut reports) = (None, 0);
        while let Some((_, datagram)) = self.engine.poll_transmit() {
            match Packet::parse(&datagram) {
                Ok(Packet::Control(ControlPacket { body: Control::Ack(ack), .. })) => {
                    acknowledged = Some(Seq::new(Seq::MAX - 3).distance_to(ack.ack));
                }
                Ok(Packet::Control(ControlPacket { body: Control::Nak(_), .. })) => reports += 1,
                _ => {}
            }
        }
        (acknowledged, reports)
    }
}

#[test]
fn payloads_are_delivered_without_waiting_for_their_time() {
    let mut b = Bench::new();
    let packets = b.datagrams(0..10);
    for (n, packet) in (0..).zip(&packets) {
        b.deliver(packet);
        assert_eq!(b.taken(), [n]);
    }
}

#[test]
fn a_gap_is_asked_for_and_held_and_then_acknowledged() {
    let mut b = Bench::new();
    let packets = b.datagrams(0..10);
    b.deliver(&packets[0]);
    for packet in &packets[2..] {
        b.deliver(packet);
    }
    assert_eq!(b.taken(), [0]);
    assert_eq!(b.feedback().1, 1, "asked for at once");
    b.pass(2500 * MS);
    assert_eq!(b.taken(), []);
    b.deliver(&packets[1]);
    assert_eq!(b.taken(), (1..10).collect::<Vec<_>>());
    b.pass(200 * MS);
    b.pass(200 * MS);
    assert_eq!(b.feedback().0, Some(10));
}

#[test]
fn the_core_asks_for_a_gap_as_long_as_it_is_held() {
    let mut b = Bench::new();
    let packets = b.datagrams(0..40);
    b.deliver(&packets[0]);
    // Gaps that are filled around one that is not.
    for (n, packet) in packets.iter().enumerate().skip(2) {
        if n % 3 != 0 {
            b.deliver(packet);
        }
    }
    for n in (3..40).step_by(3) {
        b.deliver(&packets[n]);
    }
    b.feedback();
    for _ in 0..4 {
        b.pass(600 * MS);
        assert!(b.feedback().1 > 0, "still wanted");
    }
    b.deliver(&packets[1]);
    assert_eq!(b.taken(), (0..40).collect::<Vec<_>>());
}

#[test]
fn what_was_given_up_is_acknowledged_too() {
    let mut b = Bench::new();
    let packets = b.datagrams(0..10);
    b.deliver(&packets[0]);
    for packet in &packets[4..] {
        b.deliver(packet);
    }
    b.pass(2990 * MS);
    assert_eq!(b.taken(), [0]);
    b.pass(10 * MS);
    assert_eq!(b.taken(), [0, -3, 4, 5, 6, 7, 8, 9][1..]);
    b.pass(200 * MS);
    assert_eq!(b.feedback().0, Some(10));
}

#[test]
fn a_drop_request_ends_the_wait_and_the_asking() {
    let mut b = Bench::new();
    let packets = b.datagrams(0..5);
    for n in [0, 3, 4] {
        b.deliver(&packets[n]);
    }
    let first = Seq::new(Seq::MAX - 3).add(1);
    let mut request = Vec::new();
    let body = Control::DropRequest { message: 2, first, last: first.next() };
    ControlPacket::new(0, b.id, body).encode(&mut request);
    b.deliver(&request);
    assert_eq!(b.taken(), [0, -2, 3, 4]);
    b.feedback();
    b.pass(500 * MS);
    assert_eq!(b.feedback(), (Some(5), 0));
}

#[test]
fn a_conclusion_that_comes_after_the_end_opens_no_ghost() {
    let now = Instant::now();
    let mut engine = Engine::new(ListenerConfig::default(), now);
    let mut caller = caller(now, 77);
    let (_, induction) = caller.poll_transmit(now).unwrap();
    engine.handle_datagram(now, from(), &induction);
    let (_, reply) = engine.poll_transmit().unwrap();
    caller.handle_datagram(now, to(), &reply);
    let (_, conclusion) = caller.poll_transmit(now).unwrap();
    engine.handle_datagram(now, from(), &conclusion);
    let id = engine.poll_request().unwrap().id;
    engine.accept(now, id).unwrap();
    engine.handle_datagram(now, from(), &conclusion);
    assert!(engine.poll_request().is_none(), "a repeat is no second caller");
    engine.close(now, id, CloseReason::Local);
    engine.handle_datagram(now + MS, from(), &conclusion);
    assert!(engine.poll_request().is_none());
    assert_eq!(engine.stats().connections, 0);
}

#[test]
fn packets_from_another_address_are_not_taken() {
    let mut b = Bench::new();
    let packets = b.datagrams(0..2);
    b.engine.handle_datagram(b.now, "192.0.2.9:5000".parse().unwrap(), &packets[0]);
    assert_eq!(b.taken(), []);
    assert_eq!(b.engine.stats().stray, 1);
}

#[test]
fn an_unanswered_caller_is_forgotten_and_cannot_be_accepted_any_more() {
    let now = Instant::now();
    let mut engine = Engine::new(ListenerConfig::default(), now);
    let mut caller = caller(now, 77);
    carry(&mut engine, &mut caller, now);
    let id = engine.poll_request().unwrap().id;
    engine.tick(now + Duration::from_secs(4));
    assert!(engine.accept(now + Duration::from_secs(4), id).is_err());
    assert!(engine.waiting.is_empty());
}

/// A datagram of the connection with some bytes changed, or anything at all.
fn hostile(valid: Vec<Vec<u8>>, id: u32) -> impl Strategy<Value = Vec<u8>> {
    let mutated =
        (proptest::sample::select(valid), any::<Vec<(u16, u8)>>()).prop_map(|(mut datagram, edits)| {
            for (at, byte) in edits {
                let at = usize::from(at) % datagram.len().max(1);
                datagram[at] = byte;
            }
            datagram
        });
    let control =
        (0_u8..10, any::<u16>(), any::<u32>(), any::<Vec<u8>>()).prop_map(move |(kind, sub, info, cif)| {
            let mut out = vec![0x80, kind];
            out.extend(sub.to_be_bytes());
            out.extend(info.to_be_bytes());
            out.extend([0; 4]);
            out.extend(id.to_be_bytes());
            out.extend(cif);
            out
        });
    prop_oneof![any::<Vec<u8>>(), mutated, control]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn hostile_datagrams_never_panic_and_memory_stays_bounded(
        steps in {
            let mut b = Bench::new();
            let packets = b.datagrams(0..4);
            proptest::collection::vec((hostile(packets, b.id), 0_u64..200), 0..60)
        }
    ) {
        let mut b = Bench::new();
        for (mut datagram, wait) in steps {
            // The socket id differs in each engine.
            if datagram.len() >= 16 && datagram[0] < 0x90 {
                datagram[12..16].copy_from_slice(&b.id.to_be_bytes());
            }
            b.deliver(&datagram);
            b.pass(wait as u32 * MS);
            while b.engine.poll_transmit().is_some() {}
            prop_assert!(b.engine.headers.is_empty());
            prop_assert!(b.engine.peers.len() <= 1);
        }
    }
}

#[test]
fn a_consumer_that_is_gone_ends_the_connection() {
    let mut b = Bench::new();
    let packets = b.datagrams(0..2);
    b.deliver(&packets[0]);
    b.queue.abandon();
    b.deliver(&packets[1]);
    assert_eq!(b.engine.stats().connections, 0);
    let shutdown = std::iter::from_fn(|| b.engine.poll_transmit()).any(|(_, d)| d.get(1) == Some(&5));
    assert!(shutdown, "the peer is told");
}
