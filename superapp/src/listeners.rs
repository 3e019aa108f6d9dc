//! Listening sockets, bound before anything else happens, so that a taken port is told at once.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::settings::{Listen, from_this_machine};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// Bytes the kernel keeps for a client that does not read; it doubles them for its own needs.
const SEND_BUFFER: u32 = 128 * 1024;
/// How many free ports are tried until one is free on both loopback addresses.
const TRIES: usize = 16;

/// One entry of a `listen` setting, bound.
pub(crate) struct Bound {
    listen: Listen,
    listeners: Vec<TcpListener>,
}

impl Bound {
    /// Binds all entries of the setting `key`.
    ///
    /// # Errors
    ///
    /// Which address it was, why, and what can be done.
    pub(crate) fn all(key: &str, listens: &[Listen]) -> anyhow::Result<Vec<Bound>> {
        let bind = |listen: &Listen| {
            bind(*listen).map_err(|(address, error)| anyhow::anyhow!("{key}: {}", explain(key, listens, *listen, address, &error)))
        };
        listens.iter().map(bind).collect()
    }

    /// As it is shown: with the port that was taken.
    pub(crate) fn shown(&self) -> Listen {
        self.listen
    }

    /// Where a process on this machine reaches it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listen.reached_at()
    }

    pub(crate) fn into_listeners(self) -> Vec<TcpListener> {
        self.listeners
    }
}

type Failed = (SocketAddr, io::Error);

fn bind(listen: Listen) -> Result<Bound, Failed> {
    let Listen::Localhost(wanted) = listen else {
        let listener = bind_one(listen.into())?;
        let address = listener.local_addr().map_err(|error| (listen.into(), error))?;
        return Ok(Bound { listen: Listen::Address(address), listeners: vec![listener] });
    };
    let mut tries = TRIES;
    loop {
        tries -= 1;
        let v4 = bind_one((Ipv4Addr::LOCALHOST, wanted).into())?;
        let port = v4.local_addr().map_err(|error| ((Ipv4Addr::LOCALHOST, wanted).into(), error))?.port();
        let listen = Listen::Localhost(port);
        match bind_one((Ipv6Addr::LOCALHOST, port).into()) {
            Ok(v6) => return Ok(Bound { listen, listeners: vec![v4, v6] }),
            // Another free port may be free on both.
            Err((_, error)) if error.kind() == ErrorKind::AddrInUse && wanted == 0 && tries > 0 => {}
            Err(failed) if failed.1.kind() == ErrorKind::AddrInUse => return Err(failed),
            // A machine without IPv6.
            Err(_) => return Ok(Bound { listen, listeners: vec![v4] }),
        }
    }
}

fn bind_one(address: SocketAddr) -> Result<TcpListener, Failed> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Connections of a process before this one may still be closing.
        socket.set_reuseaddr(true)?;
        // Accepted connections inherit it. By default the kernel takes megabytes off our hands for a client that reads slowly,
        // and tells us only after a third of them that he has read at all.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bind().map_err(|error| (address, error))
}

fn explain(key: &str, listens: &[Listen], failed: Listen, address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!("{address} is taken: stop the program that uses it, or choose another with --set {}", elsewhere(key, listens, failed))
        }
        ErrorKind::PermissionDenied => {
            format!("{address} is not allowed: ports below 1024 need more rights; choose another with --set {key}=IP:PORT")
        }
        ErrorKind::AddrNotAvailable => format!("{address} is no address of this machine: choose one of its own, or 0.0.0.0 for all"),
        _ => format!("listen on {address}: {error}"),
    }
}

/// The setting with another port for the entry that failed.
fn elsewhere(key: &str, listens: &[Listen], failed: Listen) -> String {
    let moved = |listen: &Listen| {
        let address = listen.reached_at();
        if *listen == failed { address.port().checked_add(100).map_or(address.port() - 100, |port| port) } else { address.port() }
    };
    let address = |listen: &Listen| from_this_machine(listen.with_port(moved(listen)).into()).to_string();
    match listens {
        [one] => format!("{key}={}", address(one)),
        many => {
            let list: Vec<String> = many.iter().map(|listen| format!("\"{}\"", address(listen))).collect();
            format!("'{key}=[{}]'", list.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn port_zero_of_localhost_is_the_same_free_port_on_both_addresses() {
        let bound = Bound::all("users.listen", &[Listen::Localhost(0)]).expect("free ports");
        let ports: Vec<u16> = bound[0].listeners.iter().map(|listener| listener.local_addr().expect("bound").port()).collect();
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]));
        assert_eq!(bound[0].address().port(), ports[0]);
    }

    #[tokio::test]
    async fn a_taken_port_is_told_with_the_cure() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
        let _held = std::net::TcpListener::bind(taken).expect("still free");
        let listens = [Listen::Localhost(0), Listen::Address(taken)];
        let error = Bound::all("chat.listen", &listens).err().expect("taken").to_string();
        let start = format!("chat.listen: {taken} is taken: stop the program that uses it, or choose another with --set 'chat.listen=[");
        assert!(error.starts_with(&start), "{error}");
        let error = Bound::all("users.listen", &[Listen::Address(taken)]).err().expect("taken").to_string();
        assert!(error.contains("--set users.listen=127.0.0.1:"), "{error}");
    }
}
