//! What leaves the window, and when: in *hold* mode all that is in order, in *TSBPD* mode what is due; and gaps, when
//! they have lasted for long enough.

use std::time::{Duration, Instant};

use super::playout::SLACK;
use super::window::{Outlet, Slot};
use super::{DeliveryMode, LEAST_PATIENCE, Receiver, Sink};

/// What leaves the window next.
enum Leaving {
    Packets(usize),
    /// Whatever of a gap has been given up by now.
    Gap,
}

impl Receiver {
    /// Hands on what may go, and looks when the rest may.
    pub(super) fn settle(&mut self, now: Instant, sink: &mut dyn Sink) {
        self.wake = None;
        while let Some((at, leaving)) = self.front() {
            if at.is_some_and(|at| at > now) {
                self.wake = at;
                break;
            }
            let count = match leaving {
                Leaving::Packets(count) => count,
                Leaving::Gap => self.window.leading_gap(now, self.patience()),
            };
            self.advance(count.max(1), sink);
        }
        self.nak.settle(&self.window);
        if self.mode != DeliveryMode::Hold {
            self.ack.room(self.free_packets());
        }
    }

    /// What leaves the window next, and when; at once without a time.
    fn front(&mut self) -> Option<(Option<Instant>, Leaving)> {
        let drops_too_late = self.mode == (DeliveryMode::Tsbpd { drop_too_late: true });
        match self.window.front()? {
            Slot::Missing { since } => {
                let given_up = *since + self.patience();
                let behind = if drops_too_late { self.window.first_held() } else { None };
                if let Some((index, stamp_us)) = behind {
                    return Some((Some(self.playout.due(stamp_us).min(given_up)), Leaving::Packets(index)));
                }
                Some((Some(given_up), Leaving::Gap))
            }
            Slot::Dropped => Some((None, Leaving::Gap)),
            Slot::Held { .. } if self.mode == DeliveryMode::Hold => {
                Some((None, Leaving::Packets(self.window.settled())))
            }
            Slot::Held { stamp_us, .. } => Some((Some(self.playout.due(*stamp_us)), Leaving::Packets(1))),
        }
    }

    /// How long a gap may last.
    fn patience(&self) -> Duration {
        match self.mode {
            DeliveryMode::Hold => self.latency,
            DeliveryMode::Tsbpd { drop_too_late: true } => self.latency + SLACK,
            DeliveryMode::Tsbpd { drop_too_late: false } => (8 * self.latency).max(LEAST_PATIENCE),
        }
    }

    pub(super) fn advance(&mut self, count: usize, sink: &mut dyn Sink) {
        let mut out = Outlet::new(sink, &mut self.stats);
        self.window.advance(count, &mut out);
        out.close();
    }
}
