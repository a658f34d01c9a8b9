//! What is deleted, when, and what never is. See `docs/design/retention.md`.
//!
//! Belongs here: the rules ([`rules`]), which packs they take ([`plan`]), both pure; and the task that carries them out
//! ([`keeper`]). Does not: SQL (`archive::index`), unlinking (`archive::objects`).

pub(crate) mod keeper;
pub(crate) mod plan;
pub(crate) mod rules;
mod summary;

#[cfg(test)]
mod crash;
#[cfg(test)]
mod tests;

pub(crate) use rules::Policy;
pub use summary::{RetentionError, RetentionReport, retention_report};
pub(crate) use summary::{Summary, summarize};
