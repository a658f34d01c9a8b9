//! Caller against listener, on virtual time.

mod closing;
mod connecting;
mod ghosts;
mod hostile;
mod keys;
mod migration;
