//! Why footage does not exist, as counted on the vehicle and shown on the timeline.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The cause of a stretch of lost footage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossCause {
    /// The disk had no room, even after everything that may be deleted was deleted.
    DiskFull,
    /// A pack without a receipt was deleted so that recording could go on within the quota.
    Quota,
    /// The camera or its encoder gave no frames.
    Camera,
    /// Power or the recorder went away with a segment still open.
    PowerCut,
    /// The disk was too slow for the camera.
    Overflow,
    /// A live publisher without a spool lost packets on the network.
    Network,
}

impl LossCause {
    /// The name used in reports, metrics and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DiskFull => "disk-full",
            Self::Quota => "quota",
            Self::Camera => "camera",
            Self::PowerCut => "power-cut",
            Self::Overflow => "overflow",
            Self::Network => "network",
        }
    }
}

impl fmt::Display for LossCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
