//! Keys meet their counterparts, refresh loses nothing, and hostile messages are refused.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::Passphrase;
use crate::core::packet::{
    Boundary, DataHeader, HEADER_BYTES, KeySlot, Packet, mark_retransmitted, write_data_header,
};
use crate::core::seq::{MessageNumber, Seq, SocketId, Stamp};

const SIZES: [KeySize; 3] = [KeySize::Aes128, KeySize::Aes192, KeySize::Aes256];
const CIPHERS: [Cipher; 2] = [Cipher::Ctr, Cipher::Gcm];

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse").unwrap()
}

/// Seeded bytes.
fn random(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut source = fastrand::Rng::with_seed(seed);
    move |out: &mut [u8]| source.fill(out)
}

fn send_keys(size: KeySize, cipher: Cipher) -> SendKeys {
    SendKeys::new(&passphrase(), size, cipher, &mut random(7))
}

fn header(seq: Seq, key: KeySlot) -> [u8; HEADER_BYTES] {
    let mut out = [0; HEADER_BYTES];
    let data = DataHeader {
        seq,
        message: MessageNumber::new(3),
        boundary: Boundary::Solo,
        in_order: false,
        key,
        retransmitted: false,
        stamp: Stamp::of_micros(1_000),
        to: SocketId(77),
    };
    write_data_header(&data, &mut out);
    out
}

/// Seals a payload behind a header, and decrypts it as the peer gets it.
fn through(
    send: &mut SendKeys,
    receive: &ReceiveKeys,
    seq: Seq,
    payload: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let first = header(seq, KeySlot::Clear);
    let mut datagram = [first.as_slice(), payload].concat();
    let slot = send.seal(&first, seq, &mut datagram, HEADER_BYTES);
    assert_eq!(datagram.len(), HEADER_BYTES + payload.len() + send.overhead());
    let mut wire = header(seq, slot);
    if seq.raw().is_multiple_of(2) {
        mark_retransmitted(&mut wire);
    }
    let clear = receive.decrypt(slot, &wire, seq, &mut datagram[HEADER_BYTES..])?;
    Ok(datagram[HEADER_BYTES..HEADER_BYTES + clear].to_vec())
}

/// The peer's answer to the newest message.
fn confirm(keys: &mut SendKeys) -> bool {
    let message = keys.message().to_vec();
    keys.answered(&message)
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).map(digit).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn every_cipher_and_size_decrypts_what_it_sealed() {
    for (size, cipher) in SIZES.into_iter().flat_map(|size| CIPHERS.map(|cipher| (size, cipher))) {
        let mut send = send_keys(size, cipher);
        let receive = ReceiveKeys::open(&passphrase(), send.message()).unwrap();
        assert_eq!((receive.key_size(), receive.cipher()), (size, cipher));
        for length in [0, 1, 15, 16, 17, 188, 1316, 1440] {
            let payload = vec![0x47; length];
            let seq = Seq::new(0x7FFF_FFFF).plus(length as u32);
            assert_eq!(
                through(&mut send, &receive, seq, &payload).as_ref(),
                Ok(&payload),
                "{size:?} {cipher:?}"
            );
        }
    }
}

/// Recorded from another implementation: payloads of zeros.
#[test]
fn what_another_implementation_sealed_is_decrypted() {
    let recorded = [
        (
            "12202901 00000000 02000200 00000404 f7c8b43138d6d6eb2512e25445d40e6b
             bc20ec96753ce01c4b9c2636423fa4343bec1126a97b7dc3",
            551_217_087,
            "fdd55e8fd25e5ec03bfd6e5b712fb83fc7d51bd94be5d19eb162d142f19b732265dd1313fd93489e",
        ),
        (
            "12202901 00000000 02000200 00000408 93ba13772722c1328ec1e573c68d408c
             dfb86018ae61895dc4d2d8ffa5ef70a27a718484be4d6356c4f06fc21bf610498d5d852d327a034c",
            21_623_421,
            "695402e56a951ddca09dddcae87275f30a3a78f73cddb9d3d7abe71cc9c50c2df022e2eacfe2bb21",
        ),
    ];
    for (message, seq, payload) in recorded {
        let receive = ReceiveKeys::open(&passphrase(), &hex(message)).unwrap();
        let mut payload = hex(payload);
        assert_eq!(receive.decrypt(KeySlot::Even, &[0; 16], Seq::new(seq), &mut payload), Ok(40));
        assert_eq!(payload, [0; 40]);
    }
}

