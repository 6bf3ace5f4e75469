//! Lowers the parser's tree into ours: exact numbers, NFC strings, spans in bytes of the file.
//!
//! Every path through the tree is bounded by [`MAX_TREE_DEPTH`], so that walking, evaluating and dropping it never
//! overflow the stack; what is deeper becomes [`ExprKind::Error`] and a diagnostic.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use coxswain_model::{Diagnostic, Diagnostics, FileId, Num, Span};
use hcl_edit::expr::{self as hcl, BinaryOperator, Expression, TraversalOperator, UnaryOperator};
use hcl_edit::structure::{self, BlockLabel, Structure};
use unicode_normalization::UnicodeNormalization;

use crate::ast::{Attribute, BinaryOp, Block, Body, Expr, ExprKind, ForExpr, ObjectItem, ObjectKey};

/// Levels of one expression tree: the parser's 64 nested levels and 128 chained operators, and room for traversals.
pub(super) const MAX_TREE_DEPTH: usize = 256;

/// Lowers one parsed piece of a file.
pub(super) struct Lower<'t> {
    /// The file.
    file: FileId,
    /// The text that was parsed; spans of the parser count from its start.
    pub(super) text: &'t str,
    /// Where that text starts in the file.
    base: usize,
    /// The level of the expression being lowered.
    depth: usize,
    /// What was wrong although it parsed.
    pub(super) diagnostics: Diagnostics,
}

impl<'t> Lower<'t> {
    /// Lowers pieces of `text`, which starts at byte `base` of `file`.
    pub(super) fn new(file: FileId, text: &'t str, base: usize) -> Lower<'t> {
        Lower { file, text, base, depth: 0, diagnostics: Vec::new() }
    }

    /// A range of the parsed text as a place in the file.
    pub(super) fn place(&self, range: Range<usize>) -> Span {
        Span::new(self.file, self.base + range.start, self.base + range.end)
    }

    fn span_of(&self, node: &impl hcl_edit::Span) -> Span {
        self.place(node.span().unwrap_or(0..self.text.len()))
    }

    fn node_range(&self, node: &impl hcl_edit::Span) -> Range<usize> {
        node.span().unwrap_or(0..self.text.len())
    }

    /// Lowers a body.
    pub(super) fn body(&mut self, body: &structure::Body) -> Body {
        let mut out = Body::default();
        for item in body {
            match item {
                Structure::Attribute(attribute) => out.attributes.push(self.attribute(attribute)),
                Structure::Block(block) => out.blocks.push(self.block(block)),
            }
        }
        out
    }

    fn attribute(&mut self, attribute: &structure::Attribute) -> Attribute {
        Attribute {
            name: nfc(attribute.key.as_str()),
            name_span: self.span_of(&attribute.key),
            expr: self.expr(&attribute.value),
        }
    }

    fn block(&mut self, block: &structure::Block) -> Block {
        let labels = block.labels.iter().map(|label| self.label(label)).collect();
        Block {
            ident: nfc(block.ident.as_str()),
            ident_span: self.span_of(&block.ident),
            labels,
            body: self.body(&block.body),
            span: self.span_of(block),
        }
    }

    fn label(&self, label: &BlockLabel) -> (Arc<str>, Span) {
        match label {
            BlockLabel::Ident(ident) => (nfc(ident.as_str()), self.span_of(ident)),
            BlockLabel::String(text) => {
                let range = self.node_range(text);
                let inner = range.start + 1..range.end.saturating_sub(1).max(range.start + 1);
                (nfc(text.as_str()), self.place(inner))
            }
        }
    }

    /// Lowers an expression.
    pub(super) fn expr(&mut self, expr: &Expression) -> Expr {
        let span = self.span_of(expr);
        if self.depth >= MAX_TREE_DEPTH {
            return self.too_deep(span);
        }
        self.depth += 1;
        let kind = self.kind(expr);
        self.depth -= 1;
        Expr { kind, span }
    }

    fn boxed(&mut self, expr: &Expression) -> Box<Expr> {
        Box::new(self.expr(expr))
    }

    fn too_deep(&mut self, span: Span) -> Expr {
        self.diagnostics.push(too_deep(span));
        Expr { kind: ExprKind::Error, span }
    }

    fn kind(&mut self, expr: &Expression) -> ExprKind {
        match expr {
            Expression::Null(_) => ExprKind::Null,
            Expression::Bool(value) => ExprKind::Bool(*value.value()),
            Expression::Number(number) => self.number(self.node_range(number)),
            Expression::String(text) => ExprKind::Str(nfc(text.as_str())),
            Expression::StringTemplate(template) => self.quoted(template),
            Expression::HeredocTemplate(heredoc) => self.heredoc(heredoc),
            Expression::Array(items) => ExprKind::Tuple(items.iter().map(|item| self.expr(item)).collect()),
            Expression::Object(object) => self.object(object),
            Expression::Parenthesis(inner) => ExprKind::Paren(self.boxed(inner.inner())),
            Expression::Variable(name) => ExprKind::Variable(nfc(name.as_str())),
            Expression::Conditional(c) => ExprKind::Conditional(
                self.boxed(&c.cond_expr),
                self.boxed(&c.true_expr),
                self.boxed(&c.false_expr),
            ),
            Expression::FuncCall(call) => self.call(call),
            Expression::Traversal(traversal) => self.traversal(traversal),
            Expression::UnaryOp(op) => match op.operator.value() {
                UnaryOperator::Neg => ExprKind::Neg(self.boxed(&op.expr)),
                UnaryOperator::Not => ExprKind::Not(self.boxed(&op.expr)),
            },
            Expression::BinaryOp(op) => {
                let left = self.boxed(&op.lhs_expr);
                ExprKind::Binary(operator(*op.operator.value()), left, self.boxed(&op.rhs_expr))
            }
            Expression::ForExpr(f) => self.for_expr(f),
        }
    }

    /// A number from its own text: the parser's value is a float and would lose digits.
    fn number(&mut self, range: Range<usize>) -> ExprKind {
        let text = self.text.get(range.clone()).unwrap_or_default();
        // `- /* why */ 1` is one number to the parser.
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => ("-", rest.rsplit("*/").next().unwrap_or(rest).trim()),
            None => ("", text),
        };
        match format!("{sign}{digits}").parse::<Num>() {
            Ok(number) => ExprKind::Num(number),
            Err(error) => {
                let span = self.place(range);
                self.diagnostics.push(
                    Diagnostic::error("invalid-number", "Invalid number")
                        .detail(format!("This cannot be read as a number: {error}."))
                        .at(span, ""),
                );
                ExprKind::Error
            }
        }
    }

