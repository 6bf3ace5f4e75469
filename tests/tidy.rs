//! The rules of the house, read from the tree: what a compiler or clippy does not hold.
//!
//! Each rule is one test; a failure lists every place. The scanner blanks comments and literals, cuts out
//! `#[cfg(test)]` items and reads paths and functions from what is left; it is no parser and need not be one.

#![expect(clippy::unwrap_used, reason = "a rule that cannot read the tree has failed")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Lines of code in one function.
const FUNCTION_LIMIT: usize = 70;
/// Lines of one file, tests not counted, from which it must be in [`LONG_FILES`].
const FILE_LIMIT: usize = 500;
/// Lines of one file, tests not counted.
const FILE_HARD_LIMIT: usize = 1000;
/// Lines of the README.
const README_LIMIT: usize = 150;
/// Dependencies that may share the comment above them.
const DEPENDENCIES_PER_REASON: usize = 3;

/// Files above [`FILE_LIMIT`], each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Names that say nothing.
const VAGUE: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"];

/// What each top-level module of `src/` may use. `resource*` is the vocabulary of kinds alone.
const ARROWS: &[(&str, &[&str])] = &[
    ("builtin", &["builtin"]),
    ("config", &["config", "builtin", "resource*"]),
    ("graph", &["graph", "config", "builtin", "resource*"]),
    ("plan", &["plan", "graph", "config", "resource*"]),
    ("world", &["world", "resource*"]),
    ("dv", &["dv"]),
    ("resource", &["resource", "world"]),
    ("observe", &["observe", "plan", "graph", "config", "resource", "world"]),
    ("apply", &["apply", "observe", "plan", "graph", "config", "resource", "world"]),
    ("session", &["session", "builtin", "apply", "observe", "plan", "graph", "config", "resource", "world"]),
    (
        "cli",
        &[
            "cli", "dv", "builtin", "session", "apply", "observe", "plan", "graph", "config", "resource",
            "world",
        ],
    ),
];

/// Modules of `src/resource` that are vocabulary, not kinds.
const VOCABULARY: &[&str] = &["act", "answer", "connection", "kind", "probe", "find", "KINDS"];

/// Where there is no IO, clock, environment or randomness.
const PURE: &[&str] = &[
    "crates/model/src/",
    "crates/lang/src/",
    "crates/dv-crypto/src/",
    "crates/dv-keystore/src/",
    "crates/dv-types/src/",
    "crates/dv-cluster/src/",
    "crates/dv-wire/src/",
    "crates/dv-dkg/src/",
    "crates/dv-eth/src/",
    "crates/dv-qbft/src/",
    "crates/dv-core/src/",
    "crates/dv-slashing/src/verdict",
    "crates/sim/src/",
    "crates/simnet/src/chain",
    "crates/simnet/src/client/plan",
    "crates/simnet/src/client/sign.rs",
    "src/config/",
    "src/graph/",
    "src/plan/",
    "src/builtin.rs",
];

/// Paths that are not pure, by prefix.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::time::SystemTime",
    "std::time::Instant",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "Uuid::new_v4",
    "uuid::Uuid::new_v4",
    "tokio",
    "rand",
    "openssh",
    "rustix",
];

/// What looks impure and is only data.
const PURE_AFTER_ALL: &[&str] =
    &["std::net::IpAddr", "std::net::Ipv4Addr", "std::net::Ipv6Addr", "std::net::AddrParseError"];

