//! The cut where a keyframe's lead or header is unusual, packet by packet.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stream;

use dashvault_base::Pts;
use dashvault_media::{ClosedBy, PACKET_BYTES, Segmenter, SegmenterConfig};
use stream::{Kept, PMT_PID, Plan, VIDEO_PID, Writer, segments, try_segments};

const IDR: [u8; 6] = [0, 0, 0, 1, 0x65, 0x88];
const SLICE: [u8; 6] = [0, 0, 0, 1, 0x41, 0x88];
/// A PES header without its last bytes.
const HALF_HEADER: [u8; 5] = [0, 0, 1, 0xE0, 0];

fn random_access() -> Option<Vec<u8>> {
    Some(vec![0x40])
}

fn video_only() -> Plan {
    Plan { audio: false, ..Plan::default() }
}

#[test]
fn the_packet_that_ends_an_undecided_keyframe_is_weighed_itself() {
    let mut writer = Writer::default();
    writer.psi(&video_only());
    writer.packet(VIDEO_PID, true, random_access(), &HALF_HEADER);
    let second = writer.out.len();
    writer.pes(VIDEO_PID, 0xE0, 3000, true, &IDR);
    let kept = segments(&writer.out);
    assert_eq!(kept.starts(), [0, second]);
    assert!(kept.segments[0].keyframe && kept.segments[1].keyframe);
}

#[test]
fn a_keyframe_waits_for_its_timestamp_when_the_header_goes_on_in_the_next_packet() {
    let mut writer = Writer::default();
    writer.psi(&video_only());
    writer.pes(VIDEO_PID, 0xE0, 90_000, true, &IDR);
    writer.pes(VIDEO_PID, 0xE0, 93_000, false, &SLICE);
    // After a pause of a second; the header's fixed part and its PTS lie in two packets.
    let cut = writer.out.len();
    writer.psi(&video_only());
    writer.packet(VIDEO_PID, true, random_access(), &HALF_HEADER);
    let mut rest = vec![0, 0x80, 0x80, 5, 0x21, 0, 0x0B, 0x7E, 0x41];
    rest.extend(IDR);
    writer.packet(VIDEO_PID, false, Some(Vec::new()), &rest);
    let kept = segments(&writer.out);
    assert_eq!(kept.starts(), [0, cut]);
    let start = kept.segments[1].start_pts.unwrap();
    assert_eq!(start, Pts(5 << 15 | 0x3F20));
    assert_eq!(i64::from(kept.segments[0].duration.0), start.since(Pts(90_000)));
}

#[test]
fn a_new_video_pid_ends_the_wait_for_a_keyframe_on_the_old_one() {
    let mut writer = Writer::default();
    writer.psi(&video_only());
    writer.pes(VIDEO_PID, 0xE0, 0, true, &IDR);
    // Undecided: an access unit delimiter, and no slice yet.
    writer.pes(VIDEO_PID, 0xE0, 3000, false, &[0, 0, 0, 1, 9, 0xF0]);
    writer.pmt(PMT_PID, 1, &[(0x1B, 0x102)]);
    writer.packet(0x102, false, Some(Vec::new()), &IDR);
    writer.packet(VIDEO_PID, false, Some(Vec::new()), &IDR);
    assert_eq!(segments(&writer.out).segments.len(), 1);
}

#[test]
fn an_endless_run_of_psi_is_held_back_only_in_part() {
    let mut writer = Writer::default();
    writer.psi(&video_only());
    (0..1000).for_each(|_| writer.psi(&video_only()));
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    let mut kept = Kept::default();
    for (index, packet) in writer.out.chunks(PACKET_BYTES).enumerate() {
        segmenter.push(packet, &mut kept).unwrap();
        let held = index + 1 - kept.bytes.len() / PACKET_BYTES;
        assert!(held <= 64, "{held} packets are held back");
    }
}

#[test]
fn at_the_size_limit_the_cut_is_before_the_lead_that_is_held_back() {
    const LIMIT: usize = 1024;
    let config = SegmenterConfig { max_segment_bytes: LIMIT * PACKET_BYTES, ..SegmenterConfig::default() };
    let mut writer = Writer::default();
    writer.psi(&video_only());
    writer.pes(VIDEO_PID, 0xE0, 0, true, &IDR);
    while writer.out.len() < (LIMIT - 2) * PACKET_BYTES {
        writer.pes(VIDEO_PID, 0xE0, 3000, false, &SLICE);
    }
    // SDT and PAT lie before the limit, the PMT and the keyframe behind.
    let lead = writer.out.len();
    writer.psi(&video_only());
    writer.pes(VIDEO_PID, 0xE0, 6000, true, &IDR);
    let (kept, _) = try_segments(&writer.out, &[], config).unwrap();
    assert_eq!(kept.starts(), [0, lead]);
    assert_eq!(kept.segments[0].closed_by, ClosedBy::Size);
    assert!(kept.segments[1].keyframe);
}
