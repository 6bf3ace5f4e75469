//! Planning and applying with kinds of a test's own, without files and without the command line.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use coxswain::apply::{self, Event, Interrupt, Journal, Summary};
use coxswain::config::{self, Kinds, RawFile};
use coxswain::graph::Inputs;
use coxswain::plan::{self, Mode, Plan, Progress, Seen, Selection};
use coxswain::resource::Kind;
use coxswain::world::World;
use coxswain_model::{Diagnostics, Schema};
use coxswain_state::{Entry, State};

/// What finds a kind by its name.
pub(crate) type Find = fn(&str) -> Option<&'static dyn Kind>;

/// Sees every event.
pub(crate) type Watch = dyn Fn(&Event) + Send + Sync;

struct Registry(Find);

impl Kinds for Registry {
    fn schema(&self, kind: &str) -> Option<&'static Schema> {
        (self.0)(kind).map(Kind::schema)
    }
    fn names(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// A journal in memory, with how many entries are on its disk.
#[derive(Default)]
struct Memory(Mutex<(Vec<Entry>, usize)>);

impl Memory {
    /// Fails where a step is told to have ended that would be forgotten by a crash.
    fn check_told(&self, event: &Event) {
        let Event::Finished { step, .. } = event else { return };
        let inner = self.0.lock().expect("no test panicked here");
        let (entries, synced) = &*inner;
        let of = |entry: &Entry| match entry {
            Entry::Intent(intent) => intent.step == *step,
            Entry::Outcome(outcome) => outcome.step == *step,
            Entry::RunBegin(_) | Entry::Edit(_) | Entry::RunEnd(_) => false,
        };
        assert!(!entries[*synced..].iter().any(of), "{step} was told before it was on disk");
    }
}

#[async_trait::async_trait]
impl Journal for Memory {
    fn append(&self, entry: Entry) -> Result<(), String> {
        self.0.lock().expect("no test panicked here").0.push(entry);
        Ok(())
    }
    async fn synced(&self) -> Result<(), String> {
        let mut inner = self.0.lock().expect("no test panicked here");
        inner.1 = inner.0.len();
        Ok(())
    }
    fn now(&self) -> String {
        "1970-01-01T00:00:00Z".into()
    }
}

/// What came of an apply.
pub(crate) struct Applied {
    pub(crate) summary: Summary,
    pub(crate) events: Vec<Event>,
    pub(crate) journal: Vec<Entry>,
}

impl Applied {
    /// Why steps could not start yet, and what guards said.
    pub(crate) fn blocked(&self) -> Vec<String> {
        let why = |event: &Event| match event {
            Event::Blocked { why, .. } => Some(why.clone()),
            _ => None,
        };
        self.events.iter().filter_map(why).collect()
    }
}

/// An engine with an empty state.
pub(crate) struct Engine {
    pub(crate) find: Find,
    pub(crate) world: Arc<dyn World>,
    /// Called with every event.
    pub(crate) watch: Option<Box<Watch>>,
}

fn digest(bytes: &[u8]) -> String {
    format!("{bytes:?}")
}

impl Engine {
    fn config(&self, text: &str) -> config::Config {
        let file = RawFile {
            source: coxswain_lang::SourceFile {
                id: coxswain_model::FileId(0),
                name: "main.hcl".into(),
                text: text.into(),
            },
            bytes: text.as_bytes().into(),
        };
        let mut files = Some(vec![file]);
        let (config, problems): (_, Diagnostics) =
            config::load(&mut |_| files.take().ok_or_else(|| "no such module".into()), &Registry(self.find));
        assert_eq!(problems, Diagnostics::new());
        config
    }

    /// Plans and applies this configuration.
    pub(crate) async fn apply(&self, text: &str) -> Applied {
        let config = self.config(text);
        let inputs = Inputs { variables: BTreeMap::new(), files: BTreeMap::new() };
        let state = State::new("l");
        let plan = self.plan(&config, &inputs, &state).await;
        let events = Mutex::new(Vec::new());
        let journal = Memory::default();
        let sink = |event| {
            journal.check_told(&event);
            self.watch.iter().for_each(|watch| watch(&event));
            events.lock().expect("no test panicked here").push(event);
        };
        let run = apply::Run {
            plan: &plan,
            config: &config,
            inputs: &inputs,
            state: &state,
            kinds: self.find,
            digest: &digest,
            world: Arc::clone(&self.world),
            journal: &journal,
            sink: &sink,
            interrupt: Arc::new(Interrupt::default()),
            parallelism: 8,
        };
        let summary = apply::run(&run).await.expect("the journal is in memory");
        let events = events.lock().expect("no test panicked here").clone();
        let journal = journal.0.lock().expect("no test panicked here").0.clone();
        Applied { summary, events, journal }
    }

    async fn plan(&self, config: &config::Config, inputs: &Inputs, state: &State) -> Plan {
        let mut seen = Seen::default();
        loop {
            let request = plan::Request {
                config,
                inputs,
                state,
                seen: &seen,
                mode: Mode::Apply,
                selection: &Selection::default(),
                digest: &digest,
                config_digest: "",
                kinds: self.find,
            };
            match plan::plan(&request) {
                Progress::Ready(plan) => return *plan,
                Progress::Wrong(problems) => panic!("{problems:#?}"),
                Progress::Lack(lacks) => {
                    let notices = coxswain::observe::Notices::default();
                    coxswain::observe::observe(&self.world, &lacks, &mut seen, &notices).await;
                }
            }
        }
    }
}
