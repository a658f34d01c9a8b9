//! Handshakes that succeed, fail, and are lost, doubled or late in every position.

use std::time::Duration;

use crate::core::bench::{Application, DELAY, MS, Pair, Way, at, encrypted, required, secret};
use crate::core::crypto::Cipher;
use crate::core::{CallerEvent, CallerSettings, ConnectFailure, ListenerEvent, ListenerSettings};
use crate::{KeySize, RejectCode};

const SECRET: &str = "correct horse";

/// Datagrams of a handshake that nothing happens to: two each way.
const STEPS: usize = 2;

fn assert_talks(pair: &mut Pair) {
    pair.talk(0..50);
    pair.run(500 * MS);
    let all: Vec<u32> = (0..50).collect();
    assert_eq!(pair.at_listener.numbers, all);
    assert_eq!(pair.at_caller.numbers, all);
    assert_eq!((pair.at_listener.lost, pair.at_caller.lost), (0, 0));
}

#[test]
fn each_combination_of_encryption_connects_and_carries_both_ways() {
    let mut settings = vec![(CallerSettings::default(), None)];
    for size in [KeySize::Aes128, KeySize::Aes192, KeySize::Aes256] {
        for cipher in [Cipher::Ctr, Cipher::Gcm] {
            settings.push((encrypted(SECRET, size, cipher), Some(secret(SECRET))));
        }
    }
    for (settings, passphrase) in settings {
        let mut pair = Pair::connected(&settings, Application::Accepts(passphrase));
        assert_eq!(pair.caller_events, [CallerEvent::Connected { latency: Duration::from_secs(1) }]);
        assert_talks(&mut pair);
        let report = pair.caller.stats(pair.now);
        assert_eq!(report.undecryptable_packets, 0);
        assert_eq!(pair.listener.stats().accepted, 1);
    }
}

#[test]
fn the_larger_latency_is_agreed_on() {
    for (ours, theirs, agreed) in [(300, 2000, 2000), (3000, 120, 3000)] {
        let mut settings = CallerSettings::default();
        settings.receive.latency = ours * MS;
        let mut listener = ListenerSettings::default();
        listener.receive.latency = theirs * MS;
        let mut pair = Pair::with(&settings, listener, Application::Accepts(None));
        pair.run(200 * MS);
        assert_eq!(pair.caller_events, [CallerEvent::Connected { latency: agreed * MS }]);
    }
}

#[test]
fn wrong_or_missing_passphrases_are_refused_at_once() {
    let plain = CallerSettings::default();
    let wrong = encrypted("something else", KeySize::Aes128, Cipher::Ctr);
    let cases = [
        (&wrong, Some(secret(SECRET)), RejectCode::BAD_SECRET),
        (&plain, Some(secret(SECRET)), RejectCode::UNSECURE),
        (&wrong, None, RejectCode::UNSECURE),
    ];
    for (settings, passphrase, code) in cases {
        let mut pair = Pair::new(settings, Application::Accepts(passphrase));
        pair.run(5 * DELAY);
        assert_eq!(pair.caller_events, [CallerEvent::Rejected(code)]);
        assert_eq!(pair.listener.stats().connections, 0);
        assert_eq!(pair.listener.stats().rejected, 1);
        assert!(pair.caller.next_timeout().is_none(), "nothing is left to do");
    }
}

#[test]
fn who_does_not_encrypt_where_all_must_is_refused_without_asking_the_application() {
    let mut pair = Pair::with(&CallerSettings::default(), required(), Application::Accepts(None));
    pair.run(5 * DELAY);
    assert_eq!(pair.caller_events, [CallerEvent::Rejected(RejectCode::UNSECURE)]);
    assert!(matches!(pair.listener_events[..], [ListenerEvent::Refused(_)]), "{:?}", pair.listener_events);
}

#[test]
fn the_applications_no_reaches_the_caller_even_when_it_is_lost_at_first() {
    for lost in 0..3 {
        let mut pair = Pair::new(&CallerSettings::default(), Application::Rejects(RejectCode(2403)));
        pair.fate =
            Box::new(
                move |way, n| {
                    if way == Way::Down && (1..=lost).contains(&n) { vec![] } else { vec![Duration::ZERO] }
                },
            );
        pair.run(Duration::from_secs(2));
        assert_eq!(pair.caller_events, [CallerEvent::Rejected(RejectCode(2403))]);
        let requests = pair.listener_events.iter().filter(|e| matches!(e, ListenerEvent::Requested(_)));
        assert_eq!(requests.count(), 1, "the application is asked once");
    }
}

