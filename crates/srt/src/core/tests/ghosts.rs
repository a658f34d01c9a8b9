//! Callers that die and call again, and handshakes of the dead; floods of what nobody meant.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::core::bench::{Application, Arrived, MS, Pair, Way, at, payload, random};
use crate::core::packet::{HandshakeKind, HandshakeOut, Hello, HelloFlags, Outgoing, write_control};
use crate::core::seq::{Seq, SocketId, Stamp};
use crate::core::transmit::Transmits;
use crate::core::{Caller, CallerSettings, Listener, ListenerEvent, ListenerSettings};
use crate::{CloseReason, RejectCode};

/// The datagrams of a caller's handshake up to its conclusion, and the listener that they went to.
fn concluded(now: Instant, from: SocketAddr) -> (Listener, Vec<u8>) {
    let mut listener = Listener::new(ListenerSettings::default(), now, random(2));
    let conclusion = call(&mut listener, now, from, 7);
    (listener, conclusion)
}

/// Takes a new caller through its induction; its conclusion is returned and not delivered.
fn call(listener: &mut Listener, now: Instant, from: SocketAddr, seed: u64) -> Vec<u8> {
    let mut caller = Caller::new(&CallerSettings::default(), at("192.0.2.2:9000"), now, random(seed));
    for datagram in polled(&mut caller, now) {
        deliver(listener, now, from, &datagram);
    }
    for mut datagram in replies(listener, now) {
        caller.handle_datagram(now, at("192.0.2.2:9000"), &mut datagram, &mut Arrived::default());
    }
    polled(&mut caller, now).remove(0)
}

fn polled(caller: &mut Caller, now: Instant) -> Vec<Vec<u8>> {
    let mut out = Transmits::new();
    caller.poll_transmit(now, &mut out, 64);
    out.iter().map(|(_, datagram)| datagram.to_vec()).collect()
}

fn replies(listener: &mut Listener, now: Instant) -> Vec<Vec<u8>> {
    let mut out = Transmits::new();
    listener.poll_transmit(now, &mut out);
    out.iter().map(|(_, datagram)| datagram.to_vec()).collect()
}

fn deliver(listener: &mut Listener, now: Instant, from: SocketAddr, datagram: &[u8]) {
    listener.handle_datagram(now, from, &mut datagram.to_vec(), &mut Arrived::default());
}

fn requests(listener: &mut Listener) -> Vec<SocketId> {
    let mut ids = Vec::new();
    while let Some(event) = listener.poll_event() {
        if let ListenerEvent::Requested(request) = event {
            ids.push(request.id);
        }
    }
    ids
}

#[test]
fn a_conclusion_that_comes_after_the_end_opens_no_ghost() {
    let now = Instant::now();
    let from = at("192.0.2.1:5000");
    let (mut listener, conclusion) = concluded(now, from);
    deliver(&mut listener, now, from, &conclusion);
    let ids = requests(&mut listener);
    listener.accept(now, ids[0], None).unwrap();
    deliver(&mut listener, now, from, &conclusion);
    assert_eq!(requests(&mut listener), [], "a repeat is no second caller");
    listener.close(now, ids[0], CloseReason::Local);
    for after in [1, 100, 2000, 5000] {
        replies(&mut listener, now + after * MS);
        deliver(&mut listener, now + after * MS, from, &conclusion);
        assert_eq!(requests(&mut listener), []);
    }
    assert_eq!(listener.stats().connections, 0);
}

#[test]
fn the_same_conclusion_gets_the_same_answer() {
    let now = Instant::now();
    let from = at("192.0.2.1:5000");
    let (mut listener, conclusion) = concluded(now, from);
    deliver(&mut listener, now, from, &conclusion);
    deliver(&mut listener, now, from, &conclusion);
    let ids = requests(&mut listener);
    assert_eq!(ids.len(), 1);
    assert_eq!(replies(&mut listener, now).len(), 0, "no answer before the application's");
    listener.accept(now, ids[0], None).unwrap();
    let first = replies(&mut listener, now);
    deliver(&mut listener, now, from, &conclusion);
    assert_eq!(replies(&mut listener, now), first);
    // A stranger that knows the caller's socket, but not the cookie of its address, gets nothing.
    let mut forged = conclusion;
    forged[16 + 28..16 + 32].copy_from_slice(&[1, 2, 3, 4]);
    deliver(&mut listener, now, from, &forged);
    assert_eq!(replies(&mut listener, now).len(), 0);
    assert_eq!(listener.stats().bad_cookies, 1);
}

