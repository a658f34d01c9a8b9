//! `GET /vod/<device>/<camera>/index.m3u8`: a playlist over stored packs, by byte range of their objects.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Viewer},
    problem::Refusal,
    time::Range,
    timeline,
};
use crate::{core::Core, timeline::playlist};

/// The longest range: what a player takes at once.
const LONGEST_MS: u64 = 7 * 86_400_000;
const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(index))
}

/// An HLS playlist of what is stored of a range, from the segment that holds `from`.
#[utoipa::path(
    get,
    path = "/vod/{device}/{camera}/index.m3u8",
    tag = "footage",
    params(("device" = String, Path, description = "Device id"), ("camera" = String, Path, description = "Camera name"), Range),
    responses(
        (status = 200, description = "The playlist", content_type = "application/vnd.apple.mpegurl"),
        (status = 400, description = "No range"),
        (status = 404, description = "No such device, or nothing is stored of the range (`no-footage`)"),
    ),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn index(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Path((device, camera)): Path<(String, String)>,
    Query(asked): Query<Range>,
) -> Result<Response, Refusal> {
    let (device, camera) = caller.camera(&device, &camera)?;
    let device = timeline::known(&core, device).await?;
    let range = timeline::range(asked, LONGEST_MS)?;
    let packs = core.playable(&device, &camera, range).await?;
    let text = playlist(range, &packs).ok_or_else(no_footage)?;
    core.audit(&caller, Act { range: Some((range.from, range.to)), ..Act::on("view", &device, &camera) });
    // Backfill may put footage into any range.
    let headers = [(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "private, no-cache")];
    Ok((headers, text).into_response())
}

fn no_footage() -> Refusal {
    let detail = "nothing is stored of this range; the timeline says what became of it";
    Refusal::new(404, "no-footage", "no footage", detail)
}
