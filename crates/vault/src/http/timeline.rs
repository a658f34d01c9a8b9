//! `GET …/timeline`: what every moment is. `POST …/fetch`: what is on the vehicle comes first.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use dashvault_base::{CameraName, DeviceId, WallMs};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Operator, Viewer},
    problem::Refusal,
    time::{Moment, Range},
};
use crate::{
    core::Core,
    timeline::{self, Span, State as Look, Totals, WallRange},
};

/// The longest range, a little over a year.
const LONGEST_MS: u64 = 400 * 86_400_000;
/// Beyond so many spans the resolution is raised.
const MOST_SPANS: usize = 20_000;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(of_device)).routes(routes!(of_camera)).routes(routes!(fetch))
}

/// Which part of a timeline, and how exactly.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct Asked {
    /// RFC 3339 or Unix milliseconds.
    #[param(value_type = String)]
    from: Moment,
    /// RFC 3339 or Unix milliseconds; not in the range itself.
    #[param(value_type = String)]
    to: Moment,
    /// Spans are put on its multiples; left out, they are exact.
    resolution_ms: Option<u64>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DeviceTimeline {
    #[schema(value_type = i64)]
    from: WallMs,
    #[schema(value_type = i64)]
    to: WallMs,
    cameras: Vec<CameraTimeline>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct CameraTimeline {
    #[schema(value_type = String)]
    camera: CameraName,
    #[schema(value_type = i64)]
    from: WallMs,
    #[schema(value_type = i64)]
    to: WallMs,
    /// 1 where spans are exact; more than was asked for where there would be too many of them.
    resolution_ms: u64,
    /// They cover the range in order.
    spans: Vec<SpanBody>,
    totals: TotalsBody,
}

/// A range in one state.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SpanBody {
    #[schema(value_type = i64)]
    from: WallMs,
    #[schema(value_type = i64)]
    to: WallMs,
    /// `live`, `backfilled`, `on_vehicle`, `lost` or `not_recorded`.
    state: &'static str,
    /// Why it is lost: as the losses have it, or `missing` where the vault has lost it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// Of what is lost: the rest is here and plays.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partly: bool,
    /// Of what is not recorded: it was, and was deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    /// How many recordings it is of.
    recordings: usize,
    /// About how many bytes.
    bytes: u64,
}

/// How much is what, exactly.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TotalsBody {
    live_ms: u64,
    backfilled_ms: u64,
    on_vehicle_ms: u64,
    lost_ms: u64,
    not_recorded_ms: u64,
}

/// Which footage is to come first.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct FetchRequest {
    /// RFC 3339 or Unix milliseconds.
    #[schema(value_type = String)]
    from: Moment,
    /// RFC 3339 or Unix milliseconds; not in the range itself.
    #[schema(value_type = String)]
    to: Moment,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct FetchReply {
    /// Packs that are asked for now.
    packs: u64,
    /// What of them is not here.
    bytes: u64,
}

