//! What the gateway adds to a request on its way to a replica. Called by `proxy`.

use http::header::{CONTENT_LENGTH, COOKIE, FORWARDED, HOST, HeaderName, TE};
use pingora_core::Result;
use pingora_http::RequestHeader;

use crate::exchange::Exchange;
use crate::lane::read_length;
use crate::{forwarded, request_id, trace};

/// Tells the replica who asked, as seen from here.
///
/// The caller's own words about where it comes from are dropped: strangers are not believed. Everything else goes through
/// unchanged; pingora has already removed what belongs to the client's connection only.
pub(super) fn add_headers(upstream: &mut RequestHeader, exchange: &Exchange) -> Result<()> {
    upstream.insert_header(request_id::HEADER, exchange.request_id.as_str())?;
    upstream.insert_header(trace::HEADER, exchange.traceparent.as_str())?;
    upstream.insert_header("x-forwarded-proto", "http")?;
    match exchange.client.as_deref() {
        Some(client) => upstream.insert_header("x-forwarded-for", client)?,
        None => remove(upstream, "x-forwarded-for"),
    }
    let host = upstream.headers.get(HOST).cloned();
    let mut value = Vec::new();
    forwarded::write(&mut value, exchange.client.as_deref(), host.as_ref().map(|host| host.as_bytes()).unwrap_or_default());
    upstream.insert_header(FORWARDED, value)?;
    match host {
        Some(host) => upstream.insert_header("x-forwarded-host", host)?,
        None => remove(upstream, "x-forwarded-host"),
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authorization"] {
        remove(upstream, name);
    }
    // pingora throws trailers away.
    upstream.remove_header(&TE);
    write_length(upstream)?;
    join_cookies(upstream)
}

/// A length is written as a plain number, and that there is no body only where one is usual.
fn write_length(upstream: &mut RequestHeader) -> Result<()> {
    let length = upstream.headers.get(CONTENT_LENGTH).and_then(|length| read_length(length.as_bytes()).ok());
    match length {
        Some(0) if !matches!(upstream.method.as_str(), "POST" | "PUT" | "PATCH") => remove(upstream, "content-length"),
        Some(length) => upstream.insert_header(CONTENT_LENGTH, length)?,
        None => {}
    }
    Ok(())
}

/// HTTP/2 may send cookies one by one; HTTP/1.1 has one field for all of them (RFC 9113, section 8.2.3).
fn join_cookies(upstream: &mut RequestHeader) -> Result<()> {
    let cookies: Vec<&[u8]> = upstream.headers.get_all(COOKIE).iter().map(|cookie| cookie.as_bytes()).collect();
    if cookies.len() < 2 {
        return Ok(());
    }
    let joined = cookies.join(&b"; "[..]);
    upstream.insert_header(COOKIE, joined)
}

fn remove(upstream: &mut RequestHeader, name: &'static str) {
    upstream.remove_header(&HeaderName::from_static(name));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing;
    use crate::exchange::Protocol;

    #[test]
    fn what_a_stranger_says_of_itself_is_replaced() {
        let gateway = crate::Gateway::new(testing::config(), "0").unwrap();
        let mut exchange = Exchange::begin(&gateway, Some("10.0.0.1".into()), Protocol::Http2, std::time::Instant::now());
        exchange.request_id = "id-1".to_owned();
        exchange.traceparent = "00-1-2-01".to_owned();
        let mut request = RequestHeader::build("GET", b"/users", None).unwrap();
        for (name, value) in [
            ("host", "door.example"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "7.7.7.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=6.6.6.6"),
        ] {
            request.append_header(name, value).unwrap();
        }
        add_headers(&mut request, &exchange).unwrap();
        let all = |name: &str| request.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(all("x-forwarded-for"), ["10.0.0.1"]);
        assert_eq!(all("x-forwarded-proto"), ["http"]);
        assert_eq!(all("x-forwarded-host"), ["door.example"]);
        assert_eq!(all("x-request-id"), ["id-1"]);
        assert_eq!(all("traceparent"), ["00-1-2-01"]);
        assert_eq!(all("forwarded"), ["for=10.0.0.1;host=\"door.example\";proto=http"]);
    }
}
