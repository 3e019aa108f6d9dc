//! A schema as a file of pg_dump, made while others write to it, and put back by pg_restore.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

use super::migrate::HISTORY;
use super::tools::{Tool, option};
use super::{Address, Config, connect, queries, tls};
use crate::database;
use crate::database::backup::{Contents, Error, Migration};
use crate::sql::Statement;

/// How long the connections of processes that were just stopped may take to go.
const PARTING: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(50);

/// The versions that took part in making a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// Of the server, such as 17.
    pub server: u32,
    /// Of pg_dump.
    pub tool: u32,
}

/// Writes `schema` into the new file `to`, as it is at this moment. Nobody is held up.
///
/// # Errors
///
/// `Refused` when there is no such schema or no pg_dump that fits the server, `Failed` when pg_dump fails.
pub async fn dump(address: &Address, schema: &'static str, config: &Config, to: &Path) -> Result<(Contents, Versions), Error> {
    let tool = Tool::find("pg_dump").await?;
    let line = Line::open(address, schema, config).await?;
    tool.must_reach(line.server, "the server is")?;
    // The rows are counted in the very moment that pg_dump sees.
    line.run(queries::begin_snapshot.postgres.text).await?;
    let contents = line.contents().await?;
    let snapshot: String = line.client.query_one(queries::export_snapshot.postgres.text, &[]).await.map_err(told)?.get("snapshot");
    let mut command = tool.call_to(address)?;
    command.arg("--format=custom").args([option("schema", schema), option("snapshot", &snapshot), option("file", to)]);
    tool.run(&mut command).await?;
    Ok((contents, Versions { server: line.server, tool: tool.version }))
}

/// What is in `schema`, which may be in use.
///
/// # Errors
///
/// `Refused` when there is no such schema.
pub async fn contents(address: &Address, schema: &'static str, config: &Config) -> Result<Contents, Error> {
    let line = Line::open(address, schema, config).await?;
    line.run(queries::begin_snapshot.postgres.text).await?;
    line.contents().await
}

/// Reads a file of pg_dump to its end, without any server; how many rows of each table it would bring.
///
/// # Errors
///
/// `Refused` when there is no pg_restore that can read it, `Failed` when it is damaged.
pub async fn look_into(file: &Path, dumped: Versions) -> Result<Contents, Error> {
    let tool = Tool::find("pg_restore").await?;
    tool.must_reach(dumped.tool, &format!("{} is", file.display()))?;
    // All that would be sent to a server; it goes nowhere.
    let mut command = tool.call();
    command.arg("--file=-").arg(file);
    let mut child = command.spawn().map_err(|error| tool.lost(&error))?;
    let (Some(out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Error::Failed("pg_restore has no output".to_owned()));
    };
    let mut said = Vec::new();
    let (counted, heard) = tokio::join!(count_rows(BufReader::new(out)), err.read_to_end(&mut said));
    let status = child.wait().await.map_err(|error| tool.lost(&error))?;
    tool.judge(status, &said)?;
    heard.map_err(|error| tool.lost(&error))?;
    counted.map_err(|error| tool.lost(&error))
}

/// Counts the lines between `COPY schema.table (…) FROM stdin;` and `\.`: a line is a row, whatever is in it.
async fn count_rows(mut script: BufReader<impl tokio::io::AsyncRead + Unpin>) -> std::io::Result<Contents> {
    let mut contents = Contents::default();
    let mut table: Option<String> = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        if script.read_until(b'\n', &mut line).await? == 0 {
            contents.rows.remove(HISTORY);
            return Ok(contents);
        }
        contents.bytes += line.len() as u64;
        match &table {
            Some(_) if line == b"\\.\n" => table = None,
            Some(name) => *contents.rows.entry(name.clone()).or_default() += 1,
            None => {
                table = copied_table(&line);
                if let Some(name) = &table {
                    contents.rows.entry(name.clone()).or_default();
                }
            }
        }
    }
}

fn copied_table(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    let (table, _) = line.strip_prefix("COPY ").filter(|line| line.ends_with(" FROM stdin;\n"))?.split_once(" (")?;
    let (_, table) = table.split_once('.')?;
    Some(table.trim_matches('"').to_owned())
}

/// A schema on its way back.
pub struct Restore {
    line: Line,
    address: Address,
    schema: &'static str,
    tool: Tool,
    /// What pg_restore is to do, a line each.
    list: Vec<u8>,
    /// The name that the old schema got.
    aside: Option<String>,
    /// We made the schema that is there now.
    is_made: bool,
    /// We may have put something into it.
    is_put: bool,
}

