//! Children that die at random moments, and waiting for a condition instead of sleeping.

#[cfg(unix)]
mod child;
mod kill_plan;
mod ports;
mod wait;

#[cfg(unix)]
pub use child::{ChildGuard, is_running};
pub use kill_plan::{Kill, KillPlan};
pub use ports::{free_port, free_tcp_port, free_udp_port};
pub use wait::{wait_for, wait_for_async, wait_until, wait_until_async};
