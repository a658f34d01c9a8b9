//! Listener and caller through sockets: against each other over a bad link, and against libsrt's tools.

#![allow(clippy::unwrap_used)]

mod connections;
mod libsrt;
mod link;
mod loss;
mod traffic;
