//! Devices: which there are and how they are, adding and revoking them.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
};
use dashvault_base::{CameraName, DeviceId, WallMs};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Admin, Caller, Viewer, client},
    json::JsonBody,
    page::Page,
    problem::Refusal,
};
use crate::{
    archive::index::{DeviceFilter, ShownDevice},
    core::Core,
    devices,
};

/// A device that was heard of this recently is online; recorders speak up every few seconds.
const ONLINE_MS: i64 = 45_000;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(show, revoke))
}

/// A device and how it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Device {
    #[schema(value_type = String)]
    id: DeviceId,
    /// The fingerprint of its signing key; left out for one that published anonymously.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// When it was added or first seen.
    #[schema(value_type = i64)]
    created: WallMs,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    revoked: Option<WallMs>,
    /// When it last announced or connected, to about 10 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    last_seen: Option<WallMs>,
    /// Whether it was heard of in the last 45 s, or is live.
    online: bool,
    cameras: Vec<Camera>,
    /// What its recorder said last of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    status: Option<serde_json::Value>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    status_at: Option<WallMs>,
}

/// A camera of a device.
#[derive(Debug, Serialize, ToSchema)]
struct Camera {
    #[schema(value_type = String)]
    name: CameraName,
    /// Whether it sends live now.
    live: bool,
    /// Up to when there is footage of it here; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    newest: Option<WallMs>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Devices {
    devices: Vec<Device>,
    /// What to give as `after` for the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which devices.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Those whose id has this text in it; capitals do not matter.
    search: Option<String>,
}

/// A device that is to be added, and how the vehicle reaches the vault.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDevice {
    /// Its id from now on: 1 to 64 of `A-Z a-z 0-9 _ -`.
    name: String,
    /// For the printed command; left out: the host of this request.
    host: Option<String>,
    /// For the printed command; left out: where the vault listens.
    http_port: Option<u16>,
    /// For the printed command; left out: where the vault listens.
    srt_port: Option<u16>,
}

/// A device that was just added. Its token is shown once and kept nowhere.
#[derive(Serialize, ToSchema)]
pub(super) struct AddedDevice {
    #[schema(value_type = String)]
    id: DeviceId,
    token: String,
    /// What its HTTP requests carry; it follows from the token.
    bearer: String,
    fingerprint: String,
    /// What starts its recorder.
    command: String,
}

/// The devices, by id.
#[utoipa::path(
    get,
    path = "/api/v1/devices",
    tag = "devices",
    params(Asked, Page),
    responses((status = 200, body = Devices)),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn list(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Query(asked): Query<Asked>,
    Query(page): Query<Page>,
) -> Result<Json<Devices>, Refusal> {
    let filter = DeviceFilter {
        only: caller.only().cloned(),
        search: asked.search.unwrap_or_default(),
        after: page.after.clone().unwrap_or_default(),
    };
    let rows = core.index.shown_devices(&filter, page.fetch()).await?;
    let (rows, next) = page.cut(rows, |shown| shown.row.id.to_string());
    Ok(Json(Devices { devices: with_cameras(&core, rows).await?, next }))
}

/// One device.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}",
    tag = "devices",
    params(("device" = String, Path, description = "Device id")),
    responses((status = 200, body = Device), (status = 404, description = "No such device")),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn show(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Path(device): Path<String>,
) -> Result<Json<Device>, Refusal> {
    let id = caller.device(&device)?;
    let filter = DeviceFilter { only: Some(id), ..DeviceFilter::default() };
    let rows = core.index.shown_devices(&filter, 1).await?;
    let device = with_cameras(&core, rows).await?.pop();
    device.map(Json).ok_or_else(|| Refusal::not_found("device"))
}

/// Adds a device; its token is in this answer only.
#[utoipa::path(
    post,
    path = "/api/v1/devices",
    tag = "devices",
    request_body = NewDevice,
    responses(
        (status = 201, body = AddedDevice),
        (status = 409, description = "There is one of that name, perhaps revoked"),
        (status = 422, description = "The name is not taken"),
    ),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn add(
    State(core): State<Arc<Core>>,
    Admin(caller): Admin,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewDevice>,
) -> Result<(StatusCode, Json<AddedDevice>), Refusal> {
    let id: DeviceId = new.name.parse().map_err(devices::DeviceError::from)?;
    let host = match &new.host {
        Some(host) => client::host_name(host).ok_or_else(|| {
            Refusal::new(422, "host", "host is not taken", "write a host name or an address, without a port")
        })?,
        None => client::host(&headers).unwrap_or("VAULT_HOST"),
    };
    let added = devices::add_new_to(&core.index, id).await?;
    note(&core, &caller, "add-device", &added.id);
    let (http, srt) = core.memory.ports();
    let command = added.command(host, new.http_port.unwrap_or(http), new.srt_port.unwrap_or(srt));
    let (token, bearer) = (added.token.reveal(), added.token.bearer());
    let answer = AddedDevice { id: added.id, token, bearer, fingerprint: added.fingerprint, command };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Revokes a device for good: its footage stays, but nothing more is taken from it.
#[utoipa::path(
    delete,
    path = "/api/v1/devices/{device}",
    tag = "devices",
    params(("device" = String, Path, description = "Device id")),
    responses((status = 204, description = "It is revoked"), (status = 404, description = "No such device")),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn revoke(
    State(core): State<Arc<Core>>,
    Admin(caller): Admin,
    Path(device): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = caller.device(&device)?;
    devices::revoke_in(&core.index, &id).await?;
    core.gates.close(std::slice::from_ref(&id));
    note(&core, &caller, "revoke-device", &id);
    Ok(StatusCode::NO_CONTENT)
}

fn note(core: &Core, caller: &Caller, action: &'static str, device: &DeviceId) {
    core.audit(caller, Act { device: Some(device.clone()), ..Act::named(action, "") });
}

async fn with_cameras(core: &Core, rows: Vec<ShownDevice>) -> Result<Vec<Device>, Refusal> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let mut cameras: HashMap<DeviceId, Vec<Camera>> = HashMap::new();
    let now = core.clock.wall();
    for (device, name, stored) in core.index.cameras_between(&first.row.id, &last.row.id).await? {
        let live = core.memory.publishing.cameras(&device).contains(&name);
        // What arrives now is played as it comes.
        let shows = || core.live.find(&device, &name).is_some_and(|track| track.lock().has_segment());
        let newest = if live && shows() { Some(now) } else { stored };
        cameras.entry(device).or_default().push(Camera { name, live, newest });
    }
    let show = |shown: ShownDevice| {
        let live = !core.memory.publishing.cameras(&shown.row.id).is_empty();
        let known = cameras.remove(&shown.row.id).unwrap_or_default();
        Device::new(shown, known, live, now)
    };
    Ok(rows.into_iter().map(show).collect())
}

impl Device {
    fn new(shown: ShownDevice, cameras: Vec<Camera>, live: bool, now: WallMs) -> Self {
        let ShownDevice { row, status, status_at } = shown;
        let seen = row.last_seen.is_some_and(|seen| now.0.saturating_sub(seen.0) < ONLINE_MS);
        Self {
            online: row.revoked.is_none() && (seen || live),
            fingerprint: row.public_key.map(|key| key.fingerprint()),
            id: row.id,
            created: row.created,
            revoked: row.revoked,
            last_seen: row.last_seen,
            cameras,
            status: status.and_then(|text| serde_json::from_str(&text).ok()),
            status_at,
        }
    }
}
