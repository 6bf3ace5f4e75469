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

impl Connection {
    /// Whether the way leads through the host with this address.
    pub fn leads_through(&self, address: &str) -> bool {
        self.jump.iter().flat_map(|jump| jump.split(',')).any(|hop| jump_address(hop) == address)
    }
}

/// The address of `[user@]host[:port]`, where an IPv6 address with a port stands in brackets.
fn jump_address(hop: &str) -> &str {
    let place = hop.rsplit_once('@').map_or(hop, |(_, place)| place);
    if let Some((address, _)) = place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    match place.split_once(':') {
        Some((address, port)) if !port.contains(':') => address,
        Some(_) | None => place,
    }
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
    fn ways_lead_through_jump_hosts() {
        let through = |jump: &str, address: &str| {
            connection(&obj(json!({ "address": "a", "jump": jump }))).leads_through(address)
        };
        for jump in ["192.0.2.1", "u@192.0.2.1", "192.0.2.1:2222", "u@192.0.2.1:22", "x,u@192.0.2.1:22"] {
            assert!(through(jump, "192.0.2.1"), "{jump}");
        }
        assert!(through("u@[2001:db8::1]:22", "2001:db8::1") && through("2001:db8::1", "2001:db8::1"));
        assert!(!through("192.0.2.10", "192.0.2.1") && !through("", "192.0.2.1"));
        assert!(!connection(&obj(json!({ "address": "192.0.2.1" }))).leads_through("192.0.2.1"));
    }

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
