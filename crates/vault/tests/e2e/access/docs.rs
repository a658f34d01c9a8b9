//! The description to read in a browser, out of the binary alone.

use std::io::Read;

use super::*;

fn unpacked(answer: &Answer) -> String {
    let mut text = String::new();
    match answer.header("content-encoding") {
        Some("gzip") => {
            flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut text).unwrap();
        }
        _ => text = answer.text(),
    }
    text
}

#[tokio::test]
async fn the_description_is_shown_without_anybody_elses_server() {
    let rig = Rig::start().await;
    let entry = rig.stranger().get("/api/docs").await;
    assert_eq!((entry.status, entry.header("location")), (308, Some("/api/docs/index.html")));
    let page = rig.stranger().get("/api/docs/index.html").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let html = unpacked(&page);
    let sources = html.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css"));
    let mut loaded = 0;
    for source in sources {
        let name = source.strip_prefix("./").unwrap_or(source);
        assert!(!name.contains('/'), "{source} is from elsewhere");
        let file = rig.stranger().get(&format!("/api/docs/{name}")).await;
        let kind = if name.ends_with(".js") { "text/javascript" } else { "text/css" };
        assert_eq!((file.status, file.header("content-type")), (200, Some(kind)), "{name}");
        loaded += 1;
    }
    assert!(loaded >= 4, "{html}");
    assert!(!html.contains("<script>") && !html.contains("onload="), "a script within the page: {html}");
    let start = unpacked(&rig.stranger().get("/api/docs/swagger-initializer.js").await);
    assert!(start.contains("/api/v1/openapi.json"), "{start}");
    assert_eq!(rig.stranger().get("/api/docs/nothing.js").await.code(), "not-found");
}
