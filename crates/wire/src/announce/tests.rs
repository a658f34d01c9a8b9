//! What `announce` promises, case by case.

use proptest::prelude::*;

use super::*;

fn pack(segments: usize) -> PackAnnounce {
    let segment = SegmentNotice {
        len: 188,
        hash: ContentHash::of(b"s"),
        pts: Some(Pts(9)),
        dur: Ticks90k(90_000),
        at: 0,
    };
    PackAnnounce {
        camera: CameraName::main(),
        pack: "20261122-101500_00003".parse().unwrap(),
        start_wall: WallMs(1),
        first: 0,
        segments: vec![segment; segments],
        trailer: Some(vec![1, 2, 3]),
    }
}

fn request(packs: Vec<PackAnnounce>) -> AnnounceRequest {
    AnnounceRequest { protocol: crate::paths::PROTOCOL, packs, ..AnnounceRequest::default() }
}

#[test]
fn messages_round_trip_as_json() {
    let sent = request(vec![pack(2)]);
    let text = serde_json::to_string(&sent).unwrap();
    assert_eq!(serde_json::from_str::<AnnounceRequest>(&text).unwrap(), sent);
    let status = PackStatus::Assembling { known: 2, want: vec![ByteRange::new(0, 188)], requested: true };
    let reply = AnnounceReply {
        protocol: 1,
        packs: vec![PackReply { camera: CameraName::main(), pack: pack(0).pack, status }],
        losses: vec!["x".into()],
        missing: vec![MissingPack { camera: CameraName::main(), pack: pack(0).pack }],
        device: Some("bus-7".parse().unwrap()),
        events: vec!["y".into()],
        requested: vec![RequestedPack { camera: CameraName::main(), pack: pack(0).pack }],
    };
    let text = serde_json::to_string(&reply).unwrap();
    assert_eq!(serde_json::from_str::<AnnounceReply>(&text).unwrap(), reply);
}

#[test]
fn an_announcement_of_millions_of_segments_is_refused() {
    assert!(request(vec![pack(MAX_SEGMENTS)]).validate().is_ok());
    let too_many = PackAnnounce { first: 10_000_000, ..pack(1) };
    assert!(matches!(
        request(vec![too_many]).validate(),
        Err(AnnounceError::TooMany { what: "segments", .. })
    ));
    assert!(matches!(
        request(vec![pack(1); 65]).validate(),
        Err(AnnounceError::TooMany { what: "packs", .. })
    ));
}

#[test]
fn lengths_that_no_segment_has_are_refused() {
    for len in [0, 187, 189, MAX_SEGMENT_BYTES + 188] {
        let mut lying = pack(1);
        lying.segments[0].len = len;
        assert!(matches!(request(vec![lying]).validate(), Err(AnnounceError::SegmentLength { .. })), "{len}");
    }
}

#[test]
fn another_protocol_is_refused_with_both_versions() {
    let error = AnnounceRequest { protocol: 9, ..request(vec![]) }.validate().unwrap_err();
    assert!(error.to_string().contains('9') && error.to_string().contains('1'), "{error}");
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,300}") {
        let _ = serde_json::from_str::<AnnounceRequest>(&text);
    }
}
