//! The proxies under test: what they are called, how each is started, and what is known of one that runs.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::backends::Backends;
use super::machine::{Cores, free_address};
use super::process::Process;
use super::{gateway, haproxy, nginx};

/// A proxy that can be started, again and again.
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) engine: Engine,
}

pub(crate) enum Engine {
    Nginx,
    Haproxy,
    /// Ours, from this binary.
    Gateway(PathBuf),
}

/// Where a proxy listens, what is behind it, and the folder for its files.
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) listen: SocketAddr,
    pub(crate) users: SocketAddr,
    pub(crate) chat: SocketAddr,
    /// Whether the peers use buffers for large answers, as one who serves many of them would choose.
    pub(crate) is_tuned: bool,
}

/// A proxy that runs.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl Subject {
    /// Starts it in a folder of its own below `folder`, on the core that is left free for it.
    pub(crate) async fn start(&self, backends: &Backends, cores: &Cores, folder: &Path, is_tuned: bool) -> anyhow::Result<Proxy> {
        let listen = free_address().await?;
        // One that is started again finds nothing of the one before: HAProxy would read its log first.
        let folder = &folder.join(format!("{}-{}", self.name, listen.port()));
        fs::create_dir_all(folder)?;
        let place = Place { folder, listen, users: backends.users, chat: backends.chat, is_tuned };
        let words = match &self.engine {
            Engine::Nginx => nginx::proxy(&place)?,
            Engine::Haproxy => haproxy::proxy(&place)?,
            Engine::Gateway(binary) => gateway::proxy(&place, binary)?,
        };
        let mut process = Process::start(&words, &cores.proxy, &folder.join("output"))?;
        if self.is_ours() {
            process.answers(listen, "/readyz").await.with_context(|| self.name.clone())?;
        }
        process.answers(listen, "/users/200b").await.with_context(|| self.name.clone())?;
        Ok(Proxy { address: listen, process })
    }

    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.engine, Engine::Gateway(_))
    }
}
