//! HTTP/1.1 to the vault: one kept connection a client, watched for progress, every byte counted.
//!
//! Belongs here: connecting, one request at a time, and what went wrong. Not here: what is asked (`announcer`, `upload`).
//!
//! Invariants: a request without progress for its limit fails, and its connection with it; a connection that saw a
//! failure is never used again; nothing is retried here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::body::Outgoing;
use super::counted::Counted;
use crate::shared::{Shared, WireCounters};
use crate::target::VaultUrl;

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// What the kernel may hold of what we sent: more would be sent past the governor.
const SEND_BUFFER_BYTES: u32 = 256 << 10;
/// Sent and not acknowledged for so long: the connection is dead (RFC 5482).
const USER_TIMEOUT_MS: u32 = 4000;
/// After the link came back, a request that stood still for so long stood in the old one.
const STALE_AFTER: Duration = Duration::from_millis(1500);

/// Which account a client's bytes go to.
pub(super) type Account = fn(&WireCounters) -> &AtomicU64;

/// One connection's worth of client.
pub(super) struct Client {
    shared: Arc<Shared>,
    url: VaultUrl,
    host: HeaderValue,
    authorization: HeaderValue,
    account: Account,
    connection: Option<Connection>,
    address: Option<SocketAddr>,
    connect_failures: u32,
}

struct Connection {
    sender: SendRequest<Outgoing>,
    driver: JoinHandle<()>,
    progress: Arc<Progress>,
}

/// When bytes last moved, in either direction.
#[derive(Debug)]
pub(super) struct Progress {
    since: Instant,
    last_ms: AtomicU64,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// No connection.
    #[error("cannot connect to {authority}")]
    Connect {
        authority: String,
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("connection to {authority} broke")]
    Broken {
        authority: String,
        #[source]
        source: hyper::Error,
    },
    /// Nothing moved.
    #[error("{authority} gave no answer for {} ms", waited.as_millis())]
    Silent { authority: String, waited: Duration },
    /// The answer is too long, or broke off.
    #[error("answer of {authority} cannot be read: {detail}")]
    Answer { authority: String, detail: String },
}

impl Client {
    pub(super) fn new(shared: &Arc<Shared>, url: VaultUrl, bearer: &str, account: Account) -> Self {
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {bearer}")).expect("base64 is a header value");
        authorization.set_sensitive(true);
        let host = HeaderValue::try_from(url.authority()).expect("a parsed host is a header value");
        Self {
            shared: Arc::clone(shared),
            url,
            host,
            authorization,
            account,
            connection: None,
            address: None,
            connect_failures: 0,
        }
    }

    /// Asks once. `path` begins with a slash and is below the vault's base.
    pub(super) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Outgoing,
        silence: Duration,
    ) -> Result<Answer, HttpError> {
        let mut request = Request::builder().method(method).uri(self.url.path(path));
        if let Some(map) = request.headers_mut() {
            map.insert(HOST, self.host.clone());
            map.insert(AUTHORIZATION, self.authorization.clone());
            headers.iter().for_each(|(name, value)| drop(map.insert(name, value.clone())));
        }
        let request = request.body(body).map_err(|error| self.unreadable(&error))?;
        // Taken out, so that a failure or a dropped future leaves none.
        let mut connection = match self.connection.take().filter(|connection| !connection.sender.is_closed())
        {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.progress.touch();
        let progress = Arc::clone(&connection.progress);
        let answer = tokio::select! {
            answer = self.exchange(&mut connection, request) => answer?,
            waited = self.stands_still(&progress, silence) => {
                return Err(HttpError::Silent { authority: self.url.authority(), waited });
            }
        };
        self.connection = Some(connection);
        Ok(answer)
    }

    /// Whether the last request left a connection for the next.
    pub(super) fn is_connected(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.sender.is_closed())
    }

    /// A path as a `Location` gives it, below the vault's base.
    pub(super) fn below_base(&self, path: String) -> String {
        match path.strip_prefix(self.url.base()) {
            Some(below) if below.starts_with('/') => below.to_owned(),
            _ => path,
        }
    }

    async fn exchange(
        &self,
        connection: &mut Connection,
        request: Request<Outgoing>,
    ) -> Result<Answer, HttpError> {
        let broken = |source| HttpError::Broken { authority: self.url.authority(), source };
        connection.sender.ready().await.map_err(broken)?;
        let response = connection.sender.send_request(request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let body =
            Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| self.unreadable(&error))?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    /// Returns when nothing has moved for `silence`, or for less when the link has just come back.
    async fn stands_still(&self, progress: &Progress, silence: Duration) -> Duration {
        loop {
            let idle = progress.idle();
            if idle >= silence {
                return idle;
            }
            tokio::select! {
                () = tokio::time::sleep(silence - idle) => {}
                () = self.shared.reach.revived() => {
                    let idle = progress.idle();
                    if idle >= STALE_AFTER {
                        return idle;
                    }
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<Connection, HttpError> {
        // Mostly short, so that a link that is back is found soon; now and then long, for one that is slow.
        let limit = Duration::from_millis(if self.connect_failures % 4 == 3 { 5000 } else { 1000 });
        let connected = match tokio::time::timeout(limit, self.open()).await {
            Ok(result) => result,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let failed = |source| HttpError::Connect { authority: self.url.authority(), source };
        let stream = match connected {
            Ok(stream) => stream,
            Err(source) => {
                let error = failed(source);
                self.connect_failures = self.connect_failures.wrapping_add(1);
                return Err(error);
            }
        };
        self.connect_failures = 0;
        let progress = Arc::new(Progress::new());
        let io = Counted::new(stream, Arc::clone(&self.shared), self.account, Arc::clone(&progress));
        let handshake = http1::Builder::new().max_buf_size(64 << 10).handshake(TokioIo::new(io)).await;
        let (sender, driver) =
            handshake.map_err(|source| HttpError::Broken { authority: self.url.authority(), source })?;
        let driver = tokio::spawn(async move {
            // The request that this ends has the error.
            let _ = driver.await;
        });
        Ok(Connection { sender, driver, progress })
    }

    async fn open(&mut self) -> io::Result<TcpStream> {
        let found = tokio::net::lookup_host((self.url.host(), self.url.port())).await;
        let address = match found.map(|mut addresses| addresses.next()) {
            Ok(Some(address)) => *self.address.insert(address),
            // Names may not resolve while the network is away.
            Ok(None) => self.address.ok_or(io::ErrorKind::NotFound)?,
            Err(error) => self.address.ok_or(error)?,
        };
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_nodelay(true)?;
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        set_user_timeout(&socket)?;
        socket.connect(address).await
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> HttpError {
        HttpError::Answer { authority: self.url.authority(), detail: error.to_string() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A dead one would go on trying to write.
        self.driver.abort();
    }
}

impl Progress {
    fn new() -> Self {
        Self { since: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    /// Something moved.
    pub(super) fn touch(&self) {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(passed, Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }
}

#[cfg(target_os = "linux")]
fn set_user_timeout(socket: &TcpSocket) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_user_timeout(socket, USER_TIMEOUT_MS)?)
}

/// Elsewhere the watch for progress alone has to do.
#[cfg(not(target_os = "linux"))]
fn set_user_timeout(_: &TcpSocket) -> io::Result<()> {
    let _ = USER_TIMEOUT_MS;
    Ok(())
}
