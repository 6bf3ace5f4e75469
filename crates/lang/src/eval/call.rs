//! Calls: the protocol between the evaluator and the table of functions.
//!
//! ```text
//! arguments ─eval, expand `...`→ count → references resolved → null? → convert to Param::ty
//!           ─ raw: call │ else: any unknown → unknown of result(args); strip marks → call → add all marks
//! ```
//!
//! A reference to a resource stays a reference, so that `concat`, `values` or `coalesce` hand it on; it becomes the
//! object of its attributes where the function looks into it: where the parameter asks for an object or a map, and
//! for the functions in [`LOOK_INTO`], whose parameters take anything.

use std::sync::Arc;

use coxswain_model::diagnostic::suggest;
use coxswain_model::value::Object;
use coxswain_model::{Diagnostic, Marks, Node, Span, Type, Value};

use super::explain::a_value;
use super::lazy::{self, LAZY_FUNCTIONS};
use super::operator::{sentence, united};
use super::{Env, Problems, Stop};
use crate::ast::{Expr, ExprKind};
use crate::convert::{convert, is_open};
use crate::functions::{self, FUNCTIONS, FnSpec, Param};

/// Functions that look into their first argument (`merge`: into all) though its type is open.
const LOOK_INTO: &[&str] =
    &["jsonencode", "keys", "length", "lookup", "merge", "transpose", "values", "yamlencode"];

/// A call as it is written.
pub(super) struct Call<'e> {
    pub(super) name: &'e Arc<str>,
    pub(super) name_span: Span,
    pub(super) args: &'e [Expr],
    /// Whether the last argument is spread.
    pub(super) expand: bool,
    pub(super) span: Span,
}

/// An argument and where it came from.
struct Argument<'e> {
    value: Value,
    expr: &'e Expr,
}

impl Env<'_> {
    pub(super) fn call(&self, expr: &Expr) -> Result<Value, Stop> {
        let ExprKind::Call { name, name_span, args, expand } = &expr.kind else {
            return Ok(Value::unknown(Type::Any));
        };
        let call = Call { name, name_span: *name_span, args, expand: *expand, span: expr.span };
        if let Some(lazy) = lazy::find(name) {
            return self.call_lazy(lazy, &call);
        }
        match functions::find(name) {
            Some(spec) => self.call_spec(spec, &call),
            None => {
                // What is wrong in the arguments is wrong whatever the function is.
                let mut problems = Problems::default();
                problems.take(Err::<Value, _>(unknown_function(&call)));
                for arg in args {
                    problems.take(self.eval(arg));
                }
                problems.finish()?;
                Ok(Value::unknown(Type::Any))
            }
        }
    }

    fn call_spec(&self, spec: &FnSpec, call: &Call<'_>) -> Result<Value, Stop> {
        let args = match self.arguments(call)? {
            Ok(args) => args,
            Err(marks) => return Ok(Value::unknown(Type::Any).marked(&marks)),
        };
        check_count(spec, call, args.len())?;
        let mut problems = Problems::default();
        let mut exprs = Vec::with_capacity(args.len());
        let mut values = Vec::with_capacity(args.len());
        for (i, arg) in args.into_iter().enumerate() {
            exprs.push(arg.expr);
            let Some(param) = spec.params.get(i).or(spec.variadic.as_ref()) else { break };
            values.extend(problems.take(self.argument(spec, i, param, arg)));
        }
        problems.finish()?;
        if spec.raw {
            return (spec.call)(&values)
                .map_err(|e| self.refused(spec.name, call, &exprs, e.argument, &e.reason));
        }
        let marks = united(&values);
        if !values.iter().all(Value::is_wholly_known) {
            return Ok(Value::unknown(result_type(spec, &values)).marked(&marks));
        }
        if !marks.is_empty() {
            values = values.into_iter().map(unmarked).collect();
        }
        let result = (spec.call)(&values);
        match result {
            Ok(value) => Ok(value.marked(&marks)),
            Err(e) => Err(self.refused(spec.name, call, &exprs, e.argument, &e.reason)),
        }
    }

    /// The evaluated arguments; only their marks when it is not known how many there are.
    fn arguments<'e>(&self, call: &Call<'e>) -> Result<Result<Vec<Argument<'e>>, Marks>, Stop> {
        let mut problems = Problems::default();
        let mut args: Vec<Argument<'e>> = Vec::with_capacity(call.args.len());
        for expr in call.args {
            args.extend(problems.take(self.eval(expr)).map(|value| Argument { value, expr }));
        }
        problems.finish()?;
        if !call.expand {
            return Ok(Ok(args));
        }
        let Some(Argument { value, expr }) = args.pop() else { return Ok(Ok(args)) };
        let marks = || united(args.iter().map(|arg| &arg.value).chain([&value]));
        match &value.node {
            Node::Set(..) if value.is_open_set() => Ok(Err(marks())),
            Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items) => {
                args.extend(items.iter().map(|v| Argument { value: v.clone().marked(&value.marks), expr }));
                Ok(Ok(args))
            }
            Node::Unknown { ty: Type::Any | Type::List(_) | Type::Set(_) | Type::Tuple(_), .. } => {
                Ok(Err(marks()))
            }
            _ => {
                let d =
                    Diagnostic::error("invalid-spread", format!("`...` cannot spread {}", a_value(&value)))
                        .detail("Only a list, set or tuple can be spread into arguments.")
                        .at(expr.span, "");
                Err(self.stop(&[expr], d))
            }
        }
    }

    fn argument(&self, spec: &FnSpec, i: usize, param: &Param, arg: Argument<'_>) -> Result<Value, Stop> {
        let Argument { mut value, expr } = arg;
        let ty = (param.ty)();
        let looks_into = LOOK_INTO.contains(&spec.name) && (i == 0 || spec.name == "merge");
        if looks_into || matches!(ty, Type::Object(_) | Type::Map(_)) {
            value = self.resolved(value, expr.span)?;
        }
        if value.is_null() && !param.nullable {
            let d = Diagnostic::error(
                "null-value",
                format!("`{}` of `{}` must not be null", param.name, spec.name),
            )
            .detail("Give another value with `coalesce(x, default)`, or test it first (`x == null ? … : …`).")
            .at(expr.span, "this is null");
            return Err(self.stop(&[expr], d));
        }
        convert(value, &ty).map_err(|e| self.bad_argument(spec.name, param.name, expr, &e.to_string()))
    }

    pub(super) fn bad_argument(&self, function: &str, param: &str, expr: &Expr, reason: &str) -> Stop {
        let d = Diagnostic::error("invalid-argument", format!("`{param}` of `{function}` does not fit"))
            .detail(format!("{}.", sentence(reason)))
            .at(expr.span, "");
        self.stop(&[expr], d)
    }

    fn refused(
        &self,
        name: &str,
        call: &Call<'_>,
        exprs: &[&Expr],
        argument: Option<usize>,
        reason: &str,
    ) -> Stop {
        let d = Diagnostic::error("invalid-argument", format!("`{name}` has no result"))
            .detail(format!("{}.", sentence(reason)));
        match argument.and_then(|i| exprs.get(i)) {
            Some(at) => self.stop(&[at], d.at(at.span, "")),
            None => self.stop(exprs, d.at(call.span, "")),
        }
    }
}

