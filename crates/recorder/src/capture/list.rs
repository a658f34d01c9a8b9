//! Which cameras, microphones and encoders ffmpeg sees: the commands to ask, and readers of the answers.
//!
//! Belongs here: pure text. Not here: running the commands (`probe`).

use super::Platform;

/// A camera or microphone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Pictures or sound.
    pub kind: DeviceKind,
    /// What a camera's setting names it by.
    pub name: String,
    /// What people call it.
    pub label: String,
    /// Whether the system prefers it.
    pub default: bool,
}

/// See [`Device`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A camera.
    Camera,
    /// A microphone.
    Microphone,
}

/// The commands that list devices: ffmpeg's arguments, and which reader their output needs.
#[must_use]
pub fn list_commands(platform: Platform) -> Vec<(Vec<&'static str>, ListFormat)> {
    let sources = |system, format| (vec!["-hide_banner", "-sources", system], format);
    match platform {
        Platform::Linux => vec![
            sources("v4l2", ListFormat::Sources { kind: DeviceKind::Camera, prefix: "" }),
            sources("pulse", ListFormat::Sources { kind: DeviceKind::Microphone, prefix: "pulse:" }),
            sources("alsa", ListFormat::Sources { kind: DeviceKind::Microphone, prefix: "alsa:" }),
        ],
        Platform::MacOs => vec![(
            vec!["-hide_banner", "-f", "avfoundation", "-list_devices", "true", "-i", ""],
            ListFormat::AvFoundation,
        )],
        Platform::Windows => vec![(
            vec!["-hide_banner", "-f", "dshow", "-list_devices", "true", "-i", "dummy"],
            ListFormat::DirectShow,
        )],
    }
}

/// How a list is written; they come on standard error, or on standard output for [`ListFormat::Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// `ffmpeg -sources SYSTEM`: `* name [label] (media)`.
    Sources {
        /// What this system's devices are.
        kind: DeviceKind,
        /// What goes before their names, so that a setting tells the systems apart.
        prefix: &'static str,
    },
    /// `[AVFoundation indev @ …] [0] name` below a heading for each kind.
    AvFoundation,
    /// `[dshow @ …] "name" (video)`, or below a heading for each kind in older versions.
    DirectShow,
}

/// Reads a list; lines that are none of a device are passed over.
#[must_use]
pub fn parse_devices(format: ListFormat, text: &str) -> Vec<Device> {
    match format {
        ListFormat::Sources { kind, prefix } => {
            text.lines().filter_map(|line| source_line(line, kind, prefix)).collect()
        }
        ListFormat::AvFoundation => under_headings(text, avfoundation_line),
        ListFormat::DirectShow => under_headings(text, dshow_line),
    }
}

fn source_line(line: &str, kind: DeviceKind, prefix: &str) -> Option<Device> {
    let default = line.starts_with('*');
    let rest = line.strip_prefix("* ").or_else(|| line.strip_prefix("  "))?.trim_start();
    let (name, rest) = rest.split_once(" [")?;
    let label = rest.split(']').next()?;
    // PulseAudio lists what it plays as sources too.
    let plays = name.ends_with(".monitor") || name == "null";
    (!plays).then(|| Device { kind, name: format!("{prefix}{name}"), label: label.to_owned(), default })
}

/// A device in a line, with its kind where the line says it.
type Listed = (Option<DeviceKind>, String);

fn under_headings(text: &str, read: fn(&str) -> Option<Listed>) -> Vec<Device> {
    let mut kind = None;
    let mut devices: Vec<Device> = Vec::new();
    for line in text.lines() {
        let Some((_, said)) = line.split_once("] ") else { continue };
        if said.ends_with("video devices") || said.contains("video devices (") {
            kind = Some(DeviceKind::Camera);
        } else if said.ends_with("audio devices") {
            kind = Some(DeviceKind::Microphone);
        } else if let Some((own_kind, name)) = read(said)
            && let Some(kind) = own_kind.or(kind)
        {
            let default = !devices.iter().any(|device| device.kind == kind);
            devices.push(Device { kind, label: name.clone(), name, default });
        }
    }
    devices
}

fn avfoundation_line(said: &str) -> Option<Listed> {
    let (index, name) = said.strip_prefix('[')?.split_once("] ")?;
    let screen = name.starts_with("Capture screen");
    (index.parse::<u32>().is_ok() && !screen).then(|| (None, name.trim_end().to_owned()))
}

fn dshow_line(said: &str) -> Option<Listed> {
    let (name, rest) = said.trim_start().strip_prefix('"')?.split_once('"')?;
    let kind = match rest.trim() {
        "(video)" => Some(DeviceKind::Camera),
        "(audio)" => Some(DeviceKind::Microphone),
        "" => None,
        _ => return None,
    };
    Some((kind, name.to_owned()))
}

/// The video and audio codecs that `ffmpeg -i SOURCE` reports on standard error, the first of each.
pub(super) fn parse_streams(text: &str) -> (Option<String>, Option<String>) {
    let codec = |kind: &str| {
        let line =
            text.lines().find(|line| line.trim_start().starts_with("Stream #") && line.contains(kind))?;
        let name: String =
            line.split_once(kind)?.1.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        (!name.is_empty()).then_some(name)
    };
    (codec(": Video: "), codec(": Audio: "))
}

