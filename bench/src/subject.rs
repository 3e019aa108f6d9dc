//! The process that is looked at.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// A superapp on free ports.
pub(crate) struct Subject {
    child: Child,
    /// `host:port` of its door.
    pub(crate) gateway: String,
    /// From the start of the process to the first 200 of `/readyz`.
    pub(crate) ready_after: Duration,
}

impl Subject {
    /// Starts the binary on `folder` and asks `/readyz` until it says yes.
    pub(crate) async fn start(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        Self::start_with(binary, folder, &[]).await
    }

    /// The same with more settings.
    pub(crate) async fn start_with(binary: &Path, folder: &Path, settings: &[String]) -> anyhow::Result<Self> {
        // Known before the process is, so that asking can begin at once.
        let gateway = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.to_string();
        let started = Instant::now();
        let mut child = Command::new(binary)
            .args(["--set", &format!("data_dir={:?}", folder.to_string_lossy())])
            .args(["--set", &format!("gateway.listen={gateway}"), "--set", "gateway.admin_listen=127.0.0.1:0"])
            .args(["--set", "users.listen=127.0.0.1:0", "--set", r#"chat.listen=["127.0.0.1:0","127.0.0.1:0"]"#])
            .args(["--set", "analytics.listen=127.0.0.1:0"])
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}: build it first with `cargo build --release`", binary.display()))?;
        let mut log = BufReader::new(child.stderr.take().context("no log")?).lines();
        // What it says is only of interest when it ends.
        let said = tokio::spawn(async move {
            let mut last = String::new();
            while let Ok(Some(line)) = log.next_line().await {
                last = line;
            }
            last
        });
        while !is_ready(&gateway).await {
            if let Some(status) = child.try_wait()? {
                anyhow::bail!("it ended with {status}: {}", said.await?);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(Self { child, gateway, ready_after: started.elapsed() })
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        let id = self.child.id().context("it has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}

async fn is_ready(gateway: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(gateway).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.starts_with("HTTP/1.1 200"))
    };
    ask.await.unwrap_or(false)
}
