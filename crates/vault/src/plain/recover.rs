//! Sealing the open packs that a crash left: cut again, torn tail dropped, signed by the vault.

use std::path::Path;

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, WallMs};
use dashvault_disk::{DiskFile, DiskReader, EntryKind, OpenMode};
use dashvault_media::{
    MAX_SEGMENTS_PER_PACK, Manifest, PACKET_BYTES, Packet, SealedBy, Segment, SegmentEntry, SegmentSink,
    Segmenter, SegmenterConfig, SignedManifest, SigningKey, VerifyOptions, trailer, verify_pack,
};

use super::{PlainError, job};
use crate::{
    archive::{index::How, objects::ObjectKey},
    assembler::{
        finish::{Archive, FinishError, FinishJob},
        part::PIECE_BYTES,
    },
    layout::Layout,
};

/// Packets that are read at once.
const PACKETS_AT_ONCE: usize = 1024;
/// What a disk writes whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// What recovery did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Packs that were sealed and are durable now.
    pub(crate) packs: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
    /// Files without one whole segment, removed.
    pub(crate) empty: u64,
    /// Packs that could not be made durable; they stay for the next start.
    pub(crate) failed: u64,
}

/// Seals every open pack that is there and makes it durable.
pub(crate) fn recover(archive: &Archive, layout: &Layout, key: &SigningKey) -> Result<Recovered, PlainError> {
    let mut result = Recovered::default();
    let root = layout.plain_root();
    for device in folders(archive, &root)? {
        let Ok(device_id) = device.parse::<DeviceId>() else { continue };
        for camera in folders(archive, &root.join(&device))? {
            let Ok(camera_name) = camera.parse::<CameraName>() else { continue };
            recover_camera(archive, layout, key, &device_id, &camera_name, &mut result)?;
        }
    }
    Ok(result)
}

/// The pack and start of an open pack's file name.
pub(super) fn parse_name(name: &str) -> Option<(PackId, WallMs)> {
    let (pack, wall) = name.strip_suffix(".ts")?.split_once('@')?;
    Some((pack.parse().ok()?, WallMs(wall.parse().ok()?)))
}

fn folders(archive: &Archive, dir: &Path) -> Result<Vec<String>, PlainError> {
    let entries = match archive.disk.list(dir) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        entries => entries?,
    };
    Ok(entries.into_iter().filter(|entry| entry.kind == EntryKind::Dir).map(|entry| entry.name).collect())
}

fn recover_camera(
    archive: &Archive,
    layout: &Layout,
    key: &SigningKey,
    device: &DeviceId,
    camera: &CameraName,
    result: &mut Recovered,
) -> Result<(), PlainError> {
    let folder = layout.plain(device, camera);
    let mut previous = archive.index.last_plain_manifest(device, camera)?.unwrap_or(ContentHash::ZERO);
    for entry in archive.disk.list(&folder)? {
        let Some((pack, start_wall)) = parse_name(&entry.name) else { continue };
        let path = folder.join(&entry.name);
        let job = match sealed_already(archive, &path)? {
            Some(signed) => FinishJob {
                key: ObjectKey { device: device.clone(), camera: camera.clone(), pack },
                how: vec![How::Plain; signed.manifest().segments.len()],
                from: path,
                in_doubt: false,
                signed,
            },
            None => {
                let manifest = |start_wall, segments| Manifest {
                    device: device.clone(),
                    camera: camera.clone(),
                    pack,
                    sealed_by: SealedBy::Vault,
                    start_wall,
                    start_mono_ms: 0,
                    boot_id: [0; 16],
                    previous,
                    segments,
                };
                let empty = |start_wall| SignedManifest::sign(manifest(start_wall, Vec::new()), key);
                let beginning = common(&trailer(&empty(WallMs(0))?), &trailer(&empty(WallMs(-1))?));
                let segments = segments(archive, &path, &beginning)?;
                if segments.is_empty() {
                    archive.disk.remove_durably(&path)?;
                    result.empty += 1;
                    continue;
                }
                job(manifest(start_wall, segments), path, How::Plain, key)?
            }
        };
        match archive.finish(&job) {
            Ok(row) => {
                previous = row.manifest;
                result.packs += 1;
                result.bytes += row.bytes;
            }
            Err(error) => {
                report(&job.key.to_string(), &error);
                result.failed += 1;
            }
        }
    }
    Ok(())
}

