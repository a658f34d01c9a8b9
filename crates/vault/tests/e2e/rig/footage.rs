//! A recorder's footage, cut and signed as it does.

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, RecordingId};
use dashvault_media::{
    Manifest, PackCutter, PackLimits, SealedBy, Segment, SegmentEntry, SegmentSink, Segmenter,
    SegmenterConfig, SignedManifest, SigningKey, trailer,
};
use dashvault_testkit::ts::{TsProfile, TsSource};
use dashvault_vault::devices::NewDevice;
use dashvault_wire::{DeviceToken, PackAnnounce, Receipt, SegmentNotice};

use super::RECORDING;

/// What one camera recorded, as packs.
pub(crate) struct Footage {
    pub(crate) camera: CameraName,
    pub(crate) recording: RecordingId,
    pub(crate) packs: Vec<FootagePack>,
}

pub(crate) struct FootagePack {
    pub(crate) manifest: Manifest,
    pub(crate) segments: Vec<Vec<u8>>,
    pub(crate) trailer: Vec<u8>,
}

impl Footage {
    /// `seconds` of video in packs of four seconds, the same for the same seed.
    pub(crate) fn new(device: &NewDevice, seed: u64, seconds: u32) -> Self {
        Self::of(
            &device.id,
            &device.token,
            TsProfile { bitrate: 300_000, ..TsProfile::default() },
            seed,
            seconds,
        )
    }

    pub(crate) fn of(
        device: &DeviceId,
        token: &DeviceToken,
        profile: TsProfile,
        seed: u64,
        seconds: u32,
    ) -> Self {
        Self::cut(device, token, RECORDING, &TsSource::stream(profile, seed, seconds).bytes)
    }

    /// A whole recording in packs of four seconds.
    pub(crate) fn cut(device: &DeviceId, token: &DeviceToken, recording: &str, stream: &[u8]) -> Self {
        let (camera, recording): (CameraName, RecordingId) =
            ("front".parse().unwrap(), recording.parse().unwrap());
        let key = SigningKey::from_seed(token.signing_seed());
        let mut cut = Cut::default();
        let mut segmenter = Segmenter::new(SegmenterConfig::default());
        segmenter.push(stream, &mut cut).unwrap();
        segmenter.finish(&mut cut);
        let mut cutter = PackCutter::new(PackLimits { target_90k: 4 * 90_000, ..PackLimits::default() });
        let mut packs: Vec<FootagePack> = Vec::new();
        let mut open: Vec<(Segment, Vec<u8>)> = Vec::new();
        for (segment, bytes) in cut.done {
            let ends = cutter.closed(&segment);
            open.push((segment, bytes));
            if !ends {
                continue;
            }
            let previous = packs.last().map_or(ContentHash::ZERO, |pack| pack.manifest.hash());
            let number = u32::try_from(packs.len()).unwrap();
            let manifest = Manifest {
                device: device.clone(),
                camera: camera.clone(),
                pack: PackId { recording, number },
                sealed_by: SealedBy::Device,
                start_wall: recording.start().plus_ms(i64::from(number) * 4000),
                start_mono_ms: u64::from(number) * 4000,
                boot_id: [7; 16],
                previous,
                segments: (0..).zip(&open).map(|(n, (s, _))| SegmentEntry::new(s, n * 1000)).collect(),
            };
            let signed = SignedManifest::sign(manifest.clone(), &key).unwrap();
            let segments = open.drain(..).map(|(_, bytes)| bytes).collect();
            packs.push(FootagePack { manifest, segments, trailer: trailer(&signed) });
        }
        assert!(open.is_empty());
        Self { camera, recording, packs }
    }

    /// The raw stream, as the encoder wrote it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.packs.iter().flat_map(|pack| pack.body()).collect()
    }
}

impl FootagePack {
    pub(crate) fn id(&self) -> PackId {
        self.manifest.pack
    }

    /// Its object's path over HTTP.
    pub(crate) fn url(&self) -> String {
        let Manifest { device, camera, pack, .. } = &self.manifest;
        format!("/objects/{device}/{camera}/{}/{}", pack.recording, pack.file_name())
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.segments.concat()
    }

    /// The file as it stands on the vehicle.
    pub(crate) fn file(&self) -> Vec<u8> {
        [self.body(), self.trailer.clone()].concat()
    }

    pub(crate) fn notices(&self) -> Vec<SegmentNotice> {
        let notice = |entry: &SegmentEntry| SegmentNotice {
            len: entry.len,
            hash: entry.hash,
            pts: entry.start_pts,
            dur: entry.duration,
            at: entry.wall_offset_ms,
        };
        self.manifest.segments.iter().map(notice).collect()
    }

    /// The announcement of the first `segments` of an open pack.
    pub(crate) fn open(&self, segments: usize) -> PackAnnounce {
        PackAnnounce {
            camera: self.manifest.camera.clone(),
            pack: self.id(),
            start_wall: self.manifest.start_wall,
            first: 0,
            segments: self.notices()[..segments].to_vec(),
            trailer: None,
        }
    }

    /// The announcement of the sealed pack.
    pub(crate) fn sealed(&self) -> PackAnnounce {
        PackAnnounce { trailer: Some(self.trailer.clone()), segments: Vec::new(), ..self.open(0) }
    }

    pub(crate) fn check(&self, receipt: &Receipt, token: &DeviceToken) {
        let Manifest { device, camera, pack, .. } = &self.manifest;
        let bytes = self.file().len() as u64;
        receipt.check(&token.live_key(), device, camera, *pack, self.manifest.hash(), bytes).unwrap();
    }
}

#[derive(Default)]
struct Cut {
    open: Vec<u8>,
    done: Vec<(Segment, Vec<u8>)>,
}

impl SegmentSink for Cut {
    fn bytes(&mut self, run: &[u8]) {
        self.open.extend_from_slice(run);
    }

    fn closed(&mut self, segment: Segment) {
        self.done.push((segment, std::mem::take(&mut self.open)));
    }
}
