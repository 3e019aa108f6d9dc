use kit::http::{Query, QueryError};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use uuid::Uuid;

use crate::model::User;
use crate::store::Page;
use crate::{Error, Users};

/// Users in a page, where not said otherwise.
pub(crate) const LIMIT_DEFAULT: u32 = 100;
/// Users in a page at most.
pub(crate) const LIMIT_MAX: u32 = 200;
/// Characters of what is looked for at most.
pub(crate) const SEARCH_CHARS_MAX: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    limit: Option<u32>,
    cursor: Option<String>,
    q: Option<String>,
}

/// A page of users, and where the next one is.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) users: Vec<User>,
    /// The value of the `Link` header (RFC 8288), when there is a next page.
    pub(crate) link: Option<String>,
}

/// A page of users, newest first. The cursor is the last id of the page before.
pub(crate) async fn list_users(query: Query, users: Users) -> Result<Listed, Error> {
    let parameters: Parameters = query.parse()?;
    let limit = parameters.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(QueryError(format!("limit must be from 1 to {LIMIT_MAX}")).into());
    }
    let search = parameters.q.filter(|text| !text.is_empty());
    if search.as_ref().is_some_and(|text| text.chars().count() > SEARCH_CHARS_MAX) {
        return Err(QueryError(format!("q must not be longer than {SEARCH_CHARS_MAX} characters")).into());
    }
    let before = parameters.cursor.map(|cursor| super::parse_id(&cursor).map_err(|_| Error::InvalidCursor)).transpose()?;

    // One more than asked tells whether there is a next page.
    let mut found = users.store.list_users(Page { before, search: search.clone(), limit: limit + 1 }).await?;
    let has_next = found.len() > limit as usize;
    found.truncate(limit as usize);
    let link = found.last().filter(|_| has_next).map(|last| next_link(limit, last.id, search.as_deref()));
    Ok(Listed { users: found, link })
}

fn next_link(limit: u32, cursor: Uuid, search: Option<&str>) -> String {
    let search = search.map(|text| format!("&q={}", utf8_percent_encode(text, NON_ALPHANUMERIC))).unwrap_or_default();
    format!("</users?limit={limit}&cursor={cursor}{search}>; rel=\"next\"")
}
