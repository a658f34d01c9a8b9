//! Batches through real sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::*;
use crate::sys::Inlet;

fn bind() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn batch(datagrams: &[(SocketAddr, Vec<u8>)]) -> Transmits {
    let mut batch = Transmits::new();
    datagrams.iter().for_each(|(to, datagram)| batch.push(*to, datagram));
    batch
}

fn send(outlet: &mut Outlet, socket: &UdpSocket, batch: &Transmits) {
    let mut progress = Progress::default();
    outlet.send(socket, batch, &mut progress, |error| panic!("{error}")).unwrap();
    assert_eq!(progress, Progress { datagrams: batch.len(), bytes: batch.total_bytes() });
}

fn arrives(far: &UdpSocket, datagrams: &[Vec<u8>]) {
    let mut buffer = [0; 2048];
    for datagram in datagrams {
        let length = far.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..length], *datagram);
    }
}

fn to(peer: SocketAddr, datagrams: &[Vec<u8>]) -> Vec<(SocketAddr, Vec<u8>)> {
    datagrams.iter().map(|datagram| (peer, datagram.clone())).collect()
}

#[test]
fn a_run_is_of_one_size_and_may_end_with_something_shorter() {
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let of = |sizes: &[usize], segments| {
        let datagrams: Vec<_> = sizes.iter().map(|len| Datagram { to: peer, len: *len }).collect();
        run_length(&datagrams, segments)
    };
    assert_eq!(of(&[], 64), 0);
    assert_eq!(of(&[1332, 1332, 1332], 64), 3);
    assert_eq!(of(&[1332, 1332, 700, 700], 64), 3);
    assert_eq!(of(&[16, 1332, 1332], 64), 1);
    assert_eq!(of(&[1332, 1332, 700], 2), 2);
    assert_eq!(of(&[1332, 1332], 1), 1);
    assert_eq!(of(&[1332; 100], 64), 45);
    let other = Datagram { to: SocketAddr::from(([127, 0, 0, 1], 2)), len: 9 };
    assert_eq!(run_length(&[Datagram { to: peer, len: 9 }, other], 64), 1);
}

#[test]
fn datagrams_of_any_sizes_arrive_as_they_were_given() {
    let (near, far) = (bind(), bind());
    let sizes = [16, 1332, 1332, 1332, 500, 500, 16, 16, 44, 1332, 1];
    let datagrams: Vec<_> = (0_u8..).zip(sizes).map(|(at, size)| vec![at; size]).collect();
    let peer = far.local_addr().unwrap();
    send(&mut Outlet::new(&near, false), &near, &batch(&to(peer, &datagrams)));
    arrives(&far, &datagrams);
    near.connect(peer).unwrap();
    send(&mut Outlet::new(&near, true), &near, &batch(&to(peer, &datagrams)));
    arrives(&far, &datagrams);
}

#[test]
fn datagrams_reach_each_of_many_peers_also_by_ipv6() {
    let Ok(near) = UdpSocket::bind("[::1]:0") else { return };
    let far: Vec<_> = (0..70).map(|_| UdpSocket::bind("[::1]:0").unwrap()).collect();
    let datagrams: Vec<_> =
        (0_u8..).zip(&far).map(|(at, far)| (far.local_addr().unwrap(), vec![at; 44])).collect();
    send(&mut Outlet::new(&near, false), &near, &batch(&datagrams));
    for (far, (_, datagram)) in far.iter().zip(datagrams) {
        let mut seen = 0;
        far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        while seen == 0 {
            let taken = Inlet::for_many(far).take(far, |from, bytes| {
                assert_eq!((from, bytes.to_vec()), (near.local_addr().unwrap(), datagram.clone()));
                seen += 1;
            });
            taken.unwrap();
        }
    }
}

#[test]
fn what_the_kernel_has_joined_is_taken_apart() {
    let (near, far) = (bind(), bind());
    let mut inlet = Inlet::for_many(&far);
    let mut datagrams = vec![vec![7; 1332]; 100];
    datagrams.push(vec![8; 300]);
    send(&mut Outlet::new(&near, false), &near, &batch(&to(far.local_addr().unwrap(), &datagrams)));
    let mut seen = Vec::new();
    while seen.len() < datagrams.len() {
        inlet.take(&far, |_, datagram| seen.push(datagram.to_vec())).unwrap();
    }
    assert_eq!(seen, datagrams);
    assert!(inlet.take(&far, |_, _| panic!("nothing is left")).unwrap().drained);
}

#[test]
fn a_run_that_the_kernel_refuses_is_sent_one_by_one_from_then_on() {
    let (near, far) = (bind(), bind());
    let mut outlet = Outlet::new(&near, false);
    // More than any kernel takes.
    outlet.segments = 200;
    let datagrams = vec![vec![7; 100]; 200];
    send(&mut outlet, &near, &batch(&to(far.local_addr().unwrap(), &datagrams)));
    assert_eq!(outlet.segments, 1);
    arrives(&far, &datagrams);
}

#[test]
fn a_run_to_a_port_where_nobody_listens_is_refused() {
    let (near, far) = (bind(), bind());
    let peer = far.local_addr().unwrap();
    near.connect(peer).unwrap();
    drop(far);
    let mut outlet = Outlet::new(&near, true);
    let batch = batch(&to(peer, &vec![vec![1; 1332]; 8]));
    let mut refused = 0;
    for _ in 0..2 {
        let mut progress = Progress::default();
        let count = |error: &io::Error| refused += usize::from(crate::sys::is_refused(error));
        outlet.send(&near, &batch, &mut progress, count).unwrap();
    }
    assert_eq!(refused, 1, "the second run meets the answer to the first");
    assert!(outlet.segments > 1, "which says nothing about runs");
}
