//! The `Range` header (RFC 9110 §14.2): one range of bytes; what is more than that is answered whole.

use dashvault_wire::ByteRange;

/// What a request asks of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Whole,
    Part(ByteRange),
    /// Nothing of the range is there.
    Unsatisfiable,
}

/// Reads the header for an object of `len` bytes. A header that is no single byte range is ignored, as the RFC says.
pub(super) fn parse(header: Option<&str>, len: u64) -> Asked {
    let Some((first, last)) = header.and_then(|text| text.strip_prefix("bytes=")?.trim().split_once('-'))
    else {
        return Asked::Whole;
    };
    match (first.trim(), last.trim()) {
        ("", last) => match number(last) {
            Some(0) => Asked::Unsatisfiable,
            Some(suffix) => part(len.saturating_sub(suffix), len, len),
            None => Asked::Whole,
        },
        (first, "") => number(first).map_or(Asked::Whole, |start| part(start, len, len)),
        (first, last) => match (number(first), number(last)) {
            (Some(start), Some(last)) if start <= last => part(start, last.saturating_add(1), len),
            _ => Asked::Whole,
        },
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn part(start: u64, end: u64, len: u64) -> Asked {
    let range = ByteRange::new(start, end.min(len));
    if range.is_empty() || start >= len { Asked::Unsatisfiable } else { Asked::Part(range) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_three_forms_of_a_range() {
        for (text, expected) in [
            ("bytes=0-9", Asked::Part(ByteRange::new(0, 10))),
            ("bytes=90-", Asked::Part(ByteRange::new(90, 100))),
            ("bytes=-10", Asked::Part(ByteRange::new(90, 100))),
            ("bytes=-1000", Asked::Part(ByteRange::new(0, 100))),
            ("bytes=50-1000", Asked::Part(ByteRange::new(50, 100))),
            ("bytes=100-", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=9-0", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("items=0-1", Asked::Whole),
            ("bytes=x-", Asked::Whole),
            ("bytes=-", Asked::Whole),
        ] {
            assert_eq!(parse(Some(text), 100), expected, "{text}");
        }
        assert_eq!(parse(None, 100), Asked::Whole);
        assert_eq!(parse(Some("bytes=0-"), 0), Asked::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn no_header_gives_bytes_that_are_not_there(text in "bytes=[0-9]{0,22}-[0-9]{0,22}|.{0,40}", len in 0..1000u64) {
            if let Asked::Part(range) = parse(Some(&text), len) {
                prop_assert!(!range.is_empty() && range.end <= len);
            }
        }
    }
}
