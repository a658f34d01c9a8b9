//! Both lanes behind one lock, and the hand-over of what has arrived to its socket or stream.
//!
//! Whoever offers something also hands over what is due by then; the timer task does it in quiet moments. The
//! hand-over happens under the lock, so that nothing overtakes: sends do not block (a full socket buffer drops a
//! datagram; a stream's channel holds at most its window).

use std::{
    collections::HashMap,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use super::{
    conditions::{Conditions, Direction, Mode},
    lane::{FlowId, Lane},
    tally::Tallies,
};

const MAX_RELINKS: usize = 10_000;

/// What travels through a lane.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Datagram { through: Arc<UdpSocket>, to: Option<SocketAddr>, payload: Bytes },
    Stream { into: mpsc::UnboundedSender<StreamItem>, data: StreamItem },
}

/// A piece of a byte stream, or its end.
#[derive(Debug, Clone)]
pub(super) enum StreamItem {
    Data(Bytes),
    End,
}

/// The mode, and how often it has been a black hole: one that is over before anybody looked has happened too.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Now {
    pub(super) mode: Mode,
    pub(super) black_holes: u64,
}

#[derive(Debug)]
pub(super) struct Carrier {
    state: Mutex<State>,
    /// The timer has to look again.
    earlier: Notify,
    /// Streams that wait for room look again.
    room: Notify,
    mode: watch::Sender<Now>,
    /// Counts every change of the conditions.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    conditions: Conditions,
    lanes: [Lane<Item>; 2],
    timer_set_for: Option<Instant>,
    relinks: Vec<Instant>,
    rebinds: u64,
    flows: HashMap<FlowId, Arc<Notify>>,
    next_flow: u64,
}

impl Carrier {
    pub(super) fn new(now: Instant, seed: u64) -> Self {
        let state = State {
            conditions: Conditions::perfect(),
            lanes: [Lane::new(now, seed), Lane::new(now, !seed)],
            timer_set_for: None,
            relinks: Vec::new(),
            rebinds: 0,
            flows: HashMap::new(),
            next_flow: 0,
        };
        Self {
            state: Mutex::new(state),
            earlier: Notify::new(),
            room: Notify::new(),
            mode: watch::channel(Now::default()).0,
            changes: watch::channel(0).0,
        }
    }

    pub(super) fn set(&self, now: Instant, conditions: Conditions) {
        let mut state = self.lock();
        let (was_up, is_up) = (state.conditions.is_up(), conditions.is_up());
        for direction in Direction::BOTH {
            let lane = &mut state.lanes[direction.index()];
            if !is_up {
                lane.stop(now);
            }
            lane.reshape(now, *conditions.way(direction), conditions.round_trip());
            if is_up {
                lane.resume(now);
            }
        }
        if is_up && !was_up && state.relinks.len() < MAX_RELINKS {
            state.relinks.push(now);
        }
        if conditions.mode == Mode::Cut {
            state.flows.values().for_each(|reset| reset.notify_one());
        }
        // Under the lock, so that two changes cannot be announced in the wrong order.
        self.mode.send_modify(|now| {
            now.mode = conditions.mode;
            now.black_holes += u64::from(conditions.mode == Mode::BlackHole);
        });
        state.conditions = conditions;
        self.changes.send_modify(|changes| *changes += 1);
        self.after(state, now);
        self.room.notify_waiters();
    }

    pub(super) fn conditions(&self) -> Conditions {
        self.lock().conditions.clone()
    }

