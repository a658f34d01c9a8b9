//! What is written is read back the same, and no bytes panic.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::core::seq::MessageNumber;

const TO: SocketId = SocketId(0x1234_5678);

fn written(body: &Outgoing<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_control(Stamp::of_micros(77), TO, body, &mut out);
    assert_eq!(destination(&out), Some(TO));
    assert!(!is_data(&out));
    out
}

#[track_caller]
fn assert_reads_as(out: &Outgoing<'_>, body: Body<'_>) {
    let control = Control { stamp: Stamp::of_micros(77), to: TO, body };
    assert_eq!(Packet::parse(&written(out)), Ok(Packet::Control(control)));
}

fn seq() -> impl Strategy<Value = Seq> {
    any::<u32>().prop_map(Seq::new)
}

fn range() -> impl Strategy<Value = SeqRange> {
    (seq(), prop_oneof![Just(0), 0..2000u32, 0..MAX_LOSS_RANGE])
        .prop_map(|(first, more)| SeqRange { first, last: first.plus(more) })
}

fn data_header() -> impl Strategy<Value = DataHeader> {
    use {Boundary as B, KeySlot as K};
    (
        seq(),
        any::<u32>().prop_map(MessageNumber::new),
        prop_oneof![Just(B::Middle), Just(B::Last), Just(B::First), Just(B::Solo)],
        prop_oneof![Just(K::Clear), Just(K::Even), Just(K::Odd)],
        any::<(bool, bool, u32, u32)>(),
    )
        .prop_map(|(seq, message, boundary, key, (in_order, retransmitted, stamp, to))| DataHeader {
            seq,
            message,
            boundary,
            in_order,
            key,
            retransmitted,
            stamp: Stamp::of_micros(u64::from(stamp)),
            to: SocketId(to),
        })
}

fn handshake_kind() -> impl Strategy<Value = HandshakeKind> {
    use HandshakeKind as H;
    let fixed = prop_oneof![
        Just(H::Induction),
        Just(H::Conclusion),
        Just(H::WaveHand),
        Just(H::Agreement),
        Just(H::Done)
    ];
    prop_oneof![fixed, (1000..u32::MAX / 2).prop_map(H::Rejected)]
}

