//! Where a role listens: `IP:PORT`, or `localhost:PORT` for both loopback addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// One entry of a `listen` setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listen {
    /// 127.0.0.1 and, where the machine has it, ::1.
    Localhost(u16),
    /// This address alone.
    Address(SocketAddr),
}

impl Listen {
    pub(crate) fn with_port(self, port: u16) -> Self {
        match self {
            Listen::Localhost(_) => Listen::Localhost(port),
            Listen::Address(address) => Listen::Address(SocketAddr::new(address.ip(), port)),
        }
    }

    /// Where a process on the same machine reaches it.
    pub(crate) fn reached_at(self) -> SocketAddr {
        from_this_machine(self.into())
    }
}

/// "Every address" is no address to connect to.
pub(crate) fn from_this_machine(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl From<Listen> for SocketAddr {
    fn from(listen: Listen) -> Self {
        match listen {
            Listen::Localhost(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            Listen::Address(address) => address,
        }
    }
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Listen::Address(address));
        }
        match text.strip_prefix("localhost:").map(str::parse) {
            Some(Ok(port)) => Ok(Listen::Localhost(port)),
            Some(Err(_)) => Err("must have a port from 0 to 65535"),
            None => Err("must be localhost:PORT or IP:PORT, such as 127.0.0.1:8080 or [::1]:8080"),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Localhost(port) => write!(f, "localhost:{port}"),
            Listen::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_or_localhost_with_a_port() {
        for good in ["localhost:8080", "127.0.0.1:0", "[::1]:80", "0.0.0.0:8080"] {
            assert_eq!(good.parse::<Listen>().map(|listen| listen.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "8080", ":8080", "localhost", "localhost:", "localhost:99999", "example.com:80", "::1:80"] {
            assert!(bad.parse::<Listen>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_address_is_reached_by_loopback() {
        let reached = |text: &str| text.parse::<Listen>().expect("an address").reached_at().to_string();
        assert_eq!(reached("localhost:1"), "127.0.0.1:1");
        assert_eq!(reached("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(reached("[::]:1"), "[::1]:1");
        assert_eq!(reached("10.0.0.1:1"), "10.0.0.1:1");
    }
}