    pub(super) fn mode(&self) -> watch::Receiver<Now> {
        self.mode.subscribe()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn tallies(&self) -> Tallies {
        let state = self.lock();
        Tallies { to_vault: state.lanes[0].tally(), to_vehicle: state.lanes[1].tally() }
    }

    pub(super) fn relinks(&self) -> Vec<Instant> {
        self.lock().relinks.clone()
    }

    pub(super) fn rebind(&self) {
        self.lock().rebinds += 1;
    }

    /// How often source addresses have changed; a UDP mapping of an earlier count is void.
    pub(super) fn rebinds(&self) -> u64 {
        self.lock().rebinds
    }

    pub(super) fn offer_datagram(&self, direction: Direction, bytes: usize, item: Item) {
        let mut state = self.lock();
        let now = Instant::now();
        state.lanes[direction.index()].offer_datagram(now, bytes as u64, item);
        self.after(state, now);
    }

    /// Registers a TCP connection; the notification is its reset.
    pub(super) fn open_flow(&self) -> (FlowId, Arc<Notify>) {
        let mut state = self.lock();
        let id = FlowId(state.next_flow);
        state.next_flow += 1;
        let reset = Arc::new(Notify::new());
        state.flows.insert(id, Arc::clone(&reset));
        if state.conditions.mode == Mode::Cut {
            reset.notify_one();
        }
        (id, reset)
    }

    pub(super) fn close_flow(&self, id: FlowId) {
        let mut state = self.lock();
        state.flows.remove(&id);
        state.lanes.iter_mut().for_each(|lane| lane.close_flow(id));
    }

    /// Waits until the stream may send, and says how many bytes.
    pub(super) async fn stream_room(&self, direction: Direction, id: FlowId) -> usize {
        loop {
            let changed = self.room.notified();
            tokio::pin!(changed);
            // Registered before looking, so that nothing that happens in between is missed.
            changed.as_mut().enable();
            let room = self.lock().lanes[direction.index()].stream_room(Instant::now(), id);
            if room > 0 {
                return usize::try_from(room).unwrap_or(usize::MAX);
            }
            changed.await;
        }
    }

    pub(super) fn offer_stream(&self, direction: Direction, id: FlowId, bytes: usize, item: Item) {
        let mut state = self.lock();
        let now = Instant::now();
        state.lanes[direction.index()].offer_stream(now, id, bytes as u64, item);
        self.after(state, now);
    }

    /// The stream's receiver has been given these bytes.
    pub(super) fn landed(&self, direction: Direction, id: FlowId, bytes: usize) {
        self.lock().lanes[direction.index()].landed(id, bytes as u64);
        self.room.notify_waiters();
    }

    /// Hands over what is due and sets the timer.
    fn after(&self, mut state: MutexGuard<'_, State>, now: Instant) {
        let arrived = state.hand_over(now);
        let wakeup = state.wakeup();
        let earlier = wakeup.is_some_and(|wakeup| state.timer_set_for.is_none_or(|set| wakeup < set));
        if earlier {
            state.timer_set_for = wakeup;
        }
        drop(state);
        if arrived {
            self.room.notify_waiters();
        }
        if earlier {
            self.earlier.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hand_over(&mut self, now: Instant) -> bool {
        let mut arrived = false;
        for lane in &mut self.lanes {
            while let Some(item) = lane.poll(now) {
                arrived = true;
                deliver(item);
            }
        }
        arrived
    }

    fn wakeup(&self) -> Option<Instant> {
        self.lanes.iter().filter_map(Lane::wakeup).min()
    }
}

fn deliver(item: Item) {
    match item {
        // A receiver that is not there, or has no room, loses the datagram as on any network.
        Item::Datagram { through, to: Some(to), payload } => drop(through.send_to(&payload, to)),
        Item::Datagram { through, to: None, payload } => drop(through.send(&payload)),
        // The connection is gone; its flow is about to be closed.
        Item::Stream { into, data } => drop(into.send(data)),
    }
}

/// Hands over what becomes due while nobody offers anything.
pub(super) async fn keep_time(carrier: Arc<Carrier>) {
    const IDLE: Duration = Duration::from_secs(3600);
    loop {
        let now = Instant::now();
        let (arrived, wakeup) = {
            let mut state = carrier.lock();
            let arrived = state.hand_over(now);
            state.timer_set_for = state.wakeup();
            (arrived, state.timer_set_for)
        };
        // The queue may have moved although nothing has arrived yet.
        if arrived || wakeup.is_some() {
            carrier.room.notify_waiters();
        }
        let wakeup = wakeup.unwrap_or(now + IDLE);
        tokio::select! {
            () = tokio::time::sleep_until(wakeup.into()) => {}
            () = carrier.earlier.notified() => {}
        }
    }
}
