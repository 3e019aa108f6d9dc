//! A system: its processes, addresses and data, in one of three shapes with the same vocabulary.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Reply, raw};
use super::process::{Exit, Process, Ready, superapp};
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

    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Gateway => "gateway",
            Role::Users => "users",
            Role::Chat => "chat",
            Role::Analytics => "analytics",
        }
    }
}

/// One of the processes of a role, counted from 0.
type Instance = (Role, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    AllInOne,
    Roles,
    Production,
}

impl Shape {
    /// How many processes play a role.
    fn instances(self, role: Role) -> usize {
        match (self, role) {
            (Shape::Production, Role::Gateway | Role::Users) => 2,
            (Shape::Production, Role::Chat) => 3,
            _ => 1,
        }
    }
}

/// The servers that the processes share in production.
struct Servers {
    database: DatabaseServer,
    redis: servers::Redis,
}

enum DatabaseServer {
    /// A database on the server that all tests share.
    Shared(servers::Database),
    /// A server of its own, to be stopped and killed.
    Own(servers::Postgres),
}

/// A system that is not started yet.
pub(crate) struct Setup {
    shape: Shape,
    set: Vec<String>,
    has_own_postgres: bool,
}

impl Setup {
    /// Everything in one process.
    pub(crate) fn all_in_one() -> Self {
        Self::of(Shape::AllInOne)
    }

    /// A process per role.
    pub(crate) fn roles() -> Self {
        Self::of(Shape::Roles)
    }

    /// Several processes per role, on PostgreSQL and Redis.
    pub(crate) fn production() -> Self {
        Self::of(Shape::Production)
    }

    fn of(shape: Shape) -> Self {
        Self { shape, set: Vec::new(), has_own_postgres: false }
    }

    /// In production, a PostgreSQL that no other test uses.
    pub(crate) fn with_own_postgres(mut self) -> Self {
        self.has_own_postgres = true;
        self
    }

    /// One more setting, for every process: `chat.rate_burst=1000`.
    pub(crate) fn set(mut self, assignment: &str) -> Self {
        self.set.push(assignment.to_owned());
        self
    }

    /// Starts it, and waits until the gateway says that everything is well.
    pub(crate) async fn start(self) -> System {
        self.start_as("pass").await
    }

    /// Starts it, and waits until the gateway says that this is how it is.
    pub(crate) async fn start_as(self, status: &str) -> System {
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        let folder = TempDir::new().unwrap();
        let (shape, set, processes, addresses) = (self.shape, self.set, HashMap::new(), HashMap::new());
        let servers = (shape == Shape::Production).then(|| Servers {
            database: match self.has_own_postgres {
                true => DatabaseServer::Own(servers::Postgres::start()),
                false => DatabaseServer::Shared(servers::Database::create()),
            },
            redis: servers::Redis::start(),
        });
        let mut system = System { shape, set, processes, servers, folder, addresses, client };
        match system.shape {
            Shape::AllInOne => system.start(Role::Gateway).await,
            Shape::Roles | Shape::Production => {
                for role in Role::ALL {
                    system.start(role).await;
                }
            }
        }
        eventually("it is as expected", async || system.get("/").await.json()["status"] == status).await;
        system
    }
}

/// A running system.
pub(crate) struct System {
    shape: Shape,
    set: Vec<String>,
    /// The all-in-one is the gateway's.
    processes: HashMap<Instance, Process>,
    servers: Option<Servers>,
    folder: TempDir,
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

    /// Several processes per role, on PostgreSQL and Redis.
    pub(crate) async fn production() -> Self {
        Setup::production().start().await
    }

    /// Whether all roles are one process.
    pub(crate) fn is_all_in_one(&self) -> bool {
        self.shape == Shape::AllInOne
    }

    /// Whether it is on PostgreSQL and Redis.
    pub(crate) fn is_production(&self) -> bool {
        self.shape == Shape::Production
    }

    /// Where the SQLite files are.
    pub(crate) fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Where a role listens; of several replicas, the first.
    pub(crate) fn address(&self, role: Role) -> SocketAddr {
        self.replicas(role)[0]
    }

    /// Where all replicas of a role listen.
    pub(crate) fn replicas(&self, role: Role) -> Vec<SocketAddr> {
        let instances = 0..self.shape.instances(role);
        instances.flat_map(|index| self.addresses[&name((role, index))].clone()).collect()
    }

