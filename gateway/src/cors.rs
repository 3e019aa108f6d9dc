//! Which pages of browsers elsewhere may use the door (CORS, as the Fetch standard has it) and open sockets (RFC 6455, 10.2).
//!
//! Without a list of origins nothing is looked up and nothing is added: then browsers keep pages of other origins out by
//! themselves, except from sockets. No credentials are ever allowed: nothing here is known by a cookie.

use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE, HeaderName};

use crate::answer::Answer;
use crate::host::is_host;

/// What scripts may read besides what they always may.
const EXPOSED: &str = "Link, ETag, Location, Retry-After, X-Request-Id";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// What scripts may send besides what they always may.
const HEADERS: &str = "Content-Type, Content-Encoding, If-Match, If-None-Match, X-Request-Id, Traceparent";
/// Seconds for which a browser need not ask again.
const MAX_AGE_S: &str = "600";

/// A header of an answer.
pub(crate) type Field = (&'static str, String);

/// The origins that may.
pub(crate) struct Cors {
    origins: Vec<Allowed>,
    /// What everybody else is answered with.
    others: [Field; 1],
}

struct Allowed {
    origin: String,
    fields: [Field; 3],
}

/// Where a request comes from, as its browser says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// There is no list.
    Unasked,
    /// It does not say: it is no browser, or a page of our own.
    Unnamed,
    Foreign,
    /// Its place in the list.
    Allowed(usize),
}

impl Cors {
    /// Judges a list of origins; an empty one is none.
    pub(crate) fn new(origins: &[String]) -> Result<Option<Cors>, (String, &'static str)> {
        let allowed = origins.iter().map(|origin| match check(origin) {
            Ok(()) => Ok(Allowed { origin: origin.clone(), fields: fields(origin) }),
            Err(why) => Err((origin.clone(), why)),
        });
        let origins = allowed.collect::<Result<Vec<_>, _>>()?;
        Ok((!origins.is_empty()).then(|| Cors { origins, others: [vary()] }))
    }

    pub(crate) fn judge(&self, origin: Option<&[u8]>) -> Origin {
        let Some(origin) = origin else { return Origin::Unnamed };
        let place = self.origins.iter().position(|allowed| allowed.origin.as_bytes() == origin);
        place.map_or(Origin::Foreign, Origin::Allowed)
    }

    /// What an answer to `origin` has besides.
    pub(crate) fn fields(&self, origin: Origin) -> &[Field] {
        match origin {
            Origin::Unasked => &[],
            Origin::Unnamed | Origin::Foreign => &self.others,
            Origin::Allowed(place) => self.origins.get(place).map_or(&self.others[..], |allowed| &allowed.fields),
        }
    }
}

/// The answer to a browser that asks whether a script may send a request; which one is not looked at.
pub(crate) fn preflight() -> Answer {
    let header = |name: HeaderName, value: &str| (name, value.to_owned());
    let headers = vec![
        header(ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        header(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        header(ACCESS_CONTROL_MAX_AGE, MAX_AGE_S),
    ];
    Answer { status: StatusCode::NO_CONTENT, headers, body: Bytes::new() }
}

/// Whether an origin is that of the host that was asked, whatever carries TLS in front of us.
pub(crate) fn is_same(origin: &[u8], host: Option<&[u8]>) -> bool {
    let after_scheme = origin.windows(3).position(|window| window == b"://").and_then(|at| origin.get(at + 3..));
    after_scheme.zip(host).is_some_and(|(named, host)| named.eq_ignore_ascii_case(host))
}

fn fields(origin: &str) -> [Field; 3] {
    [("access-control-allow-origin", origin.to_owned()), ("access-control-expose-headers", EXPOSED.to_owned()), vary()]
}

/// A cache must not give one origin the answer of another.
fn vary() -> Field {
    ("vary", "origin".to_owned())
}

/// As browsers write them: `https://app.example`, lower-case, with a port where it is not the usual one.
fn check(origin: &str) -> Result<(), &'static str> {
    if origin == "*" {
        return Err("each origin must be named; * would let every page on the web in");
    }
    let (scheme, host) = origin.split_once("://").ok_or("it is not scheme://host")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    let has_usual_port = matches!((scheme, host.rsplit_once(':')), ("http", Some((_, "80"))) | ("https", Some((_, "443"))));
    match () {
        () if !is_scheme => Err("it does not begin with a scheme in lower case"),
        () if host.contains('/') => Err("an origin ends before the path"),
        () if !is_host(host.as_bytes()) => Err("it names no host"),
        () if host.bytes().any(|byte| byte.is_ascii_uppercase()) => Err("browsers write hosts in lower case"),
        () if has_usual_port => Err("browsers leave the usual port out"),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str]) -> Result<Option<Cors>, (String, &'static str)> {
        Cors::new(&origins.iter().map(|origin| (*origin).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        assert!(cors(&[]).is_ok_and(|cors| cors.is_none()));
        for good in ["https://app.example", "http://localhost:8081", "http://[::1]:3000", "capacitor://localhost"] {
            assert!(cors(&[good]).is_ok_and(|cors| cors.is_some()), "{good}");
        }
        for bad in [
            "*",
            "null",
            "",
            "app.example",
            "https://app.example/",
            "https://App.example",
            "HTTPS://a",
            "https://",
            "https://a b",
            "http://a:80",
        ] {
            assert!(cors(&["https://app.example", bad]).is_err_and(|(origin, _)| origin == bad), "{bad}");
        }
    }

    #[test]
    fn only_an_origin_of_the_list_is_let_in() {
        let cors = cors(&["https://app.example", "http://localhost:8081"]).unwrap().unwrap();
        let fields = |origin: &str| cors.fields(cors.judge(Some(origin.as_bytes())));
        assert_eq!(fields("http://localhost:8081")[0], ("access-control-allow-origin", "http://localhost:8081".to_owned()));
        for other in ["http://localhost", "https://app.example.evil.example", "https://app.exampl", "null", ""] {
            assert_eq!(fields(other), [vary()], "{other}");
        }
        assert_eq!(cors.fields(cors.judge(None)), [vary()]);
    }

    #[test]
    fn the_same_host_is_the_same_origin() {
        assert!(is_same(b"https://door.example", Some(b"Door.Example")));
        assert!(is_same(b"http://localhost:8080", Some(b"localhost:8080")));
        for (origin, host) in [(&b"http://localhost:8081"[..], &b"localhost:8080"[..]), (b"null", b"localhost"), (b"https://a", b"a.b")] {
            assert!(!is_same(origin, Some(host)));
        }
        assert!(!is_same(b"http://localhost", None));
    }
}
