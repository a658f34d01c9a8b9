//! A vault of one file, for the recorder's tests: announcements, tus uploads, receipts; connections that die on purpose.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, WallMs};
use dashvault_media::parse_trailer;
use dashvault_wire::upload::PackTarget;
use dashvault_wire::{
    AnnounceReply, AnnounceRequest, ByteRange, DeviceStatus, EventNotice, LiveKey, LossNotice, PackReply,
    PackStatus, RangeSet, Receipt, RequestedPack, SegmentNotice, paths,
};

type Name = (CameraName, PackId);

/// One pack.
#[derive(Default)]
struct Held {
    segments: Vec<SegmentNotice>,
    trailer: Option<Vec<u8>>,
    body: Vec<u8>,
    have: RangeSet,
}

struct Upload {
    name: Name,
    start: u64,
    length: u64,
    offset: u64,
}

#[derive(Default)]
struct State {
    packs: HashMap<Name, Held>,
    objects: HashMap<Name, Vec<u8>>,
    uploads: HashMap<u64, Upload>,
    losses: Vec<LossNotice>,
    events: Vec<EventNotice>,
    statuses: Vec<DeviceStatus>,
    requested: Vec<RequestedPack>,
    order: Vec<PackId>,
    /// Whole segments that came over live.
    live: HashMap<ContentHash, Vec<u8>>,
    live_used: u64,
}

/// The vault; it serves until the test ends.
pub(crate) struct FakeVault {
    state: Mutex<State>,
    device: DeviceId,
    key: LiveKey,
    address: SocketAddr,
    /// A connection is cut after so many bytes from the recorder; 0: never.
    pub(crate) dies_after: AtomicU64,
    /// Receipts are sealed with another key.
    pub(crate) forges: AtomicBool,
    /// Bytes that came in uploads' bodies.
    pub(crate) uploaded: AtomicU64,
    /// Bytes that came at all.
    pub(crate) received: AtomicU64,
    pub(crate) connections: AtomicU64,
}

