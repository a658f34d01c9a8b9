//! Request bodies: nothing, a piece of memory, or a stream whose length is known.
//!
//! Belongs here: hyper's view of them. Not here: what is in them.
//!
//! Invariant: the length told beforehand is the length sent, or the request fails.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// A request's body.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// In memory, perhaps empty.
    Whole(Bytes),
    /// As it comes.
    Stream {
        /// The pieces.
        pieces: mpsc::Receiver<Bytes>,
        /// Bytes that are still to come.
        left: u64,
    },
}

impl Outgoing {
    pub(super) const fn empty() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream { left: 0, .. } => Poll::Ready(None),
            Self::Stream { pieces, left } => pieces.poll_recv(context).map(|piece| {
                let piece = piece?;
                *left = left.saturating_sub(piece.len() as u64);
                Some(Ok(Frame::data(piece)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Stream { left, .. } => *left,
        })
    }
}
