//! `srt-bench [NAME…]`: what our SRT costs and what it loses, beside libsrt, the interim crate and a bare socket.
//!
//! Every measurement starts its receivers one after the other, each in a process of its own, under the same load from a
//! generator in a process of its own; so the figures are ratios within one run. Nothing is asserted: the machine is
//! noisy, a person reads the numbers. Build with `--release`. Linux only.
//!
//! Rooms: `measure` holds one file a measurement, `part` what runs in a process of its own, `process` starts those and
//! asks them, `relay` is a lossy network, `truth` compares what came with what was sent, `wire` is a little SRT apart from
//! ours, `sys` the system calls, `report` the table.

#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod part;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod receiver;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod truth;
#[cfg(target_os = "linux")]
mod wire;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "part" => part::run(rest),
        _ => measure::run(&options::Options::parse(&arguments)?),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("srt-bench measures on Linux only");
    std::process::exit(2);
}
