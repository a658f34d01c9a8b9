//! The report for people: one HTML page that needs nothing else, to be read or printed.

use std::fmt::Write;

use dashvault_base::WallMs;
use dashvault_media::PublicKey;

use super::{Report, Stretch};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#111}\
    h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse;width:100%}\
    td,th{border:1px solid #bbb;padding:.3em .5em;text-align:left;vertical-align:top}th{background:#eee}\
    code{font:12px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}.bad{color:#a00}";

/// The page of a report.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut page = String::new();
    let title = if report.title.is_empty() { "Evidence" } else { &report.title };
    push(
        &mut page,
        format_args!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title><style>{STYLE}</style></head>\
         <body>\n<h1>{0}</h1>\n",
            text(title),
        ),
    );
    if !report.note.is_empty() {
        push(&mut page, format_args!("<p>{}</p>\n", text(&report.note).replace('\n', "<br>")));
    }
    what(&mut page, report);
    time(&mut page, report);
    packs(&mut page, report);
    files(&mut page, report);
    how(&mut page, report);
    page.push_str("</body></html>\n");
    page
}

fn what(page: &mut String, report: &Report) {
    page.push_str("<h2>Whose footage, by whom</h2>\n<table>\n");
    row(page, "Device", &text(&report.device));
    row(page, "Camera", &text(&report.camera));
    let none = "none: this device publishes without a key, and the vault signed what it received";
    row(page, "The device's key", &report.device_key.as_deref().map_or_else(|| none.to_owned(), key));
    row(page, "The vault's key", &key(&report.vault_key));
    row(page, "Made", &format!("{} by {}", when(report.made_at), text(&report.made_by)));
    row(page, "Clip", &format!("<code>{}</code>", text(&report.clip)));
    page.push_str("</table>\n");
}

fn time(page: &mut String, report: &Report) {
    page.push_str("<h2>What it shows</h2>\n<table>\n");
    row(page, "Asked for", &stretch(report.asked));
    let shown: Vec<String> = report.shown.iter().map(|one| stretch(*one)).collect();
    row(page, "Shown", &format!("{} s in all:<br>{}", seconds(report.shown_ms), shown.join("<br>")));
    let missing: Vec<String> = report
        .missing
        .iter()
        .map(|hole| {
            let cause = hole.cause.as_deref().map(|cause| format!(" ({})", text(cause))).unwrap_or_default();
            let at = stretch(Stretch { from: hole.from, to: hole.to });
            format!("<span class=\"bad\">{at}: {}{cause}</span>", text(&hole.state.replace('_', " ")))
        })
        .collect();
    row(page, "Not shown", &if missing.is_empty() { "nothing".to_owned() } else { missing.join("<br>") });
    if report.damaged_segments > 0 {
        let count = report.damaged_segments;
        row(page, "Damaged", &format!("{count} segments have packets missing inside and may stutter"));
    }
    page.push_str("</table>\n<p>Times are UTC, as the device's clock had them.</p>\n");
}

fn packs(page: &mut String, report: &Report) {
    page.push_str(
        "<h2>The packs</h2>\n<p>The clip was cut from these files, which are in this bundle as the vault stores them. \
         Each ends with a signed manifest: the hash of every second in it, and the hash of the manifest before it.</p>\n\
         <table>\n<tr><th>File</th><th>Begins</th><th>Length</th><th>Sealed by, stored</th><th>Manifest, the one before \
         it, signed by</th></tr>\n",
    );
    let mut before = None;
    for pack in &report.packs {
        let follows = match before.replace(pack.manifest) {
            Some(hash) if hash == pack.previous => " (the file above)",
            _ => "",
        };
        push(
            page,
            format_args!(
                "<tr><td><code>{}</code></td><td>{}</td><td>{} s, {} segments</td><td>{}<br>{}</td><td><code>{}</code><br>\
             <code>{}</code>{follows}<br>{}</td></tr>\n",
                text(&pack.file),
                when(pack.start),
                seconds(pack.duration_ms),
                pack.segments,
                text(&pack.sealed_by),
                when(pack.stored_at),
                pack.manifest,
                pack.previous,
                key(&pack.signed_by),
            ),
        );
    }
    page.push_str("</table>\n");
}

