//! Templates: text with `${…}`, `%{ if }` and `%{ for }`.

use coxswain_model::{Diagnostic, Marks, Node, Type, Value};

use super::collection::Elements;
use super::explain::a_value;
use super::{Env, Problems, Stop, unknown_not_null};
use crate::ast::{Expr, Part};
use crate::convert::convert;

/// The text so far.
#[derive(Default)]
struct Text {
    out: String,
    marks: Marks,
    is_unknown: bool,
}

impl Env<'_> {
    /// A template that is nothing but one interpolation gives its value as it is.
    pub(super) fn template(&self, parts: &[Part]) -> Result<Value, Stop> {
        if let [Part::Interpolation(only)] = parts {
            return self.eval(only);
        }
        let mut text = Text::default();
        self.parts(parts, &mut text)?;
        let value = if text.is_unknown { unknown_not_null(Type::Str) } else { Value::from(text.out) };
        Ok(value.marked(&text.marks))
    }

    fn parts(&self, parts: &[Part], text: &mut Text) -> Result<(), Stop> {
        let mut problems = Problems::default();
        for part in parts {
            problems.take(self.part(part, text));
        }
        problems.finish()
    }

    fn part(&self, part: &Part, text: &mut Text) -> Result<(), Stop> {
        match part {
            Part::Text(s) => text.out.push_str(s),
            Part::Interpolation(expr) => {
                let value = self.interpolated(expr)?;
                text.marks.add(&value.marks);
                match value.as_str() {
                    Some(s) => text.out.push_str(s),
                    None => text.is_unknown = true,
                }
            }
            Part::If { condition, then, otherwise } => {
                let condition = self.condition(condition)?;
                text.marks.add(&condition.marks);
                match condition.as_bool() {
                    Some(true) => self.parts(then, text)?,
                    Some(false) => self.parts(otherwise, text)?,
                    None => text.is_unknown = true,
                }
            }
            Part::For { key, value, collection, body } => {
                let walked = self.eval(collection)?;
                text.marks.add(&walked.marks);
                let Elements::Known(elements) = self.elements(&walked, collection)? else {
                    text.is_unknown = true;
                    return Ok(());
                };
                for (k, v) in elements {
                    let value_frame = self.frame(value, v);
                    let inner = self.with(&value_frame);
                    match key {
                        Some(name) => {
                            let key_frame = inner.frame(name, k);
                            inner.with(&key_frame).parts(body, text)?;
                        }
                        None => inner.parts(body, text)?,
                    }
                }
            }
        }
        Ok(())
    }

    fn interpolated(&self, expr: &Expr) -> Result<Value, Stop> {
        let value = self.eval(expr)?;
        let detail = match &value.node {
            Node::Null(_) => {
                "Give another value with `coalesce(x, \"\")`, or leave the text out with `%{ if x != null }`."
            }
            Node::Ref(_) => "Name one of its attributes, such as `.address`.",
            Node::List(..) | Node::Set(..) | Node::Tuple(_) => {
                "Use `join(\", \", x)`, `%{ for }` or `jsonencode(x)`."
            }
            Node::Map(..) | Node::Object(_) => "Name one of its attributes, or use `jsonencode(x)`.",
            Node::Unknown { .. } | Node::Bool(_) | Node::Num(_) | Node::Str(_) => "",
        };
        let what = a_value(&value);
        match convert(value, &Type::Str) {
            Ok(text) if !text.is_null() => Ok(text),
            _ => {
                let d = Diagnostic::error("invalid-template-value", format!("A template cannot hold {what}"))
                    .detail(detail)
                    .at(expr.span, "");
                Err(self.stop(&[expr], d))
            }
        }
    }
}
