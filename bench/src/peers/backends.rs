//! What the proxies stand before: nginx for plain requests, and an echo of WebSocket messages in this process.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;

use super::machine::{Cores, free_address};
use super::process::Process;
use super::{nginx, socket};

/// Both backends, as long as it lives.
pub(crate) struct Backends {
    pub(crate) users: SocketAddr,
    pub(crate) chat: SocketAddr,
    _nginx: Process,
}

impl Backends {
    pub(crate) async fn start(cores: &Cores, folder: &Path) -> anyhow::Result<Self> {
        let folder = &folder.join("backend");
        std::fs::create_dir_all(folder)?;
        let users = free_address().await?;
        let mut nginx = Process::start(&nginx::backend(folder, users)?, &cores.rest, &folder.join("output"))?;
        nginx.answers(users, "/users/1mb").await.context("nginx as the backend")?;
        let chat = socket::serve_echo().await?;
        Ok(Self { users, chat, _nginx: nginx })
    }
}
