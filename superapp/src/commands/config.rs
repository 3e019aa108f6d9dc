//! `superapp config`: every setting with its default.

use std::io::{ErrorKind, Write};

use crate::settings::DEFAULTS;

/// Prints the defaults, commented.
pub(crate) fn run() -> anyhow::Result<()> {
    match std::io::stdout().write_all(DEFAULTS.as_bytes()) {
        // Whoever reads through `head` has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
