//! Whether an `import` block names a resource that the configuration has.

use coxswain_lang::Reference;
use coxswain_lang::ast::RefStep;
use coxswain_model::Diagnostic;

use super::{Checker, OfKind};

impl Checker<'_> {
    /// Follows `module.NAME["key"].KIND.NAME["key"]` through the modules. Keys are compared when they are known.
    pub(super) fn import(&mut self, to: &Reference) {
        let here = self.module;
        let mut root = &to.root;
        let mut steps = to.steps.as_slice();
        loop {
            let named = Reference { root: root.clone(), steps: steps.to_vec(), span: to.span };
            let before = self.problems.len();
            match root.as_ref() {
                "module" => self.named(&named, "module", &self.module.calls),
                kind if self.kinds.schema(kind).is_some() => {
                    self.named(&named, kind, &OfKind { resources: &self.module.resources, kind: root });
                }
                _ if root == &to.root => self.reference(&named, super::Each::No),
                _ => self.no_resource(to),
            }
            let [RefStep::Attr(name), rest @ ..] = steps else { break self.no_resource(to) };
            if self.problems.len() > before {
                break;
            }
            let rest = match rest {
                [RefStep::Key(_) | RefStep::Index(_), rest @ ..] => rest,
                rest => rest,
            };
            match (root.as_ref(), rest) {
                ("module", [RefStep::Attr(next), rest @ ..]) => {
                    // A call whose module cannot be read has its own problem.
                    let Some(module) =
                        self.module.calls.get(name).and_then(|c| self.config.modules.get(c.module))
                    else {
                        break;
                    };
                    (self.module, root, steps) = (module, next, rest);
                }
                (kind, []) if self.kinds.schema(kind).is_some() => break,
                _ => break self.no_resource(to),
            }
        }
        self.module = here;
    }

    fn no_resource(&mut self, to: &Reference) {
        let problem =
            Diagnostic::error("import-target", "an object is taken over by a resource, and this names none");
        self.problems.push(
            problem
                .detail("Write the address of a resource or of one instance: `file.motd`, `module.base.file.motd[\"key\"]`.")
                .at(to.span, "not the address of a resource"),
        );
    }
}