#[test]
fn a_handshake_packet_lost_in_any_position_only_delays() {
    for lost_up in 0..1 << STEPS {
        for lost_down in 0..1 << STEPS {
            let settings = encrypted(SECRET, KeySize::Aes128, Cipher::Ctr);
            let mut pair = Pair::new(&settings, Application::Accepts(Some(secret(SECRET))));
            pair.fate = Box::new(move |way, n| {
                let lost = if way == Way::Up { lost_up } else { lost_down };
                if n < STEPS && lost >> n & 1 == 1 { vec![] } else { vec![Duration::ZERO] }
            });
            assert!(pair.run_until(Duration::from_secs(3), |pair| pair.caller.is_connected()));
            pair.run(100 * MS);
            assert_eq!(pair.ids.len(), 1, "one connection");
            assert_talks(&mut pair);
        }
    }
}

#[test]
fn doubled_and_late_handshake_packets_make_no_second_connection() {
    for which in 0..4 * STEPS {
        for late in [0, 5, 70, 400, 1500] {
            let mut pair = Pair::new(&CallerSettings::default(), Application::Accepts(None));
            pair.fate = Box::new(move |way, n| {
                let number = 2 * n + usize::from(way == Way::Down);
                match (number == which % (2 * STEPS), which < 2 * STEPS) {
                    (true, true) => vec![Duration::ZERO, late * MS],
                    (true, false) => vec![late * MS],
                    (false, _) => vec![Duration::ZERO],
                }
            });
            assert!(pair.run_until(Duration::from_secs(3), |pair| pair.caller.is_connected()));
            assert_talks(&mut pair);
            pair.run(Duration::from_secs(2));
            assert_eq!(pair.ids.len(), 1, "one connection");
            assert_eq!(pair.listener.stats().connections, 1);
            assert_eq!(pair.caller_events.len(), 1);
        }
    }
}

#[test]
fn long_round_trips_with_heavy_loss_connect() {
    for seed in 0..100 {
        let settings =
            CallerSettings { connect_timeout: Duration::from_secs(8), ..CallerSettings::default() };
        let mut pair = Pair::new(&settings, Application::Accepts(None));
        let mut rng = fastrand::Rng::with_seed(seed);
        pair.fate = Box::new(move |_, _| if rng.u8(..100) < 20 { vec![] } else { vec![380 * MS] });
        assert!(pair.run_until(Duration::from_secs(8), |pair| pair.caller.is_connected()), "seed {seed}");
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.ids.len(), 1);
    }
}

#[test]
fn nobody_there_is_a_timeout_and_an_icmp_error_a_refusal() {
    let mut pair = Pair::new(&CallerSettings::default(), Application::Accepts(None));
    pair.fate = Box::new(|_, _| vec![]);
    pair.run(2990 * MS);
    assert_eq!(pair.caller_events, []);
    pair.run(20 * MS);
    assert_eq!(pair.caller_events, [CallerEvent::Failed(ConnectFailure::Timeout)]);
    let mut pair = Pair::new(&CallerSettings::default(), Application::Accepts(None));
    pair.step();
    pair.caller.refused(pair.now);
    pair.step();
    assert_eq!(pair.caller_events, [CallerEvent::Failed(ConnectFailure::Refused)]);
}

#[test]
fn an_unanswered_caller_is_told_and_cannot_be_accepted_any_more() {
    let settings = CallerSettings { connect_timeout: Duration::from_secs(10), ..CallerSettings::default() };
    let mut pair = Pair::new(&settings, Application::Waits);
    pair.run(Duration::from_secs(4));
    let events = &pair.listener_events[..];
    let [ListenerEvent::Requested(request), ListenerEvent::Refused(refusal), ListenerEvent::Withdrawn { id }] =
        events
    else {
        panic!("{events:?}");
    };
    assert_eq!((request.id, refusal.code), (*id, RejectCode(2503)));
    assert_eq!(refusal.stream_id, request.stream_id);
    let id = *id;
    assert!(matches!(pair.caller_events[..], [CallerEvent::Rejected(_)]));
    assert!(pair.listener.accept(pair.now, id, None).is_err());
    assert_eq!(pair.listener.stats().half_open, 0);
    assert_eq!(pair.listener.stats().unanswered, 1);
}

