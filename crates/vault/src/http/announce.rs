//! `POST /api/v1/announce`: what the recorder has, and what the vault lacks of it.

use std::sync::Arc;

use axum::{Json, body::Body, extract::State};
use dashvault_wire::{
    AnnounceReply, AnnounceRequest, EventNotice, LossNotice, MissingPack, PackAnnounce, PackReply,
    PackStatus, RequestedPack,
    announce::{MAX_BODY_BYTES, MAX_REQUESTED},
    paths::PROTOCOL,
};

use utoipa_axum::{router::OpenApiRouter, routes};

use super::{access::Publisher, body, problem::Refusal};
use crate::{
    archive::index::{RecordingKind, VehicleEvent},
    auth::Device,
    core::Core,
};

/// Missing packs that one reply names.
const MISSING_AT_ONCE: u32 = 64;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(announce))
}

/// What a recorder has; the answer says what the vault lacks of it.
#[utoipa::path(
    post,
    path = "/api/v1/announce",
    tag = "recorder",
    request_body(content = Object, description = "See `docs/design/reconciliation.md`"),
    responses(
        (status = 200, description = "Receipts and wants", body = Object),
        (status = 413, description = "It is too long"),
    ),
    extensions(("x-role" = json!("device"))),
)]
pub(super) async fn announce(
    State(core): State<Arc<Core>>,
    publisher: Publisher,
    body: Body,
) -> Result<Json<AnnounceReply>, Refusal> {
    let refused = |refusal: Refusal| {
        core.metrics.refused("announce", refusal.code);
        refusal
    };
    let device = publisher.device().map_err(refused)?;
    let bytes = body::collect(body, MAX_BODY_BYTES, core.config.limits.body_timeout).await;
    let request = bytes.and_then(|bytes| parse(&bytes));
    let request = request.map_err(|refusal| {
        tracing::warn!(device = %device.id, code = refusal.code, "announcement is refused");
        refused(refusal)
    })?;
    core.metrics.announcements.increment(1);
    core.touch(&device.id).await?;
    core.live.announced(&device.id, &request.packs);
    let mut packs = answer_packs(&core, &device, request.packs).await?;
    let losses = note_losses(&core, &device, &request.losses).await?;
    let missing = missing_packs(&core, &device).await?;
    let requested = requested_packs(&core, &device, &mut packs).await?;
    if let Some(status) = &request.status {
        core.index.note_device_status(&device.id, status, core.clock.wall()).await?;
    }
    let events = note_events(&core, &device, request.events).await?;
    let device = Some(device.id.clone());
    let protocol = PROTOCOL;
    Ok(Json(AnnounceReply { protocol, packs, losses, missing, device, events, requested }))
}

/// Marks the packs that somebody waits for; gives all of them where it is time to tell again.
async fn requested_packs(
    core: &Core,
    device: &Device,
    replies: &mut [PackReply],
) -> Result<Vec<RequestedPack>, Refusal> {
    let requests = &core.memory.requests;
    let (waited_for, tell) = match requests.known(&device.id) {
        Some(known) => (known, false),
        None => {
            let most = u32::try_from(MAX_REQUESTED).unwrap_or(u32::MAX);
            let keys = core.index.requested_of_device(&device.id, most).await?;
            (requests.learned(&device.id, &keys), true)
        }
    };
    if waited_for.is_empty() {
        return Ok(Vec::new());
    }
    for reply in replies {
        if let PackStatus::Assembling { requested, .. } = &mut reply.status {
            *requested = waited_for.contains(&(reply.camera.clone(), reply.pack));
        }
    }
    let named = waited_for.iter().filter(|_| tell);
    Ok(named.map(|(camera, pack)| RequestedPack { camera: camera.clone(), pack: *pack }).collect())
}

fn parse(bytes: &[u8]) -> Result<AnnounceRequest, Refusal> {
    let request: AnnounceRequest =
        serde_json::from_slice(bytes).map_err(|error| Refusal::malformed(error.to_string()))?;
    request.validate()?;
    Ok(request)
}

