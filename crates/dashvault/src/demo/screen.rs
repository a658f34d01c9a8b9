//! What a person sees while the demo runs: redrawn on a terminal, a line every two seconds elsewhere.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _},
    time::{Duration, Instant},
};

use dashvault_recorder::{RecorderStatus, status::CameraStatus};
use dashvault_testkit::link::{LinkState, Mode};

use crate::units::show_bytes;

const ON_TERMINAL: Duration = Duration::from_millis(250);
const ELSEWHERE: Duration = Duration::from_secs(2);

/// One moment of the demo.
#[derive(Debug)]
pub(super) struct Moment<'a> {
    /// Since the curtain rose.
    pub(super) at: Duration,
    /// How long it records.
    pub(super) of: Duration,
    /// `recording`, `sending the rest`, …
    pub(super) phase: &'a str,
    pub(super) link: LinkState,
    /// Payload bytes that the vehicle sent.
    pub(super) sent: u64,
    pub(super) recorder: Option<&'a RecorderStatus>,
}

/// Where it is drawn.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: bool,
    drawn: Option<Instant>,
    lines: usize,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), drawn: None, lines: 0 }
    }

    /// Draws, if it is time.
    pub(super) fn show(&mut self, moment: &Moment<'_>) {
        let every = if self.terminal { ON_TERMINAL } else { ELSEWHERE };
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < every) {
            return;
        }
        self.drawn = Some(Instant::now());
        let text = if self.terminal { self.redraw(moment) } else { line(moment) };
        let mut out = std::io::stdout().lock();
        // A terminal that went away does not stop the show.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn redraw(&mut self, moment: &Moment<'_>) -> String {
        let table = table(moment);
        let up = if self.lines > 0 { format!("\x1b[{}A", self.lines) } else { String::new() };
        self.lines = table.lines().count();
        let mut text = up;
        table.lines().for_each(|line| text.extend(["\x1b[2K", line, "\n"]));
        text
    }
}

fn table(moment: &Moment<'_>) -> String {
    let mut text = String::new();
    let filled = (moment.at.as_secs_f64() / moment.of.as_secs_f64().max(1.0) * 40.0).min(40.0) as usize;
    let bar = format!("{}{}", "━".repeat(filled), "─".repeat(40 - filled));
    let _ =
        writeln!(text, "\n  {bar}  {:>3} / {} s  {}", moment.at.as_secs(), moment.of.as_secs(), moment.phase);
    let _ = writeln!(text, "  link   {}   {} sent\n", coloured(&moment.link), show_bytes(moment.sent));
    let _ = writeln!(
        text,
        "  \x1b[1m{:<8}{:>10}{:>10}{:>12}{:>12}{:>9}\x1b[0m   live link",
        "camera", "captured", "live", "backfilled", "on vehicle", "lost"
    );
    for camera in cameras(moment) {
        let lost = lost(camera);
        let paint = if lost > 0.0 { "\x1b[31m" } else { "" };
        let _ = writeln!(
            text,
            "  {:<8}{:>8.1} s{:>8.1} s{:>10.1} s{:>10.1} s{paint}{lost:>7.1} s\x1b[0m   {}",
            camera.camera.to_string(),
            seconds(camera.captured.ms),
            seconds(live(camera)),
            seconds(camera.backfilled.ms),
            seconds(camera.on_vehicle.ms),
            camera.live.state,
        );
    }
    text
}

fn line(moment: &Moment<'_>) -> String {
    let mut text = format!("{:>4} s  link {:<24}", moment.at.as_secs(), told(&moment.link));
    for camera in cameras(moment) {
        let _ = write!(
            text,
            "  {}: captured {:.0} live {:.0} backfilled {:.0} on vehicle {:.0} lost {:.1} s",
            camera.camera,
            seconds(camera.captured.ms),
            seconds(live(camera)),
            seconds(camera.backfilled.ms),
            seconds(camera.on_vehicle.ms),
            lost(camera),
        );
    }
    let _ = writeln!(text, "  ({})", moment.phase);
    text
}

fn cameras<'a>(moment: &Moment<'a>) -> &'a [CameraStatus] {
    moment.recorder.map_or(&[], |status| &status.cameras)
}

/// What came live: all that the vault has and backfill did not carry. SRT's own acknowledgements,
/// which an outage swallows with the rest, would tell less.
fn live(camera: &CameraStatus) -> u64 {
    let lost: u64 = camera.lost_ms.values().sum();
    camera.captured.ms.saturating_sub(camera.on_vehicle.ms + camera.backfilled.ms + lost)
}

fn lost(camera: &CameraStatus) -> f64 {
    seconds(camera.lost_ms.values().sum())
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn coloured(link: &LinkState) -> String {
    let colour = match link.mode {
        Mode::Up if link.loss > 0.0 || link.rate.is_some() => "33",
        Mode::Up => "32",
        Mode::Cut | Mode::BlackHole | Mode::Refuse => "31",
    };
    format!("\x1b[{colour};1m{:<24}\x1b[0m", told(link))
}

/// The link's state in a few words.
fn told(link: &LinkState) -> String {
    match link.mode {
        Mode::Cut => "CUT".to_owned(),
        Mode::BlackHole => "BLACK HOLE".to_owned(),
        Mode::Refuse => "REFUSED".to_owned(),
        Mode::Up => match (link.rate, link.loss) {
            (Some(rate), _) => format!("throttled to {}/s", show_bytes(rate)),
            (None, loss) if loss > 0.0 => format!("losing {:.0} %", loss * 100.0),
            _ => "up".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(link: LinkState) -> Moment<'static> {
        let seconds = Duration::from_secs;
        Moment { at: seconds(5), of: seconds(60), phase: "recording", link, sent: 0, recorder: None }
    }

    fn link(mode: Mode, loss: f64, rate: Option<u64>) -> LinkState {
        LinkState { up: mode == Mode::Up, mode, label: String::new(), loss, rate, delay: Duration::ZERO }
    }

    #[test]
    fn a_line_says_what_the_link_does() {
        assert!(line(&moment(link(Mode::Up, 0.05, None))).contains("losing 5 %"));
        assert!(line(&moment(link(Mode::Up, 0.0, Some(150_000)))).contains("throttled to 150.0 kB/s"));
        assert!(line(&moment(link(Mode::BlackHole, 0.0, None))).contains("BLACK HOLE"));
    }

    #[test]
    fn redrawing_goes_up_by_as_many_lines_as_it_drew() {
        let mut screen = Screen { terminal: true, drawn: None, lines: 0 };
        let first = screen.redraw(&moment(link(Mode::Up, 0.0, None)));
        let second = screen.redraw(&moment(link(Mode::Cut, 0.0, None)));
        assert!(second.starts_with(&format!("\x1b[{}A", first.matches('\n').count())));
    }
}
