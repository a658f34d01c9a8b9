//! The chain: each pack names the one before it, so that one taken out or put in shows.
//!
//! A predecessor that the vault deleted on purpose is known by its hash, and checked like one that is there.
//! Any other predecessor that is not there is noted and not wrong: it may be evicted, or still on its way.
//! A predecessor that is there and is not the one named is wrong, and so are two that follow the same.

use std::collections::BTreeMap;

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId};

use super::{
    audit::Audited,
    report::{Finding, Report},
    vault::Expired,
};
use crate::packs::Place;

/// Checks the chain of each camera.
pub(crate) fn check(place: Place, packs: &[Audited], expired: &Expired, report: &mut Report) {
    let mut cameras: BTreeMap<(DeviceId, CameraName), Vec<&Audited>> = BTreeMap::new();
    for pack in packs {
        let camera = (pack.manifest.device.clone(), pack.manifest.camera.clone());
        cameras.entry(camera).or_default().push(pack);
    }
    for ((device, camera), packs) in cameras {
        let gone = expired.0.iter().filter(|((of, on, _), _)| *of == device && *on == camera);
        let gone = gone.map(|((_, _, pack), hash)| (*pack, *hash)).collect();
        let missing = check_camera(&packs, &gone, report);
        if missing > 0 {
            let s = if missing == 1 { "" } else { "s" };
            report.note(format!(
                "{place}: {device}/{camera}: {missing} pack{s} before others not here (evicted, lost or on the way)"
            ));
        }
    }
}

/// Gives how many predecessors are not there, the one before the oldest not counted.
fn check_camera(packs: &[&Audited], gone: &BTreeMap<PackId, ContentHash>, report: &mut Report) -> usize {
    let mut by_id: BTreeMap<PackId, ContentHash> =
        packs.iter().map(|pack| (pack.pack(), pack.hash)).collect();
    by_id.extend(gone);
    let by_hash: BTreeMap<ContentHash, PackId> = by_id.iter().map(|(pack, hash)| (*hash, *pack)).collect();
    let oldest = by_id.keys().next().copied();
    let mut followed: BTreeMap<ContentHash, PackId> = BTreeMap::new();
    let mut missing = 0;
    for pack in packs {
        let previous = pack.manifest.previous;
        if previous == ContentHash::ZERO {
            continue;
        }
        if let Some(other) = followed.insert(previous, pack.pack()) {
            report.wrong(Finding::of(&pack.found, format!("follows the same pack as {other} does")));
        }
        if by_hash.contains_key(&previous) {
            continue;
        }
        match numbered_before(pack.pack()).filter(|before| by_id.contains_key(before)) {
            Some(before) => {
                let problem = format!("chain is broken: does not follow pack {before}, which is here or was");
                report.wrong(Finding::of(&pack.found, problem));
            }
            None if Some(pack.pack()) == oldest => {}
            None => missing += 1,
        }
    }
    missing
}

/// The pack before it in the same recording.
fn numbered_before(pack: PackId) -> Option<PackId> {
    Some(PackId { number: pack.number.checked_sub(1)?, ..pack })
}
