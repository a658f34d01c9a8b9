//! The recorder's own CPU and memory beside those of `ffmpeg … -f segment` on the same encode.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use dashvault_proof::{Rig, RigOptions};

const LENGTH: Duration = Duration::from_secs(40);
const CAMERA: &str = "test,size=1280x720,fps=30,bitrate=2500k";

pub(super) async fn run() -> Result<()> {
    let baseline = ffmpeg_alone().await?;
    let (one, ffmpeg_of_one, _) = recorder(&["front"]).await?;
    let (two, ffmpeg_of_two, memory) = recorder(&["front", "rear"]).await?;
    let over = LENGTH.as_secs_f64();
    println!("ffmpeg -f segment, one camera      {baseline:.2} CPU-s in {over} s");
    println!("dashvault record, one camera       {one:.2} CPU-s of its own, its ffmpeg {ffmpeg_of_one:.2}");
    println!("  own CPU over ffmpeg -f segment   {:.2} %   (goal: at most 2 %)", 100.0 * one / baseline);
    println!("dashvault record, two cameras      {two:.2} CPU-s of its own, its ffmpegs {ffmpeg_of_two:.2}");
    let samples =
        memory.iter().map(|kib| format!("{:.1}", *kib as f64 / 1024.0)).collect::<Vec<_>>().join(" ");
    println!("  RSS each quarter, two cameras    {samples} MiB   (goal: at most 32 MiB, flat)");
    Ok(())
}

/// The command that the recorder's is compared with: the same picture, tone, encoder and container.
async fn ffmpeg_alone() -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("ffmpeg");
    command.args(
        "-hide_banner -loglevel error -re -f lavfi -i testsrc2=size=1280x720:rate=30 -re -f lavfi -i sine"
            .split(' '),
    );
    command.args(
        "-pix_fmt yuv420p -c:v libx264 -preset veryfast -tune zerolatency -b:v 2500k -maxrate 2500k"
            .split(' '),
    );
    command
        .args("-bufsize 2500k -g 30 -keyint_min 30 -sc_threshold 0 -c:a aac -b:a 128k -f segment".split(' '));
    command.args(["-segment_format", "mpegts", "-segment_time", "60"]).arg(folder.path().join("%d.ts"));
    let mut child = command.stdin(Stdio::null()).spawn().context("start ffmpeg")?;
    tokio::time::sleep(LENGTH).await;
    let used = cpu_seconds(child.id())?;
    child.kill()?;
    child.wait()?;
    Ok(used)
}

async fn recorder(names: &[&str]) -> Result<(f64, f64, Vec<u64>)> {
    let cameras = names.iter().map(|name| format!("{name}={CAMERA}")).collect();
    let mut rig =
        Rig::started(RigOptions { cameras, record: Vec::new(), log: "info", ..RigOptions::default() })
            .await?;
    let count = names.len();
    let running = rig.until("cameras run", |status| {
        status.cameras.iter().filter(|c| c.capture.pid.is_some()).count() == count
    });
    let encoders: Vec<u32> = running.await?.cameras.iter().filter_map(|camera| camera.capture.pid).collect();
    let pid = rig.recorder_pid().context("the recorder runs")?;
    let mut memory = Vec::new();
    let (before, encoders_before) = (cpu_seconds(pid)?, all(&encoders)?);
    for _ in 0..4 {
        tokio::time::sleep(LENGTH / 4).await;
        memory.push(resident_kib(pid)?);
    }
    let used = (cpu_seconds(pid)? - before, all(&encoders)? - encoders_before, memory);
    rig.stop_recorder().await?;
    Ok(used)
}

fn all(pids: &[u32]) -> Result<f64> {
    pids.iter().map(|pid| cpu_seconds(*pid)).sum()
}

/// User and system time of one process, without its children.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("a process has VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("VmRSS has a value")?.parse()?)
}
