//! What can go wrong before the door is open. The binary prints it; requests never see these.

/// Why a gateway could not be built or could not go on serving.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An endpoint in the configuration is not `host:port`.
    #[error("gateway.clusters.{service}.endpoints: {endpoint:?} is not host:port ({reason})")]
    Endpoint {
        /// The cluster the endpoint belongs to.
        service: &'static str,
        /// The text as configured.
        endpoint: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A setting that has to be positive is zero.
    #[error("gateway.{key} must be greater than 0")]
    Zero {
        /// The key in the `gateway` section.
        key: &'static str,
    },
    /// A setting is larger than can be held.
    #[error("gateway.{key} must be at most {most}")]
    TooLarge {
        /// The key in the `gateway` section.
        key: &'static str,
        /// The largest value.
        most: usize,
    },
    /// Nobody knows how requests are to be balanced.
    #[error("gateway.clusters.{service}.balance: {balance:?} is none of least_latency, header:NAME, cookie:NAME, query:NAME, path:N")]
    Balance {
        /// The cluster it was set for.
        service: &'static str,
        /// The text as configured.
        balance: String,
    },
    /// An origin that no browser would send.
    #[error("gateway.allowed_origins: {origin:?} is no origin such as https://app.example ({reason})")]
    Origin {
        /// The text as configured.
        origin: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The path of health probes is no path.
    #[error("gateway.health_path must begin with a slash and contain no spaces")]
    HealthPath,
    /// A web app without the page it begins with.
    #[error("gateway.app_dir: there is no index.html in it; is it the folder of a built web app?")]
    NoIndex,
    /// A listener could not be taken over.
    #[error("take over listener: {0}")]
    Listener(#[from] std::io::Error),
    /// The accept loop ended although nobody asked it to.
    #[error("the accept loop stopped: {0}")]
    Stopped(String),
}
