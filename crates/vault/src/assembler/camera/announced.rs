//! What a camera is told of its packs, what of it is believed, and what is answered.

use dashvault_base::PackId;
use dashvault_media::{parse_trailer, trailer};
use dashvault_wire::{ByteRange, PackAnnounce, PackStatus, Receipt};

use super::{Camera, CameraError, DeviceKeys, Outcome, Standing, count};
use crate::{
    archive::{
        index::{How, PackRow},
        objects::ObjectKey,
    },
    assembler::assembly::Seal,
};

impl Camera {
    /// Takes an announcement and says where the pack stands. `uploaded` are the ranges that uploads brought of it.
    pub(crate) fn announce(
        &mut self,
        announced: &PackAnnounce,
        keys: &DeviceKeys,
        uploaded: &[ByteRange],
        outcome: &mut Outcome,
    ) -> Result<Standing, CameraError> {
        let id = announced.pack;
        if let Some(part) = self.finishing.get(&id) {
            return Ok(Standing::Finishing { known: count(part.assembly.known()) });
        }
        if !self.parts.contains_key(&id) {
            let key = self.key(id);
            let known = self.archive.index.pack(&key)?;
            if let Some(row) = self.held(&key, known.as_ref())? {
                return self.stored_status(announced, keys, &row).map(Standing::Says);
            }
            // What a missing object held is known: nothing else may come in its place.
            let refused = known.map(|row| self.same_content(announced, keys, &row)).transpose()?;
            if let Some(Err(refused)) = refused {
                return Ok(Standing::Says(refused.into()));
            }
            self.open_part(announced)?;
        }
        match self.learn(announced, keys, uploaded, outcome)? {
            Some(refused) => Ok(Standing::Says(refused)),
            None => {
                self.take_live(id, outcome)?;
                self.standing(id, outcome)
            }
        }
    }

    /// The row of a pack that is held, or was until retention deleted it: the receipt is good either way. An object that is gone is noted, one that is back is verified.
    fn held(&self, key: &ObjectKey, known: Option<&PackRow>) -> Result<Option<PackRow>, CameraError> {
        if let Some(row) = known {
            if row.expired_at.is_some() {
                return Ok(Some(row.clone()));
            }
            if row.missing_since.is_none() && self.archive.objects.stat(key)? == Some(row.bytes) {
                return Ok(Some(row.clone()));
            }
            self.archive.note_missing(row)?;
        }
        Ok(self.archive.adopt(key)?)
    }

    /// Takes what an announcement tells; gives the refusal when it is not believed.
    fn learn(
        &mut self,
        announced: &PackAnnounce,
        keys: &DeviceKeys,
        uploaded: &[ByteRange],
        outcome: &mut Outcome,
    ) -> Result<Option<PackStatus>, CameraError> {
        self.uses += 1;
        let id = announced.pack;
        let seal = match &announced.trailer {
            Some(bytes) => match self.read_trailer(announced, bytes, keys) {
                Ok(seal) => Some(seal),
                Err(refused) => return Ok(Some(refused.into())),
            },
            None => None,
        };
        let tracked = self.parts.get_mut(&id).ok_or(CameraError::UnknownPack(id))?;
        tracked.last_use = self.uses;
        tracked.start_wall = announced.start_wall;
        let known = tracked.part.assembly.known();
        let assembly = &mut tracked.part.assembly;
        let first = usize::try_from(announced.first).unwrap_or(usize::MAX);
        let mut changed = assembly.announce(first, &announced.segments);
        if let Some(seal) = seal {
            match assembly.close(seal) {
                Ok(from) => changed = changed.min(from),
                Err(error) => return Ok(Some(refused("bad-manifest", error.to_string()).into())),
            }
        }
        tracked.has_news |= changed < known || tracked.part.assembly.known() != known;
        let judged = tracked.part.recover(changed, uploaded)?;
        self.note(id, &judged, How::Backfilled, outcome);
        Ok(None)
    }

