//! What a pattern covers in a table by address, found without looking through the whole table.
//!
//! Addresses are ordered by module, kind, name and key, so that what a pattern can cover stands together.

use std::collections::BTreeMap;

use coxswain_model::{Address, ModulePath, ModuleStep};

use super::Pattern;

impl Pattern {
    /// The entries whose addresses it covers.
    pub fn within<'t, T>(
        &self,
        table: &'t BTreeMap<Address, T>,
    ) -> impl Iterator<Item = (&'t Address, &'t T)> {
        let (near, covers) = (self.clone(), self.clone());
        table
            .range(self.first()..)
            .take_while(move |(address, _)| near.is_near(address))
            .filter(move |(address, _)| covers.covers(address))
    }

    /// How many steps of the module part stand for one instance each.
    fn exact(&self) -> usize {
        self.module.0.iter().take_while(|step| step.key.is_some()).count()
    }

    /// Not after any address it covers.
    fn first(&self) -> Address {
        let exact = self.exact();
        let mut steps = self.module.0[..exact].to_vec();
        steps.extend(self.module.0.get(exact).map(|s| ModuleStep { name: s.name.clone(), key: None }));
        let (kind, name) = match &self.resource {
            Some((kind, name, _)) if exact == self.module.0.len() => (kind.clone(), name.clone()),
            Some(_) | None => ("".into(), "".into()),
        };
        Address { module: ModulePath(steps), kind, name, key: None }
    }

    /// Whether an address is among those, in a row from the first, that it can cover.
    fn is_near(&self, address: &Address) -> bool {
        let exact = self.exact();
        let steps = &address.module.0;
        if steps.get(..exact) != Some(&self.module.0[..exact]) {
            return false;
        }
        match (self.module.0.get(exact), &self.resource) {
            (Some(open), _) => steps.get(exact).is_some_and(|step| step.name == open.name),
            (None, Some((kind, name, _))) => {
                steps.len() == exact && address.kind == *kind && address.name == *name
            }
            (None, None) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> BTreeMap<Address, ()> {
        let texts = [
            "mock.a",
            "mock.a[0]",
            "mock.a[1]",
            "mock.b",
            "module.m.mock.a",
            "module.m[\"x\"].mock.a",
            "module.m[\"x\"].mock.a[\"k\"]",
            "module.m[\"x\"].mock.b",
            "module.m[\"x\"].module.n.mock.a",
            "module.m[\"y\"].mock.a",
            "module.mm.mock.a",
            "module.n.module.m.mock.a",
        ];
        texts.iter().map(|t| (t.parse().expect("an address"), ())).collect()
    }

    /// Every pattern made from the table's own addresses finds what looking at each address finds.
    #[test]
    fn finds_what_a_look_at_every_address_finds() {
        let table = table();
        let mut found = 0;
        for address in table.keys() {
            let bare: Vec<ModuleStep> =
                address.module.0.iter().map(|s| ModuleStep { name: s.name.clone(), key: None }).collect();
            for module in [address.module.clone(), ModulePath(bare)] {
                let named = |key| Some((address.kind.clone(), address.name.clone(), key));
                for resource in [None, named(None), named(address.key.clone())] {
                    let pattern = Pattern { module: module.clone(), resource };
                    let all: Vec<_> = table.keys().filter(|a| pattern.covers(a)).collect();
                    assert_eq!(pattern.within(&table).map(|(a, ())| a).collect::<Vec<_>>(), all);
                    found += all.len();
                }
            }
        }
        assert!(found > table.len());
    }
}
