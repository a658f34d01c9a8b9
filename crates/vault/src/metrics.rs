//! What a vault counts, as Prometheus reads it.
//!
//! Each vault has its own recorder, so that several in one process do not mix. Labels come from fixed sets only.

use std::fmt;

use dashvault_base::LossCause;
use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::retention::plan::Reason;

const METADATA: Metadata<'static> = Metadata::new("dashvault", Level::INFO, Some(module_path!()));

/// All counters of one vault.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    pub(crate) live: Way,
    pub(crate) upload: Way,
    pub(crate) plain: Way,
    pub(crate) imported: Way,
    pub(crate) mismatches: Counter,
    pub(crate) packs_stored: Counter,
    pub(crate) finish_failures: Counter,
    pub(crate) receipts: Counter,
    pub(crate) announcements: Counter,
    pub(crate) srt_connections: Gauge,
    pub(crate) srt_lost_packets: Counter,
    pub(crate) http_connections: Gauge,
    pub(crate) objects_missing: Gauge,
    pub(crate) audit_lost: Counter,
    pub(crate) retention: RetentionMetrics,
    pub(crate) live_bytes: Gauge,
}

/// What retention does, and what is held.
pub(crate) struct RetentionMetrics {
    deleted: Vec<(Reason, Counter, Counter)>,
    pub(crate) failures: Counter,
    pub(crate) live_bytes: Counter,
    /// Expired packs whose object is still to be removed.
    pub(crate) pending: Gauge,
    /// Bounds that locks make unreachable.
    pub(crate) unmet: Gauge,
    pub(crate) stored_packs: Gauge,
    pub(crate) stored_bytes: Gauge,
    pub(crate) locked_packs: Gauge,
    pub(crate) locked_bytes: Gauge,
    /// Age of the oldest footage.
    pub(crate) oldest_seconds: Gauge,
}

/// What came one way.
pub(crate) struct Way {
    /// Bytes as they arrived.
    pub(crate) received_bytes: Counter,
    /// Segments that proved right (for plain streams: that ended).
    pub(crate) segments: Counter,
    /// Bytes of those.
    pub(crate) segment_bytes: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        describe(&recorder);
        let counter = |name: &'static str| recorder.register_counter(&Key::from_static_name(name), &METADATA);
        let gauge = |name: &'static str| recorder.register_gauge(&Key::from_static_name(name), &METADATA);
        Self {
            live: Way::new(&recorder, "live"),
            upload: Way::new(&recorder, "backfilled"),
            plain: Way::new(&recorder, "plain"),
            imported: Way::new(&recorder, "imported"),
            mismatches: counter("dashvault_segment_mismatches_total"),
            packs_stored: counter("dashvault_packs_stored_total"),
            finish_failures: counter("dashvault_finish_failures_total"),
            receipts: counter("dashvault_receipts_total"),
            announcements: counter("dashvault_announcements_total"),
            srt_connections: gauge("dashvault_srt_connections"),
            srt_lost_packets: counter("dashvault_srt_lost_packets_total"),
            http_connections: gauge("dashvault_http_connections"),
            objects_missing: gauge("dashvault_objects_missing"),
            audit_lost: counter("dashvault_audit_lost_total"),
            retention: RetentionMetrics::new(&recorder),
            live_bytes: gauge("dashvault_live_bytes"),
            handle,
            recorder,
        }
    }

    /// Something was refused; both labels are fixed codes.
    pub(crate) fn refused(&self, protocol: &'static str, reason: &'static str) {
        let labels = vec![Label::new("protocol", protocol), Label::new("reason", reason)];
        let key = Key::from_parts("dashvault_refused_total", labels);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// A loss that was not known before.
    pub(crate) fn lost(&self, cause: LossCause, lost_ms: u64) {
        let key = |name| Key::from_parts(name, vec![Label::new("cause", cause.name())]);
        self.recorder.register_counter(&key("dashvault_losses_total"), &METADATA).increment(1);
        self.recorder.register_counter(&key("dashvault_lost_ms_total"), &METADATA).increment(lost_ms);
    }

    /// An import has ended: `done`, `duplicate` or `failed`.
    pub(crate) fn import_ended(&self, result: &'static str) {
        let key = Key::from_parts("dashvault_imports_total", vec![Label::new("result", result)]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }
}

impl Way {
    fn new(recorder: &PrometheusRecorder, way: &'static str) -> Self {
        let counter = |name: &'static str| {
            let key = Key::from_parts(name, vec![Label::new("way", way)]);
            recorder.register_counter(&key, &METADATA)
        };
        Self {
            received_bytes: counter("dashvault_received_bytes_total"),
            segments: counter("dashvault_segments_total"),
            segment_bytes: counter("dashvault_segment_bytes_total"),
        }
    }

    pub(crate) fn segment(&self, bytes: u64) {
        self.segments.increment(1);
        self.segment_bytes.increment(bytes);
    }
}

