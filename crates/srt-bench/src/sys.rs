//! Many datagrams in one system call: `recvmmsg` and `sendmmsg`, the latter with a source address for each datagram.
//!
//! What does not belong here: what is in the datagrams. All the unsafe code of this crate is here.
//!
//! Invariant: every pointer handed to the kernel points into `self` or an argument that outlives the call.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

/// Datagrams moved by one call at most.
const BATCH: usize = 64;
/// Room for one received datagram.
const DATAGRAM_BYTES: usize = 2048;
/// The longest head: a conclusion with its extensions.
const HEAD_BYTES: usize = 112;

/// Receives many datagrams at a time.
pub(crate) struct Inbox {
    buffers: Vec<[u8; DATAGRAM_BYTES]>,
    lengths: Vec<usize>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { buffers: vec![[0; DATAGRAM_BYTES]; BATCH], lengths: Vec::with_capacity(BATCH) }
    }

    /// Waits for a datagram and takes what else is there.
    pub(crate) fn wait(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.receive(socket, libc::MSG_WAITFORONE)
    }

    /// Takes what is there; nothing is no error.
    pub(crate) fn take(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        match self.receive(socket, libc::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            done => done,
        }
    }

    /// What the last call brought.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.buffers.iter().zip(&self.lengths).filter_map(|(buffer, &length)| buffer.get(..length))
    }

    fn receive(&mut self, socket: &UdpSocket, flags: i32) -> io::Result<usize> {
        self.lengths.clear();
        let mut slices = [libc::iovec { iov_base: ptr::null_mut(), iov_len: DATAGRAM_BYTES }; BATCH];
        let mut headers = [EMPTY_HEADER; BATCH];
        for ((slice, buffer), header) in slices.iter_mut().zip(&mut self.buffers).zip(&mut headers) {
            slice.iov_base = buffer.as_mut_ptr().cast();
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each of the BATCH headers points to one slice, which points to a live buffer of that length.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as u32,
                flags as _,
                ptr::null_mut(),
            )
        };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        self.lengths.extend(headers.iter().take(got).map(|header| header.msg_len as usize));
        Ok(got)
    }
}

/// Gathers datagrams and sends them with few calls.
#[derive(Default)]
pub(crate) struct Outbox {
    items: Vec<Item>,
    slices: Vec<[libc::iovec; 2]>,
    controls: Vec<Control>,
    headers: Vec<libc::mmsghdr>,
}

struct Item {
    from: Ipv4Addr,
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    payload: bool,
}

/// One control message that names the source address.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    info: libc::in_pktinfo,
}

impl Outbox {
    /// Adds a datagram: a head of at most 112 bytes, and the common payload if `payload` says so.
    pub(crate) fn push(&mut self, from: Ipv4Addr, head: &[u8], payload: bool) {
        let mut item = Item { from, head: [0; HEAD_BYTES], head_bytes: head.len().min(HEAD_BYTES), payload };
        for (to, byte) in item.head.iter_mut().zip(head) {
            *to = *byte;
        }
        self.items.push(item);
    }

    /// Sends everything. A datagram that the kernel does not take is lost, as on a network.
    pub(crate) fn flush(&mut self, socket: &UdpSocket, to: SocketAddrV4, payload: &[u8]) {
        let mut peer = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: to.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(*to.ip()).to_be() },
            sin_zero: [0; 8],
        };
        self.slices.clear();
        self.controls.clear();
        self.headers.clear();
        self.slices.extend(self.items.iter().map(|item| {
            [
                libc::iovec { iov_base: item.head.as_ptr().cast_mut().cast(), iov_len: item.head_bytes },
                libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() },
            ]
        }));
        self.controls.extend(self.items.iter().map(|item| Control::from(item.from)));
        let rows = self.items.iter().zip(&mut self.slices).zip(&mut self.controls);
        self.headers.extend(rows.map(|((item, slices), control)| {
            let mut header = EMPTY_HEADER;
            header.msg_hdr.msg_name = ptr::from_mut(&mut peer).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
            header.msg_hdr.msg_iov = slices.as_mut_ptr();
            header.msg_hdr.msg_iovlen = if item.payload { 2 } else { 1 };
            header.msg_hdr.msg_control = ptr::from_mut(control).cast();
            header.msg_hdr.msg_controllen = size_of::<Control>();
            header
        }));
        let mut rest = self.headers.as_mut_slice();
        while !rest.is_empty() {
            // SAFETY: each header points to its own slices and control message in `self`, to `peer` and to `payload`,
            // all of which live and stay where they are until the call returns; the kernel only reads them.
            let sent = unsafe {
                libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len().min(1024) as u32, 0)
            };
            let done = usize::try_from(sent).unwrap_or(0).max(1).min(rest.len());
            rest = rest.split_at_mut(done).1;
        }
        self.items.clear();
    }
}

impl From<Ipv4Addr> for Control {
    fn from(from: Ipv4Addr) -> Self {
        Self {
            header: libc::cmsghdr {
                cmsg_len: size_of::<libc::cmsghdr>() + size_of::<libc::in_pktinfo>(),
                cmsg_level: libc::IPPROTO_IP,
                cmsg_type: libc::IP_PKTINFO,
            },
            info: libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(from).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            },
        }
    }
}

/// A header that points nowhere.
// SAFETY: all zeros are null pointers and zero lengths, which is a valid value of this C structure.
const EMPTY_HEADER: libc::mmsghdr = unsafe { std::mem::zeroed() };
