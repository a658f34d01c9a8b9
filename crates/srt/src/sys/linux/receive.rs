//! recvmmsg: many datagrams by one call, each of them perhaps several that GRO has joined.

use std::io;
use std::mem::zeroed;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

/// Messages taken by one call at most.
pub(in crate::sys) const SLOTS: usize = 64;
/// Room for two control messages of four bytes.
const CONTROL_BYTES: usize = 64;

/// One message: where it came from and how it divides.
#[derive(Clone, Copy, Debug)]
pub(in crate::sys) struct Arrival {
    /// `None` for an address that is not of the Internet.
    pub(in crate::sys) from: Option<SocketAddr>,
    pub(in crate::sys) len: usize,
    /// The size of each datagram in it but the last; 0 when it is one.
    pub(in crate::sys) segment: usize,
    /// What the socket has dropped so far, where the kernel says so.
    pub(in crate::sys) dropped: Option<u32>,
}

/// Where the kernel writes addresses and control messages.
pub(in crate::sys) struct Names {
    names: Vec<libc::sockaddr_in6>,
    controls: Vec<Control>,
}

#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Control([u8; CONTROL_BYTES]);

impl Names {
    pub(in crate::sys) fn new(slots: usize) -> Self {
        // SAFETY: a socket address is plain data, valid as zeroes.
        let name: libc::sockaddr_in6 = unsafe { zeroed() };
        Self { names: vec![name; slots], controls: vec![Control([0; CONTROL_BYTES]); slots] }
    }
}

/// Takes what has arrived, without waiting: the n-th message is in the n-th `slot_bytes` of `slots`, and told by the
/// n-th of `arrivals`, which is cleared first.
pub(in crate::sys) fn receive(
    socket: &UdpSocket,
    slots: &mut [u8],
    slot_bytes: usize,
    room: &mut Names,
    arrivals: &mut Vec<Arrival>,
) -> io::Result<()> {
    arrivals.clear();
    // SAFETY: both are plain data, valid as zeroes.
    let (mut headers, mut parts): ([libc::mmsghdr; SLOTS], [libc::iovec; SLOTS]) =
        unsafe { (zeroed(), zeroed()) };
    let mut count = 0;
    let places = room.names.iter_mut().zip(&mut room.controls);
    let filled = headers.iter_mut().zip(&mut parts).zip(slots.chunks_exact_mut(slot_bytes)).zip(places);
    for (((header, part), slot), (name, control)) in filled {
        part.iov_base = slot.as_mut_ptr().cast();
        part.iov_len = slot.len();
        header.msg_hdr.msg_name = ptr::from_mut(name).cast();
        header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = ptr::from_mut(control).cast();
        header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
        count += 1;
    }
    // SAFETY: the first `count` headers point to one part each, and to a name and a control buffer of the lengths
    // given; all of these are borrowed mutably until the end of this function, and none is in two headers.
    let taken = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let taken = usize::try_from(taken).map_err(|_| io::Error::last_os_error())?;
    for (header, name) in headers.iter().zip(&room.names).take(taken) {
        let (segment, dropped) = control_values(&header.msg_hdr);
        let length = header.msg_hdr.msg_namelen as usize;
        let from = address(name, length);
        arrivals.push(Arrival { from, len: header.msg_len as usize, segment, dropped });
    }
    Ok(())
}

/// The size of joined datagrams, and the count of dropped ones.
fn control_values(header: &libc::msghdr) -> (usize, Option<u32>) {
    let (mut segment, mut dropped) = (0, None);
    // SAFETY: the kernel has filled the header's control buffer and set its length; the macros stay within it, and
    // data is read only from control messages that are long enough for it, without assuming its alignment.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        while let Some(message) = next.as_ref() {
            if message.cmsg_len >= libc::CMSG_LEN(4) as _ {
                let value: u32 = libc::CMSG_DATA(message).cast::<u32>().read_unaligned();
                match (message.cmsg_level, message.cmsg_type) {
                    (libc::SOL_UDP, libc::UDP_GRO) => segment = value as usize,
                    (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => dropped = Some(value),
                    _ => {}
                }
            }
            next = libc::CMSG_NXTHDR(header, message);
        }
    }
    (segment, dropped)
}

fn address(name: &libc::sockaddr_in6, length: usize) -> Option<SocketAddr> {
    match libc::c_int::from(name.sin6_family) {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: the kernel wrote an IPv4 address, which is smaller than the IPv6 one it stands in, needs no
            // stricter alignment, and is valid for any bytes.
            let name: &libc::sockaddr_in = unsafe { &*ptr::from_ref(name).cast() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddr::from((ip, u16::from_be(name.sin_port))))
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            Some(SocketAddrV6::new(ip, port, name.sin6_flowinfo, name.sin6_scope_id).into())
        }
        _ => None,
    }
}
