//! What a clip would be: its plan from the index, its formats from the packs, and what is missing in it.

use std::{collections::HashSet, sync::Arc};

use dashvault_media::format::Format;

use super::{
    cutter::CutError,
    film::Film,
    job::{ClipFormat, ClipProblem, Missing, Summary},
    plan::{Plan, SLIVER_MS, Span},
};
use crate::{
    archive::index::{ClipRow, IndexError},
    core::Core,
    timeline::{self, State, WallRange},
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
        missing: missing(core, row, plan).await?,
        damaged_segments: plan.damaged(),
        packs: packs.len(),
        estimated_bytes,
    })
}

/// What the timeline says of each stretch that the plan has no footage for.
async fn missing(core: &Core, row: &ClipRow, plan: &Plan) -> Result<Vec<Missing>, IndexError> {
    let mut all = Vec::new();
    for hole in plan.holes() {
        let Some(range) = WallRange::new(hole.from, hole.to) else { continue };
        let sources = core.timeline_sources(&row.device, &row.camera, range).await?;
        all.extend(why_missing(&timeline::spans(range, sources)));
    }
    Ok(all)
}

/// Names the causes along a hole. What the timeline has there for a moment is where both round a hole's end.
fn why_missing(spans: &[timeline::Span]) -> Vec<Missing> {
    let mut causes: Vec<Missing> = Vec::new();
    let mut from = spans.first().map(|span| span.range.from);
    for span in spans {
        let is_here = matches!(span.state, State::Live | State::Backfilled);
        let at = from.take().unwrap_or(span.range.from);
        if is_here && span.range.len_ms() < SLIVER_MS.unsigned_abs() && spans.len() > 1 {
            match causes.last_mut() {
                Some(last) => last.to = span.range.to,
                None => from = Some(at),
            }
            continue;
        }
        let state = if is_here { "arriving" } else { span.state.name() };
        let cause =
            if let State::Lost { cause, .. } = span.state { Some(cause.name().to_owned()) } else { None };
        causes.push(Missing { from: at, to: span.range.to, state: state.to_owned(), cause });
    }
    causes
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
pub(super) fn formats(film: &Arc<Film>) -> Result<Formats, CutError> {
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

#[cfg(test)]
mod tests {
    use dashvault_base::{LossCause, WallMs};

    use super::*;
    use crate::timeline::Cause;

    fn span(from: i64, to: i64, state: State) -> timeline::Span {
        let range = WallRange::new(WallMs(from), WallMs(to)).unwrap();
        timeline::Span { range, state, recordings: timeline::Recordings::default(), bytes: 0 }
    }

    #[test]
    fn a_hole_is_told_by_the_causes_of_the_timeline() {
        let camera = State::Lost { cause: Cause::Told(LossCause::Camera), partly: false };
        let spans = [
            span(0, 40, State::Live),
            span(40, 2000, State::OnVehicle),
            span(2000, 3000, camera),
            span(3000, 3100, State::Backfilled),
            span(3100, 9000, State::NotRecorded { deleted: false }),
        ];
        let told: Vec<_> = why_missing(&spans)
            .into_iter()
            .map(|missing| (missing.from.0, missing.to.0, missing.state, missing.cause))
            .collect();
        let lost = |cause: &str| ("lost".to_owned(), Some(cause.to_owned()));
        let (state, cause) = lost("camera");
        assert_eq!(
            told,
            [
                (0, 2000, "on_vehicle".to_owned(), None),
                (2000, 3100, state, cause),
                (3100, 9000, "not_recorded".to_owned(), None),
            ]
        );
    }

    #[test]
    fn footage_that_is_here_and_not_yet_in_a_pack_is_arriving() {
        let told = why_missing(&[span(0, 100, State::Live)]);
        assert_eq!((told.len(), told[0].state.as_str()), (1, "arriving"));
    }
}
