//! Settings from several places, the later one wins: defaults, a file, the environment, `--set`.
//!
//! A key has to be one of the schema's and its value of the right kind; what is wrong becomes a finding and is left out.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Value};

use super::finding::{Finding, Origin};
use super::schema::{Schema, join};

/// Variables of the environment that everyone knows, and the settings they mean. A later one wins.
const WELL_KNOWN: [(&str, &str); 4] =
    [("RUST_LOG", "log.filter"), ("DATABASE_URL", "database_url"), ("REDIS_ADDR", "redis_url"), ("REDIS_URL", "redis_url")];
const PREFIX: &str = "SUPERAPP__";

/// The settings so far, and what was wrong.
pub(crate) struct Layers<'a> {
    schema: &'a Schema,
    values: BTreeMap<String, (Value, Origin)>,
    pub(crate) findings: Vec<Finding>,
}

impl<'a> Layers<'a> {
    /// The defaults.
    pub(crate) fn new(schema: &'a Schema) -> Self {
        let values = schema.defaults().map(|(key, value)| (key.clone(), (value.clone(), Origin::Default))).collect();
        Self { schema, values, findings: Vec::new() }
    }

    /// A TOML file over what is there.
    pub(crate) fn file(&mut self, path: &Path) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let text = format!("read {}: {error}", path.display());
                return self.findings.push(Finding { origin: None, text });
            }
        };
        let at = |offset: usize| Origin::File { path: path.to_owned(), line: line(&text, offset) };
        match DeTable::parse(&text) {
            Ok(table) => self.section("", table.into_inner(), &at),
            // The error's own display shows the line, which may hold a password.
            Err(error) => {
                self.findings.push(Finding::at(&at(error.span().map_or(0, |span| span.start)), error.message().replace('\n', ", ")));
            }
        }
    }

    /// Variables of the environment over what is there.
    pub(crate) fn environment(&mut self, variables: &[(String, String)]) {
        for (name, key) in WELL_KNOWN {
            let value = variables.iter().find(|(known, value)| known == name && !value.is_empty());
            let Some((_, value)) = value else { continue };
            let origin = Origin::Environment(name.to_owned());
            let value = if name == "REDIS_ADDR" { format!("redis://{value}") } else { value.clone() };
            self.values.insert(key.to_owned(), (Value::String(value), origin));
        }
        for (name, value) in variables {
            if let Some(path) = name.strip_prefix(PREFIX) {
                self.written(&path.to_lowercase().replace("__", "."), value, &Origin::Environment(name.clone()));
            }
        }
    }

    /// `KEY=VALUE` from the command line over what is there.
    pub(crate) fn set(&mut self, assignments: &[String]) {
        for assignment in assignments {
            match assignment.split_once('=') {
                Some((key, value)) => self.written(key.trim(), value.trim(), &Origin::Set(key.trim().to_owned())),
                None => self.findings.push(Finding { origin: None, text: "--set takes KEY=VALUE".to_owned() }),
            }
        }
    }

    /// A value in a line of text: TOML where it is TOML, else the text itself.
    fn written(&mut self, key: &str, text: &str, origin: &Origin) {
        match DeValue::parse(text) {
            Ok(value) => self.value(key, value, Some(text), origin, &|_| origin.clone()),
            Err(_) => self.leaf(key, Value::String(text.to_owned()), None, origin),
        }
    }

    fn section(&mut self, path: &str, table: DeTable<'_>, at: &dyn Fn(usize) -> Origin) {
        for (name, value) in table {
            let origin = at(name.span().start);
            self.value(&join(path, name.get_ref()), value, None, &origin, at);
        }
    }

    fn value(&mut self, key: &str, value: Spanned<DeValue<'_>>, text: Option<&str>, origin: &Origin, at: &dyn Fn(usize) -> Origin) {
        let is_section = self.schema.is_section(key);
        match value.get_ref() {
            DeValue::Table(_) if is_section => {
                if let DeValue::Table(table) = value.into_inner() {
                    self.section(key, table, at);
                }
            }
            _ => match Value::deserialize(ValueDeserializer::from(value)) {
                Ok(value) => self.leaf(key, value, text, origin),
                Err(error) => self.findings.push(Finding::at(origin, format!("`{key}`: {}", error.message()))),
            },
        }
    }

    /// Takes one value. `text` is how it was written, where it was written as a line of text.
    fn leaf(&mut self, key: &str, value: Value, text: Option<&str>, origin: &Origin) {
        if self.schema.is_section(key) {
            return self.findings.push(Finding::at(origin, format!("`{key}` is a section, it has settings of its own")));
        }
        let Some(default) = self.schema.default_of(key) else {
            return self.findings.push(Finding::at(origin, self.unknown(key, origin)));
        };
        match fit(key, default, value, text) {
            Ok(value) => drop(self.values.insert(key.to_owned(), (value, origin.clone()))),
            Err(why) => self.findings.push(Finding::at(origin, format!("`{key}` {why}"))),
        }
    }

    fn unknown(&self, key: &str, origin: &Origin) -> String {
        let nearest = self.schema.nearest(key).map(|nearest| match origin {
            Origin::Environment(_) => format!("{PREFIX}{}", nearest.to_uppercase().replace('.', "__")),
            _ => nearest,
        });
        let hint = nearest.map_or("`superapp config` prints every key".to_owned(), |nearest| format!("did you mean `{nearest}`?"));
        format!("unknown key `{key}`, {hint}")
    }

    /// The value of a key of the schema, and where it was given.
    pub(crate) fn get(&self, key: &str) -> (&Value, &Origin) {
        let (value, origin) = self.values.get(key).expect("every key of the schema has a value");
        (value, origin)
    }

    /// All values, in the order of their keys.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&String, &Value, &Origin)> {
        self.values.iter().map(|(key, (value, origin))| (key, value, origin))
    }

    /// Goes back to the default, so that what else is wrong can be found; `false` when it is the default already.
    pub(crate) fn reset(&mut self, key: &str) -> bool {
        match (self.values.get_mut(key), self.schema.default_of(key)) {
            (Some(entry), Some(default)) if entry.1 != Origin::Default => {
                *entry = (default.clone(), Origin::Default);
                true
            }
            _ => false,
        }
    }

    /// One section as a table, without the keys of the binary.
    pub(crate) fn table(&self, section: &str, without: &[&str]) -> toml::Table {
        let mut table = toml::Table::new();
        for (key, (value, _)) in &self.values {
            let Some(path) = key.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')) else { continue };
            if !without.contains(&path) {
                put(&mut table, path, value.clone());
            }
        }
        table
    }
}

