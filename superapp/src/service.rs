//! What systemd is told of a unit with `Type=notify`: that the roles answer, and that they are about to stop. So that
//! `systemctl restart` returns when the new process serves, and what is restarted one by one is never away together.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Everything answers.
pub(crate) const READY: &str = "READY=1";
/// Told to stop; what is in flight is being finished.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Where the service manager listens, if there is one.
pub(crate) struct Manager {
    socket: Option<OsString>,
}

impl Manager {
    pub(crate) fn of_environment() -> Self {
        Self { socket: std::env::var_os("NOTIFY_SOCKET") }
    }

    /// Tells it. A manager that cannot be told is no reason to stop serving.
    pub(crate) fn tell(&self, state: &str) {
        if let Some(Err(error)) = self.socket.as_ref().map(|socket| send(socket, state)) {
            tracing::warn!(%error, state, "could not tell the service manager");
        }
    }
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
}
