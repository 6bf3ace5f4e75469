//! The blocks that speak of other modules and of addresses: `module`, `import`, `moved`, `removed`.

use coxswain_lang::Block;
use coxswain_model::Diagnostic;

use super::Decoder;
use crate::config::{Call, Import, Moved, Removed};

impl Decoder<'_> {
    pub(super) fn call(&mut self, mut block: Block) {
        let Some(name) = self.label(&block, "module") else { return };
        let span = block.ident_span.to(block.labels.first().map_or(block.ident_span, |l| l.1));
        let repeat = self.repeat(&mut block.body, None);
        let depends = Self::take(&mut block.body, "depends_on");
        let depends_on = self.reference_list(depends);
        self.only_attributes("`module`", &block);
        let Some(source) = Self::take(&mut block.body, "source") else {
            self.problem(
                Diagnostic::error("missing-argument", format!("module `{name}` has no source"))
                    .detail("Write `source = \"./DIRECTORY\"`.")
                    .at(span, "`source` is missing"),
            );
            return;
        };
        let Some(text) = self.constant_text(&source.expr) else { return };
        let arguments = block.body.attributes.into_iter().map(|a| (a.name.clone(), a)).collect();
        let call = Call { module: usize::MAX, arguments, repeat, depends_on, span };
        self.out.calls.push((name, (text, source.expr.span), call));
    }

    pub(super) fn import(&mut self, block: &Block) {
        self.only("`import`", &block.body, &["to"], &[]);
        let Some(to) = block.body.attribute("to") else {
            self.problem(
                Diagnostic::error("missing-argument", "`import` has no `to`")
                    .detail("Write the address of the resource: `to = file.motd`.")
                    .at(block.ident_span, "here"),
            );
            return;
        };
        if let Some(to) = self.traversal(&to.expr) {
            self.out.module.imports.push(Import { to, span: block.ident_span });
        }
    }

    pub(super) fn moved(&mut self, block: &Block) {
        self.only("`moved`", &block.body, &["from", "to"], &[]);
        let side = |d: &mut Self, name| match block.body.attribute(name) {
            Some(attribute) => d.traversal(&attribute.expr),
            None => {
                d.problem(
                    Diagnostic::error("missing-argument", format!("`moved` has no `{name}`"))
                        .at(block.ident_span, "here"),
                );
                None
            }
        };
        let (from, to) = (side(self, "from"), side(self, "to"));
        if let (Some(from), Some(to)) = (from, to) {
            self.out.module.moved.push(Moved { from, to, span: block.ident_span });
        }
    }

    pub(super) fn removed(&mut self, block: &Block) {
        self.only("`removed`", &block.body, &["from", "on_destroy"], &[]);
        let destroy = match block.body.attribute("on_destroy").map(|a| a.expr.clone()) {
            None => false,
            Some(expr) => match self.constant_text(&expr).as_deref() {
                Some("destroy") => true,
                Some("retain") | None => false,
                Some(_) => {
                    self.problem(
                        Diagnostic::error("invalid-word", "`on_destroy` is \"destroy\" or \"retain\" here")
                            .at(expr.span, "another word"),
                    );
                    false
                }
            },
        };
        let Some(from) = block.body.attribute("from") else {
            self.problem(
                Diagnostic::error("missing-argument", "`removed` has no `from`").at(block.ident_span, "here"),
            );
            return;
        };
        if let Some(from) = self.traversal(&from.expr) {
            self.out.module.removed.push(Removed { from, destroy, span: block.ident_span });
        }
    }
}
