//! The real world: this machine and hosts over SSH, each behind one persistent shell.
//!
//! ```text
//! read, act ─Endpoint→ slot (one at a time) ─shell, made when needed→ script → frames → answers
//! ```
//!
//! Everything at one endpoint is serial; different endpoints are independent. A read whose shell turns out to be dead
//! is asked again over a new one; an act never is: whether it happened must be observed first.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Mutex as AsyncMutex;

use super::script::acts::{parse_acts, title};
use super::script::{ActOptions, Nonce, compile_acts, compile_probes, ping};
use super::shell::{Request, Shell, ShellError, Transcript};
use super::ssh::{Control, Greeted};
use super::{Connection, World, WorldError, local, ssh};
use crate::resource::act::{Act, ActDone};
use crate::resource::answer::Answer;
use crate::resource::kind::{Endpoint, HostId};
use crate::resource::probe::Probe;

/// What a part of a read may print: base64 of the longest content, with room.
const READ_BYTES: usize = 4 << 20;
/// What a program's output is cut to, for each stream.
const ACT_BYTES: usize = 64 * 1024;
/// A shell idle for longer is asked whether it lives before it is given acts.
const IDLE: Duration = Duration::from_secs(15);
/// The limit on that question.
const PING: Duration = Duration::from_secs(10);

/// What a run may do to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Probes only; every act is refused before anything is sent.
    ReadOnly,
    /// Probes and acts.
    ReadWrite,
}

/// How the world is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the run may do.
    pub mode: Mode,
    /// Absolute path of the directory for contents kept on this machine; made 0700 when first needed.
    pub store: PathBuf,
    /// Limit on one round of reads.
    pub read_limit: Duration,
    /// Where the directory of control sockets is made; `None`: `$XDG_RUNTIME_DIR` or `/tmp`.
    pub runtime: Option<PathBuf>,
    /// The ssh configuration instead of the user's own and the system's.
    pub ssh_config: Option<PathBuf>,
    /// Where relative paths of this machine start; `None`: the working directory.
    pub directory: Option<PathBuf>,
}

impl Options {
    /// The usual options; `COXSWAIN_SSH_CONFIG` names another ssh configuration.
    pub fn new(mode: Mode, store: PathBuf) -> Options {
        Options {
            mode,
            store,
            read_limit: Duration::from_secs(60),
            runtime: None,
            directory: None,
            ssh_config: std::env::var_os("COXSWAIN_SSH_CONFIG").filter(|p| !p.is_empty()).map(PathBuf::from),
        }
    }
}

/// This machine, and hosts over SSH.
pub struct RealWorld {
    options: Options,
    control: AsyncMutex<Option<Arc<Control>>>,
    controller: Arc<Slot>,
    hosts: Mutex<BTreeMap<HostId, Arc<Slot>>>,
}

/// One endpoint: how it is reached, and its shell once it was.
struct Slot {
    name: String,
    connection: Mutex<Option<Connection>>,
    /// The only port that counts, while a step that changes it is confirmed and afterwards.
    port: Mutex<Option<u16>>,
    live: AsyncMutex<Option<Live>>,
    /// Whether it ever was.
    was_reached: AtomicBool,
}

struct Live {
    shell: Shell,
    made_with: Option<Connection>,
    machine_id: String,
    used: Instant,
}

