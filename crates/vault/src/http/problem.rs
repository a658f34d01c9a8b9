//! The one place where errors become HTTP: status, stable code, title.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dashvault_wire::{Problem, announce::AnnounceError, problem::CONTENT_TYPE, upload::MetadataError};

use crate::{
    archive::{index::IndexError, objects::ObjectError},
    assembler::camera::CameraError,
    auth::AuthError,
    clips::ClipProblem,
    devices::DeviceError,
    store::{ReadError, StoreError},
    uploads::TooManyUploads,
    users::{PasswordError, UserError, UserNameError, password::HashingError},
};

/// The longest text of the framework that is passed on.
const MAX_TEXT_BYTES: usize = 4096;

/// A request that is refused or failed.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    pub(crate) code: &'static str,
    title: &'static str,
    detail: String,
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(
        status: u16,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, title, detail: detail.into(), headers: Vec::new() }
    }

    /// Adds a header to the answer.
    #[must_use]
    pub(crate) fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(400, "malformed", "request is malformed", detail)
    }

    pub(crate) fn too_large(limit: u64) -> Self {
        Self::new(413, "too-large", "body is too large", format!("at most {limit} bytes are taken"))
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(408, "too-slow", "body came too slowly", "the connection is closed; try again")
    }

    pub(crate) fn cut_off(detail: impl Into<String>) -> Self {
        Self::new(400, "cut-off", "body ended too early", detail)
    }

    pub(crate) fn taken_over() -> Self {
        let detail = "ask for the offset and go on there, if this connection is the one to go on";
        Self::new(409, "taken-over", "another connection writes this upload", detail)
    }

    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::new(404, "not-found", "not found", format!("there is no such {what}"))
    }

    /// A pack that was stored, and whose object is gone.
    pub(crate) fn missing_object() -> Self {
        let detail = "the vault has lost this pack's object; it comes back when its vehicle announces it, or when its \
                      operator restores it from a backup and starts the vault again";
        Self::new(410, "missing", "object is missing", detail)
    }

    /// A clip or thumbnail that cannot be.
    pub(crate) fn of_clip(problem: ClipProblem) -> Self {
        let (status, code, title) = match problem.code.as_str() {
            "no-ffmpeg" => (501, "no-ffmpeg", "ffmpeg is not installed"),
            "mixed-formats" => (422, "mixed-formats", "range has several formats"),
            _ => (404, "no-footage", "there is no footage"),
        };
        Self::new(status, code, title, problem.detail)
    }

    /// One attempt too many; the header says how long to wait.
    pub(crate) fn too_often(wait: Duration, why: &str) -> Self {
        let seconds = wait.as_secs().saturating_add(1);
        let detail = format!("{why}; try again in {seconds} s");
        Self::new(429, "too-often", "too many attempts", detail).with(header::RETRY_AFTER, seconds.into())
    }

    /// Whether it says that the caller is nobody, and not that something failed.
    pub(crate) fn is_denial(&self) -> bool {
        self.status.is_client_error()
    }

    /// A pack that was stored, and that retention or an administrator has deleted.
    pub(crate) fn expired_object() -> Self {
        let detail = "this pack was stored, and was deleted by a retention rule or by hand";
        Self::new(410, "expired", "object is deleted", detail)
    }

    /// What the vault's log explains.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let text: Vec<String> = causes.map(ToString::to_string).collect();
        tracing::error!(error = text.join(": "), "request failed");
        let detail = "the vault's log says why; try again later";
        Self::new(503, "unavailable", "the vault cannot do this now", detail)
    }

    fn full() -> Self {
        let detail = "the vault's disk is full; try again when its operator has made room";
        Self::new(507, "disk-full", "no room left", detail)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = Problem::new(self.status.as_u16(), self.code, self.title, self.detail);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Makes a problem of what the framework refuses by itself in plain text: a query or a path that cannot be read.
pub(crate) async fn in_place_of_text(response: Response) -> Response {
    let is_text = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let status = response.status();
    if !is_text || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), MAX_TEXT_BYTES).await.unwrap_or_default();
    let text: String = String::from_utf8_lossy(&text).chars().filter(|c| !c.is_control()).collect();
    if status.is_client_error() {
        Refusal { status, ..Refusal::malformed(text) }.into_response()
    } else {
        Refusal::internal(&std::io::Error::other(text)).into_response()
    }
}

