//! The supervisor's decisions on virtual time.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::backoff::BackoffConfig;
use crate::command::Command;
use crate::platform::Signal;

const SECOND: Duration = Duration::from_secs(1);

/// A machine with its own clock.
struct World {
    machine: Machine,
    now: Instant,
}

impl World {
    fn new(change: impl FnOnce(&mut Spec)) -> Self {
        let mut spec = Spec::new("test", Command::new("test"));
        spec.restart = RestartPolicy::Always;
        spec.backoff = BackoffConfig { jitter: 0.0, initial: SECOND, ..BackoffConfig::default() };
        change(&mut spec);
        Self { machine: Machine::new(&spec, 0), now: Instant::now() }
    }

    /// One that was spawned.
    fn running(change: impl FnOnce(&mut Spec)) -> Self {
        let mut world = Self::new(change);
        assert_eq!(world.actions(), [Action::Spawn]);
        assert_eq!(world.give(Input::Spawned), []);
        world
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.machine.poll_action()).collect()
    }

    fn give(&mut self, input: Input) -> Vec<Action> {
        self.machine.handle(self.now, input);
        self.actions()
    }

    /// Advances to the deadline, which must be `after` from now.
    fn at_deadline(&mut self, after: Duration) -> Vec<Action> {
        assert_eq!(self.machine.deadline(), Some(self.now + after));
        self.now += after;
        self.give(Input::Timer)
    }
}

fn attempt(signal: Signal) -> Action {
    Action::Attempt(StopAction::Signal(signal))
}

fn restarting(seconds: u64, failures: u32) -> Action {
    Action::Report(Event::Restarting { after: SECOND * u32::try_from(seconds).unwrap(), failures })
}

fn stopped(how: Stopped) -> Action {
    Action::Report(Event::Stopped(how))
}

#[test]
fn a_failing_process_is_started_again_after_growing_delays() {
    let mut world = World::running(|_| {});
    assert_eq!(world.give(Input::Exited(Exit::Code(1))), [restarting(1, 1)]);
    assert_eq!(world.at_deadline(SECOND), [Action::Spawn]);
    assert_eq!(world.give(Input::Spawned), []);
    assert_eq!(world.give(Input::Exited(Exit::Code(1))), [restarting(2, 2)]);
    assert_eq!(world.at_deadline(2 * SECOND), [Action::Spawn]);
    assert_eq!(world.give(Input::SpawnFailed), [restarting(4, 3)]);
}

#[test]
fn a_healthy_run_makes_the_next_delay_short_again() {
    let mut world = World::running(|_| {});
    world.give(Input::Exited(Exit::Code(1)));
    world.at_deadline(SECOND);
    world.give(Input::Spawned);
    world.now += 30 * SECOND;
    assert_eq!(world.give(Input::Exited(Exit::Code(1))), [restarting(1, 1)]);
}

#[test]
fn on_failure_leaves_a_success_alone_and_never_leaves_all_alone() {
    let mut world = World::running(|spec| spec.restart = RestartPolicy::OnFailure);
    assert_eq!(world.give(Input::Exited(Exit::Code(0))), [stopped(Stopped::Ended(Exit::Code(0)))]);
    let mut world = World::running(|spec| spec.restart = RestartPolicy::Never);
    assert_eq!(world.give(Input::Exited(Exit::Signal(11))), [stopped(Stopped::Ended(Exit::Signal(11)))]);
}

#[test]
fn failing_too_often_in_a_row_is_given_up() {
    let mut world = World::running(|spec| spec.give_up_after = Some(2));
    assert_eq!(world.give(Input::Exited(Exit::Code(1))), [restarting(1, 1)]);
    world.at_deadline(SECOND);
    world.give(Input::Spawned);
    assert_eq!(world.give(Input::Exited(Exit::Code(1))), [stopped(Stopped::GaveUp { failures: 2 })]);
    assert_eq!(world.machine.deadline(), None);
}

#[test]
fn silence_is_a_stall_and_beats_put_it_off() {
    let mut world = World::running(|spec| spec.stall = Some(Stall::after(4 * SECOND)));
    assert_eq!(world.at_deadline(4 * SECOND), [], "the first beat may take longer");
    assert_eq!(world.at_deadline(4 * SECOND), []);
    world.now += 3 * SECOND;
    assert_eq!(world.give(Input::Heard(world.now)), []);
    world.now += 3 * SECOND;
    assert_eq!(world.give(Input::Timer), [], "not silent long enough");
    let stalled = Action::Report(Event::Stalled { idle: 4 * SECOND });
    assert_eq!(world.at_deadline(SECOND), [stalled, attempt(Signal::Terminate)]);
    assert_eq!(world.at_deadline(SECOND), [attempt(Signal::Kill)]);
    assert_eq!(world.give(Input::Exited(Exit::Signal(9))), [restarting(1, 1)]);
}

#[test]
fn a_process_that_never_gives_a_sign_of_life_is_stopped_too() {
    let mut world = World::running(|spec| spec.stall = Some(Stall::after(4 * SECOND)));
    assert_eq!(world.at_deadline(4 * SECOND), []);
    assert_eq!(world.at_deadline(4 * SECOND), []);
    let stalled = Action::Report(Event::Stalled { idle: 12 * SECOND });
    assert_eq!(world.at_deadline(4 * SECOND), [stalled, attempt(Signal::Terminate)]);
}

