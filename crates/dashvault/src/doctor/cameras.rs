//! Are the cameras of the recorder's settings understood, and are the files that they play there?
//!
//! A build without the recorder knows no cameras, and checks none.

use super::Check;

/// Looks at each camera that is given.
#[cfg(feature = "recorder")]
pub(super) fn check(cameras: &[String]) -> Vec<Check> {
    cameras.iter().filter(|camera| !camera.is_empty()).map(|camera| one(camera)).collect()
}

#[cfg(feature = "recorder")]
fn one(camera: &str) -> Check {
    use dashvault_recorder::{CameraSpec, capture::Source};

    let spec: CameraSpec = match camera.parse() {
        Ok(spec) => spec,
        // Its text may hold a password; the error leaves that out.
        Err(error) => return Check::fail("camera", error.to_string(), "correct --camera"),
    };
    let name = format!("camera {}", spec.name);
    match spec.source {
        Source::File(path) => match std::fs::File::open(&path).and_then(|file| file.metadata()) {
            Ok(meta) if meta.is_file() => Check::ok(name, format!("{} is there", path.display())),
            Ok(_) => Check::fail(name, format!("{} is no file", path.display()), "correct --camera"),
            Err(error) => Check::fail(name, format!("{}: {error}", path.display()), "correct --camera"),
        },
        _ => Check::ok(name, "its setting is understood"),
    }
}

#[cfg(not(feature = "recorder"))]
pub(super) fn check(_cameras: &[String]) -> Vec<Check> {
    Vec::new()
}

#[cfg(all(test, feature = "recorder"))]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn file_that_is_not_there_and_camera_that_is_none_are_failures() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let there = format!("rear=file:{}", file.path().display());
        let cameras =
            ["front=test".to_owned(), there, "a=file:/nowhere.mp4".to_owned(), "nonsense".to_owned()];
        let verdicts: Vec<_> = check(&cameras).iter().map(|check| check.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Ok, Verdict::Fail, Verdict::Fail]);
    }
}
