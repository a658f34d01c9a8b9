//! Death with the program, however the program ends.
//!
//! The program is this test binary, started again in a role: it starts a child that has a child of its own, prints
//! their ids, and is killed or ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command as StdCommand, Stdio};

use dashvault_process::{Command, Daemon, Lifetime, Stream};

use crate::observe::{eventually, is_dead, kill};

const ROLE: &str = "DASHVAULT_PROCESS_ROLE";

/// The program under test; does nothing when it is run as a test.
#[test]
fn role_of_the_program() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let command = Command::shell("sleep 1000 & echo $$ $!; wait").stdout(Stream::Piped);
    let command = match role.as_str() {
        "child" => command.lifetime(Lifetime::WithProgram),
        "group" | "stopped child" => command.lifetime(Lifetime::GroupWithProgram),
        "daemon" => return start_daemon_and_end(),
        _ => panic!("no such role: {role}"),
    };
    // Started from a thread that ends, as a runtime's worker would.
    let mut child = std::thread::spawn(move || command.spawn().unwrap()).join().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    tell(&line);
    child.wait_blocking();
}

fn start_daemon_and_end() {
    let daemon = Daemon::process("helper", &Command::new("sleep").arg("1000")).unwrap();
    tell(&format!("{} {}", daemon.pid().unwrap(), daemon.pid().unwrap()));
}

fn tell(pids: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "\npids: {}", pids.trim()).unwrap();
    stdout.flush().unwrap();
}

/// This binary in a role.
struct Program {
    process: std::process::Child,
    /// Kept open, or the test harness in it would fail to write its summary.
    _stdout: Box<dyn BufRead>,
    child: u32,
    grandchild: u32,
}

impl Program {
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Program {
    /// Leaves nothing behind where a test fails.
    fn drop(&mut self) {
        let _ = self.process.kill();
        [self.child, self.grandchild].into_iter().filter(|pid| !is_dead(*pid)).for_each(kill);
    }
}

/// Starts this binary in `role`, and waits until its child and grandchild run.
fn start(role: &str) -> Program {
    let mut process = StdCommand::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifetime::role_of_the_program", "--nocapture"])
        .env(ROLE, role)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    let lines = stdout.by_ref().lines().map(Result::unwrap);
    let pids = lines.filter_map(|line| line.strip_prefix("pids: ").map(str::to_owned)).next().unwrap();
    let (child, grandchild) = pids.split_once(' ').unwrap();
    let (child, grandchild) = (child.parse().unwrap(), grandchild.parse().unwrap());
    Program { process, _stdout: Box::new(stdout), child, grandchild }
}

#[test]
fn a_child_dies_when_its_program_is_killed() {
    let mut program = start("child");
    program.kill();
    eventually("the child is dead", || is_dead(program.child));
    // The kernel's signal is for the child alone: the grandchild is ended by the drop of `program`.
}

#[test]
fn a_whole_group_dies_when_its_program_is_killed() {
    let mut program = start("group");
    program.kill();
    eventually("the child is dead", || is_dead(program.child));
    eventually("the grandchild is dead", || is_dead(program.grandchild));
}

/// A stopped process cannot act on anything but SIGKILL.
#[test]
fn a_whole_group_dies_even_when_it_stands_still() {
    let mut program = start("stopped child");
    let group = rustix::process::Pid::from_raw(i32::try_from(program.child).unwrap()).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::STOP).unwrap();
    program.kill();
    eventually("the child is dead", || is_dead(program.child));
    eventually("the grandchild is dead", || is_dead(program.grandchild));
}

#[test]
fn a_daemon_process_dies_when_its_program_ends_by_itself() {
    let mut program = start("daemon");
    assert!(program.process.wait().unwrap().success());
    eventually("the daemon is dead", || is_dead(program.child));
}

/// The keeper of a group must go with the group, or it would be left behind.
#[test]
fn no_keeper_is_left_when_the_child_ends_first() {
    let child = Command::new("true").lifetime(Lifetime::GroupWithProgram).spawn().unwrap();
    child.wait_blocking();
    let pid = child.pid().to_string();
    let keeper = format!("keeper\0{pid}\0");
    let left = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|entry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.ends_with(keeper.as_bytes()))
    });
    assert!(!left);
}
