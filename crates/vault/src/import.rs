//! Foreign footage: received whole, remuxed, cut, sealed by the vault, and put at its own time. See
//! `docs/design/import.md`.
//!
//! Belongs here: what a file is and where it lies in time ([`names`], [`place`], [`tools`]: pure), files that come in
//! ([`upload`]), and the desk that runs one job after the other ([`desk`], [`job`]). Does not: HTTP; how packs become
//! durable (`store`).

pub(crate) mod desk;
mod job;
pub(crate) mod names;
pub(crate) mod place;
pub(crate) mod tools;
pub(crate) mod upload;

pub(crate) use desk::Desk;