/// What a member of the workspace may depend on among its siblings.
const MEMBERS: &[(&str, &[&str])] = &[
    ("crates/model/Cargo.toml", &[]),
    ("crates/lang/Cargo.toml", &["coxswain-model"]),
    ("crates/dv-crypto/Cargo.toml", &[]),
    ("crates/dv-keystore/Cargo.toml", &[]),
    ("crates/dv-types/Cargo.toml", &["coxswain-dv-crypto"]),
    ("crates/dv-cluster/Cargo.toml", &["coxswain-dv-crypto", "coxswain-dv-keystore", "coxswain-dv-types"]),
    ("crates/dv-wire/Cargo.toml", &["coxswain-dv-crypto", "coxswain-dv-types"]),
    (
        "crates/dv-dkg/Cargo.toml",
        &["coxswain-dv-cluster", "coxswain-dv-crypto", "coxswain-dv-types", "coxswain-dv-wire"],
    ),
    ("crates/dv-net/Cargo.toml", &["coxswain-dv-crypto", "coxswain-dv-types", "coxswain-dv-wire"]),
    ("crates/dv-eth/Cargo.toml", &["coxswain-dv-crypto", "coxswain-dv-types"]),
    (
        "crates/dv-qbft/Cargo.toml",
        &["coxswain-dv-crypto", "coxswain-dv-eth", "coxswain-dv-types", "coxswain-dv-wire"],
    ),
    ("crates/dv-slashing/Cargo.toml", &["coxswain-dv-eth", "coxswain-dv-types"]),
    (
        "crates/dv-core/Cargo.toml",
        &[
            "coxswain-dv-crypto",
            "coxswain-dv-eth",
            "coxswain-dv-qbft",
            "coxswain-dv-types",
            "coxswain-dv-wire",
        ],
    ),
    ("crates/dv-beacon/Cargo.toml", &["coxswain-dv-eth", "coxswain-dv-types"]),
    (
        "crates/dv-node/Cargo.toml",
        &[
            "coxswain-dv-beacon",
            "coxswain-dv-core",
            "coxswain-dv-crypto",
            "coxswain-dv-eth",
            "coxswain-dv-net",
            "coxswain-dv-qbft",
            "coxswain-dv-slashing",
            "coxswain-dv-types",
            "coxswain-dv-wire",
            "coxswain-simnet",
        ],
    ),
    (
        "crates/sim/Cargo.toml",
        &[
            "coxswain-dv-core",
            "coxswain-dv-crypto",
            "coxswain-dv-eth",
            "coxswain-dv-qbft",
            "coxswain-dv-slashing",
            "coxswain-dv-types",
            "coxswain-dv-wire",
        ],
    ),
    (
        "crates/simnet/Cargo.toml",
        &["coxswain-dv-crypto", "coxswain-dv-eth", "coxswain-dv-keystore", "coxswain-dv-types"],
    ),
    ("state/Cargo.toml", &["coxswain-model"]),
];

// ---------------------------------------------------------------------------------------------------- the tree

struct Source {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
    /// The text with comments and literals blanked.
    code: String,
    /// The code with test items blanked as well; empty for files that are tests.
    shipped: String,
}

impl Source {
    fn is_test(&self) -> bool {
        is_test_path(&self.path)
    }
    fn stem(&self) -> &str {
        self.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).unwrap_or_default()
    }
}

fn is_test_path(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "tests.rs"))
        || path.ends_with("_tests.rs")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        // Links are not followed.
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            walk(&entry.path(), found);
        } else if kind.is_file() && name.ends_with(".rs") {
            found.push(entry.path());
        }
    }
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    walk(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            let code = blank(&text);
            let shipped = if is_test_path(&path) { String::new() } else { without_tests(&code) };
            Source { path, text, code, shipped }
        })
        .collect()
}

#[track_caller]
fn report(rule: &str, places: &[String]) {
    assert!(places.is_empty(), "{rule}:\n  {}", places.join("\n  "));
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1
}

// ------------------------------------------------------------------------------------------------- the scanner

/// The same text, with comments and the insides of literals as spaces. Line breaks stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' | b'b' | b'c' if !after_word(bytes, at) => match raw_string_end(bytes, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            b'\'' => match char_end(bytes, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| at + from)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn after_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && is_word(bytes[at - 1])
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `c"…"` and `b'…'` at this place, if one is here.
fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    if matches!(bytes[at], b'b' | b'c') {
        at += 1;
    }
    if bytes.get(at) == Some(&b'"') {
        return Some(string_end(bytes, at));
    }
    if bytes.get(at) == Some(&b'\'') {
        return char_end(bytes, at);
    }
    if bytes.get(at) != Some(&b'r') {
        return None;
    }
    at += 1;
    let hashes = bytes[at..].iter().take_while(|&&byte| byte == b'#').count();
    if bytes.get(at + hashes) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    Some(find(bytes, at + hashes + 1, &close).map_or(bytes.len(), |end| end + close.len()))
}

