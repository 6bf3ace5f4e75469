//! One configuration with its state and its world: what the commands use.
//!
//! ```text
//! open: files → Config, variables → Inputs, state (read, not locked)
//! plan: plan ⇄ observe until nothing is lacking
//! apply: lock → state still the plan's base? → journal → run → snapshot
//! ```

mod adopt;
mod files;
mod remote;
mod saved;
mod states;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coxswain_lang::SourceFile;
use coxswain_model::{Address, Diagnostic, Diagnostics, Schema};
use coxswain_state::{Digester, RunBegin, State};
use sha2::{Digest as _, Sha256};

pub use crate::apply::Interrupt;
use crate::apply::{self, Event, Summary};
use crate::config::{self, Config, Kinds};
use crate::graph::{GivenValue, Inputs};
pub use crate::plan::Selection;
pub use crate::plan::drift::{Drifted as DriftedInstance, Report as DriftReport};
use crate::plan::{self, Lacks, Mode, Plan, Progress, Seen, stored};
use crate::resource;
use crate::world::World;
pub use adopt::{AdoptRequest, Adoptable};
use files::Files;
pub use saved::read as read_plan;
pub use states::{HistoryEntry, read_state, state_history, state_move, state_remove};

/// Most rounds of reading one plan may take: the depth of values that need a read that needs a value.
const READ_ROUNDS: usize = 64;

/// The world that a caller puts in place of the machines; none for these.
#[derive(Clone, Default)]
pub struct GivenWorld(pub Option<Arc<dyn World>>);

impl std::fmt::Debug for GivenWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "a world of the caller's" } else { "the machines" })
    }
}

/// Where the state is kept, once that is known. A session knows it from its configuration; without one, the root
/// module's files are read for it.
#[derive(Debug, Clone, Default)]
pub struct KnownPlace(pub(self) Option<states::Place>);

/// What a session is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the state is kept.
    pub place: KnownPlace,
    /// Where reads are answered and acts are done.
    pub world: GivenWorld,
    /// Who is told what is waited for.
    pub notices: crate::observe::Notices,
    /// The root directory.
    pub root: PathBuf,
    /// `--env`.
    pub env: Option<String>,
    /// `--var`, in the order given.
    pub vars: Vec<(String, String)>,
    /// `--var-file`, in the order given.
    pub var_files: Vec<PathBuf>,
    /// Whether nothing but reads is allowed on hosts.
    pub read_only: bool,
    /// How many hosts or steps at once.
    pub parallelism: usize,
}

/// The files that were read, for rendering spans.
#[derive(Debug, Clone, Default)]
pub struct Sources(pub Vec<SourceFile>);

/// Why something could not be done.
#[derive(Debug, Clone)]
pub enum Failure {
    /// Problems of the configuration.
    Diagnostics(Diagnostics),
    /// Somebody else holds the lock: the full message.
    Busy(String),
    /// Anything else.
    Other {
        /// What was attempted.
        what: String,
        /// Why it failed.
        why: String,
        /// What to do next.
        next: String,
    },
}

impl Failure {
    fn other(what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Failure {
        Failure::Other { what: what.into(), why: why.into(), next: next.into() }
    }
}

/// What to plan.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// For what.
    pub mode: Mode,
    /// Of what.
    pub selection: Selection,
    /// Whether hosts that cannot be read are passed over.
    pub allow_unreachable: bool,
}

struct Registry;

impl Kinds for Registry {
    fn schema(&self, kind: &str) -> Option<&'static Schema> {
        resource::find(kind).map(|k| k.schema())
    }
    fn names(&self) -> Vec<&'static str> {
        resource::KINDS.iter().map(|k| k.schema()).filter(|s| s.documented).map(|s| s.kind).collect()
    }
}

/// One configuration with its state.
pub struct Session {
    options: Options,
    config: Config,
    inputs: Inputs,
    files: Files,
    warnings: Diagnostics,
    world: Arc<dyn World>,
}

impl Session {
    /// Reads and checks everything. The sources are there even on failure.
    pub fn open(mut options: Options) -> (Sources, Result<Session, Failure>) {
        let mut files = Files::default();
        if let Err(failure) = readable(&options.root) {
            return (Sources::default(), Err(failure));
        }
        let root = options.root.clone();
        let (config, mut problems) = config::load(&mut |dir| files.module(&root, dir), &Registry);
        let variables = variables::given(&options, &config, &mut files, &mut problems);
        problems.extend(undeclared(&config, &variables));
        let sources = Sources(files.sources.clone());
        if problems.iter().any(Diagnostic::is_error) {
            return (sources, Err(Failure::Diagnostics(problems)));
        }
        let inputs = Inputs { variables: declared(&config, variables), files: BTreeMap::new() };
        options.place = states::place(&options, &config);
        let session = states::world(&options).map(|world| Session {
            options,
            config,
            inputs,
            files,
            warnings: problems,
            world,
        });
        (sources, session)
    }

