//! Which settings there are: the keys of `config.default.toml`, which is embedded.

use std::collections::BTreeMap;

use toml::Value;

/// Every setting with its default and a comment.
pub(crate) const DEFAULTS: &str = include_str!("../../config.default.toml");

/// The defaults by dotted key, such as `users.http.connections_max`.
pub(crate) struct Schema {
    defaults: BTreeMap<String, Value>,
}

impl Schema {
    pub(crate) fn embedded() -> Self {
        let table: toml::Table = DEFAULTS.parse().expect("config.default.toml is embedded and tested");
        let mut defaults = BTreeMap::new();
        flatten("", table, &mut defaults);
        Self { defaults }
    }

    /// All keys with their defaults.
    pub(crate) fn defaults(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.defaults.iter()
    }

    pub(crate) fn default_of(&self, key: &str) -> Option<&Value> {
        self.defaults.get(key)
    }

    pub(crate) fn is_section(&self, path: &str) -> bool {
        path.is_empty() || self.defaults.keys().any(|key| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The key someone meant who wrote `unknown`, if one is close enough.
    pub(crate) fn nearest(&self, unknown: &str) -> Option<String> {
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let differing_max = (last(unknown).len() * 2 / 5).max(1);
        let distance = |known: &str| strsim::damerau_levenshtein(unknown, known);
        let near = self.paths().filter(|known| distance(known) <= differing_max).min_by_key(|known| distance(known));
        // The right name in the wrong section, or any name in a section that does not exist.
        let misplaced = || self.paths().find(|known| last(known) == last(unknown));
        let section = || {
            let (section, _) = unknown.rsplit_once('.')?;
            if self.is_section(section) { None } else { self.nearest(section) }
        };
        near.or_else(misplaced).or_else(section)
    }

    /// All keys and all sections.
    fn paths(&self) -> impl Iterator<Item = String> {
        let prefixes = |key: &String| {
            let ends = key.match_indices('.').map(|(at, _)| at).chain([key.len()]);
            ends.filter_map(|end| key.get(..end).map(str::to_owned)).collect::<Vec<_>>()
        };
        self.defaults.keys().flat_map(prefixes)
    }
}

fn flatten(path: &str, table: toml::Table, into: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = join(path, &name);
        match value {
            Value::Table(table) => flatten(&key, table, into),
            value => drop(into.insert(key, value)),
        }
    }
}

/// `a` and `b` as `a.b`.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        let schema = Schema::embedded();
        for (written, meant) in [
            ("gateway.listn", Some("gateway.listen")),
            ("gatway", Some("gateway")),
            ("gatway.listen", Some("gateway.listen")),
            ("users.cach_ttl_s", Some("users.cache_ttl_s")),
            ("rate_burst", Some("chat.rate_burst")),
            ("chat.sockets_mx", Some("chat.sockets_max")),
            ("gatway.x", Some("gateway")),
            ("users.zzz", None),
            ("tls", None),
        ] {
            assert_eq!(schema.nearest(written).as_deref(), meant, "{written}");
        }
    }

    #[test]
    fn sections_are_told_from_keys() {
        let schema = Schema::embedded();
        assert!(schema.is_section("users.http") && schema.is_section("gateway.clusters"));
        assert!(!schema.is_section("users.listen") && !schema.is_section("use"));
    }
}