impl RetentionMetrics {
    fn new(recorder: &PrometheusRecorder) -> Self {
        let counter = |name: &'static str| recorder.register_counter(&Key::from_static_name(name), &METADATA);
        let gauge = |name: &'static str| recorder.register_gauge(&Key::from_static_name(name), &METADATA);
        let by_rule = |name: &'static str, reason: Reason| {
            let key = Key::from_parts(name, vec![Label::new("rule", reason.name())]);
            recorder.register_counter(&key, &METADATA)
        };
        let deleted = |reason| {
            let packs = by_rule("dashvault_retention_deleted_packs_total", reason);
            (reason, packs, by_rule("dashvault_retention_deleted_bytes_total", reason))
        };
        Self {
            deleted: Reason::ALL.into_iter().map(deleted).collect(),
            failures: counter("dashvault_retention_failures_total"),
            live_bytes: counter("dashvault_retention_deleted_live_bytes_total"),
            pending: gauge("dashvault_retention_pending_packs"),
            unmet: gauge("dashvault_retention_unmet"),
            stored_packs: gauge("dashvault_stored_packs"),
            stored_bytes: gauge("dashvault_stored_bytes"),
            locked_packs: gauge("dashvault_locked_packs"),
            locked_bytes: gauge("dashvault_locked_bytes"),
            oldest_seconds: gauge("dashvault_oldest_footage_seconds"),
        }
    }

    /// Packs were marked for deletion.
    pub(crate) fn deleted(&self, reason: Reason, packs: u64, bytes: u64) {
        for (_, packs_of, bytes_of) in self.deleted.iter().filter(|(of, ..)| *of == reason) {
            packs_of.increment(packs);
            bytes_of.increment(bytes);
        }
    }
}

fn describe(recorder: &PrometheusRecorder) {
    for (name, text) in [
        ("dashvault_received_bytes_total", "Bytes as they arrived, by the way they came."),
        ("dashvault_segments_total", "Segments whose hash was right, by the way they came."),
        ("dashvault_segment_bytes_total", "Bytes of segments whose hash was right."),
        (
            "dashvault_segment_mismatches_total",
            "Segments whose bytes were all there but whose hash was wrong.",
        ),
        ("dashvault_packs_stored_total", "Packs made durable."),
        ("dashvault_finish_failures_total", "Complete packs that could not be made durable (tried again)."),
        ("dashvault_receipts_total", "Receipts given, repeated ones too."),
        ("dashvault_announcements_total", "Announcements taken."),
        ("dashvault_srt_lost_packets_total", "SRT packets given up."),
        ("dashvault_refused_total", "What was refused, by protocol and reason."),
        ("dashvault_audit_lost_total", "Lines of the audit log that could not be written."),
        ("dashvault_retention_deleted_packs_total", "Packs deleted, by the rule that took them."),
        ("dashvault_retention_deleted_bytes_total", "Bytes of packs deleted, by the rule that took them."),
        ("dashvault_retention_deleted_live_bytes_total", "Live bytes deleted that no recorder claimed."),
        ("dashvault_retention_failures_total", "Expired objects that could not be removed (tried again)."),
        ("dashvault_imports_total", "Imports that ended, by result."),
        ("dashvault_losses_total", "Losses noted, by cause."),
        ("dashvault_lost_ms_total", "Milliseconds of footage lost, by cause."),
    ] {
        recorder.describe_counter(name.into(), None, text.into());
    }
    recorder.describe_gauge("dashvault_srt_connections".into(), None, "SRT publishers now.".into());
    recorder.describe_gauge("dashvault_http_connections".into(), None, "HTTP connections now.".into());
    for (name, text) in [
        ("dashvault_retention_pending_packs", "Expired packs whose object is still to be removed."),
        ("dashvault_retention_unmet", "Retention bounds that locked events make unreachable."),
        ("dashvault_stored_packs", "Packs held."),
        ("dashvault_stored_bytes", "Bytes of packs held."),
        ("dashvault_locked_packs", "Packs that locked events keep."),
        ("dashvault_locked_bytes", "Bytes of packs that locked events keep."),
        ("dashvault_oldest_footage_seconds", "Age of the oldest footage held."),
    ] {
        recorder.describe_gauge(name.into(), None, text.into());
    }
    let held = "Bytes in memory for live viewers.";
    recorder.describe_gauge("dashvault_live_bytes".into(), None, held.into());
    let missing = "Stored packs whose object is gone or is not what was stored.";
    recorder.describe_gauge("dashvault_objects_missing".into(), None, missing.into());
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_vaults_count_apart_and_labels_show() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.live.segment(188);
        one.refused("srt", "unauthorized");
        one.lost(LossCause::Network, 1000);
        let text = one.render();
        assert!(text.contains("dashvault_segment_bytes_total{way=\"live\"} 188"), "{text}");
        assert!(
            text.contains("dashvault_refused_total{protocol=\"srt\",reason=\"unauthorized\"} 1"),
            "{text}"
        );
        assert!(text.contains("dashvault_lost_ms_total{cause=\"network\"} 1000"), "{text}");
        assert!(other.render().contains("dashvault_segment_bytes_total{way=\"live\"} 0"));
    }
}
