//! Encryption: once a packet, and the same bytes ever after.

use super::*;
use crate::core::crypto::{Cipher, ReceiveKeys, SendKeys};
use crate::core::packet::KeySlot;
use crate::{KeySize, Passphrase};

#[test]
fn a_packet_is_sealed_once_and_sent_again_as_it_was() {
    for cipher in [Cipher::Ctr, Cipher::Gcm] {
        let passphrase = Passphrase::new("a passphrase long enough").unwrap();
        let mut keys = SendKeys::new(&passphrase, KeySize::Aes128, cipher, &mut |bytes| bytes.fill(9));
        let receiver = ReceiveKeys::open(&passphrase, keys.message()).unwrap();
        let now = Instant::now();
        let mut sender = Sender::new(config(), now);
        let mut out = Transmits::new();
        for n in 0..3 {
            sender.send(now, &[n; 100]).unwrap();
        }
        while sender.poll_data(now, now, peer(), ID, Some(&mut keys), &mut out) {}
        let at = now + ms(500);
        sender.nak(at, [SeqRange { first: seq(0), last: seq(2) }].into_iter());
        while sender.poll_data(at, now, peer(), ID, Some(&mut keys), &mut out) {}
        let datagrams: Vec<Vec<u8>> = out.iter().map(|(_, datagram)| datagram.to_vec()).collect();
        assert_eq!(datagrams.len(), 6);
        for (first, again) in datagrams.iter().zip(datagrams.iter().skip(3)) {
            let mut expected = first.clone();
            expected[4] |= 4;
            assert_eq!(*again, expected);
        }
        for (n, datagram) in datagrams.iter().enumerate() {
            let Ok(Packet::Data(data)) = Packet::parse(datagram) else { panic!("not data") };
            assert_ne!(data.key, KeySlot::Clear);
            let mut payload = data.payload.to_vec();
            assert_ne!(payload[..100], [u8::try_from(n % 3).unwrap(); 100]);
            let header = datagram.first_chunk().unwrap();
            let len = receiver.decrypt(data.key, header, data.seq, &mut payload).unwrap();
            assert_eq!(payload[..len], [u8::try_from(n % 3).unwrap(); 100]);
        }
        let stats = sender.stats(at);
        assert_eq!(
            (stats.sent_bytes, stats.retransmitted_bytes, stats.wire_sent_bytes),
            (600, 300, { out.total_bytes() as u64 })
        );
    }
}
