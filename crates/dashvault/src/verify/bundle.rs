//! An evidence bundle, checked without a vault: the file around it, the report's signature, every file, every pack.
//!
//! What belongs here: the order of it and what is told. What a pack proves, `audit` and `chain` say; the bundle's format
//! is `dashvault_wire::evidence`'s.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::PathBuf,
};

use dashvault_base::ContentHash;
use dashvault_media::{PublicKey, SealedBy};
use dashvault_wire::evidence::{
    FORMAT, FileEntry, PACKS, PackEntry, REPORT, Report as Evidence, SIGNATURE, check_seal,
};

use super::{
    Progress,
    audit::{self, Audited},
    chain,
    report::{Finding, Report},
    vault::Expired,
};
use crate::{
    failure::{Failure, OrNext},
    packs::{Found, Place, State},
};

mod source;

use source::Source;

const NEXT: &str =
    "check --bundle: it is the .zip that the dashboard gave, or the folder that it was unpacked to";
/// Far longer than the report of the longest clip.
const MOST_REPORT_BYTES: u64 = 64 << 20;
const READ_BYTES: usize = 256 * 1024;

/// A bundle, and the keys that it must be signed with as far as they are known.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    /// The ZIP file or folder.
    pub(crate) path: PathBuf,
    /// The device's key or its fingerprint.
    pub(crate) device_key: Option<String>,
    /// The vault's.
    pub(crate) vault_key: Option<String>,
}

/// Checks a bundle; tells what is wrong in `report`.
///
/// # Errors
/// A [`Failure`] when there is nothing to check. What is wrong with a bundle is no error.
pub(super) fn check(bundle: &Bundle, report: &mut Report, progress: &mut Progress) -> Result<(), Failure> {
    let path = &bundle.path;
    let opened = Source::open(path).or_next(format_args!("read the bundle {}", path.display()), NEXT)?;
    let source = match opened {
        Ok(source) => source,
        Err(altered) => {
            report.wrong(altered);
            return Ok(());
        }
    };
    let Some((evidence, signer)) = signed_report(&source, report) else { return Ok(()) };
    progress.expect(evidence.files.iter().map(|file| file.bytes).sum());
    check_keys(bundle, &evidence, signer, &source, report);
    check_names(&evidence, &source, report);
    let packs: BTreeMap<&str, &PackEntry> =
        evidence.packs.iter().map(|pack| (pack.file.as_str(), pack)).collect();
    let mut audited = Vec::new();
    for file in evidence.files.iter().filter(|file| source.has(&file.name)) {
        progress.at(&source.path_of(&file.name));
        let before = report.wrong.len();
        if let Some(pack) = packs.get(file.name.as_str()) {
            audited.extend(check_pack(&source, file, pack, &evidence, report));
        }
        if report.wrong.len() == before {
            check_hash(&source, file, report);
        }
        progress.advance(file.bytes);
    }
    chain::check(Place::Bundle, &audited, &Expired::default(), report);
    tell(&evidence, report);
    Ok(())
}

/// The report, if it is the one that was signed.
fn signed_report(source: &Source, report: &mut Report) -> Option<(Evidence, PublicKey)> {
    let mut wrong = |name: &str, problem: String| {
        report.wrong(Finding::of_file(source.path_of(name), problem));
        None
    };
    let json = match source.read(REPORT, MOST_REPORT_BYTES) {
        Ok(json) => json,
        Err(error) => return wrong(REPORT, format!("cannot be read: {error}")),
    };
    let seal = match source.read(SIGNATURE, 4096) {
        Ok(seal) => seal,
        Err(error) => return wrong(SIGNATURE, format!("cannot be read: {error}")),
    };
    let signer = match check_seal(&json, &seal) {
        Ok(signer) => signer,
        Err(error) => return wrong(REPORT, format!("is not what the vault signed: {error}")),
    };
    match serde_json::from_slice::<Evidence>(&json) {
        Ok(evidence) if evidence.format == FORMAT => Some((evidence, signer)),
        Ok(evidence) => {
            wrong(REPORT, format!("has format {:?}, and this program knows {FORMAT}", evidence.format))
        }
        Err(error) => wrong(REPORT, format!("cannot be understood: {error}")),
    }
}

/// Whose keys: the report's own, and those that the caller knows.
fn check_keys(bundle: &Bundle, evidence: &Evidence, signer: PublicKey, source: &Source, report: &mut Report) {
    let mut wrong = |problem: String| report.wrong(Finding::of_file(source.path_of(REPORT), problem));
    if evidence.vault_key != signer.to_string() {
        wrong(format!("is signed with key {}, and names another as the vault's", signer.fingerprint()));
    }
    if let Some(known) = bundle.vault_key.as_deref().filter(|known| !is_key(known, &signer)) {
        wrong(format!("is signed with the vault key {}, not with {known}", signer.fingerprint()));
    }
    let device = evidence.device_key.as_deref().and_then(|key| key.parse::<PublicKey>().ok());
    if let Some(known) = &bundle.device_key
        && device.is_none_or(|device| !is_key(known, &device))
    {
        let named = device.map_or_else(|| "none".to_owned(), |device| device.fingerprint());
        wrong(format!("names the device key {named}, not {known}"));
    }
}