    /// What should be looked at.
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// Evaluates the configuration as far as it goes without any world.
    ///
    /// # Errors
    /// Every problem.
    pub fn validate(&mut self) -> Result<(), Failure> {
        let state = State::new("validate");
        let digester = Digester::new(zeroize::Zeroizing::new([0; coxswain_state::KEY_BYTES]));
        for _ in 0..READ_ROUNDS {
            let seen = Seen::default();
            let selection = Selection::default();
            let digest = |bytes: &[u8]| digester.digest(bytes);
            let progress = plan::plan(&self.request((&state, &seen), Mode::Apply, &selection, (&digest, "")));
            match progress {
                Progress::Wrong(problems) => {
                    return Err(Failure::Diagnostics(without_missing_variables(problems)));
                }
                Progress::Lack(lacks) if !lacks.files.is_empty() => self.read_files(&lacks),
                Progress::Lack(_) | Progress::Ready(_) => return Ok(()),
            }
        }
        Ok(())
    }

    fn request<'r>(
        &'r self,
        known: (&'r State, &'r Seen),
        mode: Mode,
        selection: &'r Selection,
        digests: (&'r stored::Digest<'r>, &'r str),
    ) -> plan::Request<'r> {
        plan::Request {
            config: &self.config,
            inputs: &self.inputs,
            state: known.0,
            seen: known.1,
            mode,
            selection,
            digest: digests.0,
            config_digest: digests.1,
            kinds: resource::find,
        }
    }

    fn read_files(&mut self, lacks: &Lacks) {
        for need in &lacks.files {
            let answer = files::answer(&self.options.root, need);
            self.inputs.files.insert(need.clone(), answer);
        }
    }

    /// Plans against the world as it is.
    ///
    /// # Errors
    /// Problems of the configuration, or of the state.
    pub async fn plan(&mut self, request: &PlanRequest) -> Result<Plan, Failure> {
        states::ensure(&self.options)?;
        let (state, digester) = states::load(&self.options)?;
        self.inputs.files.clear();
        let mut seen = Seen::default();
        for _ in 0..READ_ROUNDS {
            let digest = |bytes: &[u8]| digester.digest(bytes);
            let config_digest = self.config_digest(&digest);
            let progress = plan::plan(&self.request(
                (&state, &seen),
                request.mode,
                &request.selection,
                (&digest, &config_digest),
            ));
            match progress {
                Progress::Ready(plan) => return checked(*plan, request),
                Progress::Wrong(problems) => return Err(Failure::Diagnostics(problems)),
                Progress::Lack(lacks) => {
                    self.read_files(&lacks);
                    crate::observe::observe(&self.world, &lacks, &mut seen, &self.options.notices).await;
                }
            }
        }
        Err(Failure::other(
            "planning",
            format!("after {READ_ROUNDS} rounds of reading there were still reads lacking"),
            "report this with your configuration: it should not happen",
        ))
    }

    /// Digest of everything the plan was made from that people write.
    fn config_digest(&self, digest: &stored::Digest<'_>) -> String {
        let mut hash = Sha256::new();
        for (name, bytes) in &self.files.bytes {
            hash.update(name.as_bytes());
            hash.update([0]);
            if is_configuration(name) {
                hash.update(Sha256::digest(bytes));
            } else {
                // A file of variables may hold secrets short enough to be guessed from a digest without a key.
                hash.update(digest(bytes));
            }
        }
        for (name, value) in self.variable_values(digest) {
            hash.update(format!("{name}={value}\n").as_bytes());
        }
        format!("sha256:{}", hex::encode(hash.finalize()))
    }

    /// The given variables as a plan may keep them.
    fn variable_values(&self, digest: &stored::Digest<'_>) -> BTreeMap<String, serde_json::Value> {
        let sensitive = |name: &str| {
            self.config.modules.first().is_some_and(|m| m.variables.get(name).is_some_and(|v| v.sensitive))
        };
        let values = self.inputs.variables.iter().map(|(name, given)| {
            let value = match &given.value {
                GivenValue::Text(text) => serde_json::json!({ "$text": text }),
                GivenValue::Value(value) => coxswain_model::json::to_json_clear(value),
            };
            let value = if sensitive(name) {
                serde_json::json!({ "$digest": digest(value.to_string().as_bytes()) })
            } else {
                value
            };
            (name.to_string(), value)
        });
        values.collect()
    }

    /// Writes the plan to a file, with everything it needs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, plan: &Plan, path: &Path) -> Result<(), Failure> {
        saved::save(self, plan, path)
    }

    /// Reads a saved plan and makes the session it was made in.
    pub fn load_saved(options: Options, path: &Path) -> (Sources, Result<(Session, Plan), Failure>) {
        saved::load(options, path)
    }

    /// Carries out a plan.
    ///
    /// # Errors
    /// When somebody else holds the lock, the state has moved since the plan was made, or the journal cannot be
    /// written. What fails in the world is in the summary.
    pub async fn apply(
        &mut self,
        plan: &Plan,
        sink: &(dyn Fn(Event) + Send + Sync),
        interrupt: Arc<Interrupt>,
    ) -> Result<Summary, Failure> {
        let begin = RunBegin {
            run: uuid::Uuid::new_v4().to_string(),
            command: format!("{:?}", plan.mode).to_lowercase(),
            plan: plan.config_digest.clone(),
            at: states::now(),
        };
        let writer = states::Writer::open(&self.options, plan, begin)?;
        self.introduce(writer.state());
        let digester = writer.digester();
        let digest = |bytes: &[u8]| digester.digest(bytes);
        let state = writer.state().clone();
        let run = apply::Run {
            plan,
            config: &self.config,
            inputs: &self.inputs,
            state: &state,
            kinds: resource::find,
            digest: &digest,
            world: self.world.clone(),
            journal: &writer,
            sink,
            interrupt,
            parallelism: self.options.parallelism,
        };
        let summary = apply::run(&run).await.map_err(|why| {
            Failure::other(
                "writing the journal",
                why,
                "nothing more was started; mend the cause and apply again",
            )
        })?;
        writer.finish()?;
        Ok(summary)
    }

    /// Tells the world how the recorded hosts are reached; planning told it about the configured ones.
    fn introduce(&self, state: &State) {
        let records = plan::Records::new(&self.config, state);
        for (host, connection) in plan::connections(&self.config, &self.inputs, state, &records) {
            self.world.introduce(&host, connection);
        }
    }

    /// Ends all connections.
    pub async fn close(self) {
        self.world.close().await;
    }
}

