//! Vehicle against vault: the same bytes, from the first to the last.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use dashvault_base::{CameraName, DeviceId, PackId};

use super::{
    audit::Audited,
    report::{Finding, Report},
    vault::Expired,
};
use crate::packs::{Found, State};

const READ_BYTES: usize = 256 * 1024;

/// Compares each sealed pack of the vehicle with the vault's object of the same name. `rotten` are the files that are
/// not what was signed: a sound object is not to blame for differing from one of these.
pub(crate) fn all(
    on_vehicle: &[Audited],
    in_vault: &[Found],
    expired: &Expired,
    rotten: &BTreeSet<PathBuf>,
    report: &mut Report,
) {
    let is_expired = |pack: &Audited| {
        let name = (pack.manifest.device.clone(), pack.manifest.camera.clone(), pack.pack());
        expired.0.get(&name) == Some(&pack.hash)
    };
    let objects: BTreeMap<(&DeviceId, &CameraName, PackId), &Found> = in_vault
        .iter()
        .filter_map(|found| Some(((found.device.as_ref()?, &found.camera, found.pack), found)))
        .collect();
    for pack in on_vehicle {
        let name = (&pack.manifest.device, &pack.manifest.camera, pack.pack());
        match objects.get(&name) {
            Some(object) if rotten.contains(&pack.found.path) && !rotten.contains(&object.path) => {
                report.note(format!("{}: the vault's copy is sound", pack.found.path.display()));
            }
            Some(object) => one(pack, object, report),
            None if is_expired(pack) => {}
            None if pack.found.state == State::Stored => {
                let problem = "the vault gave a receipt for it, and does not have it";
                report.wrong(Finding::of(&pack.found, problem));
            }
            None => report.packs_on_vehicle_only += 1,
        }
    }
}

fn one(pack: &Audited, object: &Found, report: &mut Report) {
    let compared = pack.found.open().and_then(|mut ours| first_difference(&mut ours, &mut object.open()?));
    match compared {
        Ok(None) => report.packs_identical += 1,
        Ok(Some(at)) => {
            let finding =
                Finding::of(object, format!("differs from the vehicle's {}", pack.found.path.display()));
            report.wrong(in_segment(finding, pack, at));
        }
        Err(error) => report.wrong(Finding::of(object, format!("cannot be compared: {error}"))),
    }
}

/// Names the one byte, and the segment that it is in.
fn in_segment(finding: Finding, pack: &Audited, at: u64) -> Finding {
    let mut end = 0;
    for (index, entry) in (0u32..).zip(&pack.manifest.segments) {
        end += u64::from(entry.len);
        if at < end {
            return finding.in_segment(index, at, at + 1);
        }
    }
    finding.starting_at(at)
}

/// The offset of the first byte that is not the same, or where one ends before the other.
pub(crate) fn first_difference(ours: &mut File, theirs: &mut File) -> io::Result<Option<u64>> {
    let (mut a, mut b) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
    let mut at = 0;
    loop {
        let (read_a, read_b) = (fill(ours, &mut a)?, fill(theirs, &mut b)?);
        let same = a[..read_a].iter().zip(&b[..read_b]).take_while(|(x, y)| x == y).count();
        if same < read_a.max(read_b) {
            return Ok(Some(at + same as u64));
        }
        if read_a == 0 {
            return Ok(None);
        }
        at += read_a as u64;
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
