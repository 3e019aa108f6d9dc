//! The contract, held against a running system by Schemathesis: requests made of the document, good ones and bad ones, one after
//! the other and in chains, and answers compared with what the document promises.
//!
//! `SCHEMATHESIS_SEED=n` tries others; the seed is printed. What it needs of Python is fetched into the build folder, once.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Role, System, eventually};

/// Newer ones find other things; which, is seen when this is changed.
const VERSION: &str = "schemathesis==4.32.5";
const CASES_MIN: usize = 1000;

fn settings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis")
}

/// Runs a command to its end; its words where it fails.
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let words = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, words());
    output
}

/// Schemathesis in an environment of its own, made where cargo keeps what it builds.
fn schemathesis() -> PathBuf {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join(VERSION);
    let program = environment.join("bin/schemathesis");
    let is_installed = program.exists() && Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_installed {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
        run(Command::new(environment.join("bin/pip")).args(["install", "--quiet", "--disable-pip-version-check", VERSION]));
    }
    program
}

#[tokio::test]
async fn what_is_promised_is_kept_whoever_asks_for_whatever() {
    let seed = std::env::var("SCHEMATHESIS_SEED").unwrap_or_else(|_| "20261124".to_owned());
    println!("SCHEMATHESIS_SEED={seed}");
    let system = System::all_in_one().await;
    eventually("the document is complete", async || {
        let reply = system.get("/openapi.json").await;
        reply.status == 200 && ["/users", "/chat", "/analytics"].iter().all(|path| reply.json()["paths"].get(*path).is_some())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let document = format!("http://{}/openapi.json", system.address(Role::Gateway));
    let arguments =
        ["run", document.as_str(), "--seed", seed.as_str(), "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"];
    let mut command = Command::new(schemathesis());
    // It leaves what it remembers in its working directory.
    command.current_dir(folder.path()).env("PYTHONPATH", settings()).env("SCHEMATHESIS_HOOKS", "hooks");
    command.arg("--config-file").arg(settings().join("schemathesis.toml")).args(arguments).args(["--max-examples", "40", "--no-color"]);
    let output = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let cases = generated(&said);
    assert!(cases.is_some_and(|cases| cases >= CASES_MIN), "{cases:?} cases of {CASES_MIN}:\n{said}");
    println!("{} cases, nothing found", cases.unwrap_or_default());
    assert_eq!(system.get("/readyz").await.status, 200, "it is well after all of that");
}

/// How many cases were tried, as the last lines say.
fn generated(said: &str) -> Option<usize> {
    let line = said.lines().find(|line| line.contains(" generated, "))?;
    line.split_whitespace().find_map(|word| word.replace(',', "").parse().ok())
}