/// The spans of every camera of a device.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/timeline",
    tag = "footage",
    params(("device" = String, Path, description = "Device id"), Asked),
    responses(
        (status = 200, body = DeviceTimeline),
        (status = 400, description = "No range"),
        (status = 404, description = "No such device"),
    ),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn of_device(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Path(device): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<DeviceTimeline>, Refusal> {
    let device = known(&core, caller.device(&device)?).await?;
    let range = range(Range { from: asked.from, to: asked.to }, LONGEST_MS)?;
    let mut cameras = Vec::new();
    for camera in core.index.cameras(&device).await? {
        cameras.push(camera_timeline(&core, &device, camera, range, asked.resolution_ms).await?);
    }
    Ok(Json(DeviceTimeline { from: range.from, to: range.to, cameras }))
}

/// The spans of a camera.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/cameras/{camera}/timeline",
    tag = "footage",
    params(("device" = String, Path, description = "Device id"), ("camera" = String, Path, description = "Camera name"), Asked),
    responses(
        (status = 200, body = CameraTimeline),
        (status = 400, description = "No range"),
        (status = 404, description = "No such device"),
    ),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn of_camera(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Path((device, camera)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Json<CameraTimeline>, Refusal> {
    let (device, camera) = caller.camera(&device, &camera)?;
    let device = known(&core, device).await?;
    let range = range(Range { from: asked.from, to: asked.to }, LONGEST_MS)?;
    Ok(Json(camera_timeline(&core, &device, camera, range, asked.resolution_ms).await?))
}

/// Moves what is on the vehicle of a range to the front of what it sends.
#[utoipa::path(
    post,
    path = "/api/v1/devices/{device}/cameras/{camera}/fetch",
    tag = "footage",
    params(("device" = String, Path, description = "Device id"), ("camera" = String, Path, description = "Camera name")),
    request_body = FetchRequest,
    responses(
        (status = 200, body = FetchReply),
        (status = 400, description = "No range"),
        (status = 404, description = "No such device"),
    ),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn fetch(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path((device, camera)): Path<(String, String)>,
    Json(request): Json<FetchRequest>,
) -> Result<Json<FetchReply>, Refusal> {
    let (device, camera) = caller.camera(&device, &camera)?;
    let device = known(&core, device).await?;
    let range = range(Range { from: request.from, to: request.to }, LONGEST_MS)?;
    let requested = core.index.request_announced(&device, &camera, range, core.clock.wall()).await?;
    core.memory.requests.changed(&device);
    core.audit(&caller, Act { range: Some((range.from, range.to)), ..Act::on("fetch", &device, &camera) });
    Ok(Json(FetchReply { packs: requested.packs, bytes: requested.bytes }))
}

/// A device that this vault has.
pub(super) async fn known(core: &Core, device: DeviceId) -> Result<DeviceId, Refusal> {
    let row = core.index.device(&device).await?;
    if row.is_some() { Ok(device) } else { Err(Refusal::not_found("device")) }
}

/// The range that a request gives.
pub(super) fn range(asked: Range, longest_ms: u64) -> Result<WallRange, Refusal> {
    let (from, to) = asked.ends()?;
    let range = WallRange { from, to };
    if range.len_ms() > longest_ms {
        let days = longest_ms / 86_400_000;
        return Err(Refusal::malformed(format!("a range may be {days} days long at most")));
    }
    Ok(range)
}

async fn camera_timeline(
    core: &Core,
    device: &DeviceId,
    camera: CameraName,
    range: WallRange,
    resolution_ms: Option<u64>,
) -> Result<CameraTimeline, Refusal> {
    let exact = timeline::spans(range, core.timeline_sources(device, &camera, range).await?);
    let totals = Totals::of(&exact).into();
    let (spans, resolution_ms) = zoomed(exact, resolution_ms.unwrap_or(1).max(1));
    let spans = spans.into_iter().map(SpanBody::from).collect();
    Ok(CameraTimeline { camera, from: range.from, to: range.to, resolution_ms, spans, totals })
}

/// The spans at a resolution, or at a coarser one where there would be too many.
fn zoomed(exact: Vec<Span>, mut resolution_ms: u64) -> (Vec<Span>, u64) {
    let mut spans = exact;
    loop {
        if timeline::left_at_least(&spans, resolution_ms) <= MOST_SPANS {
            if resolution_ms > 1 {
                spans = timeline::coarsen(&spans, resolution_ms);
            }
            if spans.len() <= MOST_SPANS {
                return (spans, resolution_ms);
            }
        }
        // Multiples of the last one, so that what was put on it can be put on this.
        resolution_ms = resolution_ms.saturating_mul(4);
    }
}

impl From<Span> for SpanBody {
    fn from(Span { range, state, recordings, bytes }: Span) -> Self {
        let cause = if let Look::Lost { cause, .. } = state { Some(cause.name()) } else { None };
        Self {
            from: range.from,
            to: range.to,
            state: state.name(),
            cause,
            partly: matches!(state, Look::Lost { partly: true, .. }),
            deleted: state == Look::NotRecorded { deleted: true },
            recordings: recordings.len(),
            bytes,
        }
    }
}

impl From<Totals> for TotalsBody {
    fn from(totals: Totals) -> Self {
        let Totals { live_ms, backfilled_ms, on_vehicle_ms, lost_ms, not_recorded_ms } = totals;
        Self { live_ms, backfilled_ms, on_vehicle_ms, lost_ms, not_recorded_ms }
    }
}
