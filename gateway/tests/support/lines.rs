//! The access log of a door.

use std::io::Write;
use std::sync::{Arc, Mutex};

use gateway::{AccessLog, Config};
use serde_json::Value;

use crate::support::Door;

/// What has been written so far.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// A door, and what it logs.
    pub async fn of_door(config: Config) -> (Door, Lines) {
        let lines = Lines::default();
        let log = AccessLog::to(lines.clone()).unwrap();
        (Door::open_with_log(config, Some(log)).await, lines)
    }

    /// Each is whole, and JSON.
    pub fn all(&self) -> Vec<Value> {
        let written = self.0.lock().unwrap();
        assert!(written.is_empty() || written.ends_with(b"\n"));
        let lines = written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap_or_else(|error| panic!("{error}: {}", line.escape_ascii()))).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
