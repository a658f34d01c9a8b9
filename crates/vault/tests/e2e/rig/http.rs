//! A small HTTP client that can misbehave, and what recorders ask with it.

use std::net::SocketAddr;

use dashvault_wire::{
    AnnounceReply, AnnounceRequest, ByteRange, PackAnnounce, PackStatus, Receipt,
    paths::{ANNOUNCE, PROTOCOL, UPLOADS},
    upload::PackTarget,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{FootagePack, eventually};

/// HTTP by hand, one connection a request.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) addr: SocketAddr,
    pub(crate) bearer: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The stable code of a problem.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: dashvault_wire::Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status);
        problem.code().to_owned()
    }

    pub(crate) fn offset(&self) -> u64 {
        self.header("upload-offset").unwrap_or_else(|| panic!("{self:?}")).parse().unwrap()
    }
}

impl Http {
    pub(crate) fn head_of(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        len: Option<usize>,
    ) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: vault\r\nconnection: close\r\n");
        if let Some(bearer) = &self.bearer {
            head += &format!("authorization: Bearer {bearer}\r\n");
        }
        if let Some(len) = len {
            head += &format!("content-length: {len}\r\n");
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head + "\r\n"
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut stream = self.connect().await;
        let head = self.head_of(method, path, headers, (!body.is_empty()).then_some(body.len()));
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses early may close before all is sent.
        let _ = stream.write_all(body).await;
        read_answer(&mut stream, method == "HEAD").await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], &[]).await
    }

    pub(crate) async fn announce_raw(&self, body: &[u8]) -> Answer {
        self.request("POST", ANNOUNCE, &[("content-type", "application/json")], body).await
    }

    pub(crate) async fn announce(&self, packs: Vec<PackAnnounce>) -> Vec<PackStatus> {
        let request = AnnounceRequest { protocol: PROTOCOL, packs, ..AnnounceRequest::default() };
        let answer = self.announce_raw(&serde_json::to_vec(&request).unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let reply: AnnounceReply = serde_json::from_slice(&answer.body).unwrap();
        reply.packs.into_iter().map(|pack| pack.status).collect()
    }

    pub(crate) async fn announce_one(&self, pack: PackAnnounce) -> PackStatus {
        self.announce(vec![pack]).await.remove(0)
    }

    /// Announces until the pack is stored.
    pub(crate) async fn receipt(&self, pack: &FootagePack) -> Receipt {
        eventually("a receipt", async || match self.announce_one(pack.sealed()).await {
            PackStatus::Stored { receipt } => Some(receipt),
            other => {
                assert!(matches!(other, PackStatus::Assembling { .. }), "{other:?}");
                None
            }
        })
        .await
    }

    pub(crate) async fn create(&self, pack: &FootagePack, range: ByteRange) -> Answer {
        let camera = pack.manifest.camera.clone();
        let metadata = PackTarget { camera, pack: pack.id(), start: range.start }.to_metadata();
        let length = range.len().to_string();
        let headers =
            [("tus-resumable", "1.0.0"), ("upload-length", &length), ("upload-metadata", &metadata)];
        self.request("POST", UPLOADS, &headers, &[]).await
    }

    pub(crate) async fn patch(&self, location: &str, offset: u64, bytes: &[u8]) -> Answer {
        self.request("PATCH", location, &patch_headers(&offset.to_string()), bytes).await
    }

    pub(crate) async fn offset(&self, location: &str) -> u64 {
        let answer = self.request("HEAD", location, &[("tus-resumable", "1.0.0")], &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.offset()
    }

    /// Uploads a range of the pack's body.
    pub(crate) async fn upload(&self, pack: &FootagePack, range: ByteRange) {
        let created = self.create(pack, range).await;
        assert_eq!(created.status, 201, "{}", created.text());
        let (from, until) = (range.start as usize, range.end as usize);
        let answer = self.patch(created.header("location").unwrap(), 0, &pack.body()[from..until]).await;
        assert_eq!((answer.status, answer.offset()), (204, range.len()), "{}", answer.text());
    }
}

pub(crate) fn patch_headers(offset: &str) -> [(&'static str, &str); 3] {
    [
        ("tus-resumable", "1.0.0"),
        ("upload-offset", offset),
        ("content-type", "application/offset+octet-stream"),
    ]
}

pub(crate) async fn read_answer(stream: &mut TcpStream, head_only: bool) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the answer is the server's way to stop a body it does not want.
    let _ = stream.read_to_end(&mut bytes).await;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer's header");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pair = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: Vec<_> = lines.map(pair).collect();
    let mut body = bytes.split_off(end + 4);
    if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") && !head_only {
        body = unchunk(&body);
    }
    Answer { status, headers, body }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&bytes[end + 2..end + 2 + len]);
        bytes = &bytes[end + 4 + len..];
    }
    body
}
