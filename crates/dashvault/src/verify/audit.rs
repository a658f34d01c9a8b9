//! One pack by itself: structure, trailer, signature, every segment, and that it is what its name says.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read, Seek},
};

use dashvault_base::{ContentHash, PackId};
use dashvault_media::{Manifest, PackError, PublicKey, SealedBy, SignedManifest, audit_pack};

use super::report::{Finding, Report};
use crate::packs::{Found, State};

/// A pack whose manifest could be read.
#[derive(Debug)]
pub(crate) struct Audited {
    pub(crate) found: Found,
    pub(crate) hash: ContentHash,
    /// The key that signed it.
    pub(crate) key: PublicKey,
    pub(crate) manifest: Manifest,
}

impl Audited {
    pub(crate) const fn pack(&self) -> PackId {
        self.manifest.pack
    }
}

/// Audits `found`; tells what is wrong in `report`. `keys` are fingerprints by device.
pub(crate) fn one(found: &Found, keys: &BTreeMap<String, String>, report: &mut Report) -> Option<Audited> {
    if found.state == State::Open {
        report.packs_open += 1;
        return None;
    }
    let file = match found.open() {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && found.may_move() => {
            report.note(format!("{} went away meanwhile (sealed, stored or evicted)", found.path.display()));
            return None;
        }
        Err(error) => {
            report.packs += 1;
            report.wrong(Finding::of(found, format!("cannot be read: {error}")));
            return None;
        }
    };
    content(file, found, keys, report)
}

/// Audits a pack whose bytes are at hand.
pub(crate) fn content(
    file: impl Read + Seek,
    found: &Found,
    keys: &BTreeMap<String, String>,
    report: &mut Report,
) -> Option<Audited> {
    report.packs += 1;
    report.bytes += found.bytes;
    audit(file, found, report).map(|signed| {
        check_identity(found, &signed, keys, report);
        let hash = signed.manifest().hash();
        let key = signed.public_key();
        let mut found = found.clone();
        found.device = Some(signed.manifest().device.clone());
        Audited { found, hash, key, manifest: signed.into_manifest() }
    })
}

fn audit(file: impl Read + Seek, found: &Found, report: &mut Report) -> Option<SignedManifest> {
    match audit_pack(&mut BufReader::new(file)) {
        Ok(audit) => {
            for bad in audit.bad {
                let problem = format!("hash is {}, the recorder signed {}", bad.found, bad.expected);
                report.wrong(Finding::of(found, problem).in_segment(bad.index, bad.start, bad.end));
            }
            Some(audit.report.signed)
        }
        Err(error) => {
            report.wrong(explain(found, &error));
            None
        }
    }
}

fn explain(found: &Found, error: &PackError) -> Finding {
    let finding = Finding::of(found, told(error));
    match error {
        PackError::TornPacket { len } => finding.starting_at(len - len % 188),
        PackError::Trailer { start, .. } => finding.starting_at(*start),
        PackError::BodyLength { expected, found } => finding.starting_at(*expected.min(found)),
        PackError::Segment(bad) => finding.in_segment(bad.index, bad.start, bad.end),
        _ => finding,
    }
}

/// An error with its causes in one line.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The manifest must speak of the file it is in, and be signed with the key of the device it names.
fn check_identity(
    found: &Found,
    signed: &SignedManifest,
    keys: &BTreeMap<String, String>,
    report: &mut Report,
) {
    let manifest = signed.manifest();
    if manifest.pack != found.pack || manifest.camera != found.camera {
        let problem = format!("the file is pack {}/{} by its manifest", manifest.camera, manifest.pack);
        report.wrong(Finding::of(found, problem));
    }
    if let Some(device) = found.device.as_ref().filter(|device| **device != manifest.device) {
        report.wrong(Finding::of(found, format!("lies with device {device}, but is of {}", manifest.device)));
    }
    let by_vehicle = manifest.sealed_by != SealedBy::Vault;
    let expected = keys.get(manifest.device.as_str()).filter(|_| by_vehicle);
    let fingerprint = signed.public_key().fingerprint();
    if let Some(expected) = expected.filter(|expected| **expected != fingerprint) {
        let problem = format!("signed with key {fingerprint}, but {} has key {expected}", manifest.device);
        report.wrong(Finding::of(found, problem));
    }
}
