//! Vectors from outside the repository, and hexadecimal text.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test reads its vectors, and says when there are none"
)]

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Files or folders with vectors; where they are absent, a line says that they were skipped.
pub(crate) fn vectors(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dir =
        std::env::var_os("COXSWAIN_VECTORS").map_or_else(|| root.join("../shared/vectors"), PathBuf::from);
    let found = dir.join(path);
    if !found.exists() {
        println!("skipped: no vectors {path}");
    }
    found.exists().then_some(found)
}

/// One file of vectors.
pub(crate) fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("vectors are text");
    serde_json::from_str(&text).expect("vectors are JSON")
}

/// Bytes of `0x…` or bare hexadecimal text.
#[track_caller]
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal text");
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).expect("hexadecimal digits")
}

/// The same of a known length.
#[track_caller]
pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("bytes of the length that the vector says")
}

/// The elements of a list.
#[track_caller]
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}
