//! Values of variables: given from outside, by a module call, or by default.

use coxswain_lang::convert::convert;
use coxswain_lang::eval::{Need, Stop};
use coxswain_lang::{Expr, evaluate, parse_expression};
use coxswain_model::{Diagnostic, FileId, Span, Type, Value};

use super::scope::Within;
use super::{GivenValue, Graph, ModId, NodeId};
use crate::config::{Name, Variable};

/// The expressions a variable is made from, in the scope of the caller.
pub(crate) fn expressions<'c>(graph: &Graph<'c>, node: NodeId) -> Vec<&'c Expr> {
    let found = &graph.nodes[node as usize];
    let me = &graph.modules[found.module as usize];
    let Some((caller, call, _)) = &me.call else { return Vec::new() };
    let caller = &graph.config.modules[graph.modules[*caller as usize].module];
    caller.calls[call].arguments.get(&found.name).map(|a| &a.expr).into_iter().collect()
}

impl Graph<'_> {
    pub(crate) fn evaluate_variable(&self, node: NodeId) -> Result<Value, Stop> {
        let found = &self.nodes[node as usize];
        let me = &self.modules[found.module as usize];
        let variable = &self.config.modules[me.module].variables[&found.name];
        let (value, span) = match &me.call {
            Some((caller, call, each)) => {
                let block = &self.config.modules[self.modules[*caller as usize].module].calls[call];
                match block.arguments.get(&found.name) {
                    Some(argument) => {
                        let scope = Within { graph: self, module: *caller, each: each.as_ref() };
                        (Some(evaluate(&argument.expr, &scope)?), argument.expr.span)
                    }
                    None => (None, block.span),
                }
            }
            None => (self.given(&found.name, variable)?, variable.span),
        };
        let value = match value {
            Some(value) if !value.is_null() || variable.nullable => value,
            given => match &variable.default {
                Some(default) => {
                    evaluate(default, &Within { graph: self, module: found.module, each: None })?
                }
                None if given.is_some() => return Err(null_given(&found.name, variable, span)),
                None => return Err(not_given(&found.name, variable)),
            },
        };
        let value = self.converted(&found.name, variable, value, span)?;
        let value = if variable.sensitive { value.sensitive() } else { value };
        self.validate(found.module, &found.name, variable, &value)?;
        Ok(value)
    }

    fn given(&self, name: &Name, variable: &Variable) -> Result<Option<Value>, Stop> {
        let Some(given) = self.inputs.variables.get(name) else { return Ok(None) };
        let text = match &given.value {
            GivenValue::Value(value) => return Ok(Some(value.clone())),
            GivenValue::Text(text) => text,
        };
        match variable.ty {
            Type::Str | Type::Any => Ok(Some(Value::from(text.as_str()))),
            Type::Num | Type::Bool => Ok(Some(Value::from(text.trim()))),
            _ => {
                let wrong = || {
                    Stop::Error(vec![
                        Diagnostic::error(
                            "invalid-variable",
                            format!("the value of `{name}` from {} cannot be read", given.origin),
                        )
                        .detail(format!(
                            "The variable is {}; give it as an expression, for example '[\"a\", \"b\"]'.",
                            variable.ty
                        ))
                        .at(variable.span, "the variable"),
                    ])
                };
                let expr = parse_expression(FileId(u32::MAX), text).map_err(|_| wrong())?;
                evaluate(&expr, &super::scope::Nothing).map(Some).map_err(|_| wrong())
            }
        }
    }

    fn converted(&self, name: &Name, variable: &Variable, value: Value, span: Span) -> Result<Value, Stop> {
        convert(value, &variable.ty).map_err(|e| {
            let origin = self.inputs.variables.get(name).map(|g| g.origin.clone());
            let place =
                if e.path.is_empty() { format!("var.{name}") } else { format!("var.{name}{}", e.path) };
            let mut problem =
                Diagnostic::error("wrong-type", format!("`{place}`: {}", e.reason)).at(span, "this value");
            if let Some(origin) = origin {
                problem = problem.note(format!("The value comes from {origin}."));
            }
            Stop::Error(vec![problem.detail(format!("The variable is {}.", variable.ty))])
        })
    }

    fn validate(&self, module: ModId, name: &Name, variable: &Variable, value: &Value) -> Result<(), Stop> {
        let scope = Own { within: Within { graph: self, module, each: None }, name, value };
        for rule in &variable.validations {
            let verdict = evaluate(&rule.condition, &scope)?;
            if !verdict.is_known() {
                continue;
            }
            if super::walk::truth(&verdict) == Some(false) || verdict.is_null() {
                let message = evaluate(&rule.message, &scope)?;
                let text = match message.as_str() {
                    Some(text) if !message.marks.sensitive => text.to_owned(),
                    _ => "the value is not allowed".to_owned(),
                };
                let shown = if value.is_sensitive() {
                    "(sensitive value)".to_owned()
                } else {
                    coxswain_model::json::to_text(value).unwrap_or_default()
                };
                return Err(Stop::Error(vec![
                    Diagnostic::error("invalid-variable", format!("`var.{name}`: {text}"))
                        .note(format!("var.{name} is {shown}"))
                        .at(rule.condition.span, "this is false")
                        .at(variable.span, "the variable"),
                ]));
            }
        }
        Ok(())
    }
}

fn null_given(name: &Name, variable: &Variable, span: Span) -> Stop {
    Stop::Error(vec![
        Diagnostic::error("null-value", format!("`var.{name}` cannot be null"))
            .detail("It says `nullable = false` and has no default.")
            .at(span, "null here")
            .at(variable.span, "the variable"),
    ])
}

fn not_given(name: &Name, variable: &Variable) -> Stop {
    let mut problem = Diagnostic::error("missing-variable", format!("`var.{name}` has no value")).detail(format!(
        "Give it with --var {name}=…, in a variable file (--var-file), or as COXSWAIN_VAR_{name}, or give the variable a default.",
    ));
    if !variable.description.is_empty() {
        problem = problem.note(variable.description.clone());
    }
    Stop::Error(vec![problem.at(variable.span, "the variable")])
}

/// The scope of a validation: the variable itself is being made, and is known by its value.
struct Own<'a, 'c> {
    within: Within<'a, 'c>,
    name: &'a Name,
    value: &'a Value,
}

impl coxswain_lang::Scope for Own<'_, '_> {
    fn lookup(&self, reference: &coxswain_lang::Reference) -> Result<(Value, usize), Stop> {
        let own = reference.root.as_ref() == "var"
            && matches!(reference.steps.first(), Some(coxswain_lang::ast::RefStep::Attr(n)) if n == self.name);
        if own { Ok((self.value.clone(), 1)) } else { self.within.lookup(reference) }
    }
    fn ref_attr(&self, target: &Value, name: &str, span: Span) -> Result<Value, Stop> {
        self.within.ref_attr(target, name, span)
    }
    fn ref_object(&self, target: &Value, span: Span) -> Result<Value, Stop> {
        self.within.ref_object(target, span)
    }
    fn file(&self, need: &Need, span: Span) -> Result<coxswain_lang::eval::FileAnswer, Stop> {
        self.within.file(need, span)
    }
}
