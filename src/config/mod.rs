//! Files to [`Config`]: the module tree with every block read and checked, nothing evaluated. Pure.
//!
//! ```text
//! root files ─parse→ bodies ─decode→ Module ─┐ local module sources are asked for through `Fetch`
//!            ↑                               │
//!            └── files of called modules ────┘ → check: references, arguments, kinds → Config + every problem
//! ```

mod check;
mod decode;
mod meta;
mod place;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use place::{SshPlace, StatePlace};

use crate::builtin;
use coxswain_lang::{Attribute, Expr, Reference, SourceFile};
use coxswain_model::diagnostic::suggest;
use coxswain_model::{Diagnostic, Diagnostics, Schema, Span, Type};

/// The file names of a module are `DIR/NAME.hcl`.
pub const EXTENSION: &str = "hcl";
/// The edition of the language this program speaks.
pub const EDITION: i64 = 2026;
/// Depth of module calls; a module that calls itself ends here.
const MODULE_DEPTH: usize = 32;

/// A name in a configuration.
pub type Name = Arc<str>;

/// Everything the files say.
#[derive(Debug, Default)]
pub struct Config {
    /// The modules, each once, by position; the root is the first.
    pub modules: Vec<Module>,
}

/// A module: the blocks of one directory.
#[derive(Debug, Default)]
pub struct Module {
    /// The directory, relative to the root directory; empty for the root.
    pub dir: String,
    /// Where the state is kept; of the root alone.
    pub state: StatePlace,
    /// `variable` blocks.
    pub variables: BTreeMap<Name, Variable>,
    /// Entries of `locals` blocks.
    pub locals: BTreeMap<Name, Attribute>,
    /// `output` blocks.
    pub outputs: BTreeMap<Name, Output>,
    /// `module` blocks.
    pub calls: BTreeMap<Name, Call>,
    /// Resources by kind and name.
    pub resources: BTreeMap<(Name, Name), Resource>,
    /// `import` blocks.
    pub imports: Vec<Import>,
    /// `moved` blocks.
    pub moved: Vec<Moved>,
    /// `removed` blocks.
    pub removed: Vec<Removed>,
}

/// A `variable` block.
#[derive(Debug)]
pub struct Variable {
    /// Its type; `Any` where none is given.
    pub ty: Type,
    /// Its default.
    pub default: Option<Expr>,
    /// Whether null may be given.
    pub nullable: bool,
    /// Whether its value is sensitive.
    pub sensitive: bool,
    /// For people.
    pub description: String,
    /// `validation` blocks.
    pub validations: Vec<Validation>,
    /// Where it stands.
    pub span: Span,
}

/// A `validation` block.
#[derive(Debug)]
pub struct Validation {
    /// Must be true.
    pub condition: Expr,
    /// Said when it is not.
    pub message: Expr,
}

/// An `output` block.
#[derive(Debug)]
pub struct Output {
    /// Its value.
    pub value: Expr,
    /// Whether it is sensitive.
    pub sensitive: bool,
    /// Where it stands.
    pub span: Span,
}

/// How a block is repeated.
#[derive(Debug, Default)]
pub enum Repeat {
    /// Once.
    #[default]
    Single,
    /// `for_each`.
    ForEach(Expr),
    /// `count`.
    Count(Expr),
    /// `enabled`.
    Enabled(Expr),
}

/// A `module` block.
#[derive(Debug)]
pub struct Call {
    /// The module, by position in [`Config::modules`].
    pub module: usize,
    /// Its arguments.
    pub arguments: BTreeMap<Name, Attribute>,
    /// How it is repeated.
    pub repeat: Repeat,
    /// `depends_on`.
    pub depends_on: Vec<Reference>,
    /// Where it stands.
    pub span: Span,
}

