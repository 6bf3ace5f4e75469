//! exports(5): lines of `/etc/exports` and of the table of what is exported. Pure.

use std::collections::BTreeMap;

/// A client of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    /// Address, network, name or `*`.
    pub(super) address: String,
    /// As written.
    pub(super) options: Vec<String>,
}

/// What one line exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) path: String,
    pub(super) clients: Vec<Client>,
    /// A blank before a bracket: the options are for the whole world, and the client before it has none.
    pub(super) opened: bool,
}

/// Options that exclude each other, the one that counts where none is given first.
const GROUPS: [&[&str]; 11] = [
    &["ro", "rw"],
    &["sync", "async"],
    &["wdelay", "no_wdelay"],
    &["hide", "nohide"],
    &["nocrossmnt", "crossmnt"],
    &["secure", "insecure"],
    &["root_squash", "no_root_squash"],
    &["no_all_squash", "all_squash"],
    &["no_subtree_check", "subtree_check"],
    &["secure_locks", "insecure_locks"],
    &["acl", "no_acl"],
];
/// Values that count where none is given.
const VALUES: [(&str, &str); 3] = [("anonuid", "65534"), ("anongid", "65534"), ("sec", "sys")];
/// What is of no interest to anybody here.
const IGNORED: [&str; 4] = ["no_pnfs", "pnfs", "auth_nlm", "no_auth_nlm"];

/// The group an option belongs to: options of one group exclude each other.
fn group(option: &str) -> &str {
    if let Some((name, _)) = option.split_once('=') {
        return name;
    }
    GROUPS.iter().find(|g| g.contains(&option)).map_or(option, |g| g[0])
}

/// Options as they count: one of each group, with what is not said filled in.
pub(super) fn effective<'a>(options: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> =
        GROUPS.iter().map(|g| (g[0].to_owned(), g[0].to_owned())).collect();
    all.extend(VALUES.iter().map(|(name, value)| ((*name).to_owned(), format!("{name}={value}"))));
    for option in options.into_iter().filter(|o| !IGNORED.contains(o) && !o.is_empty()) {
        all.insert(group(option).to_owned(), option.to_owned());
    }
    all
}

/// The options of a client that somebody would write: what is not so by itself, and what people want to see.
pub(super) fn written(options: &[String]) -> Vec<String> {
    let usual = effective([]);
    let all = effective(options.iter().map(String::as_str));
    let is_shown = |name: &str, option: &String| {
        usual.get(name) != Some(option) || matches!(name, "ro" | "sync" | "no_subtree_check")
    };
    all.iter().filter(|(name, option)| is_shown(name, option)).map(|(_, option)| option.clone()).collect()
}

/// Whether two lists of clients export the same to the same.
pub(super) fn same(a: &[Client], b: &[Client]) -> bool {
    let by_address = |clients: &[Client]| -> BTreeMap<String, BTreeMap<String, String>> {
        let one = |c: &Client| (c.address.clone(), effective(c.options.iter().map(String::as_str)));
        clients.iter().map(one).collect()
    };
    a.len() == b.len() && by_address(a) == by_address(b)
}

/// The parts of a line, divided by blanks; quotes and `\ooo` taken away.
fn parts(line: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut part: Vec<u8> = Vec::new();
    let (mut is_part, mut is_quoted) = (false, false);
    let mut bytes = line.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                is_quoted = !is_quoted;
                is_part = true;
            }
            b'#' if !is_quoted && !is_part => break,
            b' ' | b'\t' if !is_quoted => {
                if is_part {
                    parts.push(String::from_utf8(std::mem::take(&mut part)).ok()?);
                }
                is_part = false;
            }
            b'\\' => {
                let digits: Vec<u8> = bytes.by_ref().take(3).collect();
                let text = std::str::from_utf8(&digits).ok()?;
                part.push(u8::from_str_radix(text, 8).ok()?);
                is_part = true;
            }
            other => {
                part.push(other);
                is_part = true;
            }
        }
    }
    if is_part {
        parts.push(String::from_utf8(part).ok()?);
    }
    (!is_quoted).then_some(parts)
}

fn client(part: &str) -> Option<Client> {
    let (address, options) = match part.split_once('(') {
        Some((address, rest)) => (address, rest.strip_suffix(')')?),
        None => (part, ""),
    };
    let options = options.split(',').map(|o| o.trim().to_owned()).filter(|o| !o.is_empty()).collect();
    Some(Client { address: address.to_owned(), options })
}

