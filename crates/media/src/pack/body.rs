//! Holding a pack's body against its manifest, as a stream.

use dashvault_base::ContentHash;

use super::Manifest;

/// A segment whose bytes are not those that the manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadSegment {
    /// Its index in the pack.
    pub index: u32,
    /// Its first byte in the file.
    pub start: u64,
    /// The byte after its last, as the manifest has it.
    pub end: u64,
    /// The manifest's hash.
    pub expected: ContentHash,
    /// The hash of what is there (of fewer bytes where the body ends too early).
    pub found: ContentHash,
}

/// Takes a pack's body in pieces of any size and tells which segments differ from the manifest.
#[derive(Debug)]
pub struct BodyVerifier<'a> {
    manifest: &'a Manifest,
    index: usize,
    start: u64,
    filled: u32,
    hasher: blake3::Hasher,
    bad: Vec<BadSegment>,
}

impl<'a> BodyVerifier<'a> {
    /// A verifier at the body's first byte.
    #[must_use]
    pub fn new(manifest: &'a Manifest) -> Self {
        Self { manifest, index: 0, start: 0, filled: 0, hasher: blake3::Hasher::new(), bad: Vec::new() }
    }

    /// Takes the next bytes of the body; what lies past its end is ignored.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some(entry) = self.manifest.segments.get(self.index) {
            let wanted = (entry.len - self.filled) as usize;
            let Some((part, rest)) = bytes.split_at_checked(wanted) else {
                self.hasher.update(bytes);
                self.filled += u32::try_from(bytes.len()).expect("fewer than the segment's bytes");
                return;
            };
            self.hasher.update(part);
            self.close();
            bytes = rest;
        }
    }

    /// Every bad segment in order; those whose bytes never came are bad.
    #[must_use]
    pub fn finish(mut self) -> Vec<BadSegment> {
        while self.index < self.manifest.segments.len() {
            self.close();
        }
        self.bad
    }

    fn close(&mut self) {
        let Some(entry) = self.manifest.segments.get(self.index) else { return };
        let found = ContentHash::from(self.hasher.finalize());
        let end = self.start + u64::from(entry.len);
        if found != entry.hash {
            let index = u32::try_from(self.index).unwrap_or(u32::MAX);
            self.bad.push(BadSegment { index, start: self.start, end, expected: entry.hash, found });
        }
        self.hasher.reset();
        self.filled = 0;
        self.start = end;
        self.index += 1;
    }
}
