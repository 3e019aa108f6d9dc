//! SQL kept as SQL: a query is a file under `sql/<backend>/queries/`, known in Rust by the file's name.
//!
//! `queries!` embeds the files; one that is missing does not compile. [`check`](check::check) is what each backend's test calls
//! to hold the folder, the list and fresh schemas of both engines against each other.

#[cfg(any(test, feature = "testing"))]
pub mod check;

/// The text of a query for one engine, and the name of its file.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    /// The file's name without its ending.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
}

/// A query that both engines have: one text that reads naturally in both, or one each.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// What SQLite runs.
    pub sqlite: Statement,
    /// What PostgreSQL runs.
    pub postgres: Statement,
}

/// A query that only the SQLite store has use for.
#[derive(Debug, Clone, Copy)]
pub struct SqliteQuery {
    /// What SQLite runs.
    pub sqlite: Statement,
}

/// A query that only the PostgreSQL store has use for.
#[derive(Debug, Clone, Copy)]
pub struct PostgresQuery {
    /// What PostgreSQL runs.
    pub postgres: Statement,
}

/// A query's texts, as the check looks at them.
#[derive(Debug, Clone, Copy)]
pub struct Texts {
    /// The name of its file.
    pub name: &'static str,
    /// What SQLite runs, if anything.
    pub sqlite: Option<&'static str>,
    /// What PostgreSQL runs, if anything.
    pub postgres: Option<&'static str>,
}

/// Declares a backend's queries by the names of their files.
///
/// A bare name is one text for both engines (`name.sql`); `name: per_engine` has one each (`name.sqlite.sql`,
/// `name.postgres.sql`); `name: sqlite` and `name: postgres` are for one engine alone.
///
/// ```ignore
/// kit::queries! { "users": find_user, insert_user, search_users: per_engine, lock_user: postgres }
/// ```
#[macro_export]
macro_rules! queries {
    ($backend:literal: $($name:ident $(: $engine:ident)?),+ $(,)?) => {
        $($crate::query! { $backend, $name $(, $engine)? })+

        /// Every query of this backend, for the check.
        #[cfg(test)]
        pub(crate) const ALL: &[$crate::sql::Texts] = &[$($crate::query! { @texts $name $(, $engine)? }),+];
    };
}

/// One constant of `queries!`.
#[doc(hidden)]
#[macro_export]
macro_rules! query {
    ($backend:literal, $name:ident) => {
        #[allow(non_upper_case_globals)]
        pub(crate) const $name: $crate::sql::Query = $crate::sql::Query {
            sqlite: $crate::query! { @embed $backend, $name, ".sql" },
            postgres: $crate::query! { @embed $backend, $name, ".sql" },
        };
    };
    ($backend:literal, $name:ident, per_engine) => {
        #[allow(non_upper_case_globals)]
        pub(crate) const $name: $crate::sql::Query = $crate::sql::Query {
            sqlite: $crate::query! { @embed $backend, $name, ".sqlite.sql" },
            postgres: $crate::query! { @embed $backend, $name, ".postgres.sql" },
        };
    };
    ($backend:literal, $name:ident, sqlite) => {
        #[allow(non_upper_case_globals)]
        pub(crate) const $name: $crate::sql::SqliteQuery =
            $crate::sql::SqliteQuery { sqlite: $crate::query! { @embed $backend, $name, ".sqlite.sql" } };
    };
    ($backend:literal, $name:ident, postgres) => {
        #[allow(non_upper_case_globals)]
        pub(crate) const $name: $crate::sql::PostgresQuery =
            $crate::sql::PostgresQuery { postgres: $crate::query! { @embed $backend, $name, ".postgres.sql" } };
    };
    (@embed $backend:literal, $name:ident, $ending:literal) => {
        $crate::sql::Statement {
            name: stringify!($name),
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/", $backend, "/queries/", stringify!($name), $ending)),
        }
    };
    (@texts $name:ident, sqlite) => {
        $crate::sql::Texts { name: stringify!($name), sqlite: Some($name.sqlite.text), postgres: None }
    };
    (@texts $name:ident, postgres) => {
        $crate::sql::Texts { name: stringify!($name), sqlite: None, postgres: Some($name.postgres.text) }
    };
    (@texts $name:ident $(, per_engine)?) => {
        $crate::sql::Texts { name: stringify!($name), sqlite: Some($name.sqlite.text), postgres: Some($name.postgres.text) }
    };
}
