//! What the tests of the spool share: a stream cut into segments, and a spool on a disk that can crash.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses a part of it")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dashvault_base::{CameraName, PackId, RecordingId, WallMs};
use dashvault_disk::{Disk, DiskReader, OpenMode};
use dashvault_media::{
    PackReport, Segment, SegmentEntry, SegmentSink, Segmenter, SegmenterConfig, SigningKey, VerifyOptions,
    verify_pack,
};
use dashvault_spool::{
    CameraSpool, Folder, PackOnDisk, PackStart, RecoveryReport, SealedPack, SegmentOutcome, Spool,
    SpoolConfig, SpoolError, SpoolLayout, scan_packs,
};
use dashvault_testkit::{
    disk::CrashDisk,
    ts::{TsProfile, TsSource},
};

pub const WALL: WallMs = WallMs(1_795_342_500_000);
const ROOT: &str = "/spool";

/// A stream with its truth: segments and their bytes.
pub struct Footage {
    pub segments: Vec<(Segment, Vec<u8>)>,
}

impl Footage {
    /// Some seconds of small video, a segment each.
    pub fn seconds(seconds: u32, seed: u64) -> Self {
        let profile =
            TsProfile { fps: 5, gop: 5, bitrate: 24_000, audio: false, sdt: false, ..TsProfile::default() };
        Self::cut(&TsSource::stream(profile, seed, seconds).bytes)
    }

    pub fn cut(bytes: &[u8]) -> Self {
        #[derive(Default)]
        struct Sink {
            open: Vec<u8>,
            segments: Vec<(Segment, Vec<u8>)>,
        }
        impl SegmentSink for Sink {
            fn bytes(&mut self, run: &[u8]) {
                self.open.extend_from_slice(run);
            }
            fn closed(&mut self, segment: Segment) {
                self.segments.push((segment, std::mem::take(&mut self.open)));
            }
        }
        let mut segmenter = Segmenter::new(SegmenterConfig::default());
        let mut sink = Sink::default();
        segmenter.push(bytes, &mut sink).unwrap();
        segmenter.finish(&mut sink);
        Self { segments: sink.segments }
    }

    /// The entry of segment `index` in a pack that started with segment `first`.
    pub fn entry(&self, first: usize, index: usize) -> SegmentEntry {
        let before = &self.segments[first..index];
        let offset: u32 = before.iter().map(|(segment, _)| segment.duration.0 / 90).sum();
        SegmentEntry::new(&self.segments[index].0, offset)
    }

    /// All bytes from segment `first` on.
    pub fn bytes_from(&self, first: usize) -> Vec<u8> {
        self.segments[first..].iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }
}

pub fn camera(name: &str) -> CameraName {
    name.parse().unwrap()
}

pub fn root() -> &'static Path {
    Path::new(ROOT)
}

pub fn layout() -> SpoolLayout {
    SpoolLayout::new(root())
}

pub fn key() -> SigningKey {
    SigningKey::from_seed([7; 32])
}

pub fn pack(number: u32) -> PackId {
    PackId { recording: RecordingId::at(WALL), number }
}

pub fn start(pack: PackId) -> PackStart {
    let start_wall = WALL.plus_ms(i64::from(pack.number) * 3000);
    PackStart { pack, start_wall, start_mono_ms: 5000 + u64::from(pack.number) * 3000, boot_id: [3; 16] }
}

pub fn open(disk: &CrashDisk, config: SpoolConfig) -> Result<(Spool, RecoveryReport), SpoolError> {
    Spool::open(Arc::new(disk.clone()), root(), "bus".parse().unwrap(), key(), config)
}

/// Appends a segment in two pieces and ends it.
pub fn write_segment(
    writer: &mut CameraSpool,
    footage: &Footage,
    first: usize,
    index: usize,
) -> Result<SegmentOutcome, SpoolError> {
    let bytes = &footage.segments[index].1;
    let (head, tail) = bytes.split_at(bytes.len() / 2 / 188 * 188);
    writer.append(head)?;
    writer.append(tail)?;
    writer.end_segment(&footage.entry(first, index))
}

/// Records a whole pack of the segments `first..last`.
pub fn write_pack(
    writer: &mut CameraSpool,
    footage: &Footage,
    pack: PackId,
    first: usize,
    last: usize,
) -> Result<SealedPack, SpoolError> {
    writer.start_pack(start(pack))?;
    for index in first..last {
        write_segment(writer, footage, first, index)?;
    }
    Ok(writer.seal()?.unwrap())
}

/// What a receipt for `sealed` would make the recorder do.
pub fn receipt(spool: &Spool, camera: &CameraName, sealed: &SealedPack) -> Result<(), SpoolError> {
    let hash = sealed.signed.manifest().hash();
    spool.mark_stored(camera, sealed.pack, hash, sealed.bytes, b"receipt")
}

pub fn packs_on(disk: &CrashDisk) -> Vec<PackOnDisk> {
    scan_packs(disk, root()).unwrap()
}

pub fn folder_of(disk: &CrashDisk, camera: &CameraName, pack: PackId) -> Vec<Folder> {
    let all = packs_on(disk);
    all.into_iter().filter(|it| it.camera == *camera && it.pack == pack).map(|it| it.folder).collect()
}

pub fn read(disk: &CrashDisk, path: &Path) -> Vec<u8> {
    disk.read(path, u64::MAX).unwrap()
}

pub fn verify(disk: &CrashDisk, path: &Path, pack: PackId) -> PackReport {
    let file = disk.open(path, OpenMode::Read).unwrap();
    let public_key = Some(key().public_key());
    let options = VerifyOptions { public_key, pack: Some(pack), previous: None };
    verify_pack(&mut DiskReader::new(file), &options).unwrap_or_else(|error| panic!("{path:?}: {error:?}"))
}

/// Every file with its bytes.
pub fn everything(disk: &CrashDisk) -> Vec<(PathBuf, Vec<u8>)> {
    disk.files().into_iter().map(|path| (path.clone(), read(disk, &path))).collect()
}

pub fn write_file(disk: &CrashDisk, path: &Path, bytes: &[u8]) {
    let file = disk.open(path, OpenMode::Truncate).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(path.parent().unwrap()).unwrap();
}
