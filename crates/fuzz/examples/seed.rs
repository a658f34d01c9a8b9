//! Writes the seeds `pack/sealed` and `trailer/signed` of `fuzz/corpus` from its transport stream, and those of the SRT
//! targets from a conversation.

use std::{error::Error, fs, path::Path};

use dashvault_base::{ContentHash, WallMs};
use dashvault_media::{
    Manifest, SealedBy, Segment, SegmentEntry, SegmentSink, Segmenter, SegmenterConfig, SignedManifest,
    SigningKey, trailer,
};

#[derive(Default)]
struct Entries(Vec<SegmentEntry>);

impl SegmentSink for Entries {
    fn bytes(&mut self, _run: &[u8]) {}

    fn closed(&mut self, segment: Segment) {
        self.0.push(SegmentEntry::new(&segment, 0));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut file = fs::read(corpus.join("segmenter/h264-aac.ts"))?;
    let (mut segmenter, mut entries) = (Segmenter::new(SegmenterConfig::default()), Entries::default());
    segmenter.push(&file, &mut entries)?;
    segmenter.finish(&mut entries);
    let manifest = Manifest {
        device: "bus-7".parse()?,
        camera: "front".parse()?,
        pack: "20261122-101500_00000".parse()?,
        sealed_by: SealedBy::Device,
        start_wall: WallMs(1_795_342_500_000),
        start_mono_ms: 1,
        boot_id: [1; 16],
        previous: ContentHash::ZERO,
        segments: entries.0,
    };
    let trailer = trailer(&SignedManifest::sign(manifest, &SigningKey::from_seed([7; 32]))?);
    file.extend_from_slice(&trailer);
    fs::write(corpus.join("trailer/signed"), trailer)?;
    fs::write(corpus.join("pack/sealed"), file)?;
    for (target, name, bytes) in dashvault_fuzz::srt_seeds() {
        fs::create_dir_all(corpus.join(target))?;
        fs::write(corpus.join(target).join(name), bytes)?;
    }
    Ok(())
}
