//! The one binary: `serve` at home, `record` in the vehicle, and what an operator needs around them.
//!
//! What belongs in this crate: the command line, its configuration file, what a person reads on a
//! terminal, and the demo. What does not: how footage is recorded (`dashvault-recorder`), kept
//! (`dashvault-vault`) or checked bit by bit (`dashvault-media`). Each command is one module with
//! its flags on top and its `run` below; `cli` holds them together.
//!
//! `anyhow` is used here and nowhere else: below, every error is typed.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(feature = "vault")]
mod broken_index;
mod cli;
mod common;
mod config;
#[cfg(feature = "vault")]
mod data_folder;
#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "vault")]
mod device;
mod doctor;
#[cfg(feature = "recorder")]
mod drain;
mod failure;
mod http;
mod import;
mod lock;
#[cfg(any(feature = "recorder", feature = "vault"))]
mod memory;
mod out;
mod packs;
#[cfg(feature = "recorder")]
mod record;
#[cfg(feature = "vault")]
mod retention;
mod run;
#[cfg(feature = "vault")]
mod serve;
mod signals;
#[cfg(feature = "recorder")]
mod status;
#[cfg_attr(not(feature = "demo"), allow(dead_code, reason = "each command uses some of them"))]
mod units;
#[cfg(feature = "vault")]
mod user;
mod verify;

fn main() -> std::process::ExitCode {
    cli::main()
}
