//! The protocol core proved against itself: a caller and a listener over a network of virtual time.
//!
//! What a run is: [`scenario`] is data; [`run`] plays it between two ends ([`endpoint`]) over the [`network`], with
//! [`application`]s that know each payload and [`hostile`] others; [`oracle`] says what is wrong with the
//! [`run::Outcome`]. Everything follows from the scenario and its seed: a failure prints both.
//! No sockets, no clock, no threads here.

mod application;
mod core_ends;
mod economy;
mod endpoint;
mod fake;
mod flawed;
mod heap;
mod hostile;
mod long;
mod lottery;
mod network;
mod oracle;
mod proof;
mod run;
mod scenario;
mod scenarios;
