//! The test vectors, from outside the repository; for tests of any crate in `crates/`.

use std::path::{Path, PathBuf};

/// A folder of the vectors; none, and a line that says so, where they are not.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn vectors(folder: &str) -> Option<PathBuf> {
    let all = std::env::var_os("COXSWAIN_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"), PathBuf::from);
    let folder = all.join(folder);
    if !folder.exists() {
        println!("skipped: {} is not here", folder.display());
        return None;
    }
    Some(folder)
}
