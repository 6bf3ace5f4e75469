//! Operators and the conditional.

use std::sync::Arc;

use coxswain_model::number::NumError;
use coxswain_model::{Diagnostic, Field, Marks, Node, Num, Type, Value};

use super::explain::a_value;
use super::{Env, Problems, Stop, unknown_not_null};
use crate::ast::{BinaryOp, Expr};
use crate::convert::{a_type, convert, is_open, unify};

/// `&&` or `||`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    And,
    Or,
}

impl Env<'_> {
    /// The operand as `ty`: not null, perhaps unknown.
    fn operand(&self, expr: &Expr, ty: &Type) -> Result<Value, Stop> {
        let value = self.eval(expr)?;
        self.as_operand(expr, value, ty)
    }

    fn as_operand(&self, expr: &Expr, value: Value, ty: &Type) -> Result<Value, Stop> {
        let converted = convert(value, ty).map_err(|e| {
            let d = Diagnostic::error("invalid-operand", format!("The operator needs {} here", a_type(ty)))
                .detail(format!("{}.", sentence(&e.to_string())))
                .at(expr.span, "");
            self.stop(&[expr], d)
        })?;
        if converted.is_null() {
            let d = Diagnostic::error("null-value", format!("The operator needs {}, not null", a_type(ty)))
                .detail(
                    "Give another value with `coalesce(x, default)`, or test it first (`x == null ? … : …`).",
                )
                .at(expr.span, "this is null");
            return Err(self.stop(&[expr], d));
        }
        Ok(converted)
    }

    pub(super) fn negate(&self, operand: &Expr) -> Result<Value, Stop> {
        let value = self.operand(operand, &Type::Num)?;
        let negated = match value.as_num() {
            Some(n) => Value::from(n.neg()),
            None => unknown_not_null(Type::Num),
        };
        Ok(negated.marked(&value.marks))
    }

    pub(super) fn not(&self, operand: &Expr) -> Result<Value, Stop> {
        self.operand(operand, &Type::Bool).map(inverted)
    }

    pub(super) fn binary(
        &self,
        whole: &Expr,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
    ) -> Result<Value, Stop> {
        match op {
            BinaryOp::Or => self.logic(left, right, Word::Or),
            BinaryOp::And => self.logic(left, right, Word::And),
            BinaryOp::Eq => self.equality(left, right),
            BinaryOp::NotEq => Ok(inverted(self.equality(left, right)?)),
            BinaryOp::Less => self.comparison(left, right, |a, b| a < b),
            BinaryOp::LessEq => self.comparison(left, right, |a, b| a <= b),
            BinaryOp::Greater => self.comparison(left, right, |a, b| a > b),
            BinaryOp::GreaterEq => self.comparison(left, right, |a, b| a >= b),
            BinaryOp::Add => self.arithmetic(whole, [left, right], |a, b| Ok(a.add(b))),
            BinaryOp::Sub => self.arithmetic(whole, [left, right], |a, b| Ok(a.sub(b))),
            BinaryOp::Mul => self.arithmetic(whole, [left, right], |a, b| Ok(a.mul(b))),
            BinaryOp::Div => self.arithmetic(whole, [left, right], Num::div),
            BinaryOp::Rem => self.arithmetic(whole, [left, right], |a, b| Ok(a.rem(b))),
        }
    }

    /// `&&` (decided by false) and `||` (decided by true). The right side counts only where the left does not
    /// decide, so that the left may guard it.
    fn logic(&self, left: &Expr, right: &Expr, word: Word) -> Result<Value, Stop> {
        let decides = word == Word::Or;
        let left = self.operand(left, &Type::Bool)?;
        if left.as_bool() == Some(decides) {
            return Ok(left);
        }
        let right = match self.operand(right, &Type::Bool) {
            // The left side may turn out to guard against this very error.
            Err(Stop::Error(_)) if !left.is_known() => unknown_not_null(Type::Bool),
            right => right?,
        };
        let marks = left.marks.with(&right.marks);
        let both = match (left.node, right.node) {
            (_, Node::Bool(b)) if b == decides => Value::from(decides),
            (Node::Bool(_), Node::Bool(b)) => Value::from(b),
            _ => unknown_not_null(Type::Bool),
        };
        Ok(both.marked(&marks))
    }

    fn equality(&self, left: &Expr, right: &Expr) -> Result<Value, Stop> {
        let [left, right] = self.both([left, right], |expr| self.eval(expr))?;
        let marks = left.deep_marks().with(&right.deep_marks());
        let result = match equal(&left, &right) {
            Some(equal) => Value::from(equal),
            None => unknown_not_null(Type::Bool),
        };
        Ok(result.marked(&marks))
    }

    fn comparison(&self, left: &Expr, right: &Expr, holds: fn(&Num, &Num) -> bool) -> Result<Value, Stop> {
        let [left, right] = self.both([left, right], |expr| self.operand(expr, &Type::Num))?;
        let result = match (left.as_num(), right.as_num()) {
            (Some(a), Some(b)) => Value::from(holds(a, b)),
            _ => unknown_not_null(Type::Bool),
        };
        Ok(result.marked(&left.marks.with(&right.marks)))
    }

    fn arithmetic(
        &self,
        whole: &Expr,
        operands: [&Expr; 2],
        op: fn(&Num, &Num) -> Result<Num, NumError>,
    ) -> Result<Value, Stop> {
        let [left, right] = self.both(operands, |expr| self.operand(expr, &Type::Num))?;
        let result = match (left.as_num(), right.as_num()) {
            (Some(a), Some(b)) => Value::from(op(a, b).map_err(|e| self.no_result(whole, operands, &e))?),
            _ => unknown_not_null(Type::Num),
        };
        Ok(result.marked(&left.marks.with(&right.marks)))
    }

    fn no_result(&self, whole: &Expr, [left, right]: [&Expr; 2], error: &NumError) -> Stop {
        let d = match error {
            NumError::DivisionByZero => Diagnostic::error("division-by-zero", "Division by zero")
                .detail("Test the divisor first (`x == 0 ? … : …`).")
                .at(right.span, "this is 0"),
            NumError::NotANumber | NumError::TooLarge => {
                Diagnostic::error("invalid-operand", sentence(&error.to_string())).at(whole.span, "")
            }
        };
        self.stop(&[left, right], d)
    }

    /// Both operands, or the problems of both.
    fn both(
        &self,
        operands: [&Expr; 2],
        eval: impl Fn(&Expr) -> Result<Value, Stop>,
    ) -> Result<[Value; 2], Stop> {
        let mut problems = Problems::default();
        let [left, right] = operands.map(|expr| problems.take(eval(expr)));
        problems.finish()?;
        Ok([left, right].map(|v| v.unwrap_or_else(|| Value::unknown(Type::Any))))
    }

    /// The condition of a conditional, a `for` or a template: a bool that may be unknown.
    pub(super) fn condition(&self, expr: &Expr) -> Result<Value, Stop> {
        let value = self.eval(expr)?;
        if value.is_null() {
            let d = Diagnostic::error("null-value", "The condition is null")
                .detail("A condition must be true or false; `x == true` is false for null.")
                .at(expr.span, "this is null");
            return Err(self.stop(&[expr], d));
        }
        let what = a_value(&value);
        convert(value, &Type::Bool).map_err(|e| {
            let d = Diagnostic::error("condition-type", format!("A condition must be a bool, not {what}"))
                .detail(format!(
                    "{}; compare it with something, such as `!= \"\"` or `> 0`.",
                    sentence(&e.to_string())
                ))
                .at(expr.span, "");
            self.stop(&[expr], d)
        })
    }

    /// `c ? a : b`. Both branches give the type, the taken one the value and its marks; see [`changed_by`].
    pub(super) fn conditional(
        &self,
        whole: &Expr,
        condition: &Expr,
        branches: [&Expr; 2],
    ) -> Result<Value, Stop> {
        let mut problems = Problems::default();
        let condition = problems.take(self.condition(condition));
        let taken = condition.as_ref().and_then(Value::as_bool).map(|b| usize::from(!b));
        let [then, otherwise] = branches.map(|b| self.eval(b));
        let hidden = |branch: usize, result: &Result<Value, Stop>| {
            matches!(result, Err(Stop::Error(_))) && condition.is_some() && taken != Some(branch)
        };
        // An error of the branch that is not taken says nothing; neither does the error of one of two possible ones.
        let (hide_then, hide_else) = match taken {
            None if then.is_err() && otherwise.is_err() => (false, false),
            _ => (hidden(0, &then), hidden(1, &otherwise)),
        };
        let values = [(then, hide_then), (otherwise, hide_else)].map(|(result, hide)| match result {
            Err(Stop::Error(_)) if hide => None,
            result => problems.take(result),
        });
        problems.finish()?;
        let marks = condition.map(|c| c.marks).unwrap_or_default();
        self.choose(whole, taken, values, branches).map(|v| v.marked(&marks))
    }

    fn choose(
        &self,
        whole: &Expr,
        taken: Option<usize>,
        values: [Option<Value>; 2],
        branches: [&Expr; 2],
    ) -> Result<Value, Stop> {
        let [then, otherwise] = values;
        let (then, otherwise) = match (then, otherwise) {
            (Some(then), Some(otherwise)) => (then, otherwise),
            (Some(one), None) | (None, Some(one)) if taken.is_some() => return Ok(one),
            (Some(one), None) | (None, Some(one)) => {
                return Ok(Value::unknown(Type::Any).marked(&one.deep_marks()));
            }
            (None, None) => return Ok(Value::unknown(Type::Any)),
        };
        let types = [then.type_of(), otherwise.type_of()];
        let targets = branch_types(&types[0], &types[1]);
        let Some(targets) = targets else {
            let d = Diagnostic::error(
                "inconsistent-types",
                format!("The branches are {} and {}", a_value(&then), a_value(&otherwise)),
            )
            .detail(
                "Both must be of one type, so that what uses the result can rely on it; convert one of them.",
            )
            .at(branches[0].span, types[0].to_string())
            .at(branches[1].span, types[1].to_string());
            return Err(self.stop(&[whole], d));
        };
        let open = [&then, &otherwise].into_iter().any(is_open);
        if open && taken.is_some_and(|i| becomes_set(&types[i], &targets[i])) {
            return Ok(Value::unknown(Type::Any).marked(&then.deep_marks().with(&otherwise.deep_marks())));
        }
        let [then_type, else_type] = match open {
            true => [Type::Any, Type::Any],
            false => targets,
        };
        let (value, ty, other) = match taken {
            Some(0) => (then, then_type, otherwise),
            Some(_) => (otherwise, else_type, then),
            None => {
                let not_null = never_null(&then) && never_null(&otherwise);
                let ty = if then_type == else_type { then_type } else { Type::Any };
                let marks = then.deep_marks().with(&otherwise.deep_marks());
                return Ok(Value { node: Node::Unknown { ty, not_null }, marks });
            }
        };
        let branch = if taken == Some(0) { branches[0] } else { branches[1] };
        match convert(value.clone(), &ty) {
            Ok(converted) => Ok(changed_by(&value, converted, &other.deep_marks())),
            Err(e) => {
                let d = Diagnostic::error(
                    "inconsistent-types",
                    "The branch does not convert to the type of both",
                )
                .detail(format!("{}.", sentence(&e.to_string())))
                .at(branch.span, "");
                Err(self.stop(&[whole], d))
            }
        }
    }
}

