//! The last lines of a child's standard error, as a person would have seen them.
//!
//! Belongs here: what is kept and how it is shown. Not here: where the bytes come from (`supervisor`).
//!
//! Invariants: at most `lines` lines and `bytes` bytes are kept, whatever comes; a line that was written over (`\r`) is
//! kept only until the next; nothing shown contains a control character, so a hostile child cannot drive the terminal.

use std::collections::VecDeque;

use crate::lines::{LineEnd, Lines};

/// How much of the output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailLimits {
    /// Lines.
    pub lines: usize,
    /// Bytes of all lines together.
    pub bytes: usize,
    /// Bytes of one line; the rest of it is dropped.
    pub line_bytes: usize,
}

impl Default for TailLimits {
    /// 50 lines, 16 KiB, 1 KiB a line.
    fn default() -> Self {
        Self { lines: 50, bytes: 16 * 1024, line_bytes: 1024 }
    }
}

/// The last lines of a stream of bytes.
#[derive(Debug)]
pub struct Tail {
    limits: TailLimits,
    cutter: Lines,
    kept: Kept,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The last line was ended by `\r`: the next one replaces it.
    replace: bool,
}

impl Tail {
    /// Makes an empty tail.
    pub fn new(limits: TailLimits) -> Self {
        Self { limits, cutter: Lines::new(limits.line_bytes), kept: Kept::default() }
    }

    /// Takes output in any split.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { limits, cutter, kept } = self;
        cutter.push(bytes, |line, end| kept.add(line, end, *limits));
    }

    /// Takes one whole line.
    pub(crate) fn push_line(&mut self, line: &[u8], end: LineEnd) {
        let line = line.get(..self.limits.line_bytes).unwrap_or(line);
        self.kept.add(line, end, self.limits);
    }

    /// Returns the lines, oldest first, with what is no text replaced by U+FFFD.
    pub fn lines(&self) -> Vec<String> {
        let open = self.cutter.open();
        let open = (!open.is_empty()).then_some(open);
        self.kept.lines.iter().map(Vec::as_slice).chain(open).map(shown).collect()
    }
}

impl Kept {
    fn add(&mut self, line: &[u8], end: LineEnd, limits: TailLimits) {
        // "frame=1\rframe=2\n": a terminal shows the second only. "frame=1\r" and then "\n" shows the first.
        if self.replace && !line.is_empty() {
            self.bytes -= self.lines.pop_back().map_or(0, |line| line.len());
        }
        let goes_on = self.replace && line.is_empty();
        self.replace = end == LineEnd::Return;
        if goes_on || line.is_empty() {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line.to_vec());
        while self.lines.len() > limits.lines || self.bytes > limits.bytes {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len();
        }
        if self.lines.is_empty() {
            self.replace = false;
        }
    }
}

fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut tail = Tail::new(TailLimits { lines: 2, ..TailLimits::default() });
        tail.push(b"one\ntwo\nthree\nfou");
        assert_eq!(tail.lines(), ["two", "three", "fou"]);
    }

    #[test]
    fn a_progress_line_is_replaced_by_the_next() {
        let mut tail = Tail::new(TailLimits::default());
        tail.push(b"Input #0\nframe=1\rframe=2\rframe=3\r\nError\n");
        assert_eq!(tail.lines(), ["Input #0", "frame=3", "Error"]);
        tail.push(b"frame=4\rConversion failed!\n");
        assert_eq!(tail.lines(), ["Input #0", "frame=3", "Error", "Conversion failed!"]);
    }

    #[test]
    fn broken_text_and_escape_sequences_are_made_harmless() {
        let mut tail = Tail::new(TailLimits::default());
        tail.push(b"\x1b[2Jcaf\xe9\tx\n");
        assert_eq!(tail.lines(), ["\u{fffd}[2Jcaf\u{fffd}\tx"]);
    }

    proptest! {
        #[test]
        fn the_bounds_hold_for_any_bytes(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..40)) {
            let limits = TailLimits { lines: 5, bytes: 64, line_bytes: 20 };
            let mut tail = Tail::new(limits);
            for piece in &pieces {
                tail.push(piece);
                prop_assert!(tail.kept.lines.len() <= limits.lines);
                prop_assert!(tail.kept.bytes <= limits.bytes);
                prop_assert_eq!(tail.kept.bytes, tail.kept.lines.iter().map(Vec::len).sum::<usize>());
                prop_assert!(tail.cutter.open().len() <= limits.line_bytes);
            }
        }
    }
}
