//! Which path goes where, and which paths go nowhere. Pure functions over the bytes as the client sent them; `proxy` asks.

use std::borrow::Cow;

use http::Method;

use crate::host::is_host;
use crate::{app, docs, problem_pages};

/// A backend behind the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Users,
    Chat,
    Analytics,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Users => "users",
            Service::Chat => "chat",
            Service::Analytics => "analytics",
        }
    }
}

/// A page the gateway answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnPage {
    Status,
    Livez,
    Readyz,
    Version,
    Document,
    /// A file of the page that shows the document.
    Docs(&'static docs::File),
    /// The same page without its slash.
    DocsElsewhere,
    Problems,
    Problem(&'static problem_pages::Page),
    /// The web app, where one is served.
    App(app::Found),
}

impl OwnPage {
    /// How many there are.
    #[cfg(test)]
    pub(crate) const KINDS: usize = 10;
}

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Own(OwnPage),
    /// The chat socket.
    Socket,
    /// A backend, and the prefix that leads there (also the metrics label, so the set stays bounded).
    Backend(Service, &'static str),
}

const BACKENDS: [(&str, Service); 4] =
    [("/users", Service::Users), ("/chat", Service::Chat), ("/analytics", Service::Analytics), ("/dashboard", Service::Analytics)];

impl Route {
    /// The route of a path that passed [`check`]; `None` is a 404.
    pub(crate) fn find(path: &str) -> Option<Route> {
        let own = |page| Some(Route::Own(page));
        match path {
            "/" => return own(OwnPage::Status),
            "/livez" => return own(OwnPage::Livez),
            "/readyz" => return own(OwnPage::Readyz),
            "/version" => return own(OwnPage::Version),
            "/ws" => return Some(Route::Socket),
            "/openapi.json" => return own(OwnPage::Document),
            "/docs" => return own(OwnPage::DocsElsewhere),
            "/problems/" => return own(OwnPage::Problems),
            _ => {}
        }
        let leads_to = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if let Some((prefix, service)) = BACKENDS.into_iter().find(|(prefix, _)| leads_to(prefix)) {
            return Some(Route::Backend(service, prefix));
        }
        let file = || path.strip_prefix("/docs/").and_then(docs::find).map(OwnPage::Docs);
        let problem = || path.strip_prefix("/problems/").and_then(problem_pages::find).map(OwnPage::Problem);
        file().or_else(problem).map(Route::Own)
    }

    /// The methods of a route that knows them itself; a backend decides for its own paths.
    pub(crate) fn allow(self) -> Option<&'static str> {
        match self {
            Route::Own(_) => Some("GET, HEAD"),
            Route::Socket => Some("GET"),
            Route::Backend(..) => None,
        }
    }

    pub(crate) fn allows(self, method: &Method) -> bool {
        match self {
            Route::Own(_) => method == Method::GET || method == Method::HEAD,
            Route::Socket => method == Method::GET,
            Route::Backend(..) => true,
        }
    }

    /// The route as a metrics label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Route::Own(_) => "own",
            Route::Socket => "/ws",
            Route::Backend(_, prefix) => prefix,
        }
    }
}

/// A target that is never forwarded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidPath(pub(crate) &'static str);

/// Turns a request target into path and query: a client may also send `http://host/users` to a proxy.
pub(crate) fn origin_form(target: &[u8]) -> Result<Cow<'_, [u8]>, InvalidPath> {
    // Not every reader takes them, and some cut a fragment off (RFC 3986, section 3.3).
    let path_len = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let is_doubtful = |(at, byte): (usize, &u8)| matches!(byte, b'#' | b'<' | b'>' | b'"') || (*byte == b'`' && at < path_len);
    if target.iter().enumerate().any(is_doubtful) {
        return Err(InvalidPath("the request target has a character that must be percent-encoded"));
    }
    if std::str::from_utf8(target).is_err() {
        return Err(InvalidPath("the request target is not UTF-8"));
    }
    if target.starts_with(b"/") {
        return Ok(Cow::Borrowed(target));
    }
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes())))
        .ok_or(InvalidPath("the request target is not a path"))?;
    let rest = target.get(scheme.len()..).unwrap_or_default();
    let authority_len = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    if !is_host(rest.get(..authority_len).unwrap_or_default()) {
        return Err(InvalidPath("the request target has no host, or a malformed one"));
    }
    match rest.get(authority_len..).unwrap_or_default() {
        path @ [b'/', ..] => Ok(Cow::Borrowed(path)),
        query => Ok(Cow::Owned([b"/", query].concat())),
    }
}

/// The authority of an absolute-form target: it stands for the Host (RFC 9112, section 3.2.2).
pub(crate) fn authority(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") {
        return None;
    }
    let at = target.windows(3).position(|window| window == b"://")?;
    let rest = target.get(at + 3..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    rest.get(..end).filter(|authority| !authority.is_empty())
}

/// The path of an origin-form target, once nothing in it can be read in two ways.
///
/// A replica might decode, join or clean a path differently from us; so whatever another reader could take for another path
/// is refused instead of repaired.
pub(crate) fn check(target: &[u8]) -> Result<&str, InvalidPath> {
    let path_len = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let path = target.get(..path_len).unwrap_or_default();
    let Some(segments) = path.strip_prefix(b"/") else {
        return Err(InvalidPath("the path does not start with a slash"));
    };
    let count = segments.split(|byte| *byte == b'/').count();
    for (index, segment) in segments.split(|byte| *byte == b'/').enumerate() {
        let is_trailing_slash = segment.is_empty() && index + 1 == count;
        if !is_trailing_slash {
            check_segment(segment)?;
        }
    }
    std::str::from_utf8(path).map_err(|_| InvalidPath("the path is not UTF-8"))
}

