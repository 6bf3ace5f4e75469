//! Functions that are more than a function of values: `try` and `can` see errors, the others read the controller
//! through the scope.

use std::path::PathBuf;
use std::sync::Arc;

use coxswain_model::diagnostic::suggest;
use coxswain_model::{Diagnostic, FileId, Marks, Node, Span, Type, Value};
use sha2::{Digest, Sha256};

use super::call::{Call, wrong_count};
use super::operator::united;
use super::{Env, FileAnswer, Need, Problems, Scope, Stop};
use crate::ast::{Expr, RefStep, Reference};
use crate::convert::convert;
use crate::syntax::parse_template;
use crate::syntax::references::references;

/// A function that evaluates its arguments itself.
pub struct LazyFn {
    /// The name.
    pub name: &'static str,
    /// The names of the parameters; a last one with `...` may repeat.
    pub params: &'static [&'static str],
    /// One sentence for the reference.
    pub doc: &'static str,
    /// How it is called, shown in the reference.
    pub example: &'static str,
    what: What,
}

/// Text arguments; `None` while one is unknown.
type Texts = Option<Vec<Arc<str>>>;

#[derive(Clone, Copy)]
enum What {
    Can,
    Try,
    File,
    FileBase64,
    FileSha256,
    FileExists,
    FileSet,
    TemplateFile,
}

/// All of them, sorted by name.
pub static LAZY_FUNCTIONS: &[LazyFn] = &[
    LazyFn {
        name: "can",
        params: &["expression"],
        doc: "Whether the expression can be evaluated without an error.",
        example: "can(tonumber(\"x\"))",
        what: What::Can,
    },
    LazyFn {
        name: "file",
        params: &["path"],
        doc: "The text of a UTF-8 file of the controller.",
        example: "file(\"motd\")",
        what: What::File,
    },
    LazyFn {
        name: "filebase64",
        params: &["path"],
        doc: "The bytes of a file of the controller, in base64.",
        example: "filebase64(\"logo.png\")",
        what: What::FileBase64,
    },
    LazyFn {
        name: "fileexists",
        params: &["path"],
        doc: "Whether a file of the controller exists.",
        example: "fileexists(\"motd\")",
        what: What::FileExists,
    },
    LazyFn {
        name: "fileset",
        params: &["directory", "pattern"],
        doc: "The paths of the files below a directory of the controller that match a pattern.",
        example: "fileset(\"keys\", \"*.json\")",
        what: What::FileSet,
    },
    LazyFn {
        name: "filesha256",
        params: &["path"],
        doc: "The SHA-256 of a file of the controller, in hexadecimal digits.",
        example: "filesha256(\"motd\")",
        what: What::FileSha256,
    },
    LazyFn {
        name: "templatefile",
        params: &["path", "variables"],
        doc: "The text of a template file of the controller, with these variables.",
        example: "templatefile(\"motd.tmpl\", { name = \"nfs\" })",
        what: What::TemplateFile,
    },
    LazyFn {
        name: "try",
        params: &["expressions..."],
        doc: "The first of the expressions that can be evaluated without an error.",
        example: "try(local.hosts.nfs.port, 22)",
        what: What::Try,
    },
];

pub(super) fn find(name: &str) -> Option<&'static LazyFn> {
    LAZY_FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|i| &LAZY_FUNCTIONS[i])
}

