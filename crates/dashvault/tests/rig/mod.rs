//! A vault as a user runs it, and the program's other commands.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// A vault on ports of its own; killed at the end, whatever happens.
pub struct Vault {
    child: Child,
    pub http: String,
    pub srt: String,
}

impl Vault {
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub fn start_with(data: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dashvault"));
        command.args([
            "serve",
            "--http",
            "127.0.0.1:0",
            "--srt",
            "127.0.0.1:0",
            "--allow-anonymous",
            "--data",
        ]);
        let mut child =
            command.arg(data).args(more).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (http, srt) = line.trim().split_once(" srt=srt://").unwrap();
        Self { child, http: http.trim_start_matches("ready http=").to_owned(), srt: srt.to_owned() }
    }

    /// As a user stops it.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn dashvault(args: &[&str], token: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dashvault"));
    command.args(args).env("DASHVAULT_TOKEN", token).output().unwrap()
}

pub fn object(data: &Path) -> PathBuf {
    let mut folders = vec![data.join("objects")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "ts") {
                return path;
            }
        }
    }
    panic!("no object in {}", data.display());
}

pub fn verify(data: &Path) -> (i32, serde_json::Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dashvault"));
    let output = command.args(["verify", "--json", "--data"]).arg(data).output().unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}
