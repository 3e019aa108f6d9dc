//! Where a PostgreSQL is, from an URL (libpq's manual, section "Connection URIs").

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::config::{Host, SslMode};

use super::tls::Trust;

/// A server, a database on it and who we are there. Shows no password.
#[derive(Clone)]
pub struct Address {
    pub(super) config: tokio_postgres::Config,
    pub(super) trust: Trust,
}

impl FromStr for Address {
    type Err = String;

    /// `postgres://user:password@host:port/database?sslmode=disable|prefer|require|verify-full&sslrootcert=FILE|system`.
    ///
    /// `require` encrypts and asks nobody who the server is, unless `sslrootcert` names those to be believed; `verify-full`
    /// believes `sslrootcert` or else the system, and looks at the host's name too.
    fn from_str(url: &str) -> Result<Self, String> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("must begin with postgres:// or postgresql://".to_owned());
        }
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut roots, mut others) = ("prefer", None, Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", value)) => roots = Some(decoded(value)),
                _ => others.push(parameter),
            }
        }
        let rest = if others.is_empty() { place.to_owned() } else { format!("{place}?{}", others.join("&")) };
        let mut config: tokio_postgres::Config = rest.parse().map_err(|error| super::told(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("must name a host".to_owned());
        }
        let file = roots.clone().filter(|path| path != "system").map(PathBuf::from);
        let (ssl_mode, trust) = match (mode, roots.is_some()) {
            ("disable", _) => (SslMode::Disable, Trust::Anyone),
            ("prefer", _) => (SslMode::Prefer, Trust::Anyone),
            ("require", false) => (SslMode::Require, Trust::Anyone),
            ("require", true) | ("verify-full", _) => (SslMode::Require, file.map_or(Trust::System, Trust::File)),
            _ => return Err("sslmode must be disable, prefer, require or verify-full".to_owned()),
        };
        config.ssl_mode(ssl_mode);
        Ok(Self { config, trust })
    }
}

/// Percent-encoding undone; what is not UTF-8 then is no path of ours.
fn decoded(value: &str) -> String {
    percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned()
}

impl fmt::Display for Address {
    /// Host, port and database.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let hosts: Vec<String> = self.config.get_hosts().iter().map(host).collect();
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        write!(f, "PostgreSQL at {}:{port}", hosts.join(","))?;
        self.config.get_dbname().map_or(Ok(()), |name| write!(f, "/{name}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<(SslMode, Trust), String> {
        url.parse::<Address>().map(|address| (address.config.get_ssl_mode(), address.trust))
    }

    #[test]
    fn the_url_says_how_much_is_believed() {
        let file = || Trust::File(PathBuf::from("/etc/my ca.pem"));
        for (query, expected) in [
            ("", (SslMode::Prefer, Trust::Anyone)),
            ("?sslmode=disable", (SslMode::Disable, Trust::Anyone)),
            ("?sslmode=require&connect_timeout=3", (SslMode::Require, Trust::Anyone)),
            ("?connect_timeout=3&sslmode=verify-full", (SslMode::Require, Trust::System)),
            ("?sslmode=verify-full&sslrootcert=system", (SslMode::Require, Trust::System)),
            ("?sslmode=verify-full&sslrootcert=/etc/my%20ca.pem", (SslMode::Require, file())),
            ("?sslmode=require&sslrootcert=/etc/my%20ca.pem", (SslMode::Require, file())),
        ] {
            assert_eq!(parse(&format!("postgres://u:p@db.example.com:5433/app{query}")), Ok(expected), "{query}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_without_its_password() {
        for (url, why) in [
            ("mysql://u:hunter2@h/x", "must begin with postgres://"),
            ("postgres:///app?user=u&password=hunter2", "must name a host"),
            ("postgres://u:hunter2@h/x?sslmode=verify-ca", "sslmode must be"),
            ("postgres://u:hunter2@h/x?sslcert=a", "unknown option"),
            ("postgres://u:hunter2@h:port/x", "invalid"),
        ] {
            let error = url.parse::<Address>().unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter2"), "{url}: {error}");
        }
        let address: Address = "postgres://u:hunter2@h,i/x".parse().unwrap();
        assert_eq!(format!("{address} {address:?}"), "PostgreSQL at h,i:5432/x PostgreSQL at h,i:5432/x");
    }
}
