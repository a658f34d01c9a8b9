//! Sockets: what the system gives for many datagrams in few calls, and the same where it gives nothing.
//!
//! What does not belong here: anything of SRT.
//!
//! Rooms: `socket` opens sockets and knows what their errors mean; `inlet` takes what has arrived, `outlet` sends a
//! batch; `wait` lets a thread sleep until there is something; `watched` is the same for a task; `linux` holds the
//! system calls that need `unsafe`, and nothing else does.

mod inlet;
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "recvmmsg, sendmmsg and their control messages have no safe form")]
mod linux;
mod outlet;
mod socket;
mod wait;
mod watched;

pub(crate) use inlet::Inlet;
pub(crate) use outlet::{Outlet, Progress};
pub(crate) use socket::{bind_workers, connect, is_gone, is_refused, receive_buffer_bytes};
pub(crate) use wait::{Waiter, Waker, pair as waiter};
pub(crate) use watched::Watched;

/// The system's random bytes.
pub(crate) fn random() -> crate::core::Random {
    Box::new(|bytes| getrandom::fill(bytes).expect("every system that we run on has random bytes"))
}