#[test]
fn what_libsrt_sealed_is_decrypted_with_every_cipher_and_size_and_across_a_refresh() {
    let clear: Vec<u8> = (0..40).collect();
    let mut keys: Option<ReceiveKeys> = None;
    let mut seen = Vec::new();
    for line in include_str!("tests/libsrt.txt").lines().filter(|line| !line.starts_with('#')) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["message", message] => {
                let message = hex(message);
                if message[3] == 3 {
                    keys.as_mut().unwrap().update(&message).unwrap();
                } else {
                    keys = Some(ReceiveKeys::open(&passphrase(), &message).unwrap());
                }
            }
            ["packet", header, payload] => {
                let (mut header, payload) = (hex(header), hex(payload));
                mark_retransmitted(header.first_chunk_mut().unwrap());
                let datagram = [header, payload].concat();
                let Ok(Packet::Data(data)) = Packet::parse(&datagram) else { panic!("not data") };
                let keys = keys.as_ref().unwrap();
                let mut payload = data.payload.to_vec();
                let opened = keys.decrypt(data.key, datagram.first_chunk().unwrap(), data.seq, &mut payload);
                assert_eq!((opened, &payload[..40]), (Ok(40), clear.as_slice()), "{line}");
                seen.push((keys.cipher(), keys.key_size(), data.key));
            }
            _ => panic!("{line}"),
        }
    }
    let slots = [KeySlot::Even, KeySlot::Odd];
    let all = CIPHERS.map(|cipher| SIZES.map(|size| slots.map(|slot| (cipher, size, slot))));
    assert_eq!(seen, all.concat().concat());
}

#[test]
fn sealing_hides_the_payload_and_leaves_the_header() {
    for cipher in CIPHERS {
        let mut send = send_keys(KeySize::Aes128, cipher);
        let mut datagram = vec![0x47; 204];
        assert_eq!(
            send.seal(&header(Seq::new(1), KeySlot::Even), Seq::new(1), &mut datagram, 16),
            KeySlot::Even
        );
        assert_eq!(datagram[..16], [0x47; 16]);
        assert!(datagram[16..].iter().filter(|byte| **byte == 0x47).count() < 20);
    }
}

#[test]
fn another_passphrase_is_told_from_a_malformed_message() {
    let message = send_keys(KeySize::Aes192, Cipher::Ctr).message().to_vec();
    let other = Passphrase::new("another horse").unwrap();
    assert_eq!(ReceiveKeys::open(&other, &message).unwrap_err(), KeyError::WrongPassphrase);
    let changed = |at: usize, byte: u8| {
        let mut message = message.clone();
        message[at] = byte;
        ReceiveKeys::open(&passphrase(), &message).unwrap_err()
    };
    assert_eq!(changed(0, 0x11), KeyError::Malformed, "type");
    assert_eq!(changed(1, 0), KeyError::Malformed, "sign");
    assert_eq!(changed(3, 0), KeyError::Malformed, "no key");
    assert_eq!(changed(3, 3), KeyError::Malformed, "one key, two announced");
    assert_eq!(changed(7, 1), KeyError::Unsupported, "KEK index");
    assert_eq!(changed(8, 3), KeyError::Unsupported, "cipher");
    assert_eq!(changed(9, 1), KeyError::Unsupported, "authentication without GCM");
    assert_eq!(changed(10, 1), KeyError::Unsupported, "encapsulation");
    assert_eq!(changed(14, 2), KeyError::Unsupported, "salt length");
    assert_eq!(changed(15, 5), KeyError::Unsupported, "key length");
    assert_eq!(changed(15, 4), KeyError::Malformed, "another key length");
    assert_eq!(changed(40, !message[40]), KeyError::WrongPassphrase, "wrapped key");
    for length in 0..message.len() {
        assert_eq!(ReceiveKeys::open(&passphrase(), &message[..length]).unwrap_err(), KeyError::Malformed);
    }
}

