//! The README, taken at its word: its `console` blocks run against a fresh system, in order, and what is shown there has the
//! shape of what comes. Shape means: the same fields, and values of the same kind.
//!
//! Addresses and ids are those of the running system; everything else is typed as it stands.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Role, System};

/// How long a command or a frame may take; the first `npx` fetches wscat.
const LIMIT: Duration = Duration::from_secs(120);

/// A command as shown, and the lines shown after it.
#[derive(Debug, PartialEq)]
struct Step {
    command: String,
    shown: Vec<String>,
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in readme.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        for line in block.lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), shown: Vec::new() }),
                (None, Some(step)) => step.shown.push(line.to_owned()),
                (None, None) => panic!("output before any command: {line}"),
            }
        }
    }
    steps
}

/// Someone who types what the README shows.
struct Reader {
    /// What is typed in the README, and what it is here: addresses, and ids as they become known.
    names: HashMap<String, String>,
}

impl Reader {
    fn of(system: &System) -> Self {
        let ports =
            [(Role::Gateway, ["8080", "8081"].as_slice()), (Role::Users, &["3001", "3101"]), (Role::Chat, &["3002", "3012", "3022"])];
        let names = ports.into_iter().flat_map(|(role, ports)| ports.iter().zip(system.replicas(role)));
        let mut names: HashMap<_, _> = names.map(|(port, here)| (format!("localhost:{port}"), here.to_string())).collect();
        if system.is_production() {
            names.insert("$DATABASE_URL".to_owned(), system.database_url());
        }
        Self { names }
    }

    /// Runs a step; panics where what comes does not look like what is shown.
    fn follow(&mut self, step: &Step) {
        let command = self.names.iter().fold(step.command.clone(), |command, (shown, here)| command.replace(shown, here));
        if !step.shown.iter().any(|line| line.contains('{')) {
            return text_comes(&command, &step.shown);
        }
        let is_chat = command.contains("wscat");
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let (mut typed, lines) = (child.stdin.take().expect("stdin"), lines_of(child.stdout.take().expect("stdout")));
        for shown in &step.shown {
            if let Some(line) = shown.strip_prefix("> ") {
                writeln!(typed, "{line}").expect("still running");
                continue;
            }
            let came = lines.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("$ {command}\n{shown}\nbut {error}"));
            // On a terminal wscat marks what came; into a pipe it writes its prompt before it.
            let came = if is_chat { came.trim_start_matches(['>', '<', ' ']) } else { &came };
            let shown = shown.strip_prefix("< ").unwrap_or(shown);
            let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("$ {command}\n{text}\n{error}"));
            self.compare(&parse(shown), &parse(came), &format!("$ {command}\nshown {shown}\ncame  {came}"));
        }
        drop(typed);
        let _ = child.kill();
        child.wait().expect("ended");
    }

    fn compare(&mut self, shown: &Value, came: &Value, context: &str) {
        match (shown, came) {
            (Value::Object(shown), Value::Object(came)) => {
                let (fields, came_fields): (Vec<_>, Vec<_>) = (shown.keys().collect(), came.keys().collect());
                assert_eq!(fields, came_fields, "{context}");
                for (field, value) in shown {
                    self.compare(value, &came[field], context);
                }
            }
            (Value::Array(shown), Value::Array(came)) => {
                assert_eq!(shown.is_empty(), came.is_empty(), "{context}");
                for (shown, came) in shown.iter().zip(came) {
                    self.compare(shown, came, context);
                }
            }
            (Value::String(shown), Value::String(came)) => {
                let is_id = |text: &str| text.len() == 36 && text.split('-').count() == 5;
                let is_made = |text: &str| text.ends_with('Z') || text.starts_with("127.0.0.1:");
                if is_id(shown) && is_id(came) {
                    self.names.insert(shown.clone(), came.clone());
                } else if !(is_made(shown) && is_made(came)) {
                    assert_eq!(shown, came, "{context}");
                }
            }
            (Value::Number(_), Value::Number(_)) => {}
            (shown, came) => assert_eq!(shown, came, "{context}"),
        }
    }
}

/// Runs a command that shows plain text until it shows this: what is counted may be a moment late.
fn text_comes(command: &str, shown: &[String]) {
    let started = Instant::now();
    loop {
        let came = Command::new("sh").args(["-c", command]).output().expect("a shell");
        let came: Vec<_> = String::from_utf8_lossy(&came.stdout).lines().map(str::to_owned).collect();
        if came == shown {
            return;
        }
        assert!(started.elapsed() < LIMIT / 4, "$ {command}\nshown {shown:?}\ncame  {came:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn lines_of(output: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok).filter(|line| !line.is_empty()) {
            // Nobody waits for more.
            let _ = sender.send(line);
        }
    });
    lines
}

#[tokio::test]
async fn what_the_readme_shows_is_what_comes() {
    let first_minute = ["curl localhost:8080/", "curl -X POST localhost:8080/users", "npx -y wscat -c 'ws://localhost:8080"];
    follow(part("## The first minute"), &first_minute, &System::all_in_one().await);
}

#[tokio::test]
async fn what_the_readme_shows_of_postgresql_and_redis_is_what_comes() {
    let on_servers = ["curl -X POST localhost:8081/users", "psql \"$DATABASE_URL\"", "npx -y wscat -c 'ws://localhost:3022"];
    follow(part("## On PostgreSQL and Redis"), &on_servers, &System::production().await);
}

/// The README from this heading to the next one.
fn part(heading: &str) -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("the README");
    let part = readme.split(heading).nth(1).unwrap_or_else(|| panic!("the README has {heading}"));
    part.split("\n## ").next().unwrap_or_default().to_owned()
}

fn follow(part: String, tools: &[&str], system: &System) {
    let steps = steps(&part);
    for tool in tools {
        assert!(steps.iter().any(|step| step.command.starts_with(tool)), "the README shows {tool}");
    }
    let mut reader = Reader::of(system);
    for step in &steps {
        reader.follow(step);
    }
}

#[test]
fn files_the_readme_names_are_there() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).expect("the README");
    let is_file = |word: &&str| word.contains('/') && [".rs", ".sql", ".toml", ".md"].iter().any(|ending| word.ends_with(ending));
    let named: Vec<_> = readme.split('`').skip(1).step_by(2).filter(is_file).collect();
    assert!(named.len() > 10, "the map names files");
    let places = ["", "backends/", "backends/users/src/", "gateway/src/", "backends/users/src/store/", "backends/kit/src/http/"];
    for file in named {
        assert!(places.iter().any(|place| std::path::Path::new(&format!("{root}/{place}{file}")).exists()), "there is no {file}");
    }
}

#[test]
fn a_session_is_read_command_by_command() {
    let step = |command: &str, shown: &[&str]| Step { command: command.to_owned(), shown: shown.iter().map(ToString::to_string).collect() };
    let readme = "text\n```console\n$ one\n{}\n$ two\n```\n```sh\nnot this\n```\n```console\n$ three\n< {}\n> hi\n```\n";
    assert_eq!(steps(readme), [step("one", &["{}"]), step("two", &[]), step("three", &["< {}", "> hi"])]);
}
