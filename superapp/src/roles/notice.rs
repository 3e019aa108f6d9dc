//! What does not cross from one process to another without Redis.

use crate::roles::Role;

/// Says it once, at start, where it matters.
pub(super) fn what_does_not_cross(role: Role) {
    let notice = match role {
        Role::All | Role::Gateway => return,
        Role::Users => "without Redis, happenings of users do not reach analytics in another process",
        Role::Chat => {
            "without Redis, happenings of chat do not reach analytics in another process; \
             all replicas of chat must be in this one (chat.listen takes a list)"
        }
        Role::Analytics => "without Redis, happenings of users and chat in other processes are not heard; events over HTTP are",
    };
    tracing::warn!("{notice}");
}
