//! From layers to settings: every value has its type and lies within what makes sense.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use toml::Value;

use super::data::Data;
use super::finding::{Finding, Findings, Origin};
use super::layers::Layers;
use super::listen::Listen;
use super::{Section, Settings};

/// Keys of a section that belong to the binary.
const OWN: [&str; 5] = ["listen", "admin_listen", "database_url", "access_log", "app_dir"];

/// Makes settings of the layers, or says all that is wrong.
pub(crate) fn judge(mut layers: Layers<'_>) -> Result<Settings, Findings> {
    numbers(&mut layers);
    let data = Data::judge(&mut layers);
    let log = section(&mut layers, "log", &[]);
    filter(&mut layers);
    let access_log = text(&layers, "gateway.access_log").0.parse().unwrap_or_else(|never: std::convert::Infallible| match never {});
    let app_dir = Some(text(&layers, "gateway.app_dir").0).filter(|text| !text.is_empty()).map(PathBuf::from);
    let gateway = role(&mut layers, "gateway");
    let users = role(&mut layers, "users");
    let chat = role(&mut layers, "chat");
    let analytics = role(&mut layers, "analytics");
    if let Some(gateway) = &gateway {
        door(&mut layers, gateway);
    }
    if let Some(chat) = &chat {
        chat_fits_itself(&mut layers, chat);
    }

    let findings = layers.findings;
    match (data, log, gateway, users, chat, analytics) {
        (Some(data), Some(log), Some(gateway), Some(users), Some(chat), Some(analytics)) if findings.is_empty() => {
            Ok(Settings { data, log, access_log, app_dir, gateway, users, chat, analytics })
        }
        _ => Err(Findings(findings)),
    }
}

/// A number's unit says what makes sense: nothing waits for ever, nothing spins, nothing asks for more memory than exists.
fn bounds(key: &str) -> (i64, i64) {
    const DAY_S: i64 = 24 * 60 * 60;
    match key {
        // To stop at once is a choice.
        "gateway.drain_s" => (0, DAY_S),
        "gateway.drain_wait_ms" => (0, DAY_S * 1000),
        // Never.
        "gateway.document_refresh_s" => (0, DAY_S),
        // One for each core.
        "gateway.workers" => (0, 1024),
        "gateway.body_bytes_per_second_min" | "gateway.cluster_waiting_max" => (0, 100_000_000),
        "gateway.retry_budget_percent" => (0, 100),
        "gateway.health_status" => (100, 599),
        "gateway.header_bytes_max" => (256, 49_152),
        "gateway.cluster_in_flight_max" => (1, 1_000_000),
        "chat.reconnect_after_ms" => (0, DAY_S * 1000),
        // More than any PostgreSQL is run with.
        "database.connections_max" => (1, 10_000),
        _ if key.ends_with("_s") => (1, 30 * DAY_S),
        _ if key.ends_with("_ms") => (1, DAY_S * 1000),
        _ if key.ends_with("_bytes_max") => (1, 1 << 40),
        _ => (1, 100_000_000),
    }
}

fn numbers(layers: &mut Layers<'_>) {
    let mut wrong = Vec::new();
    for (key, value, origin) in layers.all() {
        let (least, most) = bounds(key);
        let numbers = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let is_wrong = |number: i64| number < least || number > most;
        if numbers.iter().filter_map(Value::as_integer).any(is_wrong) {
            wrong.push((key.clone(), Finding::at(origin, format!("`{key}` must be from {least} to {most}"))));
        }
    }
    for (key, finding) in wrong {
        layers.findings.push(finding);
        layers.reset(&key);
    }
}

fn filter(layers: &mut Layers<'_>) {
    let (filter, origin) = text(layers, "log.filter");
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&filter) {
        layers.findings.push(Finding::at(&origin, format!("`log.filter`: {error}")));
    }
}

/// One role's section.
fn role<C: DeserializeOwned>(layers: &mut Layers<'_>, name: &str) -> Option<Section<C>> {
    let listen = addresses(layers, &format!("{name}.listen"));
    let admin_listen = addresses(layers, &format!("{name}.admin_listen")).into_iter().next();
    let config = section(layers, name, &OWN)?;
    Some(Section { listen, admin_listen, config })
}

fn addresses(layers: &mut Layers<'_>, key: &str) -> Vec<Listen> {
    let (value, origin) = layers.get(key);
    let origin = origin.clone();
    let texts: Vec<String> = match value {
        // Only an admin listener may be turned off.
        Value::String(text) if text.is_empty() => return Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if texts.is_empty() {
        layers.findings.push(Finding::at(&origin, format!("`{key}` must name at least one address")));
    }
    let mut addresses = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(address) => addresses.push(address),
            Err(why) => layers.findings.push(Finding::at(&origin, format!("`{key}` {why}"))),
        }
    }
    addresses
}

/// A section as the type it is for. What does not fit is told and put back, until the rest fits.
pub(super) fn section<T: DeserializeOwned>(layers: &mut Layers<'_>, name: &str, without: &[&str]) -> Option<T> {
    loop {
        let table = Value::Table(layers.table(name, without));
        let error = match serde_path_to_error::deserialize(table) {
            Ok(section) => return Some(section),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let key = format!("{name}.{}", path.split('[').next().unwrap_or_default());
        let text = format!("`{key}`: {}", error.inner().message());
        let is_known = layers.all().any(|(known, _, _)| *known == key);
        let origin = is_known.then(|| layers.get(&key).1.clone());
        layers.findings.push(Finding { origin, text });
        if !layers.reset(&key) {
            return None;
        }
    }
}

/// What the gateway itself refuses: endpoints that are none, ways to balance that nobody knows.
fn door(layers: &mut Layers<'_>, section: &Section<gateway::Config>) {
    let Err(error) = gateway::Gateway::new(section.config.clone(), env!("CARGO_PKG_VERSION")) else { return };
    let origin = match &error {
        gateway::Error::Endpoint { service, .. } => Some(format!("gateway.clusters.{service}.endpoints")),
        gateway::Error::Balance { service, .. } => Some(format!("gateway.clusters.{service}.balance")),
        gateway::Error::Origin { .. } => Some("gateway.allowed_origins".to_owned()),
        gateway::Error::HealthPath => Some("gateway.health_path".to_owned()),
        gateway::Error::Zero { key } | gateway::Error::TooLarge { key, .. } => Some(format!("gateway.{key}")),
        gateway::Error::NoIndex | gateway::Error::Listener(_) | gateway::Error::Stopped(_) => None,
    };
    let origin = origin.map(|key| layers.get(&key).1.clone());
    layers.findings.push(Finding { origin, text: error.to_string() });
}

fn chat_fits_itself(layers: &mut Layers<'_>, chat: &Section<chat::Config>) {
    let config = &chat.config;
    let [soonest, latest] = config.reconnect_after_ms;
    let rules = [
        ("chat.silence_s", config.silence_s > config.heartbeat_s, "must be more than `chat.heartbeat_s`"),
        ("chat.text_bytes_max", config.text_bytes_max <= config.frame_bytes_max.get(), "must not be more than `chat.frame_bytes_max`"),
        ("chat.reconnect_after_ms", soonest <= latest, "must be two times, the sooner one first"),
    ];
    for (key, holds, why) in rules {
        if !holds {
            let origin = layers.get(key).1.clone();
            layers.findings.push(Finding::at(&origin, format!("`{key}` {why}")));
        }
    }
}

pub(super) fn text(layers: &Layers<'_>, key: &str) -> (String, Origin) {
    let (value, origin) = layers.get(key);
    (value.as_str().unwrap_or_default().to_owned(), origin.clone())
}
