//! `superapp health`: is a running system ready? For health checks of containers.

use anyhow::bail;
use http::StatusCode;

use crate::client::Client;

/// Says in one line what `/readyz` answers; anything but 200 is an error.
pub(crate) async fn run(url: String) -> anyhow::Result<()> {
    let (status, body) = Client::new(&url)?.get("/readyz").await?;
    let said = String::from_utf8_lossy(&body);
    if status != StatusCode::OK {
        bail!("{url} is not ready: {status} {}", said.trim().replace('\n', " "));
    }
    println!("{url} is ready: {}", said.trim());
    Ok(())
}
