//! Our gateway as a proxy under test.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::proxy::Place;

/// The words that start the gateway alone, all settings but addresses at their defaults. It counts its cores and finds one.
pub(crate) fn proxy(place: &Place, binary: &Path) -> anyhow::Result<Vec<String>> {
    let Place { folder, listen, users, chat, .. } = place;
    let mut settings = vec![
        format!("gateway.listen={listen}"),
        "gateway.admin_listen=127.0.0.1:0".to_owned(),
        format!("gateway.clusters.users.endpoints=[\"{users}\"]"),
        format!("gateway.clusters.chat.endpoints=[\"{chat}\"]"),
        // Nothing is asked of it; it is there so that all are well.
        format!("gateway.clusters.analytics.endpoints=[\"{users}\"]"),
    ];
    if has_access_log(binary)? {
        settings.push(format!("gateway.access_log={:?}", folder.join("access.log").to_string_lossy()));
    }
    let mut words = vec![binary.to_string_lossy().into_owned(), "gateway".to_owned()];
    words.extend(settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]));
    Ok(words)
}

/// Builds from before the access log can be compared too.
fn has_access_log(binary: &Path) -> anyhow::Result<bool> {
    let config = Command::new(binary)
        .arg("config")
        .output()
        .with_context(|| format!("start {}: build it first with `cargo build --release`", binary.display()))?;
    Ok(String::from_utf8_lossy(&config.stdout).contains("access_log"))
}
