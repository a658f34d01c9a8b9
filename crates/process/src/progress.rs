//! ffmpeg's `-progress` text: `key=value` lines in blocks that end with `progress=continue` or `progress=end`.
//!
//! With `-progress pipe:2 -nostats` the blocks are mixed into the log on standard error; a line is theirs if its key is
//! a known one. Source of the keys: ffmpeg's `print_report`.
//!
//! Belongs here: reading those lines. Not here: cutting them (`lines`).
//!
//! Invariant: any text is read; a value that is not understood (`N/A`) is `None`.

/// One block of progress.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Video frames written.
    pub frame: Option<u64>,
    /// Frames a second.
    pub fps: Option<f64>,
    /// Bits a second, over the whole run.
    pub bitrate: Option<f64>,
    /// Bytes written.
    pub total_size: Option<u64>,
    /// Media time written, in microseconds.
    pub out_time_us: Option<i64>,
    /// Frames doubled to keep the rate.
    pub dup: Option<u64>,
    /// Frames dropped to keep the rate.
    pub drop: Option<u64>,
    /// Media time over wall time; 1.0 is real time.
    pub speed: Option<f64>,
    /// This is the last block.
    pub end: bool,
}

impl Progress {
    /// Returns whether more was written than at `before`.
    pub(crate) fn advanced_since(&self, before: &Self) -> bool {
        self.frame > before.frame
            || self.out_time_us > before.out_time_us
            || self.total_size > before.total_size
    }
}

/// What a line of standard error turned out to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LineMeaning {
    /// It has nothing to do with progress.
    Other,
    /// It belongs to a block.
    Part,
    /// It ended a block.
    Block(Progress),
}

/// Reads progress line by line.
#[derive(Clone, Debug, Default)]
pub struct ProgressParser {
    block: Progress,
}

impl ProgressParser {
    /// Takes one line, without its end.
    pub fn line(&mut self, line: &[u8]) -> LineMeaning {
        let Some((key, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once('=')) else {
            return LineMeaning::Other;
        };
        let value = value.trim();
        if value.contains(' ') {
            // The usual statistics line: "frame=   50 fps= 25 q=28.0 …".
            return LineMeaning::Other;
        }
        let block = &mut self.block;
        match key {
            "frame" => block.frame = value.parse().ok(),
            "fps" => block.fps = finite(value),
            "bitrate" => block.bitrate = value.strip_suffix("kbits/s").and_then(finite).map(|k| k * 1000.0),
            "total_size" => block.total_size = value.parse().ok(),
            "out_time_us" => block.out_time_us = value.parse().ok(),
            "dup_frames" => block.dup = value.parse().ok(),
            "drop_frames" => block.drop = value.parse().ok(),
            "speed" => block.speed = value.strip_suffix('x').and_then(finite),
            // The same time twice more, of which the first is in microseconds too, against its name.
            "out_time_ms" | "out_time" => {}
            "progress" if matches!(value, "continue" | "end") => {
                block.end = value == "end";
                return LineMeaning::Block(std::mem::take(block));
            }
            _ if key.starts_with("stream_") => {}
            _ => return LineMeaning::Other,
        }
        LineMeaning::Part
    }
}

fn finite(value: &str) -> Option<f64> {
    value.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLOCK: &str = "frame=50\nfps=25.03\nstream_0_0_q=28.0\nbitrate=1204.5kbits/s\ntotal_size=301123\n\
        out_time_us=2000000\nout_time_ms=2000000\nout_time=00:00:02.000000\ndup_frames=1\ndrop_frames=2\n\
        speed=1.01x\nprogress=continue";

    #[test]
    fn a_block_is_read() {
        let mut parser = ProgressParser::default();
        let last = BLOCK.lines().map(|line| parser.line(line.as_bytes())).last();
        let expected = Progress {
            frame: Some(50),
            fps: Some(25.03),
            bitrate: Some(1_204_500.0),
            total_size: Some(301_123),
            out_time_us: Some(2_000_000),
            dup: Some(1),
            drop: Some(2),
            speed: Some(1.01),
            end: false,
        };
        assert_eq!(last, Some(LineMeaning::Block(expected)));
    }

    #[test]
    fn log_lines_between_are_left_alone_and_unknown_values_are_none() {
        let mut parser = ProgressParser::default();
        assert_eq!(parser.line(b"bitrate=N/A"), LineMeaning::Part);
        assert_eq!(parser.line(b"[libx264 @ 0x1] frame I:1 size=12"), LineMeaning::Other);
        assert_eq!(parser.line(b"speed=N/A"), LineMeaning::Part);
        assert_eq!(
            parser.line(b"progress=end"),
            LineMeaning::Block(Progress { end: true, ..Default::default() })
        );
    }

    #[test]
    fn the_usual_statistics_line_is_no_progress() {
        let line =
            b"frame=   50 fps= 25 q=28.0 size=     256kB time=00:00:02.00 bitrate=1204.5kbits/s speed=1x";
        assert_eq!(ProgressParser::default().line(line), LineMeaning::Other);
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in prop::collection::vec(any::<u8>(), 0..80)) {
            ProgressParser::default().line(&line);
        }
    }
}
