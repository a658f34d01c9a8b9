//! sendmmsg: many datagrams by one call, and a run of one size to one peer as a single message (GSO).

use std::io;
use std::mem::zeroed;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

/// Messages given to one call at most.
pub(in crate::sys) const RUNS: usize = 32;
/// Room for one control message of two bytes.
const CONTROL_BYTES: usize = 32;

/// One message: datagrams that lie back to back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sys) struct Run {
    /// `None` on a connected socket.
    pub(in crate::sys) to: Option<SocketAddr>,
    /// Where it begins.
    pub(in crate::sys) at: usize,
    pub(in crate::sys) len: usize,
    /// The size of each datagram but the last; 0 when it is one.
    pub(in crate::sys) segment: u16,
    /// How many they are.
    pub(in crate::sys) datagrams: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Control([u8; CONTROL_BYTES]);

#[derive(Clone, Copy)]
union Name {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

/// Sends the first of `runs` (of `bytes`), without waiting; says how many of them went out.
///
/// # Errors
/// That of the first run, when it could not be sent.
pub(in crate::sys) fn send(socket: &UdpSocket, bytes: &[u8], runs: &[Run]) -> io::Result<usize> {
    // SAFETY: all of these are plain data, valid as zeroes.
    let (mut headers, mut parts, mut names): ([libc::mmsghdr; RUNS], [libc::iovec; RUNS], [Name; RUNS]) =
        unsafe { (zeroed(), zeroed(), zeroed()) };
    let mut controls = [Control([0; CONTROL_BYTES]); RUNS];
    let mut count = 0;
    let places = headers.iter_mut().zip(&mut parts).zip(names.iter_mut().zip(&mut controls));
    for (run, ((header, part), (name, control))) in runs.iter().zip(places) {
        let Some(contents) = bytes.get(run.at..).and_then(|rest| rest.get(..run.len)) else { break };
        part.iov_base = contents.as_ptr().cast_mut().cast();
        part.iov_len = contents.len();
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        if let Some(to) = run.to {
            header.msg_hdr.msg_namelen = write_address(to, name);
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
        }
        if run.segment > 0 {
            header.msg_hdr.msg_control = ptr::from_mut(control).cast();
            write_segment(&mut header.msg_hdr, run.segment);
        }
        count += 1;
    }
    if count == 0 {
        return Ok(runs.len());
    }
    // SAFETY: the first `count` headers point to one part each, which lies in `bytes` and is only read, and to a name
    // and a control message of the lengths given, or to none; all of these outlive the call.
    let sent =
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Writes the control message that tells the size of each datagram.
fn write_segment(header: &mut libc::msghdr, segment: u16) {
    // SAFETY: the header's control buffer is zeroed, aligned for a control message, and longer than one of two bytes.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(2) as _;
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = libc::SOL_UDP;
        (*message).cmsg_type = libc::UDP_SEGMENT;
        (*message).cmsg_len = libc::CMSG_LEN(2) as _;
        libc::CMSG_DATA(message).cast::<u16>().write_unaligned(segment);
    }
}

fn write_address(to: SocketAddr, name: &mut Name) -> libc::socklen_t {
    match to {
        SocketAddr::V4(to) => {
            // SAFETY: plain data, valid as zeroes.
            let mut v4: libc::sockaddr_in = unsafe { zeroed() };
            v4.sin_family = libc::AF_INET as libc::sa_family_t;
            v4.sin_port = to.port().to_be();
            v4.sin_addr.s_addr = u32::from(*to.ip()).to_be();
            name.v4 = v4;
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(to) => {
            // SAFETY: plain data, valid as zeroes.
            let mut v6: libc::sockaddr_in6 = unsafe { zeroed() };
            v6.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            v6.sin6_port = to.port().to_be();
            v6.sin6_addr.s6_addr = to.ip().octets();
            v6.sin6_flowinfo = to.flowinfo();
            v6.sin6_scope_id = to.scope_id();
            name.v6 = v6;
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}
