//! Formats as real encoders write them, and of hostile bytes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

use dashvault_media::{
    PACKET_BYTES,
    format::Format,
    ts::psi::{AudioCodec, VideoCodec},
};
use proptest::prelude::*;

fn encoded(size: &str, arguments: &str) -> Vec<u8> {
    let picture =
        format!("-nostdin -v error -f lavfi -i testsrc2=size={size}:rate=25 -f lavfi -i sine -t 0.5");
    let output = Command::new("ffmpeg")
        .args(format!("{picture} {arguments} -f mpegts pipe:1").split_whitespace())
        .stderr(Stdio::inherit())
        .output()
        .expect("ffmpeg is installed for the tests");
    output.stdout
}

#[test]
fn size_codec_and_sound_are_read_from_what_encoders_write() {
    let h264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";
    let h265 = "-c:v libx265 -preset ultrafast -x265-params log-level=error";
    for (size, arguments, video, audio) in [
        ("1280x720", format!("{h264} -c:a aac -ar 48000 -ac 2"), VideoCodec::H264, Some((48_000, 2))),
        (
            "854x478",
            format!("{h264} -profile:v baseline -c:a aac -ar 44100 -ac 1"),
            VideoCodec::H264,
            Some((44_100, 1)),
        ),
        ("1920x1080", format!("{h264} -profile:v high -an"), VideoCodec::H264, None),
        ("640x362", format!("{h265} -c:a aac -ar 48000 -ac 2"), VideoCodec::H265, Some((48_000, 2))),
        ("322x180", "-c:v libx264 -preset ultrafast -pix_fmt yuv444p -an".to_owned(), VideoCodec::H264, None),
        (
            "640x480",
            "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -flags +ildct+ilme -an".to_owned(),
            VideoCodec::H264,
            None,
        ),
    ] {
        let format = Format::of(&encoded(size, &arguments));
        let found = format.video.clone().unwrap();
        let (width, height) = size.split_once('x').unwrap();
        assert_eq!(found.size, Some((width.parse().unwrap(), height.parse().unwrap())), "{arguments}");
        assert_eq!(found.codec, video);
        assert_eq!(
            format.audio.map(|audio| (audio.codec, audio.sound)),
            audio.map(|sound| (AudioCodec::Aac, Some(sound)))
        );
    }
}

#[test]
fn a_format_says_itself_for_people() {
    let format = Format::of(&encoded(
        "320x180",
        "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -ar 48000 -ac 2",
    ));
    assert_eq!(format.to_string(), "H.264 320×180 (PID 256) with AAC 48000 Hz, 2 ch (PID 257)");
    assert_eq!(Format::of(&[]).to_string(), "no video without sound");
}

proptest! {
    #[test]
    fn hostile_bytes_give_less_and_never_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..3000), flips in prop::collection::vec((0..60_000usize, any::<u8>()), 0..40),
    ) {
        bytes.iter_mut().step_by(PACKET_BYTES).for_each(|byte| *byte = 0x47);
        let _ = Format::of(&bytes);
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let mut good = GOOD.get_or_init(|| encoded("320x180", "-c:v libx264 -preset ultrafast -c:a aac")).clone();
        for (at, byte) in flips {
            if let Some(target) = good.get_mut(at) { *target = byte; }
        }
        let _ = Format::of(&good).to_string();
    }
}
