//! File descriptors: every socket is one, and a chat socket through the gateway is three.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit, often 1024, to what the system allows.
pub(crate) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
