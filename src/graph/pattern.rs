//! Which instances a reference stands for, before anything is evaluated.

use coxswain_lang::Reference;
use coxswain_model::{Address, Key, ModulePath};

use crate::config::Name;

/// What a reference without evaluation stands for: a resource, an instance, a module, seen from a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The module part; a step without key stands for every instance of the call.
    pub module: ModulePath,
    /// The resource part; none for everything inside the module.
    pub resource: Option<(Name, Name, Option<Key>)>,
}

impl Pattern {
    /// Reads `module.a["k"].file.b[0]` as seen from `base`.
    pub fn of(base: &ModulePath, reference: &Reference) -> Option<Pattern> {
        use coxswain_lang::ast::RefStep;
        let mut module = base.clone();
        let mut root = reference.root.clone();
        let mut steps = reference.steps.iter().peekable();
        let key = |steps: &mut std::iter::Peekable<std::slice::Iter<'_, RefStep>>| {
            let found = match steps.peek() {
                Some(RefStep::Key(k)) => Some(Key::Str(k.clone())),
                Some(RefStep::Index(n)) => Some(Key::Int(*n)),
                Some(RefStep::Attr(_)) | None => None,
            };
            if found.is_some() {
                steps.next();
            }
            found
        };
        loop {
            let Some(RefStep::Attr(name)) = steps.next() else { return None };
            let found = key(&mut steps);
            if root.as_ref() != "module" {
                return steps
                    .next()
                    .is_none()
                    .then(|| Pattern { module, resource: Some((root, name.clone(), found)) });
            }
            module = module.child(name, found);
            match steps.next() {
                None => return Some(Pattern { module, resource: None }),
                Some(RefStep::Attr(next)) => root = next.clone(),
                Some(_) => return None,
            }
        }
    }

    /// Whether the address is, or is inside, what the pattern stands for.
    pub fn covers(&self, address: &Address) -> bool {
        let inside = address.module.0.len() >= self.module.0.len()
            && self
                .module
                .0
                .iter()
                .zip(&address.module.0)
                .all(|(p, a)| p.name == a.name && (p.key.is_none() || p.key == a.key));
        match &self.resource {
            None => inside,
            Some((kind, name, key)) => {
                inside
                    && address.module.0.len() == self.module.0.len()
                    && address.kind == *kind
                    && address.name == *name
                    && (key.is_none() || *key == address.key)
            }
        }
    }
}
