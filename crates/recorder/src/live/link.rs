//! One camera's live connection: connecting, sending, and knowing when it is dead.
//!
//! ```text
//! Waiting ─recording─► Connecting ─► Connected ─┬─ recording over ─► linger ─► Waiting
//!     ▲                  │  ▲                   ├─ closed, or no sign of life for 2 s ─► Connecting, at once
//!     └── pause ◄─ refused  └─ no answer: again └─ no sign of life for 180 ms ─► Doubtful
//! Doubtful: nothing is sent; soon a second connection is tried. What comes first wins: a sign of life on the old one, or
//! the new one, which begins at the open segment and leaves the old one's unacknowledged rest to backfill.
//! ```
//! Belongs here: the driver of that. Not here: a connection at work (`session`), what is sent (`ring`), what arrived
//! (`ledger`), SRT, and when a connection is doubted, replaced and dialled again (`dashvault-srt`'s `line`).
//!
//! Invariants: a connection begins at a segment's start; the ledger knows of a connection exactly while there is one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashvault_base::RecordingId;
use dashvault_srt::{
    Call, CallEnd, CallerConfig, ConnectError, Dialler, Encryption, KeySize, Passphrase, VigilConfig,
};
use dashvault_wire::{Credential, StreamId};
use tokio::sync::watch;

use super::pace::UNLIMITED_BYTES_PER_S;
use super::ring::Cursor;
use super::session::{End, Session};
use crate::camera::with_sources;
use crate::reach::{Side, jittered};
use crate::shared::{CameraShared, Shared, lock};
use crate::target::SrtTarget;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const HANDSHAKE_RETRY: Duration = Duration::from_millis(200);

/// Serves one camera until `stopping` says so and its last recording is over.
pub(crate) async fn run(
    shared: Arc<Shared>,
    index: usize,
    target: SrtTarget,
    mut stopping: watch::Receiver<bool>,
) {
    let (host, port) = (target.host.clone(), target.port);
    let dialler = Dialler::new(host, port, CallerConfig::default(), VigilConfig::default());
    let mut link = Link { shared: &shared, index, target, dialler };
    loop {
        let Some(recording) = link.next_recording(&mut stopping).await else { break };
        link.set_state("connecting", None);
        match link.connect(recording).await {
            Ok(call) => link.serve(call, recording).await,
            Err(error) => link.refused(&error, &stopping).await,
        }
    }
    link.set_state("off", None);
}

/// One camera's link, connected or not.
struct Link<'a> {
    shared: &'a Arc<Shared>,
    index: usize,
    target: SrtTarget,
    dialler: Dialler,
}