impl Live {
    /// Whether it would be made the same way now. A machine id that is told later is compared with what the
    /// host said: pinning it costs no new connection.
    fn fits(&self, wanted: Option<Connection>) -> bool {
        match (&self.made_with, wanted) {
            (None, None) => true,
            (Some(made), Some(mut wanted)) => {
                let is_same_machine = wanted.machine_id.as_ref().is_none_or(|id| *id == self.machine_id);
                wanted.machine_id.clone_from(&made.machine_id);
                is_same_machine && *made == wanted
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

impl Slot {
    fn new(name: String, connection: Option<Connection>) -> Arc<Slot> {
        Arc::new(Slot {
            name,
            connection: Mutex::new(connection),
            port: Mutex::new(None),
            live: AsyncMutex::new(None),
            was_reached: AtomicBool::new(false),
        })
    }
    fn connection(&self) -> Option<Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn error(&self, error: ShellError) -> WorldError {
        let endpoint = self.name.clone();
        match error {
            ShellError::Timeout { limit } => WorldError::Timeout { endpoint, limit },
            ShellError::Ended { .. } | ShellError::Noise(_) => {
                WorldError::Broken { endpoint, reason: error.to_string() }
            }
        }
    }
}

/// A nonce from the system's generator.
pub(super) fn nonce() -> Nonce {
    Nonce::from_bits(rand::random())
}

impl RealWorld {
    /// A world without connections; each is made when first needed.
    pub fn new(options: Options) -> RealWorld {
        RealWorld {
            options,
            control: AsyncMutex::new(None),
            controller: Slot::new(Endpoint::Controller.to_string(), None),
            hosts: Mutex::new(BTreeMap::new()),
        }
    }

    /// A path as scripts take it: on this machine, relative ones start at the root directory of the configuration.
    fn placed(&self, at: &Endpoint, path: &str) -> String {
        match &self.options.directory {
            Some(directory) if *at == Endpoint::Controller && !path.starts_with('/') => {
                let tidy =
                    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/");
                format!("{}/{tidy}", directory.to_string_lossy().trim_end_matches('/'))
            }
            Some(_) | None => path.to_owned(),
        }
    }

    fn placed_probe(&self, at: &Endpoint, probe: &Probe) -> Probe {
        match probe {
            Probe::Stat(path) => Probe::Stat(self.placed(at, path)),
            Probe::Digest(path) => Probe::Digest(self.placed(at, path)),
            Probe::Content(path) => Probe::Content(self.placed(at, path)),
            Probe::Facts
            | Probe::User(_)
            | Probe::Group(_)
            | Probe::Package(_)
            | Probe::Unit(_)
            | Probe::Says { .. } => probe.clone(),
        }
    }

    fn placed_act(&self, at: &Endpoint, act: &Act) -> Act {
        let mut act = act.clone();
        match &mut act {
            Act::WriteFile { path, .. }
            | Act::MakeDir { path, .. }
            | Act::SetPermissions { path, .. }
            | Act::RemoveFile { path, .. }
            | Act::RemoveDir { path }
            | Act::Keep { path, .. }
            | Act::Restore { path, .. }
            | Act::Sweep { path, .. } => *path = self.placed(at, path),
            Act::Arm { revert, .. } => {
                *revert = revert.iter().map(|act| self.placed_act(at, act)).collect();
            }
            Act::Drop { .. } | Act::Hold { .. } | Act::Resume | Act::Disarm { .. } | Act::Run { .. } => {}
        }
        act
    }

    /// Ends all connections and removes their control directory. The world may be used again.
    pub async fn close(&self) {
        let mut slots: Vec<Arc<Slot>> = vec![Arc::clone(&self.controller)];
        slots.extend(self.hosts.lock().unwrap_or_else(PoisonError::into_inner).values().cloned());
        for slot in slots {
            slot.live.lock().await.take();
        }
        self.control.lock().await.take();
    }

    fn slot(&self, at: &Endpoint) -> Result<Arc<Slot>, WorldError> {
        match at {
            Endpoint::Nowhere => Err(WorldError::Failed {
                endpoint: at.to_string(),
                what: "ask".to_owned(),
                reason: "there is no world behind it".to_owned(),
            }),
            Endpoint::Controller => Ok(Arc::clone(&self.controller)),
            Endpoint::Host(host) => {
                let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
                hosts.get(host.as_ref()).cloned().ok_or_else(|| WorldError::Unreachable {
                    endpoint: at.to_string(),
                    reason: "nobody said how".to_owned(),
                })
            }
        }
    }

    async fn control(&self, slot: &Slot) -> Result<Arc<Control>, WorldError> {
        let mut control = self.control.lock().await;
        if let Some(control) = control.as_ref() {
            return Ok(Arc::clone(control));
        }
        let made = Control::make(self.options.runtime.as_deref(), self.options.ssh_config.clone());
        let made = Arc::new(made.map_err(|e| WorldError::Failed {
            endpoint: slot.name.clone(),
            what: "make a directory for connections".to_owned(),
            reason: e.to_string(),
        })?);
        *control = Some(Arc::clone(&made));
        Ok(made)
    }

    /// A new shell at the endpoint.
    async fn start(&self, slot: &Slot) -> Result<Live, WorldError> {
        let connection = slot.connection();
        let Greeted { shell, machine_id } = match &connection {
            None => local::start(self.options.directory.as_deref())
                .map(|shell| Greeted { shell, machine_id: String::new() })
                .map_err(|e| WorldError::Unreachable {
                    endpoint: slot.name.clone(),
                    reason: e.to_string(),
                })?,
            Some(connection) => {
                let control = self.control(slot).await?;
                let only = *slot.port.lock().unwrap_or_else(PoisonError::into_inner);
                ssh::start_at_any(&slot.name, connection, only, &control).await?
            }
        };
        slot.was_reached.store(true, Ordering::Relaxed);
        Ok(Live { shell, made_with: connection, machine_id, used: Instant::now() })
    }

    /// The shell of the endpoint if there is one that was made as we would make it now.
    fn take(slot: &Slot, live: &mut Option<Live>) -> Option<Live> {
        live.take().filter(|live| live.fits(slot.connection()))
    }

    /// A shell that is known to live.
    async fn lively(&self, slot: &Slot, live: &mut Option<Live>) -> Result<Live, WorldError> {
        let Some(mut old) = RealWorld::take(slot, live) else { return self.start(slot).await };
        if old.used.elapsed() < IDLE {
            return Ok(old);
        }
        let nonce = nonce();
        let text = ping(&nonce);
        let request =
            Request { text: &text, nonce: &nonce, limit_bytes: 0, limit: PING, progress: &|_: &str| {} };
        match old.shell.run(&request).await {
            Ok(_) => Ok(old),
            Err(_) => {
                drop(old);
                self.start(slot).await
            }
        }
    }
}

/// Runs a script and puts the shell back if it kept its word.
async fn exchange(
    mut with: Live,
    live: &mut Option<Live>,
    request: &Request<'_>,
) -> Result<Transcript, ShellError> {
    let transcript = with.shell.run(request).await?;
    with.used = Instant::now();
    *live = Some(with);
    Ok(transcript)
}

#[async_trait]
impl World for RealWorld {
    fn introduce(&self, host: &Arc<HostId>, connection: Connection) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = hosts.get(host.as_ref()) {
            *slot.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        } else {
            let name = host.address.to_string();
            hosts.insert(host.as_ref().clone(), Slot::new(name, Some(connection)));
        }
    }

    async fn read(&self, at: &Endpoint, probes: &[Probe]) -> Result<Vec<Answer>, WorldError> {
        if probes.is_empty() {
            return Ok(Vec::new());
        }
        let slot = self.slot(at)?;
        let nonce = nonce();
        let placed: Vec<Probe> = probes.iter().map(|p| self.placed_probe(at, p)).collect();
        let script = compile_probes(&placed, &nonce);
        let request = Request {
            text: &script.text,
            nonce: &nonce,
            limit_bytes: READ_BYTES,
            limit: self.options.read_limit,
            progress: &|_: &str| {},
        };
        let mut live = slot.live.lock().await;
        if let Some(old) = RealWorld::take(&slot, &mut live) {
            match exchange(old, &mut live, &request).await {
                Ok(transcript) => return Ok(script.parse(&transcript.out)),
                Err(ShellError::Ended { .. }) => {}
                Err(error) => return Err(slot.error(error)),
            }
        }
        let new = self.start(&slot).await?;
        let transcript = exchange(new, &mut live, &request).await.map_err(|e| slot.error(e))?;
        Ok(script.parse(&transcript.out))
    }

    async fn act(
        &self,
        at: &Endpoint,
        acts: &[Act],
        limit: Duration,
        progress: &(dyn for<'line> Fn(&'line str) + Send + Sync),
    ) -> Result<Vec<ActDone>, WorldError> {
        let Some(first) = acts.first() else { return Ok(Vec::new()) };
        if self.options.mode == Mode::ReadOnly {
            return Err(WorldError::ReadOnly { endpoint: at.to_string(), what: title(first) });
        }
        let slot = self.slot(at)?;
        let acts: Vec<Act> = acts.iter().map(|act| self.placed_act(at, act)).collect();
        let acts = acts.as_slice();
        let store = self.options.store.to_string_lossy();
        let options = ActOptions { store: (*at == Endpoint::Controller).then_some(store.as_ref()), limit };
        let nonce = nonce();
        let script = compile_acts(acts, &nonce, options).map_err(|(index, reason)| WorldError::Failed {
            endpoint: at.to_string(),
            what: title(&acts[index]),
            reason,
        })?;
        let request = Request { text: &script.text, nonce: &nonce, limit_bytes: ACT_BYTES, limit, progress };
        let mut live = slot.live.lock().await;
        let with = self.lively(&slot, &mut live).await?;
        let transcript = exchange(with, &mut live, &request).await.map_err(|e| slot.error(e))?;
        parse_acts(&slot.name, acts, &transcript.out, &transcript.err)
    }

    fn reroute(&self, at: &Endpoint, port: Option<u16>) {
        if let Ok(slot) = self.slot(at) {
            *slot.port.lock().unwrap_or_else(PoisonError::into_inner) = port;
        }
    }

    fn behind(&self, at: &Endpoint) -> Vec<Endpoint> {
        let Some(way) = self.slot(at).ok().and_then(|slot| slot.connection()) else { return Vec::new() };
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let leads_here = |slot: &Slot| {
            slot.was_reached.load(Ordering::Relaxed)
                && slot.connection().is_some_and(|c| c.leads_through(&way.address))
        };
        let found = hosts.iter().filter(|(_, slot)| leads_here(slot));
        found.map(|(host, _)| Endpoint::Host(Arc::new(host.clone()))).collect()
    }

    async fn knock(&self, at: &Endpoint) -> Result<(), WorldError> {
        let slot = self.slot(at)?;
        self.start(&slot).await.map(drop)
    }

    async fn close(&self) {
        RealWorld::close(self).await;
    }

    async fn disconnect(&self, at: &Endpoint) {
        if let Ok(slot) = self.slot(at) {
            slot.live.lock().await.take();
        }
    }
}
