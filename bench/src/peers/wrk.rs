//! Kept connections, each asking again as soon as it is answered: wrk, which costs its core least.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::process::Command;

use super::load::Load;

/// wrk's own report is rounded for people.
const REPORT: &str = r#"
done = function(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    local p50, p99 = latency:percentile(50), latency:percentile(99)
    io.write(string.format("report %d %d %d %d %d\n", failed, summary.requests, summary.duration, p50, p99))
end
"#;

/// Asks for `path` over so many connections. Half a second into it wrk begins to note latencies.
pub(crate) async fn requests(folder: &Path, proxy: SocketAddr, path: &str, connections: usize, seconds: u64) -> anyhow::Result<Load> {
    let script = folder.join("report.lua");
    std::fs::write(&script, REPORT)?;
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &connections.to_string(), "--duration", &format!("{seconds}s")])
        .args(["--timeout", "10s", "--script", &script.to_string_lossy(), &format!("http://{proxy}{path}")])
        .kill_on_drop(true)
        .output()
        .await
        .context("start wrk: deploy/need installs it")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let report = text.lines().find_map(|line| line.strip_prefix("report ")).with_context(|| format!("wrk says: {text}"))?;
    let numbers: Vec<u64> = report.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [failed, requests, took, p50, p99] = numbers[..] else { anyhow::bail!("wrk says: {text}") };
    anyhow::ensure!(failed == 0, "{failed} requests failed: {text}");
    let micros = Duration::from_micros;
    Ok(Load { requests: usize::try_from(requests)?, took: micros(took), p50: micros(p50), p99: micros(p99) })
}
