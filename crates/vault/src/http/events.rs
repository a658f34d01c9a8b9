//! `/api/v1/events`: what was marked, and which of it is locked.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use dashvault_base::{CameraName, DeviceId, WallMs};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Admin, Caller, Operator, Viewer},
    json::JsonBody,
    page::Page,
    problem::Refusal,
    time::{Moment, Range},
};
use crate::{
    archive::index::{EventDeletion, EventFilter, EventRow, EventSource},
    core::Core,
};

/// The longest note, in bytes.
const MAX_NOTE_BYTES: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(change, delete))
}

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Of this device
    device: Option<String>,
    /// Of this camera, or of all cameras
    camera: Option<String>,
    /// That end after this: RFC 3339 or Unix milliseconds
    #[param(value_type = Option<String>)]
    from: Option<Moment>,
    /// That begin before this
    #[param(value_type = Option<String>)]
    to: Option<Moment>,
    /// That are locked, or are not
    locked: Option<bool>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Events {
    events: Vec<Event>,
    /// What to give as `after` for the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A range of time that somebody or something marked.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Event {
    id: String,
    #[schema(value_type = String)]
    device: DeviceId,
    /// None: all of the device.
    #[schema(value_type = Option<String>)]
    camera: Option<CameraName>,
    #[schema(value_type = i64)]
    from: WallMs,
    #[schema(value_type = i64)]
    to: WallMs,
    kind: String,
    note: String,
    /// `vehicle` or `user`.
    source: String,
    created_by: String,
    #[schema(value_type = i64)]
    created: WallMs,
    /// Whether it keeps its footage.
    locked: bool,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEvent {
    device: String,
    /// None: all cameras of the device.
    camera: Option<String>,
    /// RFC 3339 or Unix milliseconds.
    #[schema(value_type = String)]
    from: Moment,
    #[schema(value_type = String)]
    to: Moment,
    /// 1 to 64 of `A-Z a-z 0-9 _ -` (default `manual`).
    kind: Option<String>,
    /// At most 1000 bytes.
    #[serde(default)]
    note: String,
    /// Whether it keeps its footage (default yes).
    locked: Option<bool>,
}

/// What is to be another way; what is left out stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    locked: Option<bool>,
    note: Option<String>,
}

/// Events, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    params(Asked, Page),
    responses((status = 200, body = Events)),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn list(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Query(asked): Query<Asked>,
    Query(page): Query<Page>,
) -> Result<Json<Events>, Refusal> {
    let device = match asked.device {
        Some(name) => Some(caller.device(&name)?),
        None => caller.only().cloned(),
    };
    let camera =
        asked.camera.map(|name| name.parse().map_err(|_| Refusal::not_found("camera"))).transpose()?;
    let after = page.after.as_deref().map(parse_cursor).transpose()?;
    let (from, to) = (asked.from.map(WallMs::from), asked.to.map(WallMs::from));
    let filter = EventFilter { device, camera, from, to, locked: asked.locked, after };
    let rows = core.index.events(&filter, page.fetch()).await?;
    let (rows, next) = page.cut(rows, |row| format!("{}_{}", row.from.0, row.id));
    Ok(Json(Events { events: rows.into_iter().map(Event::from).collect(), next }))
}

