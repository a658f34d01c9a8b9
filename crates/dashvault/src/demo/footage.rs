//! What the demo's cameras see: real footage with sound where it is to be had, test pictures else.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use dashvault_process::{Command, Exchange};

/// One camera of the demo, as `--camera` takes it.
#[derive(Debug, Clone)]
pub(super) struct Camera(pub(super) String);

/// The cameras, and a note for the audience where it is not real footage.
pub(super) fn cameras(footage: &Path, stage: &Path) -> (Vec<Camera>, Option<String>) {
    match real(footage, stage) {
        Some(cameras) => (cameras, None),
        None => {
            let note =
                format!("no footage in {} (scripts/footage.sh fetches it): test pictures", footage.display());
            (test_pictures(), Some(note))
        }
    }
}

fn real(footage: &Path, stage: &Path) -> Option<Vec<Camera>> {
    let front = absolute(&footage.join("bigbuckbunny.mp4"))?;
    let rear = with_sound(&absolute(&footage.join("bikes.mp4"))?, &stage.join("bikes-with-sound.mp4"))?;
    let spec = |name: &str, path: &Path, bitrate: &str| {
        format!("{name}=file:{},encoder=libx264,bitrate={bitrate},gop=1", path.display())
    };
    Some(vec![Camera(spec("front", &front, "2500k")), Camera(spec("rear", &rear, "900k"))])
}

fn absolute(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().filter(|path| path.is_file())
}

/// The street scene is mute; a dashcam is not.
fn with_sound(film: &Path, out: &Path) -> Option<PathBuf> {
    let command = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-i"])
        .arg(film)
        .args(["-f", "lavfi", "-i", "sine=frequency=220:sample_rate=48000"])
        .args(["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-b:a", "96k", "-shortest"])
        .arg(out);
    let ended = command.run_blocking(Exchange::new().timeout(Duration::from_secs(30))).ok()?;
    ended.exit.success().then(|| out.to_owned())
}

fn test_pictures() -> Vec<Camera> {
    vec![
        Camera("front=test,size=1280x720,fps=25,bitrate=2500k,gop=1".to_owned()),
        Camera("rear=test,size=640x360,fps=25,bitrate=900k,gop=1".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_footage_there_are_test_pictures_and_a_note() {
        let (cameras, note) = cameras(Path::new("/nowhere"), Path::new("/nowhere"));
        assert_eq!(cameras.len(), 2);
        assert!(cameras.iter().all(|camera| camera.0.contains("=test,")));
        assert!(note.unwrap().contains("test pictures"));
    }
}
