//! The server's side: it receives, keeps and hands out what the vehicles recorded.
//!
//! One folder each: [`archive`] (objects and index), `assembler` (how a pack comes to exist here), `ingest` (SRT),
//! `http`, `store` (the threads that touch the disk). See `docs/design/vault.md` for tasks, folders and crashes.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod archive;
mod arriving;
mod assembler;
mod audit;
mod auth;
mod catalog;
mod clips;
mod config;
mod core;
pub mod devices;
mod evidence;
mod http;
mod import;
mod ingest;
mod keys;
mod layout;
mod live;
mod metrics;
mod plain;
mod publishing;
mod requests;
mod retention;
mod store;
mod thumbnails;
mod timeline;
mod uploads;
pub mod users;
mod vault;

pub use catalog::{CatalogError, IndexedObject, ObjectInfo, list_objects};
pub use config::{ClipConfig, Limits, Network, NetworkError, VaultConfig};
pub use keys::KeyError;
pub use retention::{RetentionError, RetentionReport, retention_report};
pub use vault::{RunningVault, StartError, Vault};