#[test]
fn a_caller_says_that_it_drops_late_packets_and_reports_losses_again_and_again() {
    use crate::core::packet::{Body, HelloFlags, Packet};
    let pair = Pair::connected(&CallerSettings::default(), Application::Accepts(None));
    let said: Vec<_> = pair
        .seen
        .iter()
        .filter_map(|(_, datagram)| match Packet::parse(datagram) {
            Ok(Packet::Control(control)) => match control.body {
                Body::Handshake(handshake) => {
                    let extensions = &handshake.extensions;
                    extensions.hello_request().or_else(|| extensions.hello_response())
                }
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(said.len(), 2, "both sides");
    let flags = HelloFlags::TLPKTDROP.with(HelloFlags::PERIODICNAK).with(HelloFlags::REXMITFLG);
    for hello in said {
        assert!(hello.flags.has(flags) && !hello.flags.has(HelloFlags::STREAM), "{:?}", hello.flags);
    }
}

#[test]
fn defaults_are_those_of_srt() {
    let caller = CallerSettings::default();
    assert_eq!((caller.connect_timeout, caller.peer_idle), (Duration::from_secs(3), Duration::from_secs(5)));
    assert_eq!((caller.receive.window_packets, caller.send.max_buffer_packets), (8192, 25_600));
    assert_eq!((caller.send.overhead_percent, caller.send.too_late), (25, None));
    let listener = ListenerSettings::default();
    assert_eq!(
        (listener.peer_idle, listener.accept_timeout),
        (Duration::from_secs(5), Duration::from_secs(3))
    );
    assert!(
        crate::Passphrase::new("x".repeat(9)).is_err() && crate::Passphrase::new("x".repeat(80)).is_err()
    );
    assert!(crate::Passphrase::new("x".repeat(10)).is_ok() && crate::Passphrase::new("x".repeat(79)).is_ok());
}

/// The first packet that a caller sends, and what a stranger makes of it: another socket, other addresses.
fn induction(pair: &Pair) -> Vec<u8> {
    pair.seen.iter().find(|(way, _)| *way == Way::Up).unwrap().1.clone()
}

#[test]
fn twenty_thousand_spoofed_inductions_leave_nothing() {
    let mut pair = Pair::connected(&CallerSettings::default(), Application::Accepts(None));
    let (entries, first) = (pair.listener.entries(), induction(&pair));
    for n in 0..20_000_u32 {
        let from = at(&format!("203.0.{}.{}:{}", n >> 8 & 0xFF, n & 0xFF, 1 + n % 60_000));
        pair.listener.handle_datagram(pair.now, from, &mut first.clone(), &mut pair.at_listener);
    }
    assert_eq!(pair.listener.entries(), entries, "nothing is kept");
    let stats = pair.listener.stats();
    assert_eq!((stats.half_open, stats.connections), (0, 1));
    assert!(stats.rate_limited > 10_000, "answers are bounded, too: {stats:?}");
    assert_talks(&mut pair);
}

#[test]
fn a_refusal_of_the_listeners_own_is_told_with_who_and_why_but_not_each_of_very_many() {
    let mut pair = Pair::with(&CallerSettings::default(), required(), Application::Waits);
    pair.run(200 * MS);
    let refused = |pair: &Pair| -> Vec<_> {
        let told = pair.listener_events.iter().filter_map(|event| match event {
            ListenerEvent::Refused(refusal) => Some(refusal.clone()),
            _ => None,
        });
        told.collect()
    };
    let first = refused(&pair);
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].peer, first[0].code, first[0].untold), (pair.caller_at, RejectCode::UNSECURE, 0));
    let conclusion = pair.seen.iter().filter(|(way, _)| *way == Way::Up).nth(1).unwrap().1.clone();
    for n in 0..1000_u32 {
        // Another socket of the same host each time: its id is the tenth word of the handshake.
        let mut datagram = conclusion.clone();
        datagram[40..44].copy_from_slice(&(n + 10).to_be_bytes());
        pair.listener.handle_datagram(pair.now, pair.caller_at, &mut datagram, &mut pair.at_listener);
    }
    pair.run(1000 * MS);
    let mut datagram = conclusion.clone();
    datagram[40..44].copy_from_slice(&9_u32.to_be_bytes());
    pair.listener.handle_datagram(pair.now, pair.caller_at, &mut datagram, &mut pair.at_listener);
    pair.run(10 * MS);
    let told = refused(&pair);
    assert!((5..=8).contains(&told.len()), "{}", told.len());
    let counted = told.len() as u64 + told.iter().map(|refusal| refusal.untold).sum::<u64>();
    assert_eq!((counted, pair.listener.stats().rejected), (1002, 1002), "told or counted");
}
