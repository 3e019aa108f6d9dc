//! Who asked, as the door saw it: the value of `Forwarded` (RFC 7239). Both engines write it.

use std::fmt::Write;
use std::net::IpAddr;

/// `for=…;host=…;proto=http`. The host has passed the check of a head, so it needs no escapes inside its quotes.
pub(crate) fn value(client: Option<IpAddr>, host: &[u8]) -> String {
    let mut value = String::with_capacity(64);
    match client {
        // Writing to a string cannot fail.
        Some(IpAddr::V4(client)) => drop(write!(value, "for={client}")),
        Some(IpAddr::V6(client)) => drop(write!(value, "for=\"[{client}]\"")),
        None => value.push_str("for=unknown"),
    }
    let is_quotable = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if !host.is_empty() && host.iter().all(is_quotable) {
        let _ = write!(value, ";host=\"{}\"", String::from_utf8_lossy(host));
    }
    value.push_str(";proto=http");
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_rfc_says() {
        assert_eq!(value(Some("10.0.0.1".parse().unwrap()), b"door:80"), "for=10.0.0.1;host=\"door:80\";proto=http");
        assert_eq!(value(Some("::1".parse().unwrap()), b""), "for=\"[::1]\";proto=http");
    }
}
