//! Waiting for what will be true, with a limit and a message that says what was waited for.
//!
//! The panics are the point: these are assertions for end-to-end tests.

use std::time::{Duration, Instant};

/// Blocks until `condition` holds; looks every `poll`.
///
/// # Panics
/// After `limit`, naming `what`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, poll: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, poll, || condition().then_some(()));
}

/// Blocks until `find` gives something; looks every `poll`.
///
/// # Panics
/// After `limit`, naming `what`.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, poll: Duration, mut find: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        // Looked at once more after the limit, so that a slow look is not a failure.
        let late = started.elapsed() >= limit;
        if let Some(found) = find() {
            return found;
        }
        assert!(!late, "waited {limit:?} in vain: {what}");
        std::thread::sleep(poll);
    }
}

/// Returns when `condition` holds; looks every `poll`.
///
/// # Panics
/// After `limit`, naming `what`.
pub async fn wait_until_async(
    what: &str,
    limit: Duration,
    poll: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) {
    wait_for_async(what, limit, poll, async || condition().await.then_some(())).await;
}

/// Returns what `find` gives; looks every `poll`. A look that hangs is cut off at the limit.
///
/// # Panics
/// After `limit`, naming `what`.
pub async fn wait_for_async<T>(
    what: &str,
    limit: Duration,
    poll: Duration,
    mut find: impl AsyncFnMut() -> Option<T>,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = find().await {
                return found;
            }
            tokio::time::sleep(poll).await;
        }
    };
    match tokio::time::timeout(limit, looking).await {
        Ok(found) => found,
        Err(_) => panic!("waited {limit:?} in vain: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_comes_true_is_returned() {
        let mut looks = 0;
        let found = wait_for("third look", Duration::from_secs(10), MS, || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    #[should_panic(expected = "waited 5ms in vain: the moon")]
    fn what_never_comes_true_is_named() {
        wait_until("the moon", MS * 5, MS, || false);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_may_await() {
        let started = tokio::time::Instant::now();
        wait_until_async("a second", Duration::from_secs(9), MS, async || {
            started.elapsed() >= Duration::from_secs(1)
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "waited 60s in vain: an answer")]
    async fn a_look_that_hangs_is_cut_off() {
        wait_for_async("an answer", Duration::from_secs(60), MS, async || {
            std::future::pending::<Option<()>>().await
        })
        .await;
    }
}
