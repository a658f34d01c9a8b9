//! The end of a connection, from either side and in each state.

use std::time::Duration;

use crate::core::bench::{Application, MS, Pair, Way, payload};
use crate::core::{CallerEvent, CallerSettings, ConnectFailure, ListenerEvent, SendError};
use crate::{CloseReason, RejectCode};

fn connected() -> Pair {
    Pair::connected(&CallerSettings::default(), Application::Accepts(None))
}

fn closed(pair: &Pair) -> Vec<CloseReason> {
    let reason = |event: &ListenerEvent| match event {
        ListenerEvent::Closed { reason, .. } => Some(*reason),
        _ => None,
    };
    pair.listener_events.iter().filter_map(reason).collect()
}

#[test]
fn the_callers_close_reaches_the_listener_even_when_one_of_its_words_is_lost() {
    for lost in [None, Some(0), Some(1)] {
        let mut pair = connected();
        let sent = pair.sent[0];
        pair.fate = Box::new(move |way, n| {
            let is_lost = way == Way::Up && lost.is_some_and(|lost| n == sent + lost);
            if is_lost { vec![] } else { vec![Duration::ZERO] }
        });
        pair.caller.close(pair.now);
        pair.run(100 * MS);
        assert_eq!(pair.caller_events.last(), Some(&CallerEvent::Closed(CloseReason::Local)));
        assert_eq!(closed(&pair), [CloseReason::PeerShutdown]);
        assert_eq!(pair.listener.stats().connections, 0);
        assert!(pair.caller.is_over() && pair.caller.next_timeout().is_none());
        assert_eq!(pair.caller.send(pair.now, &payload(0)), Err(SendError::Closed));
    }
}

#[test]
fn the_listeners_close_reaches_the_caller_and_is_told_once() {
    let mut pair = connected();
    let id = pair.id();
    pair.listener.close(pair.now, id, CloseReason::SlowConsumer);
    pair.listener.close(pair.now, id, CloseReason::Local);
    pair.run(100 * MS);
    assert_eq!(closed(&pair), [CloseReason::SlowConsumer]);
    assert_eq!(pair.caller_events.last(), Some(&CallerEvent::Closed(CloseReason::PeerShutdown)));
    assert_eq!(pair.listener.send(pair.now, id, &payload(0)), Err(SendError::Closed));
}

#[test]
fn what_waits_behind_a_gap_is_delivered_before_the_peers_close() {
    let mut pair = connected();
    let sent = pair.sent[0];
    pair.fate =
        Box::new(move |way, n| if way == Way::Up && n == sent + 1 { vec![] } else { vec![Duration::ZERO] });
    for number in 0..4 {
        pair.caller.send(pair.now, &payload(number)).unwrap();
    }
    pair.step();
    pair.caller.close(pair.now);
    pair.run(100 * MS);
    assert_eq!(pair.at_listener.numbers, [0, 2, 3]);
    assert_eq!(pair.at_listener.lost, 1);
    assert_eq!(closed(&pair), [CloseReason::PeerShutdown]);
}

#[test]
fn a_close_before_the_connection_is_a_cancelled_one() {
    let mut pair = Pair::new(&CallerSettings::default(), Application::Waits);
    pair.run(60 * MS);
    pair.caller.close(pair.now);
    pair.caller.close(pair.now);
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.caller_events, [CallerEvent::Failed(ConnectFailure::Cancelled)]);
    assert_eq!(pair.listener.stats().half_open, 0, "forgotten after a while");
}

#[test]
fn a_connect_and_a_close_between_two_polls_are_both_told() {
    let mut pair = Pair::new(&CallerSettings::default(), Application::Accepts(None));
    pair.deaf = true;
    while !pair.caller.is_connected() {
        pair.step();
    }
    pair.caller.close(pair.now);
    pair.deaf = false;
    pair.run(10 * MS);
    assert_eq!(pair.caller_events.len(), 2, "{:?}", pair.caller_events);
}

#[test]
fn a_silent_peer_is_given_up_after_the_idle_time_on_both_sides() {
    let mut pair = connected();
    pair.run(Duration::from_secs(20));
    assert_eq!(closed(&pair), [], "keepalives hold a quiet connection");
    pair.fate = Box::new(|_, _| vec![]);
    pair.run(6 * Duration::from_secs(1));
    assert_eq!(closed(&pair), [CloseReason::PeerIdle]);
    assert_eq!(pair.caller_events.last(), Some(&CallerEvent::Closed(CloseReason::PeerIdle)));
}

#[test]
fn all_are_closed_and_who_waits_is_refused_when_a_listener_stops() {
    let mut pair = connected();
    pair.listener.close_all(pair.now, CloseReason::Stopped);
    pair.run(100 * MS);
    assert_eq!(closed(&pair), [CloseReason::Stopped]);
    let mut pair = Pair::new(&CallerSettings::default(), Application::Waits);
    pair.run(70 * MS);
    pair.listener.close_all(pair.now, CloseReason::Stopped);
    pair.run(100 * MS);
    assert_eq!(pair.caller_events, [CallerEvent::Rejected(RejectCode(1007))]);
}

#[test]
fn an_icmp_error_ends_an_open_connection() {
    let mut pair = connected();
    pair.caller.refused(pair.now);
    pair.step();
    assert_eq!(pair.caller_events.last(), Some(&CallerEvent::Closed(CloseReason::PeerGone)));
}