    /// The port for operators of the process that plays `role`: the gateway's, or where `users.admin_listen` and so on are set.
    pub(crate) fn admin(&self, role: Role) -> SocketAddr {
        self.addresses[&admin((self.player(role), 0))][0]
    }

    /// The log of the process that plays `role`; of several, one after the other.
    pub(crate) fn log(&self, role: Role) -> Vec<String> {
        self.instances(role).filter_map(|instance| self.processes.get(&instance)).flat_map(Process::log).collect()
    }

    /// The Redis of a production system.
    pub(crate) fn redis(&self) -> &servers::Redis {
        &self.servers.as_ref().expect("a production system").redis
    }

    /// The PostgreSQL of a system that has its own.
    pub(crate) fn postgres(&self) -> &servers::Postgres {
        match self.servers.as_ref().map(|servers| &servers.database) {
            Some(DatabaseServer::Own(postgres)) => postgres,
            _ => panic!("the system has no PostgreSQL of its own"),
        }
    }

    /// Runs statements in the database of a production system, as its owner; the rows of the last as text.
    pub(crate) fn sql(&self, statements: &str) -> Vec<Vec<String>> {
        servers::run(&self.database_url(), statements)
    }

    /// Runs a statement in a transaction that stays open until this is dropped.
    pub(crate) fn hold(&self, statement: &str) -> servers::Held {
        servers::hold(&self.database_url(), statement)
    }

