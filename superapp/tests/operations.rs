//! What operators read and run is held to the code: metrics, alerts, the dashboard, variables, and how long a stop may take.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

type Names = BTreeSet<String>;

/// What is in one of the two and not in the other.
fn difference(left: &Names, right: &Names) -> Vec<String> {
    left.symmetric_difference(right).cloned().collect()
}

/// All code below a folder, without tests.
fn code(folder: &str) -> String {
    let mut all = String::new();
    let mut open = vec![root().join(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a readable folder");
            open.extend(entries.map(|entry| entry.expect("an entry").path()).filter(|path| !path.ends_with("tests")));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.push_str(&std::fs::read_to_string(&path).expect("a source file"));
        }
    }
    all
}

/// The first argument of each call of these macros; `describe_gauge!` is no call of `gauge!`.
fn first_arguments(code: &str, macros: &[&str]) -> Names {
    let mut names = Names::new();
    for name in macros {
        for (at, call) in code.match_indices(&format!("{name}!(")) {
            let is_longer_word = code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
            let argument = code[at + call.len()..].trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            if let (false, Some(argument)) = (is_longer_word, argument) {
                names.insert(argument.to_owned());
            }
        }
    }
    names
}

fn emitted() -> Names {
    let code: String = ["superapp/src", "gateway/src", "backends"].iter().map(|folder| code(folder)).collect();
    let names = first_arguments(&code, &["counter", "gauge", "histogram"]);
    assert!(names.len() > 30, "the code emits metrics: {names:?}");
    names
}

/// The first word in backticks of each row of a section's tables.
fn rows(document: &str, heading: &str) -> Names {
    let section = document.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned)).collect()
}

/// The metrics that a text names: words with one of our beginnings, without what a histogram adds.
fn metrics_in(text: &str, known: &Names) -> Names {
    let beginnings: BTreeSet<&str> = known.iter().filter_map(|name| name.split('_').next()).collect();
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    let is_ours = |word: &&str| word.split_once('_').is_some_and(|(beginning, _)| beginnings.contains(beginning));
    let plain = |word: &str| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|ending| word.strip_suffix(ending));
        histogram.filter(|name| known.contains(*name)).unwrap_or(word).to_owned()
    };
    words.filter(is_ours).map(plain).collect()
}

#[test]
fn every_metric_is_described_and_in_the_operators_document_and_no_other_is() {
    let emitted = emitted();
    let described = first_arguments(&code("superapp/src"), &["describe_counter", "describe_gauge", "describe_histogram"]);
    assert_eq!(difference(&emitted, &described), [""; 0], "described in superapp/src/telemetry/metrics.rs, or emitted");
    assert_eq!(difference(&emitted, &rows(&text("docs/operations.md"), "Metrics")), [""; 0], "in docs/operations.md, or emitted");
}

#[test]
fn alerts_and_the_dashboard_look_at_metrics_that_exist() {
    let emitted = emitted();
    let dashboard: serde_json::Value =
        serde_json::from_str(&text("deploy/observability/grafana/dashboards/superapp.json")).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let shown: String = targets.map(|target| format!("{}\n", target["expr"].as_str().expect("an expression"))).collect();
    let alerts = text("deploy/observability/alerts.yml");
    // Comments name settings, and annotations labels.
    let judged: String = alerts.lines().filter(|line| !line.contains("summary:") && !line.trim_start().starts_with('#')).collect();
    for (what, metrics) in [("the dashboard", metrics_in(&shown, &emitted)), ("an alert", metrics_in(&judged, &emitted))] {
        assert!(metrics.len() > 10, "{what} looks at {metrics:?}");
        let unknown: Vec<_> = metrics.difference(&emitted).collect();
        assert!(unknown.is_empty(), "{what} looks at {unknown:?}, which nothing emits");
    }
    assert_eq!(difference(&metrics_in(&shown, &emitted), &emitted), [""; 0], "the dashboard shows all there is");
}

