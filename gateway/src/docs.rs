//! `/docs/`: the document as a page to read and to try, with Swagger UI. All of it is in the binary, and the policy it is served
//! with lets it ask nobody but us.

use http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};

use crate::answer::Answer;

/// A file below `/docs/`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

/// Scripts and styles are files of ours, nothing is written into the page; images may be data, as icons of the styles are.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! unpacked {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name))
    };
}

static FILES: [File; 5] = [
    File { name: "", content_type: "text/html; charset=utf-8", bytes: include_bytes!("docs/index.html") },
    File { name: "start.js", content_type: "text/javascript; charset=utf-8", bytes: include_bytes!("docs/start.js") },
    File { name: "swagger-ui-bundle.js", content_type: "text/javascript; charset=utf-8", bytes: unpacked!("swagger-ui-bundle.js") },
    File { name: "swagger-ui.css", content_type: "text/css; charset=utf-8", bytes: unpacked!("swagger-ui.css") },
    File { name: "favicon-32x32.png", content_type: "image/png", bytes: unpacked!("favicon-32x32.png") },
];

/// The file with this name; the page itself has none.
pub(crate) fn find(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

pub(crate) fn answer(file: &'static File) -> Answer {
    // They change with the binary only, but nobody should look at the page of yesterday's for long.
    Answer::kept(file.content_type, file.bytes, "public, max-age=300")
        .with(CONTENT_SECURITY_POLICY, POLICY)
        .with(X_CONTENT_TYPE_OPTIONS, "nosniff")
}

/// Whoever forgets the slash is sent to where the names in the page fit.
pub(crate) fn redirect() -> Answer {
    Answer::elsewhere("/docs/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_for_nothing_that_is_not_here_and_writes_nothing_into_itself() {
        let page = std::str::from_utf8(find("").unwrap().bytes).unwrap();
        let named: Vec<&str> = page.split(['"', '\'']).filter(|text| text.contains('.') && !text.contains([' ', '='])).collect();
        assert_eq!(named, ["favicon-32x32.png", "swagger-ui.css", "swagger-ui-bundle.js", "start.js"]);
        assert!(named.iter().all(|name| find(name).is_some_and(|file| file.bytes.len() > 100)));
        assert!(!page.contains("<style") && !page.contains("style=") && !page.contains("<script>"), "{page}");
        assert!(!POLICY.contains("unsafe"));
    }
}
