//! Where a Redis is: the text of the settings, parsed without connecting.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

const PORT: u16 = 6379;

/// The address of a Redis: `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS.
///
/// Several nodes of a cluster are separated by commas: `redis://a:6379,b:6379`; any of them is enough to find the others.
/// It prints without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    pub(super) seeds: Vec<Place>,
    is_tls: bool,
    user: Option<String>,
    password: Option<String>,
    database: i64,
}

/// Host and port of one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Why a text is no address of a Redis. It never says what the text was: there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedisAddress {
    /// Neither `redis://` nor `rediss://`.
    #[error("the address of a Redis begins with redis:// or rediss://")]
    Scheme,
    /// `redis://`, or a comma too many.
    #[error("the address of a Redis names a host for each node: redis://host:port")]
    Host,
    /// A port that is none.
    #[error("the port in the address of a Redis is a number from 1 to 65535")]
    Port,
    /// `%` that is not followed by two digits, or bytes that are no text.
    #[error("user and password in the address of a Redis are percent-encoded UTF-8")]
    Credentials,
    /// Something behind the slash that is not a number.
    #[error("after the host, the address of a Redis has nothing but the number of a database: redis://host:port/0")]
    Database,
    /// Several nodes and a database.
    #[error("a Redis Cluster has no databases but 0")]
    DatabaseOfCluster,
}

impl FromStr for RedisAddress {
    type Err = InvalidRedisAddress;

    fn from_str(text: &str) -> Result<Self, InvalidRedisAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidRedisAddress::Scheme)?;
        let is_tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(InvalidRedisAddress::Scheme),
        };
        let (credentials, rest) = rest.rsplit_once('@').map_or((None, rest), |(credentials, rest)| (Some(credentials), rest));
        let (user, password) = credentials.map_or(Ok((None, None)), parse_credentials)?;
        let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
        let seeds: Vec<Place> = hosts.split(',').map(Place::parse).collect::<Result<_, _>>()?;
        let database = if database.is_empty() { 0 } else { database.parse::<u16>().map_err(|_| InvalidRedisAddress::Database)?.into() };
        if seeds.len() > 1 && database != 0 {
            return Err(InvalidRedisAddress::DatabaseOfCluster);
        }
        Ok(Self { seeds, is_tls, user, password, database })
    }
}

fn parse_credentials(text: &str) -> Result<(Option<String>, Option<String>), InvalidRedisAddress> {
    let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(decoded) if decoded.is_empty() => Ok(None),
        Ok(decoded) => Ok(Some(decoded.into_owned())),
        Err(_) => Err(InvalidRedisAddress::Credentials),
    };
    let (user, password) = text.split_once(':').ok_or(InvalidRedisAddress::Credentials)?;
    Ok((decode(user)?, decode(password)?))
}

impl Place {
    fn parse(text: &str) -> Result<Self, InvalidRedisAddress> {
        let is_ipv6_alone = text.ends_with(']');
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !is_ipv6_alone => (host, Some(port)),
            _ => (text, None),
        };
        let port = port.map_or(Ok(PORT), str::parse).ok().filter(|port| *port > 0).ok_or(InvalidRedisAddress::Port)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "[]?#".contains(c));
        is_host.then(|| Self { host: host.to_owned(), port }).ok_or(InvalidRedisAddress::Host)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seeds: Vec<_> = self.seeds.iter().map(Place::to_string).collect();
        write!(f, "redis{}://{}/{}", if self.is_tls { "s" } else { "" }, seeds.join(","), self.database)
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl RedisAddress {
    /// How to connect to the node at `place`, which is a seed or one that the cluster named.
    pub(super) fn connection_info(&self, place: &Place) -> ConnectionInfo {
        let Place { host, port } = place.clone();
        let address = match self.is_tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        };
        let mut settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(self.database);
        settings = settings.set_lib_name("superapp", env!("CARGO_PKG_VERSION"));
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        let info = address.into_connection_info().expect("it is one already");
        info.set_redis_settings(settings).set_tcp_settings(tcp_settings())
    }
}

/// Small messages are sent at once, and a peer that vanished without a word is noticed.
fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5));
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(10));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> RedisAddress {
        text.parse().expect(text)
    }

    #[test]
    fn a_host_is_enough() {
        assert_eq!(parsed("redis://localhost").to_string(), "redis://localhost:6379/0");
        assert_eq!(parsed("redis://localhost/").to_string(), "redis://localhost:6379/0");
        assert_eq!(parsed("rediss://10.0.0.1:7000/3").to_string(), "rediss://10.0.0.1:7000/3");
        assert_eq!(parsed("redis://[::1]:7000,[::2]").to_string(), "redis://[::1]:7000,[::2]:6379/0");
        assert_eq!(parsed("redis://a:1,b:2,c:3").seeds.len(), 3);
    }

    #[test]
    fn user_and_password_are_read_and_never_shown() {
        let address = parsed("redis://ada:p%40ss%2Fword@localhost:7000");
        let info = address.connection_info(&address.seeds[0]);
        assert_eq!(info.redis_settings().username(), Some("ada"));
        assert_eq!(info.redis_settings().password(), Some("p@ss/word"));
        assert_eq!(format!("{address} {address:?}"), "redis://localhost:7000/0 redis://localhost:7000/0");
        assert_eq!(parsed("redis://:secret@localhost").password.as_deref(), Some("secret"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        let refused = [
            ("", InvalidRedisAddress::Scheme),
            ("localhost:6379", InvalidRedisAddress::Scheme),
            ("http://localhost", InvalidRedisAddress::Scheme),
            ("redis://", InvalidRedisAddress::Host),
            ("redis://a,,b", InvalidRedisAddress::Host),
            ("redis://a?db=1", InvalidRedisAddress::Host),
            ("redis://ada:secret", InvalidRedisAddress::Port),
            ("redis://a:0", InvalidRedisAddress::Port),
            ("redis://a:65536", InvalidRedisAddress::Port),
            ("redis://secret@a", InvalidRedisAddress::Credentials),
            ("redis://:%FF@a", InvalidRedisAddress::Credentials),
            ("redis://a/secret", InvalidRedisAddress::Database),
            ("redis://a,b/1", InvalidRedisAddress::DatabaseOfCluster),
        ];
        for (text, error) in refused {
            assert_eq!(text.parse::<RedisAddress>(), Err(error), "{text}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
