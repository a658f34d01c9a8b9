//! The main job, small: record, cut the link, catch up; against a vault of one file, through a bad link.

#![allow(clippy::unwrap_used)]

mod fake_vault;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dashvault_base::DeviceId;
use dashvault_media::{Segment, SegmentSink, Segmenter, SegmenterConfig};
use dashvault_recorder::{Recorder, RecorderConfig};
use dashvault_spool::{Folder, SpoolLayout};
use dashvault_srt::{Connection, Delivery, Listener, ListenerConfig};
use dashvault_testkit::link::{Conditions, Link, Mode};
use dashvault_wire::{DeviceToken, StreamId};
use fake_vault::FakeVault;

/// When each live segment came.
type Arrivals = Arc<Mutex<Vec<Instant>>>;

struct LiveSink {
    vault: Arc<FakeVault>,
    arrivals: Arrivals,
    open: Vec<u8>,
}

impl SegmentSink for LiveSink {
    fn bytes(&mut self, run: &[u8]) {
        self.open.extend_from_slice(run);
    }

    fn closed(&mut self, segment: Segment) {
        self.vault.live(segment.hash, std::mem::take(&mut self.open));
        self.arrivals.lock().unwrap().push(Instant::now());
    }
}

async fn take(mut connection: Connection, mut sink: LiveSink) {
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    while let Some(delivery) = connection.recv().await {
        match delivery {
            Delivery::Data(data) => segmenter.push(&data, &mut sink).unwrap(),
            Delivery::Lost { .. } => segmenter.gap(),
            Delivery::Closed(_) => break,
        }
    }
    segmenter.finish(&mut sink);
}

async fn listen(mut listener: Listener, vault: Arc<FakeVault>, arrivals: Arrivals) {
    while let Some(request) = listener.next().await {
        assert!(StreamId::parse(request.stream_id()).is_ok());
        let sink = LiveSink { vault: Arc::clone(&vault), arrivals: Arc::clone(&arrivals), open: Vec::new() };
        if let Ok(connection) = request.accept().await {
            tokio::spawn(take(connection, sink));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_costs_nothing_and_no_byte_crosses_twice() {
    let token = DeviceToken::from_random([8; 32]);
    let device: DeviceId = "bus-7".parse().unwrap();
    let vault = FakeVault::start(device.clone(), token.live_key());
    let config = ListenerConfig { addr: "127.0.0.1:0".parse().unwrap(), ..ListenerConfig::default() };
    let listener = Listener::bind(config).await.unwrap();
    let link = Link::new(1);
    let srt = link.udp(listener.local_addr()).await.unwrap();
    let http = link.tcp(vault.address()).await.unwrap();
    let arrivals = Arrivals::default();
    tokio::spawn(listen(listener, Arc::clone(&vault), Arc::clone(&arrivals)));

    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(RecorderConfig {
        vault: Some(format!("http://{}", http.addr()).parse().unwrap()),
        srt: Some(format!("srt://{}", srt.addr()).parse().unwrap()),
        device,
        token: Some(token),
        spool: folder.path().to_owned(),
        cameras: vec!["front=test,size=640x360,fps=15,bitrate=1M,encoder=libx264".parse().unwrap()],
        pack_seconds: 4,
        reserve_bytes: 0,
        ..RecorderConfig::default()
    })
    .unwrap();
    let status = recorder.status();
    let live_for = |segments| {
        let mut status = status.clone();
        async move {
            let live = status.wait_for(|status| status.cameras[0].live_delivered.segments >= segments);
            tokio::time::timeout(Duration::from_secs(40), live).await.expect("live goes on").unwrap();
        }
    };
    live_for(2).await;
    link.set(Conditions { mode: Mode::BlackHole, ..Conditions::perfect() });
    tokio::time::sleep(Duration::from_secs(4)).await;
    let up = Instant::now();
    link.set(Conditions::perfect());
    let before = status.borrow().cameras[0].live_delivered.segments;
    live_for(before + 2).await;
    let report = recorder.stop(Duration::from_secs(20)).await;

    assert!(report.drained, "{:#?}", report.status);
    let relink = arrivals.lock().unwrap().iter().find(|at| **at > up).unwrap().duration_since(up);
    // One GOP is a second here; the segment that is open when the link comes back counts.
    assert!(relink < Duration::from_millis(2500), "{relink:?}");
    let layout = SpoolLayout::new(folder.path());
    let objects = vault.objects();
    let mut footage = 0;
    for ((camera, pack), object) in &objects {
        let own = std::fs::read(layout.pack(camera, Folder::Stored, *pack)).unwrap();
        assert!(own == *object, "{pack} is identical");
        footage += own.len() as u64;
    }
    let camera = &report.status.cameras[0];
    assert_eq!(camera.packs_stored, objects.len() as u64);
    assert_eq!(camera.lost_ms.len(), 0);
    let uploaded = vault.uploaded.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(uploaded + vault.live_used(), camera.captured.bytes, "each byte came one way");
    let wire = link.tallies().to_vault.payload_bytes();
    println!(
        "relink {relink:?}, uploaded {uploaded}, live {}, wire {wire}, footage {footage}",
        vault.live_used()
    );
    println!("{:#?}", report.status.wire);
    assert!(wire * 100 < footage * 118, "{wire} bytes on the wire for {footage}");
}
