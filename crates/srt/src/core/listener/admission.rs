//! Handshakes at a listener: who gets an answer, who becomes a request, who is let in.
//!
//! An induction costs an answer and nothing else; a conclusion with a wrong cookie costs a hash. What comes again from
//! the same address and socket is the same caller and gets the same answer.
//!
//! What does not belong here: how the packets are written and read (`handshake`).
//!
//! draft-sharabayko-srt-01 §4.3.1.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::table::{Entry, Open, Refused, State, Waiting};
use super::{AcceptFailure, EncryptionPolicy, Listener, ListenerEvent, Opened, Pending, Refusal};
use crate::RejectCode;
use crate::core::connection::{Agreed, Connection, Keys};
use crate::core::crypto::{ReceiveKeys, SendKeys};
use crate::core::handshake::answer::{self, Acceptance};
use crate::core::handshake::conclusion::Conclusion;
use crate::core::packet::{Handshake, HandshakeKind};
use crate::core::seq::{Seq, SocketId, Stamp};

/// 1003: no more connections.
const FULL: RejectCode = RejectCode(1003);
/// 2402: too many wait.
const OVERLOAD: RejectCode = RejectCode(2402);
/// 2503: nobody answered.
const UNAVAILABLE: RejectCode = RejectCode(2503);
/// A refused caller hears so again for so long.
const REFUSED_FOR: Duration = Duration::from_secs(3);
/// A connection from an address where somebody calls anew must show a sign of life within this: longer than the pause
/// between two keepalives.
const PROBATION: Duration = Duration::from_millis(1500);

impl Listener {
    /// Lets a caller in.
    ///
    /// # Errors
    /// [`AcceptFailure`].
    pub fn accept(
        &mut self,
        now: Instant,
        id: SocketId,
        keys: Option<ReceiveKeys>,
    ) -> Result<Opened, AcceptFailure> {
        let Some(Entry::Waiting(waiting)) = self.table.get_mut(id) else { return Err(AcceptFailure::Gone) };
        if waiting.conclusion.key_message.is_some() != keys.is_some() {
            self.reject(now, id, RejectCode::UNSECURE);
            return Err(AcceptFailure::Unsecure);
        }
        let (peer, cookie) = (waiting.peer, waiting.cookie);
        let (began, peer_began) = (waiting.began, waiting.peer_began);
        let conclusion = &mut waiting.conclusion;
        let (receive_latency, send_latency) = conclusion.latencies(self.settings.receive.latency);
        let (initial_seq, window) = (conclusion.initial_seq, conclusion.window);
        let agreed = Agreed {
            local: id,
            remote: conclusion.socket,
            peer,
            began,
            peer_began,
            our_seq: initial_seq,
            their_seq: initial_seq,
            peer_window: window,
            receive_latency,
            send_latency,
            peer_idle: self.settings.peer_idle,
            rtt: None,
        };
        let acceptance = Acceptance::new(
            (conclusion.socket, id),
            initial_seq,
            self.settings.receive.window_packets,
            (receive_latency, send_latency),
            conclusion.key_message.take(),
        );
        let encrypted = keys.is_some();
        let keys = keys.map(|keys| self.both_directions(keys));
        let connection = Connection::new(&agreed, &self.settings.receive, &self.settings.send, keys, now);
        let open = Open { connection, acceptance, cookie, asked: None, told: false };
        self.table.replace(id, Entry::Open(Box::new(open)));
        self.counters.accepted += 1;
        self.answer_again(now, id, peer);
        self.table.make_dirty(id);
        Ok(Opened { peer, latency: receive_latency, encrypted })
    }

