//! Peers whose address changes, and others who only say so.

use std::time::Duration;

use crate::KeySize;
use crate::core::bench::{Application, MS, Pair, Way, at, encrypted, payload, secret};
use crate::core::crypto::Cipher;
use crate::core::{CallerSettings, ListenerEvent, ListenerSettings};

fn moves(pair: &Pair) -> usize {
    pair.listener_events.iter().filter(|event| matches!(event, ListenerEvent::Moved { .. })).count()
}

#[test]
fn a_caller_that_comes_back_with_another_address_loses_nothing() {
    let secret = || Some(secret("correct horse"));
    for (settings, passphrase) in [
        (CallerSettings::default(), None),
        (encrypted("correct horse", KeySize::Aes128, Cipher::Ctr), secret()),
        (encrypted("correct horse", KeySize::Aes128, Cipher::Gcm), secret()),
    ] {
        for told in [true, false] {
            let mut pair = Pair::connected(&settings, Application::Accepts(passphrase.clone()));
            pair.talk(0..100);
            pair.caller_at = at("198.51.100.7:6000");
            if told {
                pair.caller.moved(pair.now);
            }
            pair.talk(100..1000);
            pair.run(Duration::from_secs(1));
            assert_eq!(moves(&pair), 1);
            let all: Vec<u32> = (0..1000).collect();
            assert_eq!(pair.at_listener.numbers, all);
            assert_eq!(pair.at_caller.numbers, all);
        }
    }
}

#[test]
fn payloads_that_are_no_transport_stream_may_move_too() {
    let settings = encrypted("correct horse", KeySize::Aes128, Cipher::Ctr);
    let mut pair = Pair::connected(&settings, Application::Accepts(Some(secret("correct horse"))));
    pair.caller_at = at("198.51.100.7:6000");
    for _ in 0..200 {
        pair.caller.send(pair.now, &[0; 100]).unwrap();
        pair.run(2 * MS);
    }
    pair.run(500 * MS);
    assert_eq!(moves(&pair), 1);
    assert_eq!(pair.at_listener.numbers.len(), 200);
}

#[test]
fn a_stranger_who_cannot_answer_moves_nothing() {
    let mut pair = Pair::connected(&CallerSettings::default(), Application::Accepts(None));
    pair.talk(0..10);
    let mut spoofed = crate::core::Transmits::new();
    pair.caller.send(pair.now, &payload(10)).unwrap();
    pair.caller.poll_transmit(pair.now, &mut spoofed, 8);
    for _ in 0..1000 {
        for (_, datagram) in spoofed.iter() {
            let mut datagram = datagram.to_vec();
            pair.listener.handle_datagram(
                pair.now,
                at("203.0.113.9:1"),
                &mut datagram,
                &mut pair.at_listener,
            );
        }
        pair.step();
    }
    assert_eq!(moves(&pair), 0);
    let stats = pair.listener.stats();
    assert!((5..=21).contains(&stats.challenges), "at most one in 50 ms: {stats:?}");
    assert_eq!(stats.stray, 1000);
    assert!(pair.caller.is_connected());
}

#[test]
fn a_guessed_proof_moves_nothing() {
    use crate::core::packet::{Outgoing, write_control};
    use crate::core::seq::Stamp;
    let mut pair = Pair::connected(&CallerSettings::default(), Application::Accepts(None));
    for guess in 0..1000_u32 {
        let number = guess.wrapping_mul(0x9E37_79B9) | 1 << 31;
        let mut datagram = Vec::new();
        write_control(Stamp::of_micros(0), pair.id(), &Outgoing::AckAck { number }, &mut datagram);
        pair.listener.handle_datagram(pair.now, at("203.0.113.9:1"), &mut datagram, &mut pair.at_listener);
    }
    pair.run(100 * MS);
    assert_eq!(moves(&pair), 0);
}

#[test]
fn a_proof_that_is_repeated_after_the_next_move_moves_nothing() {
    let settings = encrypted("correct horse", KeySize::Aes128, Cipher::Ctr);
    let mut pair = Pair::connected(&settings, Application::Accepts(Some(secret("correct horse"))));
    let first = at("198.51.100.7:6000");
    for address in [first, at("198.51.100.8:6000")] {
        pair.caller_at = address;
        pair.caller.moved(pair.now);
        pair.run(500 * MS);
    }
    assert_eq!(moves(&pair), 2);
    // Everything that was ever said, once more, from where the caller was.
    for (way, datagram) in pair.seen.clone() {
        if way == Way::Up {
            pair.listener.handle_datagram(pair.now, first, &mut datagram.clone(), &mut pair.at_listener);
            pair.step();
        }
    }
    assert_eq!(moves(&pair), 2);
}

#[test]
fn nobody_moves_where_it_is_not_allowed() {
    let listener = ListenerSettings { migration: false, ..ListenerSettings::default() };
    let mut pair = Pair::with(&CallerSettings::default(), listener, Application::Accepts(None));
    pair.run(200 * MS);
    pair.caller_at = at("198.51.100.7:6000");
    pair.caller.moved(pair.now);
    pair.run(Duration::from_secs(6));
    assert_eq!(moves(&pair), 0);
    assert_eq!(pair.listener.stats().connections, 0, "idle");
    assert!(pair.listener.stats().stray > 0);
}
