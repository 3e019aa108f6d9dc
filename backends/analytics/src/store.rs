pub mod sqlite;

pub trait Store: Send + Sync {}
