//! Clips: a range as a transport stream at once, and jobs that make files.
//!
//! Belongs here: requests to values and back. Does not: what is in a clip, how it is made (`clips`).

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use dashvault_base::{CameraName, DeviceId, WallMs};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Caller, Operator},
    json::JsonBody,
    page::Page,
    problem::Refusal,
    random_id,
    served::{self, Served},
    time::{Moment, Range},
    validators::EntityTag,
};
use crate::{
    archive::{index::ClipRow, objects::ObjectReader},
    clips::{self, ClipFormat, ClipProblem, ClipState, Edges, Film, Plan, ProgressNow, Shelf, Span, Summary},
    core::Core,
    layout::Layout,
};

const MAX_TITLE_CHARS: usize = 200;
const MAX_NOTE_CHARS: usize = 4000;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new()
        .routes(routes!(stream))
        .routes(routes!(preview))
        .routes(routes!(create, list))
        .routes(routes!(one, remove))
        .routes(routes!(file))
}

/// A clip job as it is asked for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewClip {
    device: String,
    camera: String,
    #[schema(value_type = String, example = "2026-11-22T10:15:00Z")]
    from: Moment,
    #[schema(value_type = String, example = "2026-11-22T10:17:30Z")]
    to: Moment,
    #[serde(default = "mp4")]
    format: ClipFormat,
    /// The outcome is an evidence bundle: a ZIP file with the clip, its packs whole, and a signed report
    #[serde(default)]
    evidence: bool,
    /// Cut to the very frames; otherwise it begins at the keyframe at or before `from` (MP4 only).
    #[serde(default)]
    exact: bool,
    #[serde(default)]
    title: String,
    #[serde(default)]
    note: String,
}

const fn mp4() -> ClipFormat {
    ClipFormat::Mp4
}

/// A clip job.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Clip {
    id: String,
    #[schema(value_type = String)]
    device: DeviceId,
    #[schema(value_type = String)]
    camera: CameraName,
    #[schema(value_type = i64)]
    from: WallMs,
    #[schema(value_type = i64)]
    to: WallMs,
    format: ClipFormat,
    /// The file is an evidence bundle.
    evidence: bool,
    exact: bool,
    title: String,
    note: String,
    state: ClipState,
    #[schema(value_type = i64)]
    created_ms: WallMs,
    created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    ended_ms: Option<WallMs>,
    /// When it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    expires_ms: Option<WallMs>,
    /// While it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressNow>,
    /// What it shows and what is missing in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
    /// The finished file's length.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ClipProblem>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Clips {
    clips: Vec<Clip>,
    /// What to give as `after` for the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which clips.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only clips of this device.
    device: Option<String>,
}

/// A range as a transport stream, at once.
///
/// Its segments one after the other: exact to the segment, from the keyframe at or before `from`. Without a cut it is the
/// same bytes as in the packs; over cuts its clock goes on. `Dashvault-Covered` says what it shows.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/cameras/{camera}/clip.ts",
    tag = "clips",
    params(("device" = String, Path, description = "Device id"), ("camera" = String, Path, description = "Camera name"), Range),
    responses(
        (status = 200, description = "The clip", content_type = "video/mp2t"),
        (status = 206, description = "The bytes asked for", content_type = "video/mp2t"),
        (status = 404, description = "No such device or camera, or nothing stored of the range"),
        (status = 416, description = "No such bytes"),
    ),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn stream(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path((device, camera)): Path<(String, String)>,
    Query(range): Query<Range>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (device, camera) = caller.camera(&device, &camera)?;
    let asked = asked(&core, range)?;
    let row = draft(&device, &camera, asked, ClipFormat::Ts);
    let (plan, summary) = clips::summary(&core, &row, asked).await?;
    if plan.pieces.is_empty() {
        return Err(Refusal::of_clip(clips::no_footage()));
    }
    let tag = EntityTag::of(name_of(&plan));
    let objects = core.objects.clone();
    let film = core.reads.work(move || Film::open(Arc::new(plan), Edges::Raw, objects)).await?;
    let name = format!("{device}-{camera}-{}.ts", asked.from.0);
    if method != Method::HEAD && !headers.contains_key(header::RANGE) {
        let range = Some((summary.from, summary.to));
        core.audit(&caller, Act { range, detail: "clip.ts".into(), ..Act::on("download", &device, &camera) });
    }
    let served = Served {
        content_type: ClipFormat::Ts.content_type(),
        tag: Some(tag),
        // Backfill may add to it.
        cache_control: "private, no-cache",
        file_name: Some(&name),
    };
    let mut response = served::answer(&core.reads, Arc::new(film), &method, &headers, &served)?;
    let covered: Vec<String> =
        summary.covered.iter().map(|span| format!("{}/{}", span.from, span.to)).collect();
    // A header has room for so many; the rest is told by the preview.
    let covered = covered.get(..covered.len().min(50)).unwrap_or_default().join(", ");
    response.headers_mut().extend(
        HeaderValue::from_str(&covered)
            .ok()
            .map(|value| (header::HeaderName::from_static("dashvault-covered"), value)),
    );
    Ok(response)
}

