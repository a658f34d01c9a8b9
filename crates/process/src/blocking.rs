//! Waiting for a future on a plain thread, with a deadline.
//!
//! Belongs here: the bridge that gives every future of this crate a `_blocking` twin, and every blocking call a future
//! twin. Not here: anything about processes.
//!
//! Invariant: needs no runtime. The futures of this crate are woken by threads, never by a reactor or a timer.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use tokio::sync::oneshot;

/// Stack of the small threads that wait and copy: far more than they need, far less than the default.
const STACK_BYTES: usize = 256 * 1024;

/// Runs `future` on this thread; `None` when `deadline` comes first.
pub(crate) fn block_until<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        while !unpark.woken.swap(false, Ordering::Acquire) {
            match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(left) if left.is_zero() => return None,
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

/// Runs `future` on this thread to its end.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    block_until(None, future).expect("without a deadline the future runs to its end")
}

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Starts a named thread with a small stack.
pub(crate) fn small_thread(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(body).map(drop)
}

/// Runs blocking `work` on a thread of its own and awaits its result; `None` if it panicked.
pub(crate) async fn off_thread<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let (done, result) = oneshot::channel();
    small_thread(name, move || drop(done.send(work())))?;
    Ok(result.await.ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_future_woken_from_another_thread_completes() {
        let (send, receive) = oneshot::channel();
        small_thread("sender".into(), move || send.send(7).unwrap()).unwrap();
        assert_eq!(block_on(receive), Ok(7));
    }

    #[test]
    fn the_deadline_ends_the_wait() {
        let (_send, receive) = oneshot::channel::<()>();
        assert!(block_until(Some(Instant::now() + Duration::from_millis(5)), receive).is_none());
    }
}