impl FakeVault {
    pub(crate) fn start(device: DeviceId, key: LiveKey) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let vault = Arc::new(Self {
            state: Mutex::default(),
            device,
            key,
            address: listener.local_addr().unwrap(),
            dies_after: AtomicU64::new(0),
            forges: AtomicBool::new(false),
            uploaded: AtomicU64::new(0),
            received: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let serving = Arc::clone(&vault);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let vault = Arc::clone(&serving);
                vault.connections.fetch_add(1, Ordering::Relaxed);
                // A connection that is cut is what the test is about.
                std::thread::spawn(move || drop(vault.serve(stream)));
            }
        });
        vault
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn objects(&self) -> HashMap<Name, Vec<u8>> {
        self.state().objects.clone()
    }

    pub(crate) fn losses(&self) -> Vec<LossNotice> {
        self.state().losses.clone()
    }

    pub(crate) fn events(&self) -> Vec<EventNotice> {
        self.state().events.clone()
    }

    /// What the recorder told of itself, in order.
    pub(crate) fn statuses(&self) -> Vec<DeviceStatus> {
        self.state().statuses.clone()
    }

    /// Somebody waits for a pack.
    pub(crate) fn request(&self, camera: CameraName, pack: PackId) {
        self.state().requested.push(RequestedPack { camera, pack });
    }

    /// Packs in the order in which their first uploaded byte came.
    pub(crate) fn order(&self) -> Vec<PackId> {
        self.state().order.clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A whole segment came over live.
    pub(crate) fn live(&self, hash: ContentHash, bytes: Vec<u8>) {
        self.state().live.insert(hash, bytes);
    }

    /// Bytes of packs that were taken from live.
    pub(crate) fn live_used(&self) -> u64 {
        self.state().live_used
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let budget = match self.dies_after.load(Ordering::Relaxed) {
            0 => u64::MAX,
            bytes => bytes,
        };
        let mut answers = stream.try_clone()?;
        // When the budget is used up, reading ends, and dropping the socket with unread bytes resets the connection.
        let mut reader = BufReader::with_capacity(1024, stream.take(budget));
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let mut headers = HashMap::new();
            let mut head_bytes = line.len() as u64;
            loop {
                let mut header = String::new();
                if reader.read_line(&mut header)? == 0 {
                    return Ok(());
                }
                head_bytes += header.len() as u64;
                let Some((name, value)) = header.trim_end().split_once(": ") else { break };
                headers.insert(name.to_ascii_lowercase(), value.to_owned());
            }
            self.received.fetch_add(head_bytes, Ordering::Relaxed);
            let mut words = line.split_whitespace();
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let answer = self.answer(method, path, &headers, &mut reader)?;
            answers.write_all(answer.as_bytes())?;
        }
    }

    fn answer(
        &self,
        method: &str,
        path: &str,
        headers: &HashMap<String, String>,
        body: &mut impl Read,
    ) -> io::Result<String> {
        let number = |name: &str| headers.get(name).and_then(|value| value.parse::<u64>().ok());
        let length = number("content-length").unwrap_or(0);
        match (method, path.strip_prefix(paths::UPLOADS)) {
            ("POST", None) if path == paths::ANNOUNCE => {
                let mut text = vec![0; usize::try_from(length).unwrap()];
                body.read_exact(&mut text)?;
                self.received.fetch_add(length, Ordering::Relaxed);
                let reply =
                    serde_json::to_string(&self.announce(serde_json::from_slice(&text).unwrap())).unwrap();
                Ok(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{reply}", reply.len()))
            }
            ("POST", Some("")) => {
                let target = PackTarget::from_metadata(&headers["upload-metadata"]).unwrap();
                let upload = Upload {
                    name: (target.camera, target.pack),
                    start: target.start,
                    length: number("upload-length").unwrap(),
                    offset: 0,
                };
                let id = self.state().uploads.len() as u64;
                self.state().uploads.insert(id, upload);
                let offset = self.append(id, length, body)?;
                Ok(format!(
                    "HTTP/1.1 201 Created\r\nlocation: {}/{id}\r\nupload-offset: {offset}\r\ncontent-length: 0\r\n\r\n",
                    paths::UPLOADS
                ))
            }
            (_, Some(id)) => {
                let id = id.trim_start_matches('/').parse().unwrap();
                let held = self.state().uploads[&id].offset;
                if method == "PATCH" && number("upload-offset") != Some(held) {
                    return Ok(
                        "HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
                    );
                }
                let offset = self.append(id, length, body)?;
                let status = if method == "PATCH" { "204 No Content" } else { "200 OK" };
                let no_body = if method == "PATCH" { "" } else { "content-length: 0\r\n" };
                Ok(format!("HTTP/1.1 {status}\r\nupload-offset: {offset}\r\n{no_body}\r\n"))
            }
            _ => Ok("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned()),
        }
    }

    /// Keeps what comes, as it comes, so that a cut loses nothing.
    fn append(&self, id: u64, mut length: u64, body: &mut impl Read) -> io::Result<u64> {
        let mut buffer = [0; 1024];
        while length > 0 {
            let most = buffer.len().min(usize::try_from(length).unwrap());
            let read = body.read(&mut buffer[..most])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            length -= read as u64;
            self.uploaded.fetch_add(read as u64, Ordering::Relaxed);
            self.received.fetch_add(read as u64, Ordering::Relaxed);
            let mut state = self.state();
            let State { packs, uploads, order, .. } = &mut *state;
            let upload = uploads.get_mut(&id).unwrap();
            if !order.contains(&upload.name.1) {
                order.push(upload.name.1);
            }
            let at = upload.start + upload.offset;
            upload.offset += read as u64;
            assert!(upload.offset <= upload.length, "more than the upload's length");
            let held = packs.entry(upload.name.clone()).or_default();
            let (from, to) = (usize::try_from(at).unwrap(), usize::try_from(at).unwrap() + read);
            if held.body.len() < to {
                held.body.resize(to, 0);
            }
            held.body[from..to].copy_from_slice(&buffer[..read]);
            held.have.insert(ByteRange::new(at, to as u64));
        }
        Ok(self.state().uploads[&id].offset)
    }

    fn announce(&self, request: AnnounceRequest) -> AnnounceReply {
        request.validate().unwrap();
        let mut guard = self.state();
        let state = &mut *guard;
        let mut packs = Vec::new();
        for pack in request.packs {
            let name = (pack.camera.clone(), pack.pack);
            let held = state.packs.entry(name.clone()).or_default();
            let first = pack.first as usize;
            if first <= held.segments.len() {
                held.segments.truncate(first);
                held.segments.extend(pack.segments);
            }
            if let Some(trailer) = pack.trailer {
                let signed = parse_trailer(&trailer).unwrap();
                let notice = |entry: &dashvault_media::SegmentEntry| SegmentNotice {
                    len: entry.len,
                    hash: entry.hash,
                    pts: entry.start_pts,
                    dur: entry.duration,
                    at: entry.wall_offset_ms,
                };
                held.segments = signed.manifest().segments.iter().map(notice).collect();
                held.trailer = Some(trailer);
            }
            state.live_used += held.take_live(&state.live);
            let object = held.whole();
            let status = match object {
                Some((manifest, object)) => {
                    let bytes = object.len() as u64;
                    state.objects.insert(name.clone(), object);
                    PackStatus::Stored { receipt: self.receipt(&name, manifest, bytes) }
                }
                None => PackStatus::Assembling {
                    known: u32::try_from(held.segments.len()).unwrap(),
                    want: held.have.missing(ByteRange::new(0, held.body_len())),
                    requested: false,
                },
            };
            packs.push(PackReply { camera: pack.camera, pack: pack.pack, status });
        }
        let losses: Vec<String> = request.losses.iter().map(|loss| loss.id.clone()).collect();
        for loss in request.losses {
            if !state.losses.iter().any(|known| known.id == loss.id) {
                state.losses.push(loss);
            }
        }
        let events: Vec<String> = request.events.iter().map(|event| event.id.clone()).collect();
        for event in request.events {
            if !state.events.iter().any(|known| known.id == event.id) {
                state.events.push(event);
            }
        }
        state.statuses.extend(request.status);
        let requested = state.requested.clone();
        let device = Some(self.device.clone());
        let protocol = paths::PROTOCOL;
        AnnounceReply { protocol, packs, losses, events, requested, device, ..AnnounceReply::default() }
    }

    fn receipt(&self, (camera, pack): &Name, manifest: ContentHash, bytes: u64) -> Receipt {
        let forged = LiveKey::from_bytes([66; 32]);
        let key = if self.forges.load(Ordering::Relaxed) { &forged } else { &self.key };
        Receipt::seal(key, self.device.clone(), camera.clone(), *pack, manifest, bytes, WallMs(1))
    }
}

impl Held {
    fn body_len(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.len)).sum()
    }

    /// Fills what is missing from live, whole segments only; gives how many bytes that was.
    fn take_live(&mut self, live: &HashMap<ContentHash, Vec<u8>>) -> u64 {
        let (mut at, mut used) = (0, 0);
        for segment in &self.segments {
            let range = ByteRange::new(at, at + u64::from(segment.len));
            at = range.end;
            let Some(bytes) = live.get(&segment.hash).filter(|_| !self.have.contains(range)) else {
                continue;
            };
            let (from, to) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
            if self.body.len() < to {
                self.body.resize(to, 0);
            }
            self.body[from..to].copy_from_slice(bytes);
            self.have.insert(range);
            used += range.len();
        }
        used
    }

    /// The object, once every byte is there; every hash must be right then.
    fn whole(&self) -> Option<(ContentHash, Vec<u8>)> {
        let trailer = self.trailer.as_ref()?;
        if !self.have.contains(ByteRange::new(0, self.body_len())) {
            return None;
        }
        let mut rest = self.body.as_slice();
        for segment in &self.segments {
            let (bytes, after) = rest.split_at(segment.len as usize);
            assert_eq!(ContentHash::of(bytes), segment.hash, "an uploaded segment is wrong");
            rest = after;
        }
        let manifest = parse_trailer(trailer).unwrap().manifest().hash();
        Some((manifest, [self.body.as_slice(), trailer].concat()))
    }
}
