//! What every request and answer has: an id in log and header, and the headers that keep browsers strict.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use tokio::time::Instant;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whatever does not say otherwise is no page: nothing may be loaded by it, and nothing may frame it.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
];

/// Runs a request in a span of its own and completes its answer's headers.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    let id = request_id();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let is_api = path.starts_with("/api/");
    let span = tracing::info_span!("request", id, %method, path);
    let begun = Instant::now();
    let mut response = async {
        let response = next.run(request).await;
        let (status, ms) = (response.status().as_u16(), begun.elapsed().as_millis());
        tracing::debug!(status, ms, "answered");
        response
    }
    .instrument(span)
    .await;
    let headers = response.headers_mut();
    complete(headers, is_api);
    headers.extend(HeaderValue::from_str(&id).ok().map(|id| (REQUEST_ID, id)));
    response
}

fn complete(headers: &mut HeaderMap, is_api: bool) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

/// 64 random bits; without randomness the log has no id, and nothing else is wrong.
fn request_id() -> String {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => format!("{:016x}", u64::from_be_bytes(bytes)),
        Err(_) => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_says_itself_stays_and_the_rest_is_strict() {
        let own = HeaderValue::from_static("default-src 'self'");
        let mut headers: HeaderMap = [(header::CONTENT_SECURITY_POLICY, own.clone())].into_iter().collect();
        complete(&mut headers, true);
        assert_eq!(headers.get(header::CONTENT_SECURITY_POLICY), Some(&own));
        assert_eq!(headers.get(header::CACHE_CONTROL).unwrap(), "no-store");
        assert_eq!(headers.len(), HEADERS.len() + 1);
        let mut headers = HeaderMap::new();
        complete(&mut headers, false);
        assert!(headers.get(header::CACHE_CONTROL).is_none());
    }
}