/// Whether a file that was read is one of the configuration; the others hold variables.
fn is_configuration(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e == config::EXTENSION)
}

fn readable(root: &Path) -> Result<(), Failure> {
    let why = match std::fs::metadata(root) {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(_) => "it is not a directory".to_owned(),
        Err(e) => files::reason(&e),
    };
    Err(Failure::other(
        format!("opening {}", root.display()),
        why,
        "name the directory of your configuration with --chdir",
    ))
}

/// Problems about names given on purpose that no variable has; the environment may hold anything.
fn undeclared(config: &Config, given: &BTreeMap<config::Name, crate::graph::Given>) -> Diagnostics {
    let Some(root) = config.modules.first() else { return Diagnostics::new() };
    let unknown = given
        .iter()
        .filter(|(name, g)| !root.variables.contains_key(*name) && !g.origin.starts_with("COXSWAIN_VAR_"));
    unknown
        .map(|(name, given)| {
            let problem = Diagnostic::error(
                "unknown-variable",
                format!("{} gives `{name}`, and there is no such variable", given.origin),
            );
            match coxswain_model::diagnostic::suggest(name, root.variables.keys().map(AsRef::as_ref)) {
                Some(near) => problem.detail(format!("Did you mean `{near}`?")),
                None => problem.detail(format!("Declare it: variable \"{name}\" {{}}")),
            }
        })
        .collect()
}

fn declared(
    config: &Config,
    given: BTreeMap<config::Name, crate::graph::Given>,
) -> BTreeMap<config::Name, crate::graph::Given> {
    given
        .into_iter()
        .filter(|(name, _)| config.modules.first().is_some_and(|m| m.variables.contains_key(name)))
        .collect()
}

/// `validate` runs where nobody gave values.
fn without_missing_variables(problems: Diagnostics) -> Diagnostics {
    let kept: Diagnostics = problems.iter().filter(|p| p.code != "missing-variable").cloned().collect();
    if kept.is_empty() { problems } else { kept }
}

fn checked(plan: Plan, request: &PlanRequest) -> Result<Plan, Failure> {
    let _ = request;
    Ok(plan)
}

/// Compares the world with what was applied last, from the state alone.
///
/// # Errors
/// When the state cannot be read.
pub async fn drift(options: &Options) -> Result<DriftReport, Failure> {
    let world = states::world(&Options { read_only: true, ..options.clone() })?;
    let (state, digester) = states::load(options)?;
    let digest = |bytes: &[u8]| digester.digest(bytes);
    let mut seen = Seen::default();
    for _ in 0..READ_ROUNDS {
        match plan::drift::compare(&state, &seen, &digest, resource::find) {
            Ok(report) => {
                world.close().await;
                return Ok(report);
            }
            Err(lacks) => {
                crate::observe::observe(&world, &lacks, &mut seen, &options.notices).await;
            }
        }
    }
    Err(Failure::other("comparing", "the reads did not end", "report this: it should not happen"))
}

/// The addresses an instance is found by, for `state show`.
pub fn find(state: &State, address: &Address) -> Vec<Address> {
    state.instances.keys().filter(|a| address.covers(a)).cloned().collect()
}