fn report(object: &str, error: &FinishError) {
    let error: &dyn std::error::Error = error;
    tracing::error!(
        object,
        error,
        "recovered pack cannot be made durable; it is tried again at the next start"
    );
}

/// The manifest of a pack that was sealed but not moved before the crash, if it is sound in every bit.
fn sealed_already(archive: &Archive, path: &Path) -> Result<Option<SignedManifest>, PlainError> {
    let mut reader = DiskReader::new(archive.disk.open(path, OpenMode::Read)?);
    Ok(verify_pack(&mut reader, &VerifyOptions::default()).ok().map(|report| report.signed))
}

/// Cuts the file again, as far as it is sound. So a segment counts only where its bytes directly follow those before.
fn segments(archive: &Archive, path: &Path, trailer: &[u8]) -> Result<Vec<SegmentEntry>, PlainError> {
    let file = archive.disk.open(path, OpenMode::Read)?;
    let sound = sound_bytes(file.as_ref(), trailer)?;
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    let mut entries = Entries::default();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut at = 0;
    while at < sound {
        let wanted = usize::try_from(sound - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        file.read_exact_at(&mut buffer[..wanted], at)?;
        if segmenter.push(&buffer[..wanted], &mut entries).is_err() {
            break;
        }
        at += wanted as u64;
    }
    segmenter.finish(&mut entries);
    entries.0.truncate(MAX_SEGMENTS_PER_PACK);
    Ok(entries.0)
}

/// How many bytes are as they came: up to a torn trailer (`trailer` is how it begins), or up to the first packet that a power cut took. It takes whole sectors, and
/// leaves zeros or the end of the file; a sector always has a packet's first byte, unless it is the file's last.
fn sound_bytes(file: &dyn DiskFile, trailer: &[u8]) -> Result<u64, PlainError> {
    let len = file.len()?;
    let packet_bytes = PACKET_BYTES as u64;
    let mut buffer = vec![0; PACKETS_AT_ONCE * PACKET_BYTES];
    let mut sound = 0;
    let mut last = [0; PACKET_BYTES];
    'file: while sound < len {
        let wanted = usize::try_from(len - sound).unwrap_or(buffer.len()).min(buffer.len());
        file.read_exact_at(&mut buffer[..wanted], sound)?;
        let packets = buffer[..wanted].as_chunks::<PACKET_BYTES>().0;
        for packet in packets {
            if Packet::parse(packet).is_none() || packet.starts_with(trailer) {
                break 'file;
            }
            last = *packet;
            sound += packet_bytes;
        }
        if packets.len() * PACKET_BYTES < wanted {
            break;
        }
    }
    // The hole may begin within the last packet that still has its first byte.
    let start = sound.saturating_sub(packet_bytes);
    let sector = start.next_multiple_of(SECTOR_BYTES);
    let in_packet = usize::try_from(sector - start).unwrap_or(PACKET_BYTES);
    let torn = sector > start
        && last.get(in_packet..).is_some_and(|rest| !rest.is_empty() && rest.iter().all(|byte| *byte == 0));
    Ok(if torn { start } else { sound })
}

/// What two trailers of the same pack begin with, whatever else they say.
fn common(one: &[u8], other: &[u8]) -> Vec<u8> {
    let same = one.iter().zip(other).take(PACKET_BYTES).take_while(|(a, b)| a == b);
    same.map(|(byte, _)| *byte).collect()
}

/// Entries whose wall times follow from the durations.
#[derive(Default)]
struct Entries(Vec<SegmentEntry>);

impl SegmentSink for Entries {
    fn bytes(&mut self, _run: &[u8]) {}

    fn closed(&mut self, segment: Segment) {
        let start_ms = self.0.last().map_or(0, |last| {
            let lasted = u32::try_from(last.duration.to_duration().as_millis()).unwrap_or(u32::MAX);
            last.wall_offset_ms.saturating_add(lasted)
        });
        self.0.push(SegmentEntry::new(&segment, start_ms));
    }
}