#[test]
fn gcm_refuses_a_forged_payload_header_or_tag() {
    let mut send = send_keys(KeySize::Aes256, Cipher::Gcm);
    let receive = ReceiveKeys::open(&passphrase(), send.message()).unwrap();
    let seq = Seq::new(5);
    let mut sealed = vec![1; 100];
    let slot = send.seal(&header(seq, KeySlot::Even), seq, &mut sealed, 0);
    let open = |header: &[u8; HEADER_BYTES], seq, mut payload: Vec<u8>| {
        receive.decrypt(slot, header, seq, &mut payload)
    };
    let good = header(seq, slot);
    assert_eq!(open(&good, seq, sealed.clone()), Ok(100));
    for at in [0, 99, 100, 115] {
        let mut forged = sealed.clone();
        forged[at] ^= 1;
        assert_eq!(open(&good, seq, forged), Err(KeyError::Forged));
    }
    for at in (0..HEADER_BYTES).filter(|at| *at != 4) {
        let mut header = good;
        header[at] ^= 1;
        assert_eq!(open(&header, seq, sealed.clone()), Err(KeyError::Forged));
    }
    assert_eq!(open(&good, seq.plus(1), sealed.clone()), Err(KeyError::Forged));
    assert_eq!(open(&good, seq, vec![0; 15]), Err(KeyError::Forged));
}

#[test]
fn a_packet_without_a_known_key_is_refused() {
    let receive =
        ReceiveKeys::open(&passphrase(), send_keys(KeySize::Aes128, Cipher::Ctr).message()).unwrap();
    for slot in [KeySlot::Odd, KeySlot::Clear] {
        let refused = receive.decrypt(slot, &[0; HEADER_BYTES], Seq::new(0), &mut [0; 20]);
        assert_eq!(refused, Err(KeyError::NoKey));
    }
}

#[test]
fn keys_are_refreshed_again_and_again_without_a_packet_lost() {
    for cipher in CIPHERS {
        let mut send = send_keys(KeySize::Aes128, cipher);
        send.set_refresh(64);
        let mut receive = ReceiveKeys::open(&passphrase(), send.message()).unwrap();
        assert!(confirm(&mut send));
        let mut steps = Vec::new();
        for n in 0..320 {
            let payload = [n as u8; 50];
            assert_eq!(
                through(&mut send, &receive, Seq::new(n), &payload).as_deref(),
                Ok(payload.as_slice())
            );
            let Some(step) = send.sent() else { continue };
            steps.push((n, send.slot(), step));
            if step == Refresh::Announce {
                receive.update(send.message()).unwrap();
                assert!(!send.answered(b"\0\0\0\x04"), "an error word is no answer");
                assert!(confirm(&mut send));
            }
        }
        use {KeySlot as K, Refresh as R};
        let first = [(48, K::Even, R::Announce), (64, K::Odd, R::Switched), (81, K::Odd, R::Retired)];
        let second = [(113, K::Odd, R::Announce), (129, K::Even, R::Switched), (146, K::Even, R::Retired)];
        assert_eq!(steps[..6], [first, second].concat());
    }
}

#[test]
fn the_switch_waits_for_the_answer() {
    let mut send = send_keys(KeySize::Aes128, Cipher::Ctr);
    send.set_refresh(16);
    let steps: Vec<_> = (0..500).filter_map(|_| send.sent()).collect();
    assert_eq!(steps, [Refresh::Announce]);
    assert!(!send.is_answered());
    assert_eq!(send.slot(), KeySlot::Even);
    assert!(confirm(&mut send));
    assert_eq!(send.sent(), Some(Refresh::Switched));
    assert_eq!(send.slot(), KeySlot::Odd);
}