impl Link<'_> {
    fn camera(&self) -> &CameraShared {
        &self.shared.cameras[self.index]
    }

    fn set_state(&self, state: &str, error: Option<String>) {
        let mut live = lock(&self.camera().live);
        state.clone_into(&mut live.state);
        if state != "connected" {
            (live.connected_ms, live.rate_bytes_per_s, live.buffered_bytes) = (0, 0, 0);
        }
        if error.is_some() {
            live.last_error = error;
        }
    }

    /// Waits for a recording; `None` when the recorder stops and none is left.
    async fn next_recording(&self, stopping: &mut watch::Receiver<bool>) -> Option<RecordingId> {
        let mut waiting = false;
        loop {
            let fresh = self.camera().fresh.notified();
            if let Some(recording) = self.camera().ring().recording() {
                return Some(recording);
            }
            if *stopping.borrow() {
                return None;
            }
            if !std::mem::replace(&mut waiting, true) {
                self.set_state("waiting", None);
            }
            tokio::select! {
                () = fresh => {}
                // An error means that the recorder is gone.
                changed = stopping.changed() => changed.ok()?,
            }
        }
    }

    async fn connect(&mut self, recording: RecordingId) -> Result<Call, ConnectError> {
        self.dialler.set_caller(self.caller_config(recording));
        self.dialler.dial().await
    }

    fn caller_config(&self, recording: RecordingId) -> CallerConfig {
        CallerConfig {
            stream_id: self.stream_id(recording),
            latency: Duration::from_millis(u64::from(self.target.latency_ms)),
            encryption: encryption(&self.target),
            connect_timeout: CONNECT_TIMEOUT,
            handshake_retry: HANDSHAKE_RETRY,
            max_buffer_bytes: self.buffer_bytes(),
            bandwidth_bytes_per_second: UNLIMITED_BYTES_PER_S,
            ..CallerConfig::default()
        }
    }

    /// The stream id given, with its placeholders filled; else the recorder's own, proved with its token.
    fn stream_id(&self, recording: RecordingId) -> String {
        let (device, camera) = (self.shared.device(), &self.camera().name);
        if let Some(given) = &self.target.stream_id {
            return given
                .replace("{device}", device.as_str())
                .replace("{camera}", camera.as_str())
                .replace("{recording}", &recording.to_string());
        }
        let (device, camera) = (device.clone(), camera.clone());
        match &self.shared.config.token {
            Some(token) => StreamId::proved(&token.live_key(), device, camera, recording),
            None => StreamId { device, camera, recording, credential: Credential::Anonymous },
        }
        .reveal()
    }

    /// Room for two seconds: what waits in SRT cannot be skipped any more.
    fn buffer_bytes(&self) -> usize {
        const LEAST: usize = 192 << 10;
        let rate = self.camera().ring().bytes_per_s();
        rate.saturating_mul(2).clamp(LEAST, 4 << 20)
    }

    async fn refused(&self, error: &ConnectError, stopping: &watch::Receiver<bool>) {
        self.shared.reach.failed(Side::Live);
        let (state, advice) = advice(error);
        let said = format!("{}; {advice}", with_sources(error));
        if state == "refused" && lock(&self.camera().live).last_error.as_ref() != Some(&said) {
            tracing::warn!(camera = %self.camera().name, said, "live is refused");
        }
        tracing::debug!(camera = %self.camera().name, %error, "no live connection");
        self.set_state(state, Some(said));
        if *stopping.borrow() {
            // Nothing more will come live; backfill has it.
            self.camera().ring().end();
            return;
        }
        self.pause().await;
    }

    async fn pause(&self) {
        self.shared.reach.pause(jittered(self.dialler.pause())).await;
    }

    /// Serves the recording over this connection, and over those that replace it.
    async fn serve(&mut self, call: Call, recording: RecordingId) {
        let mut next = Some(call);
        while let Some(call) = next.take() {
            let cursor = self.camera().ring().newest().filter(|cursor| cursor.recording == recording);
            // The recording may have ended during the handshake.
            let Some(cursor) = cursor else { return };
            self.shared.reach.succeeded(Side::Live);
            tracing::info!(camera = %self.camera().name, %recording, segment = cursor.segment, "live is connected");
            self.set_state("connected", None);
            lock(&self.camera().live).connects += 1;
            let began = Instant::now();
            let end = self.session(call, cursor, recording).await;
            if let Some(why) = end.trouble() {
                tracing::info!(camera = %self.camera().name, why, "live is disconnected");
                self.shared.reach.failed(Side::Live);
                self.set_state("connecting", Some(why));
            }
            let End::Interrupted(end) = end else { return };
            self.dialler.ended(began.elapsed(), &end);
            match end {
                CallEnd::Replaced(call) => next = Some(*call),
                // Perhaps accepted and closed at once: a vault without room. Asking it often would not help it.
                CallEnd::Closed(_) | CallEnd::Dead(_) => self.pause().await,
            }
        }
    }

    async fn session(&self, call: Call, cursor: Cursor, recording: RecordingId) -> End {
        if let Some(ledger) = self.shared.book().ledger(self.index) {
            ledger.connected(recording, cursor.segment);
        }
        let mut session = Session::new(self.shared, self.index, call, cursor);
        let end = session.send_all().await;
        session.finish(&end).await;
        self.camera().ring().released();
        if let Some(ledger) = self.shared.book().ledger(self.index) {
            ledger.disconnected();
        }
        self.shared.governor().sample(Instant::now(), self.index, None);
        end
    }
}

fn encryption(target: &SrtTarget) -> Option<Encryption> {
    let passphrase = Passphrase::new(target.passphrase.clone()?).ok()?;
    let key_size = if target.key_bytes == 32 { KeySize::Aes256 } else { KeySize::Aes128 };
    Some(Encryption { passphrase, key_size })
}

/// The state a failure leads to, and what to do about it.
fn advice(error: &ConnectError) -> (&'static str, &'static str) {
    match error {
        ConnectError::Timeout { .. } => ("connecting", "check that UDP passes to the vault's SRT port"),
        ConnectError::Refused { .. } => ("connecting", "check that the vault runs and listens at that port"),
        ConnectError::Resolve { .. } => ("connecting", "check the name and the network"),
        ConnectError::Rejected { code, .. } => match code.0 {
            1010 | 1011 | 1017 => ("refused", "check the passphrase on both sides"),
            2401 | 2403 => ("refused", "check the device and its token with `dashvault device list`"),
            2409 => ("connecting", "the vault still holds the last connection; it is tried again"),
            _ => ("refused", "see the vault's log"),
        },
        ConnectError::Crypto { .. } => ("refused", "check the passphrase on both sides"),
        ConnectError::Unsupported { .. } => ("refused", "check that the address is an SRT live listener"),
        _ => ("connecting", "it is tried again"),
    }
}
