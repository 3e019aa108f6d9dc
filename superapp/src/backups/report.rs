//! What is said to people: a line for each database.

use std::fmt;
use std::time::Duration;

/// One database: what it is, how large, and how long it took.
pub(crate) struct Line<'a> {
    pub(crate) backend: &'a str,
    /// A file, or where it is kept.
    pub(crate) what: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) took: Duration,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, what, bytes, rows, took } = self;
        let rows = if *rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
        write!(f, "{backend:<10} {what}  {}, {rows}, {:.2} s", size(*bytes), took.as_secs_f64())
    }
}

/// `512 B`, `48.0 KiB`, `3.2 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_readable() {
        let what = "users.db".to_owned();
        let line = Line { backend: "users", what, bytes: 49_152, rows: 1, took: Duration::from_millis(120) };
        assert_eq!(line.to_string(), "users      users.db  48.0 KiB, 1 row, 0.12 s");
        assert_eq!([1023, 1024, 1 << 30, 1 << 50].map(size), ["1023 B", "1.0 KiB", "1.0 GiB", "1024.0 TiB"]);
    }
}
