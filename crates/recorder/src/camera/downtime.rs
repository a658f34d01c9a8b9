//! Time in which a camera gives nothing: from when on it counts as lost, and how it grows while it lasts.
//!
//! ```text
//! (footage) ─end of a recording, start of the camera─► waiting ─too long─► growing ─footage, stop─► ended
//!                                                                             └──── a minute ────┘ and on
//! ```
//! Belongs here: that account, in the spool's memory. Not here: its file, which whoever asked writes
//! ([`Spool::end_loss`]).
//!
//! Invariants: the monotonic clock says how long, since the wall clock may be set meanwhile; nothing is counted twice,
//! and from the first millisecond to the last once it is counted; nothing blocks.

use std::time::Duration;

use dashvault_base::{CameraName, LossCause};
use dashvault_spool::{LossReport, Spool};

use super::queue::Began;

/// A loss that grows is ended, and so announced, when it is this long; what follows is another.
pub(super) const MAX_GROWING_LOSS_MS: u64 = 60_000;
/// How long a camera and its encoder may take to start before the time counts as lost.
const START_TIME: Duration = Duration::from_secs(10);
/// What may pass between a recording's last byte and the word that the camera was stopped.
const STOP_TIME: Duration = Duration::from_secs(1);

/// What there was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// The camera was started.
    Start,
    /// There was footage.
    Recording,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// There is footage again.
    Footage,
    /// The camera is stopped.
    Stop,
}

/// A loss that grows no more, or not yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its id in the spool.
    pub(crate) id: String,
    /// How long it is.
    pub(crate) lost_ms: u64,
    /// Why.
    pub(crate) cause: LossCause,
}

/// One camera's account.
#[derive(Debug, Default)]
pub(crate) struct Downtime(Option<Open>);

#[derive(Debug)]
struct Open {
    since: Since,
    /// Where the part that is not ended yet begins.
    from: Began,
    growing: Option<Ended>,
    /// A part of it is ended: the rest follows it at once.
    goes_on: bool,
}

impl Downtime {
    /// From `from` on there is no footage; if that is known already, it stays as it is.
    pub(super) fn begin(&mut self, from: Began, since: Since) {
        self.0.get_or_insert(Open { since, from, growing: None, goes_on: false });
    }

    /// Counts up to `now` what is lost by now; gives what is to be written.
    pub(crate) fn look(&mut self, spool: &Spool, camera: &CameraName, now: Began) -> Option<Ended> {
        let open = self.0.as_mut()?;
        open.grow(spool, camera, now, Then::Stop);
        let ended = open.growing.take_if(|growing| growing.lost_ms >= MAX_GROWING_LOSS_MS)?;
        let ms = i64::try_from(ended.lost_ms).unwrap_or(i64::MAX);
        open.from = Began {
            wall: open.from.wall.plus_ms(ms),
            at: open.from.at.checked_add(Duration::from_millis(ended.lost_ms)).unwrap_or(now.at),
        };
        open.goes_on = true;
        Some(ended)
    }

    /// It is over at `now`; gives what is to be written.
    pub(super) fn end(
        &mut self,
        spool: &Spool,
        camera: &CameraName,
        now: Began,
        then: Then,
    ) -> Option<Ended> {
        let mut open = self.0.take()?;
        open.grow(spool, camera, now, then);
        open.growing
    }
}