impl Restore {
    /// Connects, and looks whether anybody uses the schema.
    ///
    /// # Errors
    ///
    /// `Refused` when processes of ours are connected, or there is no pg_restore.
    pub async fn begin(address: &Address, schema: &'static str, config: &Config) -> Result<Self, Error> {
        let tool = Tool::find("pg_restore").await?;
        let line = Line::open(address, schema, config).await?;
        line.must_be_alone(address).await?;
        let address = address.clone();
        Ok(Self { line, address, schema, tool, list: Vec::new(), aside: None, is_made: false, is_put: false })
    }

    /// What is there now; nothing where there is no table.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn present(&self) -> Result<Option<Contents>, Error> {
        if self.line.tables().await?.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.line.contents().await?))
    }

    /// Looks whether the tool and the server are good enough for the file, and what is in it.
    ///
    /// # Errors
    ///
    /// `Refused` when not; `Failed` when the file is damaged.
    pub async fn prepare(&mut self, file: &Path, dumped: Versions) -> Result<(), Error> {
        self.tool.must_reach(dumped.tool, &format!("{} is", file.display()))?;
        if self.line.server < dumped.server {
            let Versions { server, .. } = dumped;
            let here = self.line.server;
            return Err(Error::Refused(format!("the backup is of PostgreSQL {server} and {} is only {here}", self.address)));
        }
        let list = self.tool.run(self.tool.call().arg("--list").arg(file)).await?;
        // The schema itself is made by us: it may be there, empty, from whoever gives out rights.
        let is_schema = |line: &str| !line.starts_with(';') && line.contains(" SCHEMA - ");
        self.list = String::from_utf8_lossy(&list)
            .lines()
            .filter(|line| !is_schema(line))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
            .into();
        Ok(())
    }

    /// Gives what is there the name `aside`, and restores the file in one transaction; then it must have these rows.
    ///
    /// # Errors
    ///
    /// `Failed`; [`Restore::undo`] brings back what was.
    pub async fn put(&mut self, file: &Path, aside: &str, expected: &Contents) -> Result<(), Error> {
        if !self.line.tables().await?.is_empty() {
            let aside = format!("{}_{aside}", self.schema);
            self.line.make(queries::rename_schema.postgres, &[&self.schema, &aside]).await?;
            self.aside = Some(aside);
        }
        if !self.line.has_schema().await? {
            self.line.make(queries::create_schema.postgres, &[&self.schema]).await?;
            self.is_made = true;
        }
        self.is_put = true;
        self.restore(file).await?;
        let restored = self.line.contents().await?;
        if restored.rows != expected.rows {
            return Err(Error::Failed(format!("{}: restored {:?} and not {:?}", self.schema, restored.rows, expected.rows)));
        }
        // Until then the server knows nothing of the tables' sizes.
        for table in self.line.tables().await? {
            self.line.run(&table.analyze).await?;
        }
        Ok(())
    }

    async fn restore(&self, file: &Path) -> Result<(), Error> {
        let database = self.address.config.get_dbname().or(self.address.config.get_user()).unwrap_or("postgres");
        let mut command = self.tool.call_to(&self.address)?;
        command.args(["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--use-list=/dev/stdin"]);
        command.arg(option("dbname", database)).arg(file);
        self.tool.run_with(&mut command, &self.list).await
    }

    /// Brings back what was before [`Restore::put`].
    ///
    /// # Errors
    ///
    /// `Failed` when even that cannot be done; what was is in the schema that the text names.
    pub async fn undo(&mut self) -> Result<(), Error> {
        let undo = async {
            if self.is_put {
                for table in self.line.tables().await? {
                    self.line.run(&table.drop).await?;
                }
            }
            if self.is_made {
                self.line.make(queries::drop_schema.postgres, &[&self.schema]).await?;
            }
            match &self.aside {
                Some(aside) => self.line.make(queries::rename_schema.postgres, &[aside, &self.schema]).await,
                None => Ok(()),
            }
        };
        let aside = self.aside.as_deref().unwrap_or(self.schema);
        undo.await.map_err(|error| Error::Failed(format!("{error}; what was in {} is in schema {aside}", self.schema)))
    }
}

/// A connection of its own, without limits of time for statements.
struct Line {
    client: Client,
    _connection: AbortOnDropHandle<()>,
    schema: &'static str,
    /// The server's version, such as 17.
    server: u32,
}

/// A table, and the statements about it.
struct Table {
    name: String,
    is_history: bool,
    bytes: u64,
    count: String,
    analyze: String,
    drop: String,
}

