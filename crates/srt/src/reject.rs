//! Reject codes: what a listener answers instead of a connection, and what such an answer means to a caller.
//!
//! On the wire 1000 to 1999 are the protocol's own reasons, 2000 to 2999 the predefined application reasons
//! (`SRT_REJX_…`, 1000 + an HTTP-like status, plus 1000), 3000 and up are free for applications.
//! Haivision/srt `docs/features/access-control.md` and `rejection-codes.md`.

use std::fmt;

/// Why we refuse a caller, as the Haivision list names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// 400: the stream id cannot be read.
    BadRequest,
    /// 401: credentials are missing or wrong.
    Unauthorized,
    /// 402: the server has too much to do.
    Overload,
    /// 403: known, but not allowed to do this.
    Forbidden,
    /// 404: no such resource.
    NotFound,
    /// 405: the mode in the stream id is not supported here.
    BadMode,
    /// 406: a parameter cannot be accepted.
    Unacceptable,
    /// 409: the resource is in use already.
    Conflict,
    /// 415: the media type is not supported.
    UnsupportedMedia,
    /// 423: the resource is locked.
    Locked,
    /// 500: an internal error.
    Internal,
    /// 503: temporarily not available.
    Unavailable,
    /// Any other predefined status (the number as in HTTP).
    Http(u16),
}

impl RejectReason {
    /// The HTTP-like status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Overload => 402,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::BadMode => 405,
            Self::Unacceptable => 406,
            Self::Conflict => 409,
            Self::UnsupportedMedia => 415,
            Self::Locked => 423,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::Http(status) => status,
        }
    }

    /// The code in the handshake.
    pub const fn code(self) -> RejectCode {
        RejectCode(2000 + self.status() as u32)
    }
}

/// The code of a refused handshake, as it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RejectCode(pub u32);

impl RejectCode {
    /// 1010: the passphrases differ.
    pub const BAD_SECRET: Self = Self(1010);
    /// 1011: only one side has a passphrase.
    pub const UNSECURE: Self = Self(1011);

    /// What it means, for a person.
    pub const fn meaning(self) -> &'static str {
        match self.0 {
            1000 => "no reason given",
            1001 => "a system function failed at the listener",
            1002 => "refused by the listener's application",
            1003 => "the listener is out of resources",
            1004 => "the listener could not make sense of the handshake",
            1005 => "the listener has as many connections as it takes",
            1006 => "internal error of the listener",
            1007 => "the listener is closing",
            1008 => "the listener needs another SRT version",
            1009 => "rendezvous cookie collision",
            1010 => "wrong passphrase",
            1011 => "only one side has a passphrase",
            1012 => "message and stream mode differ",
            1013 => "congestion control differs",
            1014 => "packet filter differs",
            1015 => "group settings differ",
            1016 => "the connection timed out at the listener",
            1017 => "encryption modes differ",
            2400 => "the stream id cannot be read",
            2401 => "credentials are missing or wrong",
            2402 => "the listener is overloaded",
            2403 => "not allowed",
            2404 => "no such resource",
            2405 => "the mode is not supported",
            2406 => "a parameter is not acceptable",
            2409 => "in use already: somebody publishes there",
            2415 => "the media type is not supported",
            2423 => "locked",
            2426 => "the wrong protocol version",
            2500 => "internal error of the application",
            2501 => "not implemented",
            2502 => "the gateway's upstream failed",
            2503 => "temporarily not available",
            2504 => "the gateway's upstream timed out",
            2505 => "the version is not supported",
            2507 => "no storage left at the listener",
            2000..=2999 => "refused by the application",
            3000.. => "refused by the application with a code of its own",
            _ => "refused with an unknown code",
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.meaning())
    }
}