/// The end of a character literal; `None` for a lifetime.
fn char_end(bytes: &[u8], quote: usize) -> Option<usize> {
    if bytes.get(quote + 1) == Some(&b'\\') {
        // The escaped character may itself be a quote.
        return find(bytes, quote + 3, b"'").map(|end| end + 1);
    }
    let rest = std::str::from_utf8(&bytes[quote + 1..]).ok()?;
    let length = rest.chars().next()?.len_utf8();
    (bytes.get(quote + 1 + length) == Some(&b'\'')).then_some(quote + length + 2)
}

/// The end of the item that starts here: after its body, or after its semicolon.
fn item_end(bytes: &[u8], start: usize) -> usize {
    let mut nested = 0;
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested -= 1,
            b';' if nested == 0 => return at + 1,
            b'{' if nested == 0 => return braces_end(bytes, at),
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn braces_end(bytes: &[u8], open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    bytes.len()
}

/// Blanks what is compiled for tests only.
fn without_tests(code: &str) -> String {
    let bytes = code.as_bytes();
    let mut out = bytes.to_vec();
    for marker in [b"#[cfg(test)]".as_slice(), b"#[test]", b"#[cfg(all(test"] {
        let mut from = 0;
        while let Some(at) = find(bytes, from, marker) {
            let end = item_end(bytes, at + find(&bytes[at..], 0, b"]").map_or(1, |close| close + 1));
            for byte in &mut out[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
            from = end;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// Every function with a body, and how many lines of code the body has.
fn functions(code: &str) -> Vec<Function> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = find(bytes, from, b"fn ") {
        from = at + 3;
        let name: String =
            code[from..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if after_word(bytes, at) || name.is_empty() {
            continue;
        }
        let end = item_end(bytes, at);
        let Some(open) = find(&bytes[..end], at, b"{") else { continue };
        let lines = code[open + 1..end - 1].lines().filter(|line| !line.trim().is_empty()).count();
        found.push(Function { name, line: line_of(code, at), lines });
    }
    found
}

/// Every path, use trees expanded: `use a::{b, c::d}` gives `a::b` and `a::c::d`, with their lines.
fn paths(code: &str) -> Vec<(usize, String)> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let starts_word = is_word(bytes[at]) && !after_word(bytes, at);
        if !starts_word {
            at += 1;
            continue;
        }
        let mut leaves = Vec::new();
        let end = read_path(bytes, at, "", &mut leaves);
        let line = line_of(code, at);
        found.extend(leaves.into_iter().map(|path| (line, path)));
        at = end;
    }
    found
}

/// Reads one path or use tree; gives back where it ends.
fn read_path(bytes: &[u8], start: usize, prefix: &str, leaves: &mut Vec<String>) -> usize {
    let mut path = prefix.to_owned();
    let mut at = start;
    loop {
        let word_end = at + bytes[at..].iter().take_while(|&&byte| is_word(byte)).count();
        if word_end > at {
            if !path.is_empty() {
                path.push_str("::");
            }
            path.push_str(&String::from_utf8_lossy(&bytes[at..word_end]));
        }
        at = word_end;
        if bytes.get(at..at + 2) != Some(b"::") {
            break;
        }
        at += 2;
        match bytes.get(at) {
            Some(b'{') => return read_tree(bytes, at, &path, leaves),
            Some(byte) if is_word(*byte) => {}
            _ => break,
        }
    }
    leaves.push(path);
    at.max(start + 1)
}

fn read_tree(bytes: &[u8], open: usize, path: &str, leaves: &mut Vec<String>) -> usize {
    let end = braces_end(bytes, open);
    let mut at = open + 1;
    while at < end.saturating_sub(1) {
        if is_word(bytes[at]) {
            at = read_path(bytes, at, path, leaves);
            // `as NAME` is no path of the tree.
            let rest = String::from_utf8_lossy(&bytes[at..end]);
            if rest.trim_start().starts_with("as ") {
                at += rest.find([',', '}']).unwrap_or(rest.len());
            }
        } else {
            at += 1;
        }
    }
    end
}

/// `crate::x::y` without its `crate::`, also where it is written with `super`.
fn from_crate_root(file: &str, path: &str) -> Option<String> {
    if let Some(rest) = path.strip_prefix("crate::").or_else(|| path.strip_prefix("coxswain::")) {
        return Some(rest.to_owned());
    }
    let supers = path.split("::").take_while(|part| *part == "super").count();
    let depth = file.strip_prefix("src/")?.trim_end_matches("/mod.rs").split('/').count();
    (supers > 0 && supers == depth).then(|| path.split("::").skip(supers).collect::<Vec<_>>().join("::"))
}

// --------------------------------------------------------------------------------------------------- the rules

#[test]
fn every_file_opens_with_what_it_is() {
    let places: Vec<_> =
        sources().iter().filter(|s| !s.text.starts_with("//!")).map(|s| s.path.clone()).collect();
    report("a file opens with a `//!` line", &places);
}

#[test]
fn file_names_say_what_is_inside() {
    let mut places = Vec::new();
    for source in sources() {
        if source.path.split('/').any(|part| VAGUE.contains(&part.trim_end_matches(".rs"))) {
            places.push(source.path);
        }
    }
    report("a file or folder is named by a noun of the domain", &places);
}

#[test]
fn functions_are_short() {
    let mut places = Vec::new();
    for source in sources() {
        for function in functions(&source.shipped) {
            if function.lines > FUNCTION_LIMIT {
                places.push(format!(
                    "{}:{} {} ({} lines)",
                    source.path, function.line, function.name, function.lines
                ));
            }
        }
    }
    report(&format!("a function has at most {FUNCTION_LIMIT} lines"), &places);
}

#[test]
fn files_are_short() {
    let mut places = Vec::new();
    let mut long = BTreeSet::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        // A line that only a test has is blank in `shipped` and not in `code`.
        let lines = source
            .code
            .lines()
            .zip(source.shipped.lines())
            .filter(|(code, shipped)| code.trim().is_empty() || !shipped.trim().is_empty())
            .count();
        let listed = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        if lines > FILE_LIMIT {
            long.insert(source.path.clone());
        }
        if lines > FILE_HARD_LIMIT {
            places.push(format!("{} has {lines} lines; the hard stop is {FILE_HARD_LIMIT}", source.path));
        } else if lines > FILE_LIMIT && !listed {
            places.push(format!(
                "{} has {lines} lines: split it, or give the reason in LONG_FILES",
                source.path
            ));
        }
    }
    for (path, reason) in LONG_FILES {
        if !long.contains(*path) || reason.is_empty() {
            places.push(format!("{path} is in LONG_FILES and is not long, or has no reason"));
        }
    }
    report(&format!("a file has at most {FILE_LIMIT} lines, tests not counted"), &places);
}

#[test]
fn modules_are_used_in_one_direction() {
    let mut places = BTreeSet::new();
    for source in sources() {
        let Some(inside) = source.path.strip_prefix("src/") else { continue };
        let module = inside.split(['/', '.']).next().unwrap_or_default();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
            places.insert(format!("{}: `{module}` has no row in ARROWS", source.path));
            continue;
        };
        for (line, path) in paths(&source.shipped) {
            let Some(target) = from_crate_root(&source.path, &path) else { continue };
            if !is_arrow_allowed(allowed, &target) {
                places.insert(format!("{}:{line} uses {target}", source.path));
            }
        }
    }
    report("modules are used in the direction of ARROWS", &places.into_iter().collect::<Vec<_>>());
}

fn is_arrow_allowed(allowed: &[&str], target: &str) -> bool {
    let mut parts = target.split("::");
    let top = parts.next().unwrap_or_default();
    // Names that are no module: macros and re-exports at the root.
    if !ARROWS.iter().any(|(name, _)| *name == top) || allowed.contains(&top) {
        return true;
    }
    let second = parts.next().unwrap_or_default();
    top == "resource"
        && allowed.contains(&"resource*")
        && (VOCABULARY.contains(&second) || second.starts_with(|c: char| c.is_ascii_uppercase()))
}

#[test]
fn members_depend_in_one_direction() {
    let mut places = Vec::new();
    for (file, allowed) in MEMBERS {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let shipped = text.split("[dev-dependencies]").next().unwrap_or_default();
        for line in shipped.lines().filter(|line| line.starts_with("coxswain")) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if !allowed.contains(&name) {
                places.push(format!("{file}: {name}"));
            }
        }
    }
    report("a member depends only on what MEMBERS says", &places);
}

