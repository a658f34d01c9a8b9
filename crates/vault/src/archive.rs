//! What is durable: objects (the packs) and the index over them.
//!
//! Invariant: an index row exists only for an object that is durable. The index can be rebuilt from the objects.

pub mod index;
pub mod objects;
pub(crate) mod reconcile;