/// A resource block.
#[derive(Debug)]
pub struct Resource {
    /// Its kind.
    pub schema: &'static Schema,
    /// Its arguments, without the meta arguments.
    pub arguments: BTreeMap<Name, Attribute>,
    /// `host`.
    pub host: Option<Expr>,
    /// How it is repeated.
    pub repeat: Repeat,
    /// `depends_on`.
    pub depends_on: Vec<Reference>,
    /// `restart_on`.
    pub restart_on: Option<Expr>,
    /// `lifecycle`.
    pub lifecycle: Lifecycle,
    /// `timeouts`: by `create`, `update`, `delete`.
    pub timeouts: BTreeMap<Name, Expr>,
    /// `retry`.
    pub retry: BTreeMap<Name, Expr>,
    /// `rollout`.
    pub rollout: BTreeMap<Name, Expr>,
    /// Where its head stands.
    pub span: Span,
}

/// A `lifecycle` block.
#[derive(Debug, Default)]
pub struct Lifecycle {
    /// `on_destroy`.
    pub on_destroy: Option<Expr>,
    /// `ignore_changes`.
    pub ignore_changes: Option<Expr>,
    /// `replace_triggered_by`.
    pub replace_triggered_by: Option<Expr>,
}

/// An `import` block.
#[derive(Debug)]
pub struct Import {
    /// The resource whose object is there already.
    pub to: Reference,
    /// Where it stands.
    pub span: Span,
}

/// A `moved` block.
#[derive(Debug)]
pub struct Moved {
    /// The former address.
    pub from: Reference,
    /// The address now.
    pub to: Reference,
    /// Where it stands.
    pub span: Span,
}

/// A `removed` block.
#[derive(Debug)]
pub struct Removed {
    /// What is gone from the configuration.
    pub from: Reference,
    /// Whether the object goes too.
    pub destroy: bool,
    /// Where it stands.
    pub span: Span,
}

/// Gives the files of a module directory (relative to the root directory), numbered as they come.
pub type Fetch<'a> = dyn FnMut(&str) -> Result<Vec<RawFile>, String> + 'a;

