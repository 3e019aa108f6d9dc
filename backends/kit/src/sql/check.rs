//! Holds a backend's queries against its folder and against freshly migrated schemas of both engines.

use std::error::Error;
use std::path::Path;

use rusqlite::Connection;

use super::Texts;
use crate::database::postgres::Postgres;

/// The endings that a query's file may have.
const ENDINGS: [&str; 3] = ["sql", "sqlite.sql", "postgres.sql"];

/// What an engine says of a statement.
#[derive(Debug, PartialEq)]
struct Described {
    parameters: usize,
    columns: Vec<String>,
}

/// Prepares every query on a schema that `sqlite` has just made and on the one that `postgres` has, and compares.
///
/// # Errors
///
/// One line per finding: a file that no query uses, a file without a comment that says what it is for, a statement that does not
/// prepare, parameters that are not `$1, $2, …` in the order of their first appearance (SQLite takes `$1` as a name and numbers
/// names by first appearance), parameters or columns that differ between the engines, migrations that are not pairs.
pub async fn check(
    folder: &Path,
    queries: &[Texts],
    sqlite: &refinery::Runner,
    postgres: (&Postgres, &refinery::Runner),
) -> Result<(), Vec<String>> {
    let mut findings = unused(folder, queries);
    let names = |runner: &refinery::Runner| runner.get_migrations().iter().map(ToString::to_string).collect::<Vec<_>>();
    if names(sqlite) != names(postgres.1) {
        findings.push(format!("migrations are no pairs: {:?} and {:?}", names(sqlite), names(postgres.1)));
    }
    let schema = fresh_schema(sqlite).map_err(|error| vec![error.to_string()])?;
    for query in queries {
        let in_sqlite = query.sqlite.map(|text| in_sqlite(&schema, text));
        let in_postgres = match query.postgres {
            Some(text) => Some(in_postgres(postgres.0, text).await),
            None => None,
        };
        for text in [query.sqlite, query.postgres].into_iter().flatten() {
            if !text.starts_with("-- ") {
                findings.push(format!("{}: begin with a comment that says what it is for", query.name));
            }
        }
        let described: Vec<_> = [in_sqlite, in_postgres].into_iter().flatten().collect();
        for error in described.iter().filter_map(|described| described.as_ref().err()) {
            findings.push(format!("{}: {error}", query.name));
        }
        if let [Ok(sqlite), Ok(postgres)] = described.as_slice()
            && sqlite != postgres
        {
            findings.push(format!("{}: SQLite has {sqlite:?}, PostgreSQL has {postgres:?}", query.name));
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

fn unused(folder: &Path, queries: &[Texts]) -> Vec<String> {
    let files = match std::fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) => return vec![format!("{}: {error}", folder.display())],
    };
    let is_used = |name: &str| {
        let (name, ending) = name.split_once('.').unwrap_or((name, ""));
        let query = queries.iter().find(|query| query.name == name);
        query.is_some_and(|query| match ending {
            "sqlite.sql" => query.sqlite.is_some() && query.sqlite != query.postgres,
            "postgres.sql" => query.postgres.is_some() && query.sqlite != query.postgres,
            ending => ENDINGS.contains(&ending) && query.sqlite == query.postgres,
        })
    };
    let names = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned());
    names.filter(|name| !is_used(name)).map(|name| format!("{name}: no query uses this file")).collect()
}

fn fresh_schema(migrations: &refinery::Runner) -> Result<Connection, Box<dyn Error>> {
    let mut schema = Connection::open_in_memory()?;
    migrations.run(&mut schema)?;
    Ok(schema)
}

fn in_sqlite(schema: &Connection, text: &str) -> Result<Described, String> {
    let statement = schema.prepare(text).map_err(|error| format!("SQLite: {error}"))?;
    for index in 1..=statement.parameter_count() {
        let (name, expected) = (statement.parameter_name(index), format!("${index}"));
        if name != Some(&expected) {
            return Err(format!("SQLite: parameter {index} is {name:?}, not {expected}"));
        }
    }
    let columns = statement.column_names().map(str::to_owned).collect();
    Ok(Described { parameters: statement.parameter_count(), columns })
}

async fn in_postgres(postgres: &Postgres, text: &str) -> Result<Described, String> {
    let (parameters, columns) = postgres.describe(text).await.map_err(|error| format!("PostgreSQL: {error}"))?;
    Ok(Described { parameters, columns })
}
