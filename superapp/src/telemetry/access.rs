//! The access log of the gateway: opened here, written by the gateway.

use std::fs::OpenOptions;
use std::io::{IsTerminal, stdout};

use anyhow::Context;
use gateway::AccessLog;

use crate::settings::AccessLogTo;

/// Opens the log, unless there is to be none.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn open(to: &AccessLogTo) -> anyhow::Result<Option<AccessLog>> {
    let log = match to {
        AccessLogTo::Off => return Ok(None),
        AccessLogTo::Auto if stdout().is_terminal() => return Ok(None),
        AccessLogTo::Auto | AccessLogTo::Stdout => AccessLog::to(stdout()),
        AccessLogTo::File(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            AccessLog::to(file.with_context(|| format!("gateway.access_log: open {}", path.display()))?)
        }
    };
    log.map(Some).context("start the access log")
}
