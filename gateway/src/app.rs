//! `/app/`: a web app that somebody has built, served from memory. The binary reads the folder; no file is opened while serving.
//!
//! An app of one page has places of its own below `/app/`: whoever loads one in a browser gets `index.html`, which knows them.

use std::collections::HashMap;
use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, VARY, X_CONTENT_TYPE_OPTIONS};

use crate::answer::Answer;
use crate::exchange::Ask;
use crate::{Error, etag};

const INDEX: &str = "index.html";
/// Smaller ones fit a packet or two as they are.
const GZIP_BYTES_MIN: usize = 1024;
/// Scripts are files of the app. Styles may be written into the page, as React Native for the web does, images may come from
/// anywhere, and the app may talk to another server than this one: whoever uses it may choose that.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob: https:; \
                      font-src 'self' data:; connect-src 'self' http: https: ws: wss:; object-src 'none'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// The files of a built web app, by their names.
pub struct App {
    files: Vec<File>,
    places: HashMap<String, usize>,
    index: usize,
}

struct File {
    content_type: String,
    rules: &'static str,
    is_page: bool,
    plain: Body,
    gzip: Option<Body>,
}

struct Body {
    bytes: Bytes,
    etag: String,
}

/// What a path below `/app` leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Whoever forgets the slash is sent to where the names in the page fit.
    Elsewhere,
    /// One of the files, by its place.
    File(usize),
}

impl App {
    /// An app of these files: the path of each below the folder, with slashes, and what is in it.
    ///
    /// # Errors
    ///
    /// [`Error::NoIndex`] when none of them is `index.html`.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<App, Error> {
        let (mut places, mut kept) = (HashMap::new(), Vec::new());
        for (name, bytes) in files {
            kept.push(File::new(&name, bytes));
            places.insert(name, kept.len() - 1);
        }
        let index = *places.get(INDEX).ok_or(Error::NoIndex)?;
        Ok(App { files: kept, places, index })
    }

    /// Where a path that passed `route::check` leads.
    pub(crate) fn find(&self, path: &str, ask: &Ask<'_>) -> Option<Found> {
        let name = match path.strip_prefix("/app")? {
            "" => return Some(Found::Elsewhere),
            rest => percent_encoding::percent_decode_str(rest.strip_prefix('/')?).decode_utf8().ok()?,
        };
        let is_place = || ask.accepts("text/html") || !name.rsplit('/').next().is_some_and(|last| last.contains('.'));
        self.places.get(&*name).copied().or_else(|| is_place().then_some(self.index)).map(Found::File)
    }

    pub(crate) fn answer(&self, found: Found, ask: &Ask<'_>) -> Answer {
        let file = match found {
            Found::Elsewhere => None,
            Found::File(place) => self.files.get(place),
        };
        let Some(file) = file else { return Answer::elsewhere("/app/") };
        let gzip = file.gzip.as_ref().filter(|_| takes_gzip(ask));
        let body = gzip.unwrap_or(&file.plain);
        let answer = match etag::is_known(ask.header.field("if-none-match"), &body.etag) {
            true => Answer::not_modified(file.rules),
            false => Answer::kept(&file.content_type, body.bytes.clone(), file.rules).with(X_CONTENT_TYPE_OPTIONS, "nosniff"),
        };
        let answer = answer.with(ETAG, &body.etag);
        let answer = if file.is_page { answer.with(CONTENT_SECURITY_POLICY, POLICY) } else { answer };
        let answer = if gzip.is_some() && answer.has_length() { answer.with(CONTENT_ENCODING, "gzip") } else { answer };
        if file.gzip.is_some() { answer.with(VARY, ACCEPT_ENCODING.as_str()) } else { answer }
    }
}

impl File {
    fn new(name: &str, bytes: Vec<u8>) -> File {
        let mime = mime_guess::from_path(name).first_or_octet_stream();
        let is_text = mime.type_() == "text" || ["javascript", "json", "xml"].iter().any(|kind| mime.essence_str().ends_with(kind));
        let is_page = mime == mime_guess::mime::TEXT_HTML;
        let content_type = if is_text { format!("{}; charset=utf-8", mime.essence_str()) } else { mime.to_string() };
        // What carries the hash of its bytes in its name never changes; whatever else does with the next build.
        let rules = if is_hashed(name) { "public, max-age=31536000, immutable" } else { "no-cache" };
        let is_dense = matches!(mime.type_().as_str(), "image" | "audio" | "video") && mime != "image/svg+xml" || name.ends_with(".woff2");
        let gzip = (bytes.len() >= GZIP_BYTES_MIN && !is_dense).then(|| gzip(&bytes)).filter(|small| small.len() < bytes.len());
        File { content_type, rules, is_page, plain: Body::new(bytes), gzip: gzip.map(Body::new) }
    }
}

impl Body {
    fn new(bytes: Vec<u8>) -> Body {
        Body { etag: etag::of(&bytes), bytes: bytes.into() }
    }
}

/// Whether the last part of a name has a hash in it, as bundlers write it: `index-3a5f….js`, `icon.9d12….png`.
fn is_hashed(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.split(['.', '-', '_']).any(|part| part.len() >= 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether `Accept-Encoding` names gzip, and not to say no to it (RFC 9110, section 12.5.3).
fn takes_gzip(ask: &Ask<'_>) -> bool {
    let lines = ask.header.all("accept-encoding");
    let mut codings = lines.iter().filter_map(|line| std::str::from_utf8(line).ok()).flat_map(|line| line.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        is_gzip && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// The same bytes for the same file, whichever replica of the gateway is asked: there is no time in it.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("a vector takes whatever is written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_hash_may_be_kept_for_ever() {
        let table = [
            ("_expo/static/js/web/index-35d1ce2b8a32ba1a0b5d1c6cbb2b3a6f.js", true),
            ("assets/fonts/Ionicons.b4eb097d35f44ed943676fd56f6bdc51.ttf", true),
            ("index.html", false),
            ("deadbeefdeadbeefdeadbeef/index.html", false),
            ("metadata.json", false),
        ];
        for (name, expected) in table {
            assert_eq!(is_hashed(name), expected, "{name}");
        }
    }

    #[test]
    fn a_file_is_what_its_name_says_and_smaller_where_that_helps() {
        let long = "function main() { return 1 }\n".repeat(100).into_bytes();
        let script = File::new("a.js", long.clone());
        assert_eq!((script.content_type.as_str(), script.is_page), ("text/javascript; charset=utf-8", false));
        let small = script.gzip.expect("it is text");
        assert!(small.bytes.len() < long.len() / 5 && small.etag != script.plain.etag);
        assert_eq!(File::new("a.png", long.clone()).content_type, "image/png");
        assert!(File::new("a.png", long.clone()).gzip.is_none() && File::new("a.woff2", long.clone()).gzip.is_none());
        assert!(File::new("a.svg", long.clone()).gzip.is_some() && File::new("a.ttf", long).gzip.is_some());
        assert!(File::new("a.js", b"1".to_vec()).gzip.is_none());
        assert!(File::new("INDEX.HTML", Vec::new()).is_page);
        assert_eq!(File::new("what", Vec::new()).content_type, "application/octet-stream");
    }

    #[test]
    fn an_app_needs_a_page_to_begin_with() {
        let error = App::new([("main.js".to_owned(), Vec::new())]).err().expect("there is none");
        assert_eq!(error.to_string(), "gateway.app_dir: there is no index.html in it; is it the folder of a built web app?");
    }
}
