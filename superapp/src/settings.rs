//! The settings of a process: read from several places, judged whole, and handed on as finished values.
//!
//! `schema` knows the keys, `layers` the order of places, `judge` what may not be; `finding` is how wrong things are told.

mod data;
mod finding;
mod judge;
mod layers;
mod listen;
mod schema;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::Deserialize;

pub(crate) use data::{Data, Place};
pub(crate) use finding::Findings;
pub(crate) use listen::{Listen, from_this_machine};
pub(crate) use schema::DEFAULTS;

use layers::Layers;
use schema::Schema;

/// Where settings may come from.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// `--config`.
    pub(crate) file: Option<PathBuf>,
    /// Names and values.
    pub(crate) environment: Vec<(String, String)>,
    /// `--set`, as written.
    pub(crate) set: Vec<String>,
}

/// Everything a process may be told.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) data: Data,
    pub(crate) log: Log,
    /// Where the gateway's line for each request goes.
    pub(crate) access_log: AccessLogTo,
    /// The folder of the web app that the gateway serves.
    pub(crate) app_dir: Option<PathBuf>,
    /// Its clusters may be empty, which means: where the other sections listen.
    pub(crate) gateway: Section<gateway::Config>,
    pub(crate) users: Section<users::Config>,
    pub(crate) chat: Section<chat::Config>,
    pub(crate) analytics: Section<analytics::Config>,
}

/// The settings of one role: the binary's part, and the role's own.
#[derive(Debug)]
pub(crate) struct Section<C> {
    /// At least one.
    pub(crate) listen: Vec<Listen>,
    pub(crate) admin_listen: Option<Listen>,
    pub(crate) config: C,
}

/// What is logged, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) filter: String,
    pub(crate) format: Format,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// `Text` on a terminal, else `Json`.
    Auto,
    Text,
    Json,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessLogTo {
    /// Stdout, but not to people.
    Auto,
    Stdout,
    Off,
    File(PathBuf),
}

impl std::str::FromStr for AccessLogTo {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => AccessLogTo::Auto,
            "stdout" => AccessLogTo::Stdout,
            "off" | "" => AccessLogTo::Off,
            path => AccessLogTo::File(path.into()),
        })
    }
}

impl Settings {
    /// Reads and judges everything.
    ///
    /// # Errors
    ///
    /// All that is wrong, not only the first.
    pub(crate) fn load(sources: &Sources) -> Result<Settings, Findings> {
        let schema = Schema::embedded();
        let mut layers = Layers::new(&schema);
        if let Some(path) = &sources.file {
            layers.file(path);
        }
        layers.environment(&sources.environment);
        layers.set(&sources.set);
        judge::judge(layers)
    }

    /// Where a role is reached from this machine, each replica of it; nothing for a name that is no role's.
    pub(crate) fn urls(&self, role: &str) -> Vec<String> {
        let listens = match role {
            "gateway" => &self.gateway.listen,
            "users" => &self.users.listen,
            "chat" => &self.chat.listen,
            "analytics" => &self.analytics.listen,
            _ => return Vec::new(),
        };
        listens.iter().map(|listen| format!("http://{}", listen.reached_at())).collect()
    }
}
