//! One body to one [`Module`]: which blocks there are and what each may hold.

mod modules;

use std::collections::BTreeMap;

use coxswain_lang::ast::{Expr, ExprKind};
use coxswain_lang::{Attribute, Block, Body, Reference};
use coxswain_model::diagnostic::suggest;
use coxswain_model::schema::Placement;
use coxswain_model::{Diagnostic, Diagnostics, Schema, Span, Type};

use super::{
    Call, EDITION, Kinds, Lifecycle, Module, Name, Output, Repeat, Resource, Validation, Variable, meta,
};

/// A module and the calls in it whose sources are still to be read.
pub(super) struct Decoded {
    pub(super) module: Module,
    pub(super) calls: Vec<(Name, (Name, Span), Call)>,
    pub(super) problems: Diagnostics,
}

/// Whose files these are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Child,
}

pub(super) struct Decoder<'a> {
    kinds: &'a dyn Kinds,
    out: Decoded,
    seen: BTreeMap<String, Span>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(dir: &str, kinds: &'a dyn Kinds) -> Decoder<'a> {
        let module = Module { dir: dir.to_owned(), ..Module::default() };
        Decoder {
            kinds,
            out: Decoded { module, calls: Vec::new(), problems: Vec::new() },
            seen: BTreeMap::new(),
        }
    }

    pub(super) fn finish(self) -> Decoded {
        self.out
    }

    fn problem(&mut self, problem: Diagnostic) {
        self.out.problems.push(problem);
    }

    /// Takes in the blocks of one file.
    pub(super) fn body(&mut self, body: Body, place: Place) {
        for attribute in &body.attributes {
            self.problem(
                Diagnostic::error("stray-argument", format!("`{}` stands outside of any block", attribute.name))
                    .detail("At the top of a file there are only blocks; values to use elsewhere belong into `locals { … }`.")
                    .at(attribute.name_span, "not in a block"),
            );
        }
        for block in body.blocks {
            self.block(block, place);
        }
    }

    fn block(&mut self, block: Block, place: Place) {
        match block.ident.as_ref() {
            "coxswain" => self.settings(&block, place),
            "variable" => self.variable(block),
            "locals" => self.locals(block),
            "output" => self.output(block),
            "module" => self.call(block),
            "import" => self.import(&block),
            "moved" => self.moved(&block),
            "removed" => self.removed(&block),
            kind => match self.kinds.schema(kind) {
                Some(schema) => self.resource(block, schema),
                None => self.unknown_block(&block),
            },
        }
    }

    fn unknown_block(&mut self, block: &Block) {
        let names = self.kinds.names();
        let near = suggest(&block.ident, names.iter().copied().chain(meta::TOP.iter().copied()));
        let mut problem =
            Diagnostic::error("unknown-block", format!("there is no block type `{}`", block.ident));
        problem = match near {
            Some(near) => problem.detail(format!("Did you mean `{near}`?")).fix(block.ident_span, near),
            None => problem.detail(format!("Kinds of resources are {}.", names.join(", "))),
        };
        self.problem(problem.at(block.ident_span, "unknown block type"));
    }

    /// The one label of a block, unique under `what`.
    fn label(&mut self, block: &Block, what: &str) -> Option<Name> {
        let [(name, span)] = block.labels.as_slice() else {
            self.problem(
                Diagnostic::error(
                    "block-labels",
                    format!("a `{}` block has one label, its name", block.ident),
                )
                .detail(format!("Write `{} \"NAME\" {{ … }}`.", block.ident))
                .at(block.ident_span, format!("{} labels", block.labels.len())),
            );
            return None;
        };
        let valid = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if !valid {
            self.problem(
                Diagnostic::error("invalid-name", format!("`{name}` is not a name"))
                    .detail("A name starts with a letter and holds letters, digits, `_` and `-`.")
                    .at(*span, "not a name"),
            );
            return None;
        }
        let (name, span) = (name.clone(), *span);
        self.unique(&format!("{what}.{name}"), span).then_some(name)
    }

    fn unique(&mut self, full: &str, span: Span) -> bool {
        match self.seen.get(full) {
            Some(first) => {
                let first = *first;
                self.problem(
                    Diagnostic::error("duplicate-name", format!("`{full}` is there twice"))
                        .detail("Give one of them another name, or remove it.")
                        .at(span, "here again")
                        .at(first, "first here"),
                );
                false
            }
            None => {
                self.seen.insert(full.to_owned(), span);
                true
            }
        }
    }

    /// Reports arguments and blocks of `body` that are not in the lists.
    fn only(&mut self, what: &str, body: &Body, arguments: &[&str], blocks: &[&str]) {
        for attribute in &body.attributes {
            if arguments.contains(&attribute.name.as_ref()) {
                continue;
            }
            let mut problem =
                Diagnostic::error("unknown-argument", format!("{what} has no argument `{}`", attribute.name));
            if blocks.contains(&attribute.name.as_ref()) {
                problem = problem.detail(format!("`{0}` is a block: write `{0} {{ … }}`.", attribute.name));
            } else if let Some(near) = suggest(&attribute.name, arguments.iter().copied()) {
                problem = problem.detail(format!("Did you mean `{near}`?")).fix(attribute.name_span, near);
            } else {
                problem = problem.detail(format!("Its arguments are {}.", arguments.join(", ")));
            }
            self.problem(problem.at(attribute.name_span, "unknown argument"));
        }
        for block in &body.blocks {
            if blocks.contains(&block.ident.as_ref()) {
                continue;
            }
            let mut problem =
                Diagnostic::error("unknown-block", format!("{what} has no block `{}`", block.ident));
            if arguments.contains(&block.ident.as_ref()) {
                problem = problem.detail(format!(
                    "`{0}` is an argument: write `{0} = {{ … }}`, or a list `{0} = [{{ … }}]`.",
                    block.ident
                ));
            } else if let Some(near) = suggest(&block.ident, blocks.iter().copied()) {
                problem = problem.detail(format!("Did you mean `{near}`?")).fix(block.ident_span, near);
            }
            self.problem(problem.at(block.ident_span, "unknown block"));
        }
    }

    /// The block of the whole configuration.
    pub(super) fn settings(&mut self, block: &Block, place: Place) {
        self.only("`coxswain`", &block.body, &["edition", "state"], &[]);
        if place == Place::Child {
            self.problem(
                Diagnostic::error("misplaced-settings", "`coxswain` stands in a module")
                    .detail("Edition and state belong to the root module alone.")
                    .at(block.ident_span, "not here"),
            );
        }
        self.unique("coxswain", block.ident_span);
        if let Some(edition) = block.body.attribute("edition") {
            let given = match &edition.expr.kind {
                ExprKind::Num(n) => n.to_i128(),
                _ => None,
            };
            if given != Some(EDITION.into()) {
                self.problem(
                    Diagnostic::error("unknown-edition", "this edition of the language is not known")
                        .detail(format!("This version of coxswain speaks edition {EDITION}."))
                        .at(edition.expr.span, "unknown edition"),
                );
            }
        }
        if let Some(state) = block.body.attribute("state") {
            match super::place::read(&state.expr) {
                Ok(place) => self.out.module.state = place,
                Err(problem) => self.problem(*problem),
            }
        }
    }

    fn locals(&mut self, block: Block) {
        self.only_attributes("`locals`", &block);
        for attribute in block.body.attributes {
            if self.unique(&format!("local.{}", attribute.name), attribute.name_span) {
                self.out.module.locals.insert(attribute.name.clone(), attribute);
            }
        }
    }

    fn only_attributes(&mut self, what: &str, block: &Block) {
        for inner in &block.body.blocks {
            self.problem(
                Diagnostic::error("unknown-block", format!("{what} has no blocks"))
                    .detail(format!("Write `{} = {{ … }}`.", inner.ident))
                    .at(inner.ident_span, "a block"),
            );
        }
    }

    fn variable(&mut self, block: Block) {
        let Some(name) = self.label(&block, "var") else { return };
        self.only("`variable`", &block.body, meta::VARIABLE, &["validation"]);
        let mut variable = Variable {
            ty: Type::Any,
            default: None,
            nullable: true,
            sensitive: false,
            description: String::new(),
            validations: Vec::new(),
            span: block.ident_span.to(block.labels.first().map_or(block.ident_span, |l| l.1)),
        };
        for Attribute { name, expr, .. } in block.body.attributes {
            match name.as_ref() {
                "type" => {
                    let kinds = self.kinds;
                    match coxswain_lang::typeexpr::parse_type(&expr, &|k| kinds.schema(k).is_some()) {
                        Ok(ty) => variable.ty = ty,
                        Err(problems) => self.out.problems.extend(problems),
                    }
                }
                "default" => variable.default = Some(expr),
                "nullable" => variable.nullable = self.constant_bool(&expr).unwrap_or(true),
                "sensitive" => variable.sensitive = self.constant_bool(&expr).unwrap_or(false),
                "description" => {
                    variable.description =
                        self.constant_text(&expr).map_or_else(String::new, |t| t.to_string())
                }
                _ => {}
            }
        }
        for validation in block.body.blocks {
            let (condition, message) =
                (validation.body.attribute("condition"), validation.body.attribute("error_message"));
            let (Some(condition), Some(message)) = (condition, message) else {
                self.problem(
                    Diagnostic::error(
                        "incomplete-validation",
                        "a validation has a condition and an error_message",
                    )
                    .at(validation.ident_span, "one is missing"),
                );
                continue;
            };
            variable
                .validations
                .push(Validation { condition: condition.expr.clone(), message: message.expr.clone() });
        }
        self.out.module.variables.insert(name, variable);
    }

    fn constant_bool(&mut self, expr: &Expr) -> Option<bool> {
        if let ExprKind::Bool(b) = expr.kind {
            return Some(b);
        }
        self.problem(
            Diagnostic::error("constant-required", "`true` or `false` must stand here")
                .detail("The value is needed before anything is evaluated.")
                .at(expr.span, "not a constant"),
        );
        None
    }

    fn constant_text(&mut self, expr: &Expr) -> Option<Name> {
        if let ExprKind::Str(text) = &expr.kind {
            return Some(text.clone());
        }
        self.problem(
            Diagnostic::error("constant-required", "a plain string must stand here")
                .detail("The value is needed before anything is evaluated.")
                .at(expr.span, "not a plain string"),
        );
        None
    }

    fn output(&mut self, block: Block) {
        let Some(name) = self.label(&block, "output") else { return };
        self.only("`output`", &block.body, meta::OUTPUT, &[]);
        let sensitive = block.body.attribute("sensitive").map(|a| a.expr.clone());
        let sensitive = sensitive.and_then(|e| self.constant_bool(&e)).unwrap_or(false);
        let Some(value) = block.body.attribute("value") else {
            self.problem(
                Diagnostic::error("missing-argument", format!("output `{name}` has no value"))
                    .at(block.ident_span, "`value` is missing"),
            );
            return;
        };
        let output = Output { value: value.expr.clone(), sensitive, span: block.ident_span };
        self.out.module.outputs.insert(name, output);
    }

    /// Takes what says how often the block counts. A kind with an attribute `enabled` of its own keeps it.
    fn repeat(&mut self, body: &mut Body, schema: Option<&Schema>) -> Repeat {
        let is_own = |name: &str| schema.is_some_and(|s| s.attr(name).is_some());
        let mut found = Repeat::Single;
        let mut first: Option<Span> = None;
        for name in ["for_each", "count", "enabled"].into_iter().filter(|name| !is_own(name)) {
            let Some(at) = body.attributes.iter().position(|a| a.name.as_ref() == name) else { continue };
            let attribute = body.attributes.remove(at);
            if let Some(first) = first {
                self.problem(
                    Diagnostic::error(
                        "repeated-twice",
                        "`for_each`, `count` and `enabled` exclude each other",
                    )
                    .at(attribute.name_span, "and here")
                    .at(first, "one is here"),
                );
                continue;
            }
            first = Some(attribute.name_span);
            found = match name {
                "for_each" => Repeat::ForEach(attribute.expr),
                "count" => Repeat::Count(attribute.expr),
                _ => Repeat::Enabled(attribute.expr),
            };
        }
        found
    }

    fn take(body: &mut Body, name: &str) -> Option<Attribute> {
        let at = body.attributes.iter().position(|a| a.name.as_ref() == name)?;
        Some(body.attributes.remove(at))
    }

    fn reference_list(&mut self, attribute: Option<Attribute>) -> Vec<Reference> {
        let Some(attribute) = attribute else { return Vec::new() };
        let ExprKind::Tuple(items) = &attribute.expr.kind else {
            self.problem(
                Diagnostic::error("reference-list", format!("`{}` is a list of references", attribute.name))
                    .detail(format!("Write `{} = [file.a, module.b]`.", attribute.name))
                    .at(attribute.expr.span, "not a list"),
            );
            return Vec::new();
        };
        items.iter().filter_map(|item| self.traversal(item)).collect()
    }

    fn traversal(&mut self, expr: &Expr) -> Option<Reference> {
        let found = expr.as_traversal();
        if found.is_none() {
            self.problem(
                Diagnostic::error("reference-required", "a reference must stand here")
                    .detail("Write the address without quotes: `file.motd`, `file.motd[\"key\"]` or `module.base`.")
                    .at(expr.span, "not a reference"),
            );
        }
        found
    }

    fn resource(&mut self, mut block: Block, schema: &'static coxswain_model::Schema) {
        let Some(name) = self.label(&block, schema.kind) else { return };
        let span = block.ident_span.to(block.labels.first().map_or(block.ident_span, |l| l.1));
        self.resource_arguments(&block, schema);
        let repeat = self.repeat(&mut block.body, Some(schema));
        let depends = Self::take(&mut block.body, "depends_on");
        let depends_on = self.reference_list(depends);
        let mut resource = Resource {
            schema,
            arguments: BTreeMap::new(),
            host: Self::take(&mut block.body, "host").map(|a| a.expr),
            repeat,
            depends_on,
            restart_on: Self::take(&mut block.body, "restart_on").map(|a| a.expr),
            lifecycle: Lifecycle::default(),
            timeouts: BTreeMap::new(),
            retry: BTreeMap::new(),
            rollout: BTreeMap::new(),
            span,
        };
        for inner in std::mem::take(&mut block.body.blocks) {
            self.meta_block(inner, &mut resource);
        }
        resource.arguments = block.body.attributes.into_iter().map(|a| (a.name.clone(), a)).collect();
        self.out.module.resources.insert((block.ident.clone(), name), resource);
    }

    fn resource_arguments(&mut self, block: &Block, schema: &'static coxswain_model::Schema) {
        let mut names: Vec<&str> =
            schema.attributes.iter().filter(|a| a.is_argument()).map(|a| a.name).collect();
        let placed = schema.placement != Placement::IsHost;
        names.extend(
            meta::RESOURCE
                .iter()
                .filter(|n| (**n != "host" || placed) && (**n != "restart_on" || schema.restarts)),
        );
        self.only(&format!("`{}`", schema.kind), &block.body, &names, meta::RESOURCE_BLOCKS);
    }

    fn meta_block(&mut self, block: Block, into: &mut Resource) {
        let known = match block.ident.as_ref() {
            "lifecycle" => meta::LIFECYCLE,
            "timeouts" => meta::TIMEOUTS,
            "retry" => meta::RETRY,
            "rollout" => meta::ROLLOUT,
            _ => return,
        };
        self.only(&format!("`{}`", block.ident), &block.body, known, &[]);
        let ident = block.ident.clone();
        let values: BTreeMap<Name, Expr> =
            block.body.attributes.into_iter().map(|a| (a.name, a.expr)).collect();
        match ident.as_ref() {
            "timeouts" => into.timeouts = values,
            "retry" => into.retry = values,
            "rollout" => into.rollout = values,
            _ => {
                let mut values = values;
                into.lifecycle = Lifecycle {
                    on_destroy: values.remove("on_destroy"),
                    ignore_changes: values.remove("ignore_changes"),
                    replace_triggered_by: values.remove("replace_triggered_by"),
                };
            }
        }
    }
}
