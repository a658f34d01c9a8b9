//! Seeds of the SRT targets: what a real caller and a real listener say to each other, and what an attacker adds.

use dashvault_srt::core::packet::{Ack, Body, HEADER_BYTES, Outgoing, Packet, write_control};
use dashvault_srt::core::seq::Stamp;
use dashvault_srt::core::{Seq, SeqRange, SocketId};

use super::srt_connection::{Ends, address};
use super::srt_key_message::DIRECTIONS;

/// Where a handshake names the socket of its sender.
const SOCKET_AT: usize = HEADER_BYTES + 24;

/// Target, name and bytes of each seed.
pub fn srt_seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut seeds = packets();
    for (direction, names) in DIRECTIONS.iter().zip([
        ["aes128-first", "aes128-next"],
        ["aes192-first", "aes192-next"],
        ["aes256-gcm-first", "aes256-gcm-next"],
    ]) {
        for (message, name) in direction.messages.iter().zip(names) {
            seeds.push(("srt_key_message", name, message.clone()));
        }
    }
    let first = DIRECTIONS.first().map_or(&[][..], |direction| &direction.messages[0]);
    seeds.push(("srt_key_message", "packet", control(0, &Outgoing::KeyRequest(first))));
    seeds.push(("srt_connection", "again", again()));
    seeds.push(("srt_connection", "callers", callers()));
    seeds.push(("srt_connection", "moved", moved()));
    seeds.push(("srt_connection", "liars", liars(0)));
    seeds.push(("srt_connection", "liars-played", liars(3)));
    seeds.push(("srt_connection", "liars-waited", liars(1 + 4)));
    seeds
}

/// A conversation: handshake, data, acknowledgements; from the caller or not, and what.
fn conversation() -> Vec<(bool, Vec<u8>)> {
    let mut ends = Ends::recorded(0);
    for _ in 0..3 {
        // The second payload of each direction is lost.
        ends.take(0x40 | 2 << 3, &[]);
        ends.take(0xC0, &[]);
        ends.take(0x40 | 3 << 3, &[]);
    }
    let tape = ends.tape.take().unwrap_or_default();
    tape.into_iter().map(|(of_caller, _, datagram)| (of_caller, datagram)).collect()
}

fn packets() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let names = ["induction", "induction-answer", "conclusion", "conclusion-answer"];
    let tape = conversation();
    let mut seeds: Vec<_> = names
        .into_iter()
        .zip(tape.iter())
        .map(|(name, (_, bytes))| ("srt_packet", name, bytes.clone()))
        .collect();
    let mut first = |name, wanted: fn(&Packet<'_>) -> bool| {
        let found = tape.iter().find(|(_, bytes)| Packet::parse(bytes).is_ok_and(|packet| wanted(&packet)));
        seeds.extend(found.map(|(_, bytes)| ("srt_packet", name, bytes.clone())));
    };
    first("data", |packet| matches!(packet, Packet::Data(_)));
    first("ack", |packet| matches!(packet, Packet::Control(control) if matches!(control.body, Body::Ack(_))));
    first(
        "ackack",
        |packet| matches!(packet, Packet::Control(control) if matches!(control.body, Body::AckAck { .. })),
    );
    let range = |first, last| SeqRange { first: Seq::new(first), last: Seq::new(last) };
    let key = &DIRECTIONS.iter().map(|direction| direction.messages[1].clone()).collect::<Vec<_>>().concat();
    for (name, body) in [
        ("nak", Outgoing::Nak(&[range(5, 5), range(8, 70), range(0x7FFF_FFFE, 3)])),
        ("drop-request", Outgoing::DropRequest { message: 0, range: range(7, 70) }),
        ("light-ack", Outgoing::LightAck { ack: Seq::new(9) }),
        ("shutdown", Outgoing::Shutdown),
        ("key-request", Outgoing::KeyRequest(key)),
    ] {
        seeds.push(("srt_packet", name, control(0, &body)));
    }
    seeds
}

/// The same conversation once more, into the connection that it opened.
fn again() -> Vec<u8> {
    let mut input = vec![0];
    for (of_caller, datagram) in conversation() {
        put(&mut input, u8::from(!of_caller) | 1 << 3, &datagram);
    }
    input
}

/// More callers than may wait, from the caller's address.
fn callers() -> Vec<u8> {
    let mut input = vec![0];
    let tape = conversation();
    let Some((_, conclusion)) = tape.get(2) else { return input };
    for socket in 0..8_u32 {
        let mut datagram = conclusion.clone();
        if let Some(place) = datagram.get_mut(SOCKET_AT..SOCKET_AT + 4) {
            place.copy_from_slice(&(1000 + socket).to_be_bytes());
        }
        put(&mut input, 0x40, &datagram);
        put(&mut input, 0, &datagram);
    }
    put(&mut input, 7 << 3, &[]);
    input
}

