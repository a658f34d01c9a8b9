//! A clip's bytes as a transport stream, from any byte on: segments read from their objects and joined.
//!
//! Belongs here: reading a piece and putting it onto the clip's timeline. Does not: which pieces. Blocking.
//! Invariant: byte `n` of a film is the same whatever was read before it, so that it can be read by range.

use std::sync::{Arc, Mutex, PoisonError};

use dashvault_media::{
    PACKET_BYTES,
    join::{JOINT_BYTES, Setting, begins_with_tables, joint, set},
};

use super::plan::{Piece, Plan};
use crate::archive::objects::{ObjectError, ObjectKey, ObjectReader, ObjectStore};

/// A clip that can be read like an object.
#[derive(Debug)]
pub(crate) struct Film {
    plan: Arc<Plan>,
    objects: Arc<dyn ObjectStore>,
    /// Where each piece begins, with the joint before it; and the end.
    starts: Vec<u64>,
    /// The first run begins with a joint: its first segment brings no tables.
    led: bool,
    edges: Edges,
    at_hand: Mutex<AtHand>,
}

/// What becomes of a clip's own beginning and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edges {
    /// Left as they are: a clip without a cut is the same bytes as in the packs.
    Raw,
    /// Cut clean as those of each run are: nothing plays beyond the pictures.
    Clean,
}

/// The object and the piece that were read last: the next read is most likely of the same.
#[derive(Debug, Default)]
struct AtHand {
    object: Option<(ObjectKey, Arc<dyn ObjectReader>)>,
    piece: Option<(usize, Arc<Vec<u8>>)>,
}

impl Film {
    /// Opens a clip; reads one packet of it.
    pub(crate) fn open(
        plan: Arc<Plan>,
        edges: Edges,
        objects: Arc<dyn ObjectStore>,
    ) -> Result<Self, ObjectError> {
        let mut film =
            Self { plan, objects, starts: Vec::new(), led: false, edges, at_hand: Mutex::default() };
        if let Some(first) = film.plan.pieces.first() {
            let packet = read(film.objects.open(&first.key)?.as_ref(), first, PACKET_BYTES)?;
            film.led = !begins_with_tables(&packet);
        }
        let mut at = 0;
        for (index, piece) in film.plan.pieces.iter().enumerate() {
            film.starts.push(at);
            at += u64::from(piece.bytes) + if film.has_joint(index, piece) { JOINT_BYTES as u64 } else { 0 };
        }
        film.starts.push(at);
        Ok(film)
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The bytes of piece `index`, with the joint before it.
    pub(crate) fn piece(&self, index: usize) -> Result<Arc<Vec<u8>>, ObjectError> {
        if let Some((at, bytes)) = &self.at_hand().piece
            && *at == index
        {
            return Ok(bytes.clone());
        }
        let Some(piece) = self.plan.pieces.get(index) else { return Ok(Arc::default()) };
        let object = self.object(&piece.key)?;
        let mut bytes = read(object.as_ref(), piece, usize::try_from(piece.bytes).unwrap_or(usize::MAX))?;
        let before = if self.has_joint(index, piece) { joint(&bytes) } else { Vec::new() };
        set(&mut bytes, &self.setting(index, piece));
        let whole = Arc::new(if before.is_empty() { bytes } else { [before, bytes].concat() });
        self.at_hand().piece = Some((index, whole.clone()));
        Ok(whole)
    }

    fn object(&self, key: &ObjectKey) -> Result<Arc<dyn ObjectReader>, ObjectError> {
        if let Some((open, object)) = &self.at_hand().object
            && open == key
        {
            return Ok(object.clone());
        }
        let object = self.objects.open(key)?;
        self.at_hand().object = Some((key.clone(), object.clone()));
        Ok(object)
    }

    fn at_hand(&self) -> std::sync::MutexGuard<'_, AtHand> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_joint(&self, index: usize, piece: &Piece) -> bool {
        piece.setting.first && (index > 0 || self.led)
    }

    fn setting(&self, index: usize, piece: &Piece) -> Setting {
        let cut = |edge: bool, outer: usize| edge && (self.edges == Edges::Clean || index != outer);
        Setting {
            first: cut(piece.setting.first, 0),
            last: cut(piece.setting.last, self.plan.pieces.len().saturating_sub(1)),
            ..piece.setting
        }
    }
}

impl ObjectReader for Film {
    fn len(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, ObjectError> {
        let mut filled = 0;
        while filled < into.len() {
            let at = offset + filled as u64;
            if at >= self.len() {
                break;
            }
            let index = self.starts.partition_point(|start| *start <= at).saturating_sub(1);
            let skip = at - self.starts.get(index).copied().unwrap_or(0);
            let bytes = self.piece(index)?;
            let rest = bytes.get(usize::try_from(skip).unwrap_or(usize::MAX)..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let taken = rest.len().min(into.len() - filled);
            into[filled..filled + taken].copy_from_slice(&rest[..taken]);
            filled += taken;
        }
        Ok(filled)
    }
}

/// The first `len` bytes of a piece, as they are stored.
fn read(object: &dyn ObjectReader, piece: &Piece, len: usize) -> Result<Vec<u8>, ObjectError> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match object.read_at(&mut bytes[filled..], piece.start_byte + filled as u64)? {
            0 => return Err(ObjectError::Short(piece.key.clone())),
            read => filled += read,
        }
    }
    Ok(bytes)
}
