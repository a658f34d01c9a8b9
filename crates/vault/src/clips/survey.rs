//! What a clip would be: its plan from the index, its formats from the packs, and what is missing in it.

use std::{collections::HashSet, sync::Arc};

use dashvault_media::format::Format;

use super::{
    cutter::CutError,
    film::Film,
    job::{ClipFormat, ClipProblem, Missing, Summary},
    plan::{Plan, Span},
};
use crate::{
    archive::index::{ClipRow, IndexError},
    core::Core,
};

/// The plan of a job, and what there is to say of it.
pub(crate) async fn summary(core: &Core, row: &ClipRow, asked: Span) -> Result<(Plan, Summary), IndexError> {
    let candidates = core.index.clip_candidates(&row.device, &row.camera, (asked.from, asked.to)).await?;
    let plan = Plan::new(asked, &candidates);
    let summary = describe(core, row, &plan).await?;
    Ok((plan, summary))
}

async fn describe(core: &Core, row: &ClipRow, plan: &Plan) -> Result<Summary, IndexError> {
    let whole = plan.whole().unwrap_or(Span { from: plan.asked.from, to: plan.asked.from });
    let packs = plan.packs();
    let mut estimated_bytes = match row.format {
        ClipFormat::Mp4 => plan.mp4_bytes_about(),
        ClipFormat::Ts => plan.ts_bytes(),
    };
    if row.evidence {
        for key in &packs {
            estimated_bytes += core.index.pack(key).await?.map_or(0, |pack| pack.bytes);
        }
    }
    Ok(Summary {
        from: whole.from,
        to: whole.to,
        covered_ms: plan.covered_ms(),
        covered: plan.covered(),
        missing: plan.holes().into_iter().map(missing).collect(),
        damaged_segments: plan.damaged(),
        packs: packs.len(),
        estimated_bytes,
    })
}

fn missing(hole: Span) -> Missing {
    Missing { from: hole.from, to: hole.to, state: "not_recorded".to_owned(), cause: None }
}

/// What there is to say where nothing is stored of a range.
pub(crate) fn no_footage() -> ClipProblem {
    ClipProblem::new("no-footage", "nothing that can be played is stored of this range")
}

/// What an MP4's streams are.
pub(super) struct Formats {
    pub(super) hevc: bool,
}

/// Looks into the first segment of each recording: an MP4 has one picture size and one kind of sound.
pub(super) fn formats(film: &Arc<Film>, _core: &Core) -> Result<Formats, CutError> {
    let mut seen = HashSet::new();
    let mut first: Option<(Format, Span)> = None;
    let mut changes: Vec<String> = Vec::new();
    for (index, piece) in film.plan().pieces.iter().enumerate() {
        if !seen.insert(piece.key.pack.recording) {
            continue;
        }
        let format = Format::of(&film.piece(index)?);
        match &first {
            None => first = Some((format, piece.wall)),
            Some((before, _)) if *before == format => {}
            Some((before, wall)) => {
                if changes.is_empty() {
                    changes.push(format!("{} from {}", before, wall.from));
                }
                changes.push(format!("{format} from {}", piece.wall.from));
            }
        }
    }
    if !changes.is_empty() {
        let detail = format!(
            "an MP4 has one format from beginning to end, and this range has several: {}; ask for one clip of each \
             stretch, or for the format `ts`, which takes them all",
            changes.join("; ")
        );
        return Err(CutError::Problem(ClipProblem::new("mixed-formats", detail)));
    }
    Ok(Formats { hevc: first.is_some_and(|(format, _)| format.is_hevc()) })
}
