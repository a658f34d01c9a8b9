//! Anything at all, and anything but a little, at both ends: nothing panics and nothing grows.

use proptest::prelude::*;

use crate::KeySize;
use crate::core::CallerSettings;
use crate::core::bench::{Application, MS, Pair, Way, at, encrypted, payload, secret};
use crate::core::crypto::Cipher;

/// What to do to one datagram of the connection, or in place of it.
#[derive(Debug, Clone)]
enum Step {
    /// Change bytes of a datagram that went over the link lately, and deliver it there, from there or elsewhere.
    Mutate { which: usize, edits: Vec<(usize, u8)>, keep: usize, elsewhere: bool },
    /// A control packet of this type with these words.
    Control { kind: u8, subtype: u16, info: u32, words: Vec<u32>, up: bool },
    /// Any bytes.
    Noise { bytes: Vec<u8>, up: bool },
    /// Send something ourselves, and let time pass.
    Pass { ms: u64, send: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let edits = proptest::collection::vec((0..80_usize, any::<u8>()), 0..6);
    let words = proptest::collection::vec(prop_oneof![any::<u32>(), 0..4_u32], 0..24);
    prop_oneof![
        4 => (any::<usize>(), edits, 0..1500_usize, any::<bool>())
            .prop_map(|(which, edits, keep, elsewhere)| Step::Mutate { which, edits, keep, elsewhere }),
        4 => (0..10_u8, any::<u16>(), any::<u32>(), words, any::<bool>())
            .prop_map(|(kind, subtype, info, words, up)| Step::Control { kind, subtype, info, words, up }),
        1 => (any::<Vec<u8>>(), any::<bool>()).prop_map(|(bytes, up)| Step::Noise { bytes, up }),
        3 => (0..300_u64, any::<bool>()).prop_map(|(ms, send)| Step::Pass { ms, send }),
    ]
}

fn deliver(pair: &mut Pair, way: Way, elsewhere: bool, mut datagram: Vec<u8>) {
    let now = pair.now;
    match way {
        Way::Up => {
            let from = if elsewhere { at("203.0.113.9:1") } else { pair.caller_at };
            pair.listener.handle_datagram(now, from, &mut datagram, &mut pair.at_listener);
        }
        Way::Down => {
            pair.caller.handle_datagram(now, at("192.0.2.2:9000"), &mut datagram, &mut pair.at_caller);
        }
    }
}

fn take(pair: &mut Pair, step: Step) {
    match step {
        Step::Mutate { which, edits, keep, elsewhere } => {
            let count = pair.seen.len().max(1);
            let Some((way, mut datagram)) = pair.seen.get(which % count).cloned() else { return };
            for (place, byte) in edits {
                if let Some(there) = datagram.get_mut(place) {
                    *there = byte;
                }
            }
            datagram.truncate(keep);
            deliver(pair, way, elsewhere, datagram);
        }
        Step::Control { kind, subtype, info, words, up } => {
            let kind = if kind == 9 { 0xFF } else { kind };
            let subtype = if kind == 0xFF { subtype % 6 } else { subtype };
            let mut datagram = vec![if kind == 0xFF { 0xFF } else { 0x80 }, kind];
            datagram.extend(subtype.to_be_bytes());
            datagram.extend(info.to_be_bytes());
            datagram.extend([0; 4]);
            let to = if up { pair.ids.first().map_or(0, |id| id.0) } else { pair.caller.local_id().0 };
            datagram.extend(to.to_be_bytes());
            datagram.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            deliver(pair, if up { Way::Up } else { Way::Down }, false, datagram);
        }
        Step::Noise { bytes, up } => deliver(pair, if up { Way::Up } else { Way::Down }, false, bytes),
        Step::Pass { ms, send } => {
            if send {
                let _ = pair.caller.send(pair.now, &payload(1));
                if let Some(id) = pair.ids.first().copied() {
                    let _ = pair.listener.send(pair.now, id, &payload(2));
                }
            }
            pair.run(MS * u32::try_from(ms).unwrap());
        }
    }
}

fn survive(
    settings: &CallerSettings,
    application: Application,
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(settings, application);
    for step in steps {
        let before = pair.sent;
        let datagrams = matches!(step, Step::Pass { .. });
        take(&mut pair, step);
        pair.step();
        prop_assert!(datagrams || pair.sent[0] - before[0] < 600, "a datagram makes no storm");
        prop_assert!(datagrams || pair.sent[1] - before[1] < 600, "a datagram makes no storm");
        let (entries, timers) = pair.listener.entries();
        prop_assert!(entries <= 8 && timers <= 200, "{entries} entries, {timers} stale timers");
        prop_assert!(pair.caller_events.len() <= 2, "{:?}", pair.caller_events);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_plain_pair_survives_anything(steps in proptest::collection::vec(step(), 0..60)) {
        survive(&CallerSettings::default(), Application::Accepts(None), steps)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn an_encrypted_pair_survives_anything(steps in proptest::collection::vec(step(), 0..60)) {
        let settings = encrypted("correct horse", KeySize::Aes128, Cipher::Ctr);
        survive(&settings, Application::Accepts(Some(secret("correct horse"))), steps)?;
    }
}