impl Line {
    async fn open(address: &Address, schema: &'static str, config: &Config) -> Result<Self, Error> {
        let open = async {
            let connector = tls::connector(&address.trust).map_err(database::Error::Unavailable)?;
            let endless = Config { statement_timeout_ms: 0, idle_in_transaction_timeout_ms: 0, ..config.clone() };
            let mut session = connect::session(address, schema, &endless);
            session.application_name(own_name(schema));
            let (client, connection) = connect::patiently(&session, &connector, config).await?;
            let row = client.query_one(queries::find_server.postgres.text, &[&schema, &HISTORY]).await?;
            let server = u32::try_from(row.get::<_, i64>("version") / 10_000).unwrap_or_default();
            Ok(Self { client, _connection: connection, schema, server })
        };
        open.await.map_err(|error| super::at(address, error).into())
    }

    async fn run(&self, statements: &str) -> Result<(), Error> {
        self.client.batch_execute(statements).await.map_err(told)
    }

    /// Asks for a statement, and runs it.
    async fn make(&self, statement: Statement, names: super::Parameters<'_>) -> Result<(), Error> {
        let row = self.client.query_one(statement.text, names).await.map_err(told)?;
        self.run(row.get("statement")).await
    }

    async fn has_schema(&self) -> Result<bool, Error> {
        let row = self.client.query_one(queries::find_server.postgres.text, &[&self.schema, &HISTORY]).await.map_err(told)?;
        Ok(row.get("has_schema"))
    }

    async fn tables(&self) -> Result<Vec<Table>, Error> {
        let rows = self.client.query(queries::list_tables_of_schema.postgres.text, &[&self.schema, &HISTORY]).await.map_err(told)?;
        let table = |row: &tokio_postgres::Row| Table {
            name: row.get("name"),
            is_history: row.get("is_history"),
            bytes: row.get::<_, i64>("bytes").unsigned_abs(),
            count: row.get("count_rows"),
            analyze: row.get("analyze_table"),
            drop: row.get("drop_table"),
        };
        Ok(rows.iter().map(table).collect())
    }

    async fn contents(&self) -> Result<Contents, Error> {
        let tables = self.tables().await?;
        if !tables.iter().any(|table| table.is_history) {
            return Err(Error::Refused(format!("there is no schema {0} with data of ours: no {0} were ever kept there", self.schema)));
        }
        let newest = self.client.query_opt(queries::find_newest_migration.postgres.text, &[]).await.map_err(told)?;
        let migration = newest.map(|row| Migration { version: row.get("version"), name: row.get("name") });
        let mut contents = Contents { migration, ..Contents::default() };
        for table in tables {
            contents.bytes += table.bytes;
            if !table.is_history {
                let row = self.client.query_one(&table.count, &[]).await.map_err(told)?;
                contents.rows.insert(table.name, row.get::<_, i64>("rows").unsigned_abs());
            }
        }
        Ok(contents)
    }

    /// Refuses where processes of ours are connected, and those that were stopped just now have had time to go.
    async fn must_be_alone(&self, address: &Address) -> Result<(), Error> {
        let until = Instant::now() + PARTING;
        let theirs = address.config.get_application_name().map_or_else(|| connect::application_name(self.schema), str::to_owned);
        loop {
            let row = self.client.query_one(queries::count_sessions.postgres.text, &[&theirs]).await.map_err(told)?;
            let sessions: i64 = row.get("sessions");
            if sessions == 0 {
                return Ok(());
            }
            if Instant::now() >= until {
                let schema = self.schema;
                return Err(Error::Refused(format!("a process serves {schema} ({sessions} connections to its schema): stop it first")));
            }
            sleep(POLL).await;
        }
    }
}

/// What our connections call themselves, unlike those of who serves.
fn own_name(schema: &str) -> String {
    format!("superapp backup of {schema}")
}

fn told(error: tokio_postgres::Error) -> Error {
    Error::Database(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rows_are_counted_whatever_is_in_them() {
        let script = concat!(
            "CREATE TABLE chat.events (\n    room text\n);\n",
            "COPY chat.events (room, text) FROM stdin;\n",
            "a\tCOPY chat.rooms (room) FROM stdin;\n",
            "b\t\\\\.\n",
            "\\.\n\n",
            "COPY chat.refinery_schema_history (version) FROM stdin;\n1\n\\.\n",
            "COPY chat.rooms (room, head) FROM stdin;\n\\.\n",
        );
        let contents = count_rows(BufReader::new(script.as_bytes())).await.expect("read");
        assert_eq!(contents.rows, [("events".to_owned(), 2), ("rooms".to_owned(), 0)].into());
        assert_eq!(contents.bytes, script.len() as u64);
    }
}
