//! An URL that may hold a password: it can be used, never shown.

use std::fmt;

/// Shows itself as `***`.
#[derive(Clone, PartialEq)]
pub(crate) struct Secret(String);

impl Secret {
    /// `None` for the empty text, which means "not set".
    pub(crate) fn of(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Whether it begins with one of these.
    pub(crate) fn has_scheme(&self, schemes: &[&str]) -> bool {
        schemes.iter().any(|scheme| self.0.starts_with(scheme))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