#[test]
fn every_alert_is_tested_and_says_what_to_do() {
    let alerts = text("deploy/observability/alerts.yml");
    let names: Names = alerts.lines().filter_map(|line| line.trim_start().strip_prefix("- alert: ").map(str::to_owned)).collect();
    assert!(names.len() > 10, "{names:?}");
    assert_eq!(difference(&names, &rows(&text("docs/operations.md"), "Alerts")), [""; 0], "in docs/operations.md, or an alert");
    let tests = text("deploy/observability/alerts.test.yml");
    let untested: Vec<_> = names
        .iter()
        .filter(|name| !tests.contains(&format!("alertname: {name}\n")) && !tests.contains(&format!("alertname=\"{name}\"")))
        .collect();
    assert!(untested.is_empty(), "{untested:?} are in no test of promtool");
}

/// Every setting, as a variable of the environment.
fn settings() -> Names {
    fn walk(path: &str, table: &toml::Table, into: &mut Names) {
        for (name, value) in table {
            let path = format!("{path}__{}", name.to_uppercase());
            match value {
                toml::Value::Table(table) => walk(&path, table, into),
                _ => drop(into.insert(path)),
            }
        }
    }
    let mut names = Names::new();
    walk("SUPERAPP", &text("superapp/config.default.toml").parse().expect("TOML"), &mut names);
    names
}

#[test]
fn every_setting_of_the_shell_reaches_the_containers_but_addresses() {
    let is_the_images = |name: &String| name.ends_with("LISTEN") || name == "SUPERAPP__DATA_DIR";
    let wanted: Names = settings().into_iter().filter(|name| !is_the_images(name)).collect();
    let passed = text("deploy/compose/settings.env");
    let passed: Names = passed.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    assert_eq!(difference(&wanted, &passed), [""; 0], "in deploy/compose/settings.env, or a setting");
}

#[test]
fn every_variable_of_the_compose_file_is_in_the_operators_document() {
    let (compose, document, settings) = (text("docker-compose.yml"), text("docs/operations.md"), settings());
    let is_word = |character: char| character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_';
    let names: Names = compose.split("${").skip(1).map(|rest| rest.chars().take_while(|character| is_word(*character)).collect()).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(document.contains(&format!("`{name}`")) || settings.contains(&name), "docs/operations.md does not have {name}");
    }
}

#[test]
fn whoever_stops_a_process_has_more_patience_than_its_drain() {
    let settings: toml::Table = text("superapp/config.default.toml").parse().expect("TOML");
    let drain_s = settings["gateway"]["drain_s"].as_integer().expect("seconds");
    let number_after = |file: &str, marker: &str| -> i64 {
        let text = text(file);
        let rest = text.split(marker).nth(1).unwrap_or_else(|| panic!("{file} has {marker}"));
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
    };
    assert!(number_after("docker-compose.yml", "SUPERAPP_STOP_GRACE:-") > drain_s);
    for unit in ["superapp", "superapp-gateway@", "superapp-users@", "superapp-chat@", "superapp-analytics@"] {
        assert!(number_after(&format!("deploy/systemd/{unit}.service"), "TimeoutStopSec=") > drain_s, "{unit}");
    }
}

#[test]
fn the_looking_itself_finds_what_it_should() {
    let code = "metrics::counter!(\n    \"a_total\", 1); describe_counter!(\"b_total\", \"x\"); gauge!(name)";
    assert_eq!(first_arguments(code, &["counter", "gauge"]), Names::from(["a_total".to_owned()]));
    let known = Names::from(["a_seconds".to_owned(), "a_count".to_owned()]);
    let found: Vec<_> = metrics_in("rate(a_seconds_bucket[5m]) + a_count + a_other_sum + b_x", &known).into_iter().collect();
    assert_eq!(found, ["a_count", "a_other_sum", "a_seconds"]);
    assert_eq!(rows("\n## A\n| `x` | y |\n| z |\n## B\n| `w` |", "A"), Names::from(["x".to_owned()]));
}
