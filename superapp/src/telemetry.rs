//! What the process tells of itself: logs and metrics. Everything else speaks through the `tracing` and `metrics` facades.

pub(crate) mod access;
pub(crate) mod logs;
pub(crate) mod metrics;
