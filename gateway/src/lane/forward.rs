//! The head a replica gets: the client's, without what belongs to the client's connection only, and with who asked.

use std::borrow::Cow;

use super::body::Framing;
use super::head::{Head, tokens};
use crate::exchange::Exchange;
use crate::{forwarded, request_id, route, trace};

/// Writes the head for a replica. The caller's own words about where it comes from are dropped: strangers are not believed.
pub(super) fn write(out: &mut Vec<u8>, head: &Head<'_>, exchange: &Exchange) {
    // It passed the router already, so that one with a slash is a path.
    let target = match head.target {
        path @ [b'/', ..] => Cow::Borrowed(path),
        absolute => route::origin_form(absolute).unwrap_or_default(),
    };
    line(out, &[head.method.as_str().as_bytes(), b" ", &target, b" HTTP/1.1"]);
    let host = route::authority(head.target).or(head.host).unwrap_or_default();
    field(out, "host", host);
    for one in head.fields {
        if !ends_here(one.name, head) {
            field(out, one.name, one.value);
        }
    }
    field(out, request_id::HEADER, exchange.request_id.as_bytes());
    field(out, trace::HEADER, exchange.traceparent.as_bytes());
    write_origin(out, exchange.client.as_deref(), host);
    if exchange.is_socket {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
    }
    match head.framing {
        Framing::Chunked => field(out, "transfer-encoding", b"chunked"),
        Framing::Length(length) => field(out, "content-length", itoa::Buffer::new().format(length).as_bytes()),
        // Where a body is usual, its absence is said.
        Framing::None | Framing::UntilClose if matches!(head.method.as_str(), "POST" | "PUT" | "PATCH") => {
            field(out, "content-length", b"0")
        }
        Framing::None | Framing::UntilClose => {}
    }
    out.extend_from_slice(b"\r\n");
}

fn write_origin(out: &mut Vec<u8>, client: Option<&str>, host: &[u8]) {
    field(out, "x-forwarded-proto", b"http");
    if !host.is_empty() {
        field(out, "x-forwarded-host", host);
    }
    if let Some(client) = client {
        field(out, "x-forwarded-for", client.as_bytes());
    }
    out.extend_from_slice(b"forwarded: ");
    forwarded::write(out, client, host);
    out.extend_from_slice(b"\r\n");
}

/// Fields that are ours to write, or that end at this connection (RFC 9110, section 7.6.1).
fn ends_here(name: &str, head: &Head<'_>) -> bool {
    const FIELDS: [&str; 16] = [
        "host",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
        "http2-settings",
        "content-length",
        "transfer-encoding",
        "x-request-id",
        "traceparent",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "proxy-authorization",
    ];
    if FIELDS.iter().any(|field| field.len() == name.len() && field.eq_ignore_ascii_case(name)) {
        return true;
    }
    head.has_named_hops && is_named_hop(name, head.fields)
}

/// Whether a `Connection` field names it.
pub(super) fn is_named_hop(name: &str, fields: &[httparse::Header<'_>]) -> bool {
    let connections = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("connection"));
    connections.flat_map(|field| tokens(field.value)).any(|token| token.eq_ignore_ascii_case(name.as_bytes()))
}

pub(super) fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    line(out, &[name.as_bytes(), b": ", value]);
}

pub(super) fn line(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
}
