//! The listening sockets of the roles this process plays.

use crate::listeners::Bound;
use crate::roles::Role;
use crate::settings::{Listen, Settings};

/// Bound sockets; a role that is not played has none.
pub(crate) struct Ports {
    pub(super) gateway: Vec<Bound>,
    pub(super) users: Vec<Bound>,
    /// A replica each.
    pub(super) chat: Vec<Bound>,
    pub(super) analytics: Vec<Bound>,
    /// They all show the metrics of this process.
    pub(super) admin: Vec<Bound>,
}

/// What was bound, for logs and people.
pub(crate) struct Addresses {
    pub(crate) gateway: Vec<Listen>,
    pub(crate) users: Vec<Listen>,
    pub(crate) chat: Vec<Listen>,
    pub(crate) analytics: Vec<Listen>,
    pub(crate) admin: Vec<Listen>,
}

impl Ports {
    pub(super) fn bind(settings: &Settings, role: Role) -> anyhow::Result<Self> {
        let wanted = [
            (Role::Gateway, "gateway", &settings.gateway.listen, settings.gateway.admin_listen),
            (Role::Users, "users", &settings.users.listen, settings.users.admin_listen),
            (Role::Chat, "chat", &settings.chat.listen, settings.chat.admin_listen),
            (Role::Analytics, "analytics", &settings.analytics.listen, settings.analytics.admin_listen),
        ];
        let mut ports = Self { gateway: Vec::new(), users: Vec::new(), chat: Vec::new(), analytics: Vec::new(), admin: Vec::new() };
        for (played, name, listens, admin) in wanted.into_iter().filter(|(played, ..)| role.plays(*played)) {
            let bound = Bound::all(&format!("{name}.listen"), listens)?;
            match played {
                Role::All | Role::Gateway => ports.gateway = bound,
                Role::Users => ports.users = bound,
                Role::Chat => ports.chat = bound,
                Role::Analytics => ports.analytics = bound,
            }
            ports.admin.extend(Bound::all(&format!("{name}.admin_listen"), admin.as_slice())?);
        }
        Ok(ports)
    }

    pub(super) fn addresses(&self) -> Addresses {
        let shown = |bound: &[Bound]| bound.iter().map(Bound::shown).collect();
        Addresses {
            gateway: shown(&self.gateway),
            users: shown(&self.users),
            chat: shown(&self.chat),
            analytics: shown(&self.analytics),
            admin: shown(&self.admin),
        }
    }
}
