//! A connected UDP socket that wakes its task for what arrives only.
//!
//! A socket that is watched for writing, too, wakes the thread once more for each datagram that has left it, although
//! it nearly always takes more. In the rare case that its buffer is full, it is tried again after a moment.
//!
//! Invariant: after [`Watched::readable`] everything that has arrived must be taken, or it wakes nobody.

#[cfg(not(unix))]
pub(crate) use plain::Watched;
#[cfg(unix)]
pub(crate) use unix::Watched;

#[cfg(unix)]
mod unix {
    use std::io;
    use std::net::{SocketAddr, UdpSocket};

    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use crate::sys::Inlet;
    use crate::sys::inlet::Taken;

    pub(crate) struct Watched(AsyncFd<UdpSocket>);

    /// Datagrams and, where the system tells them apart, errors: an ICMP answer comes at once, not with the next send.
    fn news() -> Interest {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return Interest::READABLE | Interest::ERROR;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return Interest::READABLE;
    }

    impl Watched {
        /// Watches a socket that does not block.
        #[expect(
            deprecated,
            reason = "its successor is unsafe, as the descriptor could be another's; a socket owns its own"
        )]
        pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
            AsyncFd::with_interest(socket, news()).map(Self)
        }

        /// Waits until something has arrived.
        ///
        /// # Cancel safety
        /// A dropped future has taken nothing.
        pub(crate) async fn readable(&self) -> io::Result<()> {
            // Cleared before the socket is emptied: what comes after that is news again, and finding out that it is
            // empty takes no call of its own.
            self.0.ready(news()).await.map(|mut ready| ready.clear_ready())
        }

        /// Takes some of what has arrived.
        pub(crate) fn take(
            &self,
            inlet: &mut Inlet,
            each: impl FnMut(SocketAddr, &mut [u8]),
        ) -> io::Result<Taken> {
            inlet.take(self.0.get_ref(), each)
        }

        pub(crate) fn socket(&self) -> &UdpSocket {
            self.0.get_ref()
        }
    }
}

/// Other systems have no such watch.
#[cfg(not(unix))]
mod plain {
    use std::io;
    use std::net::{SocketAddr, UdpSocket};

    use tokio::io::Interest;

    use crate::sys::Inlet;
    use crate::sys::inlet::Taken;

    pub(crate) struct Watched {
        watched: tokio::net::UdpSocket,
        socket: UdpSocket,
    }

    impl Watched {
        pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
            Ok(Self { watched: tokio::net::UdpSocket::from_std(socket.try_clone()?)?, socket })
        }

        pub(crate) async fn readable(&self) -> io::Result<()> {
            self.watched.readable().await
        }

        pub(crate) fn take(
            &self,
            inlet: &mut Inlet,
            mut each: impl FnMut(SocketAddr, &mut [u8]),
        ) -> io::Result<Taken> {
            let taken = self.watched.try_io(Interest::READABLE, || {
                let taken = inlet.take(&self.socket, &mut each)?;
                if taken.drained { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
            });
            match taken {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    Ok(Taken { datagrams: 0, drained: true })
                }
                taken => taken,
            }
        }

        pub(crate) fn socket(&self) -> &UdpSocket {
            &self.socket
        }
    }
}