impl Env<'_> {
    pub(super) fn call_lazy(&self, function: &LazyFn, call: &Call<'_>) -> Result<Value, Stop> {
        if call.expand {
            let d =
                Diagnostic::error("invalid-spread", format!("`...` cannot be used with `{}`", function.name))
                    .detail("Write its arguments one by one.")
                    .at(call.span, "");
            return Err(Stop::Error(vec![d]));
        }
        let repeats = function.params.last().is_some_and(|p| p.ends_with("..."));
        let (wanted, given) = (function.params.len(), call.args.len());
        if given != wanted && !(repeats && given > wanted) {
            let wanted = if repeats { format!("at least {wanted}") } else { wanted.to_string() };
            return Err(wrong_count(call, &wanted, given, &function.params.join(", ")));
        }
        match function.what {
            What::Can => self.can(&call.args[0]),
            What::Try => self.try_each(call),
            What::File => self.read(call, Type::Str, |env, bytes| env.text(call, bytes)),
            What::FileBase64 => self.read(call, Type::Str, |_, bytes| {
                Ok(Value::from(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)))
            }),
            What::FileSha256 => {
                self.read(call, Type::Str, |_, bytes| Ok(Value::from(hex::encode(Sha256::digest(bytes)))))
            }
            What::FileExists => self.file_exists(call),
            What::FileSet => self.file_set(call),
            What::TemplateFile => self.template_file(call),
        }
    }

    fn can(&self, expr: &Expr) -> Result<Value, Stop> {
        let result = match self.eval(expr) {
            Ok(value) if value.is_known() => Value::from(true),
            Ok(_) => super::unknown_not_null(Type::Bool),
            Err(Stop::Error(_)) => Value::from(false),
            Err(need) => return Err(need),
        };
        Ok(result.marked(&self.decided_by(expr)?))
    }

    /// A need is no error: nobody knows yet whether there will be one. Nor is it known for an unknown value, of
    /// which not even the type is sure then. What made the first ones fail marks the result.
    fn try_each(&self, call: &Call<'_>) -> Result<Value, Stop> {
        let (mut problems, mut marks) = (Problems::default(), Marks::NONE);
        for expr in call.args {
            match self.eval(expr) {
                Ok(value) if value.is_known() => return Ok(value.marked(&marks)),
                Ok(value) => return Ok(Value::unknown(Type::Any).marked(&value.marks).marked(&marks)),
                Err(Stop::Need(need)) => return Err(Stop::Need(need)),
                error => {
                    problems.take(error);
                    marks.add(&self.decided_by(expr)?);
                }
            };
        }
        let d = Diagnostic::error("invalid-argument", "`try` has no result")
            .detail("Every expression in it fails; the last one can be a constant, such as `null`.")
            .at(call.span, "");
        let mut all = vec![d];
        all.extend(problems.errors);
        Err(Stop::Error(all))
    }

    /// The marks of all that can decide whether `expr` has a value: an error carries none.
    fn decided_by(&self, expr: &Expr) -> Result<Marks, Stop> {
        // Whether a bare path leads somewhere does not depend on what lies at its end.
        let is_path = expr.as_traversal().is_some();
        let mut marks = Marks::NONE;
        for reference in references(expr) {
            let found = match self.local(&reference.root) {
                Some(value) => Ok((value.clone(), 0)),
                None => self.scope.lookup(&reference),
            };
            let (mut value, consumed) = match found {
                Ok(found) => found,
                Err(Stop::Need(need)) => return Err(Stop::Need(need)),
                Err(Stop::Error(_)) => continue,
            };
            let mut steps = reference.steps.iter().skip(consumed);
            let arrived = steps.all(|step| match self.step(&value, step, reference.span) {
                Some(next) => {
                    value = next.marked(&value.marks);
                    true
                }
                None => false,
            });
            marks.add(&if arrived && !is_path { value.deep_marks() } else { value.marks });
        }
        Ok(marks)
    }

    fn step(&self, value: &Value, step: &RefStep, span: Span) -> Option<Value> {
        match (&value.node, step) {
            (Node::Ref(_), RefStep::Attr(name) | RefStep::Key(name)) => {
                self.scope.ref_attr(value, name, span).ok()
            }
            (_, RefStep::Attr(name) | RefStep::Key(name)) => value.as_fields()?.get(name).cloned(),
            (_, RefStep::Index(i)) => value.as_items()?.get(usize::try_from(*i).ok()?).cloned(),
        }
    }

    /// The text arguments of a call, and all their marks; `None` while one is unknown.
    fn texts(&self, call: &Call<'_>, count: usize) -> Result<(Texts, Vec<Value>), Stop> {
        let mut problems = Problems::default();
        let values: Vec<Value> = call
            .args
            .iter()
            .take(count)
            .filter_map(|expr| problems.take(self.text_argument(call, expr)))
            .collect();
        problems.finish()?;
        let texts = values.iter().map(|v| v.as_str().map(Arc::from)).collect();
        Ok((texts, values))
    }

    fn text_argument(&self, call: &Call<'_>, expr: &Expr) -> Result<Value, Stop> {
        let param = if std::ptr::eq(expr, &raw const call.args[0]) { "path" } else { "pattern" };
        let value = self.eval(expr)?;
        match convert(value, &Type::Str) {
            Ok(text) if text.is_null() => {
                Err(self.bad_argument(call.name, param, expr, "a string is required, not null"))
            }
            // A path is part of errors and of saved plans.
            Ok(text) if text.is_sensitive() => {
                let reason =
                    "it is sensitive, and paths are shown; use `nonsensitive` if this one is no secret";
                Err(self.bad_argument(call.name, param, expr, reason))
            }
            Ok(text) => Ok(text),
            Err(e) => Err(self.bad_argument(call.name, param, expr, &e.to_string())),
        }
    }

    fn read(
        &self,
        call: &Call<'_>,
        ty: Type,
        then: impl Fn(&Self, &[u8]) -> Result<Value, Stop>,
    ) -> Result<Value, Stop> {
        let (texts, values) = self.texts(call, 1)?;
        let marks = united(&values);
        let Some([path]) = texts.as_deref() else { return Ok(Value::unknown(ty).marked(&marks)) };
        Ok(then(self, &self.bytes(call, path)?)?.marked(&marks))
    }

    fn bytes(&self, call: &Call<'_>, path: &str) -> Result<Arc<[u8]>, Stop> {
        match self.scope.file(&Need::File(PathBuf::from(path)), call.span)? {
            FileAnswer::Bytes(bytes) => Ok(bytes),
            FileAnswer::Exists(_) | FileAnswer::Paths(_) => Err(wrong_answer(call)),
        }
    }

    fn text(&self, call: &Call<'_>, bytes: &[u8]) -> Result<Value, Stop> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Value::from(text)),
            Err(_) => {
                let reason = "the file is not UTF-8 text; read it with `filebase64`";
                Err(self.bad_argument(call.name, "path", &call.args[0], reason))
            }
        }
    }

    fn file_exists(&self, call: &Call<'_>) -> Result<Value, Stop> {
        let (texts, values) = self.texts(call, 1)?;
        let marks = united(&values);
        let Some([path]) = texts.as_deref() else { return Ok(Value::unknown(Type::Bool).marked(&marks)) };
        match self.scope.file(&Need::FileExists(PathBuf::from(path.as_ref())), call.span)? {
            FileAnswer::Exists(exists) => Ok(Value::from(exists).marked(&marks)),
            FileAnswer::Bytes(_) | FileAnswer::Paths(_) => Err(wrong_answer(call)),
        }
    }

    fn file_set(&self, call: &Call<'_>) -> Result<Value, Stop> {
        let (texts, values) = self.texts(call, 2)?;
        let marks = united(&values);
        let Some([directory, pattern]) = texts.as_deref() else {
            return Ok(Value::unknown(Type::set(Type::Str)).marked(&marks));
        };
        let need = Need::FileSet(PathBuf::from(directory.as_ref()), pattern.to_string());
        match self.scope.file(&need, call.span)? {
            FileAnswer::Paths(paths) => {
                Ok(Value::set(Type::Str, paths.into_iter().map(Value::from).collect()).marked(&marks))
            }
            FileAnswer::Bytes(_) | FileAnswer::Exists(_) => Err(wrong_answer(call)),
        }
    }

    fn template_file(&self, call: &Call<'_>) -> Result<Value, Stop> {
        if self.in_template {
            let d = Diagnostic::error("invalid-argument", "A template file cannot read another one")
                .detail("Pass the text of the other template as a variable.")
                .at(call.span, "");
            return Err(Stop::Error(vec![d]));
        }
        let mut problems = Problems::default();
        let texts = problems.take(self.texts(call, 1));
        let variables = problems.take(self.template_variables(call));
        problems.finish()?;
        let (Some((texts, values)), Some(variables)) = (texts, variables) else {
            return Ok(Value::unknown(Type::Str));
        };
        let marks = united(&values).with(&variables.marks);
        let (Some([path]), true) = (texts.as_deref(), variables.is_known()) else {
            return Ok(Value::unknown(Type::Str).marked(&marks));
        };
        let bytes = self.bytes(call, path)?;
        let text = self.text(call, &bytes)?;
        let text = text.as_str().unwrap_or_default();
        let relocate = |stop| relocated(stop, text, path, call.span);
        let template = parse_template(TEMPLATE, text).map_err(|e| relocate(Stop::Error(e)))?;
        let scope = TemplateScope { outer: self.scope, variables: &variables };
        let result =
            Env { scope: &scope, frame: None, in_template: true }.eval(&template).map_err(relocate)?;
        Ok(result.marked(&marks))
    }

    fn template_variables(&self, call: &Call<'_>) -> Result<Value, Stop> {
        let expr = &call.args[1];
        let value = self.resolved(self.eval(expr)?, expr.span)?;
        match &value.node {
            Node::Object(_)
            | Node::Map(..)
            | Node::Unknown { ty: Type::Any | Type::Object(_) | Type::Map(_), .. } => Ok(value),
            _ => {
                let reason = format!("an object is required, not {}", super::explain::a_value(&value));
                Err(self.bad_argument(call.name, "variables", expr, &reason))
            }
        }
    }
}

