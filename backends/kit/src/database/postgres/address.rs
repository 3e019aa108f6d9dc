//! Where a PostgreSQL is, from an URL (libpq's manual, section "Connection URIs").

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};

use super::tls::{self, Trust};

/// A connection that is idle for so long is asked whether its other end is still there, unless the URL says otherwise.
pub(super) const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// A server, a database on it and who we are there. Shows no password.
#[derive(Clone)]
pub struct Address {
    pub(super) config: tokio_postgres::Config,
    pub(super) trust: Trust,
}

impl Address {
    /// Whether those who are to be believed are there: the file of `sslrootcert`, or the machine's own.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        tls::connector(&self.trust).map(drop)
    }
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
        is_encoded(url)?;
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
        // The driver cannot tell whether it was said.
        let says_idle = others.iter().any(|parameter| parameter.starts_with("keepalives_idle="));
        if !says_idle {
            config.keepalives_idle(KEEPALIVE_IDLE);
        }
        Ok(Self { config, trust })
    }
}

/// What ends a part of an URL must be written as `%40` and the like within one. Where it is not, a part of the password would be taken
/// for the host, or for what comes after it, and be shown.
fn is_encoded(url: &str) -> Result<(), String> {
    let error = || Err("user and password must be percent-encoded (@ as %40, / as %2F, ? as %3F)".to_owned());
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let behind = &rest[authority.len()..];
    if authority.matches('@').count() > 1 || behind.contains('@') { error() } else { Ok(()) }
}

/// Percent-encoding undone; what is not UTF-8 then is no path of ours.
fn decoded(value: &str) -> String {
    percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned()
}

impl fmt::Display for Address {
    /// Hosts, ports and database.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.config.get_ports();
        let name = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let mut hosts: Vec<String> = self.config.get_hosts().iter().map(name).collect();
        if hosts.is_empty() {
            hosts = self.config.get_hostaddrs().iter().map(ToString::to_string).collect();
        }
        // One port is that of all hosts.
        let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        let places: Vec<String> = hosts.iter().enumerate().map(|(index, host)| format!("{host}:{}", port(index))).collect();
        write!(f, "PostgreSQL at {}", places.join(","))?;
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
    }

    #[test]
    fn a_password_that_is_not_encoded_is_refused_and_no_part_of_it_is_told() {
        for password in
            ["top@s3cr3t", "@s3cr3t", "s3cr3t@", "a@b?s3cr3t", "a@b/s3cr3t", "a@b#s3cr3t", "1/s3cr3t", "top?s3cr3t", "1?s3cr3t=1"]
        {
            for place in ["127.0.0.1:55432/app", "db", "db/app?sslmode=require"] {
                let url = format!("postgres://app:{password}@{place}");
                let error = url.parse::<Address>().expect_err(&url);
                assert!(error.starts_with("user and password must be percent-encoded"), "{url}: {error}");
                assert!(!error.contains("s3cr3t"), "{url}: {error}");
            }
        }
        for good in ["a%40b:p%40%2F%3F%23@h/x", "a:top#s3cr3t@h/x", "h/x?user=a%40b", "app@/x?host=h", "h/x"] {
            let address: Address = format!("postgres://{good}").parse().expect(good);
            assert_eq!(address.to_string(), "PostgreSQL at h:5432/x", "{good}");
        }
    }

    #[test]
    fn an_address_shows_every_place_and_no_password() {
        for (url, shown) in [
            ("postgres://u:hunter2@h,i/x", "PostgreSQL at h:5432,i:5432/x"),
            ("postgres://u:hunter2@h:1,i:2/x", "PostgreSQL at h:1,i:2/x"),
            ("postgres://u:hunter2@%2Frun%2Fpg:1/x", "PostgreSQL at /run/pg:1/x"),
            ("postgres:///x?user=u&password=hunter2&hostaddr=127.0.0.1", "PostgreSQL at 127.0.0.1:5432/x"),
        ] {
            let address: Address = url.parse().unwrap();
            assert_eq!((format!("{address}"), format!("{address:?}")), (shown.to_owned(), shown.to_owned()));
        }
    }
}