/// The peer is heard from elsewhere, is asked, and proves it.
fn moved() -> Vec<u8> {
    let mut ends = Ends::recorded(0);
    let mut input = vec![0];
    let keepalive = control(ends.id.0, &Outgoing::Keepalive);
    let how = 0xC0 | 4 << 3 | 2 << 1;
    ends.take(how, &keepalive);
    put(&mut input, how, &keepalive);
    let tape = ends.tape.take().unwrap_or_default();
    let asked = tape.iter().rev().find(|(of_caller, to, _)| !of_caller && *to == address(3));
    if let Some((_, _, datagram)) = asked
        && let Ok(Packet::Control(question)) = Packet::parse(datagram)
        && let Body::Ack(ack) = question.body
    {
        put(&mut input, 0x80 | 2 << 1, &control(ends.id.0, &Outgoing::AckAck { number: ack.number }));
    }
    put(&mut input, 0x40 | 4 << 3, &keepalive);
    input
}

/// Every kind of feedback, false, in both directions, with data around the window.
fn liars(settings: u8) -> Vec<u8> {
    let mut input = vec![settings];
    let start = 0x7FFF_FFF0_u32;
    let seq = |offset: u32| Seq::new(start.wrapping_add(offset));
    let range = |first, last| SeqRange { first: seq(first), last: seq(last) };
    let ack = |number, offset, free_packets| {
        let rtt = u32::MAX * (number & 1);
        Outgoing::Ack(Ack {
            number,
            ack: seq(offset),
            rtt_us: rtt,
            rtt_var_us: rtt,
            free_packets,
            rates: None,
        })
    };
    let bodies = [
        ack(1, 3, 0),
        ack(2, 0x1000, u32::MAX),
        Outgoing::LightAck { ack: seq(1) },
        Outgoing::Nak(&[range(0, 2), range(1, 1), range(0, 0xF_0000)]),
        Outgoing::AckAck { number: 1 },
        Outgoing::DropRequest { message: 0, range: range(4, 9) },
        Outgoing::DropRequest { message: 0, range: range(20, 0x3FFF_FFF0) },
        Outgoing::Keepalive,
    ];
    for (index, body) in bodies.iter().enumerate() {
        for to_caller in [0, 1] {
            let pause = if index % 3 == 0 { 3 << 3 } else { 0 };
            put(&mut input, 0xC0 | 1 << 1 | to_caller | pause, &control(0, body));
            for offset in [12, 30, 63, 64, 5000, 5001] {
                let mut data = seq(offset).raw().to_be_bytes().to_vec();
                data.extend([0xE0, 0, 0, 5, 0, 0, 200, 0, 0, 0, 0, 0, 0x47, 1, 2, 3]);
                put(&mut input, 1 << 1 | to_caller, &data);
            }
        }
    }
    put(&mut input, 0x40 | 4 << 3 | 1 << 1, &control(0, &Outgoing::Shutdown));
    input
}

fn control(to: u32, body: &Outgoing<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_control(Stamp::of_micros(1_000), SocketId(to), body, &mut bytes);
    bytes
}

fn put(input: &mut Vec<u8>, how: u8, datagram: &[u8]) {
    let bytes = u16::try_from(datagram.len()).expect("a datagram is shorter than 64 KiB");
    input.extend(bytes.to_be_bytes());
    input.push(how);
    input.extend_from_slice(datagram);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(input: &[u8]) -> Ends {
        let mut ends = Ends::connected(input[0]);
        ends.play(&input[1..]);
        ends
    }

    #[test]
    fn the_callers_fill_the_listener() {
        let stats = played(&callers()).listener.stats();
        assert!(stats.overloaded > 0 && stats.accepted > 1 && stats.rejected > stats.overloaded, "{stats:?}");
    }

    #[test]
    fn the_moved_peer_is_followed_there_and_back() {
        let stats = played(&moved()).listener.stats();
        assert_eq!((stats.challenges, stats.moves), (2, 2), "{stats:?}");
    }

    #[test]
    fn the_repeated_conversation_is_recognised() {
        let ends = played(&again());
        let stats = ends.listener.stats();
        assert!(stats.repeated_handshakes > 0 && stats.bad_cookies + stats.malformed == 0, "{stats:?}");
        let report = ends.listener.connection_stats(ends.now, ends.id).expect("it lives on");
        assert!(report.receiver.late_packets + report.receiver.duplicate_packets > 0, "{report:?}");
    }

    #[test]
    fn the_liars_are_heard_by_both_ends() {
        for settings in [0, 1 + 4, 3] {
            let mut ends = played(&liars(settings));
            let report = ends.caller.stats(ends.now);
            let sender = report.sender.expect("it has sent");
            assert!(sender.retransmitted_packets > 0 && report.receiver.naks_sent > 0, "{report:?}");
            assert!(report.receiver.refused_packets > 0 && report.receiver.lost_packets > 0, "{report:?}");
            ends.fall_silent();
            assert!(ends.listener.stats().lost_packets > 0, "{:?}", ends.listener.stats());
        }
    }

    #[test]
    fn every_kind_of_packet_is_among_the_seeds() {
        let read = packets();
        assert_eq!(read.len(), 12);
        assert!(read.iter().all(|(_, name, bytes)| Packet::parse(bytes).is_ok() || panic!("{name}")));
    }
}