    fn object(&mut self, object: &hcl::Object) -> ExprKind {
        let mut items = Vec::with_capacity(object.len());
        for (key, value) in object.iter() {
            let key = match key {
                hcl::ObjectKey::Ident(name) => ObjectKey::Name(nfc(name.as_str()), self.span_of(name)),
                hcl::ObjectKey::Expression(expr) => ObjectKey::Expr(self.object_key(expr)),
            };
            items.push(ObjectItem { key, value: self.expr(value.expr()) });
        }
        ExprKind::Object(items)
    }

    fn object_key(&mut self, expr: &Expression) -> Expr {
        if let Expression::Traversal(traversal) = expr {
            let span = self.span_of(&**traversal);
            self.diagnostics.push(
                Diagnostic::error("ambiguous-key", "Ambiguous key")
                    .detail("Put a reference that gives the key in parentheses, `(a.b) = …`, or a plain key in quotes, `\"a.b\" = …`.")
                    .at(span, ""),
            );
            return Expr { kind: ExprKind::Error, span };
        }
        self.expr(expr)
    }

    fn call(&mut self, call: &hcl::FuncCall) -> ExprKind {
        let mut name = String::new();
        for part in &call.name.namespace {
            name.push_str(part.as_str());
            name.push_str("::");
        }
        name.push_str(call.name.name.as_str());
        let last = self.node_range(&call.name.name);
        let start = call.name.namespace.first().map_or(last.start, |first| self.node_range(first).start);
        ExprKind::Call {
            name: nfc(&name),
            name_span: self.place(start..last.end),
            args: call.args.iter().map(|arg| self.expr(arg)).collect(),
            expand: call.args.expand_final(),
        }
    }

    fn for_expr(&mut self, f: &hcl::ForExpr) -> ExprKind {
        ExprKind::For(Box::new(ForExpr {
            key_var: f.intro.key_var.as_ref().map(|name| nfc(name.as_str())),
            value_var: nfc(f.intro.value_var.as_str()),
            collection: self.expr(&f.intro.collection_expr),
            key: f.key_expr.as_ref().map(|key| self.expr(key)),
            value: self.expr(&f.value_expr),
            group: f.grouping,
            condition: f.cond.as_ref().map(|cond| self.expr(&cond.expr)),
        }))
    }

    fn traversal(&mut self, traversal: &hcl::Traversal) -> ExprKind {
        let steps = traversal.operators.len();
        if self.depth + steps > MAX_TREE_DEPTH {
            let span = self.span_of(traversal);
            return self.too_deep(span).kind;
        }
        self.depth += steps;
        let source = self.expr(&traversal.expr);
        let expr = self.steps(source, &traversal.operators);
        self.depth -= steps;
        expr.kind
    }

