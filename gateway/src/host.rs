//! What a host may look like: in a `Host` header, and in a target that names one (RFC 3986, section 3.2, without user names).

use std::net::Ipv6Addr;

/// Whether it is a name or an address, with or without a port, and nothing else.
pub(crate) fn is_host(text: &[u8]) -> bool {
    if let Some(rest) = text.strip_prefix(b"[") {
        let Some((address, rest)) = split_at(rest, b']') else { return false };
        let is_port = rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port);
        return std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok()) && is_port;
    }
    match split_at(text, b':') {
        None => is_name(text),
        Some((name, port)) => is_name(name) && is_port(port),
    }
}

fn split_at(text: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == end)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn is_name(name: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~');
    !name.is_empty() && name.iter().all(is_allowed)
}

/// Digits, at most 65535.
fn is_port(port: &[u8]) -> bool {
    let number = port.iter().try_fold(0_u16, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u16::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number.is_some() && !port.is_empty()
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
