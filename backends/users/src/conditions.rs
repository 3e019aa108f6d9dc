//! `If-Match` and `If-None-Match` (RFC 9110, section 13.1) over ETags that are versions: `"3"`.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

/// What the caller requires of the user's version, from the request's headers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug, Clone, PartialEq)]
enum Tags {
    Any,
    Of(Vec<String>),
}

impl Conditions {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self { if_match: tags(headers, IF_MATCH), if_none_match: tags(headers, IF_NONE_MATCH) }
    }

    /// Whether a change may be made to this version. Strong comparison: a weak tag matches nothing.
    pub fn allow_change(&self, version: u64) -> bool {
        match &self.if_match {
            None | Some(Tags::Any) => true,
            Some(Tags::Of(tags)) => tags.contains(&etag(version)),
        }
    }

    /// Whether the caller has this version already. Weak comparison.
    pub(crate) fn is_known(&self, version: u64) -> bool {
        match &self.if_none_match {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::Of(tags)) => tags.iter().any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag(version)),
        }
    }
}

/// The ETag of a version.
pub(crate) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Tags> {
    let mut tags = None;
    for value in headers.get_all(name) {
        // A value that is no text matches no version.
        let value = value.to_str().unwrap_or_default();
        if value.trim() == "*" {
            return Some(Tags::Any);
        }
        tags.get_or_insert_with(Vec::new).extend(value.split(',').map(|tag| tag.trim().to_owned()));
    }
    tags.map(Tags::Of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(name: HeaderName, value: &'static str) -> Conditions {
        Conditions::of(&HeaderMap::from_iter([(name, http::HeaderValue::from_static(value))]))
    }

    #[test]
    fn a_change_needs_one_of_the_named_versions() {
        assert!(Conditions::default().allow_change(3));
        for (value, allowed) in
            [("\"3\"", true), ("\"2\", \"3\"", true), ("*", true), ("\"2\"", false), ("W/\"3\"", false), ("3", false), ("", false)]
        {
            assert_eq!(conditions(IF_MATCH, value).allow_change(3), allowed, "{value}");
        }
    }

    #[test]
    fn what_the_caller_has_is_not_sent_again() {
        assert!(!Conditions::default().is_known(3));
        for (value, known) in [("\"3\"", true), ("W/\"3\"", true), ("\"1\",\"3\"", true), ("*", true), ("\"4\"", false)] {
            assert_eq!(conditions(IF_NONE_MATCH, value).is_known(3), known, "{value}");
        }
    }
}
