//! SQL kept as SQL: a query is a file under `sql/<backend>/queries/`, known in Rust by the file's name.
//!
//! `queries!` embeds the files; one that is missing does not compile. [`check`] is what each backend's test calls to hold
//! the folder, the list and a fresh schema against each other.

use std::error::Error;
use std::path::Path;

use rusqlite::Connection;

/// One statement and the name of its file.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// The file's name without its ending.
    pub name: &'static str,
    /// The file's text.
    pub sql: &'static str,
}

/// Declares a backend's queries by the names of their files.
///
/// A bare name is one text for every engine (`name.sql`); `name: per_engine` has a text per engine (`name.sqlite.sql`).
///
/// ```ignore
/// kit::queries! { "users": find_user, insert_user, list_users: per_engine }
/// ```
#[macro_export]
macro_rules! queries {
    ($backend:literal: $($name:ident $(: $per_engine:ident)?),+ $(,)?) => {
        $($crate::query! { $backend, $name $(, $per_engine)? })+

        /// Every query of this backend, for the check.
        #[cfg(test)]
        pub(crate) const ALL: &[$crate::sql::Query] = &[$($name),+];
    };
}

/// One constant of `queries!`.
#[doc(hidden)]
#[macro_export]
macro_rules! query {
    ($backend:literal, $name:ident) => {
        $crate::query! { @embed $backend, $name, ".sql" }
    };
    ($backend:literal, $name:ident, per_engine) => {
        $crate::query! { @embed $backend, $name, ".sqlite.sql" }
    };
    (@embed $backend:literal, $name:ident, $ending:literal) => {
        #[allow(non_upper_case_globals)]
        pub(crate) const $name: $crate::sql::Query = $crate::sql::Query {
            name: stringify!($name),
            sql: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/", $backend, "/queries/", stringify!($name), $ending)),
        };
    };
}

fn fresh_schema(migrations: &refinery::Runner) -> Result<Connection, Box<dyn Error>> {
    let mut schema = Connection::open_in_memory()?;
    migrations.run(&mut schema)?;
    Ok(schema)
}

/// Holds a backend's queries against its folder and a freshly migrated schema.
///
/// # Errors
///
/// One line per finding: a file that no query uses, a statement that does not prepare, parameters that are not `$1, $2, …`
/// in the order of their first appearance (SQLite takes `$1` as a name and numbers names by first appearance), a file
/// without a comment that says what it is for.
pub fn check(folder: &Path, queries: &[Query], migrations: &refinery::Runner) -> Result<(), Vec<String>> {
    let schema = fresh_schema(migrations).map_err(|error| vec![error.to_string()])?;
    let mut findings = Vec::new();
    match std::fs::read_dir(folder) {
        Ok(files) => {
            for file in files.flatten() {
                let file_name = file.file_name().to_string_lossy().into_owned();
                let name = file_name.split('.').next().unwrap_or_default();
                if !queries.iter().any(|query| query.name == name) {
                    findings.push(format!("{file_name}: no query uses this file"));
                }
            }
        }
        Err(error) => findings.push(format!("{}: {error}", folder.display())),
    }
    for query in queries {
        if !query.sql.starts_with("-- ") {
            findings.push(format!("{}: begin with a comment that says what it is for", query.name));
        }
        match schema.prepare(query.sql) {
            Err(error) => findings.push(format!("{}: {error}", query.name)),
            Ok(statement) => {
                for index in 1..=statement.parameter_count() {
                    let expected = format!("${index}");
                    if statement.parameter_name(index) != Some(&expected) {
                        findings.push(format!(
                            "{}: parameter {index} is {:?}, not {expected}",
                            query.name,
                            statement.parameter_name(index)
                        ));
                    }
                }
            }
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}
