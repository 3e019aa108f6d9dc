//! A system: its processes, addresses and data, in one of two shapes with the same vocabulary.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Reply, raw};
use super::process::{Process, Ready};
use super::socket::Socket;
use super::{LIMIT, eventually};

/// Who does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Gateway,
    Users,
    Chat,
    Analytics,
}

impl Role {
    /// In the order in which they start.
    const ALL: [Role; 4] = [Role::Analytics, Role::Users, Role::Chat, Role::Gateway];

    fn name(self) -> &'static str {
        match self {
            Role::Gateway => "gateway",
            Role::Users => "users",
            Role::Chat => "chat",
            Role::Analytics => "analytics",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    AllInOne,
    Roles,
}

/// A system that is not started yet.
pub(crate) struct Setup {
    shape: Shape,
    set: Vec<String>,
}

impl Setup {
    /// Everything in one process.
    pub(crate) fn all_in_one() -> Self {
        Self { shape: Shape::AllInOne, set: Vec::new() }
    }

    /// A process per role.
    pub(crate) fn roles() -> Self {
        Self { shape: Shape::Roles, set: Vec::new() }
    }

    /// One more setting, for every process: `chat.rate_burst=1000`.
    pub(crate) fn set(mut self, assignment: &str) -> Self {
        self.set.push(assignment.to_owned());
        self
    }

    /// Starts it, and waits until the gateway says that everything is well.
    pub(crate) async fn start(self) -> System {
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        let folder = TempDir::new().unwrap();
        let mut system = System { shape: self.shape, set: self.set, folder, processes: HashMap::new(), addresses: HashMap::new(), client };
        match system.shape {
            Shape::AllInOne => system.start(Role::Gateway).await,
            Shape::Roles => {
                for role in Role::ALL {
                    system.start(role).await;
                }
            }
        }
        eventually("everything is well", async || system.get("/").await.json()["status"] == "pass").await;
        system
    }
}

/// A running system.
pub(crate) struct System {
    shape: Shape,
    set: Vec<String>,
    folder: TempDir,
    /// By the role whose process it is; the all-in-one is the gateway's.
    processes: HashMap<Role, Process>,
    addresses: Ready,
    client: reqwest::Client,
}

impl System {
    /// Everything in one process.
    pub(crate) async fn all_in_one() -> Self {
        Setup::all_in_one().start().await
    }

    /// A process per role.
    pub(crate) async fn roles() -> Self {
        Setup::roles().start().await
    }

    /// Whether all roles are one process.
    pub(crate) fn is_all_in_one(&self) -> bool {
        self.shape == Shape::AllInOne
    }

    /// Where the SQLite files are.
    pub(crate) fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Where a role listens; of chat, the first replica.
    pub(crate) fn address(&self, role: Role) -> SocketAddr {
        self.addresses[role.name()][0]
    }

    /// Where the replicas of chat listen.
    pub(crate) fn chat_replicas(&self) -> Vec<SocketAddr> {
        self.addresses["chat"].clone()
    }

    /// The port for operators of the process that plays `role`: the gateway's, or where `users.admin_listen` and so on are set.
    pub(crate) fn admin(&self, role: Role) -> SocketAddr {
        self.addresses[&admin(self.player(role))][0]
    }

    /// The log of the process that plays `role`.
    pub(crate) fn log(&self, role: Role) -> Vec<String> {
        self.processes[&self.player(role)].log()
    }

