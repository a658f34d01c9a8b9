//! Linux system calls for many datagrams at once; all of the crate's `unsafe` code.
//!
//! Rooms: `receive` is recvmmsg with UDP GRO, `send` is sendmmsg with UDP GSO.

mod receive;
mod send;

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

pub(super) use receive::{Arrival, Names, SLOTS, receive};
pub(super) use send::{RUNS, Run, send};

/// Lets the kernel hand over datagrams of one sender joined (Linux 5.0).
pub(super) fn join_arrivals(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_GRO)
}

/// Lets the kernel say how many datagrams it had no room for.
pub(super) fn count_drops(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL)
}

/// Whether the kernel knows UDP GSO (Linux 4.18).
pub(super) fn splits_runs(socket: &UdpSocket) -> bool {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` and `length` outlive the call, and `length` is the size of `value`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    result == 0
}

fn set_option(socket: &UdpSocket, level: libc::c_int, name: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `on` outlives the call, and `length` is its size.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const on).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