    /// Refuses a caller that waits.
    pub fn reject(&mut self, now: Instant, id: SocketId, code: RejectCode) {
        let Some(Entry::Waiting(waiting)) = self.table.get_mut(id) else { return };
        let (peer, initial_seq) = (waiting.peer, waiting.conclusion.initial_seq);
        self.count_refusal(code);
        self.table.replace(id, Entry::Refused(Box::new(Refused { code, initial_seq })));
        self.table.schedule(id, now + REFUSED_FOR);
        self.answer_again(now, id, peer);
        if self.table.count(State::Refused) > self.settings.max_half_open {
            // Not remembered: should it ask again, so is the application.
            self.table.remove(id);
        }
    }

    /// Nobody has answered a request.
    pub(super) fn withdraw(&mut self, now: Instant, id: SocketId) {
        self.counters.unanswered += 1;
        if let Some(Entry::Waiting(waiting)) = self.table.get_mut(id) {
            let (peer, stream_id) = (waiting.peer, std::mem::take(&mut waiting.conclusion.stream_id));
            self.tell_refusal(now, peer, stream_id, UNAVAILABLE);
        }
        self.reject(now, id, UNAVAILABLE);
        self.events.push_back(ListenerEvent::Withdrawn { id });
    }

    /// Takes a handshake packet, for whomever it is.
    pub(super) fn handshake(
        &mut self,
        now: Instant,
        from: SocketAddr,
        stamp: Stamp,
        handshake: &Handshake<'_>,
    ) {
        match handshake.kind {
            HandshakeKind::Induction if self.inductions.take(now) => {
                let (cookie, stamp) = (self.jar.cookie(now, from), self.stamp(now));
                self.reply(from, |bytes| answer::induction(handshake, stamp, from, cookie, bytes));
            }
            HandshakeKind::Induction => self.counters.rate_limited += 1,
            HandshakeKind::Conclusion => {
                if !self.jar.is_valid(now, from, handshake.cookie) {
                    self.counters.bad_cookies += 1;
                } else if let Some(id) = self.table.find((from, handshake.socket)) {
                    self.counters.repeated_handshakes += 1;
                    self.answer_again(now, id, from);
                } else {
                    self.conclude(now, from, stamp, handshake);
                }
            }
            HandshakeKind::WaveHand
            | HandshakeKind::Agreement
            | HandshakeKind::Done
            | HandshakeKind::Rejected(_) => self.counters.stray += 1,
        }
    }

    /// A caller that has proved its address asks for the first time.
    fn conclude(&mut self, now: Instant, from: SocketAddr, stamp: Stamp, handshake: &Handshake<'_>) {
        let read = Conclusion::read(handshake).map_err(|code| (String::new(), code));
        let conclusion = match read.and_then(|conclusion| self.admit(conclusion)) {
            Ok(conclusion) => conclusion,
            Err((stream_id, code)) => {
                self.count_refusal(code);
                self.tell_refusal(now, from, stream_id, code);
                return self.refuse(from, handshake.socket, handshake.initial_seq, code);
            }
        };
        self.put_on_probation(now, from);
        let Some(id) = self.free_id() else { return };
        let since = Duration::from_micros(stamp.raw().into());
        let waiting = Waiting {
            peer: from,
            cookie: handshake.cookie,
            began: now,
            peer_began: now.checked_sub(since).unwrap_or(now),
            conclusion,
        };
        let (latency, _) = waiting.conclusion.latencies(self.settings.receive.latency);
        self.events.push_back(ListenerEvent::Requested(Pending {
            id,
            peer: from,
            stream_id: waiting.conclusion.stream_id.clone(),
            key_message: waiting.conclusion.key_message.clone(),
            latency,
        }));
        self.table.insert(id, (from, handshake.socket), Entry::Waiting(Box::new(waiting)));
        self.table.schedule(id, now + self.settings.accept_timeout);
    }

