//! A packet or a piece of a stream, and its place in the air: ordered by arrival, then by departure.

use std::{cmp::Ordering, time::Instant};

/// A byte stream's identity within the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::link) struct FlowId(pub(in crate::link) u64);

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Datagram,
    Stream(FlowId),
}

#[derive(Debug, Clone)]
pub(super) struct Parcel<T> {
    pub(super) bytes: u64,
    pub(super) kind: Kind,
    pub(super) item: T,
}

#[derive(Debug)]
pub(super) struct Flying<T> {
    pub(super) due: Instant,
    pub(super) order: u64,
    pub(super) parcel: Parcel<T>,
}

impl<T> Ord for Flying<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

impl<T> PartialOrd for Flying<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Flying<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Flying<T> {}
