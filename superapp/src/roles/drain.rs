//! Stopping politely: what is in flight is finished, and nothing else is waited for.
//!
//! 1. The door accepts no more; its answers end their connections.
//! 2. Requests at the door get a moment to finish or to reach their replica; then chat says goodbye to its sockets, which also
//!    ends their tunnels through the door. A request that has reached chat is finished by chat, so none is lost by this.
//! 3. Requests at the door get all the time there is; tunnels whose chat has said goodbye do not.
//! 4. When the door is empty, users finish what came to them directly. What they and chat have told goes out, which takes two
//!    seconds at most where Redis is away. Analytics ends last, for what the others have told it. The stores close with them.

use std::time::Duration;

use gateway::Gateway;
use tokio::time::{Instant, timeout, timeout_at};

use super::start::{Part, Running};

/// By then a request in flight at the door has reached its replica, however long it may take there.
const REACHED: Duration = Duration::from_secs(1);
/// What backends get in any case, also when the door has used up all the time.
const LAST_CHANCE: Duration = Duration::from_secs(2);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Ends everything within about `limit`.
pub(super) async fn drain(mut running: Running, limit: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    running.door.stop.cancel();
    if let Some(gateway) = &running.gateway {
        // Running out of time is fine, see above.
        let _ = timeout(REACHED.min(limit), no_plain_requests(gateway)).await;
    }
    running.chat.stop.cancel();
    let has_chat = !running.chat.tasks.is_empty();
    finish("chat", &mut running.chat, deadline).await?;
    if let Some(gateway) = &running.gateway {
        let _ = timeout_at(deadline, no_plain_requests(gateway)).await;
    }
    let tunnels_until = if has_chat { deadline.min(Instant::now() + LAST_CHANCE) } else { deadline };
    finish("gateway", &mut running.door, tunnels_until).await?;
    running.users.stop.cancel();
    let deadline = deadline.max(Instant::now() + LAST_CHANCE.min(limit));
    finish("users", &mut running.users, deadline).await?;
    if let Some(bus) = &running.bus {
        bus.flush().await;
    }
    running.analytics.stop.cancel();
    finish("analytics", &mut running.analytics, deadline).await?;
    running.operators.stop.cancel();
    finish("admin", &mut running.operators, Instant::now() + LAST_CHANCE).await
}

async fn finish(name: &str, part: &mut Part, deadline: Instant) -> anyhow::Result<()> {
    match timeout_at(deadline, part.tasks.finished()).await {
        Ok(finished) => finished,
        Err(_) => {
            tracing::warn!("{name}: not everything was finished within gateway.drain_s, the rest is cut off");
            Ok(())
        }
    }
}

/// Waits until what is left at the door are sockets.
async fn no_plain_requests(gateway: &Gateway) {
    while gateway.in_flight() > sockets(gateway) {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn sockets(gateway: &Gateway) -> usize {
    gateway.status().services.chat.replicas.iter().filter_map(|replica| replica.sockets).sum()
}