    /// Where the database of a production system is.
    pub(crate) fn database_url(&self) -> String {
        match &self.servers.as_ref().expect("a production system").database {
            DatabaseServer::Shared(database) => database.url(),
            DatabaseServer::Own(postgres) => postgres.url(),
        }
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

    /// `POST` anywhere.
    pub(crate) async fn post_at(&self, address: SocketAddr, path: &str, body: &Value) -> Reply {
        Reply::of(self.client.post(format!("http://{address}{path}")).json(body)).await
    }

    /// `PATCH` anywhere.
    pub(crate) async fn patch_at(&self, address: SocketAddr, path: &str, body: &Value) -> Reply {
        Reply::of(self.client.patch(format!("http://{address}{path}")).json(body)).await
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

    /// `kill -9` of each process that plays `role`.
    pub(crate) async fn kill(&mut self, role: Role) {
        for instance in self.instances(role) {
            self.processes.remove(&instance).expect("it runs").kill();
        }
    }

    /// `kill -9` of one of the processes that play `role`.
    pub(crate) fn kill_one(&mut self, role: Role, index: usize) {
        self.processes.remove(&(role, index)).expect("it runs").kill();
    }

    /// Starts one of the processes that play `role` again.
    pub(crate) async fn start_one(&mut self, role: Role, index: usize) {
        self.start_instance((role, index)).await;
    }

    /// SIGSTOP to one of the processes that play `role`, until [`System::resume`].
    pub(crate) fn pause(&self, role: Role, index: usize) {
        self.processes[&(role, index)].pause();
    }

    /// SIGCONT.
    pub(crate) fn resume(&self, role: Role, index: usize) {
        self.processes[&(role, index)].resume();
    }

    /// SIGTERM to each process that plays `role`, and waits until they have [`System::ended`].
    pub(crate) async fn stop(&mut self, role: Role) {
        self.terminate(role);
        self.ended(role).await;
    }

    /// SIGTERM to each process that plays `role`, without waiting.
    pub(crate) fn terminate(&self, role: Role) {
        for instance in self.instances(role) {
            self.processes[&instance].terminate();
        }
    }

    /// Waits until each process that plays `role` has ended by itself, with exit 0.
    pub(crate) async fn ended(&mut self, role: Role) {
        for instance in self.instances(role) {
            assert_eq!(self.processes.remove(&instance).expect("it runs").ended().await, Some(0), "{instance:?}");
        }
    }

    /// Waits until the process that plays `role` has ended by itself; its exit code.
    pub(crate) async fn exit_code(&mut self, role: Role) -> Option<i32> {
        self.processes.remove(&(self.player(role), 0)).expect("it runs").ended().await
    }

    /// Stops everything politely; [`System::start_all`] starts it again, on the same addresses.
    pub(crate) async fn stop_all(&mut self) {
        for role in self.players().into_iter().rev() {
            self.stop(role).await;
        }
    }

    /// Starts everything that was stopped, and waits until the gateway says that it is well.
    pub(crate) async fn start_all(&mut self) {
        for role in self.players() {
            self.start(role).await;
        }
        eventually("it is well again", async || self.get("/").await.json()["status"] == "pass").await;
    }

    fn players(&self) -> Vec<Role> {
        if self.is_all_in_one() { vec![Role::Gateway] } else { Role::ALL.to_vec() }
    }

    /// Runs a command on the data of this system, such as `["backup", "/somewhere"]`, to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Exit {
        let path = std::env::var("PATH").unwrap();
        self.run_with(arguments, &[("PATH", &path)]).await
    }

    /// The same with this environment, and nothing else in it but where the data is.
    pub(crate) async fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Exit {
        let place = self.place();
        let mut environment = environment.to_vec();
        environment.push((place.0, &place.1));
        superapp(arguments, &environment).await
    }

    /// Where the data is, as the environment tells it.
    pub(crate) fn place(&self) -> (&'static str, String) {
        match &self.servers {
            None => ("SUPERAPP__DATA_DIR", self.data_dir().display().to_string()),
            Some(_) => ("DATABASE_URL", self.database_url()),
        }
    }

    /// Removes all data, as a lost disk does. Nothing may be running.
    pub(crate) fn wipe(&self) {
        if self.is_production() {
            self.sql("drop schema users, chat, analytics cascade");
            return;
        }
        for entry in std::fs::read_dir(self.data_dir()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    /// Lets no process write beyond this place in a file, as if the disk were full; `None` lifts it.
    pub(crate) fn limit_file_size(&self, bytes: Option<u64>) {
        for process in self.processes.values() {
            process.limit_file_size(bytes);
        }
    }

    /// Starts each process that plays `role`, on the addresses it had before, if it had any.
    pub(crate) async fn start(&mut self, role: Role) {
        for instance in self.instances(role) {
            self.start_instance(instance).await;
        }
    }

    async fn start_instance(&mut self, instance: Instance) {
        let mut process = Process::spawn(&self.arguments(instance), &[]);
        let ready = process.ready().await;
        // Each process may have a port for operators, so its own name tells them apart.
        let names = ready.into_iter().map(|(role, list)| match role.as_str() {
            "admin" => (admin(instance), list),
            _ => (if instance.1 == 0 { role } else { name(instance) }, list),
        });
        self.addresses.extend(names.collect::<Vec<_>>());
        self.processes.insert(instance, process);
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

    /// The processes that do the work of `role`.
    fn instances(&self, role: Role) -> impl Iterator<Item = Instance> + use<> {
        let player = self.player(role);
        (0..self.shape.instances(player)).map(move |index| (player, index))
    }

    fn arguments(&self, instance: Instance) -> Vec<String> {
        let (role, index) = instance;
        let mut set = match &self.servers {
            None => vec![format!("data_dir={}", self.data_dir().display())],
            Some(servers) => vec![format!("database_url={}", self.database_url()), format!("redis_url={}", servers.redis.url())],
        };
        let chat_replicas = if self.shape == Shape::Production { 1 } else { 2 };
        for (role, replicas) in [(Role::Gateway, 1), (Role::Users, 1), (Role::Chat, chat_replicas), (Role::Analytics, 1)] {
            set.push(format!("{}.listen={}", role.name(), self.listens(&name((role, index)), replicas)));
        }
        set.push(format!("gateway.admin_listen={}", self.listens(&admin((Role::Gateway, index)), 1)));
        if role == Role::Gateway && !self.is_all_in_one() {
            for role in [Role::Users, Role::Chat, Role::Analytics] {
                set.push(format!("gateway.clusters.{}.endpoints={}", role.name(), list(&self.replicas(role))));
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

/// The first process of a role has its name, the others a number.
fn name((role, index): Instance) -> String {
    if index == 0 { role.name().to_owned() } else { format!("{}.{index}", role.name()) }
}

fn admin(instance: Instance) -> String {
    format!("{}.admin", name(instance))
}

fn list(addresses: &[SocketAddr]) -> String {
    json!(addresses).to_string()
}
