//! Logs on stderr: for people on a terminal, else one JSON object per line.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::settings::{Format, Log};

/// Starts logging; panics are logged as well.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.filter).context("log.filter")?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if is_text(log.format) {
        lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("start logs: {error}"))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn is_text(format: Format) -> bool {
    match format {
        Format::Auto => std::io::stderr().is_terminal(),
        Format::Text => true,
        Format::Json => false,
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "panic: {}", panic.payload_as_str().unwrap_or("unknown"));
}
