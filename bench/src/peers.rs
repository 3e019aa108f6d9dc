//! The gateway beside nginx and HAProxy: what each costs for the same work, on the same machine, in the same minutes.
//!
//! A proxy has a core for itself; load and backends have the others. Its cost is the CPU time of all its processes for a
//! request, since seconds say more about the machine's other guests. Rounds go A B C A B C, so that whatever changes meanwhile
//! changes for all, and a ratio is that of one round.

mod backends;
mod cases;
mod fresh;
mod gateway;
mod haproxy;
mod load;
mod machine;
mod nginx;
mod process;
mod proxy;
mod socket;
mod table;
mod wrk;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};

use backends::Backends;
use cases::{Case, Sample};
use machine::{Cores, Others};
use proxy::{Engine, Proxy, Subject};

/// How much longer than its load a round may take.
const SLACK: Duration = Duration::from_secs(20);

/// What is compared, and how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these cases, with commas between them
    #[arg(long, value_enum, value_delimiter = ',')]
    cases: Vec<Case>,
    /// How often each proxy is measured in each case
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each load lasts
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Give nginx and HAProxy larger buffers, and HAProxy splice, instead of their defaults
    #[arg(long)]
    tuned: bool,
    /// Another superapp to compare, as NAME=PATH
    #[arg(long, value_name = "NAME=PATH")]
    also: Vec<String>,
    /// Leave out proxies: nginx, haproxy, gateway
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    without: Vec<String>,
}

/// Compares until done, or until told to stop; whatever was started is ended either way.
pub(crate) async fn run(options: Options, binary: &Path) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = compare(options, binary) => done,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("stopped"),
        _ = terminate.recv() => anyhow::bail!("stopped"),
    }
}

async fn compare(options: Options, binary: &Path) -> anyhow::Result<()> {
    let cores = Cores::part()?;
    machine::raise_descriptors()?;
    let subjects = subjects(&options, binary)?;
    let folder = tempfile::tempdir()?;
    let bench = Bench { backends: Backends::start(&cores, folder.path()).await?, cores, folder, options };
    println!("proxies alone on core {}, load and backends on {}; median (least–most)", bench.cores.proxy, bench.cores.rest);

    let mut proxies = Vec::new();
    for subject in &subjects {
        proxies.push(bench.start(subject).await?);
    }
    let cases = if bench.options.cases.is_empty() { Case::value_variants() } else { &bench.options.cases };
    let mut failed = 0;
    for case in cases {
        let others = Others::now()?;
        match bench.rounds(*case, &subjects, &proxies).await {
            Ok(rounds) => table::print(*case, &subjects, &rounds, others.share_since()?),
            // The other cases may still tell something.
            Err(error) => {
                println!("\n{}: {error:#}", case.title());
                failed += 1;
            }
        }
    }
    anyhow::ensure!(failed == 0, "{failed} cases could not be measured");
    Ok(())
}

fn subjects(options: &Options, binary: &Path) -> anyhow::Result<Vec<Subject>> {
    let mut subjects = vec![
        Subject { name: "nginx".to_owned(), engine: Engine::Nginx },
        Subject { name: "haproxy".to_owned(), engine: Engine::Haproxy },
        Subject { name: "gateway".to_owned(), engine: Engine::Gateway(binary.to_owned()) },
    ];
    subjects.retain(|subject| !options.without.contains(&subject.name));
    for also in &options.also {
        let (name, path) = also.split_once('=').with_context(|| format!("--also {also}: NAME=PATH is expected"))?;
        let is_taken = subjects.iter().any(|subject| subject.name == name);
        anyhow::ensure!(!is_taken && !name.contains('/'), "--also {also}: the name is taken or no name");
        subjects.push(Subject { name: name.to_owned(), engine: Engine::Gateway(PathBuf::from(path)) });
    }
    Ok(subjects)
}

/// What all rounds share. In the order of ending: backends before the folder they are in.
struct Bench {
    backends: Backends,
    cores: Cores,
    folder: tempfile::TempDir,
    options: Options,
}

impl Bench {
    async fn start(&self, subject: &Subject) -> anyhow::Result<Proxy> {
        subject.start(&self.backends, &self.cores, self.folder.path(), self.options.tuned).await
    }

    /// The samples of each subject, taken in turns, after a turn that does not count.
    async fn rounds(&self, case: Case, subjects: &[Subject], proxies: &[Proxy]) -> anyhow::Result<Vec<Vec<Sample>>> {
        let mut samples = vec![Vec::new(); subjects.len()];
        if case.needs_a_new_proxy() {
            for (subject, samples) in subjects.iter().zip(&mut samples) {
                let proxy = self.start(subject).await?;
                samples.push(self.measure(case, subject, &proxy, 0).await?);
            }
            return Ok(samples);
        }
        for (subject, proxy) in subjects.iter().zip(proxies) {
            self.measure(case, subject, proxy, 1).await?;
        }
        for _ in 0..self.options.rounds {
            for ((subject, proxy), samples) in subjects.iter().zip(proxies).zip(&mut samples) {
                samples.push(self.measure(case, subject, proxy, self.options.seconds).await?);
            }
        }
        Ok(samples)
    }

    async fn measure(&self, case: Case, subject: &Subject, proxy: &Proxy, seconds: u64) -> anyhow::Result<Sample> {
        let limit = Duration::from_secs(seconds) + SLACK;
        let sample = tokio::time::timeout(limit, case.measure(proxy, self.folder.path(), seconds)).await;
        sample.context("it takes too long").flatten().with_context(|| subject.name.clone())
    }
}
