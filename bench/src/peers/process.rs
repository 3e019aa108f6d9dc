//! A program that runs beside the bench: started on cores of its own choosing, watched from outside, ended with all its children.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a program may take until it answers.
const START: Duration = Duration::from_secs(20);
/// How long it may take to end by itself.
const STOP: Duration = Duration::from_secs(1);

/// A running program and its children. Dropped, all of them are gone.
pub(crate) struct Process {
    child: Child,
    /// What it said, for the day it does not start.
    output: PathBuf,
}

impl Process {
    /// Starts `words` on `cores` (as `taskset` writes them), what it says going to the file `output`.
    pub(crate) fn start(words: &[String], cores: &str, output: &Path) -> anyhow::Result<Self> {
        let file = File::create(output)?;
        // Servers are not in the PATH of every user.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        // taskset becomes the program: the id stays, and the program already sees its one core when it counts them.
        let child = Command::new("taskset")
            .args(["--cpu-list", cores])
            .args(words)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("start taskset")?;
        Ok(Self { child, output: output.to_owned() })
    }

    /// Waits until a GET of `path` is answered with 200.
    pub(crate) async fn answers(&mut self, address: SocketAddr, path: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let status = get(address, path).await.unwrap_or_else(|error| error.to_string());
            if status.starts_with("HTTP/1.1 200") {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || started.elapsed() > START {
                let said = fs::read_to_string(&self.output).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(5).collect();
                anyhow::bail!("it does not answer {path} ({status}), its last words first: {}", last.join(" / "));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// CPU time of the whole tree until now.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let ticks = tree(self.child.id()).into_iter().map(|id| Ok(Stat::read(id)?.ticks)).sum::<anyhow::Result<u64>>()?;
        Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Resident memory of the whole tree, in KiB.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        let resident = |id: u32| {
            let status = fs::read_to_string(format!("/proc/{id}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
            Ok(line.trim().trim_end_matches(" kB").parse::<u64>()?)
        };
        tree(self.child.id()).into_iter().map(resident).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Politely at first: nginx then buries its own children.
        let told = Instant::now();
        let mut is_told = false;
        // One that has ended may have given its id to another.
        while matches!(self.child.try_wait(), Ok(None)) {
            if !is_told {
                signal(&[self.child.id()], Signal::TERM);
                is_told = true;
            } else if told.elapsed() > STOP {
                // The parent first, so that it does not replace a child that is gone.
                signal(&tree(self.child.id()), Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn signal(ids: &[u32], signal: Signal) {
    for id in ids.iter().filter_map(|id| Pid::from_raw(i32::try_from(*id).ok()?)) {
        // One that has just ended by itself needs no signal.
        let _ = kill_process(id, signal);
    }
}

/// CPU time of this process, of what it has started, and of what it had started and has ended.
pub(crate) fn ticks_of_this_bench() -> anyhow::Result<u64> {
    // One may have ended since the tree was looked at; it counts with its parent then, from the next time on.
    let stats = tree(std::process::id()).into_iter().filter_map(|id| Stat::read(id).ok());
    Ok(stats.map(|stat| stat.ticks + stat.ended_ticks).sum())
}

/// A process and all that descend from it.
fn tree(root: u32) -> Vec<u32> {
    let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = ids.filter_map(|id| Some((id, Stat::read(id).ok()?.parent))).collect();
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        next += 1;
    }
    tree
}

/// What of `/proc/ID/stat` matters here.
struct Stat {
    parent: u32,
    /// In user mode and in the kernel, of all its threads.
    ticks: u64,
    /// The same, of children that have ended.
    ended_ticks: u64,
}

impl Stat {
    fn read(id: u32) -> anyhow::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The name stands in parentheses and may hold anything; after it comes field 3.
        let (_, after) = text.rsplit_once(')').context("no name in stat")?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let field = |number: usize| Ok::<u64, anyhow::Error>(fields.get(number - 3).context("a short stat")?.parse()?);
        Ok(Self { parent: u32::try_from(field(4)?)?, ticks: field(14)? + field(15)?, ended_ticks: field(16)? + field(17)? })
    }
}

/// The first line of the answer.
async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(1), stream.read_to_end(&mut answer)).await.context("silence")??;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}