pub(crate) async fn no_such_path() -> Refusal {
    Refusal::not_found("path")
}

pub(crate) async fn no_such_method() -> Refusal {
    Refusal::new(405, "method-not-allowed", "method is not allowed here", "see the API reference")
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        // The title says what, the detail which and what to do: shown together, nothing is said twice.
        let unauthorized = |detail| {
            Self::new(401, "unauthorized", "credentials are missing or wrong", detail)
                .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        };
        let detail = error.to_string();
        match error {
            AuthError::Missing => unauthorized("sign in, or send `Authorization: Bearer …`"),
            AuthError::Wrong => {
                unauthorized("no device and no API token of this vault has this bearer, or it has ended")
            }
            AuthError::Revoked(id) => {
                let detail = format!("it is {id}; add another one and give its token to the vehicle");
                Self::new(403, "revoked", "device is revoked", detail)
            }
            AuthError::OtherDevice(_) | AuthError::NeedsCredentials(_) => {
                Self::new(403, "forbidden", "not allowed", detail)
            }
            AuthError::Index(error) => Self::internal(&error),
        }
    }
}

impl From<AnnounceError> for Refusal {
    fn from(error: AnnounceError) -> Self {
        let detail = error.to_string();
        match error {
            AnnounceError::Protocol(_) => Self::new(400, "protocol", "protocol is not known", detail),
            AnnounceError::TooMany { .. } => Self::new(413, "too-many", "announcement is too long", detail),
            AnnounceError::SegmentLength { .. }
            | AnnounceError::Loss(_)
            | AnnounceError::Event(_)
            | AnnounceError::Status => Self::malformed(detail),
        }
    }
}

impl From<MetadataError> for Refusal {
    fn from(error: MetadataError) -> Self {
        Self::malformed(error.to_string())
    }
}

impl From<TooManyUploads> for Refusal {
    fn from(error: TooManyUploads) -> Self {
        Self::new(429, "too-many-uploads", "too many uploads", error.to_string())
    }
}

impl From<IndexError> for Refusal {
    fn from(error: IndexError) -> Self {
        Self::internal(&error)
    }
}

impl From<UserNameError> for Refusal {
    fn from(error: UserNameError) -> Self {
        Self::new(422, "user-name", "name is not taken", error.to_string())
    }
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        Self::new(422, "password", "password is not taken", error.to_string())
    }
}

impl From<HashingError> for Refusal {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => Self::new(503, "busy", "the vault is busy", error.to_string()),
            HashingError::Failed(_) => Self::internal(&error),
        }
    }
}

impl From<UserError> for Refusal {
    fn from(error: UserError) -> Self {
        let detail = error.to_string();
        match error {
            UserError::Name(error) => error.into(),
            UserError::Password(error) => error.into(),
            UserError::Hashing(error) => error.into(),
            UserError::Index(error) => error.into(),
            UserError::Exists(_) => Self::new(409, "user-exists", "name is taken", detail),
            UserError::Unknown(_) => Self::not_found("user"),
            UserError::LastAdmin(_) => Self::new(409, "last-admin", "nobody could manage the vault", detail),
            UserError::Disk(error) => Self::internal(&error),
        }
    }
}

impl From<DeviceError> for Refusal {
    fn from(error: DeviceError) -> Self {
        let detail = error.to_string();
        match error {
            DeviceError::Name(_) => Self::new(422, "device-name", "name is not taken", detail),
            DeviceError::Exists(_) => Self::new(409, "device-exists", "name is taken", detail),
            DeviceError::Unknown(_) => Self::not_found("device"),
            DeviceError::Index(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Object(ObjectError::NotFound(_)) => Self::not_found("object"),
            ReadError::Object(ObjectError::Short(_)) => Self::missing_object(),
            error => Self::internal(&error),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            error if error.is_full() => Self::full(),
            StoreError::Gone => Self::new(410, "gone", "upload has ended", detail),
            StoreError::Camera(CameraError::UnknownPack(_)) => {
                Self::new(404, "unknown-pack", "pack is not being assembled", detail)
            }
            StoreError::Camera(CameraError::OutsidePack { .. }) => {
                Self::new(400, "outside-pack", "no announced segment has these bytes", detail)
            }
            StoreError::Stopped => Self::new(503, "stopping", "the vault is stopping", detail),
            error => Self::internal(&error),
        }
    }
}
