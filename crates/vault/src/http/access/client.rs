//! Where a request comes from, and whether it came over TLS: by its connection, or by the word of a trusted proxy.
//!
//! Invariant: a forwarding header counts only when the connection is a trusted proxy's, and of `X-Forwarded-For` only
//! what trusted proxies wrote: the rightmost address that is none of theirs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header::HOST, request::Parts};

use crate::{config::Network, core::Core};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of the connection; the server puts it beside each request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The caller's address.
pub(crate) fn address(parts: &Parts, core: &Core) -> IpAddr {
    caller(peer(parts), &parts.headers, &core.config.trusted_proxies)
}

/// Whether the caller speaks TLS with a trusted proxy.
pub(crate) fn is_secure(parts: &Parts, core: &Core) -> bool {
    let trusted = is_trusted(peer(parts), &core.config.trusted_proxies);
    let proto = parts.headers.get_all(&FORWARDED_PROTO).iter().next_back();
    let last = proto.and_then(|value| value.to_str().ok()).and_then(|text| text.rsplit(',').next());
    trusted && last.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
}

/// The host that the caller reached, without its port.
pub(crate) fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let end = if host.starts_with('[') { host.find(']')? + 1 } else { host.find(':').unwrap_or(host.len()) };
    host_name(host.get(..end)?)
}

/// A host name or address that is safe in a command line.
pub(crate) fn host_name(text: &str) -> Option<&str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    let begins = text.bytes().next().is_some_and(|byte| byte != b'-');
    (begins && text.bytes().all(allowed)).then_some(text)
}

fn peer(parts: &Parts) -> IpAddr {
    parts.extensions.get::<Peer>().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip().to_canonical())
}

fn caller(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut nearest = peer;
    let values = headers.get_all(&FORWARDED_FOR).iter().rev().map(|value| value.to_str().unwrap_or_default());
    for text in values.flat_map(|value| value.rsplit(',')) {
        if !is_trusted(nearest, trusted) {
            break;
        }
        let Some(address) = forwarded(text.trim()) else { break };
        nearest = address;
    }
    nearest
}

/// An address as proxies write it: bare, or with a port.
fn forwarded(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok();
    bare.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip())).map(|ip| ip.to_canonical())
}

fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (FORWARDED_FOR, HeaderValue::from_str(value).unwrap())).collect()
    }

    fn asked(peer: &str, values: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        caller(peer.parse().unwrap(), &headers(values), &trusted).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let none: &[&str] = &[];
        assert_eq!(asked("10.0.0.1", &["1.2.3.4"], none), "10.0.0.1");
        assert_eq!(asked("10.0.0.1", &["1.2.3.4"], &["10.0.0.1"]), "1.2.3.4");
        assert_eq!(asked("10.0.0.1", &["9.9.9.9, 1.2.3.4"], &["10.0.0.0/8"]), "1.2.3.4");
        assert_eq!(asked("10.0.0.1", &["9.9.9.9, 1.2.3.4, 10.0.0.2"], &["10.0.0.0/8"]), "1.2.3.4");
        assert_eq!(asked("10.0.0.1", &["9.9.9.9", "1.2.3.4:555"], &["10.0.0.0/8"]), "1.2.3.4");
        assert_eq!(asked("10.0.0.1", &["9.9.9.9, nonsense"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(asked("::1", &["[2001:db8::1]:443"], &["::1"]), "2001:db8::1");
    }

    #[test]
    fn a_host_is_a_name_without_its_port() {
        let of = |text: &'static str| {
            host(&[(HOST, HeaderValue::from_static(text))].into_iter().collect()).map(str::to_owned)
        };
        assert_eq!(of("vault.example.org:8080").as_deref(), Some("vault.example.org"));
        assert_eq!(of("[::1]:80").as_deref(), Some("[::1]"));
        assert_eq!((of("a b"), of(""), of("x;rm")), (None, None, None));
    }

    proptest! {
        #[test]
        fn a_stranger_cannot_choose_its_address(values in proptest::collection::vec("[0-9a-f.:, ]{0,40}", 0..4)) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            prop_assert_eq!(asked("192.0.2.7", &values, &["10.0.0.0/8", "::1"]), "192.0.2.7");
            let behind: Vec<&str> = values.iter().copied().chain(["192.0.2.7"]).collect();
            prop_assert_eq!(asked("10.0.0.1", &behind, &["10.0.0.0/8"]), "192.0.2.7");
        }
    }
}
