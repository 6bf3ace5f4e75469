//! The line to a state at another machine: the user's own `ssh`, with configuration, agent and keys as for hosts.

use std::io;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use coxswain_state::{Dial, KEEPER_COMMAND, Line, RemoteBackend};

use crate::config::SshPlace;
use crate::world::real::{Mode, Options as WorldOptions};
use crate::world::ssh::Control;
use crate::world::{Connection, Sudo};

/// Seconds for a connection.
const CONNECT_S: u64 = 15;
/// How long an answer may take: a disk that syncs may be slow, a network that is gone is told sooner, by `ssh`.
const ANSWER: Duration = Duration::from_secs(60);

/// A state at another machine.
pub(super) fn backend(place: &SshPlace, env: Option<&str>) -> RemoteBackend {
    let below = env.map(|env| format!("/env/{env}")).unwrap_or_default();
    let ssh = Ssh { place: place.clone(), control: Mutex::new(None) };
    RemoteBackend::new(format!("{}{below}", place.url), format!("{}{below}", place.dir), ssh)
}

struct Ssh {
    place: SshPlace,
    /// Made with the first line.
    control: Mutex<Option<Control>>,
}

impl Dial for Ssh {
    fn dial(&self) -> io::Result<Line> {
        let place = &self.place;
        let connection = Connection {
            address: place.address.clone(),
            port: place.port,
            other_ports: Vec::new(),
            user: place.user.clone(),
            sudo: Sudo::No,
            jump: None,
            host_key: place.host_key.clone(),
            identity_file: place.identity_file.clone(),
            machine_id: None,
            timeout: Duration::from_secs(CONNECT_S),
        };
        crate::world::ssh::check(&connection).map_err(io::Error::other)?;
        let mut made = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        let control = match made.as_mut() {
            Some(control) => control,
            None => {
                // The same configuration as for hosts.
                let options = WorldOptions::new(Mode::ReadOnly, std::path::PathBuf::new());
                made.insert(Control::make(options.runtime.as_deref(), options.ssh_config)?)
            }
        };
        let config = control.configure(&connection, None)?;
        let mut command = Command::new("ssh");
        command.arg("-F").arg(config).arg("-T");
        // A shared connection would end with whoever made it.
        for option in [
            "ControlMaster=no",
            "ControlPath=none",
            "ClearAllForwardings=yes",
            "RemoteCommand=none",
            "ServerAliveInterval=5",
            &format!("ConnectTimeout={CONNECT_S}"),
        ] {
            command.args(["-o", option]);
        }
        if let Some(port) = place.port {
            command.args(["-p", &port.to_string()]);
        }
        if let Some(user) = &place.user {
            command.args(["-l", user]);
        }
        if let Some(file) = &place.identity_file {
            command.args(["-i", file]);
        }
        command.args(["--", &place.address, KEEPER_COMMAND]);
        Line::to(command, ANSWER)
    }
}
