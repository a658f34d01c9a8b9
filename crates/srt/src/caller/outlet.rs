//! A caller's way out: sends what one run of the session gives with as few system calls as the system allows.
//!
//! On Linux a run of datagrams of one size goes out with one call (UDP GSO, Linux 4.18 and later): the network stack is
//! passed once for a whole frame. Where the kernel or a driver refuses that, and on other systems, each datagram is
//! sent by itself.
//!
//! What does not belong here: when and what to send; what an error means to the session.
//!
//! Rooms: `socket` sends and receives datagrams, `offload` sends runs.

#[cfg(target_os = "linux")]
mod offload;
mod socket;

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

use socket::Socket;

pub(super) struct Outlet {
    pub(super) socket: Socket,
    #[cfg(target_os = "linux")]
    offload: offload::Offload,
}

impl Outlet {
    /// Takes a socket that is connected to `peer`.
    ///
    /// # Errors
    /// The runtime's, when it cannot watch the socket.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "the socket knows its peer"))]
    pub(super) fn new(socket: UdpSocket, peer: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            socket: Socket::new(socket)?,
            #[cfg(target_os = "linux")]
            offload: offload::Offload::new(peer),
        })
    }

    /// Sends all of `datagrams`, and tells `failed` of each error: what failed counts as lost on the way.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(
            clippy::needless_pass_by_ref_mut,
            reason = "where runs are sent, they are put together in place"
        )
    )]
    pub(super) async fn send(&mut self, datagrams: &mut Vec<Vec<u8>>, mut failed: impl FnMut(&io::Error)) {
        let mut rest = datagrams.as_slice();
        while !rest.is_empty() {
            let sent = self.send_some(rest, &mut failed).await;
            rest = rest.get(sent..).unwrap_or_default();
        }
        datagrams.clear();
    }

    /// Sends the first run; says how many datagrams that are.
    #[cfg(target_os = "linux")]
    async fn send_some(&mut self, datagrams: &[Vec<u8>], failed: &mut impl FnMut(&io::Error)) -> usize {
        let length = offload::run_length(datagrams, self.offload.segments());
        let (run, _) = datagrams.split_at(length);
        if length < 2 {
            self.send_each(run, failed).await;
            return length;
        }
        match self.offload.send(&self.socket, run).await {
            Err(error) if offload::is_refusal(&error) => {
                self.offload.give_up(&error);
                self.send_each(run, failed).await;
            }
            Err(error) => failed(&error),
            Ok(()) => {}
        }
        length
    }

    #[cfg(not(target_os = "linux"))]
    async fn send_some(&self, datagrams: &[Vec<u8>], failed: &mut impl FnMut(&io::Error)) -> usize {
        self.send_each(datagrams, failed).await;
        datagrams.len()
    }

    async fn send_each(&self, datagrams: &[Vec<u8>], failed: &mut impl FnMut(&io::Error)) {
        for datagram in datagrams {
            if let Err(error) = self.socket.send(datagram).await {
                failed(&error);
            }
        }
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
        (Outlet::new(near, peer).unwrap(), far)
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
