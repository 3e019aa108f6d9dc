//! pg_dump and pg_restore, which PostgreSQL brings along: found in the PATH, and told where the server is.
//!
//! Everybody on the machine can read a process's arguments; its environment only who runs it. So whatever is of the server goes
//! there, the password above all.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::Address;
use super::tls::Trust;
use crate::database::backup::Error;

/// The first libpq that can believe whom the system believes.
const TRUSTS_THE_SYSTEM: u32 = 16;
/// What libpq reads, and would have the last word where the URL says nothing.
const OTHERS_WORDS: [&str; 17] = [
    "PGCHANNELBINDING",
    "PGCONNECT_TIMEOUT",
    "PGDATABASE",
    "PGHOST",
    "PGHOSTADDR",
    "PGOPTIONS",
    "PGPASSWORD",
    "PGPORT",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGTARGETSESSIONATTRS",
    "PGUSER",
];

/// One of the tools, as it is installed here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool {
    name: &'static str,
    /// 15, 17.
    pub(super) version: u32,
}

impl Tool {
    /// Looks whether it is there.
    pub(super) async fn find(name: &'static str) -> Result<Self, Error> {
        let asked = run(name, Command::new(name).arg("--version").stdin(Stdio::null())).await?;
        let version = version_in(&String::from_utf8_lossy(&asked));
        let version = version.ok_or_else(|| Error::Refused(format!("{name} does not say which version it is")))?;
        Ok(Self { name, version })
    }

    /// Refuses to meet what is newer than itself: a server, or a file.
    pub(super) fn must_reach(self, version: u32, what: &str) -> Result<(), Error> {
        if self.version >= version {
            return Ok(());
        }
        let Self { name, version: own } = self;
        Err(Error::Refused(format!("{name} is of PostgreSQL {own} and {what} of {version}: install postgresql-client-{version}")))
    }

    /// A call that reads and writes files alone.
    pub(super) fn call(self) -> Command {
        let mut command = Command::new(self.name);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        for name in OTHERS_WORDS {
            command.env_remove(name);
        }
        command
    }

    /// A call that connects.
    pub(super) fn call_to(self, address: &Address) -> Result<Command, Error> {
        let believes_system = address.trust == Trust::System && address.config.get_ssl_mode() == SslMode::Require;
        if believes_system && self.version < TRUSTS_THE_SYSTEM {
            let Self { name, version } = self;
            return Err(Error::Refused(format!(
                "{name} {version} cannot believe the system's certificates: name their file with sslrootcert in the URL"
            )));
        }
        let mut command = self.call();
        command.arg("--no-password").envs(environment(address));
        Ok(command)
    }

    /// Runs a call to its end; what it wrote.
    pub(super) async fn run(self, command: &mut Command) -> Result<Vec<u8>, Error> {
        run(self.name, command).await
    }

    /// The same for a call that reads `input`.
    pub(super) async fn run_with(self, command: &mut Command, input: &[u8]) -> Result<(), Error> {
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(|error| self.lost(&error))?;
        if let Some(mut stdin) = child.stdin.take() {
            // Where it does not read to the end, it says why.
            let _ = stdin.write_all(input).await;
        }
        let output = child.wait_with_output().await.map_err(|error| self.lost(&error))?;
        self.judge(output.status, &output.stderr)
    }

    /// What is wrong with how a call ended, if anything.
    pub(super) fn judge(self, status: ExitStatus, stderr: &[u8]) -> Result<(), Error> {
        judge(self.name, status, stderr)
    }

    /// It could not even be begun, or not be listened to.
    pub(super) fn lost(self, error: &std::io::Error) -> Error {
        lost(self.name, error)
    }
}

async fn run(name: &str, command: &mut Command) -> Result<Vec<u8>, Error> {
    let Output { status, stdout, stderr } = command.output().await.map_err(|error| lost(name, &error))?;
    judge(name, status, &stderr)?;
    Ok(stdout)
}

fn lost(name: &str, error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => {
            Error::Refused(format!("{name} is missing: install PostgreSQL's client programs (Debian: postgresql-client)"))
        }
        _ => Error::Failed(format!("{name}: {error}")),
    }
}

fn judge(name: &str, status: ExitStatus, stderr: &[u8]) -> Result<(), Error> {
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(stderr);
    // What comes after the first error follows from it; a detail belongs to it.
    let mut lines = said.lines().skip_while(|line| !line.contains("error:"));
    let first = lines.next().or(said.lines().next_back()).unwrap_or_default().trim_start_matches(name).trim_start_matches(": error: ");
    let detail = lines.next().and_then(|line| line.split_once("detail: ")).map(|(_, detail)| format!(" ({detail})")).unwrap_or_default();
    Err(Error::Failed(match (first, status.signal()) {
        ("", Some(signal)) => format!("{name} was ended by signal {signal}"),
        ("", None) => format!("{name} failed and does not say why"),
        (first, _) => format!("{name}: {first}{detail}"),
    }))
}

