//! What does not cross from one process to another without Redis.

use crate::roles::Role;
use crate::settings::{Data, Place};

/// Says it once, at start, where it matters.
pub(super) fn what_does_not_cross(role: Role, data: &Data) {
    if data.redis.is_some() {
        return;
    }
    let notice = match role {
        Role::All | Role::Gateway => return,
        Role::Users => "without Redis, happenings of users do not reach analytics in another process, and no rows are kept near",
        Role::Chat if matches!(data.chat, Place::Folder(_)) => {
            "without Redis, happenings of chat do not reach analytics in another process; \
             all replicas of chat must be in this one (chat.listen takes a list)"
        }
        Role::Chat => {
            "without Redis, happenings of chat do not reach analytics in another process; \
             messages reach other replicas of chat through the database, up to a second later"
        }
        Role::Analytics => "without Redis, happenings of users and chat in other processes are not heard; events over HTTP are",
    };
    tracing::warn!("{notice}");
}