fn hello() -> impl Strategy<Value = Hello> {
    any::<(u32, u32, u16, u16)>().prop_map(|(version, flags, receive_latency_ms, send_latency_ms)| Hello {
        version,
        flags: HelloFlags(flags),
        receive_latency_ms,
        send_latency_ms,
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..1600)) {
        read_all(&bytes);
    }

    #[test]
    fn any_control_information_is_read_without_a_panic(
        kind in prop_oneof![0u16..9, Just(0x7FFF)],
        subtype in 0u16..9,
        specific: u32,
        cif in vec(any::<u8>(), 0..1600),
    ) {
        let mut bytes = Vec::new();
        words::put(&mut bytes, &[CONTROL | (u32::from(kind) << 16) | u32::from(subtype), specific, 0, 0]);
        bytes.extend_from_slice(&cif);
        read_all(&bytes);
    }

    #[test]
    fn any_extensions_of_a_handshake_are_read_without_a_panic(
        parts in vec((0u16..10, 0u16..6, vec(any::<u8>(), 0..24)), 0..8),
    ) {
        let mut bytes = written(&Outgoing::Handshake(handshake_out(HandshakeKind::Conclusion)));
        for (kind, words, content) in parts {
            bytes.extend_from_slice(&kind.to_be_bytes());
            bytes.extend_from_slice(&words.to_be_bytes());
            bytes.extend_from_slice(&content);
        }
        read_all(&bytes);
    }

    #[test]
    fn a_data_packet_is_read_as_written(header in data_header(), payload in vec(any::<u8>(), 0..1456)) {
        let mut bytes = [0; HEADER_BYTES];
        write_data_header(&header, &mut bytes);
        let datagram = [bytes.as_slice(), &payload].concat();
        prop_assert!(is_data(&datagram));
        prop_assert_eq!(destination(&datagram), Some(header.to));
        let Ok(Packet::Data(data)) = Packet::parse(&datagram) else { panic!("not data") };
        prop_assert_eq!(data.header(), header);
        prop_assert_eq!(data.payload, &payload);

        mark_retransmitted(&mut bytes);
        let again = Packet::parse(&bytes);
        prop_assert_eq!(again, Ok(Packet::Data(Data { retransmitted: true, payload: &[], ..data })));
    }

    #[test]
    fn an_ack_is_read_as_written(number: u32, ack in seq(), path: [u32; 3], rates: Option<[u32; 3]>) {
        let [rtt_us, rtt_var_us, free_packets] = path;
        let rates = rates.map(|[packets_per_s, link_packets_per_s, bytes_per_s]| {
            Rates { packets_per_s, link_packets_per_s, bytes_per_s }
        });
        let full = Ack { number, ack, rtt_us, rtt_var_us, free_packets, rates };
        assert_reads_as(&Outgoing::Ack(full), Body::Ack(full));
        assert_reads_as(&Outgoing::LightAck { ack }, Body::LightAck { ack });
    }

    #[test]
    fn a_loss_list_is_read_as_written_up_to_what_fits(ranges in vec(range(), 0..400)) {
        let fits = nak_fits(&ranges);
        let bytes = written(&Outgoing::Nak(&ranges[..fits]));
        prop_assert!(bytes.len() <= MAX_DATAGRAM_BYTES);
        prop_assert!(fits == ranges.len() || bytes.len() >= MAX_DATAGRAM_BYTES - 4);
        let Ok(Packet::Control(Control { body: Body::Nak(list), .. })) = Packet::parse(&bytes) else {
            panic!("not a NAK")
        };
        prop_assert_eq!(list.ranges().collect::<Vec<_>>(), &ranges[..fits]);
    }

    #[test]
    fn small_control_packets_are_read_as_written(number: u32, range in range(), key in vec(any::<u8>(), 0..120)) {
        assert_reads_as(&Outgoing::Keepalive, Body::Keepalive);
        assert_reads_as(&Outgoing::Shutdown, Body::Shutdown);
        assert_reads_as(&Outgoing::AckAck { number }, Body::AckAck { number });
        assert_reads_as(
            &Outgoing::DropRequest { message: number, range },
            Body::DropRequest { message: number, range },
        );
        assert_reads_as(&Outgoing::KeyRequest(&key), Body::KeyRequest(&key));
        assert_reads_as(&Outgoing::KeyResponse(&key), Body::KeyResponse(&key));
    }

    #[test]
    fn a_handshake_is_read_as_written(
        kind in handshake_kind(),
        fields: [u32; 5],
        hello in proptest::option::of((any::<bool>(), hello())),
        key in proptest::option::of((any::<bool>(), vec(any::<[u8; 4]>(), 1..30))),
        id in proptest::option::of("[^\\x00]{1,120}"),
        peer_ip: [u8; 16],
    ) {
        let [version, initial_seq, mtu, window, cookie] = fields;
        let key = key.map(|(request, words)| (request, words.concat()));
        let mut out = HandshakeOut {
            version, initial_seq: Seq::new(initial_seq), mtu, window, cookie, peer_ip, hello,
            key: key.as_ref().map(|(request, message)| (*request, message.as_slice())),
            stream_id: id.as_deref(),
            ..handshake_out(kind)
        };
        out.extension = out.flags();
        let bytes = written(&Outgoing::Handshake(out));
        let Ok(Packet::Control(Control { body: Body::Handshake(read), .. })) = Packet::parse(&bytes) else {
            panic!("not a handshake")
        };
        prop_assert_eq!((read.version, read.mtu, read.window, read.cookie), (version, mtu, window, cookie));
        prop_assert_eq!((read.initial_seq, read.kind, read.socket), (out.initial_seq, kind, out.socket));
        prop_assert_eq!((read.encryption, read.extension, read.peer_ip), (2, out.extension, peer_ip));
        let found = read.extensions;
        prop_assert_eq!(found.hello_request().map(|hello| (true, hello)), hello.filter(|(request, _)| *request));
        prop_assert_eq!(found.hello_response().map(|hello| (false, hello)), hello.filter(|(request, _)| !request));
        prop_assert_eq!(found.key_request().map(|key| (true, key)), out.key.filter(|(request, _)| *request));
        prop_assert_eq!(found.key_response().map(|key| (false, key)), out.key.filter(|(request, _)| !request));
        let read_id = found.stream_id();
        prop_assert_eq!(read_id.as_ref().map(Text::as_bytes), id.as_deref().map(str::as_bytes));
    }
}

fn handshake_out(kind: HandshakeKind) -> HandshakeOut<'static> {
    HandshakeOut {
        version: 5,
        encryption: 2,
        extension: 0,
        initial_seq: Seq::new(1),
        mtu: 1500,
        window: 8192,
        kind,
        socket: SocketId(9),
        cookie: 0,
        peer_ip: [0; 16],
        hello: None,
        key: None,
        stream_id: None,
    }
}

/// Reads everything a datagram offers; the ranges' bound holds.
fn read_all(datagram: &[u8]) {
    let _ = (destination(datagram), is_data(datagram));
    let Ok(Packet::Control(control)) = Packet::parse(datagram) else { return };
    match control.body {
        Body::Nak(list) => {
            assert!(list.ranges().count() <= MAX_PAYLOAD_BYTES / 4);
            assert!(list.ranges().all(|range| range.len() <= MAX_LOSS_RANGE));
        }
        Body::DropRequest { range, .. } => assert!(!range.last.is_before(range.first)),
        Body::Handshake(handshake) => {
            let found = handshake.extensions;
            assert!(found.iter().map(|(_, content)| content.len() + 4).sum::<usize>() <= datagram.len());
            let _ =
                (found.hello_request(), found.hello_response(), found.key_request(), found.key_response());
            let _ = (found.stream_id(), found.congestion());
        }
        _ => {}
    }
}