#[test]
fn pure_parts_are_pure() {
    let mut places = BTreeSet::new();
    for source in sources().iter().filter(|s| PURE.iter().any(|pure| s.path.starts_with(pure))) {
        for (line, path) in paths(&source.shipped) {
            let under = |prefix: &&&str| {
                path.strip_prefix(**prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            };
            // A bare word may be a field or variable; only a path or a type's name counts.
            let is_path = path.contains("::") || path.starts_with(|c: char| c.is_ascii_uppercase());
            if is_path && IMPURE.iter().any(|p| under(&p)) && !PURE_AFTER_ALL.iter().any(|p| under(&p)) {
                places.insert(format!("{}:{line} {path}", source.path));
            }
        }
    }
    report("no IO, clock, environment or randomness in pure parts", &places.into_iter().collect::<Vec<_>>());
}

/// Files of `dir` that implement one of the traits, and their absence from a list in `dir/mod.rs`.
fn unregistered(dir: &str, traits: &[&str], list: &str) -> Vec<String> {
    let sources = sources();
    let Some(home) = sources.iter().find(|source| source.path == format!("{dir}/mod.rs")) else {
        return Vec::new();
    };
    let entries = static_value(&home.shipped, list);
    let mut places = Vec::new();
    for source in &sources {
        let Some(inside) = source.path.strip_prefix(&format!("{dir}/")) else { continue };
        let implements = traits.iter().any(|name| source.shipped.contains(&format!("impl {name} for ")));
        let stem =
            if source.stem() == "mod" { inside.split('/').next().unwrap_or_default() } else { source.stem() };
        let module = inside.split(['/', '.']).next().unwrap_or_default();
        if implements && !entries.contains(&format!("{module}::")) && !entries.contains(&format!("{stem}::"))
        {
            places.push(format!("{} is not in {list}", source.path));
        }
    }
    places
}

/// From `static NAME` to its semicolon.
fn static_value<'a>(code: &'a str, name: &str) -> &'a str {
    let Some(start) = code.find(&format!("static {name}")) else { return "" };
    let rest = &code[start..];
    let value = rest.find('=').map_or(rest, |at| &rest[at..]);
    value.find(';').map_or(value, |end| &value[..end])
}

