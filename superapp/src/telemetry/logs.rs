//! Logs on stderr: for people on a terminal, else one JSON object per line.
//!
//! A thread of its own writes them. Where nobody reads stderr, lines are lost and counted (`log_lines_lost_total`): whoever has
//! something to say never waits for whoever should listen.

use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anyhow::Context;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::settings::{Format, Log};

/// Lines that may wait to be written.
const LINES_MAX: usize = 2048;
/// How long the end waits for somebody to read the last lines.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(2);

/// Logs, as long as this is held; dropped, it writes out what still waits.
pub(crate) struct Logs {
    writing: Option<WorkerGuard>,
    lost: ErrorCounter,
}

impl Logs {
    /// Counts lines that nobody took.
    pub(crate) fn lost(&self) -> ErrorCounter {
        self.lost.clone()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let writing = self.writing.take();
        within_limit(move || drop(writing));
    }
}

/// Starts logging; panics are logged as well.
pub(crate) fn start(log: &Log) -> anyhow::Result<Logs> {
    let filter = EnvFilter::try_new(&log.filter).context("log.filter")?;
    let lines = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX).thread_name("logs");
    let (writer, writing) = lines.finish(std::io::stderr());
    let logs = Logs { writing: Some(writing), lost: writer.error_counter() };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = if is_text(log.format) {
        lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("start logs: {error}"))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(logs)
}

/// Says something on stderr that is no event of the log. Where nobody reads, it gives up.
pub(crate) fn say(text: String) {
    within_limit(move || drop(std::io::stderr().write_all(text.as_bytes())));
}

/// Does what may wait for ever, and waits a moment for it.
fn within_limit(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = sync_channel(1);
    std::thread::spawn(move || {
        work();
        // Whoever waited may have given up.
        let _ = done.send(());
    });
    let _ = is_done.recv_timeout(LAST_LINES_LIMIT);
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
