//! What the demo comes to: for people, and as JSON for programs.

use std::{collections::BTreeMap, fmt};

use dashvault_recorder::{RecorderStatus, status::WireStatus};
use dashvault_testkit::link::Tallies;
use serde::Serialize;

use crate::{
    units::{show_bytes, show_seconds},
    verify,
};

/// The demo's result. Keys are kept from version to version; new ones may come.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether nothing was lost and every pack is identical.
    pub(super) ok: bool,
    /// How long it recorded.
    pub(super) seconds: f64,
    /// The link's script followed from it.
    pub(super) seed: u64,
    /// How many cameras.
    pub(super) cameras: usize,
    /// Whether the footage was real.
    pub(super) real_footage: bool,
    /// How often the link went down.
    pub(super) outages: usize,
    /// Packs on the vehicle.
    pub(super) packs: u64,
    /// Packs whose object in the vault is the same, byte for byte.
    pub(super) packs_identical: u64,
    /// Seconds of footage recorded, over all cameras.
    pub(super) footage_seconds: f64,
    /// Seconds of footage that will never be in the vault.
    pub(super) lost_seconds: f64,
    /// The same by cause.
    pub(super) lost_by_cause: BTreeMap<String, f64>,
    /// Bytes of the packs' bodies: what the cameras gave.
    pub(super) footage_bytes: u64,
    /// UDP and TCP payload that the vehicle sent.
    pub(super) wire_bytes: u64,
    /// UDP and TCP payload that the vault sent.
    pub(super) wire_down_bytes: u64,
    /// `wire_bytes` over `footage_bytes`.
    pub(super) wire_ratio: f64,
    /// What the recorder handed to the network, by purpose.
    pub(super) wire_by_purpose: Option<WireStatus>,
    /// From the link's return to the first live segment in the vault, the longest; `None`: it never went down.
    pub(super) relink_to_live_ms: Option<u64>,
    /// The median of the same.
    pub(super) relink_to_live_median_ms: Option<u64>,
    /// Each of them, in order.
    pub(super) relinks_to_live_ms: Vec<u64>,
    /// How long the backlog took at the end.
    pub(super) drain_seconds: f64,
    /// What is wrong, in words.
    pub(super) problems: Vec<String>,
}

/// What the report is made of.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) seconds: f64,
    pub(super) seed: u64,
    pub(super) cameras: usize,
    pub(super) real_footage: bool,
    pub(super) outages: usize,
    pub(super) drain_seconds: f64,
    pub(super) verified: &'a verify::Report,
    pub(super) recorder: Option<&'a RecorderStatus>,
    pub(super) tallies: Tallies,
    pub(super) relinks_ms: Vec<u64>,
}

impl Report {
    pub(super) fn new(facts: Facts<'_>) -> Self {
        let lost_by_cause = lost_by_cause(facts.recorder);
        // From 0.0 on: the sum of nothing is -0.0.
        let lost_seconds = lost_by_cause.values().fold(0.0, |sum, seconds| sum + seconds);
        let footage_bytes = facts.verified.footage_bytes;
        let wire_bytes = facts.tallies.to_vault.payload_bytes();
        let problems = problems(&facts, lost_seconds);
        let mut sorted = facts.relinks_ms.clone();
        sorted.sort_unstable();
        Self {
            ok: problems.is_empty(),
            seconds: facts.seconds,
            seed: facts.seed,
            cameras: facts.cameras,
            real_footage: facts.real_footage,
            outages: facts.outages,
            packs: facts.verified.packs_sealed_on_vehicle,
            packs_identical: facts.verified.packs_identical,
            footage_seconds: facts.verified.footage_seconds,
            lost_seconds,
            lost_by_cause,
            footage_bytes,
            wire_bytes,
            wire_down_bytes: facts.tallies.to_vehicle.payload_bytes(),
            wire_ratio: wire_bytes as f64 / (footage_bytes as f64).max(1.0),
            wire_by_purpose: facts.recorder.map(|status| status.wire),
            relink_to_live_ms: sorted.last().copied(),
            relink_to_live_median_ms: sorted.get(sorted.len() / 2).copied(),
            relinks_to_live_ms: facts.relinks_ms,
            drain_seconds: facts.drain_seconds,
            problems,
        }
    }
}

fn lost_by_cause(recorder: Option<&RecorderStatus>) -> BTreeMap<String, f64> {
    let mut lost = BTreeMap::new();
    for (cause, ms) in
        recorder.into_iter().flat_map(|status| &status.cameras).flat_map(|camera| &camera.lost_ms)
    {
        *lost.entry(cause.to_string()).or_insert(0.0) += *ms as f64 / 1000.0;
    }
    lost
}

fn problems(facts: &Facts<'_>, lost_seconds: f64) -> Vec<String> {
    let verified = facts.verified;
    let mut problems: Vec<String> = verified.wrong.iter().map(ToString::to_string).collect();
    if facts.recorder.is_none() {
        problems.push("the recorder left no status".to_owned());
    }
    if lost_seconds > 0.0 {
        problems.push(format!("{lost_seconds:.1} s of footage were lost"));
    }
    if verified.packs_sealed_on_vehicle == 0 {
        problems.push("nothing was recorded".to_owned());
    }
    if verified.packs_on_vehicle_only > 0 {
        problems.push(format!("{} packs are not in the vault", verified.packs_on_vehicle_only));
    }
    if verified.packs_open > 0 {
        problems.push(format!("{} packs were left open", verified.packs_open));
    }
    // What a camera should have given, less the time it takes to start.
    let expected = (facts.seconds - 3.0) * facts.cameras as f64;
    if verified.footage_seconds < expected {
        let found = verified.footage_seconds;
        problems
            .push(format!("only {found:.1} s were recorded where at least {expected:.1} s should have been"));
    }
    problems
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"));
        writeln!(f)?;
        writeln!(f, "  packs identical      {}/{}, compared byte by byte", self.packs_identical, self.packs)?;
        writeln!(
            f,
            "  footage              {}, {}",
            show_seconds(self.footage_seconds),
            show_bytes(self.footage_bytes)
        )?;
        writeln!(f, "  lost                 {:.1} s", self.lost_seconds)?;
        for (cause, seconds) in &self.lost_by_cause {
            writeln!(f, "                       {seconds:.1} s by {cause}")?;
        }
        writeln!(
            f,
            "  wire / footage       {:.3}  ({} up, {} down, {} outages)",
            self.wire_ratio,
            show_bytes(self.wire_bytes),
            show_bytes(self.wire_down_bytes),
            self.outages,
        )?;
        writeln!(
            f,
            "  link up to live      {} median, {} longest",
            ms(self.relink_to_live_median_ms),
            ms(self.relink_to_live_ms),
        )?;
        writeln!(f, "  backlog at the end   sent in {}", show_seconds(self.drain_seconds))?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "  PROBLEM  {problem}"))?;
        writeln!(f)?;
        writeln!(
            f,
            "  {}",
            if self.ok { "OK: what the cameras saw is in the vault, byte for byte." } else { "FAILED." }
        )
    }
}
