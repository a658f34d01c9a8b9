//! The figures of `docs/benchmarks.md`, each a ratio measured side by side in one run.
//!
//! `bench [NAME…]` runs those named, or all: segmenter, recorder, backlog, wire, relink, timeline.
//! Build with `--release`, and the
//! programs too. Nothing here is asserted: the machine is noisy, a person reads the numbers.

mod backlog;
mod recorder;
mod segmenter;
mod timeline;
mod wire;

use anyhow::{Result, bail};

const ALL: [&str; 6] = ["segmenter", "recorder", "backlog", "wire", "relink", "timeline"];

fn main() -> Result<()> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = ALL.map(str::to_owned).to_vec();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for name in names {
        println!("\n== {name}");
        match name.as_str() {
            "segmenter" => segmenter::run(),
            "recorder" => runtime.block_on(recorder::run())?,
            "backlog" => runtime.block_on(backlog::run())?,
            "wire" => runtime.block_on(wire::run())?,
            "relink" => runtime.block_on(wire::relink())?,
            "timeline" => runtime.block_on(timeline::run())?,
            other => bail!("there is no benchmark {other:?}; there are {}", ALL.join(", ")),
        }
    }
    Ok(())
}