#[test]
fn every_kind_is_registered() {
    report("a kind has its line in KINDS", &unregistered("src/resource", &["Kind", "HostKind"], "KINDS"));
}

#[test]
fn every_command_is_registered() {
    report("a command has its line in COMMANDS", &unregistered("src/cli", &["Run", "Command"], "COMMANDS"));
}

#[track_caller]
fn check_absent(rule: &str, words: &[&str], text: impl Fn(&Source) -> String) {
    let mut places = Vec::new();
    for source in sources() {
        let text = text(&source);
        for word in words {
            let mut from = 0;
            while let Some(at) = find(text.as_bytes(), from, word.as_bytes()) {
                places.push(format!("{}:{} {word}", source.path, line_of(&text, at)));
                from = at + word.len();
            }
        }
    }
    report(rule, &places);
}

#[test]
fn shipped_code_does_not_give_up() {
    check_absent(
        "no panic by convenience outside tests",
        &[".unwrap()", ".unwrap_err()", "todo!", "unimplemented!", "dbg!("],
        |source| source.shipped.clone(),
    );
}

#[test]
fn nothing_is_allowed_or_ignored() {
    check_absent(
        "exemptions are `#[expect(lint, reason = \"…\")]`; no test is ignored or expected to panic",
        &["#[allow(", "#![allow(", "#[ignore", "#[should_panic"],
        |source| source.code.clone(),
    );
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let mut places = Vec::new();
    let mut left = 0;
    for line in section.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            left = DEPENDENCIES_PER_REASON;
        } else if let Some((name, value)) = line.split_once('=') {
            if value.contains("path =") {
                continue;
            }
            if left == 0 {
                places.push(name.trim().to_owned());
            }
            left = left.saturating_sub(1);
        }
    }
    report("a dependency has a comment above it that says why", &places);
}

