//! The project: its name and ports are its own, and it is taken down when it is dropped, with its data and its image.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use crate::random::Random;
use crate::support::Reply;

/// How long anything may take: PostgreSQL starts anew in it, and containers drain.
const LIMIT: Duration = Duration::from_secs(300);
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

pub(crate) struct Project {
    name: String,
    image: String,
    ports: HashMap<&'static str, u16>,
    environment: Vec<(String, String)>,
    http: reqwest::Client,
    /// Where its backups go. What is in there is root's.
    _backups: TempDir,
}

impl Project {
    /// Takes a name, and free ports for it.
    pub(crate) fn prepare() -> Self {
        let name = format!("superapp-test-{}", std::process::id());
        let image = format!("{name}:latest");
        let backups = tempfile::tempdir().unwrap();
        // Ranges first: they look for neighbours.
        let (users, analytics) = (free_range(4), free_range(4));
        let single: Vec<u16> = ["gateway", "chat", "postgres", "redis"].map(|_| free_range(1)).into();
        let ports = HashMap::from([
            ("users", users),
            ("analytics", analytics),
            ("gateway", single[0]),
            ("chat", single[1]),
            ("postgres", single[2]),
            ("redis", single[3]),
        ]);
        let mut environment: Vec<(String, String)> = [
            ("COMPOSE_PROJECT_NAME", name.clone()),
            ("SUPERAPP_IMAGE", image.clone()),
            ("SUPERAPP_TOOLS_IMAGE", format!("{name}-tools:latest")),
            ("SUPERAPP_BACKUPS", backups.path().display().to_string()),
            ("PROFILE", std::env::var("PROFILE").unwrap_or_else(|_| "release".to_owned())),
            ("SUPERAPP_USERS_PORTS", format!("{users}-{}", users + 3)),
            ("SUPERAPP_ANALYTICS_PORTS", format!("{analytics}-{}", analytics + 3)),
            // Settings of the shell: without them the clients here would be told that they talk too much.
            ("SUPERAPP__CHAT__RATE_PER_SECOND", "100000".to_owned()),
            ("SUPERAPP__CHAT__RATE_BURST", "100000".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        for (variable, port) in [("PORT", "gateway"), ("CHAT_PORT", "chat"), ("POSTGRES_PORT", "postgres"), ("REDIS_PORT", "redis")] {
            environment.push((format!("SUPERAPP_{variable}"), ports[port].to_string()));
        }
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { name, image, ports, environment, http, _backups: backups }
    }

    pub(crate) fn image(&self) -> &str {
        &self.image
    }

    /// The port of this machine that leads to a service; `chat` is the gateway, too.
    pub(crate) fn port(&self, service: &str) -> u16 {
        self.ports[service]
    }

    pub(crate) fn address(&self, service: &str) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port(service)))
    }

    // --- commands

    /// Runs a command to its end; what it wrote, or what it complained of.
    pub(crate) async fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.command(program, arguments);
        let output =
            tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap_or_else(|error| panic!("{program}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(ROOT).envs(self.environment.iter().cloned());
        command
    }

    /// `docker compose …`, which has to succeed.
    pub(crate) async fn compose(&self, arguments: &[&str]) -> String {
        let all = [&["compose"], arguments].concat();
        self.run("docker", &all).await.unwrap_or_else(|error| panic!("docker compose {arguments:?}: {error}"))
    }

    /// Builds the image, or takes one that is there: `SUPERAPP_TEST_IMAGE`.
    pub(crate) async fn build(&self) {
        match std::env::var("SUPERAPP_TEST_IMAGE") {
            Ok(image) => {
                self.run("docker", &["tag", &image, &self.image]).await.unwrap();
                let tools =
                    "FROM postgres:17\nCOPY --from={0} /usr/local/bin/superapp /usr/local/bin/superapp\nENTRYPOINT [\"superapp\"]\n";
                let build = format!("printf '{}' | docker build -q -t {}-tools -", tools.replace("{0}", &self.image), self.name);
                self.run("sh", &["-c", &build]).await.unwrap();
            }
            Err(_) => drop(self.compose(&["build", "gateway", "tools"]).await),
        }
    }

    /// Makes an image that is another one, though it does the same; its id.
    pub(crate) async fn change_image(&self) -> String {
        let build = format!("printf 'FROM {0}\\nLABEL changed=yes\\n' | docker build -q -t {0} -", self.image);
        self.run("sh", &["-c", &build]).await.unwrap();
        self.run("docker", &["image", "inspect", "--format", "{{.Id}}", &self.image]).await.unwrap().trim().to_owned()
    }

    /// Replaces the containers of a service by such of the image as it is now.
    pub(crate) async fn roll(&self, service: &str) {
        self.run("env", &["SUPERAPP_BUILD=no", "deploy/roll", service]).await.unwrap_or_else(|error| panic!("roll {service}: {error}"));
    }

    /// Asks the database, as this role and by its password.
    pub(crate) async fn psql(&self, user: &str, statement: &str) -> Result<String, String> {
        let url = format!("postgres://{user}:superapp_dev@127.0.0.1/superapp_db");
        let asked = ["compose", "exec", "-T", "postgres", "psql", &url, "-v", "ON_ERROR_STOP=1", "-Atc", statement];
        self.run("docker", &asked).await.map(|rows| rows.trim().to_owned())
    }

    /// Its containers, as `docker compose ps` has them.
    pub(crate) async fn containers(&self) -> Vec<Value> {
        let lines = self.compose(&["ps", "--format", "json"]).await;
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The containers of a service, stopped ones too.
    pub(crate) async fn ids(&self, service: &str) -> Vec<String> {
        self.compose(&["ps", "-aq", service]).await.lines().map(str::to_owned).collect()
    }

    /// The port of this machine that leads to the first container of a service: one of its range.
    pub(crate) async fn published(&self, service: &str, inside: u16) -> u16 {
        let address = self.compose(&["port", service, &inside.to_string()]).await;
        address.trim().rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in {address:?}"))
    }

    /// One thing about each container of a service.
    pub(crate) async fn inspect(&self, service: &str, format: &str) -> Vec<String> {
        let ids = self.ids(service).await;
        let ids = ids.iter().map(String::as_str);
        let arguments: Vec<&str> = ["inspect", "--format", format].into_iter().chain(ids).collect();
        self.run("docker", &arguments).await.unwrap().lines().map(str::to_owned).collect()
    }

    /// What a container shows to operators, asked on the engine's own network.
    pub(crate) async fn metrics(&self, service: &str) -> String {
        let address = self.inspect(service, "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}").await;
        let address = address[0].split_whitespace().next().expect("an address").to_owned();
        Reply::of(self.http.get(format!("http://{address}:9901/metrics"))).await.text().to_owned()
    }

    // --- requests

    /// `GET` at the gateway.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_at(self.port("gateway"), path).await
    }

    pub(crate) async fn get_at(&self, port: u16, path: &str) -> Reply {
        Reply::of(self.http.get(format!("http://127.0.0.1:{port}{path}"))).await
    }

    pub(crate) async fn sign_up(&self, name: &str) -> Value {
        let reply = Reply::of(self.http.post(self.url("/users")).json(&crate::user(name))).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port("gateway"))
    }

    pub(crate) fn http(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// What `GET /` says of everything.
    pub(crate) async fn status(&self) -> Value {
        self.get("/").await.json()
    }

    pub(crate) async fn eventually(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        wait(what, async || holds(&self.status().await)).await;
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.command("docker", &["compose", "ps", "-a"]).status();
            let _ = self.command("docker", &["compose", "logs", "--tail", "30"]).status();
        }
        for arguments in
            [&["compose", "down", "-v", "--remove-orphans", "-t", "5"][..], &["rmi", "-f", &self.image, &format!("{}-tools", self.name)]]
        {
            if let Err(error) = self.command("docker", arguments).output() {
                eprintln!("{} may still be there: docker {arguments:?}: {error}", self.name);
            }
        }
    }
}

/// Waits until `condition` holds.
pub(crate) async fn wait(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < LIMIT, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The first of so many free ports in a row. Below those that the kernel gives to clients: by the time a service is scaled, one of
/// our own sockets might have taken it.
fn free_range(count: u16) -> u16 {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let mut random = Random::new(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64);
    let mut candidates = (0..1000).map(|_| 10_000 + u16::try_from(random.below(20_000)).unwrap());
    candidates.find(|first| (*first..first + count).all(is_free)).unwrap_or_else(|| panic!("no {count} free ports in a row"))
}
