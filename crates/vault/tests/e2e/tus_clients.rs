//! Imports by the tus clients that others wrote: tus-js-client and tuspy, and by curl. `scripts/setup.sh tests` brings them.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use crate::{
    import::{ADMIN, H264, admin, done, film, job_of, left_over, pictures, rig, stored},
    rig::Rig,
};

const URL: &str = "/api/v1/imports";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn clients() -> PathBuf {
    let folder = root().join("target/tus-clients");
    assert!(folder.exists(), "run scripts/setup.sh tests: it brings the tus clients");
    folder
}

/// Runs a client; gives the last line that it printed: where its upload is.
async fn client(rig: &Rig, words: &[&str], scenario: &str, film: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(words[1]);
    // A node that setup.sh fetched, since the system's is too old, goes first.
    let path =
        format!("{}:{}", root().join("target/node/bin").display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new(words[0])
        .arg(script)
        .arg(scenario)
        .arg(film)
        .arg(format!("http://{}{URL}", rig.vault().http_addr()))
        .arg(ADMIN)
        .env("PATH", path)
        .env("TUS_CLIENTS", clients())
        .env("PYTHONPATH", clients().join("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?} {scenario}: {errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.lines().last().unwrap_or_default().to_owned()
}

async fn uploads(words: &[&str], scenarios: &[&str]) {
    let rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    let http = admin(&rig);
    for (number, scenario) in scenarios.iter().enumerate() {
        let name = format!("20261122_1015{number:02}.mp4");
        let frequency = 300 + 100 * number;
        let words_of = format!("{H264} -af volume=0.{frequency}");
        film(folder.path(), &name, 2, &words_of);
        let path = folder.path().join(&name);
        let location = client(&rig, words, scenario, &path).await;
        let job = done(&http, &job_of(&location)).await;
        assert_eq!(job["recording"], format!("20261122-1015{number:02}"), "{scenario}");
        assert_eq!(job["bytes"], std::fs::metadata(&path).unwrap().len(), "{scenario}");
        assert_eq!(pictures(&stored(&rig, &job).await).0, 50, "{scenario}");
    }
    assert_eq!(left_over(&rig), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn tus_js_client_uploads_in_pieces_resumes_and_joins_parallel_parts() {
    uploads(&["node", "tus.mjs"], &["pieces", "with-upload", "resume", "parallel"]).await;
}

#[tokio::test]
async fn tus_js_client_ends_an_upload() {
    let rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    film(folder.path(), "a.mp4", 1, H264);
    let location = client(&rig, &["node", "tus.mjs"], "terminate", &folder.path().join("a.mp4")).await;
    let path = location.split_once(URL).map(|(_, id)| format!("{URL}{id}")).unwrap();
    let asked = admin(&rig).request("HEAD", &path, &[("tus-resumable", "1.0.0")], &[]).await;
    assert_eq!((asked.status, left_over(&rig).len()), (404, 0));
}

#[tokio::test]
async fn tuspy_uploads_with_checksums_and_resumes() {
    uploads(&["python3", "tus.py"], &["checksum", "resume"]).await;
}

#[tokio::test]
async fn curl_brings_a_file_with_one_request() {
    let rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    film(folder.path(), "20261122_101500.mp4", 1, H264);
    let url = format!("http://{}{URL}/bus/front/", rig.vault().http_addr());
    let output = Command::new("curl")
        .args(["-fsS", "-H", &format!("Authorization: Bearer {ADMIN}"), "-T"])
        .arg(folder.path().join("20261122_101500.mp4"))
        .arg(&url)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let job = done(&admin(&rig), &serde_json::from_slice(&output.stdout).unwrap()).await;
    assert_eq!((&job["recording"], pictures(&stored(&rig, &job).await).0), (&"20261122-101500".into(), 25));
}
