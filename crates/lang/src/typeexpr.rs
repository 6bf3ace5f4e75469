//! Type expressions: `list(object({ port = number, from = optional(string, "any") }))`.

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_model::diagnostic::suggest;
use coxswain_model::types::Optional;
use coxswain_model::{Diagnostic, Diagnostics, Field, Span, Type, Value};

use crate::ast::{Expr, ExprKind, ObjectItem, ObjectKey, Reference};
use crate::convert::convert;
use crate::eval::{FileAnswer, Need, Scope, Stop, evaluate};

/// Names that are types by themselves.
const SIMPLE: &[&str] = &["any", "bool", "number", "resource", "string"];
/// Names that take arguments.
const CONSTRUCTORS: &[&str] = &["list", "map", "object", "set", "tuple"];

/// Reads a type expression. `is_kind` says whether a bare name is a kind, so that `host` is the type of references
/// to hosts.
///
/// # Errors
/// Every problem in it.
pub fn parse_type(expr: &Expr, is_kind: &dyn Fn(&str) -> bool) -> Result<Type, Diagnostics> {
    let mut reader = Reader { is_kind, errors: Vec::new() };
    let ty = reader.read(expr);
    if reader.errors.is_empty() { Ok(ty) } else { Err(reader.errors) }
}

struct Reader<'a> {
    is_kind: &'a dyn Fn(&str) -> bool,
    errors: Diagnostics,
}