/// Whether a text, a key in full or its fingerprint, is this key.
fn is_key(text: &str, key: &PublicKey) -> bool {
    let text = text.trim().to_ascii_lowercase();
    text == key.to_string() || text == key.fingerprint()
}

/// Nothing is missing and nothing was added.
fn check_names(evidence: &Evidence, source: &Source, report: &mut Report) {
    let listed: BTreeSet<&str> = evidence.files.iter().map(|file| file.name.as_str()).collect();
    for name in listed.iter().filter(|name| !source.has(name)) {
        report.wrong(Finding::of_file(source.path_of(name), "is in the report, and not in the bundle"));
    }
    for name in source.names().filter(|name| ![REPORT, SIGNATURE].contains(name) && !listed.contains(name)) {
        report.wrong(Finding::of_file(source.path_of(name), "is in the bundle, and not in the report"));
    }
    for pack in evidence.packs.iter().filter(|pack| !listed.contains(pack.file.as_str())) {
        report.wrong(Finding::of_file(
            source.path_of(&pack.file),
            "is a pack of the report, and none of its files",
        ));
    }
}

fn check_pack(
    source: &Source,
    file: &FileEntry,
    entry: &PackEntry,
    evidence: &Evidence,
    report: &mut Report,
) -> Option<Audited> {
    let path = source.path_of(&file.name);
    let name = file.name.strip_prefix(PACKS).and_then(|name| name.strip_suffix(".ts"));
    let named = name.and_then(|name| name.parse().ok()).zip(evidence.camera.parse().ok());
    let Some((pack, camera)) = named else {
        report.wrong(Finding::of_file(path, "has no pack's name"));
        return None;
    };
    let device = evidence.device.parse().ok();
    let found =
        Found { place: Place::Bundle, state: State::Stored, path, device, camera, pack, bytes: file.bytes };
    let fingerprint = |key: &str| key.parse::<PublicKey>().ok().map(|key| key.fingerprint());
    let device_key = evidence.device_key.as_deref().and_then(fingerprint);
    let keys = device_key.map(|key| (evidence.device.clone(), key)).into_iter().collect();
    let reader = match source.reader(&file.name) {
        Ok(reader) => reader,
        Err(error) => {
            report.wrong(Finding::of(&found, format!("cannot be read: {error}")));
            return None;
        }
    };
    let audited = audit::content(reader, &found, &keys, report)?;
    if audited.hash != entry.manifest || audited.manifest.previous != entry.previous {
        report.wrong(Finding::of(&found, "has another manifest than the report says"));
    }
    if audited.key.to_string() != entry.signed_by {
        report.wrong(Finding::of(&found, "is signed with another key than the report says"));
    }
    if audited.manifest.sealed_by == SealedBy::Vault && audited.key.to_string() != evidence.vault_key {
        report.wrong(Finding::of(
            &found,
            "was sealed by a vault, and not with the key of the one that made this bundle",
        ));
    }
    Some(audited)
}

fn check_hash(source: &Source, file: &FileEntry, report: &mut Report) {
    let path = source.path_of(&file.name);
    let hashed = source.reader(&file.name).and_then(|mut reader| {
        let (mut hasher, mut bytes, mut buffer) = (blake3::Hasher::new(), 0u64, vec![0; READ_BYTES]);
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok((bytes, ContentHash::from(hasher.finalize()))),
                read => {
                    hasher.update(&buffer[..read]);
                    bytes += read as u64;
                }
            }
        }
    });
    match hashed {
        Ok((bytes, _)) if bytes != file.bytes => {
            report
                .wrong(Finding::of_file(path, format!("has {bytes} bytes, the report says {}", file.bytes)));
        }
        Ok((_, hash)) if hash != file.blake3 => {
            report.wrong(Finding::of_file(path, format!("hash is {hash}, the report says {}", file.blake3)));
        }
        Ok(_) => {}
        Err(error) => report.wrong(Finding::of_file(path, format!("cannot be read: {error}"))),
    }
}

/// What whoever verifies must compare by eye.
fn tell(evidence: &Evidence, report: &mut Report) {
    let fingerprint =
        |key: &str| key.parse::<PublicKey>().map_or_else(|_| key.to_owned(), |key| key.fingerprint());
    report.note(format!(
        "evidence of {}/{}: {} to {}, made {} by {}",
        evidence.device,
        evidence.camera,
        evidence.asked.from,
        evidence.asked.to,
        evidence.made_at,
        evidence.made_by
    ));
    for hole in &evidence.missing {
        let cause = hole.cause.as_deref().map(|cause| format!(" ({cause})")).unwrap_or_default();
        report.note(format!("not shown: {} to {}: {}{cause}", hole.from, hole.to, hole.state));
    }
    let device = evidence.device_key.as_deref().map_or_else(|| "none".to_owned(), fingerprint);
    report.note(format!("device key {device}; vault key {}: compare them", fingerprint(&evidence.vault_key)));
}

#[cfg(test)]
mod tests;
