//! `superapp health`: is a running system ready? For health checks of containers.

use anyhow::bail;
use http::StatusCode;

use crate::client::Client;
use crate::settings::{Settings, Sources};

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

/// Says in a line for each what `/readyz` answers; anything but 200 is an error.
pub(crate) async fn run(urls: Vec<String>) -> anyhow::Result<()> {
    for url in urls {
        let (status, body) = Client::new(&url)?.get("/readyz").await?;
        let said = String::from_utf8_lossy(&body);
        if status != StatusCode::OK {
            bail!("{url} is not ready: {status} {}", said.trim().replace('\n', " "));
        }
        println!("{url} is ready: {}", said.trim());
    }
    Ok(())
}
