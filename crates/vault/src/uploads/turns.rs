//! Whose turn it is to write an upload: the newest connection's.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

/// The turns of one upload.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Of the newest connection that wants to write.
    newest: Mutex<CancellationToken>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The right to write an upload, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Cancelled when a newer connection wants the turn: finish what came, then drop it.
    pub(crate) over: CancellationToken,
    _held: OwnedMutexGuard<()>,
}

impl Turns {
    /// Takes the turn. Whoever has it is told to stop; all it brought is written on return. `None` when a yet newer
    /// connection wants it.
    ///
    /// # Cancel safety
    /// The turn is not taken when the future is dropped, but the one before ends all the same.
    pub(crate) async fn take(&self) -> Option<Turn> {
        let over = CancellationToken::new();
        self.announce(&over);
        let _held = self.turn.clone().lock_owned().await;
        (!over.is_cancelled()).then_some(Turn { over, _held })
    }

    /// Tells whoever was the newest that they are not.
    fn announce(&self, over: &CancellationToken) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *newest, over.clone()).cancel();
    }

    /// Whether nobody has the turn.
    pub(crate) fn is_idle(&self) -> bool {
        self.turn.try_lock().is_ok()
    }
}
