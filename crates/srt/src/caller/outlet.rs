//! A caller's connected socket: sends what one run of the session gives with as few system calls as the system allows.
//!
//! On Linux a run of datagrams of one size goes out with one call (UDP GSO, Linux 4.18 and later): the network stack is
//! passed once for a whole frame. Where the kernel or a driver refuses that, and on other systems, each datagram is
//! sent by itself.
//!
//! What does not belong here: when and what to send; what an error means to the session.

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

pub(super) struct Outlet {
    pub(super) socket: UdpSocket,
    #[cfg(target_os = "linux")]
    offload: offload::Offload,
}

impl Outlet {
    /// Takes a socket that is connected to `peer`.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "the socket knows its peer"))]
    pub(super) fn new(socket: UdpSocket, peer: SocketAddr) -> Self {
        Self {
            socket,
            #[cfg(target_os = "linux")]
            offload: offload::Offload::new(peer),
        }
    }

    /// Sends all of `datagrams`, and tells `failed` of each error: what failed counts as lost on the way.
    pub(super) async fn send(&mut self, datagrams: &mut Vec<Vec<u8>>, mut failed: impl FnMut(&io::Error)) {
        let mut rest = datagrams.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.run_length(rest));
            rest = later;
            if let Err(error) = self.send_run(now, &mut failed).await {
                failed(&error);
            }
        }
        datagrams.clear();
    }

    #[cfg(target_os = "linux")]
    fn run_length(&self, datagrams: &[Vec<u8>]) -> usize {
        offload::run_length(datagrams, self.offload.segments())
    }

    #[cfg(not(target_os = "linux"))]
    fn run_length(&self, datagrams: &[Vec<u8>]) -> usize {
        datagrams.len()
    }

    #[cfg(target_os = "linux")]
    async fn send_run(&mut self, run: &[Vec<u8>], failed: &mut impl FnMut(&io::Error)) -> io::Result<()> {
        if run.len() > 1 {
            match self.offload.send(&self.socket, run).await {
                Err(error) if offload::is_refusal(&error) => self.offload.give_up(&error),
                done => return done,
            }
        }
        self.send_each(run, failed).await
    }

    #[cfg(not(target_os = "linux"))]
    async fn send_run(&mut self, run: &[Vec<u8>], failed: &mut impl FnMut(&io::Error)) -> io::Result<()> {
        self.send_each(run, failed).await
    }

    async fn send_each(&self, run: &[Vec<u8>], failed: &mut impl FnMut(&io::Error)) -> io::Result<()> {
        for datagram in run {
            if let Err(error) = self.socket.send(datagram).await {
                failed(&error);
            }
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod offload {
    //! Segmentation offload by `quinn-udp`.

    use std::io;
    use std::net::{Ipv4Addr, SocketAddr};

    use quinn_udp::{Transmit, UdpSocketState};
    use rustix::io::Errno;
    use tokio::io::Interest;
    use tokio::net::UdpSocket;

    /// A run is one UDP payload to the kernel.
    const RUN_BYTES: usize = 60_000;

    pub(super) struct Offload {
        peer: SocketAddr,
        /// `None` when the kernel refused.
        state: Option<UdpSocketState>,
        /// Datagrams in a run at most.
        pub(super) segments: usize,
        run: Vec<u8>,
    }

    impl Offload {
        pub(super) fn new(peer: SocketAddr) -> Self {
            let state = ask_kernel().inspect_err(|error| tracing::debug!(%error, "no UDP offload")).ok();
            let segments = state.as_ref().map_or(1, UdpSocketState::max_gso_segments);
            Self { peer, state, segments, run: Vec::new() }
        }

        pub(super) fn segments(&self) -> usize {
            self.segments
        }

        /// Sends a run that [`run_length`] has measured.
        pub(super) async fn send(&mut self, socket: &UdpSocket, run: &[Vec<u8>]) -> io::Result<()> {
            let Some(state) = &self.state else { return Err(Errno::OPNOTSUPP.into()) };
            self.run.clear();
            run.iter().for_each(|datagram| self.run.extend_from_slice(datagram));
            let transmit = Transmit {
                destination: self.peer,
                ecn: None,
                contents: &self.run,
                segment_size: run.first().map(Vec::len),
                src_ip: None,
            };
            socket.async_io(Interest::WRITABLE, || state.try_send(socket.into(), &transmit)).await
        }

        pub(super) fn give_up(&mut self, error: &io::Error) {
            tracing::debug!(%error, "UDP offload refused, datagrams are sent one by one");
            (self.state, self.segments) = (None, 1);
        }
    }

    /// What the kernel can do. A socket of its own is asked: the crate sets options on it (no fragmentation, receive
    /// offload, time stamps) that a caller must not have, as a path may be narrower than our datagrams.
    fn ask_kernel() -> io::Result<UdpSocketState> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        UdpSocketState::new((&socket).into())
    }

    /// Whether an error says that this run cannot be offloaded: no support in the kernel (EINVAL, EOPNOTSUPP) or the
    /// driver (EIO), or a path that is narrower than a datagram (EMSGSIZE; earlier EINVAL).
    pub(super) fn is_refusal(error: &io::Error) -> bool {
        let errno = Errno::from_io_error(error);
        matches!(errno, Some(Errno::INVAL | Errno::IO | Errno::MSGSIZE | Errno::OPNOTSUPP))
    }

    /// How many of the first datagrams can go together: of one size, but the last may be shorter.
    pub(super) fn run_length(datagrams: &[Vec<u8>], segments: usize) -> usize {
        let size = datagrams.first().map_or(0, Vec::len);
        let most = segments.min(RUN_BYTES.checked_div(size).unwrap_or(1)).max(1);
        let equal = datagrams.iter().take(most).take_while(|datagram| datagram.len() == size).count();
        let ends =
            equal < most && datagrams.get(equal).is_some_and(|last| !last.is_empty() && last.len() < size);
        equal + usize::from(ends)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    async fn pair() -> (Outlet, UdpSocket) {
        let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let peer = far.local_addr().unwrap();
        near.connect(peer).await.unwrap();
        (Outlet::new(near, peer), far)
    }

    async fn arrives(outlet: &mut Outlet, far: &UdpSocket, sent: Vec<Vec<u8>>) {
        outlet.send(&mut sent.clone(), |error| panic!("{error}")).await;
        let mut buffer = [0; 2048];
        for datagram in sent {
            let length = far.recv(&mut buffer).await.unwrap();
            assert_eq!(buffer[..length], datagram);
        }
    }

    #[test]
    fn a_run_is_of_one_size_and_may_end_with_something_shorter() {
        let of = |sizes: &[usize], segments| {
            let datagrams: Vec<_> = sizes.iter().map(|size| vec![0; *size]).collect();
            offload::run_length(&datagrams, segments)
        };
        assert_eq!(of(&[], 64), 0);
        assert_eq!(of(&[1332, 1332, 1332], 64), 3);
        assert_eq!(of(&[1332, 1332, 700, 700], 64), 3);
        assert_eq!(of(&[16, 1332, 1332], 64), 1);
        assert_eq!(of(&[1332, 1332, 700], 2), 2);
        assert_eq!(of(&[1332, 1332], 1), 1);
        assert_eq!(of(&[1332; 100], 64), 45);
        assert_eq!(of(&[0, 0], 64), 1);
    }

    #[tokio::test]
    async fn datagrams_of_any_sizes_arrive_as_they_were_given() {
        let (mut outlet, far) = pair().await;
        let sizes = [16, 1332, 1332, 1332, 500, 500, 16, 16, 44, 1332, 1];
        let datagrams = (0_u8..).zip(sizes).map(|(at, size)| vec![at; size]).collect();
        arrives(&mut outlet, &far, datagrams).await;
    }

    #[tokio::test]
    async fn a_run_that_the_kernel_refuses_is_sent_one_by_one_from_then_on() {
        let (mut outlet, far) = pair().await;
        // More than any kernel takes.
        outlet.offload.segments = 200;
        arrives(&mut outlet, &far, vec![vec![7; 100]; 200]).await;
        assert_eq!(outlet.offload.segments(), 1);
        arrives(&mut outlet, &far, vec![vec![8; 1332]; 5]).await;
    }

    #[tokio::test]
    async fn a_run_to_a_port_where_nobody_listens_is_refused() {
        let (mut outlet, far) = pair().await;
        drop(far);
        let mut refused = 0;
        for _ in 0..2 {
            let mut run = vec![vec![1; 1332]; 8];
            outlet.send(&mut run, |error| refused += usize::from(crate::socket::is_refused(error))).await;
        }
        assert_eq!(refused, 1, "the second run meets the answer to the first");
        assert!(outlet.offload.segments() > 1, "which says nothing about offload");
    }
}
