//! What a host may look like: in a `Host` header, and in a target that names one (RFC 3986, section 3.2, without user names).

use std::net::Ipv6Addr;

/// Whether it is a name or an address, with or without a port, and nothing else.
pub(crate) fn is_host(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        let is_port = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().is_ok() && is_port;
    }
    match text.split_once(':') {
        None => is_name(text),
        Some((name, port)) => is_name(name) && is_port(port),
    }
}

fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~');
    !name.is_empty() && name.bytes().all(is_allowed)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        for good in ["door", "door.example:8080", "10.0.0.1", "[::1]", "[::1]:80", "a_b-c.d"] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in ["", ":80", "a:", "a:x", "a:99999", "a:1:2", "a b", "a@b", "a/b", "a,b", "[::1", "[x]", "[::1]x", "a%", "é", "a:+1"] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
