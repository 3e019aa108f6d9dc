//! Entity tags: what an answer is known by, so that it need not be sent again (RFC 9110, section 8.8.3).

use std::hash::{DefaultHasher, Hash, Hasher};

/// The tag of these bytes, which is the same in every replica of the gateway.
pub(crate) fn of(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// Whether `If-None-Match` names it; a weak comparison, as that header's is.
pub(crate) fn is_known(if_none_match: Option<&[u8]>, etag: &str) -> bool {
    let tags = if_none_match.and_then(|tags| std::str::from_utf8(tags).ok()).unwrap_or_default();
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