impl Open {
    /// Counts what is not counted yet, unless it is too short to count.
    fn grow(&mut self, spool: &Spool, camera: &CameraName, now: Began, then: Then) {
        let lost = now.at.saturating_duration_since(self.from.at);
        let tolerated = match (self.since, then) {
            (_, Then::Footage) if self.goes_on => Duration::ZERO,
            (Since::Recording, Then::Footage) => Duration::ZERO,
            (Since::Recording, Then::Stop) => STOP_TIME,
            (Since::Start, _) if self.goes_on => STOP_TIME,
            (Since::Start, _) => START_TIME,
        };
        if self.growing.is_none() && lost <= tolerated {
            return;
        }
        let lost_ms = u64::try_from(lost.as_millis()).unwrap_or(u64::MAX);
        let counted_ms = self.growing.as_ref().map_or(0, |growing| growing.lost_ms);
        let Some(more_ms) = lost_ms.checked_sub(counted_ms).filter(|more| *more > 0) else { return };
        let after = |ms| self.from.wall.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX));
        let report = LossReport {
            camera: camera.clone(),
            recording: None,
            from: after(counted_ms),
            to: after(lost_ms),
            lost_ms: more_ms,
            bytes: 0,
            cause: LossCause::Camera,
        };
        match &mut self.growing {
            Some(growing) => {
                growing.lost_ms = lost_ms;
                spool.extend_loss(&growing.id, &report);
            }
            None => {
                let id = spool.begin_loss(report);
                self.growing = Some(Ended { id, lost_ms, cause: LossCause::Camera });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use dashvault_base::WallMs;
    use dashvault_disk::OsDisk;
    use dashvault_media::SigningKey;
    use dashvault_spool::SpoolConfig;

    use super::*;

    struct Rig {
        _folder: tempfile::TempDir,
        spool: Spool,
        camera: CameraName,
        began: Began,
        downtime: Downtime,
    }

    impl Rig {
        fn new(since: Since) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let key = SigningKey::from_seed([1; 32]);
            let device = "bus-7".parse().unwrap();
            let config = SpoolConfig::default();
            let (spool, _) = Spool::open(Arc::new(OsDisk), folder.path(), device, key, config).unwrap();
            let camera = "front".parse().unwrap();
            // Its folders are made by whoever writes it.
            drop(spool.camera(&camera).unwrap());
            let began = Began { wall: WallMs(1_000_000), at: Instant::now() };
            let mut downtime = Downtime::default();
            downtime.begin(began, since);
            Self { _folder: folder, spool, camera, began, downtime }
        }

        /// The wall clock was set meanwhile, which changes nothing.
        fn after(&self, seconds: u64) -> Began {
            Began { wall: WallMs(5), at: self.began.at + Duration::from_secs(seconds) }
        }

        fn look(&mut self, seconds: u64) -> Option<u64> {
            let now = self.after(seconds);
            let ended = self.downtime.look(&self.spool, &self.camera, now)?;
            self.spool.end_loss(&self.camera, &ended.id).unwrap();
            Some(ended.lost_ms)
        }

        fn end(&mut self, seconds: u64, then: Then) -> Option<u64> {
            let now = self.after(seconds);
            let ended = self.downtime.end(&self.spool, &self.camera, now, then)?;
            self.spool.end_loss(&self.camera, &ended.id).unwrap();
            Some(ended.lost_ms)
        }

        fn growing(&self) -> Vec<(i64, i64, u64)> {
            let losses = self.spool.growing_losses();
            losses.iter().map(|loss| (loss.from.0, loss.to.0, loss.lost_ms)).collect()
        }

        fn listed(&self) -> Vec<(i64, i64, u64)> {
            self.spool.losses().iter().map(|loss| (loss.from.0, loss.to.0, loss.lost_ms)).collect()
        }
    }

    #[test]
    fn camera_that_gives_nothing_is_seen_to_lose_while_it_lasts() {
        let mut rig = Rig::new(Since::Recording);
        assert_eq!(rig.look(1), None);
        assert_eq!(rig.growing(), [], "it may just have been stopped");
        for seconds in [2, 4] {
            assert_eq!(rig.look(seconds), None);
            let ms = seconds * 1000;
            assert_eq!(rig.growing(), [(1_000_000, 1_000_000 + i64::try_from(ms).unwrap(), ms)]);
            assert_eq!(rig.listed(), [], "it is not announced while it grows");
        }
        assert_eq!(rig.end(5, Then::Footage), Some(5000));
        assert_eq!((rig.growing(), rig.listed()), (vec![], vec![(1_000_000, 1_005_000, 5000)]));
    }

    #[test]
    fn long_downtime_is_told_by_the_minute_and_adds_up() {
        let mut rig = Rig::new(Since::Start);
        assert_eq!(rig.look(9), None);
        assert_eq!(rig.growing(), [], "cameras take their time to start");
        let told: Vec<u64> = (10..=130).step_by(2).filter_map(|seconds| rig.look(seconds)).collect();
        assert_eq!(told, [60_000, 60_000]);
        assert_eq!(rig.end(131, Then::Footage), Some(11_000));
        let listed = rig.listed();
        assert_eq!(listed.iter().map(|(_, _, ms)| ms).sum::<u64>(), 131_000);
        assert!(listed.windows(2).all(|pair| pair[0].1 == pair[1].0), "one follows the other: {listed:?}");
    }

    #[test]
    fn gap_between_two_recordings_counts_to_the_millisecond_and_a_start_does_not() {
        let mut rig = Rig::new(Since::Recording);
        let soon = Began { at: rig.began.at + Duration::from_millis(40), ..rig.began };
        let ended = rig.downtime.end(&rig.spool, &rig.camera, soon, Then::Footage).unwrap();
        assert_eq!((ended.lost_ms, ended.cause), (40, LossCause::Camera));
        assert_eq!(Rig::new(Since::Start).end(10, Then::Footage), None);
        assert_eq!(Rig::new(Since::Start).end(11, Then::Footage), Some(11_000));
        assert_eq!(Rig::new(Since::Recording).end(1, Then::Stop), None);
        assert_eq!(Rig::new(Since::Recording).end(2, Then::Stop), Some(2000));
    }
}
