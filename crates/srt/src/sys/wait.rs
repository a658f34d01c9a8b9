//! Lets a thread sleep until its socket has something, another thread wakes it, or time is up.
//!
//! Invariant: a wake-up is never lost: what was done before [`Waker::wake`] is seen after the next [`Waiter::wait`].

pub(crate) use platform::{Waiter, Waker, pair};

/// With an event descriptor: no sleep is longer than it must be, and waking somebody who is awake costs no call.
#[cfg(target_os = "linux")]
mod platform {
    use std::io;
    use std::net::UdpSocket;
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
    use rustix::io::Errno;

    #[derive(Debug)]
    struct Signal {
        event: OwnedFd,
        /// Somebody has woken, and the waiter has not seen it yet.
        pending: AtomicBool,
    }

    /// Wakes the thread that holds the [`Waiter`].
    #[derive(Debug, Clone)]
    pub(crate) struct Waker(Arc<Signal>);

    impl Waker {
        pub(crate) fn wake(&self) {
            if !self.0.pending.swap(true, Ordering::AcqRel) {
                // It cannot fail but by a full counter, which wakes as well.
                let _ = rustix::io::write(&self.0.event, &1_u64.to_ne_bytes());
            }
        }
    }

    /// Sleeps.
    #[derive(Debug)]
    pub(crate) struct Waiter(Arc<Signal>);

    impl Waiter {
        /// Sleeps until `socket` has something, somebody wakes, or `timeout` has passed.
        pub(crate) fn wait(&self, socket: &UdpSocket, timeout: Option<Duration>) {
            let mut watched = [PollFd::new(socket, PollFlags::IN), PollFd::new(&self.0.event, PollFlags::IN)];
            let timeout = timeout
                .map(|timeout| Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 }));
            match poll(&mut watched, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot wait for the SRT socket");
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            if self.0.pending.load(Ordering::Acquire)
                || watched.last().is_some_and(|event| !event.revents().is_empty())
            {
                let mut count = [0; 8];
                let _ = rustix::io::read(&self.0.event, &mut count);
                self.0.pending.swap(false, Ordering::AcqRel);
            }
        }
    }

    /// A waiter and who wakes it.
    ///
    /// # Errors
    /// The system's, when it has no descriptor left.
    pub(crate) fn pair() -> io::Result<(Waiter, Waker)> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let signal = Arc::new(Signal { event, pending: AtomicBool::new(false) });
        Ok((Waiter(Arc::clone(&signal)), Waker(signal)))
    }
}

/// With the standard library alone: the socket is waited for, and everything else is looked at every few milliseconds.
#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io;
    use std::net::UdpSocket;
    use std::time::Duration;

    const LOOK: Duration = Duration::from_millis(5);

    /// Has nothing to do: the waiter looks by itself.
    #[derive(Debug, Clone)]
    pub(crate) struct Waker(());

    impl Waker {
        #[expect(clippy::unused_self, reason = "as elsewhere")]
        pub(crate) fn wake(&self) {}
    }

    /// Sleeps.
    #[derive(Debug)]
    pub(crate) struct Waiter(());

    impl Waiter {
        #[expect(clippy::unused_self, reason = "as elsewhere")]
        pub(crate) fn wait(&self, socket: &UdpSocket, timeout: Option<Duration>) {
            let timeout = timeout.unwrap_or(LOOK).clamp(Duration::from_millis(1), LOOK);
            let ready = socket
                .set_nonblocking(false)
                .and_then(|()| socket.set_read_timeout(Some(timeout)))
                // Errors, also that of a datagram that is larger, say that it is time to look.
                .and_then(|()| socket.peek_from(&mut [0; 1]).map(drop));
            if let Err(error) = ready.and_then(|()| socket.set_nonblocking(true)) {
                tracing::trace!(%error, "nothing at the SRT socket");
                let _ = socket.set_nonblocking(true);
            }
        }
    }

    /// A waiter and who wakes it.
    ///
    /// # Errors
    /// None here.
    pub(crate) fn pair() -> io::Result<(Waiter, Waker)> {
        Ok((Waiter(()), Waker(())))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};

    use super::pair;

    #[test]
    fn a_sleeper_is_woken_by_others_and_by_its_socket() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (waiter, waker) = pair().unwrap();
        let start = Instant::now();
        waker.wake();
        waker.wake();
        waiter.wait(&socket, Some(Duration::from_secs(10)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                waker.wake();
            });
            waiter.wait(&socket, Some(Duration::from_secs(10)));
        });
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        waiter.wait(&socket, Some(Duration::from_secs(10)));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
