//! `GET …/thumbnail`: the picture of a moment.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dashvault_base::WallMs;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Viewer},
    problem::Refusal,
    time::Moment,
    validators::EntityTag,
};
use crate::{
    clips,
    core::Core,
    thumbnails::{ThumbnailError, Thumbnails},
};

const DEFAULT_WIDTH: u32 = 320;
/// A keyframe that is shown for longer than so before the moment asked for is no picture of it.
const DEFAULT_WITHIN_MS: u32 = 10_000;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(thumbnail))
}

/// Which picture.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The moment: RFC 3339 or Unix milliseconds; the newest without it
    #[param(value_type = Option<String>)]
    at: Option<Moment>,
    /// Its width in pixels, rounded up to one of a few
    width: Option<u32>,
    /// How long before the moment its segment may have ended, in milliseconds
    within_ms: Option<u32>,
}

/// The keyframe at or before a moment, as JPEG.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/cameras/{camera}/thumbnail",
    tag = "footage",
    params(("device" = String, Path, description = "Device id"), ("camera" = String, Path, description = "Camera name"), Wanted),
    responses(
        (status = 200, description = "The picture", content_type = "image/jpeg"),
        (status = 404, description = "No such device or camera, or no footage of that moment"),
        (status = 501, description = "ffmpeg is not installed"),
        (status = 503, description = "Too many are waiting to be made; `Retry-After` says when to ask again"),
    ),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn thumbnail(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Path((device, camera)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (device, camera) = caller.camera(&device, &camera)?;
    let at = wanted.at.map(WallMs::from);
    let within_ms = i64::from(wanted.within_ms.unwrap_or(DEFAULT_WITHIN_MS));
    let none = || Refusal::of_clip(clips::no_footage());
    let shot = core.keyframe_at(&device, &camera, at.unwrap_or(WallMs(i64::MAX))).await?.ok_or_else(none)?;
    let ends = shot.segment.start_wall.plus_ms(i64::from(shot.segment.duration.0) / 90);
    if at.is_some_and(|at| at.0.saturating_sub(ends.0) > within_ms) {
        return Err(none());
    }
    let width = wanted.width.unwrap_or(DEFAULT_WIDTH);
    let tag = EntityTag::of(Thumbnails::name(&shot, width));
    // What is shown for a moment within its segment stays; another one may be backfilled between.
    let stays = at.is_some_and(|at| at < ends);
    let cache = if stays { "private, max-age=86400" } else { "private, no-cache" };
    let range = Some((shot.segment.start_wall, ends));
    core.audit(&caller, Act { range, detail: "thumbnail".into(), ..Act::on("view", &device, &camera) });
    let mut response = if tag.is_known(&headers) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let picture = core.thumbnails.picture(&core.reads, &core.objects, shot, width).await?;
        ([(header::CONTENT_TYPE, "image/jpeg")], picture).into_response()
    };
    let answer = response.headers_mut();
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    answer.extend(tag.to_header().map(|value| (header::ETAG, value)));
    Ok(response)
}

impl From<ThumbnailError> for Refusal {
    fn from(error: ThumbnailError) -> Self {
        match error {
            ThumbnailError::Busy => {
                Self::new(503, "busy", "too many thumbnails are waiting", "ask again in a moment")
                    .with(header::RETRY_AFTER, HeaderValue::from_static("2"))
            }
            ThumbnailError::NoFfmpeg => Self::of_clip(clips::no_ffmpeg()),
            ThumbnailError::Gone => Self::missing_object(),
            ThumbnailError::Failed(detail) => Self::new(422, "no-picture", "segment has no picture", detail),
        }
    }
}
