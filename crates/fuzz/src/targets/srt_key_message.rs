//! SRT key material messages: what is no message changes no key, and what is one gives keys that work both ways.
//!
//! What does not belong here: `ReceiveKeys::open` and `rederive` for each input; PBKDF2 is too slow for that.

use std::sync::LazyLock;

use dashvault_srt::core::packet::{
    Body, Boundary, DataHeader, HEADER_BYTES, KeySlot, Packet, write_data_header,
};
use dashvault_srt::core::seq::{MessageNumber, Stamp};
use dashvault_srt::core::{Cipher, KeyError, ReceiveKeys, SendKeys, Seq, SocketId};
use dashvault_srt::{KeySize, Passphrase};

use super::srt_connection::random;

const PAYLOAD: &[u8] = b"what the keys are for";
const SEQ: Seq = Seq::new(0x7FFF_FFFF);

/// One established direction: its keys, its messages, and a payload sealed with its key.
pub(super) struct Direction {
    keys: ReceiveKeys,
    /// The message of the first key, and that of the first and the next.
    pub(super) messages: [Vec<u8>; 2],
    sealed: (KeySlot, Vec<u8>),
}

pub(super) static DIRECTIONS: LazyLock<Vec<Direction>> = LazyLock::new(|| {
    vec![
        direction(KeySize::Aes128, Cipher::Ctr, 1),
        direction(KeySize::Aes192, Cipher::Ctr, 2),
        direction(KeySize::Aes256, Cipher::Gcm, 3),
    ]
});

fn direction(size: KeySize, cipher: Cipher, seed: u64) -> Direction {
    let passphrase = Passphrase::new("a passphrase").expect("it has a length that SRT allows");
    let mut send = SendKeys::new(&passphrase, size, cipher, &mut random(seed));
    let first = send.message().to_vec();
    let sealed = seal(&mut send);
    send.refresh_soon();
    send.sent();
    let keys = ReceiveKeys::open(&passphrase, &first).expect("it is the passphrase of the message");
    Direction { keys, messages: [first, send.message().to_vec()], sealed }
}

pub(super) fn run(input: &[u8]) {
    let packet = Packet::parse(input);
    let carried = match &packet {
        Ok(Packet::Control(control)) => match &control.body {
            Body::KeyRequest(message) | Body::KeyResponse(message) => Some(*message),
            Body::Handshake(handshake) => handshake.extensions.key_request(),
            _ => None,
        },
        _ => None,
    };
    for direction in DIRECTIONS.iter() {
        for message in [Some(input), carried].into_iter().flatten() {
            update(direction, message);
        }
        decrypt(direction, input);
    }
}

fn update(direction: &Direction, message: &[u8]) {
    let mut keys = direction.keys.clone();
    let updated = keys.update(message);
    assert_eq!((keys.key_size(), keys.cipher()), (direction.keys.key_size(), direction.keys.cipher()));
    if direction.messages.iter().any(|known| known == message) {
        assert_eq!(updated, Ok(()), "a genuine message was not taken");
    }
    match updated {
        Ok(()) => {
            assert_eq!(keys.update(message), Ok(()), "a message was not taken a second time");
            let mut send = SendKeys::from_received(&keys, &mut random(4));
            let (slot, sealed) = seal(&mut send);
            assert_eq!(open(&keys, slot, sealed).as_deref(), Ok(PAYLOAD), "the directions' keys differ");
            send.answered(message);
        }
        Err(_) => {
            let (slot, sealed) = direction.sealed.clone();
            assert_eq!(open(&keys, slot, sealed).as_deref(), Ok(PAYLOAD), "a refused message changed a key");
        }
    }
}

/// Any bytes behind any header, in any slot.
fn decrypt(direction: &Direction, input: &[u8]) {
    let Some((header, payload)) = input.split_first_chunk::<HEADER_BYTES>() else { return };
    for slot in [KeySlot::Clear, KeySlot::Even, KeySlot::Odd] {
        let mut payload = payload.to_vec();
        match direction.keys.decrypt(slot, header, SEQ, &mut payload) {
            Ok(bytes) => assert!(slot != KeySlot::Clear && bytes <= payload.len()),
            Err(error) => assert!(matches!(error, KeyError::NoKey | KeyError::Forged), "{error}"),
        }
    }
}

fn header(key: KeySlot) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    let header = DataHeader {
        seq: SEQ,
        message: MessageNumber::FIRST,
        boundary: Boundary::Solo,
        in_order: true,
        key,
        retransmitted: false,
        stamp: Stamp::of_micros(1),
        to: SocketId(7),
    };
    write_data_header(&header, &mut bytes);
    bytes
}

fn seal(keys: &mut SendKeys) -> (KeySlot, Vec<u8>) {
    let mut payload = PAYLOAD.to_vec();
    let slot = keys.seal(&header(KeySlot::Clear), SEQ, &mut payload, 0);
    (slot, payload)
}

fn open(keys: &ReceiveKeys, slot: KeySlot, mut payload: Vec<u8>) -> Result<Vec<u8>, KeyError> {
    let bytes = keys.decrypt(slot, &header(slot), SEQ, &mut payload)?;
    payload.truncate(bytes);
    Ok(payload)
}
