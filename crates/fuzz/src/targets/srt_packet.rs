//! SRT datagrams: what parses is bounded by its datagram, and is written back as one that says the same.

use dashvault_srt::core::packet::{
    Body, Control, Data, Extensions, HEADER_BYTES, Handshake, HandshakeKind, HandshakeOut, LossList,
    MAX_LOSS_RANGE, MAX_PAYLOAD_BYTES, MAX_TEXT_BYTES, Outgoing, Packet, destination, is_data,
    mark_retransmitted, nak_fits, write_control, write_data_header,
};

pub(super) fn run(input: &[u8]) {
    match Packet::parse(input) {
        Ok(Packet::Data(read)) => data(input, &read),
        Ok(Packet::Control(read)) => control(input, &read),
        Err(_) => {}
    }
}

fn data(input: &[u8], read: &Data<'_>) {
    assert!(is_data(input));
    assert_eq!(destination(input), Some(read.to));
    let mut header = [0; HEADER_BYTES];
    write_data_header(&read.header(), &mut header);
    assert!(input.starts_with(&header), "a data header is not written as it was read");
    assert_eq!(HEADER_BYTES + read.payload.len(), input.len());
    mark_retransmitted(&mut header);
    let marked = [&header, read.payload].concat();
    let marked = Packet::parse(&marked);
    assert_eq!(marked, Ok(Packet::Data(Data { retransmitted: true, ..read.clone() })));
}

fn control(input: &[u8], read: &Control<'_>) {
    assert!(!is_data(input));
    assert_eq!(destination(input), Some(read.to));
    match &read.body {
        Body::Handshake(read) => handshake(read),
        Body::Keepalive => same(read, &Outgoing::Keepalive),
        Body::Ack(ack) => same(read, &Outgoing::Ack(*ack)),
        Body::LightAck { ack } => same(read, &Outgoing::LightAck { ack: *ack }),
        Body::Nak(list) => nak(read, list),
        Body::Shutdown => same(read, &Outgoing::Shutdown),
        Body::AckAck { number } => same(read, &Outgoing::AckAck { number: *number }),
        Body::DropRequest { message, range } => {
            assert!(range.len() <= 1 << 30);
            same(read, &Outgoing::DropRequest { message: *message, range: *range });
        }
        Body::KeyRequest(message) => same(read, &Outgoing::KeyRequest(message)),
        Body::KeyResponse(message) => same(read, &Outgoing::KeyResponse(message)),
        Body::CongestionWarning | Body::PeerError(_) | Body::Unknown { .. } => {}
    }
}

/// Written again, a control packet is read as it was.
fn same(read: &Control<'_>, body: &Outgoing<'_>) {
    let mut bytes = Vec::new();
    write_control(read.stamp, read.to, body, &mut bytes);
    assert_eq!(Packet::parse(&bytes), Ok(Packet::Control(read.clone())));
}

fn nak(read: &Control<'_>, list: &LossList<'_>) {
    let ranges: Vec<_> = list.ranges().collect();
    assert!(ranges.len() <= MAX_PAYLOAD_BYTES / 4, "more ranges than a datagram has words");
    assert!(ranges.iter().all(|range| range.len() <= MAX_LOSS_RANGE && !range.last.is_before(range.first)));
    assert_eq!(nak_fits(&ranges), ranges.len(), "what came in a NAK does not fit one");
    let mut bytes = Vec::new();
    write_control(read.stamp, read.to, &Outgoing::Nak(&ranges), &mut bytes);
    let Ok(Packet::Control(Control { body: Body::Nak(again), .. })) = Packet::parse(&bytes) else {
        panic!("a NAK is written as something else")
    };
    assert!(again.ranges().eq(ranges), "a NAK is not written as it was read");
}

fn handshake(read: &Handshake<'_>) {
    extensions(&read.extensions);
    let id = read.extensions.stream_id();
    let hello = read.extensions.hello_request().map(|hello| (true, hello));
    let key = read.extensions.key_request().filter(|key| key.len() <= MAX_TEXT_BYTES);
    let out = HandshakeOut {
        version: read.version,
        encryption: read.encryption,
        extension: read.extension,
        initial_seq: read.initial_seq,
        mtu: read.mtu,
        window: read.window,
        kind: read.kind,
        socket: read.socket,
        cookie: read.cookie,
        peer_ip: read.peer_ip,
        hello,
        key: key.map(|key| (true, key)),
        stream_id: id.as_ref().and_then(|id| std::str::from_utf8(id.as_bytes()).ok()),
    };
    let mut bytes = Vec::new();
    write_control(Default::default(), read.socket, &Outgoing::Handshake(out), &mut bytes);
    let Ok(Packet::Control(Control { body: Body::Handshake(again), .. })) = Packet::parse(&bytes) else {
        panic!("a handshake is written as something else")
    };
    assert_eq!(Handshake { extensions: read.extensions, ..again.clone() }, *read);
    assert_eq!(again.extensions.hello_request(), hello.map(|hello| hello.1));
    assert_eq!(again.extensions.key_request(), key);
    if let HandshakeKind::Rejected(code) = read.kind {
        assert!(code >= 1000);
    }
    if let Some(text) = out.stream_id.filter(|text| !text.is_empty()) {
        assert_eq!(again.extensions.stream_id().map(|id| id.as_bytes() == text.as_bytes()), Some(true));
    }
}

fn extensions(read: &Extensions<'_>) {
    assert!(read.iter().all(|(_, content)| content.len().is_multiple_of(4)));
    for text in [read.stream_id(), read.congestion()].into_iter().flatten() {
        assert!(text.as_bytes().len() <= MAX_TEXT_BYTES);
    }
    let _ = (read.hello_response(), read.key_response());
}