fn nak_of(words_of: &[u32]) -> Vec<SeqRange> {
    let mut cif = Vec::new();
    words::put(&mut cif, words_of);
    LossList::new(&cif).ranges().collect()
}

#[test]
fn a_malformed_range_ends_a_loss_list() {
    let one = SeqRange::single(Seq::new(1));
    let top = 1 << 31;
    assert_eq!(nak_of(&[1, top | 9, 5, 7]), [one], "last before first");
    assert_eq!(nak_of(&[1, top | 9]), [one], "no last");
    assert_eq!(nak_of(&[1, top | 9, top | 12, 7]), [one], "last marked as a first");
    assert_eq!(nak_of(&[1, top, MAX_LOSS_RANGE, 7]), [one], "too long");
    assert_eq!(
        nak_of(&[top | 0x7FFF_FFFF, 1]),
        [SeqRange { first: Seq::new(0x7FFF_FFFF), last: Seq::new(1) }]
    );
}

#[test]
fn a_loss_list_longer_than_a_datagram_is_cut() {
    assert_eq!(nak_of(&vec![5; 5000]).len(), MAX_PAYLOAD_BYTES / 4);
}

#[test]
fn the_bytes_of_a_data_header_are_those_of_the_draft() {
    let header = DataHeader {
        seq: Seq::new(0x0102_0304),
        message: MessageNumber::new(0x0005_0607),
        boundary: Boundary::Solo,
        in_order: true,
        key: KeySlot::Odd,
        retransmitted: true,
        stamp: Stamp::of_micros(0x0809_0A0B),
        to: SocketId(0x0C0D_0E0F),
    };
    let mut bytes = [0; HEADER_BYTES];
    write_data_header(&header, &mut bytes);
    assert_eq!(bytes, [1, 2, 3, 4, 0b1111_0100, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
}

#[test]
fn the_stream_id_has_its_words_reversed() {
    let out = HandshakeOut { stream_id: Some("abcdef"), ..handshake_out(HandshakeKind::Conclusion) };
    let bytes = written(&Outgoing::Handshake(out));
    assert_eq!(&bytes[HEADER_BYTES + HANDSHAKE_BYTES..], b"\0\x05\0\x02dcba\0\0fe");
}

#[test]
fn a_stream_id_beyond_512_bytes_is_none() {
    let mut bytes = written(&Outgoing::Handshake(handshake_out(HandshakeKind::Conclusion)));
    words::put(&mut bytes, &[0x0005_0000 | 129]);
    bytes.extend_from_slice(&[b'a'; 129 * 4]);
    let Ok(Packet::Control(Control { body: Body::Handshake(read), .. })) = Packet::parse(&bytes) else {
        panic!("not a handshake")
    };
    assert_eq!(read.extensions.stream_id(), None);
    assert!(read.extensions.find(ExtensionKind::StreamId).is_some());
}

#[test]
fn what_is_no_packet_is_refused_with_its_reason() {
    assert_eq!(Packet::parse(&[0; 15]), Err(PacketError::NoHeader { bytes: 15 }));
    assert_eq!(
        Packet::parse(&[0, 0, 0, 0, 0b0001_1000, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        Err(PacketError::BothKeys)
    );
    let inverted = SeqRange { first: Seq::new(5), last: Seq::new(4) };
    let drop = written(&Outgoing::DropRequest { message: 0, range: inverted });
    assert_eq!(Packet::parse(&drop), Err(PacketError::InvertedRange));
    let ack = written(&Outgoing::LightAck { ack: Seq::new(5) });
    assert_eq!(Packet::parse(&ack[..18]), Err(PacketError::Short { kind: 2, bytes: 2 }));
    let odd = written(&Outgoing::Handshake(handshake_out(HandshakeKind::Rejected(999))));
    assert_eq!(Packet::parse(&odd), Err(PacketError::HandshakeKind { kind: 999 }));
}

#[test]
fn an_ack_from_before_1_0_2_has_no_byte_rate() {
    let mut bytes = Vec::new();
    words::put(&mut bytes, &[0x8002_0000, 6, 0, 1, 10, 20, 30, 40, 50, 60]);
    let rates = Rates { packets_per_s: 50, link_packets_per_s: 60, bytes_per_s: 0 };
    let ack = Ack {
        number: 6,
        ack: Seq::new(10),
        rtt_us: 20,
        rtt_var_us: 30,
        free_packets: 40,
        rates: Some(rates),
    };
    let body = Body::Ack(ack);
    let control = Control { stamp: Stamp::of_micros(0), to: SocketId(1), body };
    assert_eq!(Packet::parse(&bytes), Ok(Packet::Control(control)));
}

#[test]
fn an_address_is_written_with_its_words_reversed() {
    let v4 = wire_ip(std::net::IpAddr::from([192, 168, 0, 7]));
    assert_eq!(v4[..5], [7, 0, 168, 192, 0]);
}
