//! A backlog of 1 GiB over loopback until it is durable in the vault, beside `cp` and `sync` of the same files.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use dashvault_base::WallMs;
use dashvault_disk::OsDisk;
use dashvault_media::{
    PackCutter, PackLimits, Segment, SegmentEntry, SegmentSink, Segmenter, SegmenterConfig, SigningKey,
};
use dashvault_proof::{Rig, RigOptions, compare, programs::run as run_command};
use dashvault_spool::{CameraSpool, PackStart, Spool, SpoolConfig};
use dashvault_testkit::ts::{TsProfile, TsSource};
use dashvault_wire::DeviceToken;

const BYTES: u64 = 1 << 30;
const ROUNDS: usize = 3;

pub(super) async fn run() -> Result<()> {
    for round in 1..=ROUNDS {
        let mut rig = Rig::new(RigOptions { seed: round as u64, ..RigOptions::default() }).await?;
        fill(&rig.spool(), rig.token())?;
        let copied = copy(&rig)?;
        rig.start_vault().await?;
        let since = Instant::now();
        rig.drain()?;
        let drained = since.elapsed();
        let comparison = compare(&rig.spool(), &rig.data(), Rig::DEVICE)?;
        ensure!(comparison.is_whole(), "{comparison:?}");
        println!(
            "round {round}: {} packs, cp + sync {:.2} s, drained and durable {:.2} s, ratio {:.2} (goal: at most 1.5)",
            comparison.packs,
            copied.as_secs_f64(),
            drained.as_secs_f64(),
            drained.as_secs_f64() / copied.as_secs_f64(),
        );
    }
    Ok(())
}

fn copy(rig: &Rig) -> Result<Duration> {
    let (from, to) = (rig.spool(), rig.folder().join("copy"));
    run_command(&mut Command::new("sync"))?;
    let since = Instant::now();
    run_command(Command::new("cp").arg("-r").arg(&from).arg(&to))?;
    run_command(&mut Command::new("sync"))?;
    let took = since.elapsed();
    std::fs::remove_dir_all(to)?;
    Ok(took)
}

/// Fills a spool with sealed packs, as a day without a link would.
fn fill(root: &Path, token: &DeviceToken) -> Result<()> {
    let key = SigningKey::from_seed(token.signing_seed());
    let device = Rig::DEVICE.parse()?;
    let (spool, _) = Spool::open(Arc::new(OsDisk), root, device, key, SpoolConfig::default())?;
    let camera = "front".parse()?;
    let recording = spool.next_recording_id(&camera, WallMs::from_civil(2026, 11, 22, 10, 15, 0))?;
    let mut writer = Writer {
        spool: spool.camera(&camera)?,
        cutter: PackCutter::new(PackLimits::default()),
        bytes: Vec::new(),
        number: 0,
        recording,
    };
    let mut source = TsSource::new(TsProfile { bitrate: 8_000_000, ..TsProfile::default() }, 1);
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    let (mut total, mut gop) = (0, Vec::new());
    writer.start();
    while total < BYTES {
        gop.clear();
        source.gop(&mut gop);
        total += gop.len() as u64;
        segmenter.push(&gop, &mut writer)?;
    }
    segmenter.finish(&mut writer);
    writer.spool.seal()?;
    Ok(())
}

struct Writer {
    spool: CameraSpool,
    cutter: PackCutter,
    bytes: Vec<u8>,
    number: u32,
    recording: dashvault_base::RecordingId,
}

impl Writer {
    fn start(&mut self) {
        let pack = dashvault_base::PackId { recording: self.recording, number: self.number };
        let start =
            PackStart { pack, start_wall: self.recording.start(), start_mono_ms: 0, boot_id: [0; 16] };
        self.spool.start_pack(start).expect("the disk takes a pack");
        self.number += 1;
    }
}

impl SegmentSink for Writer {
    fn bytes(&mut self, run: &[u8]) {
        self.bytes.extend_from_slice(run);
    }

    fn closed(&mut self, segment: Segment) {
        self.spool.append(&self.bytes).expect("the disk takes bytes");
        self.spool.end_segment(&SegmentEntry::new(&segment, 0)).expect("the disk syncs");
        self.bytes.clear();
        if self.cutter.closed(&segment) {
            self.spool.seal().expect("the disk takes a trailer");
            self.start();
        }
    }
}
