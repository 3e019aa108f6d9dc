//! What the outside tells the process: SIGTERM and Ctrl-C mean "stop".

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that concern us.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Taken so that it does not kill: a file that may not grow is an error of the write, as a full disk is.
    _file_too_large: Signal,
}

/// SIGXFSZ: a write went beyond the limit on file sizes.
const FILE_TOO_LARGE: SignalKind = SignalKind::from_raw(25);

impl Signals {
    /// From now on these signals no longer kill the process.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_too_large: signal(FILE_TOO_LARGE)?,
        })
    }

    /// The next one, by name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "Ctrl-C",
        }
    }
}
