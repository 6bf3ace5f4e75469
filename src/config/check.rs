//! What can be said of a configuration without evaluating it: references that lead nowhere, arguments that are
//! missing.

mod imports;

use std::collections::BTreeMap;

use coxswain_lang::ast::RefStep;
use coxswain_lang::references;
use coxswain_lang::{Expr, Reference};
use coxswain_model::diagnostic::suggest;
use coxswain_model::schema::{Placement, Presence};
use coxswain_model::{Diagnostic, Diagnostics};

use super::{Config, Kinds, Module, Name, Repeat, Resource, meta};

/// Finds every such problem.
pub(super) fn check(config: &Config, kinds: &dyn Kinds, problems: &mut Diagnostics) {
    for module in &config.modules {
        let mut checker = Checker { config, module, kinds, problems };
        checker.module();
    }
}

struct Checker<'a> {
    config: &'a Config,
    module: &'a Module,
    kinds: &'a dyn Kinds,
    problems: &'a mut Diagnostics,
}

impl Checker<'_> {
    fn module(&mut self) {
        let module = self.module;
        for variable in module.variables.values() {
            if let Some(default) = &variable.default {
                self.expr(default, Each::No);
            }
            for validation in &variable.validations {
                self.expr(&validation.condition, Each::No);
                self.expr(&validation.message, Each::No);
            }
        }
        for local in module.locals.values() {
            self.expr(&local.expr, Each::No);
        }
        for output in module.outputs.values() {
            self.expr(&output.value, Each::No);
        }
        for (name, call) in &module.calls {
            let each = self.repeat(&call.repeat);
            for argument in call.arguments.values() {
                self.expr(&argument.expr, each);
            }
            for reference in &call.depends_on {
                self.reference(reference, Each::No);
            }
            self.call_arguments(name, call);
        }
        for ((kind, name), resource) in &module.resources {
            self.resource(kind, name, resource);
        }
        for import in &module.imports {
            self.import(&import.to);
        }
    }

    fn repeat(&mut self, repeat: &Repeat) -> Each {
        match repeat {
            Repeat::Single => Each::No,
            Repeat::ForEach(e) => {
                self.expr(e, Each::No);
                Each::Key
            }
            Repeat::Count(e) => {
                self.expr(e, Each::No);
                Each::Count
            }
            Repeat::Enabled(e) => {
                self.expr(e, Each::No);
                Each::No
            }
        }
    }

    fn call_arguments(&mut self, name: &str, call: &super::Call) {
        let Some(target) = self.config.modules.get(call.module) else { return };
        for (argument, attribute) in &call.arguments {
            if target.variables.contains_key(argument) {
                continue;
            }
            let mut problem = Diagnostic::error(
                "unknown-argument",
                format!("module `{name}` has no variable `{argument}`"),
            );
            if let Some(near) = suggest(
                argument,
                target.variables.keys().map(AsRef::as_ref).chain(meta::CALL.iter().copied()),
            ) {
                problem = problem.detail(format!("Did you mean `{near}`?")).fix(attribute.name_span, near);
            }
            self.problems.push(problem.at(attribute.name_span, "unknown argument"));
        }
        for (variable, spec) in &target.variables {
            if spec.default.is_none() && !call.arguments.contains_key(variable) {
                self.problems.push(
                    Diagnostic::error("missing-argument", format!("module `{name}` needs `{variable}`"))
                        .detail("The variable has no default.")
                        .at(call.span, format!("`{variable}` is missing"))
                        .at(spec.span, "the variable"),
                );
            }
        }
    }

    fn resource(&mut self, kind: &str, name: &str, resource: &Resource) {
        let each = self.repeat(&resource.repeat);
        let exprs =
            resource.arguments.values().map(|a| &a.expr).chain(&resource.host).chain(&resource.restart_on);
        let lifecycle = &resource.lifecycle;
        let rest = lifecycle.on_destroy.iter().chain(&lifecycle.replace_triggered_by);
        let tables =
            resource.timeouts.values().chain(resource.retry.values()).chain(resource.rollout.values());
        for expr in exprs.chain(rest).chain(tables) {
            self.expr(expr, each);
        }
        for reference in &resource.depends_on {
            self.reference(reference, each);
        }
        for attr in resource.schema.attributes {
            if attr.presence == Presence::Required && !resource.arguments.contains_key(attr.name) {
                self.problems.push(
                    Diagnostic::error("missing-argument", format!("`{kind}.{name}` needs `{}`", attr.name))
                        .detail(attr.doc)
                        .at(resource.span, format!("`{}` is missing", attr.name)),
                );
            }
        }
        if resource.schema.placement == Placement::Host && resource.host.is_none() {
            self.problems.push(
                Diagnostic::error("missing-argument", format!("`{kind}.{name}` needs `host`"))
                    .detail("Say on which host it lives: `host = host.NAME`.")
                    .at(resource.span, "`host` is missing"),
            );
        }
    }

    fn expr(&mut self, expr: &Expr, each: Each) {
        for reference in references(expr) {
            self.reference(&reference, each);
        }
    }

    fn reference(&mut self, reference: &Reference, each: Each) {
        let module = self.module;
        match reference.root.as_ref() {
            "var" => self.named(reference, "variable", &module.variables),
            "local" => self.named(reference, "local", &module.locals),
            "module" => self.named(reference, "module", &module.calls),
            "path" => self.named(reference, "path", &["module", "root"]),
            "builtin" => self.named(reference, "builtin", &crate::builtin::NAMES),
            "each" if each != Each::Key => self.misplaced(reference, "for_each"),
            "count" if each != Each::Count => self.misplaced(reference, "count"),
            "each" => self.named(reference, "each", &["key", "value"]),
            "count" => self.named(reference, "count", &["index"]),
            kind if self.kinds.schema(kind).is_some() => {
                let names = OfKind { resources: &module.resources, kind: &reference.root };
                self.named(reference, kind, &names);
            }
            root => {
                let known = self.kinds.names();
                let near = suggest(root, meta::ROOTS.iter().copied().chain(known));
                let mut problem =
                    Diagnostic::error("unknown-reference", format!("nothing is called `{root}`"));
                problem = match near {
                    Some(near) => problem.detail(format!("Did you mean `{near}`?")),
                    None => problem.detail(
                        "References start with var, local, module, each, count, path, builtin or the name of a kind. Text stands in quotes.",
                    ),
                };
                self.problems.push(problem.at(reference.span, "unknown name"));
            }
        }
    }

    fn misplaced(&mut self, reference: &Reference, argument: &str) {
        self.problems.push(
            Diagnostic::error("misplaced-reference", format!("`{}` means nothing here", reference.root))
                .detail(format!("It is there only in a block with `{argument}`."))
                .at(reference.span, format!("no `{argument}` in this block")),
        );
    }

    fn named(&mut self, reference: &Reference, what: &str, names: &dyn Names) {
        let Some(RefStep::Attr(name)) = reference.steps.first() else {
            if !matches!(what, "local" | "variable" | "module") || !reference.steps.is_empty() {
                self.problems.push(
                    Diagnostic::error(
                        "incomplete-reference",
                        format!("`{}` alone is not a value", reference.root),
                    )
                    .detail(format!("Write `{}.NAME`.", reference.root))
                    .at(reference.span, "a name is missing"),
                );
            }
            return;
        };
        if names.has(name) {
            return;
        }
        let names = names.all();
        let full = format!("{}.{name}", reference.root);
        let mut problem = Diagnostic::error("unknown-reference", format!("there is no `{full}`"));
        problem = match suggest(name, names.iter().copied()) {
            Some(near) => problem.detail(format!("Did you mean `{}.{near}`?", reference.root)),
            None if names.is_empty() => problem.detail(format!("This module has no {what} at all.")),
            None => problem.detail(format!("There are: {}.", names.join(", "))),
        };
        self.problems.push(problem.at(reference.span, "leads nowhere"));
    }
}

/// The names that mean something after a root: each reference looks one up, and only a problem lists them.
trait Names {
    fn has(&self, name: &Name) -> bool;
    fn all(&self) -> Vec<&str>;
}

impl<T> Names for BTreeMap<Name, T> {
    fn has(&self, name: &Name) -> bool {
        self.contains_key(name)
    }
    fn all(&self) -> Vec<&str> {
        self.keys().map(AsRef::as_ref).collect()
    }
}

impl<const N: usize> Names for [&'static str; N] {
    fn has(&self, name: &Name) -> bool {
        self.contains(&name.as_ref())
    }
    fn all(&self) -> Vec<&str> {
        self.to_vec()
    }
}

/// The resources of one kind.
struct OfKind<'a> {
    resources: &'a BTreeMap<(Name, Name), Resource>,
    kind: &'a Name,
}

impl Names for OfKind<'_> {
    fn has(&self, name: &Name) -> bool {
        self.resources.contains_key(&(self.kind.clone(), name.clone()))
    }
    fn all(&self) -> Vec<&str> {
        self.resources.keys().filter(|(kind, _)| kind == self.kind).map(|(_, name)| name.as_ref()).collect()
    }
}

/// Which repetition names mean something in a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Each {
    No,
    Key,
    Count,
}