/// Stands in spans for the file that `templatefile` reads, which is not in the file table.
const TEMPLATE: FileId = FileId(u32::MAX);

/// Errors in a template point at the call; the place in the template is told in words.
fn relocated(stop: Stop, text: &str, path: &str, call: Span) -> Stop {
    let Stop::Error(mut errors) = stop else { return stop };
    for d in &mut errors {
        let Some(first) = d.labels.iter().find(|l| l.span.file == TEMPLATE).map(|l| l.span.start as usize)
        else {
            continue;
        };
        let before = text.get(..first).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        d.labels.retain(|l| l.span.file != TEMPLATE);
        d.fixes.retain(|f| f.span.file != TEMPLATE);
        d.labels.insert(
            0,
            coxswain_model::diagnostic::Label { span: call, text: format!("{path}:{line}:{column}") },
        );
    }
    Stop::Error(errors)
}

fn wrong_answer(call: &Call<'_>) -> Stop {
    let d =
        Diagnostic::error("invalid-argument", format!("`{}` got an answer to another question", call.name))
            .detail("This is a defect of coxswain; please report it.")
            .at(call.span, "");
    Stop::Error(vec![d])
}

/// Inside a template there are only its variables.
struct TemplateScope<'a> {
    outer: &'a dyn Scope,
    variables: &'a Value,
}

impl Scope for TemplateScope<'_> {
    fn lookup(&self, reference: &Reference) -> Result<(Value, usize), Stop> {
        let fields = self.variables.as_fields();
        if let Some(value) = fields.and_then(|fields| fields.get(&reference.root)) {
            return Ok((value.clone().marked(&self.variables.marks), 0));
        }
        let names = fields.into_iter().flat_map(|fields| fields.keys().map(AsRef::as_ref));
        let d = Diagnostic::error(
            "unknown-reference",
            format!("The template has no variable `{}`", reference.root),
        );
        let d = match suggest(&reference.root, names) {
            Some(near) => d.detail(format!("Did you mean `{near}`?")),
            None => d.detail("Give it in the second argument of `templatefile`."),
        };
        Err(Stop::Error(vec![d.at(reference.span, "")]))
    }

    fn ref_attr(&self, target: &Value, name: &str, span: Span) -> Result<Value, Stop> {
        self.outer.ref_attr(target, name, span)
    }

    fn ref_object(&self, target: &Value, span: Span) -> Result<Value, Stop> {
        self.outer.ref_object(target, span)
    }

    fn file(&self, need: &Need, span: Span) -> Result<FileAnswer, Stop> {
        self.outer.file(need, span)
    }
}
