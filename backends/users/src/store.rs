//! What can be asked of the users that are stored. `sqlite` keeps them in a file, `postgres` on a server; `contract` tests each
//! store.

#[cfg(test)]
mod contract;
pub mod postgres;
pub mod sqlite;

use async_trait::async_trait;
use kit::clock::Timestamp;
use kit::health::Check;
use uuid::Uuid;

use crate::Error;
pub use crate::conditions::Conditions;
use crate::model::{Change, User};

/// A page to list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Only users older than this one.
    pub before: Option<Uuid>,
    /// Only users whose name or address contains this, without regard to case.
    pub search: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// Findings of each kind that a check of the invariants tells at most.
const FINDINGS_MAX: u32 = 10;

/// The newest migration that this version knows, the same on each engine.
pub fn newest_migration() -> i32 {
    sqlite::migrations().get_migrations().iter().map(refinery::Migration::version).max().unwrap_or_default()
}

/// Where users are kept. Each method is one transaction.
#[async_trait]
pub trait Store: Send + Sync {
    /// How many there are.
    async fn count_users(&self) -> Result<u64, Error>;

    /// The user with this id.
    async fn find_user(&self, id: Uuid) -> Result<Option<User>, Error>;

    /// A page of users, newest first.
    async fn list_users(&self, page: Page) -> Result<Vec<User>, Error>;

    /// Keeps a new user. Fails with `EmailTaken`.
    async fn insert_user(&self, user: User) -> Result<(), Error>;

    /// Changes a user and returns him as he is then; a change that changes nothing keeps the version.
    ///
    /// Fails with `NotFound`, `PreconditionFailed`, `EmailTaken`, in this order.
    async fn update_user(&self, id: Uuid, change: Change, conditions: Conditions, now: Timestamp) -> Result<User, Error>;

    /// Forgets a user. Fails with `NotFound`, `PreconditionFailed`.
    async fn delete_user(&self, id: Uuid, conditions: Conditions) -> Result<(), Error>;

    /// What is stored that must not be, a sentence each; looks at everything, and so takes its time.
    async fn check_invariants(&self) -> Result<Vec<String>, Error>;

    /// How the database is doing.
    async fn check(&self) -> Check;
}

/// What is said of an address that several users have.
fn doubled_address(address: String, users: i64) -> String {
    format!("the address {address} is that of {users} users")
}
