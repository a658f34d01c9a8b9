//! Keys that change while data flows, both ways, under loss.

use std::time::Duration;

use crate::KeySize;
use crate::core::ListenerSettings;
use crate::core::bench::{Application, MS, Pair, Way, encrypted, random, secret};
use crate::core::crypto::{Cipher, SendKeys};
use crate::core::packet::{Outgoing, write_control};
use crate::core::seq::Stamp;

const SECRET: &str = "correct horse";

fn refreshing(cipher: Cipher, loss_percent: u8, seed: u64) -> Pair {
    let mut settings = encrypted(SECRET, KeySize::Aes256, cipher);
    settings.send.key_refresh_packets = Some(200);
    let mut listener = ListenerSettings::default();
    listener.send.key_refresh_packets = Some(300);
    let mut pair = Pair::with(&settings, listener, Application::Accepts(Some(secret(SECRET))));
    pair.run(200 * MS);
    assert!(pair.caller.is_connected());
    let mut rng = fastrand::Rng::with_seed(seed);
    pair.fate =
        Box::new(move |_, _| if rng.u8(..100) < loss_percent { vec![] } else { vec![Duration::ZERO] });
    pair
}

#[test]
fn both_sides_change_their_keys_and_nothing_is_lost() {
    for (cipher, loss) in [(Cipher::Ctr, 0), (Cipher::Gcm, 0), (Cipher::Ctr, 15), (Cipher::Gcm, 15)] {
        let mut pair = refreshing(cipher, loss, 7);
        pair.talk(0..2000);
        assert!(pair.run_until(Duration::from_secs(5), |pair| {
            pair.caller.is_drained() && pair.listener.is_drained(pair.id())
        }));
        let all: Vec<u32> = (0..2000).collect();
        assert_eq!(pair.at_listener.numbers, all, "{cipher:?} at {loss} %");
        assert_eq!(pair.at_caller.numbers, all, "{cipher:?} at {loss} %");
        let at_listener = pair.listener.connection_stats(pair.now, pair.id()).unwrap();
        assert!(at_listener.key_refreshes >= 5, "{at_listener:?}");
        assert!(pair.caller.stats(pair.now).key_refreshes >= 4);
    }
}

#[test]
fn an_announcement_is_repeated_until_it_is_answered() {
    let mut pair = refreshing(Cipher::Ctr, 0, 1);
    // All that comes back is lost for a while, so that no announcement is answered.
    pair.fate = Box::new(|way, _| if way == Way::Down { vec![] } else { vec![Duration::ZERO] });
    pair.talk(0..210);
    pair.run(Duration::from_secs(2));
    pair.fate = Box::new(|_, _| vec![Duration::ZERO]);
    pair.talk(210..800);
    pair.run(Duration::from_secs(3));
    assert_eq!(pair.at_listener.numbers, (0..800).collect::<Vec<u32>>());
    assert_eq!(pair.at_caller.numbers, (0..800).collect::<Vec<u32>>());
}

/// Announces keys with so many other salts in one go; how many of them are answered as taken, at which times.
fn announce_other_salts(pair: &mut Pair, salts: u64, time: Duration) -> Vec<Duration> {
    let began = pair.now;
    let messages: Vec<Vec<u8>> = (0..salts)
        .map(|salt| {
            let mut random = random(100 + salt);
            let keys = SendKeys::new(&secret(SECRET), KeySize::Aes128, Cipher::Ctr, &mut *random);
            keys.message().to_vec()
        })
        .collect();
    let mut taken = Vec::new();
    let id = pair.id();
    while pair.now < began + time {
        for message in &messages {
            let mut datagram = Vec::new();
            write_control(Stamp::of_micros(0), id, &Outgoing::KeyRequest(message), &mut datagram);
            let (now, from) = (pair.now, pair.caller_at);
            pair.listener.handle_datagram(now, from, &mut datagram, &mut pair.at_listener);
        }
        pair.seen.clear();
        pair.step();
        let is_taken = |datagram: &[u8]| {
            datagram.first_chunk() == Some(&[0xFF, 0xFF, 0, 4])
                && messages.iter().any(|m| datagram[16..] == m[..])
        };
        if pair.seen.iter().any(|(way, datagram)| *way == Way::Down && is_taken(datagram)) {
            taken.push(pair.now - began);
        }
    }
    taken
}

#[test]
fn keys_with_another_salt_are_derived_by_the_timer_and_at_most_once_a_second() {
    let settings = encrypted(SECRET, KeySize::Aes128, Cipher::Ctr);
    let mut pair = Pair::connected(&settings, Application::Accepts(Some(secret(SECRET))));
    let taken = announce_other_salts(&mut pair, 1, 50 * MS);
    assert!(taken[0] <= 5 * MS, "not when the next timer happens to be over: {taken:?}");
    let mut pair = Pair::connected(&settings, Application::Accepts(Some(secret(SECRET))));
    announce_other_salts(&mut pair, 5, Duration::from_millis(3500));
    let refreshes = pair.listener.connection_stats(pair.now, pair.id()).unwrap().key_refreshes;
    // One derivation a second; the salt in force is announced again and again meanwhile, which costs nothing.
    assert!((1..=4).contains(&refreshes), "{refreshes}");
}

#[test]
fn a_message_under_another_passphrase_changes_no_key() {
    let settings = encrypted(SECRET, KeySize::Aes128, Cipher::Ctr);
    let mut pair = Pair::connected(&settings, Application::Accepts(Some(secret(SECRET))));
    let mut random = random(5);
    let keys = SendKeys::new(&secret("another secret"), KeySize::Aes128, Cipher::Ctr, &mut *random);
    let mut datagram = Vec::new();
    write_control(Stamp::of_micros(0), pair.id(), &Outgoing::KeyRequest(keys.message()), &mut datagram);
    let (now, from) = (pair.now, pair.caller_at);
    pair.listener.handle_datagram(now, from, &mut datagram, &mut pair.at_listener);
    pair.talk(0..50);
    pair.run(100 * MS);
    assert_eq!(pair.at_listener.numbers, (0..50).collect::<Vec<u32>>());
}
