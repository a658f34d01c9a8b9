//! The announcer: asks the vault round by round, and acts on its replies.
//!
//! Belongs here: the driver of [`Book`](super::Book)'s rounds: trailers and manifests read from the spool, the request,
//! receipts kept. Not here: what a round says or a reply means (`rounds`).
//!
//! It is also what finds out whether the vault is there: uploads wait while it fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashvault_base::{Clock, DeviceId, SystemClock};
use dashvault_spool::{Loss, SpoolError};
use dashvault_wire::event::MAX_EVENTS;
use dashvault_wire::{
    AnnounceReply, AnnounceRequest, DeviceStatus, EventNotice, PackAnnounce, PackReply, PackStatus, Problem,
    RequestedPack, announce, paths,
};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};

use super::body::Outgoing;
use super::entry::{PackKey, SealedFact};
use super::http::{Answer, Client, HttpError};
use super::kept::{forget_loss, keep, loss_notice, take_back};
use super::rounds::{Believer, Consequence, Round};
use crate::camera::with_sources;
use crate::reach::{Side, jittered};
use crate::shared::{Shared, lock};
use crate::telling::Told;
use crate::{confirm, events};

/// A round without progress for this long has failed.
const SILENCE: Duration = Duration::from_secs(5);
/// The longest pause while the vault does not answer: a connection attempt costs 60 bytes.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// The pause after the vault refused us: that does not pass by itself.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);
/// The least and the most a round may take, in bytes: less where connections die young.
const BUDGET: std::ops::RangeInclusive<usize> = 2 << 10..=256 << 10;
/// How often a loss or an event is told that the vault does not acknowledge.
const REPEAT: Duration = Duration::from_secs(10);
/// Packs of earlier runs whose manifests are read at a time.
const MANIFESTS_AT_ONCE: usize = 8;

/// Announces for ever.
pub(crate) async fn run(mut announcer: Announcer) {
    let shared = Arc::clone(&announcer.shared);
    loop {
        announcer.wait().await;
        if let Err(failure) = announcer.round().await {
            announcer.failed(&failure);
            let pause = match failure {
                Failure::Http(_) => MAX_PAUSE.min(Duration::from_millis(200) * announcer.failures),
                Failure::Status { .. } | Failure::Reply(_) | Failure::OtherDevice(_) => REFUSED_PAUSE,
                Failure::Busy { after, .. } => after,
            };
            shared.reach.pause(jittered(pause)).await;
        }
    }
}

/// See the module.
pub(crate) struct Announcer {
    shared: Arc<Shared>,
    believer: Believer,
    client: Client,
    budget: usize,
    failures: u32,
    losses_told: Option<Instant>,
    events_told: Option<Instant>,
    status_told: Told,
    /// The vault has said in this run that it takes the recorder for its device.
    confirmed: bool,
}

/// What an announcement says beside packs.
#[derive(Debug, Default)]
struct Aside {
    losses: Vec<Loss>,
    events: Vec<EventNotice>,
    status: Option<DeviceStatus>,
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("vault answered {status}: {detail}")]
    Status { status: StatusCode, detail: String },
    #[error("vault is busy: {detail}")]
    Busy { after: Duration, detail: String },
    #[error("vault's reply is not understood: {0}")]
    Reply(String),
    #[error("the token is that of device {0}")]
    OtherDevice(DeviceId),
}

impl Announcer {
    pub(crate) fn new(shared: &Arc<Shared>, believer: Believer, client: Client) -> Self {
        Self {
            shared: Arc::clone(shared),
            believer,
            client,
            budget: 32 << 10,
            failures: 0,
            losses_told: None,
            events_told: None,
            status_told: Told::default(),
            confirmed: false,
        }
    }

