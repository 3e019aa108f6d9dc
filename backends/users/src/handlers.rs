//! What each endpoint does, one file each. No warp here: plain functions over plain values.

mod change_user;
mod create_user;
mod delete_user;
mod get_user;
mod list_users;
mod replace_user;

pub(crate) use change_user::change_user;
pub(crate) use create_user::create_user;
pub(crate) use delete_user::delete_user;
pub(crate) use get_user::{Found, get_user};
pub(crate) use list_users::{LIMIT_DEFAULT, LIMIT_MAX, Listed, SEARCH_CHARS_MAX, list_users};
pub(crate) use replace_user::replace_user;

use uuid::Uuid;

use crate::Error;

/// The id in a path: the hyphenated form of RFC 9562, in either case.
fn parse_id(text: &str) -> Result<Uuid, Error> {
    let is_hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
    Uuid::try_parse(text).ok().filter(|_| is_hyphenated).ok_or(Error::InvalidId)
}

#[cfg(test)]
mod tests;
