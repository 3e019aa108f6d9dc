//! SuperApp: one binary, a role per subcommand; no subcommand starts them all.
//!
//! Only this crate reads arguments, environment and signals; everything it starts takes finished values.

mod admin;
mod app_dir;
mod args;
mod backups;
mod banner;
mod client;
mod commands;
mod descriptors;
mod listeners;
mod roles;
mod service;
mod settings;
mod signals;
mod telemetry;

use std::process::ExitCode;
use std::time::Duration;

use crate::args::{Args, Command};
use crate::settings::Settings;

/// Sockets come and go by the thousand: after four times a thousand of them, glibc's allocator holds on to three times as much
/// memory as this one (`docs/costs.md`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is still running a second after everything was stopped is left behind.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);
/// The exit code where what was asked could not even be tried; clap has the same for what it does not understand.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    let args = <Args as clap::Parser>::parse();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::logs::say(
                format!("{error:#}")
                    .lines()
                    .map(|line| {
                        format!(
                            "superapp: {line}
"
                        )
                    })
                    .collect(),
            );
            if backups::is_refused(&error) { ExitCode::from(REFUSED) } else { ExitCode::FAILURE }
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    let sources = args.sources();
    match args.command() {
        Command::Run(role) => {
            let settings = Settings::load(&sources)?;
            let logs = telemetry::logs::start(&settings.log)?;
            descriptors::raise_limit();
            runtime(roles::run(settings, role, logs.lost()))
        }
        Command::Migrate => runtime(commands::migrate::run(Settings::load(&sources)?)),
        Command::Backup { folder } => runtime(commands::backup::run(Settings::load(&sources)?, &folder)),
        Command::Restore { folder, force } => runtime(commands::restore::run(Settings::load(&sources)?, &folder, force)),
        Command::Verify { folder } => runtime(commands::verify::run(Settings::load(&sources)?, folder)),
        Command::Check => commands::check::run(&sources),
        Command::Config => commands::config::run(),
        Command::Seed { url } => runtime(commands::seed::run(url)),
        Command::Health { of, wait } => runtime(commands::health::run(commands::health::urls(of, &sources)?, wait)),
    }
}

fn runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    result
}
