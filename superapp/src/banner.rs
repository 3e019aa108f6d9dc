//! What is said when everything answers: a few lines for people on a terminal, one event in the log for machines.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use crate::roles::Addresses;
use crate::settings::Listen;

/// Whether someone is there to read it.
pub(crate) fn is_shown() -> bool {
    std::io::stdout().is_terminal()
}

/// What is said.
pub(crate) struct Ready<'a> {
    pub(crate) addresses: &'a Addresses,
    /// The gateway serves a web app.
    pub(crate) has_app: bool,
    /// Where the data is.
    pub(crate) data: &'a str,
    /// What is in it.
    pub(crate) contents: &'a [String],
    pub(crate) startup: Duration,
}

/// Says that the parts are ready.
pub(crate) fn ready(ready: &Ready<'_>) {
    let is_terminal = is_shown();
    if is_terminal {
        let text = banner(ready);
        // A terminal that is gone is no reason to stop.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
    // Twice on the same screen would be once too often.
    if !is_terminal || !std::io::stderr().is_terminal() {
        log(ready);
    }
}

/// Tests and scripts wait for this event. Where a role has several addresses, they are separated by commas.
fn log(&Ready { addresses, data, startup, .. }: &Ready<'_>) {
    let join = |listens: &[Listen]| {
        let reached: Vec<String> = listens.iter().map(|listen| listen.reached_at().to_string()).collect();
        (!reached.is_empty()).then(|| reached.join(","))
    };
    tracing::info!(
        gateway = join(&addresses.gateway),
        users = join(&addresses.users),
        chat = join(&addresses.chat),
        analytics = join(&addresses.analytics),
        admin = join(&addresses.admin),
        data = (!data.is_empty()).then_some(data),
        startup_ms = u64::try_from(startup.as_millis()).unwrap_or(u64::MAX),
        "ready"
    );
}

fn banner(&Ready { addresses, has_app, data, contents, startup }: &Ready<'_>) -> String {
    let mut text = format!("\nSuperApp {} is ready after {} ms.\n\n", env!("CARGO_PKG_VERSION"), startup.as_millis());
    let parts = [
        ("gateway", "http", addresses.gateway.as_slice(), ""),
        ("app", "http", addresses.gateway.get(..usize::from(has_app)).unwrap_or_default(), "/app/"),
        ("users", "http", addresses.users.as_slice(), ""),
        ("chat", "ws", &addresses.chat, "/ws"),
        ("analytics", "http", &addresses.analytics, ""),
        ("metrics", "http", &addresses.admin, "/metrics"),
    ];
    for (name, scheme, listens, path) in parts {
        let urls: Vec<String> = listens.iter().map(|listen| format!("{scheme}://{}{path}", listen)).collect();
        if !urls.is_empty() {
            line(&mut text, name, &urls.join("  "));
        }
    }
    if !data.is_empty() {
        let inside = if contents.is_empty() { String::new() } else { format!("  ({})", contents.join(", ")) };
        line(&mut text, "data", &format!("{data}{inside}"));
    }
    if let Some(gateway) = addresses.gateway.first() {
        text.push_str("\nTry in another terminal:\n\n");
        for command in [
            format!("curl {gateway}/"),
            format!(
                "curl -X POST {gateway}/users -H 'Content-Type: application/json' -d '{{\"name\":\"John Doe\",\"email\":\"john@example.com\"}}'"
            ),
            format!("npx -y wscat -c 'ws://{gateway}/ws?user=alice'"),
        ] {
            line(&mut text, "", &command);
        }
    }
    text.push_str("\nCtrl-C stops it.\n\n");
    text
}

fn line(text: &mut String, name: &str, what: &str) {
    let indented = if name.is_empty() { writeln!(text, "  {what}") } else { writeln!(text, "  {name:<10} {what}") };
    indented.expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_has_the_addresses_the_data_and_something_to_try() {
        let addresses = Addresses {
            gateway: vec![Listen::Localhost(8080)],
            users: vec![Listen::Localhost(3001)],
            chat: vec![Listen::Localhost(3002), Listen::Localhost(3012)],
            analytics: vec![],
            admin: vec![],
        };
        let contents = ["2 users".to_owned()];
        let ready =
            Ready { addresses: &addresses, has_app: true, data: "/srv/data", contents: &contents, startup: Duration::from_millis(120) };
        let text = banner(&ready);
        for expected in [
            "ready after 120 ms",
            "  gateway    http://localhost:8080\n",
            "  app        http://localhost:8080/app/\n",
            "  chat       ws://localhost:3002/ws  ws://localhost:3012/ws\n",
            "  data       /srv/data  (2 users)\n",
            "  curl localhost:8080/\n",
            "wscat -c 'ws://localhost:8080/ws?user=alice'",
        ] {
            assert!(text.contains(expected), "{expected}\nis not in\n{text}");
        }
        assert!(!text.contains("analytics") && !text.contains("metrics"));
        assert!(!banner(&Ready { has_app: false, ..ready }).contains("/app/"));
    }
}