fn check_segment(segment: &[u8]) -> Result<(), InvalidPath> {
    if segment.is_empty() {
        return Err(InvalidPath("the path has an empty segment"));
    }
    // Most are plain words, which mean what they say.
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'@' | b':');
    if segment.iter().all(is_plain) {
        return Ok(());
    }
    let has_broken_escape = segment
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'%')
        .any(|(at, _)| !segment.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)));
    if has_broken_escape {
        return Err(InvalidPath("the path has an invalid percent escape"));
    }
    let decoded: Cow<'_, [u8]> = percent_encoding::percent_decode(segment).into();
    if matches!(&*decoded, b"." | b"..") {
        return Err(InvalidPath("the path has a dot segment"));
    }
    if decoded.iter().any(|byte| matches!(byte, b'/' | b'\\')) {
        return Err(InvalidPath("the path has an encoded slash or a backslash"));
    }
    let Ok(text) = std::str::from_utf8(&decoded) else {
        return Err(InvalidPath("the path is not UTF-8"));
    };
    if text.chars().any(char::is_control) {
        return Err(InvalidPath("the path has a control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_place() {
        let users = Some(Route::Backend(Service::Users, "/users"));
        let chat = Some(Route::Backend(Service::Chat, "/chat"));
        let table = [
            ("/", Some(Route::Own(OwnPage::Status))),
            ("/livez", Some(Route::Own(OwnPage::Livez))),
            ("/readyz", Some(Route::Own(OwnPage::Readyz))),
            ("/version", Some(Route::Own(OwnPage::Version))),
            ("/version/", None),
            ("/ws", Some(Route::Socket)),
            ("/ws/", None),
            ("/wsx", None),
            ("/users", users),
            ("/users/", users),
            ("/users/1/posts", users),
            ("/usersX", None),
            ("/Users", None),
            ("/%75sers", None),
            ("/chat", chat),
            ("/chat/rooms", chat),
            ("/chats", None),
            ("/analytics/events", Some(Route::Backend(Service::Analytics, "/analytics"))),
            ("/dashboard/", Some(Route::Backend(Service::Analytics, "/dashboard"))),
            ("/openapi.json", Some(Route::Own(OwnPage::Document))),
            ("/docs", Some(Route::Own(OwnPage::DocsElsewhere))),
            ("/docs/", docs::find("").map(|file| Route::Own(OwnPage::Docs(file)))),
            ("/docs/start.js", docs::find("start.js").map(|file| Route::Own(OwnPage::Docs(file)))),
            ("/docs/passwd", None),
            ("/problems", None),
            ("/problems/", Some(Route::Own(OwnPage::Problems))),
            ("/problems/not_found", problem_pages::find("not_found").map(|page| Route::Own(OwnPage::Problem(page)))),
            ("/problems/no_problem", None),
            ("/metrics", None),
            ("/nothing", None),
        ];
        for (path, expected) in table {
            assert_eq!(Route::find(path), expected, "{path}");
        }
    }

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_refused() {
        let refused: [&[u8]; 25] = [
            b"/..",
            b"/.",
            b"/users/..",
            b"/users/../admin",
            b"/users/./x",
            b"/users/%2e%2e/x",
            b"/users/%2E%2e/x",
            b"/users/.%2e",
            b"/users/%2fx",
            b"/users/%2Fx",
            b"/users/%5cx",
            b"/users\\x",
            b"//users",
            b"/users//x",
            b"/users//",
            b"//",
            b"/users/%00",
            b"/users/%0a",
            b"/users/%7f",
            b"/users/%c2%85",
            b"/users/%zz",
            b"/users/%4",
            b"/users/%ff",
            b"/users/\xff",
            b"users",
        ];
        for target in refused {
            assert!(check(target).is_err(), "{}", target.escape_ascii());
        }
    }

    #[test]
    fn ordinary_paths_pass_as_they_are() {
        let table: [(&[u8], &str); 9] = [
            (b"/", "/"),
            (b"/?a=/../", "/"),
            (b"/users", "/users"),
            (b"/users/", "/users/"),
            (b"/users?x=%2f", "/users"),
            (b"/users/a%20b", "/users/a%20b"),
            (b"/users/%C3%A9", "/users/%C3%A9"),
            (b"/users/...", "/users/..."),
            (b"/users/a.b", "/users/a.b"),
        ];
        for (target, expected) in table {
            assert_eq!(check(target), Ok(expected));
        }
    }

    #[test]
    fn an_absolute_target_is_reduced_to_its_path() {
        let table: [(&[u8], Option<&[u8]>); 8] = [
            (b"/users?a", Some(b"/users?a")),
            (b"http://host/users?a", Some(b"/users?a")),
            (b"HTTPS://host:1/x", Some(b"/x")),
            (b"http://host", Some(b"/")),
            (b"http://host?a", Some(b"/?a")),
            (b"*", None),
            (b"host:443", None),
            (b"ftp://host/users", None),
        ];
        for (target, expected) in table {
            assert_eq!(origin_form(target).ok().as_deref(), expected, "{}", target.escape_ascii());
        }
    }

    #[test]
    fn own_pages_are_read_only_and_the_socket_is_a_get() {
        let own = Route::Own(OwnPage::Status);
        assert!(own.allows(&Method::GET) && own.allows(&Method::HEAD) && !own.allows(&Method::POST));
        assert!(Route::Socket.allows(&Method::GET) && !Route::Socket.allows(&Method::HEAD));
        assert!(Route::Backend(Service::Users, "/users").allows(&Method::PATCH));
    }
}
