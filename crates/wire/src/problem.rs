//! Errors as they travel: RFC 9457 problem details.

use serde::{Deserialize, Serialize};

/// The content type of a [`Problem`].
pub const CONTENT_TYPE: &str = "application/problem+json";

/// One error, for people (`title`, `detail`) and programs (`type`, `status`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A stable name: `urn:dashvault:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, in a few words that do not change.
    pub title: String,
    /// What went wrong this time, and what to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Problem {
    /// A problem with a stable `code` such as `hash-mismatch`.
    #[must_use]
    pub fn new(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:dashvault:problem:{code}"),
            status,
            title: title.to_owned(),
            detail: detail.into(),
        }
    }

    /// The stable code at the end of `type`.
    #[must_use]
    pub fn code(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }
}