#[test]
fn the_repository_has_its_papers() {
    let mut places = String::new();
    for name in ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "deny.toml", ".ci/run", "tests/run"] {
        if !root().join(name).is_file() {
            let _ = writeln!(places, "{name} is missing");
        }
    }
    if let Ok(readme) = std::fs::read_to_string(root().join("README.md")) {
        let lines = readme.lines().count();
        if lines > README_LIMIT {
            let _ = writeln!(places, "README.md has {lines} lines; the limit is {README_LIMIT}");
        }
    }
    assert!(places.is_empty(), "{places}");
}

// -------------------------------------------------------------------------------------- tests of the scanner

#[test]
fn literals_and_comments_are_blank() {
    let text = "a /* { /* } */ } */ \"{\\\"}\" r#\"}\"\"# b'{' '\\'' 'x' 'a: &'b str // }\nz";
    let code = blank(text);
    assert_eq!(code.len(), text.len());
    let words: Vec<_> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "'a:", "&'b", "str", "z"]);
}

#[test]
fn test_items_are_cut_out() {
    let code = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\n#[cfg(test)] use x::y;\nfn c() {}";
    let names: Vec<_> = functions(&without_tests(code)).into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["a", "c"]);
    assert!(!without_tests(code).contains("x::y"));
}

#[test]
fn functions_count_lines_of_code() {
    let code = blank(
        "fn a(x: [u8; 3])\nwhere\n    T: U,\n{\n    // no\n\n    b();\n    c();\n}\ntype F = fn (u8);\ntrait T { fn d(&self); }",
    );
    let found: Vec<_> = functions(&code).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(found, [("a".to_owned(), 1, 2)]);
}

#[test]
fn use_trees_are_expanded() {
    let code = "use std::{fs, io::{self, Write as _}};\nlet a = crate::plan::find(b::C);";
    let found: Vec<_> = paths(code).into_iter().map(|(_, path)| path).filter(|p| p.contains("::")).collect();
    assert_eq!(found, ["std::fs", "std::io::self", "std::io::Write", "crate::plan::find", "b::C"]);
}

#[test]
fn super_is_the_crate_root_at_the_top() {
    assert_eq!(from_crate_root("src/plan/mod.rs", "super::cli::x").as_deref(), Some("cli::x"));
    assert_eq!(from_crate_root("src/plan/diff.rs", "super::super::cli").as_deref(), Some("cli"));
    assert_eq!(from_crate_root("src/plan/diff.rs", "super::cli"), None);
}

#[test]
fn the_vocabulary_of_kinds_is_open_and_kinds_are_not() {
    let pure = ["plan", "resource*"];
    assert!(is_arrow_allowed(&pure, "resource::kind::Step"));
    assert!(is_arrow_allowed(&pure, "resource::Action"));
    assert!(!is_arrow_allowed(&pure, "resource::file::File"));
    assert!(!is_arrow_allowed(&pure, "world::World"));
}
