//! HAProxy as a proxy under test.

use std::fs;

use super::proxy::Place;

/// The words that start HAProxy: one thread, kept connections on both sides, its usual HTTP log.
///
/// HAProxy has no buffered log file. To a pipe or a file it makes a system call for each line; a ring in memory that is
/// mapped from a file is the cheapest that ends in one, and the nearest to nginx's buffer.
///
/// It keeps no connection to a backend once a quarter of its descriptors are in use, which 1,000 clients reach; without the two
/// ratios such a load would cost it twice as much.
pub(crate) fn proxy(place: &Place) -> anyhow::Result<Vec<String>> {
    let Place { folder, listen, users, chat, .. } = place;
    let (buffers, splice) = if place.is_tuned { ("tune.bufsize 32768", "option splice-response") } else { ("", "") };
    let text = format!(
        r#"global
    nbthread 1
    maxconn 2000
    tune.pool-low-fd-ratio 90
    tune.pool-high-fd-ratio 95
    {buffers}
    log ring@access format raw local0

ring access
    format raw
    maxlen 1024
    size 16777216
    backing-file {log}

defaults
    mode http
    log global
    option httplog
    timeout connect 500ms
    timeout client 75s
    timeout server 30s
    timeout tunnel 90s
    http-reuse always
    {splice}

frontend door
    bind {listen} backlog 4096
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    use_backend chat if {{ path /ws }}
    default_backend users

backend users
    server users {users}

backend chat
    server chat {chat}
"#,
        log = folder.join("access.log").display(),
    );
    let config = folder.join("haproxy.cfg");
    fs::write(&config, text)?;
    Ok(["haproxy", "-db", "-f", &config.to_string_lossy()].map(str::to_owned).into())
}
