//! What charon wrote, and tables of what it does: files of its core workflow.

#[path = "../../../dv-types/tests/support/vectors.rs"]
mod vectors;

mod dumps;
mod duties;
mod proposals;
mod wire;

use serde_json::Value as Json;

/// A file beside the tables; none where the vectors are not.
fn golden(name: &str) -> Option<Vec<u8>> {
    let path = vectors::vectors("charon/core")?.join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Rows of a table; none where the vectors are not.
fn table(name: &str) -> Vec<Json> {
    let Some(text) = golden(&format!("tables/{name}.json")) else { return Vec::new() };
    let mut file: Json = serde_json::from_slice(&text).expect("JSON");
    match file["rows"].take() {
        Json::Array(rows) if !rows.is_empty() => rows,
        other => panic!("{name} has no rows: {other}"),
    }
}

/// Bytes of a text after `0x`.
#[track_caller]
fn hex(json: &Json) -> Vec<u8> {
    let text = json.as_str().unwrap_or_else(|| panic!("a text, not {json}"));
    hex::decode(text.strip_prefix("0x").expect("0x")).expect("hex")
}

/// JSON without its white space, the fields in their order.
fn compact(text: &[u8]) -> String {
    let text = std::str::from_utf8(text).expect("UTF-8");
    let mut is_inside = false;
    text.chars()
        .filter(|c| {
            is_inside ^= *c == '"';
            is_inside || !c.is_ascii_whitespace()
        })
        .collect()
}
