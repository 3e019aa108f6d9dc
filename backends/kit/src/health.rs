//! What a role says of itself at `/readyz`.
//!
//! `fail` is answered with 503 and means that it cannot serve; `warn` means that it serves with less. The gateway copies
//! the checks into `GET /`.

use std::collections::BTreeMap;

use serde::Serialize;

/// How a role, or one thing it depends on, is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All well.
    Pass,
    /// Serves with less.
    Warn,
    /// Cannot serve.
    Fail,
}

/// One dependency: its state, and why when it is not well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its state.
    pub status: Status,
    /// Why, when it is not `pass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    /// All well.
    pub fn pass() -> Self {
        Self { status: Status::Pass, detail: None }
    }

    /// Serves with less, and why.
    pub fn warn(why: impl Into<String>) -> Self {
        Self { status: Status::Warn, detail: Some(why.into()) }
    }

    /// Cannot serve, and why.
    pub fn fail(why: impl Into<String>) -> Self {
        Self { status: Status::Fail, detail: Some(why.into()) }
    }
}

/// A role's answer: the worst of its checks, and each of them by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The worst of the checks.
    pub status: Status,
    /// By name: `database`, `bus`, of users `cache` too.
    pub checks: BTreeMap<&'static str, Check>,
}

impl Health {
    /// The health that follows from these checks.
    pub fn of<const N: usize>(checks: [(&'static str, Check); N]) -> Self {
        let checks = BTreeMap::from(checks);
        let status = checks.values().map(|check| check.status).max().unwrap_or(Status::Pass);
        Self { status, checks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_is_the_health() {
        let health = Health::of([("database", Check::pass()), ("bus", Check::warn("away"))]);
        assert_eq!(health.status, Status::Warn);
        let health = Health::of([("database", Check::fail("gone")), ("bus", Check::warn("away"))]);
        assert_eq!(health.status, Status::Fail);
    }
}
