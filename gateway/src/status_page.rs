//! The status as a page for people, rendered here: it needs no script, so the policy it is served with allows none.

use std::fmt::Write;

use crate::{ServiceStatus, Status};

const TEMPLATE: &str = include_str!("status.html");

/// The page. `nonce` names the one style element the policy allows.
pub(crate) fn render(status: &Status, nonce: &str) -> String {
    let services = [("users", &status.services.users), ("chat", &status.services.chat), ("analytics", &status.services.analytics)];
    let mut rows = String::new();
    for (name, service) in services {
        write_service(&mut rows, name, service);
    }
    TEMPLATE
        .replace("{nonce}", nonce)
        .replace("{status}", status.status.as_str())
        .replace("{version}", &escape(status.version))
        .replace("{uptime_s}", &status.uptime_s.to_string())
        // Last, so that nothing a replica said is taken for a placeholder.
        .replace("{rows}", &rows)
}

/// The policy to serve it with.
pub(crate) fn content_security_policy(nonce: &str) -> String {
    format!("default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
}

fn write_service(rows: &mut String, name: &str, service: &ServiceStatus) {
    let health = service.status.as_str();
    // Writing to a String cannot fail.
    let _ = writeln!(rows, "<tr class=\"service\"><th>{name}</th><td class=\"{health}\">{health}</td><td></td><td></td></tr>");
    for replica in &service.replicas {
        let health = replica.status.as_str();
        let latency = replica.latency_ms.map(|ms| format!("{ms:.2} ms")).unwrap_or_default();
        let sockets = replica.sockets.map(|open| format!("{open} sockets ")).unwrap_or_default();
        let checks = replica.checks.as_ref().map(ToString::to_string).unwrap_or_default();
        let said = replica.error.as_deref().unwrap_or(&checks);
        let _ = writeln!(
            rows,
            "<tr><td>{}</td><td class=\"{health}\">{health}</td><td>{latency}</td><td>{sockets}{}</td></tr>",
            escape(&replica.address),
            escape(said),
        );
    }
}

pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Health, Replica, Services};

    #[test]
    fn what_a_replica_says_stays_text() {
        let replica = Replica {
            address: "127.0.0.1:1".to_owned(),
            status: Health::Warn,
            latency_ms: Some(1.5),
            checked_at: None,
            checks: Some(serde_json::json!({"x": "<script>alert('{status}')</script>"})),
            error: None,
            sockets: Some(3),
        };
        let empty = ServiceStatus { status: Health::Fail, replicas: Vec::new() };
        let users = ServiceStatus { status: Health::Warn, replicas: vec![replica] };
        let services = Services { users, chat: empty.clone(), analytics: empty };
        let page = render(&Status { status: Health::Fail, services, version: "1", uptime_s: 2 }, "abc");
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;{status}&#39;)"), "{page}");
        assert!(page.contains("<style nonce=\"abc\">") && page.contains("3 sockets"), "{page}");
    }
}
