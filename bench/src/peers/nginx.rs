//! nginx: as a proxy under test, and as the backend that all proxies stand before. What both have in common is `head`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::proxy::Place;

/// The words that start nginx as a proxy: one worker, kept connections on both sides, and a log like HAProxy's, buffered.
pub(crate) fn proxy(place: &Place) -> anyhow::Result<Vec<String>> {
    let Place { folder, listen, users, chat, .. } = place;
    let tuned = if place.is_tuned { "proxy_buffers 8 32k; proxy_buffer_size 32k; proxy_busy_buffers_size 64k;" } else { "" };
    // Temporary files off: a large answer that waits for its reader would be written to the disk.
    let text = format!(
        r#"{head}
    log_format timed '$remote_addr:$remote_port [$time_local] $upstream_addr $request_time $upstream_connect_time '
                     '$upstream_header_time $upstream_response_time $status $bytes_sent $connection_requests "$request"';
    access_log access.log timed buffer=64k flush=1s;
    upstream users {{ server {users}; keepalive 1024; keepalive_requests 1000000000; }}
    upstream chat {{ server {chat}; }}
    proxy_http_version 1.1;
    proxy_max_temp_file_size 0;
    {tuned}
    server {{
        listen {listen} backlog=4096;
        location /users {{ proxy_pass http://users; proxy_set_header Connection ""; {forwarded} }}
        location = /ws {{
            proxy_pass http://chat;
            proxy_set_header Connection upgrade;
            proxy_set_header Upgrade $http_upgrade;
            {forwarded}
            proxy_read_timeout 90s;
        }}
    }}
}}
"#,
        head = head(),
        // A location with a header of its own inherits none.
        forwarded = "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; \
            proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;",
    );
    write(folder, &text)
}

/// The words that start the backend: answers of 200 B, 16 KB and 1 MB below `/users`, and the health the gateway asks for.
pub(crate) fn backend(folder: &Path, listen: SocketAddr) -> anyhow::Result<Vec<String>> {
    let files = folder.join("users");
    fs::create_dir_all(&files)?;
    fs::write(files.join("16kb"), vec![b'x'; 16 * 1024])?;
    fs::write(files.join("1mb"), vec![b'x'; 1024 * 1024])?;
    let text = format!(
        r#"{head}
    access_log off;
    open_file_cache max=16;
    server {{
        listen {listen} backlog=4096;
        root {folder};
        location = /users/200b {{ return 200 "{body}"; }}
        location = /readyz {{ default_type application/json; return 200 '{{"status":"pass"}}'; }}
    }}
}}
"#,
        head = head(),
        folder = folder.display(),
        body = "x".repeat(200),
    );
    write(folder, &text)
}

/// One worker, which reads files of this user; no limit on requests of a connection, so that none is made anew while one counts.
fn head() -> String {
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        r#"{user}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;"#
    )
}

fn write(folder: &Path, text: &str) -> anyhow::Result<Vec<String>> {
    let config = folder.join("nginx.conf");
    fs::write(&config, text)?;
    let words = ["nginx", "-p", &folder.to_string_lossy(), "-e", "stderr", "-c", &config.to_string_lossy()];
    Ok(words.map(str::to_owned).into())
}
