//! `superapp health`: is a running system ready? For health checks of containers.

use std::time::{Duration, Instant};

use anyhow::bail;
use http::StatusCode;
use tokio::time::sleep;

use crate::client::Client;
use crate::settings::{Settings, Sources};

/// How soon it asks again.
const PAUSE: Duration = Duration::from_millis(100);

/// Whom to ask: a URL as it is written, or each replica of a role where the settings say that it listens.
pub(crate) fn urls(of: String, sources: &Sources) -> anyhow::Result<Vec<String>> {
    if of.contains("://") {
        return Ok(vec![of]);
    }
    let urls = Settings::load(sources)?.urls(&of);
    if urls.is_empty() {
        bail!("{of} is neither a role (gateway, users, chat, analytics) nor a URL: give http://HOST:PORT");
    }
    Ok(urls)
}

/// Says in a line for each what `/readyz` answers; anything but 200 is an error, once it has been that for as long as `wait`.
pub(crate) async fn run(urls: Vec<String>, wait: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + wait;
    for url in urls {
        let said = loop {
            match ask(&url).await {
                Ok(said) => break said,
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => sleep(PAUSE).await,
            }
        };
        println!("{url} is ready: {said}");
    }
    Ok(())
}

async fn ask(url: &str) -> anyhow::Result<String> {
    let (status, body) = Client::new(url)?.get("/readyz").await?;
    let said = String::from_utf8_lossy(&body).trim().replace('\n', " ");
    match status {
        StatusCode::OK => Ok(said),
        _ => bail!("{url} is not ready: {status} {said}"),
    }
}
