//! The limits on what comes in over a socket: how large a frame may be, and how many may come.

use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::Config;

/// Bytes of a socket's buffers; small, since most sockets are idle most of the time.
const BUFFER_BYTES: usize = 4096;

/// The limits on frames, for the WebSocket protocol. A larger frame, or message of fragments, closes the socket with 1009.
pub(crate) fn frame_limits(config: &Config) -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(config.frame_bytes_max.get()))
        .max_frame_size(Some(config.frame_bytes_max.get()))
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
}

/// A token bucket: so many frames per second on average, so many at once.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    burst: f64,
    tokens: f64,
    counted_at: Instant,
}

impl Rate {
    pub(crate) fn new(config: &Config, now: Instant) -> Self {
        let burst = f64::from(config.rate_burst.get());
        Self { per_second: f64::from(config.rate_per_second.get()), burst, tokens: burst, counted_at: now }
    }

    /// Takes a frame, or says how long to wait.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let elapsed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        self.counted_at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_average() {
        let start = Instant::now();
        let mut rate = Rate { per_second: 20.0, burst: 40.0, tokens: 40.0, counted_at: start };
        assert_eq!((0..100).filter(|_| rate.take(start).is_ok()).count(), 40);
        assert_eq!(rate.take(start), Err(Duration::from_millis(50)));
        let later = start + Duration::from_millis(500);
        assert_eq!((0..100).filter(|_| rate.take(later).is_ok()).count(), 10);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| rate.take(much_later).is_ok()).count(), 40, "a long silence saves up one burst, not more");
    }
}
