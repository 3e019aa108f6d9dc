//! What targets share.

use std::sync::LazyLock;

use gateway::Gateway;

/// A door with the settings of the binary; nobody is behind it.
pub static DOOR: LazyLock<Gateway> = LazyLock::new(|| {
    let mut all: toml::Table = include_str!("../../../superapp/config.default.toml").parse().expect("TOML");
    let mut settings = all.remove("gateway").and_then(|gateway| gateway.try_into::<toml::Table>().ok()).expect("a table");
    // The binary's own.
    for key in ["listen", "admin_listen", "access_log"] {
        settings.remove(key);
    }
    Gateway::new(settings.try_into().expect("settings of a gateway"), "0").expect("settings that can be right")
});
