//! tus 1.0 as a client, over plain HTTP: create, ask for the offset, bring the rest, again after each break.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use crate::failure::Failure;

const PIECE_BYTES: usize = 256 * 1024;
/// The most of an answer that is read.
const ANSWER_BYTES: u64 = 4 << 20;
/// How long the vault may say nothing; it syncs what came before it answers.
const PATIENCE: Duration = Duration::from_secs(120);
/// Breaks in a row without one byte more, after which it is given up.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(2);

/// A vault's interface.
pub(super) struct Api {
    authority: String,
    token: String,
}

/// One file on its way.
pub(super) struct Upload<'a> {
    pub(super) api: &'a Api,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) length: u64,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Api {
    pub(super) fn new(url: &str, token: &str) -> Result<Self, Failure> {
        let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let is_plain = |text: &&str| !text.is_empty() && !text.contains(['/', '?', '#', '@']);
        let authority = authority.filter(is_plain).ok_or_else(|| {
            Failure::usage(format_args!("{url:?} is no vault's address")).next("write http://HOST:PORT")
        })?;
        let port = if authority.rsplit(']').next().is_some_and(|end| end.contains(':')) { "" } else { ":80" };
        Ok(Self { authority: format!("{authority}{port}"), token: token.to_owned() })
    }

    /// Asks for JSON.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.patiently(|| self.ask("GET", path, &[]))?;
        serde_json::from_slice(&answer.body).map_err(|error| {
            Failure::here(format_args!("the vault's answer is no JSON: {error}")).next("check --vault")
        })
    }

    /// Begins an upload; gives its id.
    pub(super) fn create(&self, length: u64, metadata: &str) -> Result<String, Failure> {
        let length = length.to_string();
        let headers = [("Upload-Length", length.as_str()), ("Upload-Metadata", metadata)];
        let answer = self.patiently(|| self.ask("POST", "/api/v1/imports", &headers))?;
        let location = answer.header("location").unwrap_or_default();
        Ok(location.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// Asks again while the vault cannot be reached.
    fn patiently(&self, ask: impl Fn() -> io::Result<Answer>) -> Result<Answer, Failure> {
        for _ in 1..TRIES {
            match ask() {
                Ok(answer) if answer.status == 503 => {}
                Ok(answer) => return answer.or_failure(),
                Err(error) => tracing::warn!(%error, "the vault cannot be reached; trying again"),
            }
            std::thread::sleep(PAUSE);
        }
        let unreachable = |error| {
            Failure::here(format_args!("the vault at {} cannot be reached: {error}", self.authority))
                .next("check --vault and the network")
        };
        ask().map_err(unreachable)?.or_failure()
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
        let mut stream = self.connect()?;
        stream.write_all(self.head(method, path, headers, 0).as_bytes())?;
        Answer::read(stream)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.authority)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn head(&self, method: &str, path: &str, headers: &[(&str, &str)], length: u64) -> String {
        let Self { authority, token } = self;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nTus-Resumable: 1.0.0\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {length}\r\n"
        );
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head + "\r\n"
    }
}

impl Upload<'_> {
    /// Brings what the vault does not have yet; returns when it has all of it.
    pub(super) fn run(&self, file: &File) -> Result<(), Failure> {
        let (mut tries, mut reached) = (0, 0);
        loop {
            let offset = self.offset()?;
            if offset >= self.length {
                return Ok(());
            }
            tries = if offset > reached { 0 } else { tries + 1 };
            reached = offset;
            if tries > TRIES {
                return Err(Failure::here(format_args!("{} does not get through", self.name))
                    .next("check the network, then run the same command again"));
            }
            if tries > 1 {
                std::thread::sleep(PAUSE);
            }
            tracing::info!(file = self.name, offset, of = self.length, "uploading");
            match self.bring(file, offset) {
                // The vault cannot just now, or another connection took over: the offset says where to go on.
                Ok(answer) if matches!(answer.status, 409 | 503 | 507) => tries += 1,
                Ok(answer) => drop(answer.or_failure()?),
                Err(error) => tracing::warn!(file = self.name, %error, "the upload broke off; going on"),
            }
        }
    }

    fn offset(&self) -> Result<u64, Failure> {
        let path = format!("/api/v1/imports/{}", self.id);
        let answer = self.api.patiently(|| self.api.ask("HEAD", &path, &[]))?;
        Ok(answer.header("upload-offset").and_then(|offset| offset.parse().ok()).unwrap_or(0))
    }

    fn bring(&self, mut file: &File, offset: u64) -> io::Result<Answer> {
        let path = format!("/api/v1/imports/{}", self.id);
        let at = offset.to_string();
        let headers = [("Upload-Offset", at.as_str()), ("Content-Type", "application/offset+octet-stream")];
        let mut stream = self.api.connect()?;
        let left = self.length - offset;
        stream.write_all(self.api.head("PATCH", &path, &headers, left).as_bytes())?;
        file.seek(SeekFrom::Start(offset))?;
        let mut body = file.take(left);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = body.read(&mut piece)?;
            // A vault that refuses closes its end; its answer says why.
            if read == 0 || stream.write_all(piece.get(..read).unwrap_or_default()).is_err() {
                return Answer::read(stream);
            }
        }
    }
}

impl Answer {
    fn read(stream: TcpStream) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let ended = stream.take(ANSWER_BYTES).read_to_end(&mut bytes);
        let split = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(split) = split else {
            ended?;
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no answer"));
        };
        let body = bytes.split_off(split + 4);
        let head = String::from_utf8_lossy(&bytes).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok(Self { status, head, body })
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn or_failure(self) -> Result<Self, Failure> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let said = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
        let next = match self.status {
            401 | 403 => "check --token: it must be an API token of an operator or administrator",
            404 => "check --device; see `dashvault device list`",
            507 => "make room on the vault's disk",
            _ => "check --vault, and see the vault's log",
        };
        let mut what = format!("the vault says {}", self.status);
        for part in ["title", "detail"].map(said).iter().filter(|part| !part.is_empty()) {
            what += ": ";
            what += part;
        }
        Err(Failure::here(what).next(next))
    }
}