    /// Waits until something is to be said.
    async fn wait(&self) {
        loop {
            let news = self.shared.book_news.notified();
            let now = Instant::now();
            let (due, unread) = {
                let book = self.shared.book();
                (book.next_due(now), !book.unread(1).is_empty())
            };
            let until = [due, self.losses_due(now), self.events_due(now)].into_iter().flatten();
            let until = until.fold(self.status_told.due(now, &self.shared.device_status()), Instant::min);
            if !self.shared.reach.http_up() || unread || until <= now {
                return;
            }
            tokio::select! {
                () = news => {}
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
    }

    fn losses_due(&self, now: Instant) -> Option<Instant> {
        let any = !self.shared.losses().is_empty();
        any.then(|| self.losses_told.map_or(now, |told| told + REPEAT))
    }

    fn events_due(&self, now: Instant) -> Option<Instant> {
        let any = !lock(&self.shared.events).is_empty();
        any.then(|| self.events_told.map_or(now, |told| told + REPEAT))
    }

    /// What is to be said now beside packs; `alone`: nothing else is to be said.
    fn aside(&self, now: Instant, alone: bool) -> Aside {
        let mut aside = Aside::default();
        if self.losses_due(now).is_some_and(|at| at <= now) {
            aside.losses = self.shared.losses();
            aside.losses.truncate(announce::MAX_LOSSES);
        }
        if self.events_due(now).is_some_and(|at| at <= now) {
            aside.events = lock(&self.shared.events).iter().take(MAX_EVENTS).cloned().collect();
        }
        let status = self.shared.device_status();
        let alone = alone && aside.losses.is_empty() && aside.events.is_empty();
        let told = &self.status_told;
        if if alone { told.due(now, &status) <= now } else { told.may_ride(now) } {
            aside.status = Some(status);
        }
        aside
    }

    async fn round(&mut self) -> Result<(), Failure> {
        self.read_manifests().await;
        let now = Instant::now();
        let round = self.shared.book().compose(now, self.budget);
        let aside = self.aside(now, round.is_none());
        // While the vault does not answer, an empty announcement finds out when it does.
        if round.is_none() && aside.is_empty() && self.shared.reach.http_up() {
            return Ok(());
        }
        let round = round.unwrap_or(Round { asked: now, packs: Vec::new() });
        match self.exchange(&round, &aside).await {
            Ok(reply) => {
                self.succeeded();
                self.told(now, &aside);
                self.act(&round, reply, aside).await;
                Ok(())
            }
            Err(failure) => {
                self.shared.book().round_failed(Instant::now(), &round);
                Err(failure)
            }
        }
    }

    fn told(&mut self, now: Instant, aside: &Aside) {
        if !aside.losses.is_empty() {
            self.losses_told = Some(now);
        }
        if !aside.events.is_empty() {
            self.events_told = Some(now);
        }
        if let Some(status) = &aside.status {
            self.status_told.was_told(now, status.clone());
        }
    }

    /// Reads what is to be known of packs of earlier runs before they can be announced.
    async fn read_manifests(&self) {
        let unread = self.shared.book().unread(MANIFESTS_AT_ONCE);
        if unread.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            for key in unread {
                let camera = &shared.cameras[key.camera].name;
                let bytes = shared.spool.pack(camera, key.pack).map(|info| info.bytes);
                let read = bytes.map(|bytes| Ok((shared.spool.manifest(camera, key.pack)?, bytes)));
                match read {
                    Some(Ok((signed, bytes))) => {
                        shared.book().sealed(key, SealedFact::of(signed.manifest(), bytes));
                    }
                    None | Some(Err(SpoolError::NoSuchPack { .. })) => shared.book().gone(key),
                    Some(Err(error)) => shared.book().unreadable(Instant::now(), key, with_sources(&error)),
                }
            }
        })
        .await;
    }

    async fn exchange(&mut self, round: &Round, aside: &Aside) -> Result<AnnounceReply, Failure> {
        let request = self.request(round, aside).await;
        let body =
            serde_json::to_vec(&request).expect("an announcement has no map with keys that are no strings");
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let answer = self
            .client
            .ask(Method::POST, paths::ANNOUNCE, &headers, Outgoing::Whole(body.into()), SILENCE)
            .await?;
        if !answer.status.is_success() {
            return Err(status_failure(&answer));
        }
        let reply: AnnounceReply =
            serde_json::from_slice(&answer.body).map_err(|error| Failure::Reply(error.to_string()))?;
        if reply.protocol != paths::PROTOCOL {
            return Err(Failure::Reply(format!(
                "it speaks protocol {}; update this recorder",
                reply.protocol
            )));
        }
        match reply.device {
            Some(device) if device != *self.shared.device() => Err(Failure::OtherDevice(device)),
            _ => Ok(reply),
        }
    }