/// Of `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, 15.
fn version_in(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("(PostgreSQL) ")?;
    let digits = version.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

/// The address as libpq reads it from the environment (its manual, section "Environment Variables").
fn environment(address: &Address) -> Vec<(&'static str, OsString)> {
    let config = &address.config;
    let list = |parts: Vec<String>| (!parts.is_empty()).then(|| parts.join(",").into());
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    let (ssl_mode, root) = match (config.get_ssl_mode(), &address.trust) {
        (SslMode::Disable, _) => ("disable", None),
        (SslMode::Prefer, _) => ("prefer", None),
        (_, Trust::Anyone) => ("require", None),
        (_, Trust::System) => ("verify-full", Some(OsString::from("system"))),
        (_, Trust::File(path)) => ("verify-full", Some(path.clone().into_os_string())),
    };
    let attributes = match config.get_target_session_attrs() {
        TargetSessionAttrs::ReadWrite => Some("read-write".into()),
        TargetSessionAttrs::ReadOnly => Some("read-only".into()),
        _ => None,
    };
    let timeout_s = config.get_connect_timeout().map(|timeout| timeout.as_secs().max(1).to_string().into());
    let given: [(&'static str, Option<OsString>); 11] = [
        ("PGHOST", list(config.get_hosts().iter().map(host).collect())),
        ("PGHOSTADDR", list(config.get_hostaddrs().iter().map(ToString::to_string).collect())),
        ("PGPORT", list(config.get_ports().iter().map(ToString::to_string).collect())),
        ("PGUSER", config.get_user().map(OsString::from)),
        ("PGPASSWORD", config.get_password().map(|password| OsString::from_vec(password.to_vec()))),
        ("PGDATABASE", config.get_dbname().map(OsString::from)),
        ("PGSSLMODE", Some(ssl_mode.into())),
        ("PGSSLROOTCERT", root),
        ("PGOPTIONS", config.get_options().map(OsString::from)),
        ("PGTARGETSESSIONATTRS", attributes),
        ("PGCONNECT_TIMEOUT", timeout_s),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// `--schema=users` and the like.
pub(super) fn option(name: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut option = OsString::from(format!("--{name}="));
    option.push(value);
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_as_every_package_writes_it() {
        for (said, version) in [
            ("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("pg_restore (PostgreSQL) 17.2\n", Some(17)),
            ("pg_dump (PostgreSQL) 18beta1\n", Some(18)),
            ("pg_dump of my own\n", None),
        ] {
            assert_eq!(version_in(said), version, "{said}");
        }
    }

    #[test]
    fn a_tool_that_is_older_than_what_it_meets_says_which_one_is_needed() {
        let tool = Tool { name: "pg_dump", version: 15 };
        assert!(tool.must_reach(15, "the server is").is_ok());
        let refused = tool.must_reach(17, "the server is").expect_err("it is older").to_string();
        assert_eq!(refused, "pg_dump is of PostgreSQL 15 and the server is of 17: install postgresql-client-17");
    }

    #[test]
    fn the_url_is_told_in_libpqs_words() {
        let url = "postgres://ada:s%40crét@a,b:5433/app?sslmode=verify-full&sslrootcert=/etc/ca.pem&target_session_attrs=read-write";
        let given = environment(&url.parse().expect("an address"));
        let given: Vec<_> = given.iter().map(|(name, value)| (*name, value.to_str().expect("UTF-8"))).collect();
        let expected = [
            ("PGHOST", "a,b"),
            ("PGPORT", "5432,5433"),
            ("PGUSER", "ada"),
            ("PGPASSWORD", "s@crét"),
            ("PGDATABASE", "app"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/etc/ca.pem"),
            ("PGTARGETSESSIONATTRS", "read-write"),
        ];
        assert_eq!(given, expected);
    }

    #[test]
    fn one_sentence_is_made_of_what_a_tool_says() {
        let failed = ExitStatus::from_raw(1 << 8);
        let say = |said: &str| judge("pg_dump", failed, said.as_bytes()).expect_err("failed").to_string();
        let mismatch =
            "pg_dump: error: aborting because of server version mismatch\npg_dump: detail: server version: 17; pg_dump version: 15\n";
        assert_eq!(say(mismatch), "pg_dump: aborting because of server version mismatch (server version: 17; pg_dump version: 15)");
        assert_eq!(say("pg_dump: last built-in OID is 16383\npg_dump: error: no\npg_dump: hint: x\n"), "pg_dump: no");
        assert_eq!(say(""), "pg_dump failed and does not say why");
        let killed = judge("pg_dump", ExitStatus::from_raw(9), b"").expect_err("killed").to_string();
        assert_eq!(killed, "pg_dump was ended by signal 9");
    }
}
