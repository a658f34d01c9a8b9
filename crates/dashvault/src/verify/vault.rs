//! Which packs a vault's data folder holds, what its index says of them, and whose keys it knows.
//!
//! A build without the vault says so instead.

use std::{collections::BTreeMap, path::Path};

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId};

use super::{audit::Audited, report::Report};
use crate::{failure::Failure, packs::Found};

/// What a vault holds and knows.
#[derive(Debug, Default)]
pub(crate) struct InVault {
    /// Its objects.
    pub(crate) found: Vec<Found>,
    /// Fingerprints of devices' keys, by device.
    pub(crate) keys: BTreeMap<String, String>,
    #[cfg(feature = "vault")]
    objects: Vec<dashvault_vault::ObjectInfo>,
}

/// Packs that the vault stored and then deleted on purpose: the hashes of their manifests by device, camera and name.
#[derive(Debug, Default)]
pub(crate) struct Expired(pub(crate) BTreeMap<(DeviceId, CameraName, PackId), ContentHash>);

#[cfg(feature = "vault")]
mod with_vault {
    use dashvault_vault::{IndexedObject, ObjectInfo, devices::list_devices, list_objects};

    use super::{Audited, BTreeMap, Expired, Failure, Found, InVault, Path, Report};
    use crate::{
        broken_index,
        failure::OrNext,
        packs::{Place, State},
        verify::report::Finding,
    };

    const NEXT: &str = "check --data: it is the folder that `dashvault serve --data` was given";

    /// The objects of a data folder, and the keys of its devices.
    pub(crate) fn in_vault(data: &Path) -> Result<InVault, Failure> {
        if !data.is_dir() {
            return Err(Failure::here(format_args!("there is no data folder {}", data.display())).next(NEXT));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .or_next("start the runtime", "check the limits on threads")?;
        let (objects, devices) = runtime.block_on(async {
            let objects = list_objects(data).await.map_err(|error| explain(error, data))?;
            let devices = list_devices(data).await.map_err(|error| explain(error, data))?;
            Ok::<_, Failure>((objects, devices))
        })?;
        let keys: BTreeMap<String, String> = devices
            .into_iter()
            .filter_map(|device| Some((device.id.to_string(), device.fingerprint?)))
            .collect();
        Ok(InVault { found: objects.iter().filter_map(found).collect(), keys, objects })
    }

    fn explain(error: impl std::error::Error + Send + Sync + 'static, data: &Path) -> Failure {
        let next = broken_index::advice(&error, data).unwrap_or_else(|| NEXT.to_owned());
        Failure::from(anyhow::Error::from(error).context("cannot list what the vault holds")).next(next)
    }

    fn found(object: &ObjectInfo) -> Option<Found> {
        Some(Found {
            place: Place::Vault,
            state: State::Stored,
            path: object.path.clone(),
            device: Some(object.device.clone()),
            camera: object.camera.clone(),
            pack: object.pack,
            bytes: object.bytes?,
        })
    }

    impl InVault {
        /// The packs that were stored and are deleted on purpose, with the hashes of their manifests.
        pub(crate) fn expired(&self) -> Expired {
            let of = |object: &ObjectInfo| {
                let indexed = object.indexed.as_ref().filter(|indexed| indexed.expired_at.is_some())?;
                Some(((object.device.clone(), object.camera.clone(), object.pack), indexed.manifest))
            };
            Expired(self.objects.iter().filter_map(of).collect())
        }

        /// Tells where index and objects disagree.
        pub(crate) fn index_findings(&self, audited: &[Audited], report: &mut Report) {
            let hashes: BTreeMap<&Path, _> =
                audited.iter().map(|pack| (pack.found.path.as_path(), pack.hash)).collect();
            for object in &self.objects {
                let blank = Found { bytes: 0, ..found(object).unwrap_or_else(|| missing(object)) };
                let Some(indexed) = &object.indexed else {
                    report.note(format!(
                        "{} is not in the index yet (the next start adds it)",
                        object.path.display()
                    ));
                    continue;
                };
                if indexed.expired_at.is_some() {
                    report.packs_expired += 1;
                    if object.bytes.is_some() {
                        let path = object.path.display();
                        report.note(format!(
                            "{path} is deleted by retention; its file is still there and is not shown"
                        ));
                    }
                } else if object.bytes.is_none() {
                    report.packs_missing += 1;
                    report.wrong(Finding::of(&blank, missing_since(indexed)));
                } else if object.bytes != Some(indexed.bytes) {
                    report.wrong(Finding::of(&blank, format!("is {} bytes by the index", indexed.bytes)));
                } else if hashes.get(object.path.as_path()).is_some_and(|hash| *hash != indexed.manifest) {
                    report.wrong(Finding::of(&blank, "has another manifest than the index says"));
                } else if indexed.missing_since.is_some() {
                    report.note(format!(
                        "{} was missing and is back (the next start of the vault takes it up)",
                        object.path.display()
                    ));
                }
            }
        }
    }

    fn missing_since(indexed: &IndexedObject) -> String {
        let what = "is in the index, but its file is missing";
        match indexed.missing_since {
            Some(since) => {
                let (year, month, day, hour, minute, second) = since.civil();
                format!(
                    "{what} since {year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC or before"
                )
            }
            None => what.to_owned(),
        }
    }

    fn missing(object: &ObjectInfo) -> Found {
        Found {
            place: Place::Vault,
            state: State::Stored,
            path: object.path.clone(),
            device: Some(object.device.clone()),
            camera: object.camera.clone(),
            pack: object.pack,
            bytes: 0,
        }
    }
}

#[cfg(feature = "vault")]
pub(crate) use with_vault::in_vault;

/// This build knows nothing of vaults.
#[cfg(not(feature = "vault"))]
pub(crate) fn in_vault(_data: &Path) -> Result<InVault, Failure> {
    Err(Failure::usage("this build leaves the vault out, and cannot read --data")
        .next("use a dashvault with the vault feature, or give --spool only"))
}

#[cfg(not(feature = "vault"))]
impl InVault {
    pub(crate) fn expired(&self) -> Expired {
        Expired::default()
    }

    pub(crate) fn index_findings(&self, _audited: &[Audited], _report: &mut Report) {}
}
