//! The head of a request over HTTP/2, held to the same rules as one over HTTP/1.1: what another reader could take in two ways is
//! refused, and so is what is too large. What h2 and pingora refuse themselves does not come here.

use http::header::{CONTENT_LENGTH, COOKIE, HOST};
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_http::RequestHeader;

use crate::host::is_host;
use crate::lane::{FIELDS_MAX, read_length};
use crate::problem::Problem;

/// What HTTP/2 adds to the size of each field when it speaks of the size of a list (RFC 9113, section 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// Limits for the library that reads heads. It knows no problems, and answers what is over them without a word: so they are
/// wide enough that a head which is too large for us is still seen here.
pub(crate) fn options(header_bytes_max: usize) -> H2Options {
    let mut options = default_h2_options();
    let list_bytes_max = 2 * header_bytes_max + 2 * FIELDS_MAX * FIELD_OVERHEAD;
    options.max_header_list_size(u32::try_from(list_bytes_max).unwrap_or(u32::MAX));
    options
}

/// Judges a head; its Content-Length, where it has one.
pub(super) fn check(request: &RequestHeader, bytes_max: usize) -> Result<Option<u64>, Problem> {
    if bytes(request) > bytes_max || fields(request) > FIELDS_MAX {
        return Err(Problem::HeadTooLarge { bytes_max });
    }
    let host = host(request).ok_or(Problem::BadRequest("there is no Host"))?;
    if !is_host(host) {
        return Err(Problem::BadRequest("the Host is malformed"));
    }
    let mut lengths = request.headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next().map(|length| read_length(length.as_bytes())).transpose()?;
    if lengths.next().is_some() {
        return Err(Problem::BadRequest("there is more than one Content-Length"));
    }
    Ok(length)
}

fn host(request: &RequestHeader) -> Option<&[u8]> {
    let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    authority.or_else(|| request.headers.get(HOST).map(|host| host.as_bytes()))
}

/// How many bytes it would be over HTTP/1.1.
fn bytes(request: &RequestHeader) -> usize {
    let line = request.method.as_str().len() + request.raw_path().len() + "  HTTP/1.1\r\n\r\n".len();
    let field = |name: &str, value: &[u8]| name.len() + value.len() + ": \r\n".len();
    let fields: usize = request.headers.iter().map(|(name, value)| field(name.as_str(), value.as_bytes())).sum();
    line + fields + if has_own_host(request) { 0 } else { field("host", host(request).unwrap_or_default()) }
}

/// How many fields. Cookies may come one by one, and are a single field all the same (RFC 9113, section 8.2.3).
fn fields(request: &RequestHeader) -> usize {
    let cookies = request.headers.get_all(COOKIE).iter().count();
    request.headers.len() - cookies.saturating_sub(1) + usize::from(!has_own_host(request))
}

fn has_own_host(request: &RequestHeader) -> bool {
    request.headers.contains_key(HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("POST", b"/users", None).unwrap();
        for (name, value) in fields {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    #[test]
    fn a_length_is_one_number() {
        let with = |lengths: &[&'static str]| {
            let lengths = lengths.iter().map(|length| ("content-length", *length));
            check(&request(&[("host", "door")].into_iter().chain(lengths).collect::<Vec<_>>()), 1000).map_err(Problem::code)
        };
        assert_eq!((with(&[]), with(&["5"]), with(&["05"])), (Ok(None), Ok(Some(5)), Ok(Some(5))));
        for bad in [&["5", "5"][..], &["5", "05"], &["5", "6"], &["5, 5"], &["+5"], &[""], &["9999999999999999999"]] {
            assert_eq!(with(bad), Err("bad_request"), "{bad:?}");
        }
    }

    #[test]
    fn a_head_is_as_large_as_over_http_1() {
        let text = "POST /users HTTP/1.1\r\nhost: door\r\nx-a: 1\r\n\r\n";
        let head = request(&[("host", "door"), ("x-a", "1")]);
        assert_eq!(check(&head, text.len()), Ok(None));
        assert_eq!(check(&head, text.len() - 1), Err(Problem::HeadTooLarge { bytes_max: text.len() - 1 }));
    }

    #[test]
    fn cookies_are_one_field_however_they_come() {
        let many = |name: &'static str, count: usize| {
            let fields: Vec<_> = [("host", "door")].into_iter().chain(std::iter::repeat_n((name, "a=1"), count)).collect();
            check(&request(&fields), 10_000).map_err(Problem::code)
        };
        assert_eq!((many("x-a", FIELDS_MAX - 1), many("x-a", FIELDS_MAX)), (Ok(None), Err("head_too_large")));
        assert_eq!(many("cookie", 2 * FIELDS_MAX), Ok(None));
    }

    #[test]
    fn a_request_names_a_host_and_nothing_else() {
        assert_eq!(check(&request(&[]), 1000), Err(Problem::BadRequest("there is no Host")));
        for bad in ["", "a b", "a:1:2", "a,b"] {
            assert_eq!(check(&request(&[("host", bad)]), 1000), Err(Problem::BadRequest("the Host is malformed")), "{bad}");
        }
    }
}
