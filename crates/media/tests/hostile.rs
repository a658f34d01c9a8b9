//! Parsers on arbitrary and mutated bytes: the fallback for the fuzz targets, with their seeds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stream;

use dashvault_media::{
    Manifest, PACKET_BYTES, Packet, Pid,
    keyframe::AccessUnitScanner,
    parse_trailer, trailer_len,
    ts::{
        pes::{PesHeader, PesReader},
        psi::{AudioCodec, VideoCodec, parse_pat, parse_pmt},
        section::SectionReader,
    },
};
use proptest::prelude::*;
use stream::{Plan, stream};

fn packet(bytes: &[u8]) -> [u8; PACKET_BYTES] {
    let mut packet = [0xFF; PACKET_BYTES];
    packet.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    packet[0] = 0x47;
    packet
}

proptest! {
    #[test]
    fn any_packet_is_read_within_its_bounds(bytes in prop::collection::vec(any::<u8>(), 0..PACKET_BYTES)) {
        let bytes = packet(&bytes);
        let packet = Packet::parse(&bytes).unwrap();
        prop_assert!(packet.payload().len() <= 184);
        prop_assert!(packet.pid().number() < 8192);
        if let Some(pcr) = packet.adaptation_field().and_then(|field| field.pcr_27m) {
            prop_assert!(pcr < (1 << 33) * 300);
        }
    }

    #[test]
    fn any_section_is_refused_or_read(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 4..PACKET_BYTES), 0..20)) {
        let mut reader = SectionReader::new();
        for bytes in packets {
            let bytes = packet(&bytes);
            reader.push(Packet::parse(&bytes).unwrap(), |section| {
                if let Ok(section) = section {
                    let _ = parse_pmt(section);
                    let _ = parse_pat(section).map(|programs| programs.map(Iterator::count));
                }
            });
        }
    }

    #[test]
    fn any_table_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..1100), table in 0..3u8) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = table;
        }
        let _ = parse_pmt(&bytes);
        if let Ok(Some(programs)) = parse_pat(&bytes) {
            prop_assert!(programs.count() <= 32);
        }
    }

    #[test]
    fn any_pes_header_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..300), split in 1..30usize) {
        let mut bytes = bytes;
        bytes.splice(..0, [0, 0, 1, 0xE0]);
        let whole = PesHeader::parse(&bytes);
        // Piece by piece gives the same, and the same elementary bytes.
        let mut reader = PesReader::new();
        reader.start();
        let mut elementary = Vec::new();
        let mut refused = false;
        for piece in bytes.chunks(split) {
            match reader.push(piece) {
                Ok(more) => elementary.extend_from_slice(more),
                Err(_) => refused = true,
            }
        }
        match whole {
            Ok(header) => {
                prop_assert_eq!(reader.header(), Some(header));
                prop_assert_eq!(&elementary[..], bytes.get(header.header_bytes..).unwrap_or(&[]));
            }
            Err(_) => prop_assert!(refused || reader.waits()),
        }
    }

    #[test]
    fn any_access_unit_is_decided_or_not(bytes in prop::collection::vec(any::<u8>(), 0..500), kind: u8) {
        for codec in [VideoCodec::H264, VideoCodec::H265, VideoCodec::Other(kind)] {
            AccessUnitScanner::new(codec).push(&bytes);
        }
    }

    #[test]
    fn any_tail_is_refused_as_trailer(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(parse_trailer(&bytes).is_err());
    }

    #[test]
    fn any_last_packet_says_a_bounded_length_or_none(bytes in prop::collection::vec(any::<u8>(), 0..PACKET_BYTES), magics in 0..4u8) {
        let mut last = packet(&bytes);
        if magics & 1 != 0 {
            last[4..12].copy_from_slice(b"DVPACK\r\n");
        }
        if magics & 2 != 0 {
            last[180..].copy_from_slice(b"DVPACK\r\n");
        }
        if let Ok(Some(len)) = trailer_len(&last) {
            prop_assert!(len as usize <= dashvault_media::MAX_TRAILER_BYTES);
        }
    }

    #[test]
    fn any_manifest_is_refused_or_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = bytes;
        bytes.splice(..0, *b"DVMF\0\x01");
        if let Ok(manifest) = Manifest::decode(&bytes) {
            prop_assert_eq!(manifest.encode(), bytes);
        }
    }
}

#[test]
fn a_section_with_any_flipped_bit_is_refused() {
    let mut writer = stream::Writer::default();
    writer.pmt(0x1000, 1, &[(0x1B, 0x100), (0x0F, 0x101)]);
    let good: [u8; PACKET_BYTES] = writer.out.as_slice().try_into().unwrap();
    let sound = |bytes: &[u8; PACKET_BYTES]| {
        let mut read = None;
        SectionReader::new().push(Packet::parse(bytes).unwrap(), |section| {
            read = section.ok().and_then(|section| parse_pmt(section).ok().flatten());
        });
        read
    };
    let streams = sound(&good).unwrap();
    assert_eq!(streams.video.map(|(codec, pid)| (codec, pid.number())), Some((VideoCodec::H264, 0x100)));
    assert_eq!(streams.audio.map(|(codec, pid)| (codec, pid.number())), Some((AudioCodec::Aac, 0x101)));
    let section_bytes = 3 + usize::from(good[7]);
    for bit in 0..section_bytes * 8 {
        let mut bad = good;
        bad[5 + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(sound(&bad), None, "bit {bit}");
    }
}

#[test]
fn every_cut_off_stream_is_read_to_its_end() {
    let input = stream(&Plan { frames: 12, ..Plan::default() });
    for len in 0..3000.min(input.len()) {
        let kept = stream::segments(&input[..len]);
        assert_eq!(kept.bytes.len(), len / PACKET_BYTES * PACKET_BYTES);
    }
}

#[test]
fn pcr_and_flags_are_read_from_the_adaptation_field() {
    // PCR base 0x1_2345_6789, extension 0x0AB.
    let base: u64 = 0x1_2345_6789;
    let bits = (base << 15 | 0x3F << 9 | 0xAB).to_be_bytes();
    let mut bytes = packet(&[0x47, 0x41, 0x00, 0x30, 7, 0xD0]);
    bytes[6..12].copy_from_slice(&bits[2..]);
    let packet = Packet::parse(&bytes).unwrap();
    let field = packet.adaptation_field().unwrap();
    assert_eq!(field.pcr_27m, Some(base * 300 + 0xAB));
    assert!(field.discontinuity && field.random_access && packet.unit_start());
    assert_eq!(packet.pid(), Pid::from_bytes(0x41, 0));
    assert_eq!(packet.payload().len(), 188 - 12);
}

#[test]
fn a_pcr_whose_extension_cannot_be_is_none() {
    let bytes = packet(&[0x47, 0x01, 0x00, 0x20, 183, 0x10, 0, 0, 0, 0, 0x7F, 0xFF]);
    assert_eq!(Packet::parse(&bytes).unwrap().adaptation_field().unwrap().pcr_27m, None);
}

#[test]
fn a_table_that_is_only_announced_is_not_in_force() {
    let pmt = |version: u8| [2, 0xB0, 18, 0, 1, version, 0, 0, 0xE1, 0, 0xF0, 0, 0x1B, 0xE1, 0, 0xF0, 0];
    assert!(parse_pmt(&pmt(0xC1)).unwrap().unwrap().video.is_some());
    assert_eq!(parse_pmt(&pmt(0xC0)), Ok(None));
}