/// The converted branch, with the marks of the other one on what is not what it was: that one's type made it so, and
/// what is made of it (`jsonencode`, `==`) may tell which type that was.
fn changed_by(before: &Value, converted: Value, marks: &Marks) -> Value {
    if marks.is_empty() || before.node == converted.node {
        return converted;
    }
    let of = |before: &[Value], items: &[Value]| -> Vec<Value> {
        before.iter().zip(items).map(|(b, item)| changed_by(b, item.clone(), marks)).collect()
    };
    let node = match (&before.node, &converted.node) {
        (Node::Tuple(b), Node::Tuple(items)) => Node::Tuple(Arc::new(of(b, items))),
        (Node::Object(b), Node::Object(fields)) => {
            let changed = |(key, value): (&Arc<str>, &Value)| match b.get(key) {
                Some(b) => (key.clone(), changed_by(b, value.clone(), marks)),
                None => (key.clone(), value.clone().marked(marks)),
            };
            Node::Object(Arc::new(fields.iter().map(changed).collect()))
        }
        _ => return converted.marked(marks),
    };
    Value { node, marks: converted.marks }
}

fn never_null(value: &Value) -> bool {
    match &value.node {
        Node::Null(_) => false,
        Node::Unknown { not_null, .. } => *not_null,
        _ => true,
    }
}

