//! Listener and caller through sockets: against each other over a bad link, and against libsrt's tools.

#![allow(clippy::unwrap_used)]

mod both_ways;
mod connections;
mod libsrt;
mod link;
mod loss;
mod traffic;
