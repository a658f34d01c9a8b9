//! What `command` promises, case by case.

use super::*;

const HEAD: &str = "-hide_banner -loglevel warning -nostats -stats_period 2 -progress pipe:2";
const TAIL: &str = "-max_muxing_queue_size 1024 -f mpegts -flush_packets 1 -muxdelay 0 -muxpreload 0 -pat_period 1 -sdt_period 5 pipe:1";
const X264: &str = "-c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p";

/// The arguments as one line; those with spaces in quotes.
fn line(spec: &str, facts: &Facts) -> String {
    let command = capture_command(&spec.parse().unwrap(), facts);
    let quoted = |arg: &OsString| {
        let arg = arg.to_str().unwrap();
        if arg.contains(' ') { format!("'{arg}'") } else { arg.to_owned() }
    };
    command.args.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn linux() -> Facts {
    Facts::unknown(Platform::Linux)
}

#[test]
fn test_picture_has_a_clock_where_text_can_be_drawn() {
    let drawn = line("f=test,size=640x360,fps=25", &Facts { draws_text: true, ..linux() });
    assert_eq!(
        drawn,
        format!(
            "{HEAD} -thread_queue_size 1 -re -f lavfi -i testsrc2=size=640x360:rate=25,drawtext=text=%{{localtime}}:fontsize=20:\
             fontcolor=white:box=1:boxcolor=black@0.6:x=20:y=h-2*20{} -thread_queue_size 1 -re -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -map 0:v:0 -map 1:a:0 {X264} -g 25 -keyint_min 25 \
             -sc_threshold 0 -c:a aac -b:a 128k {TAIL}",
            clock::overlay(640, 360, 25),
        )
    );
    let bare = format!(
        "-i testsrc2=size=1280x720:rate=30{} -thread_queue_size 1 -re",
        clock::overlay(1280, 720, 30)
    );
    assert!(line("f=test", &linux()).contains(&bare));
}

#[test]
fn file_is_looped_in_real_time_with_forced_keyframes() {
    assert_eq!(
        line("r=file:/media/a b.mp4,crf=28", &linux()),
        format!(
            "{HEAD} -stream_loop -1 -re -i '/media/a b.mp4' -map 0:v:0 -map 0:a:0? {X264} -g 600 -force_key_frames \
             expr:gte(t,n_forced*1) -sc_threshold 0 -crf 28 -c:a aac -b:a 128k {TAIL}"
        )
    );
}

#[test]
fn rtsp_that_is_h264_is_copied_over_tcp_and_its_password_is_a_secret() {
    let facts = Facts { source_video: Some("h264".into()), source_audio: Some("aac".into()), ..linux() };
    assert_eq!(
        line("g=rtsp://u:pw@cam/1", &facts),
        format!(
            "{HEAD} -rtsp_transport tcp -thread_queue_size 512 -i rtsp://u:pw@cam/1 -map 0:v:0 -map 0:a:0? \
             -c:v copy -bsf:v dump_extra=freq=keyframe -c:a copy {TAIL}"
        )
    );
    let command = capture_command(&"g=rtsp://u:pw@cam/1".parse().unwrap(), &facts);
    assert_eq!(command.secrets, ["u:pw", "pw"]);
}

#[test]
fn http_that_is_not_h264_is_encoded() {
    let facts = Facts { source_video: Some("mjpeg".into()), ..linux() };
    assert_eq!(
        line("g=http://cam/video,fps=10,bitrate=1M", &facts),
        format!(
            "{HEAD} -rw_timeout 15000000 -thread_queue_size 512 -i http://cam/video -map 0:v:0 -map 0:a:0? {X264} \
             -r 10 -g 10 -keyint_min 10 -sc_threshold 0 -b:v 1000000 -maxrate 1000000 -bufsize 1000000 -c:a aac \
             -b:a 128k {TAIL}"
        )
    );
}

const DEVICE_OUT: &str = "-g 30 -keyint_min 30 -sc_threshold 0 -c:a aac -b:a 128k -af aresample=async=1000";

#[test]
fn linux_device_takes_v4l2_with_alsa_or_pulseaudio() {
    let facts = Facts { default_microphone: Some("alsa:default".into()), ..linux() };
    assert_eq!(
        line("c=device", &facts),
        format!(
            "{HEAD} -thread_queue_size 64 -f v4l2 -framerate 30 -timestamps abs -i /dev/video0 -thread_queue_size 1024 \
             -f alsa -i default -map 0:v:0 -map 1:a:0 {X264} {DEVICE_OUT} {TAIL}"
        )
    );
    let pulse = line("c=device:/dev/video2,audio=pulse:default", &facts);
    assert!(
        pulse.contains("-i /dev/video2 -thread_queue_size 1024 -f pulse -i default -map 0:v:0 -map 1:a:0")
    );
}

#[test]
fn linux_device_without_a_microphone_is_video_alone() {
    let silent = line("c=device", &linux());
    assert!(silent.contains("-i /dev/video0 -map 0:v:0 -c:v"), "{silent}");
    let muted = Facts { default_microphone: Some("alsa:default".into()), ..linux() };
    assert_eq!(line("c=device,audio=none", &muted), silent);
}

#[test]
fn macos_device_takes_avfoundation() {
    let facts = Facts { default_microphone: Some("0".into()), ..Facts::unknown(Platform::MacOs) };
    assert_eq!(
        line("c=device:FaceTime HD Camera,size=1280x720", &facts),
        format!(
            "{HEAD} -thread_queue_size 512 -f avfoundation -framerate 30 -video_size 1280x720 -i 'FaceTime HD Camera:0' \
             -map 0:v:0 -map 0:a:0? {X264} -vf scale=1280:720 {DEVICE_OUT} {TAIL}"
        )
    );
    assert!(line("c=device,audio=none", &facts).contains("-i 0:none -map 0:v:0 -c:v"));
}

#[test]
fn windows_device_takes_dshow() {
    let facts = Facts {
        default_camera: Some("HD Webcam".into()),
        default_microphone: Some("Microphone (Realtek)".into()),
        best_encoder: "h264_mf".into(),
        ..Facts::unknown(Platform::Windows)
    };
    assert_eq!(
        line("c=device,fps=15", &facts),
        format!(
            "{HEAD} -thread_queue_size 512 -rtbufsize 64M -f dshow -framerate 15 -i 'video=HD Webcam:audio=Microphone \
             (Realtek)' -map 0:v:0 -map 0:a:0? -c:v h264_mf -pix_fmt nv12 -r 15 -g 15 -b:v 4000000 -c:a aac -b:a 128k \
             -af aresample=async=1000 {TAIL}"
        )
    );
}

#[test]
fn no_command_closes_the_standard_input_that_the_polite_stop_needs() {
    for spec in ["a=test", "a=file:x", "a=rtsp://h/x", "a=device"] {
        assert!(!line(spec, &linux()).contains("-nostdin"), "{spec}");
    }
}