fn put(table: &mut toml::Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(table.insert(path.to_owned(), value)),
        Some((name, rest)) => {
            let inner = table.entry(name).or_insert_with(|| Value::Table(toml::Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// The value as the kind its default is of, or why it cannot be.
fn fit(key: &str, default: &Value, value: Value, text: Option<&str>) -> Result<Value, String> {
    let is_listen = key.ends_with(".listen");
    let element = match default {
        _ if is_listen => Some("a text"),
        Value::Array(values) => Some(values.first().map_or("a text", kind)),
        _ => None,
    };
    match (element, value, text) {
        (None, value, _) if value.same_type(default) => Ok(value),
        (None, _, Some(text)) if default.is_str() => Ok(Value::String(text.to_owned())),
        (Some(element), Value::Array(values), _) => match values.iter().find(|value| kind(value) != element) {
            Some(other) => Err(format!("must be a list of which each is {element}, not {}", kind(other))),
            None => Ok(Value::Array(values)),
        },
        (Some("a text"), value @ Value::String(_), _) => Ok(Value::Array(vec![value])),
        (Some(_), value, _) if !is_listen => Err(format!("must be a list, not {}", kind(&value))),
        (Some(_), value, _) => Err(format!("must be an address or a list of addresses, not {}", kind(&value))),
        (None, value, _) => Err(format!("must be {}, not {}", kind(default), kind(&value))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}

fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
