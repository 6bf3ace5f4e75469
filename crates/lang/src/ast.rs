//! The tree that lowering makes: our own, so that the parser can be replaced and never shows.
//!
//! Strings are in NFC, numbers exact, template strip markers and heredoc indentation already applied.

use std::sync::Arc;

use coxswain_model::{Num, Span};

/// The attributes and blocks of a file or a block, in source order.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// `name = expression`.
    pub attributes: Vec<Attribute>,
    /// `type "label" { … }`.
    pub blocks: Vec<Block>,
}

/// `name = expression`.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// The name.
    pub name: Arc<str>,
    /// Where the name stands.
    pub name_span: Span,
    /// The value.
    pub expr: Expr,
}

/// `type "label" … { body }`.
#[derive(Debug, Clone)]
pub struct Block {
    /// The block's type.
    pub ident: Arc<str>,
    /// Where the type stands.
    pub ident_span: Span,
    /// The labels with their places (without quotes).
    pub labels: Vec<(Arc<str>, Span)>,
    /// What is inside.
    pub body: Body,
    /// From the type to the closing brace.
    pub span: Span,
}

/// An expression and its place.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The forms of expressions.
#[derive(Debug, Clone)]
pub enum ExprKind {
    /// Could not be parsed; a diagnostic has been made. Evaluates to an unknown of any type.
    Error,
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number.
    Num(Num),
    /// A string or heredoc without interpolation.
    Str(Arc<str>),
    /// A string or heredoc with interpolation or directives.
    Template(Vec<Part>),
    /// `[a, b]`.
    Tuple(Vec<Expr>),
    /// `{ a = 1 }`.
    Object(Vec<ObjectItem>),
    /// A root name: `var`, `local`, `each`, a kind, a `for` variable.
    Variable(Arc<str>),
    /// `x.name`.
    Attr(Box<Expr>, Arc<str>),
    /// `x[key]`, and the old `x.0`.
    Index(Box<Expr>, Box<Expr>),
    /// `x.*.rest` (attribute splat) or `x[*].rest` (full splat): `each` is applied to every element, where
    /// [`ExprKind::SplatItem`] stands for the element.
    Splat {
        /// What is spread.
        source: Box<Expr>,
        /// The traversal applied to each element.
        each: Box<Expr>,
        /// `[*]`: index operators after it belong to each element too.
        full: bool,
    },
    /// The element inside the innermost splat.
    SplatItem,
    /// `f(a, b...)`.
    Call {
        /// The function.
        name: Arc<str>,
        /// Where its name stands.
        name_span: Span,
        /// The arguments.
        args: Vec<Expr>,
        /// Whether the last argument is spread (`...`).
        expand: bool,
    },
    /// `-x`.
    Neg(Box<Expr>),
    /// `!x`.
    Not(Box<Expr>),
    /// `a + b`.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `c ? a : b`.
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `[for …]`, `{for …}`.
    For(Box<ForExpr>),
    /// `(x)`: kept, because an object key in parentheses is an expression and because it ends a splat.
    Paren(Box<Expr>),
}

/// One item of an object constructor.
#[derive(Debug, Clone)]
pub struct ObjectItem {
    /// The key.
    pub key: ObjectKey,
    /// The value.
    pub value: Expr,
}

/// A key of an object constructor.
#[derive(Debug, Clone)]
pub enum ObjectKey {
    /// A bare name.
    Name(Arc<str>, Span),
    /// A string, a template, or an expression in parentheses.
    Expr(Expr),
}

/// A piece of a template.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text as it is.
    Text(Arc<str>),
    /// `${ … }`.
    Interpolation(Expr),
    /// `%{ if … }`.
    If {
        /// The condition.
        condition: Expr,
        /// What stands there when it is true.
        then: Vec<Part>,
        /// What stands there when it is false.
        otherwise: Vec<Part>,
    },
    /// `%{ for … }`.
    For {
        /// The name for the key, if asked for.
        key: Option<Arc<str>>,
        /// The name for the value.
        value: Arc<str>,
        /// What is walked over.
        collection: Expr,
        /// What stands there for each element.
        body: Vec<Part>,
    },
}

/// A `for` expression.
#[derive(Debug, Clone)]
pub struct ForExpr {
    /// The name for the key, if asked for.
    pub key_var: Option<Arc<str>>,
    /// The name for the value.
    pub value_var: Arc<str>,
    /// What is walked over.
    pub collection: Expr,
    /// `{for … : KEY => …}`; a tuple without.
    pub key: Option<Expr>,
    /// The result for each element.
    pub value: Expr,
    /// `{for … : k => v...}`.
    pub group: bool,
    /// `if …`.
    pub condition: Option<Expr>,
}

/// Binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `==`
    Eq,
    /// `!=`
    NotEq,
    /// `<`
    Less,
    /// `<=`
    LessEq,
    /// `>`
    Greater,
    /// `>=`
    GreaterEq,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
}

/// A free name with the steps that follow it as constants: `var.x`, `host.a["k"].address`, `each.value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The root name.
    pub root: Arc<str>,
    /// The constant steps after it.
    pub steps: Vec<RefStep>,
    /// The place of the root and the steps.
    pub span: Span,
}

/// A constant step of a traversal.
#[derive(Debug, Clone, PartialEq)]
pub enum RefStep {
    /// `.name`
    Attr(Arc<str>),
    /// `["key"]`
    Key(Arc<str>),
    /// `[0]`
    Index(u64),
}

impl Body {
    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name.as_ref() == name)
    }
    /// The blocks of this type.
    pub fn blocks<'a>(&'a self, ident: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |b| b.ident.as_ref() == ident)
    }
}
