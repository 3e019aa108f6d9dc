//! Who asked, as the door saw it: the value of `Forwarded` (RFC 7239). Both engines write it.

/// `for=…;host=…;proto=http`. The host has passed the check of a head, so it needs no escapes inside its quotes.
pub(crate) fn write(out: &mut Vec<u8>, client: Option<&str>, host: &[u8]) {
    match client {
        Some(client) if client.contains(':') => parts(out, &[b"for=\"[", client.as_bytes(), b"]\""]),
        Some(client) => parts(out, &[b"for=", client.as_bytes()]),
        None => out.extend_from_slice(b"for=unknown"),
    }
    let is_quotable = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if !host.is_empty() && host.iter().all(is_quotable) {
        parts(out, &[b";host=\"", host, b"\""]);
    }
    out.extend_from_slice(b";proto=http");
}

fn parts(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_rfc_says() {
        for (client, host, expected) in [
            (Some("10.0.0.1"), "door:80", "for=10.0.0.1;host=\"door:80\";proto=http"),
            (Some("::1"), "", "for=\"[::1]\";proto=http"),
            (None, "", "for=unknown;proto=http"),
        ] {
            let mut value = Vec::new();
            write(&mut value, client, host.as_bytes());
            assert_eq!(String::from_utf8(value).unwrap(), expected);
        }
    }
}
