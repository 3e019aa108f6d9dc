//! What is wrong with the settings, and where it was said.

use std::fmt;
use std::path::PathBuf;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `config.default.toml`.
    Default,
    /// A line of a file.
    File { path: PathBuf, line: usize },
    /// A variable of the environment.
    Environment(String),
    /// `--set` with this key.
    Set(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("defaults"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Environment(name) => write!(f, "environment variable {name}"),
            Origin::Set(key) => write!(f, "--set {key}"),
        }
    }
}

/// One thing that is wrong. The text never holds a value that may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) origin: Option<Origin>,
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn at(origin: &Origin, text: impl Into<String>) -> Self {
        Self { origin: Some(origin.clone()), text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Everything that is wrong, a line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{finding}")?;
        }
        Ok(())
    }
}