/// The type of the result while arguments are unknown; elements are of any type where theirs may still change.
fn result_type(spec: &FnSpec, values: &[Value]) -> Type {
    let ty = (spec.result)(values);
    // A type that is not taken from the arguments is sure.
    if ty == (spec.result)(&[]) || !values.iter().any(is_open) {
        return ty;
    }
    match ty {
        Type::List(_) => Type::list(Type::Any),
        Type::Set(_) => Type::set(Type::Any),
        Type::Map(_) => Type::map(Type::Any),
        Type::Any | Type::Bool | Type::Num | Type::Str | Type::Tuple(_) | Type::Object(_) | Type::Ref(_) => {
            Type::Any
        }
    }
}

fn unknown_function(call: &Call<'_>) -> Stop {
    let names = FUNCTIONS.iter().map(|f| f.name).chain(LAZY_FUNCTIONS.iter().map(|f| f.name));
    let d = Diagnostic::error("unknown-function", format!("There is no function `{}`", call.name));
    let d = match suggest(call.name, names) {
        Some(near) => d.detail(format!("Did you mean `{near}`?")).fix(call.name_span, near),
        None => d.detail("The reference of functions lists all there are."),
    };
    Stop::Error(vec![d.at(call.name_span, "")])
}

fn check_count(spec: &FnSpec, call: &Call<'_>, given: usize) -> Result<(), Stop> {
    let least = spec.params.len();
    if given == least || (given > least && spec.variadic.is_some()) {
        return Ok(());
    }
    let names =
        spec.params.iter().map(|p| p.name.to_owned()).chain(spec.variadic.map(|p| format!("{}...", p.name)));
    let names: Vec<String> = names.collect();
    let more = if spec.variadic.is_some() { "at least " } else { "" };
    Err(wrong_count(call, &format!("{more}{least}"), given, &names.join(", ")))
}

pub(super) fn wrong_count(call: &Call<'_>, wanted: &str, given: usize, signature: &str) -> Stop {
    let plural = if wanted.ends_with('1') { "" } else { "s" };
    let summary = format!("`{}` takes {wanted} argument{plural}, not {given}", call.name);
    let d = Diagnostic::error("wrong-argument-count", summary)
        .detail(format!("Write `{}({signature})`.", call.name))
        .at(call.span, "");
    Stop::Error(vec![d])
}

/// The value without any mark, in it or on it. Rebuilds only what holds marks.
fn unmarked(mut value: Value) -> Value {
    value.marks = Marks::NONE;
    if united([&value]).is_empty() {
        return value;
    }
    let all = |items: &[Value]| items.iter().cloned().map(unmarked).collect::<Vec<Value>>();
    let each =
        |fields: &Object| fields.iter().map(|(k, v)| (k.clone(), unmarked(v.clone()))).collect::<Object>();
    match &value.node {
        Node::List(ty, items) => Value::list(ty.clone(), all(items)),
        Node::Set(ty, items) => Value::set(ty.clone(), all(items)),
        Node::Tuple(items) => Value::tuple(all(items)),
        Node::Map(ty, fields) => Value::map(ty.clone(), each(fields)),
        Node::Object(fields) => Value::object(each(fields)),
        Node::Null(_) | Node::Unknown { .. } | Node::Bool(_) | Node::Num(_) | Node::Str(_) | Node::Ref(_) => {
            value
        }
    }
}
