//! The evidence bundle of a clip: its packs whole, the clip, the keys and a signed report, in one ZIP file.
//!
//! Belongs here: gathering it and writing it as a stream. Does not: the bundle's format (`dashvault_wire::evidence`), the
//! clip itself (`clips`). Blocking.
//!
//! Invariants: nothing is held in memory but one step of a file; a pack is verified as it is copied, so that a bundle never
//! claims what it does not have.

use std::{io::Read, path::Path, sync::Arc};

use dashvault_base::ContentHash;
use dashvault_disk::{Disk, DiskError, DiskFile, DiskReader, OpenMode};
use dashvault_media::{PackError, PublicKey, SignedManifest, SigningKey, VerifyOptions, verify_pack};
use dashvault_wire::evidence::{
    self, FileEntry, PACKS, PackEntry, REPORT, REPORT_HTML, Report, SIGNATURE, html,
    zip::{Crc, Entry, directory, local_header},
};

use crate::archive::{
    index::{PackRow, sealer_name},
    objects::{ObjectError, ObjectStore, SeekingReader},
};

/// Bytes between two looks whether to go on.
const STEP_BYTES: usize = 1 << 20;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("stopped")]
    Stopped,
    #[error("pack {pack} is not sound: it cannot be evidence")]
    Unsound { pack: String, source: PackError },
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("report cannot be written")]
    Report(#[from] serde_json::Error),
}

/// What goes into a bundle besides what the report says already.
pub(crate) struct Contents<'a> {
    pub(crate) objects: &'a Arc<dyn ObjectStore>,
    pub(crate) packs: Vec<PackRow>,
    /// The clip's file.
    pub(crate) clip: &'a Path,
    pub(crate) device_key: Option<PublicKey>,
    pub(crate) vault_key: &'a SigningKey,
}

/// Writes the bundle to `path`. `report` has no packs, files and keys yet. `step` is told of the bytes of each step, and
/// says whether to go on.
pub(crate) fn write(
    disk: &Arc<dyn Disk>,
    path: &Path,
    mut report: Report,
    contents: &Contents<'_>,
    step: &dyn Fn(u64) -> bool,
) -> Result<(), BundleError> {
    let file = disk.open(path, OpenMode::Truncate)?;
    let mut bundle = Bundle { file, at: 0, entries: Vec::new(), step };
    for row in &contents.packs {
        report.packs.push(pack(&mut bundle, contents, row, &mut report.files)?);
    }
    let clip = disk.open(contents.clip, OpenMode::Read)?;
    let len = clip.len()?;
    report.files.push(bundle.copy(&report.clip, len, &mut DiskReader::new(clip))?);
    report.device_key = contents.device_key.map(|key| key.to_string());
    report.vault_key = contents.vault_key.public_key().to_string();
    for (name, key) in
        [("keys/device.txt", &report.device_key), ("keys/vault.txt", &Some(report.vault_key.clone()))]
    {
        if let Some(key) = key {
            report.files.push(bundle.add(name, format!("{key}\n").as_bytes())?);
        }
    }
    report.files.push(bundle.add(REPORT_HTML, html(&report).as_bytes())?);
    let json = serde_json::to_vec_pretty(&report)?;
    bundle.add(REPORT, &json)?;
    bundle.add(SIGNATURE, evidence::seal(&json, contents.vault_key).as_bytes())?;
    bundle.finish()
}

/// Verifies a pack and copies it.
fn pack(
    bundle: &mut Bundle<'_>,
    contents: &Contents<'_>,
    row: &PackRow,
    files: &mut Vec<FileEntry>,
) -> Result<PackEntry, BundleError> {
    let object = contents.objects.open(&row.key)?;
    let unsound = |source| BundleError::Unsound { pack: row.key.to_string(), source };
    let verified = verify_pack(&mut SeekingReader::new(object.clone()), &VerifyOptions::default());
    let signed: SignedManifest = verified.map_err(unsound)?.signed;
    let name = format!("{PACKS}{}", row.key.pack.file_name());
    files.push(bundle.copy(&name, object.len(), &mut SeekingReader::new(object))?);
    let manifest = signed.manifest();
    Ok(PackEntry {
        file: name,
        manifest: manifest.hash(),
        previous: manifest.previous,
        sealed_by: sealer_name(manifest.sealed_by).to_owned(),
        signed_by: signed.public_key().to_string(),
        start: manifest.start_wall,
        duration_ms: manifest.duration_90k() / 90,
        segments: manifest.segments.len() as u64,
        stored_at: row.stored_at,
    })
}

/// A ZIP file that is being written.
struct Bundle<'a> {
    file: Arc<dyn DiskFile>,
    at: u64,
    entries: Vec<Entry>,
    step: &'a dyn Fn(u64) -> bool,
}

impl Bundle<'_> {
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<FileEntry, BundleError> {
        self.copy(name, bytes.len() as u64, &mut &*bytes)
    }

    /// Copies `len` bytes. The header is written twice, as it has the checksum and comes first.
    fn copy(&mut self, name: &str, len: u64, from: &mut dyn Read) -> Result<FileEntry, BundleError> {
        let mut entry = Entry { name: name.to_owned(), bytes: len, crc: 0 };
        let header_at = self.at;
        let mut at = header_at + local_header(&entry).len() as u64;
        let (mut crc, mut hasher) = (Crc::new(), blake3::Hasher::new());
        let mut buffer = vec![0; STEP_BYTES];
        let mut left = len;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = from.read(&mut buffer[..most]).map_err(|source| short(&self.file, source))?;
            if read == 0 {
                return Err(short(&self.file, std::io::ErrorKind::UnexpectedEof.into()));
            }
            let bytes = &buffer[..read];
            crc.push(bytes);
            hasher.update(bytes);
            self.file.write_all_at(bytes, at)?;
            at += read as u64;
            left -= read as u64;
            if !(self.step)(read as u64) {
                return Err(BundleError::Stopped);
            }
        }
        entry.crc = crc.value();
        self.file.write_all_at(&local_header(&entry), header_at)?;
        self.at = at;
        self.entries.push(entry);
        Ok(FileEntry { name: name.to_owned(), bytes: len, blake3: ContentHash::from(hasher.finalize()) })
    }

    fn finish(self) -> Result<(), BundleError> {
        self.file.write_all_at(&directory(&self.entries), self.at)?;
        Ok(())
    }
}

fn short(file: &Arc<dyn DiskFile>, source: std::io::Error) -> BundleError {
    BundleError::Disk(DiskError::new(dashvault_disk::Operation::Read, file.path(), source))
}
