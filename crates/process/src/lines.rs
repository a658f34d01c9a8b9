//! Cutting a child's text output into lines, within bounds.
//!
//! Belongs here: line ends (`\n`, `\r\n`, and the lone `\r` of progress displays) and the bound on a line's length.
//! Not here: what a line means (`progress`) or which are kept (`tail`).
//!
//! Invariant: the same bytes in any split give the same lines; at most `limit` bytes of a line are held.

/// Cuts bytes into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    line: Vec<u8>,
    limit: usize,
    /// The last byte was `\r`: whether it ends a line for good is up to the next byte.
    returned: bool,
}

/// A line's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// `\n` or `\r\n`.
    Feed,
    /// A lone `\r`: what follows is written over this line.
    Return,
}

impl Lines {
    /// Makes a cutter that keeps `limit` bytes of a line and drops the rest of it.
    pub(crate) fn new(limit: usize) -> Self {
        Self { line: Vec::new(), limit, returned: false }
    }

    /// Takes bytes and calls `each` for every line they end.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8], LineEnd)) {
        for run in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match run {
                [text @ .., b'\n'] => (text, Some(LineEnd::Feed)),
                [text @ .., b'\r'] => (text, Some(LineEnd::Return)),
                text => (text, None),
            };
            let feed_at_once = text.is_empty() && end == Some(LineEnd::Feed);
            if self.returned && !feed_at_once {
                each(&self.line, LineEnd::Return);
                self.line.clear();
            }
            self.returned = false;
            let room = self.limit.saturating_sub(self.line.len()).min(text.len());
            self.line.extend_from_slice(text.get(..room).unwrap_or_default());
            match end {
                Some(LineEnd::Feed) => {
                    each(&self.line, LineEnd::Feed);
                    self.line.clear();
                }
                Some(LineEnd::Return) => self.returned = true,
                None => {}
            }
        }
    }

    /// Gives the last line, which nothing ended.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(&[u8], LineEnd)) {
        if !self.line.is_empty() {
            each(&self.line, LineEnd::Feed);
        }
        self.line.clear();
        self.returned = false;
    }

    /// Returns the line that is not ended yet.
    pub(crate) fn open(&self) -> &[u8] {
        &self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<(String, LineEnd)> {
        let mut found = Vec::new();
        let mut lines = Lines::new(8);
        let mut keep = |line: &[u8], end| found.push((String::from_utf8_lossy(line).into_owned(), end));
        for piece in pieces {
            lines.push(piece, &mut keep);
        }
        lines.finish(&mut keep);
        found
    }

    #[test]
    fn a_lone_return_ends_a_line_that_is_written_over() {
        let found = lines_of(&[b"a\rb\r\nc\n\nd"]);
        let expected = [
            ("a", LineEnd::Return),
            ("b", LineEnd::Feed),
            ("c", LineEnd::Feed),
            ("", LineEnd::Feed),
            ("d", LineEnd::Feed),
        ];
        assert_eq!(found, expected.map(|(line, end)| (line.to_owned(), end)));
    }

    #[test]
    fn a_long_line_is_cut_at_the_limit() {
        assert_eq!(lines_of(&[b"0123456", b"789abc\nd\n"])[0].0, "01234567");
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(text in "[ab\r\n]{0,40}", at in 0usize..40) {
            let bytes = text.as_bytes();
            let (head, tail) = bytes.split_at(at.min(bytes.len()));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(lines_of(&[bytes]), lines_of(&[head, tail]));
            prop_assert_eq!(lines_of(&[bytes]), lines_of(&single));
        }
    }
}