#[test]
fn no_new_key_is_like_one_before() {
    let mut send = send_keys(KeySize::Aes256, Cipher::Ctr);
    send.set_refresh(8);
    let mut messages = std::collections::HashSet::new();
    for _ in 0..1000 {
        if send.sent() == Some(Refresh::Announce) {
            assert!(messages.insert(send.message().to_vec()));
            confirm(&mut send);
        }
    }
    assert!(messages.len() > 100);
}

#[test]
fn an_update_with_another_salt_or_size_needs_a_derivation() {
    let mut receive =
        ReceiveKeys::open(&passphrase(), send_keys(KeySize::Aes128, Cipher::Ctr).message()).unwrap();
    let mut other = SendKeys::new(&passphrase(), KeySize::Aes128, Cipher::Ctr, &mut random(8));
    assert_eq!(receive.update(other.message()), Err(KeyError::SaltChanged));
    assert_eq!(receive.update(send_keys(KeySize::Aes256, Cipher::Ctr).message()), Err(KeyError::SaltChanged));
    assert_eq!(receive.update(send_keys(KeySize::Aes128, Cipher::Gcm).message()), Err(KeyError::Unsupported));
    assert_eq!(receive.update(b"nothing"), Err(KeyError::Malformed));
    receive.rederive(other.message()).unwrap();
    assert_eq!(through(&mut other, &receive, Seq::new(1), b"payload").as_deref(), Ok(b"payload".as_slice()));
}

#[test]
fn a_listener_sends_with_its_callers_key_until_it_makes_its_own() {
    for cipher in CIPHERS {
        let mut caller = send_keys(KeySize::Aes192, cipher);
        let listener = ReceiveKeys::open(&passphrase(), caller.message()).unwrap();
        let mut back = SendKeys::from_received(&listener, &mut random(9));
        assert_eq!(back.message(), caller.message());
        assert!(back.is_answered());
        let mut at_caller = ReceiveKeys::open(&passphrase(), caller.message()).unwrap();
        assert_eq!(through(&mut back, &at_caller, Seq::new(1), b"back").as_deref(), Ok(b"back".as_slice()));
        assert_eq!(
            through(&mut caller, &listener, Seq::new(1), b"forth").as_deref(),
            Ok(b"forth".as_slice())
        );

        back.refresh_soon();
        assert_eq!(back.sent(), Some(Refresh::Announce));
        at_caller.update(back.message()).unwrap();
        confirm(&mut back);
        while back.slot() == KeySlot::Even {
            back.sent();
        }
        assert_eq!(through(&mut back, &at_caller, Seq::new(2), b"own").as_deref(), Ok(b"own".as_slice()));
    }
}

#[test]
fn nothing_secret_is_in_a_debug_form() {
    let send = send_keys(KeySize::Aes128, Cipher::Gcm);
    let receive = ReceiveKeys::open(&passphrase(), send.message()).unwrap();
    let shown = format!("{send:?} {receive:?}");
    let secret = format!("{:?}", &material::KeyMessage::parse(send.message()).unwrap().salt[..4]);
    assert!(shown.contains("redacted") && !shown.contains("horse"), "{shown}");
    assert!(shown.contains(secret.trim_matches(['[', ']'])), "the salt is public, so the search works");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_message_is_refused_without_a_panic(
        mut message in vec(any::<u8>(), 0..120),
        prefix in 0usize..17,
    ) {
        let good = [0x12, 0x20, 0x29, 1, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 4, 4];
        let prefix = prefix.min(message.len());
        message[..prefix].copy_from_slice(&good[..prefix]);
        prop_assert!(ReceiveKeys::open(&passphrase(), &message).is_err());
    }

    #[test]
    fn any_payload_is_decrypted_without_a_panic(gcm: bool, mut payload in vec(any::<u8>(), 0..1472), seq: u32) {
        let cipher = if gcm { Cipher::Gcm } else { Cipher::Ctr };
        let receive = ReceiveKeys::open(&passphrase(), send_keys(KeySize::Aes128, cipher).message()).unwrap();
        let opened = receive.decrypt(KeySlot::Even, &[0; 16], Seq::new(seq), &mut payload);
        prop_assert_eq!(opened, if gcm { Err(KeyError::Forged) } else { Ok(payload.len()) });
    }
}
