//! A PostgreSQL of one's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::supervised::Supervised;

/// A server with one superuser, `postgres`, who needs no password. Gone when dropped.
pub struct Postgres {
    server: Supervised,
    port: u16,
}

impl Postgres {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more settings, such as `ssl=on`; a path in them is seen from the data folder.
    pub fn start_with(settings: &[&str]) -> Self {
        let (server, port) = Supervised::start(|folder, port| prepare(folder, port, settings), is_ready);
        Self { server, port }
    }

    /// The URL of the database that every server has.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Where its data is; certificates may be put here.
    pub fn folder(&self) -> PathBuf {
        self.server.folder().join("data")
    }

    /// Ends it politely; connections are cut.
    pub fn stop(&self) {
        self.server.order("stop");
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.server.order("kill");
    }

    /// Starts it again after [`Postgres::stop`] or [`Postgres::kill`].
    pub fn start_again(&self) {
        self.server.start_again(|| is_ready(self.port));
    }

    /// SIGSTOP for all of it: connections stay, nobody answers.
    pub fn pause(&self) {
        self.server.order("pause");
    }

    /// SIGCONT after [`Postgres::pause`].
    pub fn resume(&self) {
        self.server.order("resume");
    }
}

/// Makes a data folder; the command that serves it.
fn prepare(folder: &Path, port: u16, settings: &[&str]) -> Vec<String> {
    let (data, log) = (folder.join("data"), folder.join("log"));
    let mut command = as_somebody(folder);
    let initdb = [binary("initdb").display().to_string(), format!("--pgdata={}", data.display())];
    let plain = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
    let init: Vec<_> = command.iter().cloned().chain(initdb).chain(plain.map(str::to_owned)).collect();
    let made = Command::new(&init[0]).args(&init[1..]).output().unwrap();
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let _ = std::fs::remove_file(log);
    command.extend([binary("postgres").display().to_string(), format!("-D{}", data.display()), format!("-p{port}")]);
    let ours = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=400"];
    let more = ["shared_preload_libraries=pg_stat_statements", "autovacuum_naptime=5"];
    command.extend(ours.iter().chain(&more).chain(settings).map(|setting| format!("-c{setting}")));
    command
}

/// PostgreSQL does not run as root: then it runs as the user that its package made, who gets the folder.
fn as_somebody(folder: &Path) -> Vec<String> {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout != b"0\n" {
        return Vec::new();
    }
    let given = Command::new("chown").arg("postgres:postgres").arg(folder).output().unwrap();
    assert!(given.status.success(), "chown: {}", String::from_utf8_lossy(&given.stderr));
    ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"].map(str::to_owned).to_vec()
}

/// Where Debian and Ubuntu keep it, of the newest version; else what the PATH has.
fn binary(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path()).collect();
    found.sort_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    let found = found.into_iter().rev().map(|path| path.join("bin").join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| PathBuf::from(name))
}

fn is_ready(port: u16) -> bool {
    let asked =
        Command::new(binary("pg_isready")).args(["--quiet", "--host=127.0.0.1", "--timeout=1"]).arg(format!("--port={port}")).status();
    asked.expect("PostgreSQL is installed: run `make test`, which sees to it").success()
}
