//! `/problems/{code}`: what a code means. The `type` of every problem is such a path, whoever says it.
//!
//! The texts are in `pages`, those of the backends too: a page must answer while its backend does not. A test of the structure
//! fails when some part of the system says a code that has none.

mod pages;

use std::fmt::Write;

use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, VARY};
use serde::Serialize;

use crate::answer::{Answer, json_line};
use crate::exchange::Ask;
use crate::status_page::escape;

/// What there is to know of a code.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Page {
    pub(crate) code: &'static str,
    /// The HTTP statuses it comes with; none where it is told of a field, an event or a frame only.
    pub(crate) statuses: &'static [u16],
    /// Why it is said.
    pub(crate) cause: &'static str,
    /// What to do.
    pub(crate) cure: &'static str,
    /// A command that shows it, or how it is done right.
    pub(crate) example: &'static str,
}

/// How a page is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Html,
    Json,
    Markdown,
}

impl Form {
    /// A page for browsers, JSON for who asks for it, text for everybody else.
    pub(crate) fn of(ask: &Ask<'_>) -> Form {
        match () {
            () if ask.accepts("text/html") => Form::Html,
            () if ask.accepts("application/json") => Form::Json,
            () => Form::Markdown,
        }
    }

    fn answer(self, html: impl FnOnce() -> String, json: &impl Serialize, markdown: impl FnOnce() -> String) -> Answer {
        const RULES: &str = "public, max-age=300";
        const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        let answer = match self {
            Form::Html => Answer::kept("text/html; charset=utf-8", html(), RULES).with(CONTENT_SECURITY_POLICY, POLICY),
            Form::Json => Answer::kept("application/json", json_line(json), RULES),
            Form::Markdown => Answer::kept("text/markdown; charset=utf-8", markdown(), RULES),
        };
        answer.with(VARY, "accept")
    }
}

pub(crate) fn find(code: &str) -> Option<&'static Page> {
    pages::PAGES.iter().find(|page| page.code == code)
}

/// Every code there is.
pub(crate) fn codes() -> impl Iterator<Item = &'static str> {
    pages::PAGES.iter().map(|page| page.code)
}

pub(crate) fn show(page: &'static Page, form: Form) -> Answer {
    form.answer(|| html(page.code, &article(page)), page, || markdown(page))
}

pub(crate) fn list(form: Form) -> Answer {
    let links = || {
        let items = pages::PAGES.iter().map(|page| format!("<li><a href=\"{0}\">{0}</a>: {1}\n", page.code, escape(page.cause)));
        format!("<h1>Problems</h1>\n<ul>\n{}</ul>\n", items.collect::<String>())
    };
    let lines = || pages::PAGES.iter().map(|page| format!("- [{0}]({0}): {1}\n", page.code, page.cause)).collect::<String>();
    form.answer(|| html("problems", &links()), &pages::PAGES, || format!("# Problems\n\n{}", lines()))
}

fn markdown(page: &Page) -> String {
    let Page { code, cause, cure, example, .. } = page;
    format!("# {code}\n\n{}\n\n**Cause.** {cause}\n\n**Cure.** {cure}\n\n```sh\n{example}\n```\n", place(page))
}

fn article(page: &Page) -> String {
    let (cause, cure, example) = (escape(page.cause), escape(page.cure), escape(page.example));
    let head = format!("<h1>{}</h1>\n<p>{}\n", page.code, place(page));
    format!(
        "{head}<h2>Cause</h2>\n<p>{cause}\n<h2>Cure</h2>\n<p>{cure}\n<pre><code>{example}</code></pre>\n<p><a href=\"./\">All problems</a>\n"
    )
}

/// Where a caller meets it.
fn place(page: &Page) -> String {
    let mut text = String::new();
    for status in page.statuses {
        let reason = StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{status} {reason}", if text.is_empty() { "Status " } else { ", " });
    }
    if text.is_empty() { "Told of a field, an event or a frame.".to_owned() } else { text + "." }
}

fn html(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n{body}</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::config;
    use crate::problem::Problem;

    #[test]
    fn every_page_says_something_and_none_is_there_twice() {
        let mut seen = Vec::new();
        for page in pages::PAGES {
            assert!(!seen.contains(&page.code), "{} is there twice", page.code);
            seen.push(page.code);
            assert!([page.cause, page.cure].iter().all(|text| text.len() > 20 && text.ends_with('.')), "{page:?}");
            assert!(["curl ", "npx -y wscat "].iter().any(|command| page.example.contains(command)), "{page:?}");
            assert!(page.example.contains("localhost:8080"), "{page:?}");
        }
    }

    #[test]
    fn whatever_the_door_says_has_a_page_with_its_status() {
        for problem in Problem::all(&config()) {
            let page = find(problem.code()).unwrap_or_else(|| panic!("{} has no page", problem.code()));
            assert!(page.statuses.contains(&problem.status().as_u16()), "{page:?}");
        }
    }

    #[test]
    fn a_page_is_shown_in_three_forms() {
        let page = find("email_taken").unwrap();
        let text = |form| String::from_utf8(show(page, form).body.to_vec()).unwrap();
        assert!(text(Form::Html).contains("<h1>email_taken</h1>\n<p>Status 409 Conflict."), "{}", text(Form::Html));
        assert!(!text(Form::Html).contains("'{\"name\""), "quotes are escaped: {}", text(Form::Html));
        assert!(text(Form::Markdown).starts_with("# email_taken\n"), "{}", text(Form::Markdown));
        let json: serde_json::Value = serde_json::from_str(&text(Form::Json)).unwrap();
        assert_eq!((&json["code"], &json["statuses"]), (&"email_taken".into(), &serde_json::json!([409])));
    }
}
