//! How an announced pack comes to exist in the vault: the other half of `docs/design/reconciliation.md`.
//!
//! * [`assembly`]: pure; what is known and held of one pack, what is wanted, what is right and wrong.
//! * [`live_index`]: pure; which live bytes are there, and which announced segment they are.
//! * [`part`], [`scratch`]: their files.
//! * [`finish`]: the steps that make a complete pack durable.
//! * [`camera`]: one camera's packs and live bytes put together; what the store threads drive.
//!
//! Invariants 1 to 7 of that page are kept here; sockets, threads and the index's tables are not known here.

pub(crate) mod assembly;
pub(crate) mod camera;
pub(crate) mod finish;
pub(crate) mod live_index;
pub(crate) mod part;
pub(crate) mod scratch;

#[cfg(test)]
pub(crate) mod model;
