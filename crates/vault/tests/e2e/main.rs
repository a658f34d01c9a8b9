//! A whole vault on loopback ports, driven as recorders, players and liars would drive it.

#![allow(clippy::unwrap_used, missing_docs)]

mod access;
mod announced;
mod clips;
mod film;
mod histories;
mod import;
mod lies;
mod live;
mod peers;
mod plain;
mod playlist;
mod restart;
mod retention;
mod rig;
mod speed;
mod thumbnails;
mod timeline;
mod tus;
mod tus_clients;
mod web;