    async fn request(&self, round: &Round, aside: &Aside) -> AnnounceRequest {
        let with_trailer = round.packs.iter().filter(|news| news.trailer).map(|news| news.key).collect();
        let mut trailers = self.read_trailers(with_trailer).await;
        let mut packs = Vec::with_capacity(round.packs.len());
        for news in &round.packs {
            let trailer =
                trailers.iter().position(|(key, _)| *key == news.key).map(|at| trailers.swap_remove(at).1);
            if news.trailer && trailer.is_none() {
                continue;
            }
            packs.push(PackAnnounce {
                camera: self.shared.cameras[news.key.camera].name.clone(),
                pack: news.key.pack,
                start_wall: news.start_wall,
                first: news.first,
                segments: news.segments.clone(),
                trailer,
            });
        }
        let losses = aside.losses.iter().map(loss_notice).collect();
        let (events, status) = (aside.events.clone(), aside.status.clone());
        AnnounceRequest { protocol: paths::PROTOCOL, packs, losses, events, status }
    }

    /// The trailers of sealed packs as they stand in their files; a pack that is gone has none.
    async fn read_trailers(&self, keys: Vec<PackKey>) -> Vec<(PackKey, Vec<u8>)> {
        if keys.is_empty() {
            return Vec::new();
        }
        let shared = Arc::clone(&self.shared);
        let read = move || {
            let read_one = |key: PackKey| {
                let fact = shared.book().sealed_fact(key)?;
                let camera = &shared.cameras[key.camera].name;
                let len = usize::try_from(fact.bytes.checked_sub(fact.body_bytes)?).ok()?;
                let mut trailer = vec![0; len.min(dashvault_media::MAX_TRAILER_BYTES)];
                let reader = shared.spool.reader(camera, key.pack);
                let read = reader.and_then(|reader| Ok(reader.read_exact_at(&mut trailer, fact.body_bytes)?));
                match read {
                    Ok(()) => Some((key, trailer)),
                    Err(SpoolError::NoSuchPack { .. }) => {
                        shared.book().gone(key);
                        None
                    }
                    Err(error) => {
                        shared.book().unreadable(Instant::now(), key, with_sources(&error));
                        None
                    }
                }
            };
            keys.into_iter().filter_map(read_one).collect()
        };
        blocking(read).await.unwrap_or_default()
    }

    async fn act(&mut self, round: &Round, mut reply: AnnounceReply, aside: Aside) {
        let (told, known) = (std::mem::take(&mut reply.losses), std::mem::take(&mut reply.events));
        let missing = std::mem::take(&mut reply.missing);
        let confirmed = reply.device.is_some();
        reply.packs.iter().for_each(log_wants);
        self.note_requested(&reply.requested);
        let consequences = self.shared.book().take_reply(Instant::now(), round, reply, &self.believer);
        self.shared.jobs.notify_waiters();
        let mut receipts = Vec::new();
        for consequence in consequences {
            match consequence {
                Consequence::Keep(key, receipt) => receipts.push((key, *receipt)),
                Consequence::NotBelieved(key, error) => {
                    let why =
                        error.map_or_else(|| "the pack is not sealed".to_owned(), |error| error.to_string());
                    tracing::warn!(pack = %key.pack, why, "receipt is not believed");
                    lock(&self.shared.vault).receipts_refused += 1;
                }
            }
        }
        let acknowledged: Vec<Loss> =
            aside.losses.into_iter().filter(|loss| told.contains(&loss.id)).collect();
        let known: Vec<String> =
            aside.events.into_iter().map(|event| event.id).filter(|id| known.contains(id)).collect();
        let confirms = confirmed && !std::mem::replace(&mut self.confirmed, confirmed);
        if receipts.is_empty()
            && acknowledged.is_empty()
            && known.is_empty()
            && missing.is_empty()
            && !confirms
        {
            return;
        }
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            receipts.into_iter().for_each(|(key, receipt)| keep(&shared, key, &receipt));
            acknowledged.iter().for_each(|loss| forget_loss(&shared, loss));
            known.iter().for_each(|id| events::forget_event(&shared, id));
            missing.iter().for_each(|lost| take_back(&shared, lost));
            if confirms {
                confirm::note(&shared.config);
            }
        })
        .await;
        // Who waits for the backlog's end looks again.
        self.shared.jobs.notify_waiters();
    }

    fn note_requested(&self, requested: &[RequestedPack]) {
        let now = Instant::now();
        for wanted in requested.iter().take(announce::MAX_REQUESTED) {
            let Some(camera) = self.shared.camera_index(&wanted.camera) else { continue };
            self.shared.book().requested(now, PackKey { camera, pack: wanted.pack });
        }
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.budget = (self.budget * 2).min(*BUDGET.end());
        self.shared.reach.succeeded(Side::Http);
        let mut vault = lock(&self.shared.vault);
        vault.reachable = true;
        vault.announcements += 1;
        vault.last_success = Some(SystemClock.wall());
        (vault.last_error, vault.denied) = (None, None);
    }

    fn failed(&mut self, failure: &Failure) {
        self.failures = self.failures.saturating_add(1);
        self.budget = (self.budget / 2).max(*BUDGET.start());
        self.shared.reach.failed(Side::Http);
        tracing::debug!(error = %with_sources(failure), "announcement failed");
        let said = format!("{}; {}", with_sources(failure), failure.advice());
        let mut vault = lock(&self.shared.vault);
        // Networks come and go; a vault that answers "no" is something to look at.
        if !matches!(failure, Failure::Http(_)) && vault.last_error.as_ref() != Some(&said) {
            tracing::warn!(said, "vault refuses the announcement");
        }
        vault.reachable = false;
        vault.denied = failure.is_denial().then(|| with_sources(failure));
        vault.last_error = Some(said);
        drop(vault);
        // Who waits for the backlog's end looks whether there is any hope.
        self.shared.jobs.notify_waiters();
    }
}

