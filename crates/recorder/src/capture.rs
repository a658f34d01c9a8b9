//! Which ffmpeg command records a camera.
//!
//! Belongs here: what a camera's setting means, the argument vectors for each platform, encoder choice, device lists.
//! Text in, text out, so that every platform's commands are tested on any; only `probe` runs something. Not here:
//! running the capture itself (`crate::camera`).

mod clock;
mod command;
mod device;
mod list;
mod probe;
mod spec;

pub use command::{CaptureCommand, Facts, Platform, capture_command};
pub use list::{
    Device, DeviceKind, ListFormat, encoder_trial, hardware_encoders, list_commands, parse_devices,
    text_trial,
};
pub use probe::{PrepareError, list_devices, prepare, working_encoders};
pub use spec::{CameraSpec, Encoder, EncoderOptions, Microphone, Source, SpecError};
