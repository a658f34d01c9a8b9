//! `GET /` and whatever has no other path: the dashboard, out of the binary.
//!
//! Belongs here: which file answers which path, how long a browser may keep it, and what its page may do. Does not: the
//! files (`web/`), or putting them into the binary (`build.rs`).
//!
//! Files under `assets/` carry the hash of their content in their name and never change; everything else is asked for
//! again each time (RFC 9111 `no-cache`) and answered 304 by its ETag. A path of no file is a screen: a browser that
//! navigates there gets `index.html`. Paths of the interface never do, so that a wrong one is a problem and not a page.

use std::sync::LazyLock;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::problem::{self, Refusal};

/// What the page may load and do: its own files, its own interface, pictures and media that its own script made.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
                      media-src 'self' blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const INDEX: &str = "index.html";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Where the interface lives; nothing below is a screen.
const INTERFACE: [&str; 6] = ["/api", "/live", "/vod", "/objects", "/healthz", "/metrics"];

/// One file, as `build.rs` lists it.
struct Embedded {
    path: &'static str,
    bytes: &'static [u8],
    gzip: Option<&'static [u8]>,
}

static FILES: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));
/// The ETag of each file, in the same order.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| FILES.iter().map(tag).collect());

fn tag(file: &Embedded) -> String {
    format!("\"{}\"", &blake3::hash(file.bytes).to_hex()[..32])
}

/// Answers what no other route has.
pub(super) async fn fallback(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return problem::no_such_path().await.into_response();
    }
    match find(uri.path(), &headers) {
        Some(number) => answer(number, &headers),
        None => Refusal::not_found("path").into_response(),
    }
}

