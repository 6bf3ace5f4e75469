//! What charon wrote: tables and single files of its core workflow.

#[path = "../../../dv-types/tests/support/vectors.rs"]
mod vectors;

use serde_json::Value as Json;

/// A file beside the tables; none where the vectors are not.
pub(crate) fn golden(name: &str) -> Option<Vec<u8>> {
    let path = vectors::vectors("charon/core")?.join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Rows of a table; none where the vectors are not.
pub(crate) fn table(name: &str) -> Vec<Json> {
    let Some(text) = golden(&format!("tables/{name}.json")) else { return Vec::new() };
    let mut file: Json = serde_json::from_slice(&text).expect("JSON");
    match file["rows"].take() {
        Json::Array(rows) if !rows.is_empty() => rows,
        other => panic!("{name} has no rows: {other}"),
    }
}

/// Bytes of a text after `0x`.
#[track_caller]
pub(crate) fn hex(json: &Json) -> Vec<u8> {
    let text = json.as_str().unwrap_or_else(|| panic!("a text, not {json}"));
    hex::decode(text.strip_prefix("0x").expect("0x")).expect("hex")
}

/// JSON without its white space, the fields in their order.
pub(crate) fn compact(text: &[u8]) -> String {
    let text = std::str::from_utf8(text).expect("UTF-8");
    let mut is_inside = false;
    text.chars()
        .filter(|c| {
            is_inside ^= *c == '"';
            is_inside || !c.is_ascii_whitespace()
        })
        .collect()
}

/// With addresses in lower case. charon writes some of them with the upper case of EIP-55 and takes any; nothing that
/// goes between nodes as JSON has an address in it, unless SSZ is off.
pub(crate) fn lower_addresses(text: &str) -> String {
    let lower = |part: &str| {
        let is_address = part.len() == 42 && part.starts_with("0x");
        if is_address { part.to_ascii_lowercase() } else { part.to_owned() }
    };
    text.split('"').map(lower).collect::<Vec<_>>().join("\"")
}