/// One reply for each pack, in the order announced.
async fn answer_packs(
    core: &Core,
    device: &Device,
    packs: Vec<PackAnnounce>,
) -> Result<Vec<PackReply>, Refusal> {
    let mut refusals = Vec::with_capacity(packs.len());
    for pack in &packs {
        refusals.push(refusal(core, device, pack).await?);
    }
    let named: Vec<_> = packs.iter().map(|pack| (pack.camera.clone(), pack.pack)).collect();
    let taken = packs.into_iter().zip(&refusals).filter(|(_, refused)| refused.is_none());
    let taken: Vec<PackAnnounce> = taken.map(|(pack, _)| pack).collect();
    let mut replies = core.store.announce(&device.id, &device.keys, taken).await?.into_iter();
    let mut all = Vec::with_capacity(named.len());
    for ((camera, pack), refused) in named.into_iter().zip(refusals) {
        let reply = match refused {
            Some(status) => Some(PackReply { camera, pack, status }),
            None => replies.next(),
        };
        all.extend(reply);
    }
    for reply in &all {
        match &reply.status {
            PackStatus::Stored { .. } => core.metrics.receipts.increment(1),
            PackStatus::Refused { code, detail } => {
                core.metrics.refused("announce", "pack");
                let (device, pack) = (&device.id, reply.pack);
                tracing::warn!(%device, camera = %reply.camera, %pack, code, detail, "pack is refused");
            }
            PackStatus::Assembling { .. } => {}
        }
    }
    Ok(all)
}

/// Why a pack cannot be announced here, whatever it holds.
async fn refusal(core: &Core, device: &Device, pack: &PackAnnounce) -> Result<Option<PackStatus>, Refusal> {
    let recording = pack.pack.recording;
    let kind = core.claim(&device.id, &pack.camera, recording, RecordingKind::Announced).await?;
    let (code, detail) = match kind {
        Some(RecordingKind::Announced) => return Ok(None),
        Some(RecordingKind::Plain) => (
            "plain-recording",
            "this recording was published without announcements; the vault sealed it".to_owned(),
        ),
        None => {
            let max = core.config.limits.cameras_per_device;
            ("too-many-cameras", format!("a device may have {max} cameras"))
        }
    };
    Ok(Some(PackStatus::Refused { code: code.to_owned(), detail }))
}

/// Some of the device's packs that are missing here, where it is time to tell again.
async fn missing_packs(core: &Core, device: &Device) -> Result<Vec<MissingPack>, Refusal> {
    let Some(after) = core.may_tell_missing(&device.id) else { return Ok(Vec::new()) };
    let keys = core.index.missing_of_device(&device.id, after.as_ref(), MISSING_AT_ONCE).await?;
    let full = u32::try_from(keys.len()).is_ok_and(|count| count == MISSING_AT_ONCE);
    core.missing_told(&device.id, keys.last().filter(|_| full).cloned());
    Ok(keys.into_iter().map(|key| MissingPack { camera: key.camera, pack: key.pack }).collect())
}

/// Gives the ids of all losses that are durable now.
async fn note_losses(core: &Core, device: &Device, losses: &[LossNotice]) -> Result<Vec<String>, Refusal> {
    if losses.is_empty() {
        return Ok(Vec::new());
    }
    for loss in core.index.add_losses(&device.id, losses, core.clock.wall()).await? {
        core.metrics.lost(loss.cause, loss.lost_ms);
        let LossNotice { camera, cause, lost_ms, .. } = &loss;
        tracing::warn!(device = %device.id, %camera, %cause, lost_ms, "footage is lost");
    }
    Ok(losses.iter().map(|loss| loss.id.clone()).collect())
}

/// Gives the ids of all events that are durable now.
async fn note_events(core: &Core, device: &Device, told: Vec<EventNotice>) -> Result<Vec<String>, Refusal> {
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let ids = told.iter().map(|event| event.id.clone()).collect();
    let row = |event: EventNotice| {
        let EventNotice { id, camera, from, to, kind, note } = event;
        VehicleEvent { id, camera, from, to, kind, note }
    };
    let rows = told.into_iter().map(row).collect();
    let new = core.index.add_vehicle_events(&device.id, rows, core.clock.wall()).await?;
    if new > 0 {
        tracing::info!(device = %device.id, new, "events of the vehicle");
    }
    Ok(ids)
}