/// The file for a path: itself, or the page whose script shows the screen of that path.
fn find(path: &str, headers: &HeaderMap) -> Option<usize> {
    let named = |name: &str| FILES.iter().position(|file| file.path == name);
    if let Some(number) = named(path.trim_start_matches('/')) {
        return Some(number);
    }
    let of_interface = INTERFACE
        .iter()
        .any(|prefix| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    let wants_page = text(headers, header::ACCEPT).contains("text/html");
    let is_screen = path == "/" || (wants_page && !of_interface && !path.starts_with("/assets/"));
    named(INDEX).filter(|_| is_screen)
}

fn answer(number: usize, headers: &HeaderMap) -> Response {
    let Some((file, tag)) = FILES.get(number).zip(TAGS.get(number)) else {
        return Refusal::not_found("path").into_response();
    };
    let asked = text(headers, header::IF_NONE_MATCH);
    let known =
        asked.split(',').any(|known| known.trim().trim_start_matches("W/") == tag || known.trim() == "*");
    let packed = file.gzip.filter(|_| takes_gzip(text(headers, header::ACCEPT_ENCODING)));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = Body::from(Bytes::from_static(packed.unwrap_or(file.bytes)));
        ([(header::CONTENT_TYPE, kind(file.path))], body).into_response()
    };
    let keep = if file.path.starts_with("assets/") { FOR_EVER } else { "no-cache" };
    let fixed = [
        (header::CACHE_CONTROL, keep),
        (header::VARY, "accept-encoding"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    let all = response.headers_mut();
    all.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    all.extend(HeaderValue::from_str(tag).ok().map(|tag| (header::ETAG, tag)));
    if packed.is_some() && !known {
        all.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether gzip is taken (RFC 9110 §12.5.3): named, or by `*`, and not with a weight of nothing.
fn takes_gzip(accepted: &str) -> bool {
    let weight_of = |wanted: &str| {
        accepted.split(',').find_map(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
            let weight = weight.trim().trim_start_matches("q=").parse::<f32>().unwrap_or(1.0);
            name.trim().eq_ignore_ascii_case(wanted).then_some(weight)
        })
    };
    weight_of("gzip").or_else(|| weight_of("*")).is_some_and(|weight| weight > 0.0)
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        Some("md" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(method: Method, path: &str, headers: &[(header::HeaderName, &'static str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        fallback(method, path.parse().unwrap(), headers.collect()).await
    }

    async fn get(path: &str, headers: &[(header::HeaderName, &'static str)]) -> Response {
        ask(Method::GET, path, headers).await
    }

    async fn body(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    fn of(response: &Response, name: header::HeaderName) -> &str {
        text(response.headers(), name)
    }

    const PAGE: (header::HeaderName, &str) = (header::ACCEPT, "text/html,*/*;q=0.8");
    const GZIP: (header::HeaderName, &str) = (header::ACCEPT_ENCODING, "gzip, deflate, br");

    fn script() -> String {
        let scripts =
            FILES.iter().filter(|file| file.path.starts_with("assets/") && file.path.ends_with(".js"));
        let file = scripts.max_by_key(|file| file.bytes.len());
        format!("/{}", file.unwrap().path)
    }

    #[tokio::test]
    async fn page_and_its_screens_are_the_same_file_and_asked_for_each_time() {
        let root = get("/", &[]).await;
        assert_eq!(root.status(), StatusCode::OK);
        assert_eq!(of(&root, header::CACHE_CONTROL), "no-cache");
        assert_eq!(of(&root, header::CONTENT_TYPE), "text/html; charset=utf-8");
        let screen = get("/d/bus-7", &[PAGE]).await;
        assert_eq!(of(&screen, header::ETAG), of(&root, header::ETAG));
        assert_eq!(body(screen).await, body(root).await);
    }

    #[tokio::test]
    async fn page_runs_nothing_inline_and_its_policy_says_so() {
        let root = get("/", &[]).await;
        let policy = of(&root, header::CONTENT_SECURITY_POLICY).to_owned();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let page = String::from_utf8(body(root).await).unwrap();
        for script in page.split("<script").skip(1) {
            assert!(script.contains("src=\"/assets/") && script.contains("></script>"), "{script}");
        }
        assert!(!page.contains("style=") && !page.contains("onload="), "{page}");
    }

    #[tokio::test]
    async fn path_of_the_interface_is_never_a_page() {
        for path in [
            "/api/v1/nothing",
            "/api",
            "/live/bus/front/x",
            "/vod/x",
            "/objects/x",
            "/metrics/x",
            "/assets/x.js",
        ] {
            let response = get(path, &[PAGE]).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(of(&response, header::CONTENT_TYPE), "application/problem+json", "{path}");
        }
        assert_eq!(get("/livery", &[PAGE]).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn path_of_no_file_is_a_page_for_browsers_that_read_only() {
        assert_eq!(
            get("/devices", &[(header::ACCEPT, "application/json")]).await.status(),
            StatusCode::NOT_FOUND
        );
        assert_eq!(ask(Method::POST, "/devices", &[PAGE]).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(ask(Method::HEAD, "/devices", &[PAGE]).await.status(), StatusCode::OK);
        assert_eq!(get("/../../etc/passwd", &[]).await.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn hashed_file_is_kept_for_ever_and_packed_for_whoever_takes_it() {
        let plain = get(&script(), &[]).await;
        assert_eq!(of(&plain, header::CACHE_CONTROL), FOR_EVER);
        assert_eq!(of(&plain, header::CONTENT_ENCODING), "");
        let packed = get(&script(), &[GZIP]).await;
        assert_eq!(of(&packed, header::CONTENT_ENCODING), "gzip");
        assert_eq!(of(&packed, header::VARY), "accept-encoding");
        let (plain, packed) = (body(plain).await, body(packed).await);
        assert!(packed.starts_with(&[0x1f, 0x8b]) && packed.len() < plain.len() * 2 / 3);
    }

    #[tokio::test]
    async fn file_that_is_known_is_not_sent_again() {
        let first = get("/", &[]).await;
        let tag = of(&first, header::ETAG).to_owned();
        for asked in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, asked.parse().unwrap());
            let response = fallback(Method::GET, "/".parse().unwrap(), headers).await;
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{asked}");
            assert_eq!(of(&response, header::ETAG), tag);
            assert!(body(response).await.is_empty());
        }
        assert_eq!(get("/", &[(header::IF_NONE_MATCH, "\"other\"")]).await.status(), StatusCode::OK);
    }

    #[test]
    fn encodings_are_read_as_the_standard_says() {
        for (accepted, taken) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("identity", false),
            ("", false),
            ("gzip;q=0", false),
            ("gzip; q=0, *", false),
            ("*;q=0", false),
        ] {
            assert_eq!(takes_gzip(accepted), taken, "{accepted}");
        }
    }

    #[test]
    fn every_file_has_a_known_kind() {
        for file in FILES {
            assert_ne!(kind(file.path), "application/octet-stream", "{}", file.path);
        }
    }
}