/// What a clip of a range would show, what would be missing in it and why, and about how long its file would be.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/cameras/{camera}/clip",
    tag = "clips",
    params(("device" = String, Path, description = "Device id"), ("camera" = String, Path, description = "Camera name"), Range),
    responses((status = 200, body = Summary), (status = 404, description = "No such device or camera")),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn preview(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path((device, camera)): Path<(String, String)>,
    Query(range): Query<Range>,
) -> Result<Json<Summary>, Refusal> {
    let (device, camera) = caller.camera(&device, &camera)?;
    let asked = asked(&core, range)?;
    let row = draft(&device, &camera, asked, ClipFormat::Mp4);
    Ok(Json(clips::summary(&core, &row, asked).await?.1))
}

/// Asks for a clip, which is made as soon as its turn comes.
#[utoipa::path(
    post,
    path = "/api/v1/clips",
    tag = "clips",
    request_body = NewClip,
    responses(
        (status = 202, body = Clip, description = "It is queued; `Location` says where to ask for it"),
        (status = 404, description = "No such device or camera, or nothing stored of the range"),
        (status = 429, description = "Too many jobs are waiting"),
        (status = 501, description = "ffmpeg is not installed"),
    ),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn create(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    JsonBody(new): JsonBody<NewClip>,
) -> Result<Response, Refusal> {
    let (device, camera) = caller.camera(&new.device, &new.camera)?;
    let asked = asked(&core, Range { from: new.from, to: new.to })?;
    let mut row = ClipRow {
        id: random_id()?,
        evidence: new.evidence,
        exact: new.exact && new.format == ClipFormat::Mp4,
        title: text("title", new.title, MAX_TITLE_CHARS)?,
        note: text("note", new.note, MAX_NOTE_CHARS)?,
        created: core.clock.wall(),
        created_by: caller.name.clone(),
        ..draft(&device, &camera, asked, new.format)
    };
    if row.format == ClipFormat::Mp4 {
        let ffmpeg = core.config.clips.ffmpeg.clone();
        if !core.reads.work(move || Ok(clips::ffmpeg_is_there(&ffmpeg))).await? {
            return Err(Refusal::of_clip(clips::no_ffmpeg()));
        }
    }
    let (plan, summary) = clips::summary(&core, &row, asked).await?;
    if plan.pieces.is_empty() {
        return Err(Refusal::of_clip(clips::no_footage()));
    }
    row.summary = serde_json::to_string(&summary).ok();
    let waiting = core.index.clips_in(ClipState::Queued).await?.len();
    if waiting >= core.config.clips.queue {
        let detail = format!("{waiting} clips are waiting to be made; try again later");
        return Err(Refusal::new(429, "too-many-clips", "too many clips are waiting", detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static("30")));
    }
    core.index.add_clip(&row).await?;
    core.clips.wake();
    let range = Some((asked.from, asked.to));
    core.audit(&caller, Act { range, detail: row.id.clone(), ..Act::on("clip", &device, &camera) });
    let location = format!("/api/v1/clips/{}", row.id);
    let mut response = (StatusCode::ACCEPTED, Json(Clip::of(&core, row))).into_response();
    response
        .headers_mut()
        .extend(HeaderValue::from_str(&location).ok().map(|value| (header::LOCATION, value)));
    Ok(response)
}

/// Clip jobs, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/clips",
    tag = "clips",
    params(Page, Which),
    responses((status = 200, body = Clips)),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn list(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Query(page): Query<Page>,
    Query(which): Query<Which>,
) -> Result<Json<Clips>, Refusal> {
    let device = which.device.map(|device| caller.device(&device)).transpose()?;
    let only = device.as_ref().or(caller.only());
    let rows = core.index.clips(only, page.after.as_deref(), page.fetch()).await?;
    let (rows, next) = page.cut(rows, |row| row.id.clone());
    Ok(Json(Clips { clips: rows.into_iter().map(|row| Clip::of(&core, row)).collect(), next }))
}

/// One clip job.
#[utoipa::path(
    get,
    path = "/api/v1/clips/{id}",
    tag = "clips",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, body = Clip), (status = 404, description = "No such clip")),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn one(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Json<Clip>, Refusal> {
    let row = find(&core, &caller, &id).await?;
    Ok(Json(Clip::of(&core, row)))
}

/// Cancels a clip job, or removes what it made.
#[utoipa::path(
    delete,
    path = "/api/v1/clips/{id}",
    tag = "clips",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 204, description = "It is gone"), (status = 404, description = "No such clip")),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn remove(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let row = find(&core, &caller, &id).await?;
    core.index.delete_clip(&id).await?;
    core.clips.removed(&id);
    core.audit(&caller, Act { detail: id, ..Act::on("clip-remove", &row.device, &row.camera) });
    Ok(StatusCode::NO_CONTENT)
}