/// Hardware H.264 encoders worth a try, best first, each with the device that must exist for it (Unix paths).
#[must_use]
pub const fn hardware_encoders(platform: Platform) -> &'static [(&'static str, &'static str)] {
    match platform {
        Platform::Linux => &[
            ("h264_nvenc", "/dev/nvidiactl"),
            ("h264_qsv", "/dev/dri/renderD128"),
            ("h264_v4l2m2m", "/dev/video11"),
        ],
        Platform::MacOs => &[("h264_videotoolbox", "/")],
        Platform::Windows => &[("h264_nvenc", ""), ("h264_qsv", ""), ("h264_amf", ""), ("h264_mf", "")],
    }
}

/// ffmpeg's arguments for a short real encode: an encoder that is listed may still lack its hardware.
#[must_use]
pub fn encoder_trial(encoder: &str) -> Vec<String> {
    let pixels = if encoder.ends_with("_qsv") || encoder.ends_with("_mf") { "nv12" } else { "yuv420p" };
    let text = format!(
        "-hide_banner -loglevel error -nostdin -f lavfi -i testsrc2=size=640x480:rate=30 -frames:v 5 -pix_fmt {pixels} \
         -c:v {encoder} -g 30 -b:v 1000000 -f null -"
    );
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// ffmpeg's arguments for a try at drawing text: it needs the filter, fontconfig and a font.
#[must_use]
pub fn text_trial() -> Vec<String> {
    let text = "-hide_banner -loglevel error -nostdin -f lavfi -i color=size=64x64:rate=1,drawtext=text=%{localtime} \
                -frames:v 1 -f null -";
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(name: &str, label: &str, default: bool) -> Device {
        Device { kind: DeviceKind::Camera, name: name.into(), label: label.into(), default }
    }

    fn microphone(name: &str, label: &str, default: bool) -> Device {
        Device { kind: DeviceKind::Microphone, name: name.into(), label: label.into(), default }
    }

    #[test]
    fn linux_sources_are_read() {
        let v4l2 = "Auto-detected sources for v4l2:\n  /dev/video0 [HD Webcam: HD Webcam] (none)\n* /dev/video2 [USB]\n";
        let format = ListFormat::Sources { kind: DeviceKind::Camera, prefix: "" };
        let expected =
            [camera("/dev/video0", "HD Webcam: HD Webcam", false), camera("/dev/video2", "USB", true)];
        assert_eq!(parse_devices(format, v4l2), expected);
        let pulse = "Auto-detected sources for pulse:\n* alsa_input.pci [Built-in] (audio)\n  alsa_output.x.monitor [M]\n";
        let format = ListFormat::Sources { kind: DeviceKind::Microphone, prefix: "pulse:" };
        assert_eq!(parse_devices(format, pulse), [microphone("pulse:alsa_input.pci", "Built-in", true)]);
    }

    #[test]
    fn codecs_of_a_source_are_read() {
        let text = "Input #0, rtsp, from 'rtsp://h/x':\n  Duration: N/A\n  Stream #0:0: Video: h264 (High), yuv420p, 25 fps\n  \
            Stream #0:1[0x101](eng): Audio: pcm_alaw, 8000 Hz\nAt least one output file must be specified\n";
        assert_eq!(parse_streams(text), (Some("h264".into()), Some("pcm_alaw".into())));
        assert_eq!(parse_streams("rtsp://h/x: Connection refused"), (None, None));
    }

    #[test]
    fn avfoundation_list_is_read_without_screens() {
        let text = "[AVFoundation indev @ 0x7f] AVFoundation video devices:\n\
            [AVFoundation indev @ 0x7f] AVFoundation video devices\n\
            [AVFoundation indev @ 0x7f] [0] FaceTime HD Camera\n[AVFoundation indev @ 0x7f] [1] Capture screen 0\n\
            [AVFoundation indev @ 0x7f] AVFoundation audio devices\n[AVFoundation indev @ 0x7f] [0] Built-in Mic\n\
            : Input/output error\n";
        let expected = [
            camera("FaceTime HD Camera", "FaceTime HD Camera", true),
            microphone("Built-in Mic", "Built-in Mic", true),
        ];
        assert_eq!(parse_devices(ListFormat::AvFoundation, text), expected);
    }

    #[test]
    fn both_forms_of_the_dshow_list_are_read() {
        let new = "[dshow @ 0001] \"HD Webcam\" (video)\n[dshow @ 0001]   Alternative name \"@device_pnp\"\n\
            [dshow @ 0001] \"Mic (Realtek)\" (audio)\ndummy: Immediate exit requested\n";
        let old = "[dshow @ 0001] DirectShow video devices (some may be both video and audio devices)\n\
            [dshow @ 0001]  \"HD Webcam\"\n[dshow @ 0001]     Alternative name \"@device_pnp\"\n\
            [dshow @ 0001] DirectShow audio devices\n[dshow @ 0001]  \"Mic (Realtek)\"\n";
        let expected =
            [camera("HD Webcam", "HD Webcam", true), microphone("Mic (Realtek)", "Mic (Realtek)", true)];
        assert_eq!(parse_devices(ListFormat::DirectShow, new), expected);
        assert_eq!(parse_devices(ListFormat::DirectShow, old), expected);
    }
}