/// Marks a range; locked, unless it is said otherwise.
#[utoipa::path(
    post,
    path = "/api/v1/events",
    tag = "events",
    request_body = NewEvent,
    responses((status = 201, body = Event), (status = 404, description = "No such device")),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn create(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    JsonBody(new): JsonBody<NewEvent>,
) -> Result<(StatusCode, Json<Event>), Refusal> {
    let device = caller.device(&new.device)?;
    if core.index.device(&device).await?.is_none() {
        return Err(Refusal::not_found("device"));
    }
    let camera = new.camera.map(|name| name.parse().map_err(|_| Refusal::not_found("camera"))).transpose()?;
    let (from, to) = Range { from: new.from, to: new.to }.ends()?;
    let kind = new.kind.unwrap_or_else(|| "manual".to_owned());
    // A device's id is a name of the same kind.
    if kind.parse::<DeviceId>().is_err() {
        return Err(Refusal::malformed("`kind` must be 1 to 64 of A-Z, a-z, 0-9, '_' and '-'"));
    }
    let row = EventRow {
        id: super::random_id()?,
        device,
        camera,
        from,
        to,
        kind,
        note: checked_note(new.note)?,
        source: EventSource::User,
        created_by: caller.name.clone(),
        created: core.clock.wall(),
        locked: new.locked.unwrap_or(true),
    };
    core.index.add_event(&row).await?;
    note(&core, &caller, if row.locked { "lock" } else { "mark" }, &row);
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// Locks, unlocks or annotates an event.
#[utoipa::path(
    patch,
    path = "/api/v1/events/{id}",
    tag = "events",
    params(("id" = String, Path, description = "Event id")),
    request_body = Change,
    responses((status = 200, body = Event), (status = 404, description = "No such event")),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn change(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    JsonBody(change): JsonBody<Change>,
) -> Result<Json<Event>, Refusal> {
    let text = change.note.map(checked_note).transpose()?;
    visible(&core, &caller, &id).await?;
    let changed = core.index.change_event(&id, change.locked, text.as_deref()).await?;
    let row = changed.ok_or_else(no_event)?;
    let action = match change.locked {
        Some(true) => "lock",
        Some(false) => "unlock",
        None => "annotate",
    };
    note(&core, &caller, action, &row);
    Ok(Json(row.into()))
}

/// Forgets an event that is not locked. Its footage is then up to the rules.
#[utoipa::path(
    delete,
    path = "/api/v1/events/{id}",
    tag = "events",
    params(("id" = String, Path, description = "Event id")),
    responses(
        (status = 204, description = "It is forgotten"),
        (status = 404, description = "No such event"),
        (status = 409, description = "It is locked"),
    ),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn delete(
    State(core): State<Arc<Core>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    visible(&core, &caller, &id).await?;
    match core.index.delete_event(&id).await? {
        EventDeletion::Deleted(row) => {
            note(&core, &caller, "delete-event", &row);
            Ok(StatusCode::NO_CONTENT)
        }
        EventDeletion::Locked => {
            Err(Refusal::new(409, "locked", "event is locked", "unlock it first; it keeps footage"))
        }
        EventDeletion::Unknown => Err(no_event()),
    }
}

async fn visible(core: &Core, caller: &Caller, id: &str) -> Result<EventRow, Refusal> {
    let row = core.index.event(id).await?.filter(|row| caller.may_see(&row.device));
    row.ok_or_else(no_event)
}

fn no_event() -> Refusal {
    Refusal::not_found("event")
}

fn checked_note(note: String) -> Result<String, Refusal> {
    if note.len() <= MAX_NOTE_BYTES {
        return Ok(note);
    }
    Err(Refusal::malformed(format!("`note` may have {MAX_NOTE_BYTES} bytes")))
}

fn note(core: &Core, caller: &Caller, action: &'static str, row: &EventRow) {
    let act = Act {
        action,
        device: Some(row.device.clone()),
        camera: row.camera.clone(),
        range: Some((row.from, row.to)),
        detail: format!("event {} ({})", row.id, row.kind),
    };
    core.audit(caller, act);
}

/// `<from>_<id>`: where the page before ended.
fn parse_cursor(text: &str) -> Result<(WallMs, String), Refusal> {
    let parts = text.split_once('_').and_then(|(from, id)| Some((WallMs(from.parse().ok()?), id.to_owned())));
    parts.ok_or_else(|| Refusal::malformed("`after` must be the `next` of an answer"))
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        let EventRow { id, device, camera, from, to, kind, note, source, created_by, created, locked } = row;
        let source = source.to_string();
        Self { id, device, camera, from, to, kind, note, source, created_by, created, locked }
    }
}