/// The file of a finished clip.
#[utoipa::path(
    get,
    path = "/api/v1/clips/{id}/file",
    tag = "clips",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream"),
        (status = 206, description = "The bytes asked for", content_type = "application/octet-stream"),
        (status = 404, description = "No such clip"),
        (status = 409, description = "It is not finished"),
    ),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn file(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let row = find(&core, &caller, &id).await?;
    if row.state != ClipState::Finished {
        let detail = format!("it is {}", row.state);
        return Err(Refusal::new(409, "not-finished", "clip is not finished", detail));
    }
    let (disk, folder, wanted) = (core.disk.clone(), Layout::new(&core.config.data).clips(), row.clone());
    let opened: Arc<dyn ObjectReader> = core.reads.work(move || Shelf::read(&disk, &folder, &wanted)).await?;
    if method != Method::HEAD && !headers.contains_key(header::RANGE) {
        let name = row.file.clone().unwrap_or_default();
        let range = Some((row.from, row.to));
        core.audit(&caller, Act { range, detail: name, ..Act::on("download", &row.device, &row.camera) });
    }
    let served = Served {
        content_type: if row.evidence { "application/zip" } else { row.format.content_type() },
        tag: Some(EntityTag::of(&row.id)),
        cache_control: "private, max-age=86400, immutable",
        file_name: row.file.as_deref(),
    };
    served::answer(&core.reads, opened, &method, &headers, &served)
}

async fn find(core: &Core, caller: &Caller, id: &str) -> Result<ClipRow, Refusal> {
    let row = core.index.clip(id).await?.filter(|row| caller.may_see(&row.device));
    row.ok_or_else(|| Refusal::not_found("clip"))
}

/// A job that is not one yet.
fn draft(device: &DeviceId, camera: &CameraName, asked: Span, format: ClipFormat) -> ClipRow {
    ClipRow {
        id: String::new(),
        device: device.clone(),
        camera: camera.clone(),
        from: asked.from,
        to: asked.to,
        format,
        evidence: false,
        exact: false,
        title: String::new(),
        note: String::new(),
        created: WallMs(0),
        created_by: String::new(),
        state: ClipState::Queued,
        ended: None,
        bytes: None,
        file: None,
        summary: None,
        problem: None,
    }
}

fn asked(core: &Core, range: Range) -> Result<Span, Refusal> {
    let (from, to) = range.ends()?;
    let longest_ms = u64::try_from(core.config.clips.longest.as_millis()).unwrap_or(u64::MAX);
    if to.0.abs_diff(from.0) > longest_ms {
        let detail = format!("a clip is at most {} s long; ask for several", longest_ms / 1000);
        return Err(Refusal::new(400, "too-long", "range is too long", detail));
    }
    Ok(Span { from, to })
}

fn text(what: &str, text: String, most: usize) -> Result<String, Refusal> {
    let trimmed = text.trim();
    if trimmed.chars().count() > most {
        return Err(Refusal::malformed(format!("{what} has more than {most} characters")));
    }
    Ok(trimmed.to_owned())
}

/// The same only for the same segments.
fn name_of(plan: &Plan) -> String {
    let mut hasher = blake3::Hasher::new();
    for piece in &plan.pieces {
        hasher.update(piece.key.to_string().as_bytes());
        hasher.update(&piece.start_byte.to_be_bytes());
        hasher.update(&piece.bytes.to_be_bytes());
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}

impl Clip {
    fn of(core: &Core, row: ClipRow) -> Self {
        let keep_ms = i64::try_from(core.config.clips.keep.as_millis()).unwrap_or(i64::MAX);
        let finished = row.state == ClipState::Finished;
        Self {
            progress: core.clips.progress(&row.id).filter(|_| row.state == ClipState::Running),
            url: finished.then(|| format!("/api/v1/clips/{}/file", row.id)),
            expires_ms: row.ended.map(|ended| ended.plus_ms(keep_ms)),
            summary: row.summary.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            problem: row.problem.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            id: row.id,
            device: row.device,
            camera: row.camera,
            from: row.from,
            to: row.to,
            format: row.format,
            evidence: row.evidence,
            exact: row.exact,
            title: row.title,
            note: row.note,
            state: row.state,
            created_ms: row.created,
            created_by: row.created_by,
            ended_ms: row.ended,
            bytes: row.bytes,
            file: row.file,
        }
    }
}
