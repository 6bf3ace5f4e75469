//! `import` blocks: which instances stand for objects that are there already and shall be taken over.

use coxswain_lang::ast::RefStep;
use coxswain_model::{Address, Diagnostic, Span};

use super::decide::Situation;
use super::moved;
use crate::config::Config;
use crate::graph::{Graph, Pattern};

/// The blocks of every module, seen from the root.
pub(crate) struct Imports(Vec<Block>);

struct Block {
    to: Pattern,
    /// Whether the block names a key; without one it stands for every instance there is, also for none.
    is_keyed: bool,
    /// The block, and the address in it.
    spans: (Span, Span),
}

impl Imports {
    pub(crate) fn of(config: &Config) -> Imports {
        let blocks = moved::modules(config).into_iter().flat_map(|(module, path)| {
            module.imports.iter().filter_map(move |import| {
                let is_key = |step: &RefStep| matches!(step, RefStep::Key(_) | RefStep::Index(_));
                Some(Block {
                    to: Pattern::of(&path, &import.to)?,
                    is_keyed: import.to.steps.iter().any(is_key),
                    spans: (import.span, import.to.span),
                })
            })
        });
        Imports(blocks.collect())
    }

    /// The block that names an instance.
    pub(crate) fn block_of(&self, address: &Address) -> Option<Span> {
        self.0.iter().find(|block| block.to.covers(address)).map(|block| block.spans.0)
    }

    /// Blocks with a key that no instance has.
    pub(crate) fn without_instance(&self, graph: &Graph<'_>) -> Vec<Diagnostic> {
        let unexpanded = graph.unexpanded();
        let is_missing = |block: &&Block| {
            let Some((kind, name, _)) = &block.to.resource else { return false };
            // What is not expanded yet may bring the key.
            let may_come = unexpanded
                .iter()
                .any(|(a, _)| a.kind.as_ref() == "module" || (a.kind == *kind && a.name == *name));
            block.is_keyed && !may_come && !graph.instances().iter().any(|i| block.to.covers(&i.address))
        };
        self.0.iter().filter(is_missing).map(|block| missing(graph, block)).collect()
    }
}

fn missing(graph: &Graph<'_>, block: &Block) -> Diagnostic {
    let any_key = Pattern {
        module: block.to.module.clone(),
        resource: block.to.resource.clone().map(|(kind, name, _)| (kind, name, None)),
    };
    let near: Vec<String> = graph
        .instances()
        .iter()
        .filter(|i| any_key.covers(&i.address))
        .map(|i| format!("`{}`", i.address))
        .take(5)
        .collect();
    let problem = Diagnostic::error("missing-instance", "the block names an instance that there is not");
    let problem = match near.is_empty() {
        true => problem
            .detail("The resource has no instance there: look at its `for_each`, `count` or `enabled`."),
        false => problem.detail(format!("There is {}.", near.join(", "))),
    };
    problem.at(block.spans.1, "no such instance")
}

/// Why an object cannot be taken over that is not there.
pub(super) fn absent(situation: &Situation<'_>, block: Span) -> Diagnostic {
    let summary = format!("`{}` is to be taken over, and it is not there", situation.address);
    Diagnostic::error("import-absent", summary)
        .detail("Nothing has the name that its arguments give. Correct them, or remove the `import` block to have it made.")
        .at(block, "this block says that it is there")
        .of(situation.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::kind::Action;
    use coxswain_model::schema::Existing;
    use coxswain_model::{Object, Schema};

    /// What is decided of a file that is there, of a kind that treats strange objects so.
    fn decided(existing: Existing, import: Option<Span>) -> Result<Action, String> {
        let file = crate::resource::find("file").expect("there are files").schema();
        let schema: &'static Schema = Box::leak(Box::new(Schema { existing, ..*file }));
        let object =
            |content: &str| Object::from([("path".into(), "/f".into()), ("content".into(), content.into())]);
        let situation = Situation {
            schema,
            address: &Address::root("file", "f"),
            desired: &object("wanted"),
            record: None,
            observed: Some(&object("found")),
            former: None,
            ignore: &[],
            replace: None,
            restart: None,
            import,
            digest: &|_: &[u8]| String::new(),
        };
        situation.decide().map(|d| d.action).map_err(|problem| problem.code.to_string())
    }

    #[test]
    fn a_block_lets_every_kind_take_over() {
        let block = Some(Span::new(coxswain_model::FileId(0), 0, 1));
        for existing in [Existing::Refuse, Existing::AdoptIfEqual] {
            assert_eq!(decided(existing, None), Err("not-ours".into()));
            assert_eq!(decided(existing, block), Ok(Action::Adopt));
        }
        assert_eq!(decided(Existing::Adopt, None), Ok(Action::Adopt));
    }
}
