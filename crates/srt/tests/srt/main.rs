//! Listener and caller through sockets: against each other over a bad link, and against libsrt's tools.

#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod address;
mod both_ways;
mod connections;
mod libsrt;
mod line;
mod link;
mod loss;
mod peers;
mod traffic;
