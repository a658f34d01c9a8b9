//! Entity tags (RFC 9110 §8.8.3, §13): whether a client has an object already, and whether its range is of this one.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, header};

/// The strong tag of content that is known by a name of its own, such as its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntityTag(String);

impl EntityTag {
    pub(super) fn of(name: impl fmt::Display) -> Self {
        Self(format!("\"{name}\""))
    }

    pub(super) fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }

    /// Whether the client says that it has this (`If-None-Match`, compared weakly).
    pub(super) fn is_known(&self, headers: &HeaderMap) -> bool {
        let lists = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0)
    }

    /// Whether a range is asked of this content or of any (`If-Range`, compared strongly; a date never matches).
    pub(super) fn takes_range(&self, headers: &HeaderMap) -> bool {
        headers.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_known_tag_is_found_in_lists_and_as_a_weak_one() {
        let tag = EntityTag("\"a1\"".into());
        for (values, known) in [
            (&["\"a1\""] as &[_], true),
            (&["\"b\", W/\"a1\""], true),
            (&["\"b\"", "\"a1\""], true),
            (&["*"], true),
            (&["\"b\"", "a1"], false),
            (&[], false),
        ] {
            assert_eq!(tag.is_known(&headers(header::IF_NONE_MATCH, values)), known, "{values:?}");
        }
    }

    #[test]
    fn a_range_of_other_content_is_not_taken() {
        let tag = EntityTag("\"a1\"".into());
        for (values, takes) in [
            (&[] as &[_], true),
            (&["\"a1\""], true),
            (&["W/\"a1\""], false),
            (&["\"b\""], false),
            (&["Sun, 22 Nov 2026 10:15:00 GMT"], false),
        ] {
            assert_eq!(tag.takes_range(&headers(header::IF_RANGE, values)), takes, "{values:?}");
        }
    }
}
