//! A userspace bad link between a recorder and a vault; needs no root.
//!
//! One [`Link`] holds the conditions of the moment and carries any number of UDP and TCP proxies, which share its
//! rate, its queue and its outages. Conditions change at any time, by hand ([`Link::set`]) or by a [`Script`].
//!
//! ```no_run
//! # async fn drive() -> Result<(), Box<dyn std::error::Error>> {
//! use dashvault_testkit::link::{Link, Profile, Script};
//! let link = Link::new(42);
//! let srt = link.udp("127.0.0.1:8890".parse()?).await?; // the recorder is given srt.addr()
//! let http = link.tcp("127.0.0.1:8080".parse()?).await?; // … and http.addr()
//! let script = Script::random(link.seed(), std::time::Duration::from_secs(60), &Profile::default());
//! link.play(script).finished().await;
//! println!("{} bytes sent", link.tallies().to_vault.payload_bytes());
//! # Ok(()) }
//! ```
//!
//! What a packet goes through is decided in the pure `lane`; `carrier` holds both lanes and hands over what has
//! arrived; `udp` and `tcp` own the sockets. The seed decides every random draw, but which packet meets which draw
//! depends on when it comes, so a run is repeatable in kind and not bit by bit.
//!
//! A tally counts what the proxies were given: a datagram that the kernel dropped before (a burst beyond the socket's
//! buffer) is not in it. What it does not emulate: bit errors, path MTU, ICMP, a TCP handshake that is lost (in a black hole the kernel's
//! accept queue completes it and the connection then stalls), TCP's slow start.

mod carrier;
mod conditions;
mod lane;
mod play;
mod script;
mod tally;
mod tcp;
mod text;
mod udp;

pub use conditions::{Conditions, Direction, Mode, Way};
pub use play::Playing;
pub use script::{LOSSY_WITH_OUTAGES, Profile, Script, ScriptError, Step};
pub use tally::{Count, Tallies, Tally, WayTally};
pub use tcp::TcpProxy;
pub use text::ConditionsError;
pub use udp::UdpProxy;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use carrier::Carrier;
use tokio::task::JoinHandle;

/// A link whose conditions can be changed while traffic flows; a cheap handle to clone.
///
/// It carries until the last handle and the last proxy are dropped.
#[derive(Debug, Clone)]
pub struct Link {
    running: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    carrier: Arc<Carrier>,
    _timer: Task,
    seed: u64,
}

/// What a terminal view shows of the link.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkState {
    /// Whether traffic flows.
    pub up: bool,
    /// How it does not.
    pub mode: Mode,
    /// The label of the conditions, or their text form.
    pub label: String,
    /// Loss towards the vault, 0 to 1.
    pub loss: f64,
    /// Bytes a second towards the vault.
    pub rate: Option<u64>,
    /// Delay towards the vault.
    pub delay: Duration,
}

impl Link {
    /// A perfect link. The caller prints the seed where a test can fail.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let carrier = Arc::new(Carrier::new(Instant::now(), seed));
        let timer = Task::spawn(carrier::keep_time(Arc::clone(&carrier)));
        Self { running: Arc::new(Running { carrier, _timer: timer, seed }) }
    }

    /// The seed of its random draws.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.running.seed
    }

    /// Opens a UDP port on loopback that leads to `to`. Each client's source address gets a socket of its own
    /// towards `to`, as behind a NAT.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub async fn udp(&self, to: SocketAddr) -> io::Result<UdpProxy> {
        UdpProxy::open(self.clone(), to)
    }

    /// Opens a TCP port on loopback that leads to `to`.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub async fn tcp(&self, to: SocketAddr) -> io::Result<TcpProxy> {
        TcpProxy::open(self.clone(), to)
    }

    /// Changes everything at once.
    pub fn set(&self, conditions: Conditions) {
        self.carrier().set(Instant::now(), conditions);
    }

    /// Changes a part. Another change at the same moment may be undone by it.
    pub fn update(&self, change: impl FnOnce(&mut Conditions)) {
        let mut conditions = self.conditions();
        change(&mut conditions);
        self.set(conditions);
    }

    /// The conditions of the moment.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
        self.carrier().conditions()
    }

    /// The conditions of the moment, for people.
    #[must_use]
    pub fn state(&self) -> LinkState {
        let conditions = self.conditions();
        let label =
            if conditions.label.is_empty() { conditions.to_string() } else { conditions.label.clone() };
        LinkState {
            up: conditions.is_up(),
            mode: conditions.mode,
            label,
            loss: conditions.to_vault.loss,
            rate: conditions.to_vault.rate,
            delay: conditions.to_vault.delay,
        }
    }

    /// What has gone through so far.
    #[must_use]
    pub fn tallies(&self) -> Tallies {
        self.carrier().tallies()
    }

    /// The moments at which the link came up again after an outage (the first 10,000).
    #[must_use]
    pub fn relinks(&self) -> Vec<Instant> {
        self.carrier().relinks()
    }

    /// Gives every UDP client a new source address from its next datagram on, as a NAT does that lost its state.
    pub fn rebind(&self) {
        self.carrier().rebind();
    }

    /// Follows a script from now on. Dropping what it returns stops at the step of that moment.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn play(&self, script: Script) -> Playing {
        Playing::start(self.clone(), script)
    }

    fn carrier(&self) -> &Arc<Carrier> {
        &self.running.carrier
    }
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Task {
    fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