/// Whether a row of several elements in it will be a set, in which some may fall together and others stand elsewhere.
fn becomes_set(from: &Type, to: &Type) -> bool {
    let mut pairs: Vec<(&Type, &Type)> = Vec::new();
    match (from, to) {
        (Type::Tuple(items), Type::Set(_)) => return items.len() > 1,
        (Type::List(_), Type::Set(_)) => return true,
        (Type::List(f), Type::List(t)) | (Type::Set(f), Type::Set(t)) | (Type::Map(f), Type::Map(t)) => {
            pairs.push((f, t));
        }
        (Type::Tuple(items), Type::List(t)) => pairs.extend(items.iter().map(|f| (f, t.as_ref()))),
        (Type::Tuple(from), Type::Tuple(to)) => pairs.extend(from.iter().zip(to.iter())),
        (Type::Object(fields), Type::Map(t)) => pairs.extend(fields.values().map(|f| (&f.ty, t.as_ref()))),
        (Type::Object(from), Type::Object(to)) => {
            pairs.extend(from.iter().filter_map(|(key, f)| Some((&f.ty, &to.get(key)?.ty))));
        }
        _ => {}
    }
    pairs.into_iter().any(|(from, to)| becomes_set(from, to))
}

/// What each branch converts to. As [`unify`], but an empty tuple or object in one branch, at any depth, leaves
/// the other branch as it is: `c ? [{…}, {…}] : []` stays a tuple of different objects.
fn branch_types(a: &Type, b: &Type) -> Option<[Type; 2]> {
    match (a, b) {
        (Type::Tuple(x), Type::Tuple(y)) if x.is_empty() || y.is_empty() => Some([a.clone(), b.clone()]),
        (Type::Object(x), Type::Object(y)) if x.is_empty() || y.is_empty() => Some([a.clone(), b.clone()]),
        (Type::Tuple(x), Type::Tuple(y)) if x.len() == y.len() => {
            let pairs = x.iter().zip(y.iter()).map(|(x, y)| branch_types(x, y));
            let (x, y): (Vec<Type>, Vec<Type>) =
                pairs.collect::<Option<Vec<_>>>()?.into_iter().map(|[x, y]| (x, y)).unzip();
            Some([Type::Tuple(x.into()), Type::Tuple(y.into())])
        }
        (Type::Object(x), Type::Object(y)) if x.keys().eq(y.keys()) => {
            let pairs =
                x.iter().zip(y.values()).map(|((k, x), y)| Some((k.clone(), branch_types(&x.ty, &y.ty)?)));
            let pairs = pairs.collect::<Option<Vec<_>>>()?;
            let side = |i: usize| {
                let fields = pairs.iter().map(|(k, tys)| (k.clone(), Field::required(tys[i].clone())));
                Type::Object(Arc::new(fields.collect()))
            };
            Some([side(0), side(1)])
        }
        _ => unify(&[a.clone(), b.clone()]).map(|ty| [ty.clone(), ty]),
    }
}

