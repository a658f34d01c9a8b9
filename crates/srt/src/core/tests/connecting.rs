//! Handshakes that succeed, fail, and are lost, doubled or late in every position.

use std::time::Duration;

use crate::core::bench::{Application, DELAY, MS, Pair, Way, encrypted, required, secret};
use crate::core::crypto::Cipher;
use crate::core::{CallerEvent, CallerSettings, ConnectFailure, ListenerEvent};
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
        let mut listener = crate::core::ListenerSettings::default();
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
    assert!(pair.listener_events.is_empty());
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
    let [ListenerEvent::Requested(request), ListenerEvent::Withdrawn { id }] = &pair.listener_events[..]
    else {
        panic!("{:?}", pair.listener_events);
    };
    assert_eq!(request.id, *id);
    let id = *id;
    assert!(matches!(pair.caller_events[..], [CallerEvent::Rejected(_)]));
    assert!(pair.listener.accept(pair.now, id, None).is_err());
    assert_eq!(pair.listener.stats().half_open, 0);
    assert_eq!(pair.listener.stats().unanswered, 1);
}
