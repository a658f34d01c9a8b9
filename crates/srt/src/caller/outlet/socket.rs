//! A connected UDP socket that wakes its task for what arrives only.
//!
//! A socket that is watched for writing, too, wakes the thread once more for each datagram that has left it, although
//! it nearly always takes more. In the rare case that its buffer is full, it is tried again after a moment.

#[cfg(not(unix))]
pub(in crate::caller) use plain::Socket;
#[cfg(unix)]
pub(in crate::caller) use watched::Socket;

#[cfg(unix)]
mod watched {
    use std::io;
    use std::time::Duration;

    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// What a full buffer is given to drain.
    const FULL: Duration = Duration::from_millis(2);

    pub(in crate::caller) struct Socket(AsyncFd<std::net::UdpSocket>);

    impl Socket {
        #[expect(
            deprecated,
            reason = "its successor is unsafe, as the descriptor could be another's; a socket owns its own"
        )]
        pub(in crate::caller) fn new(socket: tokio::net::UdpSocket) -> io::Result<Self> {
            AsyncFd::with_interest(socket.into_std()?, Interest::READABLE).map(Self)
        }

        /// Waits until something has arrived.
        pub(in crate::caller) async fn readable(&self) -> io::Result<()> {
            self.0.readable().await.map(drop)
        }

        pub(in crate::caller) fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.try_io(Interest::READABLE, |socket| socket.recv(buffer))
        }

        pub(in crate::caller) async fn send(&self, datagram: &[u8]) -> io::Result<()> {
            self.when_writable(|socket| socket.send(datagram).map(drop)).await
        }

        /// Runs `send` until it finds room in the buffer.
        pub(in crate::caller) async fn when_writable(
            &self,
            mut send: impl FnMut(&std::net::UdpSocket) -> io::Result<()>,
        ) -> io::Result<()> {
            loop {
                match send(self.0.get_ref()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        tokio::time::sleep(FULL).await;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    done => return done,
                }
            }
        }
    }
}

/// Other systems have no such watch.
#[cfg(not(unix))]
mod plain {
    use std::io;

    use tokio::net::UdpSocket;

    pub(in crate::caller) struct Socket(UdpSocket);

    impl Socket {
        #[expect(clippy::unnecessary_wraps, reason = "as elsewhere")]
        pub(in crate::caller) fn new(socket: UdpSocket) -> io::Result<Self> {
            Ok(Self(socket))
        }

        pub(in crate::caller) async fn readable(&self) -> io::Result<()> {
            self.0.readable().await
        }

        pub(in crate::caller) fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.try_recv(buffer)
        }

        pub(in crate::caller) async fn send(&self, datagram: &[u8]) -> io::Result<()> {
            self.0.send(datagram).await.map(drop)
        }
    }
}