    /// Applies the steps to `source`. After `[*]` all that follows belongs to each element; after `.*` only the
    /// attributes that follow.
    fn steps(&mut self, mut source: Expr, operators: &[hcl_edit::Decorated<TraversalOperator>]) -> Expr {
        let mut rest = operators;
        while let Some((operator, after)) = rest.split_first() {
            let place = self.span_of(operator);
            let span = source.span.to(place);
            rest = after;
            let kind = match operator.value() {
                TraversalOperator::GetAttr(name) => ExprKind::Attr(Box::new(source), nfc(name.as_str())),
                TraversalOperator::Index(index) => ExprKind::Index(Box::new(source), self.boxed(index)),
                TraversalOperator::LegacyIndex(index) => {
                    // The dot belongs to the operator, not to the number.
                    let number = Span { start: self.span_of(index).start.max(place.start + 1), ..place };
                    let index =
                        Expr { kind: ExprKind::Num(Num::from(i128::from(*index.value()))), span: number };
                    ExprKind::Index(Box::new(source), Box::new(index))
                }
                TraversalOperator::FullSplat(_) => {
                    let each = self.steps(Expr { kind: ExprKind::SplatItem, span: place }, rest);
                    let span = span.to(each.span);
                    let kind = ExprKind::Splat { source: Box::new(source), each: Box::new(each), full: true };
                    return Expr { kind, span };
                }
                TraversalOperator::AttrSplat(_) => {
                    let taken = rest.iter().take_while(|next| is_attribute_step(next.value())).count();
                    let (own, after) = rest.split_at(taken);
                    let each = self.steps(Expr { kind: ExprKind::SplatItem, span: place }, own);
                    rest = after;
                    if let Some(nested) =
                        after.first().filter(|n| matches!(n.value(), TraversalOperator::AttrSplat(_)))
                    {
                        let nested = self.span_of(nested);
                        self.diagnostics.push(nested_splat(nested));
                    }
                    let span = span.to(each.span);
                    let kind =
                        ExprKind::Splat { source: Box::new(source), each: Box::new(each), full: false };
                    source = Expr { kind, span };
                    continue;
                }
            };
            source = Expr { kind, span };
        }
        source
    }
}

/// Whether a step after `.*` belongs to each element.
fn is_attribute_step(operator: &TraversalOperator) -> bool {
    matches!(operator, TraversalOperator::GetAttr(_) | TraversalOperator::LegacyIndex(_))
}

fn nested_splat(span: Span) -> Diagnostic {
    Diagnostic::error("nested-splat", "A second `.*` in one traversal")
        .detail("Write `[*]` for the inner one, or use `flatten` and a `for` expression.")
        .at(span, "")
}

/// The error for what is nested deeper than this program goes.
pub(super) fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error("nesting-too-deep", "Nested too deeply")
        .detail(format!(
            "Brackets, templates and conditionals may be nested {} levels, {} operators may be chained, and an expression may have {MAX_TREE_DEPTH} levels in all. Name a part of it in `locals`.",
            super::MAX_NESTING,
            super::MAX_OPERATORS,
        ))
        .at(span, "")
}

/// Reports attributes that are set twice in one body; the first one stays.
#[expect(dead_code, reason = "recovery comes next")]
pub(super) fn drop_duplicates(body: &mut Body, diagnostics: &mut Diagnostics) {
    let mut seen: BTreeMap<Arc<str>, Span> = BTreeMap::new();
    body.attributes.retain(|attribute| match seen.get(&attribute.name) {
        None => {
            seen.insert(attribute.name.clone(), attribute.name_span);
            true
        }
        Some(first) => {
            diagnostics.push(
                Diagnostic::error("duplicate-attribute", format!("`{}` is set twice", attribute.name))
                    .detail("An attribute may be set once in a body. Remove one of the two.")
                    .at(attribute.name_span, "set again here")
                    .at(*first, "set here first"),
            );
            false
        }
    });
}

/// A text in Unicode normal form C, as all text of the language is.
pub(super) fn nfc(text: &str) -> Arc<str> {
    if text.is_ascii() { Arc::from(text) } else { text.nfc().collect::<String>().into() }
}

fn operator(operator: BinaryOperator) -> BinaryOp {
    match operator {
        BinaryOperator::Or => BinaryOp::Or,
        BinaryOperator::And => BinaryOp::And,
        BinaryOperator::Eq => BinaryOp::Eq,
        BinaryOperator::NotEq => BinaryOp::NotEq,
        BinaryOperator::Less => BinaryOp::Less,
        BinaryOperator::LessEq => BinaryOp::LessEq,
        BinaryOperator::Greater => BinaryOp::Greater,
        BinaryOperator::GreaterEq => BinaryOp::GreaterEq,
        BinaryOperator::Plus => BinaryOp::Add,
        BinaryOperator::Minus => BinaryOp::Sub,
        BinaryOperator::Mul => BinaryOp::Mul,
        BinaryOperator::Div => BinaryOp::Div,
        BinaryOperator::Mod => BinaryOp::Rem,
    }
}