    /// The conclusion, or the stream id of one that is refused, and why.
    fn admit(&mut self, conclusion: Conclusion) -> Result<Conclusion, (String, RejectCode)> {
        let encrypts = conclusion.key_message.is_some();
        match self.settings.encryption {
            EncryptionPolicy::Required if !encrypts => {
                return Err((conclusion.stream_id, RejectCode::UNSECURE));
            }
            EncryptionPolicy::Refused if encrypts => {
                return Err((conclusion.stream_id, RejectCode::UNSECURE));
            }
            _ => {}
        }
        let (open, waiting) = (self.table.count(State::Open), self.table.count(State::Waiting));
        let full = if open + waiting >= self.settings.max_connections {
            FULL
        } else if waiting >= self.settings.max_half_open {
            OVERLOAD
        } else {
            return Ok(conclusion);
        };
        self.counters.overloaded += 1;
        Err((conclusion.stream_id, full))
    }

    /// Tells of a refusal that the application had no part in, but not of each when there are very many.
    fn tell_refusal(&mut self, now: Instant, peer: SocketAddr, stream_id: String, code: RejectCode) {
        if self.refusals.take(now) {
            let untold = std::mem::take(&mut self.untold_refusals);
            let refusal = Refusal { at: now, peer, stream_id, code, untold };
            self.events.push_back(ListenerEvent::Refused(refusal));
        } else {
            self.untold_refusals += 1;
        }
    }

    /// Who is at an address where somebody calls anew was perhaps killed.
    fn put_on_probation(&mut self, now: Instant, from: SocketAddr) {
        let there: Vec<_> = self.table.at(from).collect();
        for id in there {
            if let Some(Entry::Open(open)) = self.table.get_mut(id) {
                open.connection.expect_a_sign_until(now + PROBATION);
                self.table.schedule(id, now + PROBATION);
            }
        }
    }

    /// The answer that a caller has had, if it has had one.
    fn answer_again(&mut self, now: Instant, id: SocketId, from: SocketAddr) {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        match self.table.get(id) {
            Some(Entry::Open(open)) => {
                open.acceptance.write(open.connection.stamp(now), from, open.cookie, &mut bytes);
            }
            Some(Entry::Refused(refused)) => {
                let socket = self.table.caller(id).map_or(SocketId(0), |caller| caller.1);
                answer::rejection(socket, refused.initial_seq, from, refused.code, &mut bytes);
            }
            Some(Entry::Waiting(_) | Entry::Gone) | None => {}
        }
        self.reply(from, |out| out.extend_from_slice(&bytes));
        self.scratch = bytes;
    }

    fn refuse(&mut self, to: SocketAddr, socket: SocketId, initial_seq: Seq, code: RejectCode) {
        self.reply(to, |bytes| answer::rejection(socket, initial_seq, to, code, bytes));
    }

    fn count_refusal(&mut self, code: RejectCode) {
        self.counters.rejected += 1;
        self.counters.wrong_passphrase += u64::from(code == RejectCode::BAD_SECRET);
        self.counters.unsecure += u64::from(code == RejectCode::UNSECURE);
    }

    /// Our own direction seals with the caller's key, as libsrt does, until it has announced one of its own.
    fn both_directions(&mut self, receive: ReceiveKeys) -> Keys {
        let mut send = SendKeys::from_received(&receive, &mut self.random);
        if let Some(packets) = self.settings.send.key_refresh_packets {
            send.set_refresh(packets);
        }
        send.refresh_soon();
        Keys::new(receive, send)
    }

    /// An id of ours that nobody has; `None` when none was found, which a full table alone can bring about.
    pub(super) fn free_id(&mut self) -> Option<SocketId> {
        let count = self.settings.worker.count.max(1);
        for _ in 0..64 {
            let mut bytes = [0; 4];
            (self.random)(&mut bytes);
            let raw = (u32::from_be_bytes(bytes) & 0x3FFF_FFFF) / count * count + self.settings.worker.index;
            let id = SocketId(raw);
            if raw >= count && !self.table.contains(id) {
                return Some(id);
            }
        }
        None
    }

    fn stamp(&self, now: Instant) -> Stamp {
        let micros = now.saturating_duration_since(self.began).as_micros();
        Stamp::of_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}
