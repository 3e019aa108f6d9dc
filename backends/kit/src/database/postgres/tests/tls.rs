//! How the server is believed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;

/// A server whose certificate is for 127.0.0.1 and localhost, and those who vouch for it.
struct Secure {
    server: servers::Postgres,
    folder: tempfile::TempDir,
}

impl Secure {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = authority(&folder.path().join("ca.pem"));
        authority_of_others(folder.path());
        let key = KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).expect("names").signed_by(&key, &authority).expect("a certificate");
        let server = servers::Postgres::start();
        let data = server.folder();
        place(&data, "server.crt", &certificate.pem());
        place(&data, "server.key", &key.serialize_pem());
        server.stop();
        let settings = std::fs::read_to_string(data.join("postgresql.conf")).expect("settings");
        std::fs::write(data.join("postgresql.conf"), format!("{settings}\nssl = on\n")).expect("written");
        server.start_again();
        Self { server, folder }
    }

    fn url(&self, host: &str, query: &str) -> String {
        let folder = self.folder.path().display();
        self.server.url().replace("127.0.0.1", host) + "?" + &query.replace('@', &folder.to_string())
    }
}

fn authority(path: &Path) -> Issuer<'static, KeyPair> {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, path.display().to_string());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(path, params.self_signed(&key).expect("a certificate").pem()).expect("written");
    Issuer::new(params, key)
}

fn authority_of_others(folder: &Path) {
    authority(&folder.join("others.pem"));
    std::fs::write(folder.join("empty.pem"), "nothing here").expect("written");
}

/// A file that only the server's user may read, as it asks for.
fn place(data: &Path, name: &str, text: &str) -> PathBuf {
    let path = data.join(name);
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    let given = Command::new("chown").arg(format!("--reference={}", data.display())).arg(&path).status().expect("chown");
    assert!(given.success());
    path
}

async fn is_encrypted(url: &str) -> bool {
    let postgres = open(url).await;
    let mine = sql("select ssl from pg_stat_ssl where pid = pg_backend_pid()");
    postgres.query_one(mine, &[]).await.expect("an answer").get(0)
}

#[tokio::test]
async fn a_server_with_tls_is_believed_as_far_as_the_url_says() {
    let secure = Secure::start();
    for (host, query, expected) in [
        ("127.0.0.1", "sslmode=disable", false),
        ("127.0.0.1", "sslmode=prefer", true),
        ("127.0.0.1", "", true),
        ("127.0.0.1", "sslmode=require", true),
        ("127.0.0.1", "sslmode=require&sslrootcert=@/ca.pem", true),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=@/ca.pem", true),
        ("localhost", "sslmode=verify-full&sslrootcert=@/ca.pem", true),
    ] {
        assert_eq!(is_encrypted(&secure.url(host, query)).await, expected, "{host} {query}");
    }
    for (host, query, why) in [
        ("127.0.0.2", "sslmode=verify-full&sslrootcert=@/ca.pem", "certificate not valid for name \"127.0.0.2\""),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=@/others.pem", "UnknownIssuer"),
        ("127.0.0.1", "sslmode=require&sslrootcert=@/others.pem", "UnknownIssuer"),
        ("127.0.0.1", "sslmode=verify-full", "UnknownIssuer"),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=@/missing.pem", "missing.pem: No such file"),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=@/empty.pem", "empty.pem: there is no certificate in it"),
    ] {
        let url = secure.url("HOST", query);
        let url = if host == "127.0.0.2" {
            url.replace("HOST", "127.0.0.2").replace('?', "?hostaddr=127.0.0.1&")
        } else {
            url.replace("HOST", host)
        };
        let started = Instant::now();
        let error = error_of(&url).await;
        assert!(matches!(&error, Error::Unavailable(text) if text.contains(why)), "{query}: {error:?}");
        assert!(started.elapsed() < Duration::from_secs(2), "{query}: nothing to wait for, {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_statement_whose_caller_is_gone_is_stopped_through_tls_too() {
    let secure = Secure::start();
    // The server does not look by itself, so it has to be told.
    let options = "options=-c%20client_connection_check_interval%3D0";
    let config = Config { statement_timeout_ms: 60_000, ..Config::for_tests() };
    let url = secure.url("localhost", &format!("sslmode=verify-full&sslrootcert=@/ca.pem&{options}"));
    let postgres = open_with(&url, &config).await.expect("a database");
    let running = async || {
        let running = sql("select from pg_stat_activity where query = 'select pg_sleep(50)' and state = 'active'");
        postgres.query(running, &[]).await.expect("an answer").len()
    };
    let started = Instant::now();
    let mut long = Box::pin(postgres.query(sql("select pg_sleep(50)"), &[]));
    until("the server is at it", async || {
        assert!(tokio::time::timeout(Duration::from_millis(10), &mut long).await.is_err());
        running().await == 1
    })
    .await;
    drop(long);
    until("it has ended", async || running().await == 0).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_without_tls_is_used_only_when_that_is_allowed() {
    let server = servers::Postgres::start();
    for query in ["", "?sslmode=prefer", "?sslmode=disable"] {
        assert!(!is_encrypted(&format!("{}{query}", server.url())).await, "{query}");
    }
    let started = Instant::now();
    let error = error_of(&format!("{}?sslmode=require", server.url())).await;
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("server does not support TLS")), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(2), "nothing to wait for, {:?}", started.elapsed());
}

#[tokio::test]
async fn a_socket_in_the_file_system_needs_no_name() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("permissions");
    let setting = format!("unix_socket_directories={}", folder.path().display());
    let server = servers::Postgres::start_with(&[&setting]);
    let host = folder.path().display().to_string().replace('/', "%2F");
    let url = server.url().replace("127.0.0.1", &host);
    assert!(!is_encrypted(&url).await);
}
