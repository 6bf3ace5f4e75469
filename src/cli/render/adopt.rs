//! What was found on a host, as configuration.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_lang::write::{write_block, write_value};
use coxswain_model::Address;
use serde_json::{Value as Json, json};

use super::clean;
use crate::plan::adopt::{LeftOut, Portrait};
use crate::session::Adoptable;

/// A configuration, and the resources in it.
#[derive(Debug)]
pub struct Document {
    /// The text.
    pub text: String,
    /// The addresses.
    pub addresses: Vec<String>,
}

/// The blocks of everything that was found.
pub fn document(host: &Address, adoptable: &Adoptable) -> Document {
    let mut names = Names::new(host, &adoptable.names);
    let mut document = Document { text: String::new(), addresses: Vec::new() };
    for portrait in &adoptable.found.portraits {
        let kind = portrait.schema.kind;
        let name = names.of(portrait);
        let mut arguments = vec![("host".to_owned(), host.to_string())];
        // Nothing is in a portrait that has no text.
        let texts =
            portrait.arguments.iter().filter_map(|(n, v)| Some(((*n).to_owned(), write_value(v, 1)?)));
        arguments.extend(texts);
        let address = format!("{kind}.{name}");
        if !document.text.is_empty() {
            document.text.push('\n');
        }
        document.text.push_str(&write_block(&format!("{kind} \"{name}\""), &arguments));
        document.text.push('\n');
        document.text.push_str(&write_block("import", &[("to".to_owned(), address.clone())]));
        document.addresses.push(address);
    }
    document
}

/// What was not written, a line each.
pub fn left_out(all: &[LeftOut]) -> String {
    let line = |left: &LeftOut| {
        let name = format!("{} {}", left.kind, left.identity);
        format!("left out: {}: {}\n", clean(name.trim_end()), clean(&left.reason))
    };
    all.iter().map(line).collect()
}

/// The same for machines.
pub fn json(document: &Document, adoptable: &Adoptable) -> Json {
    json!({
        "document": "coxswain.adopt",
        "configuration": document.text,
        "addresses": document.addresses,
        "left_out": adoptable.found.left_out,
    })
}

/// Names of resources: made from what names the object, so that they are the same the next time.
struct Names {
    host: String,
    taken: BTreeSet<(String, String)>,
}

impl Names {
    fn new(host: &Address, taken: &BTreeMap<String, Vec<String>>) -> Names {
        let key = host.key.as_ref().map_or_else(String::new, |key| format!("_{key}"));
        let pairs = taken.iter().flat_map(|(kind, names)| names.iter().map(|n| (kind.clone(), n.clone())));
        Names { host: name_of(&format!("{}{key}", host.name)), taken: pairs.collect() }
    }

    fn of(&mut self, portrait: &Portrait) -> String {
        let kind = portrait.schema.kind;
        let plain = name_of(&portrait.identity);
        // Another host may have an object of that name in the same configuration.
        let tries = match plain.as_str() {
            "" => vec![self.host.clone()],
            plain => vec![plain.to_owned(), format!("{}_{plain}", self.host)],
        };
        let last = tries.last().cloned().unwrap_or_default();
        let numbered = (2u32..).map(|n| format!("{last}_{n}"));
        let free =
            tries.into_iter().chain(numbered).find(|name| self.taken.insert((kind.to_owned(), name.clone())));
        free.unwrap_or(last)
    }
}

/// A name: letters, digits, `_` and `-`, and a letter first.
fn name_of(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '-' {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_matches(['_', '-']).to_owned();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coxswain_model::Key;

    #[test]
    fn names_are_valid_unique_and_stable() {
        assert_eq!(name_of("/etc/nginx/sites.d/a b.conf"), "etc_nginx_sites_d_a_b_conf");
        assert_eq!(name_of("9p"), "_9p");
        assert_eq!(name_of("é"), "");
        let user = crate::resource::find("user").expect("a kind").schema();
        let portrait =
            |identity: &str| Portrait { schema: user, identity: identity.into(), arguments: vec![] };
        let taken = BTreeMap::from([("user".to_owned(), vec!["eth".to_owned()])]);
        let host = Address::root("host", "node").with_key(Some(Key::Str("a".into())));
        let mut names = Names::new(&host, &taken);
        let found: Vec<String> =
            ["eth", "a.b", "a b", "a/b", "é"].iter().map(|n| names.of(&portrait(n))).collect();
        assert_eq!(found, ["node_a_eth", "a_b", "node_a_a_b", "node_a_a_b_2", "node_a"]);
    }
}
