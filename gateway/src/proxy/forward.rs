//! What the gateway adds to a request on its way to a replica. Called by `proxy`.

use http::header::{FORWARDED, HOST, HeaderName};
use pingora_core::Result;
use pingora_http::RequestHeader;

use crate::request_id;

/// Tells the replica who asked, as seen from here.
///
/// The caller's own words about where it comes from are dropped: strangers are not believed. Everything else goes through
/// unchanged; pingora has already removed what belongs to the client's connection only.
pub(crate) fn add_headers(upstream: &mut RequestHeader, request_id: &str, client: Option<std::net::IpAddr>) -> Result<()> {
    upstream.insert_header(request_id::HEADER, request_id)?;
    upstream.remove_header(&FORWARDED);
    upstream.insert_header("x-forwarded-proto", "http")?;
    match client {
        // An IPv4 caller on an IPv6 listener is still an IPv4 caller.
        Some(ip) => upstream.insert_header("x-forwarded-for", ip.to_canonical().to_string())?,
        None => remove(upstream, "x-forwarded-for"),
    }
    match upstream.headers.get(HOST).cloned() {
        Some(host) => upstream.insert_header("x-forwarded-host", host)?,
        None => remove(upstream, "x-forwarded-host"),
    }
    Ok(())
}

fn remove(upstream: &mut RequestHeader, name: &'static str) {
    upstream.remove_header(&HeaderName::from_static(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_says_of_itself_is_replaced() {
        let mut request = RequestHeader::build("GET", b"/users", None).unwrap();
        for (name, value) in [
            ("host", "door.example"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "7.7.7.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=6.6.6.6"),
            ("traceparent", "00-1-2-01"),
        ] {
            request.append_header(name, value).unwrap();
        }
        add_headers(&mut request, "id-1", Some("::ffff:10.0.0.1".parse().unwrap())).unwrap();
        let all = |name: &str| request.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(all("x-forwarded-for"), ["10.0.0.1"]);
        assert_eq!(all("x-forwarded-proto"), ["http"]);
        assert_eq!(all("x-forwarded-host"), ["door.example"]);
        assert_eq!(all("x-request-id"), ["id-1"]);
        assert_eq!(all("traceparent"), ["00-1-2-01"]);
        assert!(all("forwarded").is_empty());
    }
}