/// A file as it was read.
#[derive(Debug, Clone)]
pub struct RawFile {
    /// The numbered source, for diagnostics; bytes that are not UTF-8 replaced.
    pub source: SourceFile,
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

/// What kinds there are.
pub trait Kinds {
    /// The tables of a kind.
    fn schema(&self, kind: &str) -> Option<&'static Schema>;
    /// All names, for suggestions.
    fn names(&self) -> Vec<&'static str>;
}

/// Reads the configuration below the root directory.
pub fn load(fetch: &mut Fetch<'_>, kinds: &dyn Kinds) -> (Config, Diagnostics) {
    let mut loader = Loader {
        fetch,
        kinds,
        config: Config::default(),
        by_dir: BTreeMap::new(),
        open: Vec::new(),
        problems: Vec::new(),
    };
    loader.module("", None, 0);
    let Loader { config, mut problems, .. } = loader;
    check::check(&config, kinds, &mut problems);
    (config, problems)
}

/// Where the state is kept, from the root module's files; what else is in them does not matter.
pub fn state_place(files: &[RawFile], kinds: &dyn Kinds) -> (StatePlace, Diagnostics) {
    let mut decoder = decode::Decoder::new("", kinds);
    let mut problems = Diagnostics::new();
    for file in files {
        let (body, unparsed) = coxswain_lang::parse(file.source.id, &file.bytes);
        problems.extend(unparsed);
        for block in body.blocks.iter().filter(|block| block.ident.as_ref() == "coxswain") {
            decoder.settings(block, decode::Place::Root);
        }
    }
    let decoded = decoder.finish();
    problems.extend(decoded.problems);
    (decoded.module.state, problems)
}

struct Loader<'a, 'f> {
    fetch: &'a mut Fetch<'f>,
    kinds: &'a dyn Kinds,
    config: Config,
    by_dir: BTreeMap<String, usize>,
    /// The directories whose modules are being read, each called by the one before it.
    open: Vec<String>,
    problems: Diagnostics,
}

impl Loader<'_, '_> {
    /// Reads the module in `dir`, called at `call`; gives its position.
    fn module(&mut self, dir: &str, call: Option<Span>, depth: usize) -> Option<usize> {
        if depth > MODULE_DEPTH {
            let problem =
                Diagnostic::error("module-depth", "modules call each other too deeply").detail(format!(
                    "More than {MODULE_DEPTH} calls are nested here; a module that calls itself never ends."
                ));
            self.problems.push(call.iter().fold(problem, |p, s| p.at(*s, "this call")));
            return None;
        }
        if let Some(from) = self.open.iter().position(|open| open == dir) {
            let shown =
                |dir: &String| if dir.is_empty() { "the root module".to_owned() } else { format!("`{dir}`") };
            let circle: Vec<String> = self.open[from..].iter().chain([&self.open[from]]).map(shown).collect();
            let problem = Diagnostic::error("module-cycle", "modules call each other in a circle")
                .detail(format!("{}: that never ends.", circle.join(" calls ")));
            self.problems.push(call.iter().fold(problem, |p, s| p.at(*s, "this call")));
            return None;
        }
        if let Some(done) = self.by_dir.get(dir) {
            return Some(*done);
        }
        let files = match (self.fetch)(dir) {
            Ok(files) => files,
            Err(reason) => {
                let problem =
                    Diagnostic::error("unreadable-module", format!("the module cannot be read: {reason}"));
                let problem = match call {
                    Some(_) => problem.detail("A source is the path of a directory, relative to the module that names it."),
                    None => problem.detail("Name the directory of your configuration with --chdir, or start one with `coxswain init`."),
                };
                self.problems.push(call.iter().fold(problem, |p, s| p.at(*s, "called here")));
                return None;
            }
        };
        let at = self.config.modules.len();
        self.config.modules.push(Module::default());
        self.open.push(dir.to_owned());
        let mut decoder = decode::Decoder::new(dir, self.kinds);
        for file in &files {
            let (body, problems) = coxswain_lang::parse(file.source.id, &file.bytes);
            self.problems.extend(problems);
            decoder.body(body, if depth == 0 { decode::Place::Root } else { decode::Place::Child });
        }
        let decode::Decoded { mut module, calls, problems } = decoder.finish();
        self.problems.extend(problems);
        for (name, source, mut call) in calls {
            if let Some(target) = self.call_source(dir, &source)
                && let Some(position) = self.module(&target, Some(call.span), depth + 1)
            {
                call.module = position;
                module.calls.insert(name, call);
            }
        }
        self.open.pop();
        self.by_dir.insert(dir.to_owned(), at);
        self.config.modules[at] = module;
        Some(at)
    }

    /// The directory that stands for a module of the program's own.
    fn builtin_source(&mut self, name: &str, span: Span) -> Option<String> {
        let dir = format!("{}{name}", builtin::PREFIX);
        if builtin::module(&dir).is_some() {
            return Some(dir);
        }
        let names = builtin::MODULES.iter().map(|(name, _)| *name);
        let problem =
            Diagnostic::error("module-source", format!("no module comes with coxswain as `{name}`"));
        let problem = match suggest(name, names.clone()) {
            Some(near) => problem.detail(format!("Did you mean `{}{near}`?", builtin::PREFIX)),
            None => problem.detail(format!("There are: {}.", names.collect::<Vec<_>>().join(", "))),
        };
        self.problems.push(problem.at(span, "this source"));
        None
    }

    /// The directory a `source` names, relative to the root directory.
    fn call_source(&mut self, dir: &str, source: &(Name, Span)) -> Option<String> {
        let (text, span) = source;
        if let Some(name) = text.strip_prefix(builtin::PREFIX) {
            return self.builtin_source(name, *span);
        }
        if !(text.starts_with("./") || text.starts_with("../")) {
            self.problems.push(
                Diagnostic::error("module-source", format!("`{text}` is not a module source"))
                    .detail("A source is a path that starts with `./` or `../`, or `builtin:NAME`.")
                    .at(*span, "this source"),
            );
            return None;
        }
        let mut parts: Vec<&str> = dir.split('/').filter(|p| !p.is_empty()).collect();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." if parts.last().is_some_and(|p| *p != "..") => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        Some(parts.join("/"))
    }
}
