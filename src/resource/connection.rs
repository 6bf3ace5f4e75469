//! How a host is reached: what planning tells the world about each.

use std::time::Duration;

use coxswain_model::Object;
use zeroize::Zeroizing;

use super::reading::{flag, text, whole};

/// Seconds to wait for a connection where none are given; as in the schema.
const CONNECT_TIMEOUT_S: i128 = 10;
/// Longest wait for a connection: an hour.
pub(super) const CONNECT_TIMEOUT_MAX_S: i128 = 3600;

/// How to become root on a host.
#[derive(Clone, PartialEq, Eq)]
pub enum Sudo {
    /// Not at all.
    No,
    /// `sudo -n`.
    Passwordless,
    /// `sudo -S`, the password over standard input.
    Password(Zeroizing<String>),
}

/// How to reach a host.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// Name or IP address.
    pub address: String,
    /// TCP port; the ssh configuration's where none is given.
    pub port: Option<u16>,
    /// Ports to try where nobody answers there: those that coxswain has sshd listen on.
    pub other_ports: Vec<u16>,
    /// Login name; the ssh configuration's where none is given.
    pub user: Option<String>,
    /// How to become root.
    pub sudo: Sudo,
    /// `[user@]host[:port]` to go through.
    pub jump: Option<String>,
    /// The public key line the host must show; `known_hosts` where none is given.
    pub host_key: Option<String>,
    /// Private key file; the ssh configuration's where none is given.
    pub identity_file: Option<String>,
    /// The machine id this host had when it was first reached.
    pub machine_id: Option<String>,
    /// Limit on connecting.
    pub timeout: Duration,
}

/// How to reach the host that these arguments describe. The machine id is the state's to add. What is not known
/// counts as not given.
pub fn connection(args: &Object) -> Connection {
    let owned = |name: &str| text(args, name).map(str::to_owned);
    let sudo = match text(args, "sudo_password") {
        Some(password) => Sudo::Password(Zeroizing::new(password.to_owned())),
        None if flag(args, "sudo") == Some(true) => Sudo::Passwordless,
        None => Sudo::No,
    };
    let seconds = whole(args, "connect_timeout").unwrap_or(CONNECT_TIMEOUT_S).clamp(1, CONNECT_TIMEOUT_MAX_S);
    Connection {
        address: owned("address").unwrap_or_default(),
        port: whole(args, "port").and_then(|p| u16::try_from(p).ok()),
        other_ports: Vec::new(),
        user: owned("user"),
        sudo,
        jump: owned("jump"),
        host_key: owned("host_key"),
        identity_file: owned("identity_file"),
        machine_id: None,
        timeout: Duration::from_secs(u64::try_from(seconds).expect("the number was clamped")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::reading::fixture::obj;

    #[test]
    fn connection_from_arguments() {
        let plain = connection(&obj(json!({ "address": "a" })));
        assert!(plain.sudo == Sudo::No && plain.port.is_none());
        assert_eq!(plain.timeout, Duration::from_secs(10));
        let full = json!({ "address": "a", "port": 2222, "user": "u", "sudo": true, "connect_timeout": 3 });
        let full = connection(&obj(full));
        assert!(full.sudo == Sudo::Passwordless && full.port == Some(2222));
        assert_eq!((full.user.as_deref(), full.timeout), (Some("u"), Duration::from_secs(3)));
        let secret = connection(&obj(json!({ "address": "a", "sudo_password": "p" })));
        assert!(secret.sudo == Sudo::Password(Zeroizing::new("p".into())));
    }
}
