//! The nouns of this backend: valid once made.

mod draft;

use std::str::FromStr;

use email_address::{EmailAddress, Options};
use kit::clock::Timestamp;
use serde::Serialize;
use uuid::Uuid;

pub(crate) use draft::Draft;

/// Characters of a name at most.
const NAME_CHARS_MAX: usize = 200;
/// Bytes of an address at most (RFC 5321, section 4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;

/// Someone with an account, as stored and as shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct User {
    /// UUIDv7: ids in order are users in order of creation.
    pub id: Uuid,
    /// As he wants to be called.
    pub name: Name,
    /// Where he is reached.
    pub email: Email,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows with each change, from 1; shown as the ETag.
    #[serde(skip)]
    pub version: u64,
}

impl User {
    /// A new account.
    pub fn new(id: Uuid, name: Name, email: Email, now: Timestamp) -> Self {
        Self { id, name, email, created_at: now, updated_at: now, version: 1 }
    }

    /// He as he is after `change`; nobody where it changes nothing.
    pub(crate) fn changed(mut self, change: Change, now: Timestamp) -> Option<Self> {
        let present = (self.name.clone(), self.email.clone());
        self.name = change.name.unwrap_or(self.name);
        self.email = change.email.unwrap_or(self.email);
        if (&self.name, &self.email) == (&present.0, &present.1) {
            return None;
        }
        self.version += 1;
        self.updated_at = now;
        Some(self)
    }

    /// The text that `q` is looked for in.
    pub(crate) fn search_text(&self) -> String {
        format!("{}\n{}", self.name.0, self.email.0).to_lowercase()
    }
}

/// What to change of a user; `None` stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The new name.
    pub name: Option<Name>,
    /// The new address.
    pub email: Option<Email>,
}

/// A name: 1 to 200 characters, none of them a control character, no space around.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Name(String);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a name from the database, where only valid ones are.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_long = text.chars().count() > NAME_CHARS_MAX;
        let text = text.trim();
        match () {
            () if text.is_empty() => Err("must not be empty"),
            // As it was sent: so that a schema can say it.
            () if is_long => Err("must not be longer than 200 characters"),
            () if text.chars().any(char::is_control) => Err("must not contain control characters"),
            () => Ok(Self(text.to_owned())),
        }
    }
}

/// An e-mail address (RFC 5321, with the letters of RFC 6531), at most 254 bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Email(String);

impl Email {
    /// As given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Two addresses with the same key are the same address.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }

    /// Takes an address from the database, where only valid ones are.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Email {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > EMAIL_BYTES_MAX {
            return Err("must not be longer than 254 bytes");
        }
        let rules = Options::default().with_required_tld().without_display_text().without_domain_literal();
        let is_plain = !text.chars().any(char::is_control);
        match EmailAddress::parse_with_options(text, rules) {
            Ok(_) if is_plain => Ok(Self(text.to_owned())),
            _ => Err("must be an email address"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_has_something_in_it() {
        assert_eq!("  Ada ".parse(), Ok(Name("Ada".to_owned())));
        for bad in ["", "   ", "a\0b", "a\nb", &"x".repeat(201), &format!("{}x", " ".repeat(200))] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?} must be refused");
        }
        assert!("ü".repeat(200).parse::<Name>().is_ok());
    }

    #[test]
    fn an_address_has_the_form_of_one() {
        for good in ["john@example.com", "o'hara+tag@mail.example.co.uk", "jürgen@müller.de"] {
            assert!(good.parse::<Email>().is_ok(), "{good:?} is fine");
        }
        let long = format!("{}@example.com", "a".repeat(10_000));
        for bad in ["", "john", "@example.com", "john@", "john@localhost", "a b@example.com", "a\0@example.com", "J <j@example.com>", &long]
        {
            assert!(bad.parse::<Email>().is_err(), "{bad:?} must be refused");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_accepted_is_within_the_rules(text in ".{0,300}") {
            if let Ok(name) = text.parse::<Name>() {
                let chars = name.as_str().chars().count();
                proptest::prop_assert!((1..=200).contains(&chars) && !name.as_str().contains('\0'));
            }
            if let Ok(email) = text.parse::<Email>() {
                proptest::prop_assert!(email.as_str().contains('@') && email.as_str().len() <= 254);
            }
        }
    }
}