impl Reader<'_> {
    /// Notes a problem; `Any` stands for what could not be read.
    fn fail(&mut self, span: Span, summary: String, detail: &str) -> Type {
        self.errors.push(Diagnostic::error("invalid-type", summary).detail(detail).at(span, ""));
        Type::Any
    }

    fn read(&mut self, expr: &Expr) -> Type {
        match &expr.kind {
            ExprKind::Error => Type::Any,
            ExprKind::Paren(inner) => self.read(inner),
            ExprKind::Variable(name) => self.name(name, expr.span),
            ExprKind::Call { name, name_span, args, expand: false } => self.constructor(name, *name_span, args, expr.span),
            ExprKind::Str(text) if SIMPLE.contains(&text.as_ref()) => {
                self.fail(expr.span, "A type is written without quotes".into(), &format!("Write `{text}`."))
            }
            _ => self.fail(
                expr.span,
                "This is not a type".into(),
                "A type is `string`, `number`, `bool`, `any`, a kind, or made with `list`, `set`, `map`, `tuple` or `object`.",
            ),
        }
    }

    fn name(&mut self, name: &str, span: Span) -> Type {
        match name {
            "any" => Type::Any,
            "bool" => Type::Bool,
            "number" => Type::Num,
            "string" => Type::Str,
            "resource" => Type::Ref(Arc::new([])),
            "list" | "set" | "map" => self.fail(
                span,
                format!("`{name}` lacks the type of its elements"),
                &format!("Write `{name}(string)`, or `{name}(any)` for elements of any one type."),
            ),
            "object" => {
                self.fail(span, "`object` lacks its attributes".into(), "Write `object({ name = string })`.")
            }
            "tuple" => {
                self.fail(span, "`tuple` lacks its elements".into(), "Write `tuple([string, number])`.")
            }
            kind if (self.is_kind)(kind) => Type::reference(kind),
            _ => {
                let near = suggest(name, SIMPLE.iter().chain(CONSTRUCTORS).copied());
                self.unknown(
                    name,
                    span,
                    near,
                    "A type is `string`, `number`, `bool`, `any`, `resource` or a kind.",
                )
            }
        }
    }

    fn unknown(&mut self, name: &str, span: Span, near: Option<&'static str>, otherwise: &str) -> Type {
        let d = Diagnostic::error("invalid-type", format!("There is no type `{name}`")).at(span, "");
        self.errors.push(match near {
            Some(near) => d.detail(format!("Did you mean `{near}`?")).fix(span, near),
            None => d.detail(otherwise),
        });
        Type::Any
    }

    fn constructor(&mut self, name: &str, name_span: Span, args: &[Expr], span: Span) -> Type {
        match (name, args) {
            ("list", [elem]) => Type::list(self.read(elem)),
            ("set", [elem]) => Type::set(self.read(elem)),
            ("map", [elem]) => Type::map(self.read(elem)),
            ("tuple", [arg]) => match &arg.kind {
                ExprKind::Tuple(items) => Type::Tuple(items.iter().map(|item| self.read(item)).collect()),
                _ => self.fail(arg.span, "`tuple` needs a row of types".into(), "Write `tuple([string, number])`."),
            },
            ("object", [arg]) => match &arg.kind {
                ExprKind::Object(items) => self.object(items),
                _ => self.fail(arg.span, "`object` needs attributes".into(), "Write `object({ name = string })`."),
            },
            ("list" | "set" | "map" | "tuple" | "object", args) => {
                self.fail(span, format!("`{name}` takes 1 argument, not {}", args.len()), "")
            }
            ("optional", _) => self.fail(
                span,
                "`optional` belongs to an attribute of an object".into(),
                "Write `object({ name = optional(string) })`; a variable is optional when it has a `default`.",
            ),
            (simple, _) if SIMPLE.contains(&simple) || (self.is_kind)(simple) => {
                self.fail(span, format!("`{simple}` takes no argument"), &format!("Write `{simple}`."))
            }
            _ => {
                let near = suggest(name, CONSTRUCTORS.iter().chain(&["optional"]).copied());
                self.unknown(name, name_span, near, "Types are made with `list`, `set`, `map`, `tuple` and `object`.")
            }
        }
    }

    fn object(&mut self, items: &[ObjectItem]) -> Type {
        let mut fields: BTreeMap<Arc<str>, Field> = BTreeMap::new();
        for item in items {
            let (name, span) = match &item.key {
                ObjectKey::Name(name, span) => (name.clone(), *span),
                ObjectKey::Expr(Expr { kind: ExprKind::Str(name), span }) => (name.clone(), *span),
                ObjectKey::Expr(expr) => {
                    self.fail(expr.span, "The name of an attribute must be a plain name".into(), "");
                    continue;
                }
            };
            let field = self.field(&item.value);
            if fields.insert(name.clone(), field).is_some() {
                self.fail(span, format!("The attribute `{name}` is there twice"), "Remove one of them.");
            }
        }
        Type::Object(Arc::new(fields))
    }

    fn field(&mut self, expr: &Expr) -> Field {
        let ExprKind::Call { name, args, .. } = &expr.kind else { return Field::required(self.read(expr)) };
        if name.as_ref() != "optional" {
            return Field::required(self.read(expr));
        }
        let (ty, default) = match args.as_slice() {
            [ty] => (self.read(ty), None),
            [ty, default] => {
                let ty = self.read(ty);
                let default = self.default(&ty, default);
                (ty, default)
            }
            args => {
                let summary = format!("`optional` takes 1 or 2 arguments, not {}", args.len());
                (
                    self.fail(
                        expr.span,
                        summary,
                        "Write `optional(string)` or `optional(string, \"default\")`.",
                    ),
                    None,
                )
            }
        };
        Field { ty, optional: Some(Optional { default }) }
    }

    fn default(&mut self, ty: &Type, expr: &Expr) -> Option<Value> {
        match evaluate(expr, &Constant) {
            Ok(value) => match convert(value, ty) {
                Ok(value) => Some(value),
                Err(e) => {
                    let detail = format!("It must be {ty}: {e}.");
                    self.fail(expr.span, "The default does not fit its type".into(), &detail);
                    None
                }
            },
            Err(Stop::Error(errors)) => {
                self.errors.extend(errors);
                None
            }
            Err(Stop::Need(_)) => {
                self.fail(expr.span, "The default of an attribute must be a constant".into(), "");
                None
            }
        }
    }
}

/// A scope in which nothing has a meaning.
struct Constant;

fn not_constant(span: Span) -> Stop {
    let d = Diagnostic::error("invalid-type", "The default of an attribute must be a constant")
        .detail("Names have no meaning in a type; set the value where the variable is used.")
        .at(span, "");
    Stop::Error(vec![d])
}

impl Scope for Constant {
    fn lookup(&self, reference: &Reference) -> Result<(Value, usize), Stop> {
        Err(not_constant(reference.span))
    }
    fn ref_attr(&self, _: &Value, _: &str, span: Span) -> Result<Value, Stop> {
        Err(not_constant(span))
    }
    fn ref_object(&self, _: &Value, span: Span) -> Result<Value, Stop> {
        Err(not_constant(span))
    }
    fn file(&self, _: &Need, span: Span) -> Result<FileAnswer, Stop> {
        Err(not_constant(span))
    }
}