/// Beats are not inputs that wake: a long allowance for the first must not hide what follows it.
#[test]
fn a_process_that_falls_silent_after_its_first_beat_is_noticed_in_time() {
    let patient = Stall { first_after: 3600 * SECOND, ..Stall::after(4 * SECOND) };
    let mut world = World::running(|spec| spec.stall = Some(patient));
    let beat = world.now + SECOND;
    world.now += 4 * SECOND;
    assert_eq!(world.machine.deadline(), Some(world.now));
    world.give(Input::Heard(beat));
    assert_eq!(world.give(Input::Timer), []);
    let stalled = Action::Report(Event::Stalled { idle: 4 * SECOND });
    assert_eq!(world.at_deadline(SECOND), [stalled, attempt(Signal::Terminate)]);
}

#[test]
fn a_stop_climbs_the_ladder_until_the_process_ends() {
    let mut world = World::running(|spec| spec.stop = StopLadder::ffmpeg());
    assert_eq!(world.give(Input::Stop), [Action::Attempt(StopAction::Write(b"q".to_vec()))]);
    assert_eq!(world.at_deadline(3 * SECOND), [attempt(Signal::Interrupt)]);
    let clean = Stopped::Asked { exit: Some(Exit::Code(255)), clean: true };
    assert_eq!(world.give(Input::Exited(Exit::Code(255))), [stopped(clean)]);
    assert_eq!(world.machine.phase(), Phase::Stopped);
}

#[test]
fn a_rung_that_cannot_be_done_is_skipped_at_once() {
    let mut world = World::running(|spec| spec.stop = StopLadder::ffmpeg());
    world.give(Input::Stop);
    assert_eq!(world.give(Input::AttemptFailed), [attempt(Signal::Interrupt)]);
}

#[test]
fn a_process_that_survives_sigkill_is_abandoned() {
    let mut world = World::running(|spec| spec.stop = StopLadder::kill());
    assert_eq!(world.give(Input::Stop), [attempt(Signal::Kill)]);
    assert_eq!(world.at_deadline(5 * SECOND), [stopped(Stopped::Abandoned)]);
}

#[test]
fn a_stalled_process_that_survives_sigkill_is_waited_for_until_a_stop_is_asked_for() {
    let mut world = World::running(|spec| spec.stall = Some(Stall::after(SECOND)));
    world.now += 3 * SECOND;
    world.give(Input::Timer);
    assert_eq!(world.at_deadline(SECOND), [attempt(Signal::Kill)]);
    assert_eq!(world.at_deadline(5 * SECOND), []);
    assert_eq!(world.machine.deadline(), None);
    assert_eq!(world.give(Input::Stop), [stopped(Stopped::Abandoned)]);
}

#[test]
fn a_stop_between_runs_ends_the_wait() {
    let mut world = World::running(|_| {});
    world.give(Input::Exited(Exit::Code(1)));
    assert_eq!(world.give(Input::Stop), [stopped(Stopped::Asked { exit: None, clean: true })]);
}

#[test]
fn a_stop_during_a_stall_wins_over_the_restart() {
    let mut world = World::running(|spec| spec.stall = Some(Stall::after(SECOND)));
    world.now += 3 * SECOND;
    world.give(Input::Timer);
    assert_eq!(world.give(Input::Stop), []);
    let killed = Stopped::Asked { exit: Some(Exit::Signal(9)), clean: false };
    assert_eq!(world.give(Input::Exited(Exit::Signal(9))), [stopped(killed)]);
}

#[test]
fn a_restart_stops_politely_and_starts_without_a_delay() {
    let mut world = World::running(|_| {});
    assert_eq!(world.give(Input::Restart), [attempt(Signal::Interrupt)]);
    assert_eq!(world.give(Input::Exited(Exit::Signal(2))), [Action::Spawn]);
    world.give(Input::Spawned);
    world.give(Input::Exited(Exit::Code(1)));
    assert_eq!(world.give(Input::Restart), [Action::Spawn], "it ends a wait too");
}

proptest! {
    /// Whatever happens in whatever order: never two processes at once, and nothing after the end.
    #[test]
    fn one_process_at_a_time_and_nothing_after_the_end(steps in prop::collection::vec((0u8..9, 0u64..20), 0..200)) {
        let mut world = World::new(|spec| {
            spec.stall = Some(Stall::after(5 * SECOND));
            spec.give_up_after = Some(20);
        });
        let (mut spawning, mut alive, mut ended) = (false, false, false);
        for (step, seconds) in steps {
            for action in world.actions() {
                prop_assert!(!ended);
                match action {
                    Action::Spawn => {
                        prop_assert!(!alive && !spawning);
                        spawning = true;
                    }
                    Action::Attempt(_) => prop_assert!(alive),
                    Action::Report(Event::Stopped(how)) => {
                        ended = true;
                        prop_assert!(!alive || how == Stopped::Abandoned);
                    }
                    Action::Report(_) => {}
                }
            }
            world.now += Duration::from_secs(seconds);
            let input = match step {
                0 if spawning => Input::Spawned,
                1 if spawning => Input::SpawnFailed,
                2 if alive => Input::Exited(Exit::Code(i32::try_from(seconds % 2).unwrap())),
                3 if alive => Input::AttemptFailed,
                4 => Input::Heard(world.now),
                5 => Input::Stop,
                6 => Input::Restart,
                _ => Input::Timer,
            };
            match input {
                Input::Spawned => (spawning, alive) = (false, true),
                Input::SpawnFailed => spawning = false,
                Input::Exited(_) => alive = false,
                _ => {}
            }
            world.machine.handle(world.now, input);
        }
    }
}