    fn read_trailer(
        &self,
        announced: &PackAnnounce,
        bytes: &[u8],
        keys: &DeviceKeys,
    ) -> Result<Seal, NotBelieved> {
        let signed = parse_trailer(bytes).map_err(|error| refused("bad-trailer", error.to_string()))?;
        if signed.public_key() != keys.public_key {
            let text = "the manifest is signed by another key than this device's; start the recorder with the device's token, and it \
                 signs its packs again";
            return Err(refused("bad-signature", text));
        }
        let manifest = signed.manifest();
        let named = (&manifest.device, &manifest.camera, manifest.pack);
        if named != (&self.device, &self.camera, announced.pack) {
            return Err(refused("other-pack", "the manifest names another device, camera or pack"));
        }
        if trailer(&signed) != bytes {
            return Err(refused("bad-trailer", "bytes before the trailer"));
        }
        Ok(Seal(signed))
    }

    fn standing(&mut self, id: PackId, outcome: &mut Outcome) -> Result<Standing, CameraError> {
        if self.finish_if_complete(id, outcome) {
            let known = self.finishing.get(&id).map_or(0, |part| count(part.assembly.known()));
            return Ok(Standing::Finishing { known });
        }
        let assembly = &self.parts.get(&id).ok_or(CameraError::UnknownPack(id))?.part.assembly;
        let status = PackStatus::Assembling {
            known: count(assembly.known()),
            want: assembly.wants(),
            requested: false,
        };
        Ok(Standing::Says(status))
    }

    /// The answer for a pack that is stored: a receipt, unless the announcement is of other content.
    fn stored_status(
        &self,
        announced: &PackAnnounce,
        keys: &DeviceKeys,
        row: &PackRow,
    ) -> Result<PackStatus, CameraError> {
        if let Err(refused) = self.same_content(announced, keys, row)? {
            return Ok(refused.into());
        }
        let (device, camera) = (self.device.clone(), self.camera.clone());
        let PackRow { manifest, bytes, stored_at, .. } = *row;
        let receipt =
            Receipt::seal(&keys.live_key, device, camera, announced.pack, manifest, bytes, stored_at);
        Ok(PackStatus::Stored { receipt })
    }

    /// Whether an announcement is of what was stored under its name.
    fn same_content(
        &self,
        announced: &PackAnnounce,
        keys: &DeviceKeys,
        row: &PackRow,
    ) -> Result<Result<(), NotBelieved>, CameraError> {
        let same = match &announced.trailer {
            Some(bytes) => match self.read_trailer(announced, bytes, keys) {
                Ok(seal) => seal.0.manifest().hash() == row.manifest,
                Err(refused) => return Ok(Err(refused)),
            },
            None => self.same_segments(announced, row)?,
        };
        let text = "another pack of this name is stored; it is never replaced";
        Ok(if same { Ok(()) } else { Err(refused("other-content", text)) })
    }

    fn same_segments(&self, announced: &PackAnnounce, row: &PackRow) -> Result<bool, CameraError> {
        // Of an expired pack the segments are not known any more; a receipt that is not for its file a recorder ignores.
        if announced.segments.is_empty() || row.expired_at.is_some() {
            return Ok(true);
        }
        let stored = self.archive.index.segments_of_pack(&row.key)?;
        let first = usize::try_from(announced.first).unwrap_or(usize::MAX);
        let of_stored = stored.get(first..).unwrap_or_default();
        let same =
            announced.segments.iter().zip(of_stored).all(|(a, b)| a.len == b.bytes && a.hash == b.hash);
        Ok(same && announced.segments.len() <= of_stored.len())
    }
}

/// Why an announcement is not believed: a stable code, and what to do.
struct NotBelieved {
    code: &'static str,
    detail: String,
}

impl From<NotBelieved> for PackStatus {
    fn from(NotBelieved { code, detail }: NotBelieved) -> Self {
        Self::Refused { code: code.to_owned(), detail }
    }
}

fn refused(code: &'static str, detail: impl Into<String>) -> NotBelieved {
    NotBelieved { code, detail: detail.into() }
}