#[test]
fn a_killed_caller_that_calls_again_from_its_port_is_let_in_at_once_and_its_ghost_goes() {
    let mut pair = Pair::connected(&CallerSettings::default(), Application::Accepts(None));
    pair.talk(0..10);
    pair.caller = Caller::new(&CallerSettings::default(), at("192.0.2.2:9000"), pair.now, random(9));
    pair.run(200 * MS);
    assert!(pair.caller.is_connected());
    assert_eq!(pair.ids.len(), 2);
    pair.run(2 * Duration::from_secs(1));
    let gone = pair.listener_events.iter().any(|event| {
        matches!(event, ListenerEvent::Closed { id, reason: CloseReason::PeerGone, .. } if *id == pair.ids[0])
    });
    assert!(gone, "{:?}", pair.listener_events);
    pair.caller.send(pair.now, &payload(10)).unwrap();
    pair.run(100 * MS);
    assert_eq!(pair.at_listener.numbers.last(), Some(&10));
    assert_eq!(pair.listener.stats().connections, 1);
}

#[test]
fn two_live_callers_behind_one_port_both_stay() {
    let mut pair = Pair::connected(&CallerSettings::default(), Application::Accepts(None));
    let new = Caller::new(&CallerSettings::default(), at("192.0.2.2:9000"), pair.now, random(9));
    let mut old = std::mem::replace(&mut pair.caller, new);
    for _ in 0..4000 {
        pair.step();
        for datagram in polled(&mut old, pair.now) {
            let (now, from) = (pair.now, pair.caller_at);
            deliver(&mut pair.listener, now, from, &datagram);
        }
    }
    assert_eq!(pair.listener.stats().connections, 2);
}

#[test]
fn connections_and_waiting_callers_are_limited_and_each_refusal_says_why() {
    let now = Instant::now();
    let settings = ListenerSettings { max_connections: 3, max_half_open: 2, ..ListenerSettings::default() };
    let mut listener = Listener::new(settings, now, random(2));
    let mut codes = Vec::new();
    for n in 0..6_u16 {
        let from = SocketAddr::new([192, 0, 2, 1].into(), 5000 + n);
        let conclusion = call(&mut listener, now, from, 100 + u64::from(n));
        deliver(&mut listener, now, from, &conclusion);
        codes.extend(
            replies(&mut listener, now)
                .iter()
                .map(|reply| u32::from_be_bytes([reply[36], reply[37], reply[38], reply[39]])),
        );
        if n == 2 {
            for id in requests(&mut listener) {
                listener.accept(now, id, None).unwrap();
            }
            replies(&mut listener, now);
        }
    }
    // The third found two waiting, the fifth and sixth two connections and one waiting.
    assert_eq!(codes, [2402, 1003, 1003]);
    assert_eq!(listener.stats().overloaded, 3);
}

#[test]
fn refused_callers_do_not_keep_others_out() {
    let now = Instant::now();
    let settings = ListenerSettings { max_half_open: 4, ..ListenerSettings::default() };
    let mut listener = Listener::new(settings, now, random(2));
    for n in 0..100_u16 {
        let from = SocketAddr::new([192, 0, 2, 1].into(), 5000 + n);
        let conclusion = call(&mut listener, now, from, 100 + u64::from(n));
        deliver(&mut listener, now, from, &conclusion);
        let ids = requests(&mut listener);
        assert_eq!(ids.len(), 1);
        listener.reject(now, ids[0], RejectCode(2403));
        assert_eq!(replies(&mut listener, now).len(), 1);
    }
    assert_eq!(listener.stats().rejected, 100);
}

/// A handshake that a stranger makes up.
fn made_up(kind: HandshakeKind, socket: u32, cookie: u32) -> Vec<u8> {
    let hello =
        Hello { version: 0x01_05_03, flags: HelloFlags(63), receive_latency_ms: 1, send_latency_ms: 1 };
    let mut handshake = HandshakeOut {
        version: if kind == HandshakeKind::Induction { 4 } else { 5 },
        encryption: 0,
        extension: 2,
        initial_seq: Seq::new(socket),
        mtu: 1500,
        window: 8192,
        kind,
        socket: SocketId(socket),
        cookie,
        peer_ip: [0; 16],
        hello: (kind == HandshakeKind::Conclusion).then_some((true, hello)),
        key: None,
        stream_id: Some("spoofed"),
    };
    if kind == HandshakeKind::Conclusion {
        handshake.extension = handshake.flags();
    }
    let mut datagram = Vec::new();
    write_control(Stamp::of_micros(0), SocketId(0), &Outgoing::Handshake(handshake), &mut datagram);
    datagram
}

