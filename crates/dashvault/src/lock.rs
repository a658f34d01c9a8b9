//! `dashvault lock`: an event happened; keep what was recorded around it.
//!
//! What belongs here: which packs a time range touches, and their markers. What a marker means for
//! eviction and for the order of backfill is the spool's and the recorder's.

use std::{
    fs::{self, File},
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgAction, Args};
use dashvault_base::{CameraName, Clock, PackId, RecordingId, SystemClock, WallMs};
use dashvault_disk::OsDisk;
use dashvault_media::read_manifest;
use dashvault_spool::{SpoolLayout, leave_event, marker_text};
use dashvault_wire::EventNotice;
use serde_json::json;

use crate::{
    common::{Common, Output},
    failure::{Done, Failure, OrNext, Outcome},
    out::say,
    packs::{self, Found},
    units,
};

/// Mark a time range of a camera as an event: its packs are never evicted, and sent first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    dashvault lock --spool /var/lib/dashvault --camera front --last 30s --note 'g-sensor'\n  \
    dashvault lock --spool /var/lib/dashvault --camera front --from 20261122-101500 --to 20261122-101700\n  \
    dashvault lock --spool /var/lib/dashvault --camera front --last 30s --release\n\n\
    Times are UTC, YYYYMMDD-HHMMSS. A whole pack (about a minute) is marked where the range touches it.\n\
    The vault is told of the event, by the recorder, and keeps its footage too; --release frees only what is here.\n\
    Exit code 1 when nothing of the range is in the spool.")]
pub(crate) struct LockArgs {
    /// The recorder's spool
    #[arg(long, value_name = "DIR")]
    spool: PathBuf,
    /// The camera
    #[arg(long, env = "DASHVAULT_LOCK_CAMERA", value_name = "NAME")]
    camera: CameraName,
    /// The range's start, UTC
    #[arg(long, value_name = "YYYYMMDD-HHMMSS")]
    from: Option<RecordingId>,
    /// The range's end, UTC; without it, now
    #[arg(long, value_name = "YYYYMMDD-HHMMSS")]
    to: Option<RecordingId>,
    /// Instead of --from: this long before the range's end
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    last: Option<Duration>,
    /// What happened, kept in the marker and shown by the vault
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// What kind of event it is, in one word, such as button, impact, manual
    #[arg(long, value_name = "WORD", default_value = "manual", value_parser = kind)]
    kind: String,
    /// Take the marks away instead
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        default_value = "false", default_missing_value = "true")]
    release: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

/// Marks, or releases, every pack that the range touches.
pub(crate) fn run(args: LockArgs) -> Done {
    args.common.start_logging()?;
    let now = SystemClock.wall();
    let range = args.range(now)?;
    let layout = SpoolLayout::new(&args.spool);
    let packs: Vec<Found> =
        packs::in_spool(&args.spool)?.into_iter().filter(|p| p.camera == args.camera).collect();
    let touched = touched(&packs, range, now);
    let next = "check that this user may write the spool";
    let event = EventNotice::of_camera(&args.camera, range.0, range.1, &args.kind, &args.note);
    let text = marker_text(now, &args.note, &event.id);
    // First, so that whoever sees a marker finds its event.
    if !args.release && !touched.is_empty() {
        let json = json!(event).to_string();
        leave_event(&OsDisk, &layout, &args.camera, &event.id, json.as_bytes())
            .or_next("leave the event for the vault", next)?;
    }
    for pack in &touched {
        let marker = layout.marker(&args.camera, *pack);
        let done = if args.release { release(&marker) } else { mark(&marker, &text) };
        done.or_next(format_args!("write {}", marker.display()), next)?;
    }
    let verb = if args.release { "released" } else { "locked" };
    if args.output.json {
        say!("{:#}", json!({ "camera": args.camera, verb: touched }));
    } else {
        touched.iter().for_each(|pack| say!("{verb} {}/{pack}", args.camera));
        if touched.is_empty() {
            say!("nothing of {} is in the spool from {} to {}", args.camera, range.0, range.1);
        }
    }
    Ok(Outcome::of(!touched.is_empty()))
}

impl LockArgs {
    fn range(&self, now: WallMs) -> Result<(WallMs, WallMs), Failure> {
        let to = self.to.map_or(now, RecordingId::start);
        let from = match (self.from, self.last) {
            (Some(from), None) => from.start(),
            (None, Some(last)) => to.plus_ms(-i64::try_from(last.as_millis()).unwrap_or(i64::MAX)),
            _ => return Err(Failure::usage("which range?").next("give either --from or --last")),
        };
        if from > to {
            return Err(Failure::usage("--from is after --to").next("swap them"));
        }
        Ok((from, to))
    }
}

/// The packs whose time meets the range. A pack's end is what its manifest says, else now.
fn touched(packs: &[Found], (from, to): (WallMs, WallMs), now: WallMs) -> Vec<PackId> {
    let spans = packs.iter().map(|pack| (pack.pack, span(pack, now)));
    spans.filter(|(_, (start, end))| *start <= to && from <= *end).map(|(pack, _)| pack).collect()
}

/// A word that an event's kind may be.
fn kind(text: &str) -> Result<String, String> {
    // A camera's name is one of the same kind.
    text.parse::<CameraName>()
        .map(|word| word.to_string())
        .map_err(|_| format!("{text:?} must be a word of A-Z, a-z, 0-9, '_' and '-'"))
}

/// From when to when a pack was recorded; an open one until now.
fn span(pack: &Found, now: WallMs) -> (WallMs, WallMs) {
    let manifest = pack.open().ok().and_then(|file| read_manifest(&mut BufReader::new(file)).ok().flatten());
    match manifest.as_ref().map(|signed| signed.manifest()) {
        Some(manifest) => {
            let length_ms = i64::try_from(manifest.duration_90k() / 90).unwrap_or(i64::MAX);
            (manifest.start_wall, manifest.start_wall.plus_ms(length_ms))
        }
        // Open, or damaged: it is kept rather than not.
        None => (pack.pack.recording.start(), now),
    }
}

/// Returns after the marker is durable.
fn mark(marker: &Path, text: &str) -> io::Result<()> {
    let folder = marker.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let mut file = File::create(marker)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

fn release(marker: &Path) -> io::Result<()> {
    match fs::remove_file(marker) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
