//! A short rendering of trees, for tests.

use std::fmt::Write;

use crate::ast::{BinaryOp, Body, Expr, ExprKind, ObjectKey, Part};

pub(super) fn body(body: &Body) -> String {
    let mut out = Vec::new();
    for a in &body.attributes {
        out.push(format!("{}={}", a.name, expr(&a.expr)));
    }
    for b in &body.blocks {
        let labels: String = b.labels.iter().fold(String::new(), |mut s, (l, _)| {
            write!(s, " {l:?}").expect("a string takes all");
            s
        });
        out.push(format!("{}{labels} {{{}}}", b.ident, self::body(&b.body)));
    }
    out.join("; ")
}

pub(super) fn expr(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Error => "ERROR".into(),
        ExprKind::Null => "null".into(),
        ExprKind::Bool(b) => b.to_string(),
        ExprKind::Num(n) => n.to_string(),
        ExprKind::Str(s) => format!("{s:?}"),
        ExprKind::Template(p) => format!("(template {})", parts(p)),
        ExprKind::Tuple(items) => format!("[{}]", list(items)),
        ExprKind::Object(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|i| match &i.key {
                    ObjectKey::Name(n, _) => format!("{n}: {}", expr(&i.value)),
                    ObjectKey::Expr(k) => format!("{}: {}", expr(k), expr(&i.value)),
                })
                .collect();
            format!("{{{}}}", items.join(" "))
        }
        ExprKind::Variable(n) => n.to_string(),
        ExprKind::Attr(s, n) => format!("(. {} {n})", expr(s)),
        ExprKind::Index(s, i) => format!("(at {} {})", expr(s), expr(i)),
        ExprKind::Splat { source, each, full } => {
            format!("({} {} {})", if *full { "[*]" } else { ".*" }, expr(source), expr(each))
        }
        ExprKind::SplatItem => "_".into(),
        ExprKind::Call { name, args, expand, .. } => {
            format!("({name}() {}{})", list(args), if *expand { "..." } else { "" })
        }
        ExprKind::Neg(x) => format!("(neg {})", expr(x)),
        ExprKind::Not(x) => format!("(! {})", expr(x)),
        ExprKind::Binary(op, a, b) => format!("({} {} {})", operator(*op), expr(a), expr(b)),
        ExprKind::Conditional(c, a, b) => format!("(? {} {} {})", expr(c), expr(a), expr(b)),
        ExprKind::For(f) => {
            let key = f.key_var.as_ref().map_or(String::new(), |k| format!("{k},"));
            let result = f.key.as_ref().map_or(String::new(), |k| format!("{} => ", expr(k)));
            let condition = f.condition.as_ref().map_or(String::new(), |c| format!(" if {}", expr(c)));
            let group = if f.group { "..." } else { "" };
            format!(
                "(for {key}{} in {} : {result}{}{group}{condition})",
                f.value_var,
                expr(&f.collection),
                expr(&f.value)
            )
        }
        ExprKind::Paren(x) => format!("(paren {})", expr(x)),
    }
}

fn list(items: &[Expr]) -> String {
    items.iter().map(expr).collect::<Vec<_>>().join(" ")
}

fn parts(parts: &[Part]) -> String {
    let parts: Vec<_> = parts
        .iter()
        .map(|part| match part {
            Part::Text(t) => format!("{t:?}"),
            Part::Interpolation(e) => format!("${{{}}}", expr(e)),
            Part::If { condition, then, otherwise } => {
                format!("(if {} <{}> <{}>)", expr(condition), self::parts(then), self::parts(otherwise))
            }
            Part::For { key, value, collection, body } => {
                let key = key.as_ref().map_or(String::new(), |k| format!("{k},"));
                format!("(for {key}{value} in {} <{}>)", expr(collection), self::parts(body))
            }
        })
        .collect();
    parts.join(" ")
}

fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "||",
        BinaryOp::And => "&&",
        BinaryOp::Eq => "==",
        BinaryOp::NotEq => "!=",
        BinaryOp::Less => "<",
        BinaryOp::LessEq => "<=",
        BinaryOp::Greater => ">",
        BinaryOp::GreaterEq => ">=",
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Rem => "%",
    }
}
