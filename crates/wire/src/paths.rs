//! Paths of the HTTP interface, and its version.

/// The version of this contract; a peer that speaks a newer one is refused with a clear error.
pub const PROTOCOL: u16 = 1;

/// `POST`: [`crate::AnnounceRequest`] in, [`crate::AnnounceReply`] out.
pub const ANNOUNCE: &str = "/api/v1/announce";

/// tus 1.0: `POST` creates, `HEAD` asks, `PATCH` appends, `DELETE` ends.
pub const UPLOADS: &str = "/api/v1/uploads";

/// `GET`: the vault lives and can reach its disk and index.
pub const HEALTH: &str = "/healthz";

/// `GET`: Prometheus metrics.
pub const METRICS: &str = "/metrics";
