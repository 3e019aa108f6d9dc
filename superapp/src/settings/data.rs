//! Where data is kept, and what processes share.

use std::fmt;
use std::path::PathBuf;

use kit::RedisAddress;
use kit::database::postgres::{Address, Config};

use super::finding::Finding;
use super::judge::{section, text};
use super::layers::Layers;

/// Where each backend keeps its data, and what connects the processes.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    pub(crate) users: Place,
    pub(crate) chat: Place,
    pub(crate) analytics: Place,
    /// Of each backend that is on a server.
    pub(crate) database: Config,
    /// None: the bus and the cache are inside this process.
    pub(crate) redis: Option<Redis>,
}

/// Where one backend keeps its data.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A SQLite file in this folder, which is absolute.
    Folder(PathBuf),
    /// A schema of this database.
    Server(Box<Address>),
}

/// The Redis that processes share.
#[derive(Debug, Clone)]
pub(crate) struct Redis {
    pub(crate) address: RedisAddress,
    /// What the names of our channels and keys begin with.
    pub(crate) prefix: String,
}

impl Data {
    /// Reads it; what is wrong becomes a finding.
    pub(super) fn judge(layers: &mut Layers<'_>) -> Option<Self> {
        let folder = folder(layers);
        let everywhere = server(layers, "database_url");
        let mut place = |name: &str| {
            let own = server(layers, &format!("{name}.database_url"));
            let address = own.or_else(|| everywhere.clone());
            address.map_or_else(|| folder.clone().map(Place::Folder), |address| Some(Place::Server(Box::new(address))))
        };
        let (users, chat, analytics) = (place("users"), place("chat"), place("analytics"));
        let database = section(layers, "database", &[]);
        let redis = redis(layers);
        Some(Self { users: users?, chat: chat?, analytics: analytics?, database: database?, redis })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(folder) => folder.display().fmt(f),
            Place::Server(address) => address.fmt(f),
        }
    }
}

fn folder(layers: &mut Layers<'_>) -> Option<PathBuf> {
    let (path, origin) = text(layers, "data_dir");
    if path.is_empty() {
        layers.findings.push(Finding::at(&origin, "`data_dir` must name a folder"));
        return None;
    }
    std::path::absolute(&path).map_err(|error| layers.findings.push(Finding::at(&origin, format!("`data_dir`: {error}")))).ok()
}

fn server(layers: &mut Layers<'_>, key: &str) -> Option<Address> {
    let (url, origin) = text(layers, key);
    if url.is_empty() {
        return None;
    }
    let address = url.parse().and_then(|address: Address| address.check().map(|()| address));
    address.map_err(|why| layers.findings.push(Finding::at(&origin, format!("`{key}` {why}")))).ok()
}

fn redis(layers: &mut Layers<'_>) -> Option<Redis> {
    let (url, origin) = text(layers, "redis_url");
    let (prefix, prefix_origin) = text(layers, "redis_prefix");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=64).contains(&prefix.len()) || !prefix.bytes().all(is_plain) {
        layers.findings.push(Finding::at(&prefix_origin, "`redis_prefix` must have 1 to 64 characters of A-Z a-z 0-9 . _ -"));
    }
    if url.is_empty() {
        return None;
    }
    let address = url.parse().map_err(|why| layers.findings.push(Finding::at(&origin, format!("`redis_url`: {why}")))).ok()?;
    Some(Redis { address, prefix })
}