fn files(page: &mut String, report: &Report) {
    page.push_str("<h2>The files</h2>\n<table>\n<tr><th>File</th><th>Bytes</th><th>BLAKE3</th></tr>\n");
    for file in &report.files {
        push(
            page,
            format_args!(
                "<tr><td><code>{}</code></td><td>{}</td><td><code>{}</code></td></tr>\n",
                text(&file.name),
                file.bytes,
                file.blake3,
            ),
        );
    }
    page.push_str("</table>\n");
}

fn how(page: &mut String, report: &Report) {
    push(
        page,
        format_args!(
            "<h2>How to verify it</h2>\n<p>On any computer, without a network and without the vault:</p>\n\
         <pre>dashvault verify --bundle FILE.zip</pre>\n<p>It checks every byte: the signature over <code>report.json</code>, \
         the hash of each file, in each pack the signature and every segment, and that packs follow one another. Exit code \
         0: nothing was changed since this bundle was made{}. It then shows whose keys signed; compare their fingerprints \
         with those that the owner of the device and of the vault tells you by another way.</p>\n",
            if report.device_key.is_some() { ", nor the packs since the device recorded them" } else { "" },
        ),
    );
}

fn row(page: &mut String, name: &str, value: &str) {
    push(page, format_args!("<tr><th>{name}</th><td>{value}</td></tr>\n"));
}

fn push(page: &mut String, what: std::fmt::Arguments<'_>) {
    // A String takes whatever is written.
    let _ = page.write_fmt(what);
}

/// A key in full, and as people compare it.
fn key(hex: &str) -> String {
    let fingerprint = hex.parse::<PublicKey>().map(|key| key.fingerprint()).unwrap_or_default();
    format!("<code>{}</code><br>fingerprint <code>{fingerprint}</code>", text(hex))
}

fn stretch(stretch: Stretch) -> String {
    let ms = u64::try_from(stretch.to.0.saturating_sub(stretch.from.0)).unwrap_or(0);
    format!("{} to {} ({} s)", when(stretch.from), when(stretch.to), seconds(ms))
}

fn when(wall: WallMs) -> String {
    wall.to_string().replace('T', " ")
}

fn seconds(ms: u64) -> String {
    format!("{}.{}", ms / 1000, ms % 1000 / 100)
}

/// Text that cannot be markup.
fn text(plain: &str) -> String {
    let mut safe = String::with_capacity(plain.len());
    for character in plain.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::FORMAT;

    #[test]
    fn what_people_typed_cannot_be_markup() {
        let report = Report {
            format: FORMAT.to_owned(),
            device: "bus".to_owned(),
            camera: "front".to_owned(),
            device_key: None,
            vault_key: "00".repeat(32),
            made_at: WallMs(0),
            made_by: "<b>eve</b>".to_owned(),
            title: "</title><script>alert(1)</script>".to_owned(),
            note: "a & b\n\"c\"".to_owned(),
            asked: Stretch { from: WallMs(0), to: WallMs(61_500) },
            shown: vec![Stretch { from: WallMs(0), to: WallMs(1000) }],
            missing: Vec::new(),
            shown_ms: 1000,
            damaged_segments: 0,
            clip: "clip.mp4".to_owned(),
            files: Vec::new(),
            packs: Vec::new(),
        };
        let page = html(&report);
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
        assert!(page.contains("a &amp; b<br>&quot;c&quot;"));
        assert!(page.contains("1970-01-01 00:00:00.000Z to 1970-01-01 00:01:01.500Z (61.5 s)"));
    }
}