    // --- talking to it, through the gateway

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// A request to add to, for [`System::send`].
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address(Role::Gateway)))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        Reply::of(request).await
    }

    /// `GET` anywhere: a backend's own port, the port for operators.
    pub(crate) async fn get_at(&self, address: SocketAddr, path: &str) -> Reply {
        Reply::of(self.client.get(format!("http://{address}{path}"))).await
    }

    /// Sends bytes that no decent client would; see [`raw`].
    pub(crate) async fn raw(&self, request: &[u8]) -> Reply {
        raw(self.address(Role::Gateway), request).await
    }

    /// A new user called `name`, with the address `name@example.com`; the JSON that was answered.
    pub(crate) async fn sign_up(&self, name: &str) -> Value {
        let reply = self.post("/users", &json!({ "name": name, "email": format!("{name}@example.com") })).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()
    }

    /// A chat socket of `user` through the gateway.
    pub(crate) async fn socket(&self, user: &str) -> Socket {
        Socket::open(self.address(Role::Gateway), &format!("user={user}")).await
    }

    /// A chat socket with a query of its own, such as `user=alice&room=ops`, at the gateway or a replica.
    pub(crate) async fn socket_at(&self, address: SocketAddr, query: &str) -> Socket {
        Socket::open(address, query).await
    }

    // --- life and death

    /// `kill -9` of the process that plays `role`.
    pub(crate) async fn kill(&mut self, role: Role) {
        let player = self.player(role);
        self.processes.remove(&player).expect("it runs").kill();
    }

    /// SIGTERM to the process that plays `role`, and waits until it has [`System::ended`].
    pub(crate) async fn stop(&mut self, role: Role) {
        self.terminate(role);
        self.ended(role).await;
    }

    /// SIGTERM to the process that plays `role`, without waiting.
    pub(crate) fn terminate(&self, role: Role) {
        self.processes[&self.player(role)].terminate();
    }

    /// Waits until the process that plays `role` has ended by itself, with exit 0.
    pub(crate) async fn ended(&mut self, role: Role) {
        assert_eq!(self.exit_code(role).await, Some(0));
    }

    /// Waits until the process that plays `role` has ended by itself; its exit code.
    pub(crate) async fn exit_code(&mut self, role: Role) -> Option<i32> {
        self.processes.remove(&self.player(role)).expect("it runs").ended().await
    }

    /// Lets no process write beyond this place in a file, as if the disk were full; `None` lifts it.
    pub(crate) fn limit_file_size(&self, bytes: Option<u64>) {
        for process in self.processes.values() {
            process.limit_file_size(bytes);
        }
    }

    /// Starts the process that plays `role`, on the addresses it had before, if it had any.
    pub(crate) async fn start(&mut self, role: Role) {
        let player = self.player(role);
        let mut process = Process::spawn(&self.arguments(player), &[]);
        let ready = process.ready().await;
        // Each process may have a port for operators, so its own name tells them apart.
        self.addresses.extend(ready.into_iter().map(|(name, list)| if name == "admin" { (admin(player), list) } else { (name, list) }));
        self.processes.insert(player, process);
    }

    /// Kills the process that plays `role` and starts it with more settings.
    pub(crate) async fn restart_with(&mut self, role: Role, set: &[&str]) {
        self.kill(role).await;
        self.set.extend(set.iter().map(|assignment| (*assignment).to_owned()));
        self.start(role).await;
    }

    /// The role whose process does the work of `role`.
    fn player(&self, role: Role) -> Role {
        if self.is_all_in_one() { Role::Gateway } else { role }
    }

    fn arguments(&self, role: Role) -> Vec<String> {
        let mut set = vec![format!("data_dir={}", self.data_dir().display())];
        for (name, key, replicas) in [
            ("gateway", "gateway.listen", 1),
            ("users", "users.listen", 1),
            ("chat", "chat.listen", 2),
            ("analytics", "analytics.listen", 1),
            (&admin(Role::Gateway), "gateway.admin_listen", 1),
        ] {
            set.push(format!("{key}={}", self.listens(name, replicas)));
        }
        if role == Role::Gateway && !self.is_all_in_one() {
            for name in ["users", "chat", "analytics"] {
                set.push(format!("gateway.clusters.{name}.endpoints={}", list(&self.addresses[name])));
            }
        }
        set.extend(self.set.iter().cloned());
        let role = if self.is_all_in_one() { "all" } else { role.name() };
        std::iter::once(role.to_owned()).chain(set.into_iter().flat_map(|assignment| ["--set".to_owned(), assignment])).collect()
    }

    /// The addresses that were taken at the first start, or free ones.
    fn listens(&self, name: &str, replicas: usize) -> String {
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let known = self.addresses.get(name).cloned().unwrap_or_else(|| vec![free; replicas]);
        match known.as_slice() {
            [one] => one.to_string(),
            many => list(many),
        }
    }
}

fn admin(role: Role) -> String {
    format!("{}.admin", role.name())
}

fn list(addresses: &[SocketAddr]) -> String {
    json!(addresses).to_string()
}