impl Aside {
    fn is_empty(&self) -> bool {
        self.losses.is_empty() && self.events.is_empty() && self.status.is_none()
    }
}

impl Failure {
    /// The vault does not take this device at all: waiting changes nothing.
    fn is_denial(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 401 | 403),
            Self::OtherDevice(_) => true,
            Self::Http(_) | Self::Busy { .. } | Self::Reply(_) => false,
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Http(HttpError::Connect { .. }) => {
                "check that the vault runs and that the network reaches it"
            }
            Self::Http(_) => "it is tried again",
            Self::OtherDevice(_) => "check --device and --token: `dashvault device add` prints both",
            Self::Status { .. } if self.is_denial() => {
                "check the device and its token with `dashvault device list`"
            }
            Self::Status { status, .. } if status.as_u16() == 404 => {
                "check that --vault is a vault's address"
            }
            Self::Status { .. } => "see the vault's log",
            Self::Busy { .. } => "it is tried again",
            Self::Reply(_) => "check that --vault is a vault's address and that both are up to date",
        }
    }
}

fn log_wants(reply: &PackReply) {
    if let PackStatus::Assembling { known, want, requested } = &reply.status {
        let bytes: u64 = want.iter().map(|range| range.len()).sum();
        tracing::debug!(camera = %reply.camera, pack = %reply.pack, known, bytes, requested, "vault wants");
    }
}

fn status_failure(answer: &Answer) -> Failure {
    let detail = detail_of(answer);
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Failure::Busy { after: retry_after(answer), detail }
        }
        status if status.is_server_error() => Failure::Busy { after: Duration::from_secs(1), detail },
        status => Failure::Status { status, detail },
    }
}

/// What the vault says went wrong.
pub(super) fn detail_of(answer: &Answer) -> String {
    match serde_json::from_slice::<Problem>(&answer.body) {
        Ok(problem) if problem.detail.is_empty() => problem.title.chars().take(300).collect(),
        Ok(problem) => format!("{}: {}", problem.title, problem.detail).chars().take(300).collect(),
        Err(_) => String::from_utf8_lossy(&answer.body).chars().take(120).collect(),
    }
}

/// How long the vault asks us to wait.
pub(super) fn retry_after(answer: &Answer) -> Duration {
    let seconds =
        answer.headers.get(hyper::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1).clamp(1, 60))
}

/// Runs disk work where it holds nobody up; `None` if it panicked.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::error!(%error, "disk work failed");
            None
        }
    }
}