#[test]
fn a_flood_of_spoofed_handshakes_keeps_nothing_and_harms_no_stream() {
    let mut pair = Pair::connected(&CallerSettings::default(), Application::Accepts(None));
    let mut rng = fastrand::Rng::with_seed(5);
    for burst in 0..100_u32 {
        for _ in 0..1000 {
            let from = SocketAddr::new(rng.u32(..).to_be_bytes().into(), rng.u16(1..));
            let kind = if rng.bool() { HandshakeKind::Induction } else { HandshakeKind::Conclusion };
            let datagram = made_up(kind, rng.u32(1..), rng.u32(1..));
            deliver(&mut pair.listener, pair.now, from, &datagram);
        }
        let sent = pair.listener.stats().sent_bytes;
        pair.talk(burst..burst + 1);
        assert!(
            pair.listener.stats().sent_bytes - sent < 1000 * 64 + 4096,
            "no answer is larger than a question"
        );
    }
    pair.run(500 * MS);
    assert_eq!(pair.at_listener.numbers, (0..100).collect::<Vec<u32>>());
    let stats = pair.listener.stats();
    assert_eq!((stats.connections, stats.half_open), (1, 0));
    assert!(stats.bad_cookies > 49_000 && stats.rate_limited > 40_000, "{stats:?}");
    assert_eq!(pair.listener.entries(), (1, 0), "entries, timers but one each");
}

#[test]
fn many_connections_leave_nothing_behind() {
    let mut now = Instant::now();
    let mut listener = Listener::new(ListenerSettings::default(), now, random(2));
    for round in 0..20_u64 {
        for n in 0..100_u16 {
            let from = SocketAddr::new([192, 0, 2, 1].into(), 5000 + n);
            let conclusion = call(&mut listener, now, from, round * 1000 + u64::from(n));
            deliver(&mut listener, now, from, &conclusion);
            for id in requests(&mut listener) {
                listener.accept(now, id, None).unwrap();
            }
            replies(&mut listener, now);
            now += MS;
        }
        for _ in 0..8000 {
            now += MS;
            if listener.next_timeout().is_some_and(|due| due <= now) {
                listener.handle_timeout(now, &mut Arrived::default());
                replies(&mut listener, now);
            }
        }
        while listener.poll_event().is_some() {}
        assert_eq!(listener.stats().connections, 0, "all were silent");
    }
    for _ in 0..70 {
        now += 100 * MS;
        listener.handle_timeout(now, &mut Arrived::default());
        replies(&mut listener, now);
    }
    assert_eq!(listener.entries(), (0, 0));
}

#[test]
fn workers_hand_out_ids_that_name_them() {
    let now = Instant::now();
    for index in 0..3 {
        let worker = crate::core::Worker { index, count: 3 };
        let settings = ListenerSettings { worker, ..ListenerSettings::default() };
        let mut listener = Listener::new(settings, now, random(u64::from(index)));
        for n in 0..50_u16 {
            let from = SocketAddr::new([192, 0, 2, 1].into(), 5000 + n);
            let conclusion = call(&mut listener, now, from, 100 + u64::from(n));
            deliver(&mut listener, now, from, &conclusion);
        }
        let ids = requests(&mut listener);
        assert_eq!(ids.len(), 50);
        assert!(ids.iter().all(|id| id.0 % 3 == index && id.0 != 0));
    }
}

#[test]
fn handshakes_of_a_peer_that_has_moved_open_no_ghost_where_it_was() {
    let mut pair = Pair::new(&CallerSettings::default(), Application::Accepts(None));
    // Its conclusion comes a second time, three seconds later.
    pair.fate = Box::new(|way, n| {
        if way == Way::Up && n == 1 { vec![Duration::ZERO, 3000 * MS] } else { vec![Duration::ZERO] }
    });
    pair.run(200 * MS);
    pair.fate = Box::new(|_, _| vec![Duration::ZERO]);
    pair.caller_at = at("198.51.100.7:6000");
    pair.caller.moved(pair.now);
    pair.run(Duration::from_secs(4));
    assert_eq!(pair.listener.stats().moves, 1);
    assert_eq!(pair.ids.len(), 1);
}

#[test]
fn the_stamps_of_a_connection_begin_with_it_however_long_its_listener_has_run() {
    let now = Instant::now();
    let mut listener = Listener::new(ListenerSettings::default(), now, random(2));
    let now = now + Duration::from_secs(86_400);
    let from = at("192.0.2.1:5000");
    let conclusion = call(&mut listener, now, from, 7);
    deliver(&mut listener, now, from, &conclusion);
    let ids = requests(&mut listener);
    let now = now + 30 * MS;
    listener.accept(now, ids[0], None).unwrap();
    let answer = replies(&mut listener, now).remove(0);
    assert_eq!(answer[8..12], 30_000_u32.to_be_bytes());
}