/// A line; `Ok(None)` for one that says nothing.
///
/// # Errors
/// The line, where it is not understood.
pub(super) fn line(text: &str) -> Result<Option<Line>, String> {
    let wrong = || super::reading::not_understood(text);
    let parts = parts(text).ok_or_else(wrong)?;
    let Some((path, rest)) = parts.split_first() else { return Ok(None) };
    if !path.starts_with('/') {
        return Err(wrong());
    }
    let mut defaults: Vec<String> = Vec::new();
    let mut clients = Vec::new();
    let mut opened = false;
    for part in rest {
        if let Some(options) = part.strip_prefix('-') {
            defaults = options.split(',').map(str::to_owned).collect();
            continue;
        }
        let mut found = client(part).ok_or_else(wrong)?;
        if found.address.is_empty() {
            found.address = "*".to_owned();
            opened = !clients.is_empty() || opened;
        }
        found.options = defaults.iter().cloned().chain(found.options).collect();
        clients.push(found);
    }
    if clients.is_empty() {
        clients.push(Client { address: "*".to_owned(), options: defaults });
    }
    Ok(Some(Line { path: path.clone(), clients, opened }))
}

/// The lines of a text with their numbers; one that ends in a backslash goes on in the next.
pub(super) fn joined(lines: &[&str]) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (at, line) in lines.iter().enumerate() {
        let (text, more) = match line.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (*line, false),
        };
        match all.last_mut().filter(|_| goes_on) {
            Some((_, last)) => last.push_str(text),
            None => all.push((at + 1, text.to_owned())),
        }
        goes_on = more;
    }
    all
}

/// A path as a line has it.
pub(super) fn escaped(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(&b) || b >= 0x80;
    let mut out: Vec<u8> = Vec::new();
    for byte in path.bytes() {
        if plain(byte) { out.push(byte) } else { out.extend(format!("\\{byte:03o}").bytes()) }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Line {
        line(text).expect("it is understood").expect("it says something")
    }

    #[test]
    fn lines() {
        let found = of("/data 172.20.10.11(rw,sync,no_subtree_check) @trusted(rw) # for nodes");
        assert_eq!(found.path, "/data");
        assert_eq!(found.clients[0].options, ["rw", "sync", "no_subtree_check"]);
        assert_eq!(found.clients[1].address, "@trusted");
        assert!(!found.opened);
        assert_eq!(of("\"/data/with space\" a(rw)").path, "/data/with space");
        assert_eq!(of("/data/with\\040space\ta(rw)").path, "/data/with space");
        assert_eq!(of("/d -ro,async a b(rw)").clients[1].options, ["ro", "async", "rw"]);
        for nothing in ["", "   ", "# a remark"] {
            assert_eq!(line(nothing), Ok(None));
        }
        for strange in ["data a(rw)", "/data \"a", "/data a(rw", "/d\\9"] {
            assert!(line(strange).is_err(), "{strange}");
        }
    }

    #[test]
    fn a_blank_before_the_bracket_opens_it_to_the_world() {
        let found = of("/data 172.20.10.12 (rw,no_subtree_check)");
        assert!(found.opened);
        assert_eq!(found.clients[1].address, "*");
        assert!(!of("/data (rw)").opened, "that may be meant");
        assert_eq!(of("/data").clients[0].address, "*");
    }

    #[test]
    fn options_count_with_what_is_not_said() {
        // As nfs-utils 2.6.4 writes it into etab.
        let etab = "rw,sync,wdelay,hide,nocrossmnt,secure,root_squash,no_all_squash,no_subtree_check,secure_locks,acl,\
                    no_pnfs,anonuid=65534,anongid=65534,sec=sys,rw,secure,root_squash,no_all_squash";
        let there = Client { address: "a".into(), options: etab.split(',').map(str::to_owned).collect() };
        let client = |options: &[&str]| Client {
            address: "a".into(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
        };
        assert!(same(std::slice::from_ref(&there), &[client(&["rw", "sync", "no_subtree_check"])]));
        assert!(!same(std::slice::from_ref(&there), &[client(&["ro"])]));
        assert!(!same(std::slice::from_ref(&there), &[client(&["rw", "no_root_squash"])]));
        assert!(!same(std::slice::from_ref(&there), &[client(&["rw", "fsid=7"])]));
        assert_eq!(written(&there.options), ["no_subtree_check", "rw", "sync"]);
    }

    #[test]
    fn lines_go_on() {
        let all = joined(&["/a x(rw) \\", " y(rw)", "/b z(ro)"]);
        assert_eq!(all, [(1, "/a x(rw)  y(rw)".to_owned()), (3, "/b z(ro)".to_owned())]);
    }

    #[test]
    fn escaped_paths_come_back() {
        for path in ["/data", "/a b", "/a\"#\\b", "/ü"] {
            assert_eq!(of(&format!("{} a(ro)", escaped(path))).path, path);
        }
    }
}
