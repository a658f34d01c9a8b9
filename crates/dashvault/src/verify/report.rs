//! What verification found, for people and for programs.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use dashvault_base::{CameraName, DeviceId, PackId};
use serde::Serialize;

use crate::{
    packs::{Found, Place},
    units::show_bytes,
};

/// The result of one verification.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Whether nothing is wrong.
    pub(crate) ok: bool,
    /// Sealed packs checked.
    pub(crate) packs: u64,
    /// Of these, those in which nothing is wrong.
    pub(crate) packs_sound: u64,
    /// Packs that are still being recorded: not checked, not wrong.
    pub(crate) packs_open: u64,
    /// Packs that the vault's index knows and whose object is gone.
    pub(crate) packs_missing: u64,
    /// Packs that the vault stored and then deleted on purpose, by a retention rule or by hand.
    pub(crate) packs_expired: u64,
    /// Bytes read and checked.
    pub(crate) bytes: u64,
    /// Sealed packs of the spool.
    pub(crate) packs_sealed_on_vehicle: u64,
    /// Bytes of the bodies of the spool's sealed packs: footage without trailers.
    pub(crate) footage_bytes: u64,
    /// Seconds of footage in the same.
    pub(crate) footage_seconds: f64,
    /// Whether spool and vault were held against each other.
    pub(crate) compared: bool,
    /// Sealed packs of the spool whose object in the vault is the same, byte for byte.
    pub(crate) packs_identical: u64,
    /// Sealed packs of the spool that the vault does not have, and has given no receipt for.
    pub(crate) packs_on_vehicle_only: u64,
    /// Everything that is wrong.
    pub(crate) wrong: Vec<Finding>,
    /// What an operator may want to know, but is not wrong.
    pub(crate) notes: Vec<String>,
}

/// One thing that is wrong, and where.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// On the vehicle or in the vault.
    pub(crate) place: Place,
    /// The file.
    pub(crate) path: PathBuf,
    /// The device, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<DeviceId>,
    /// The camera, where a pack is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) camera: Option<CameraName>,
    /// The pack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pack: Option<PackId>,
    /// The segment, from 0, where one is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) segment: Option<u32>,
    /// The first byte in the file that may be wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<u64>,
    /// The byte after the last that may be wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<u64>,
    /// What is wrong.
    pub(crate) problem: String,
}

impl Finding {
    /// Something wrong with the pack as a whole.
    pub(crate) fn of(found: &Found, problem: impl Into<String>) -> Self {
        Self {
            place: found.place,
            path: found.path.clone(),
            device: found.device.clone(),
            camera: Some(found.camera.clone()),
            pack: Some(found.pack),
            segment: None,
            start: None,
            end: None,
            problem: problem.into(),
        }
    }

    /// Something wrong with a file of a bundle that is no pack.
    pub(crate) fn of_file(path: PathBuf, problem: impl Into<String>) -> Self {
        Self {
            place: Place::Bundle,
            path,
            device: None,
            camera: None,
            pack: None,
            segment: None,
            start: None,
            end: None,
            problem: problem.into(),
        }
    }

    /// … from this byte on.
    pub(crate) fn starting_at(self, start: u64) -> Self {
        Self { start: Some(start), ..self }
    }

    /// … within this segment.
    pub(crate) fn in_segment(self, segment: u32, start: u64, end: u64) -> Self {
        Self { segment: Some(segment), start: Some(start), end: Some(end), ..self }
    }
}

impl Report {
    pub(crate) fn new(compared: bool) -> Self {
        Self { compared, ..Self::default() }
    }

    pub(crate) fn wrong(&mut self, finding: Finding) {
        self.wrong.push(finding);
    }

    /// The files that something is wrong with, as far as is known now.
    pub(crate) fn wrong_files(&self) -> BTreeSet<PathBuf> {
        self.wrong.iter().map(|finding| finding.path.clone()).collect()
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Counts what was found, once all is found.
    pub(crate) fn finish(&mut self) {
        self.packs_sound =
            self.packs.saturating_sub((self.wrong_files().len() as u64).saturating_sub(self.packs_missing));
        self.ok = self.wrong.is_empty();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.wrong {
            writeln!(f, "WRONG  {finding}")?;
        }
        for note in &self.notes {
            writeln!(f, "note   {note}")?;
        }
        let missing =
            if self.packs_missing > 0 { format!(", {} missing", self.packs_missing) } else { String::new() };
        let expired = if self.packs_expired > 0 {
            format!(", {} deleted by retention", self.packs_expired)
        } else {
            String::new()
        };
        let open =
            if self.packs_open > 0 { format!(", {} still open", self.packs_open) } else { String::new() };
        writeln!(
            f,
            "{}  {} of {} packs sound ({}){missing}{expired}{open}",
            if self.ok { "OK   " } else { "WRONG" },
            self.packs_sound,
            self.packs,
            show_bytes(self.bytes),
        )?;
        if self.compared {
            writeln!(
                f,
                "       {} identical on vehicle and in vault, {} on the vehicle only",
                self.packs_identical, self.packs_on_vehicle_only,
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(segment) = self.segment {
            write!(f, ", segment {segment}")?;
        }
        match (self.start, self.end) {
            (Some(start), Some(end)) => write!(f, ", bytes {start} to {end}")?,
            (Some(start), None) => write!(f, ", from byte {start} on")?,
            _ => {}
        }
        write!(f, ": {}", self.problem)
    }
}