/// Equality of content without conversion: `1 == "1"` is false. Lists equal tuples, and maps equal objects, of the
/// same content; a set equals only a set. `None` where it hangs on something unknown.
fn equal(a: &Value, b: &Value) -> Option<bool> {
    match (&a.node, &b.node) {
        (Node::Unknown { not_null: true, .. }, Node::Null(_))
        | (Node::Null(_), Node::Unknown { not_null: true, .. }) => Some(false),
        (Node::Unknown { .. }, _) | (_, Node::Unknown { .. }) => None,
        (Node::Null(_), Node::Null(_)) => Some(true),
        (Node::Set(_, x), Node::Set(_, y)) => {
            let known = x.iter().chain(y.iter()).all(Value::is_wholly_known);
            known.then(|| a.same(b))
        }
        (Node::List(_, x) | Node::Tuple(x), Node::List(_, y) | Node::Tuple(y)) => {
            if x.len() != y.len() {
                return Some(false);
            }
            all_equal(x.iter().zip(y.iter()))
        }
        (Node::Map(_, x) | Node::Object(x), Node::Map(_, y) | Node::Object(y)) => {
            if !x.keys().eq(y.keys()) {
                return Some(false);
            }
            all_equal(x.values().zip(y.values()))
        }
        (Node::Set(..), _) | (_, Node::Set(..)) => Some(false),
        _ => Some(a.same(b)),
    }
}

/// One difference decides; else one unknown leaves it open.
fn all_equal<'v>(pairs: impl Iterator<Item = (&'v Value, &'v Value)>) -> Option<bool> {
    let mut result = Some(true);
    for (a, b) in pairs {
        match equal(a, b) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => result = None,
        }
    }
    result
}

/// The text with a capital at the start.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// The marks of several values and of all in them.
pub(super) fn united<'v>(values: impl IntoIterator<Item = &'v Value>) -> Marks {
    let mut marks = Marks::NONE;
    for value in values {
        add_deep(value, &mut marks);
    }
    marks
}

fn add_deep(value: &Value, marks: &mut Marks) {
    marks.add(&value.marks);
    match &value.node {
        Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items) => {
            items.iter().for_each(|v| add_deep(v, marks))
        }
        Node::Map(_, fields) | Node::Object(fields) => fields.values().for_each(|v| add_deep(v, marks)),
        Node::Null(_) | Node::Unknown { .. } | Node::Bool(_) | Node::Num(_) | Node::Str(_) | Node::Ref(_) => {
        }
    }
}

/// The other truth value, with its marks.
fn inverted(value: Value) -> Value {
    let other = match value.as_bool() {
        Some(b) => Value::from(!b),
        None => unknown_not_null(Type::Bool),
    };
    other.marked(&value.marks)
}
