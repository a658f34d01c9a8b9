//! The least HTTP that asking a vault takes: one question, one answer, the connection closed.
//!
//! What belongs here: health, metrics and an empty announcement, asked by `doctor` and the demo. Not footage.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The most of an answer that is read.
const ANSWER_BYTES: u64 = 1 << 20;

/// The status and what follows the header; status 0 where the answer is not HTTP.
///
/// # Errors
/// The connection's.
pub(crate) async fn get(authority: &str, path: &str) -> io::Result<(u16, String)> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    ask(authority, &head).await
}

/// As [`get`], of a `POST` of JSON with a bearer.
///
/// # Errors
/// The connection's.
pub(crate) async fn post_json(
    authority: &str,
    path: &str,
    bearer: &str,
    body: &str,
) -> io::Result<(u16, String)> {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    ask(authority, &request).await
}

async fn ask(authority: &str, request: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(authority).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(split(&String::from_utf8_lossy(&answer)))
}

fn split(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut words = head.split(' ');
    let http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let status = words.next().filter(|_| http).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_split_and_strangers_told_apart() {
        assert_eq!(split("HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello"), (200, "hello".into()));
        assert_eq!(split("SSH-2.0-OpenSSH\r\n").0, 0);
        assert_eq!(split("").0, 0);
    }
}
