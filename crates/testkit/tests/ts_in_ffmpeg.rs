//! ffmpeg's demuxer sees in synthetic streams what they claim to hold.
#![allow(clippy::unwrap_used)]

use std::{fs, process::Command};

use dashvault_testkit::ts::{Keyframes, TsProfile, TsSource, VideoCodec, WRAP_90K};

/// `ffprobe`'s answer as lines of comma-separated values.
fn probe(stream: &[u8], arguments: &[&str]) -> Vec<String> {
    let file = tempfile::Builder::new().suffix(".ts").tempfile().unwrap();
    fs::write(file.path(), stream).unwrap();
    let mut ffprobe = Command::new("ffprobe");
    ffprobe
        .args(["-v", "quiet", "-of", "csv=p=0", "-correct_ts_overflow", "0"])
        .args(arguments)
        .arg(file.path());
    let output = ffprobe.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.trim_end_matches(',').to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn ffprobe_finds_the_codecs_pictures_and_keyframes_of_the_truth() {
    for (codec, name) in [(VideoCodec::H264, "h264"), (VideoCodec::H265, "hevc")] {
        for (b_frames, other_programme_first) in [(false, false), (true, true)] {
            let profile =
                TsProfile { codec: Some(codec), b_frames, other_programme_first, ..TsProfile::default() };
            let stream = TsSource::stream(profile, 1, 3);
            let codecs = probe(&stream.bytes, &["-show_entries", "stream=codec_name,width"]);
            assert!(
                codecs.contains(&format!("{name},1280")) && codecs.contains(&"aac".to_owned()),
                "{codecs:?}"
            );

            let packets =
                probe(&stream.bytes, &["-select_streams", "v:0", "-show_entries", "packet=pts,flags"]);
            assert_eq!(packets.len(), 90);
            let keys: Vec<i64> = packets
                .iter()
                .filter_map(|packet| packet.split_once(",K").map(|(pts, _)| pts.parse().unwrap()))
                .collect();
            let truth: Vec<i64> = stream.segments.iter().map(|segment| segment.start_pts).collect();
            assert_eq!(keys, truth, "{name}, B pictures: {b_frames}");
            let mut stamps: Vec<i64> =
                packets.iter().map(|packet| packet.split(',').next().unwrap().parse().unwrap()).collect();
            stamps.sort_unstable();
            assert!(stamps.windows(2).all(|pair| pair[1] - pair[0] == 3000), "{stamps:?}");
        }
    }
}

#[test]
fn ffprobe_reads_wrapped_stamps_and_streams_without_flags() {
    let start_pts = WRAP_90K - 90_000;
    let profile = TsProfile {
        start_pts,
        rai: false,
        aud: false,
        keyframes: Keyframes::BareIdr,
        ..TsProfile::default()
    };
    let stream = TsSource::stream(profile, 1, 3);
    let stamps = probe(&stream.bytes, &["-select_streams", "v:0", "-show_entries", "packet=pts"]);
    assert_eq!(stamps.len(), 90);
    assert_eq!((stamps[0].as_str(), stamps[30].as_str()), ((start_pts.to_string()).as_str(), "0"));
}
