//! The newest bytes of each camera, over SRT, now.
//!
//! Belongs here: the ring that the reader fills (`ring`), what of it has arrived (`ledger`), and the connection
//! (`link`, `session`). Not here: SRT itself (`dashvault-srt`), and what was not delivered (`backfill` carries it).

mod ledger;
pub(crate) mod link;
mod pace;
mod ring;
mod session;

pub(crate) use ledger::{Carried, LiveLedger};
pub(crate) use ring::LiveRing;
