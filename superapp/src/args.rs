//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::roles::Role;
use crate::settings::Sources;

/// Where to read on.
const AFTER_HELP: &str = "Backups, and how to practise a restore: docs/backups.md. PostgreSQL and Redis: docs/servers.md.";

/// A backend for apps: accounts, chat and analytics behind one door. Without a command, everything runs in this process.
#[derive(Parser)]
#[command(name = "superapp", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    given: Given,
    #[command(subcommand)]
    command: Option<Written>,
}

/// Settings from the command line; they may stand before and after the command.
#[derive(clap::Args, Clone, Default)]
struct Given {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one setting, such as gateway.listen=127.0.0.1:8080; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// The commands as they are written.
#[derive(Subcommand)]
enum Written {
    /// Run everything in this process (the default)
    All(Given),
    /// Run the gateway alone
    Gateway(Given),
    /// Run users alone
    Users(Given),
    /// Run chat alone, one replica per address
    Chat(Given),
    /// Run analytics alone
    Analytics(Given),
    /// Judge the configuration and say what is wrong with it, with file and line
    Check(Given),
    /// Bring the databases to their newest schema
    Migrate(Given),
    /// Copy all databases into a new folder, while the system runs
    Backup {
        /// The folder, which must not be there yet
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        #[command(flatten)]
        given: Given,
    },
    /// Put a backup in the place of the databases; the system must be stopped
    Restore {
        /// What `superapp backup` made
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Move aside what is there
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        given: Given,
    },
    /// Look whether a backup is whole, or without one, whether the databases are; exits with 0 or 1
    Verify {
        /// What `superapp backup` made
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
        #[command(flatten)]
        given: Given,
    },
    /// Put demo users and messages into a running system; doing it again adds nothing
    Seed {
        /// The gateway of the system
        #[arg(default_value = "http://localhost:8080")]
        url: String,
        #[command(flatten)]
        given: Given,
    },
    /// Print every setting with its default
    Config(Given),
    /// Ask a running system whether it is ready; exits with 0 or 1
    Health {
        /// gateway, users, chat or analytics where the settings say that it listens, or a URL
        #[arg(value_name = "ROLE|URL", default_value = "gateway")]
        of: String,
        /// Ask again until it is, for so many seconds at most
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        wait: u64,
        #[command(flatten)]
        given: Given,
    },
}

/// What to do.
pub(crate) enum Command {
    Run(Role),
    Check,
    Migrate,
    Backup { folder: PathBuf },
    Restore { folder: PathBuf, force: bool },
    Verify { folder: Option<PathBuf> },
    Seed { url: String },
    Config,
    Health { of: String, wait: Duration },
}

impl Args {
    /// Where settings come from, in this process.
    pub(crate) fn sources(&self) -> Sources {
        let after = match &self.command {
            None => Given::default(),
            Some(
                Written::All(given)
                | Written::Gateway(given)
                | Written::Users(given)
                | Written::Chat(given)
                | Written::Analytics(given)
                | Written::Check(given)
                | Written::Migrate(given)
                | Written::Backup { given, .. }
                | Written::Restore { given, .. }
                | Written::Verify { given, .. }
                | Written::Seed { given, .. }
                | Written::Config(given)
                | Written::Health { given, .. },
            ) => given.clone(),
        };
        Sources {
            file: after.config.or_else(|| self.given.config.clone()),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
                .collect(),
            set: [self.given.set.clone(), after.set].concat(),
        }
    }

    pub(crate) fn command(self) -> Command {
        match self.command {
            None | Some(Written::All(_)) => Command::Run(Role::All),
            Some(Written::Gateway(_)) => Command::Run(Role::Gateway),
            Some(Written::Users(_)) => Command::Run(Role::Users),
            Some(Written::Chat(_)) => Command::Run(Role::Chat),
            Some(Written::Analytics(_)) => Command::Run(Role::Analytics),
            Some(Written::Check(_)) => Command::Check,
            Some(Written::Migrate(_)) => Command::Migrate,
            Some(Written::Backup { folder, .. }) => Command::Backup { folder },
            Some(Written::Restore { folder, force, .. }) => Command::Restore { folder, force },
            Some(Written::Verify { folder, .. }) => Command::Verify { folder },
            Some(Written::Seed { url, .. }) => Command::Seed { url },
            Some(Written::Config(_)) => Command::Config,
            Some(Written::Health { of, wait, .. }) => Command::Health { of, wait: Duration::from_secs(wait) },
        }
    }
}
