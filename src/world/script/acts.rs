//! Acts: the script that changes, and what its output means.
//!
//! A file is written under `.NAME.coxswain-XXXXXXXX` beside its place, 0600 from its creation; its content is checked
//! by digest; owner and mode are set; it is synced, renamed over its place, and the directory is synced. A trap
//! removes the temporary file of a shell that dies; what a killed shell left is removed by the next write or removal there.
//! The eight letters are of the script's nonce; where the shell cannot make that file, `mktemp` says why or can.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Frame, Nonce, is_path, is_word, quote, wrap};
use crate::resource::act::{Act, ActDone, Content, Expect, Permissions};
use crate::world::WorldError;

/// Exit code of a part whose precondition does not hold; what is there is on its standard output.
const STALE: i32 = 75;
/// Bytes per `printf`: a multiple of three, so that the pieces join to one base64 text.
const CHUNK: usize = 3 * 16 * 1024;
/// Seconds after the limit at which a program is killed: whoever waits for it has given up before.
const KILL_AFTER_S: u64 = 5;
/// Bytes of a file's name in the name of its temporary file: both must fit into 255.
const NAME_LIMIT: usize = 200;

/// The functions that the acts call, in POSIX `sh`.
const FUNCTIONS: &str = concat!(include_str!("acts.sh"), include_str!("guard.sh"));

/// A script that carries out acts.
pub struct ActScript {
    /// For a shell's standard input. Holds contents.
    pub text: Zeroizing<String>,
}

/// What the acts of a script share.
#[derive(Debug, Clone, Copy)]
pub struct ActOptions<'a> {
    /// Where kept contents live; the host's own place where none is given.
    pub store: Option<&'a str>,
    /// A program that runs longer is killed, whether or not anybody still listens.
    pub limit: Duration,
}

/// Makes the script of these acts.
///
/// # Errors
/// What no script can do: a path that is not absolute, a mode that is not octal.
pub fn compile_acts(
    acts: &[Act],
    nonce: &Nonce,
    options: ActOptions<'_>,
) -> Result<ActScript, (usize, String)> {
    let is_held = matches!(acts.first(), Some(Act::Hold { .. }));
    compile(acts, nonce, options, if is_held { "cx_shut\n" } else { "" })
}

/// The script, with what follows when every act was done.
fn compile(
    acts: &[Act],
    nonce: &Nonce,
    options: ActOptions<'_>,
    end: &str,
) -> Result<ActScript, (usize, String)> {
    let size = acts.iter().map(|act| content_of(act).map_or(512, |c| c.bytes().len() * 3 / 2 + 1024)).sum();
    let mut body = Zeroizing::new(String::with_capacity(size));
    let _ = writeln!(*body, "H=\nS={}", quote(options.store.unwrap_or("")));
    let _ = writeln!(*body, "T={}", options.limit.as_secs().saturating_add(KILL_AFTER_S));
    for (index, act) in acts.iter().enumerate() {
        check(act).map_err(|reason| (index, reason))?;
        let _ = writeln!(*body, "cx_still\ncx_b {index}");
        if let Act::Arm { who, after_s, outer_s, revert } = act {
            let script =
                compile(revert, nonce, options, "cx_reverted\n").map_err(|(_, reason)| (index, reason))?;
            fill(script.text.as_bytes(), &mut body);
            let _ = write!(*body, "cx_arm {after_s} {outer_s} {}", quote(who));
        } else {
            call(act, &mut body);
        }
        let _ = write!(*body, "\nr=$?; cx_e {index} $r\ncase $r in ");
        let ok = match act {
            Act::Run { ok, .. } => ok.as_slice(),
            Act::WriteFile { .. }
            | Act::MakeDir { .. }
            | Act::SetPermissions { .. }
            | Act::RemoveFile { .. }
            | Act::RemoveDir { .. }
            | Act::Keep { .. }
            | Act::Restore { .. }
            | Act::Arm { .. }
            | Act::Hold { .. }
            | Act::Resume
            | Act::Disarm { .. }
            | Act::Drop { .. }
            | Act::Sweep { .. } => &[0],
        };
        let ok: Vec<String> = ok.iter().map(i32::to_string).collect();
        if !ok.is_empty() {
            let _ = write!(*body, "{}) ;; ", ok.join("|"));
        }
        body.push_str("*) exit 0 ;; esac\n");
    }
    body.push_str(end);
    Ok(ActScript { text: wrap(nonce, FUNCTIONS, &body) })
}

fn content_of(act: &Act) -> Option<&Content> {
    match act {
        Act::WriteFile { content, .. } | Act::Run { input: Some(content), .. } => Some(content),
        Act::MakeDir { .. }
        | Act::SetPermissions { .. }
        | Act::RemoveFile { .. }
        | Act::RemoveDir { .. }
        | Act::Keep { .. }
        | Act::Restore { .. }
        | Act::Drop { .. }
        | Act::Sweep { .. }
        | Act::Arm { .. }
        | Act::Hold { .. }
        | Act::Resume
        | Act::Disarm { .. }
        | Act::Run { input: None, .. } => None,
    }
}

/// The command of one act.
fn call(act: &Act, out: &mut String) {
    let _ = match act {
        Act::WriteFile { path, content, permissions, expects } => {
            fill(content.bytes(), out);
            let wanted = hex::encode(Sha256::digest(content.bytes()));
            write!(out, "cx_write {} {} {wanted}", place(path, permissions), expectation(expects))
        }
        Act::MakeDir { path, permissions } => {
            let (dir, _) = split(path);
            write!(out, "cx_mkdir {} {} {}", quote(path), quote(dir), words(permissions))
        }
        Act::SetPermissions { path, permissions } => {
            write!(out, "cx_setperm {} {}", quote(path), words(permissions))
        }
        Act::RemoveFile { path, expects } => {
            let (dir, temporary) = (split(path).0, temporary(path));
            write!(out, "cx_remove {} {} {temporary} {}", quote(path), quote(dir), expectation(expects))
        }
        Act::RemoveDir { path } => write!(out, "cx_rmdir {} {}", quote(path), quote(split(path).0)),
        Act::Keep { path, digest } => write!(out, "cx_keep {} {digest}", quote(path)),
        Act::Restore { path, digest, permissions } => {
            write!(out, "cx_restore {} {digest}", place(path, permissions))
        }
        Act::Drop { digest } => write!(out, "cx_drop {digest}"),
        Act::Sweep { path, digest } => write!(out, "cx_unkept {digest} {}", temporary(path)),
        Act::Arm { .. } => Ok(()),
        Act::Hold { token } => write!(out, "cx_hold {}", quote(token)),
        Act::Resume => write!(out, "cx_resume"),
        Act::Disarm { token } => write!(out, "cx_disarm {}", quote(token)),
        Act::Run { argv, env, input, .. } => {
            if let Some(input) = input {
                fill(input.bytes(), out);
            }
            out.push('(');
            for (name, value) in env {
                let _ = write!(out, "{name}={}; export {name}; ", quote(value));
            }
            out.push_str(if input.is_some() { "cx_fill | timeout" } else { "exec timeout" });
            out.push_str(" -k 10 \"$T\"");
            for word in argv {
                out.push(' ');
                out.push_str(&quote(word));
            }
            write!(out, ")")
        }
    };
}

/// The function that prints a content: builtins and `base64 -d`, whose arguments hold nothing.
fn fill(bytes: &[u8], out: &mut String) {
    if bytes.is_empty() {
        out.push_str("cx_fill() { :; }\n");
        return;
    }
    out.push_str("cx_fill() { {\n");
    for chunk in bytes.chunks(CHUNK) {
        out.push_str("printf %s ");
        STANDARD.encode_string(chunk, out);
        out.push('\n');
    }
    out.push_str("} | base64 -d; }\n");
}

/// Path, directory, start of the temporary name, mode, owner, group.
fn place(path: &str, permissions: &Permissions) -> String {
    let dir = split(path).0;
    format!("{} {} {} {}", quote(path), quote(dir), temporary(path), words(permissions))
}

/// The start of the temporary name.
fn temporary(path: &str) -> String {
    let (dir, name) = split(path);
    let mut end = name.len().min(NAME_LIMIT);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let slash = if dir == "/" { "" } else { "/" };
    quote(&format!("{dir}{slash}.{}.coxswain-", &name[..end]))
}

fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((dir, name)) => (dir, name),
        None => (".", path),
    }
}

/// Mode, owner and group. Five digits: chmod would leave a directory's set-group bit with four.
fn words(permissions: &Permissions) -> String {
    let mode = permissions.mode.as_ref().map(|mode| format!("{mode:0>5}")).unwrap_or_default();
    let name = |name: &Option<String>| quote(name.as_deref().unwrap_or(""));
    format!("{} {} {}", quote(&mode), name(&permissions.owner), name(&permissions.group))
}

fn expectation(expects: &Expect) -> &str {
    match expects {
        Expect::Absent => "absent",
        Expect::Digest(digest) => digest,
        Expect::Anything => "any",
    }
}

/// What no script can do.
fn check(act: &Act) -> Result<(), String> {
    match act {
        Act::WriteFile { path, permissions, expects, .. } => {
            check_path(path)?;
            check_permissions(permissions)?;
            check_expects(expects)
        }
        Act::MakeDir { path, permissions } | Act::SetPermissions { path, permissions } => {
            check_path(path)?;
            check_permissions(permissions)
        }
        Act::RemoveFile { path, expects } => {
            check_path(path)?;
            check_expects(expects)
        }
        Act::RemoveDir { path } => check_path(path),
        Act::Keep { path, digest } | Act::Sweep { path, digest } => {
            check_path(path)?;
            check_digest(digest)
        }
        Act::Restore { path, digest, permissions } => {
            check_path(path)?;
            check_permissions(permissions)?;
            check_digest(digest)
        }
        Act::Drop { digest } => check_digest(digest),
        Act::Arm { who, revert, .. } => {
            if who.contains(['\n', '\0']) {
                return Err(format!("{who:?} is not one line"));
            }
            revert.iter().try_for_each(check)
        }
        Act::Hold { token } | Act::Disarm { token } => check_token(token),
        Act::Resume => Ok(()),
        Act::Run { argv, env, .. } => check_program(argv, env),
    }
}

fn check_path(path: &str) -> Result<(), String> {
    if is_path(path) {
        Ok(())
    } else {
        Err(format!("{path:?} is not the absolute path of a file or directory"))
    }
}

fn check_token(token: &str) -> Result<(), String> {
    let is_token = !token.is_empty() && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if is_token { Ok(()) } else { Err(format!("{token:?} is not the token of a guard")) }
}

fn check_expects(expects: &Expect) -> Result<(), String> {
    match expects {
        Expect::Digest(digest) => check_digest(digest),
        Expect::Absent | Expect::Anything => Ok(()),
    }
}

fn check_digest(digest: &str) -> Result<(), String> {
    let is_digest = digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_digest { Ok(()) } else { Err(format!("{digest:?} is not a SHA-256 in lower-case hex")) }
}

fn check_permissions(permissions: &Permissions) -> Result<(), String> {
    if let Some(mode) = &permissions.mode {
        let is_mode = (3..=5).contains(&mode.len()) && mode.bytes().all(|b| (b'0'..=b'7').contains(&b));
        if !is_mode {
            return Err(format!("{mode:?} is not an octal mode"));
        }
    }
    for name in [&permissions.owner, &permissions.group].into_iter().flatten() {
        let is_name = !name.is_empty() && !name.contains([':', '\0', '\n']);
        if !is_name {
            return Err(format!("{name:?} is not the name of an owner or group"));
        }
    }
    Ok(())
}

fn check_program(argv: &[String], env: &[(String, String)]) -> Result<(), String> {
    if argv.first().is_none_or(String::is_empty) {
        return Err("there is no program to run".to_owned());
    }
    let is_variable = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if let Some((name, _)) = env.iter().find(|(name, value)| !is_variable(name) || !is_word(value)) {
        return Err(format!("{name:?} is not a variable a program can be given"));
    }
    if argv.iter().all(|word| is_word(word)) { Ok(()) } else { Err("an argument holds a NUL".to_owned()) }
}

/// What is being done, for people. Nothing secret.
pub fn title(act: &Act) -> String {
    match act {
        Act::WriteFile { path, .. } => format!("write {path}"),
        Act::MakeDir { path, .. } => format!("make directory {path}"),
        Act::SetPermissions { path, .. } => format!("set permissions of {path}"),
        Act::RemoveFile { path, .. } => format!("remove {path}"),
        Act::RemoveDir { path } => format!("remove directory {path}"),
        Act::Keep { path, .. } => format!("keep {path}"),
        Act::Restore { path, .. } => format!("restore {path}"),
        Act::Drop { digest } => format!("drop {}", digest.get(..12).unwrap_or(digest)),
        Act::Sweep { path, .. } => format!("sweep around {path}"),
        Act::Arm { after_s, .. } => format!("arm the way back, {after_s} s from now"),
        Act::Hold { .. } => "act under the guard".to_owned(),
        Act::Resume => "have the guard count again".to_owned(),
        Act::Disarm { .. } => "disarm the way back".to_owned(),
        Act::Run { argv, .. } => format!("run {}", shown(argv)),
    }
}

/// Of `sh -c SCRIPT NAME ARGUMENTS`, what follows the script.
fn shown(argv: &[String]) -> String {
    match argv {
        [shell, flag, _, name @ ..] if shell == "sh" && flag == "-c" && !name.is_empty() => name.join(" "),
        all => all.join(" "),
    }
}

/// What the acts did, from the frames of standard output and standard error.
///
/// # Errors
/// When an act other than a program failed, a precondition did not hold, or the script ended early.
pub fn parse_acts(
    endpoint: &str,
    acts: &[Act],
    out: &[Frame],
    err: &[Frame],
) -> Result<Vec<ActDone>, WorldError> {
    let mut done = Vec::with_capacity(acts.len());
    for (index, act) in acts.iter().enumerate() {
        let Some(frame) = out.iter().find(|f| f.index == index) else {
            return Err(WorldError::Broken {
                endpoint: endpoint.to_owned(),
                reason: format!("the script ended before it could {}", title(act)),
            });
        };
        let stdout = String::from_utf8_lossy(&frame.bytes).into_owned();
        let stderr = err
            .iter()
            .find(|f| f.index == index)
            .map_or_else(String::new, |f| String::from_utf8_lossy(&f.bytes).into_owned());
        if let Act::Run { ok, .. } = act {
            let is_last = !ok.contains(&frame.code);
            done.push(ActDone { code: frame.code, stdout, stderr });
            if is_last {
                break;
            }
            continue;
        }
        match frame.code {
            0 if matches!(act, Act::Arm { .. } | Act::Disarm { .. }) => {
                done.push(ActDone { stdout, ..ActDone::default() });
            }
            0 => done.push(ActDone::default()),
            STALE => return Err(stale(endpoint, act, stdout)),
            _ => return Err(failed(endpoint, act, &stderr)),
        }
    }
    Ok(done)
}

fn stale(endpoint: &str, act: &Act, found: String) -> WorldError {
    let path = act.path().map_or_else(|| title(act), ToOwned::to_owned);
    WorldError::Stale { endpoint: endpoint.to_owned(), path, found }
}

fn failed(endpoint: &str, act: &Act, stderr: &str) -> WorldError {
    let said = stderr.trim();
    let reason = if said.is_empty() { "it failed without a word".to_owned() } else { said.to_owned() };
    WorldError::Failed { endpoint: endpoint.to_owned(), what: title(act), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(acts: &[Act]) -> Result<String, (usize, String)> {
        let options = ActOptions { store: None, limit: Duration::from_secs(1) };
        compile_acts(acts, &Nonce::from_bits(7), options).map(|script| script.text.to_string())
    }

    fn run(argv: &[&str]) -> Act {
        Act::Run {
            argv: argv.iter().map(|s| (*s).to_owned()).collect(),
            env: Vec::new(),
            input: None,
            ok: vec![0],
        }
    }

    #[test]
    fn contents_are_words_of_printf_alone() {
        let act = Act::WriteFile {
            path: "/a".into(),
            content: Content::new(b"secret".to_vec()),
            permissions: Permissions::default(),
            expects: Expect::Absent,
        };
        let text = compile(&[act]).unwrap();
        let line = text.lines().find(|l| l.contains(&STANDARD.encode("secret"))).unwrap();
        assert!(line.starts_with("printf %s "), "{line}");
    }

    #[test]
    fn words_are_quoted() {
        let text = compile(&[run(&["echo", "$(reboot)", "it's"])]).unwrap();
        assert!(text.contains(r#"exec timeout -k 10 "$T" 'echo' '$(reboot)' 'it'\''s')"#), "{text}");
    }

    #[test]
    fn what_no_script_can_do_is_refused() {
        let permissions = |mode: &str, owner: &str| Permissions {
            mode: Some(mode.into()),
            owner: Some(owner.into()),
            group: None,
        };
        let make = |path: &str, mode: &str, owner: &str| Act::MakeDir {
            path: path.into(),
            permissions: permissions(mode, owner),
        };
        assert!(compile(&[make("/a", "0755", "root")]).is_ok());
        for bad in [
            make("a", "0755", "root"),
            make("/a/", "0755", "root"),
            make("/a", "u+x", "root"),
            make("/a", "0888", "root"),
            make("/a", "0755", "a:b"),
            Act::Drop { digest: "../../etc/passwd".into() },
            run(&[]),
            run(&["a\0b"]),
            Act::Run {
                argv: vec!["a".into()],
                env: vec![("A;b".into(), String::new())],
                input: None,
                ok: vec![0],
            },
        ] {
            assert_eq!(compile(&[run(&["true"]), bad.clone()]).map_err(|e| e.0), Err(1), "{bad:?}");
        }
    }

    #[test]
    fn temporary_names_fit() {
        let name = "ü".repeat(127);
        let text = place(&format!("/{name}"), &Permissions::default());
        let word = text.split(' ').nth(2).unwrap().trim_matches('\'');
        assert!(word.len() - 1 + 8 <= 255 && word.ends_with(".coxswain-"), "{word}");
    }

    #[test]
    fn a_row_that_ended_early_is_broken() {
        let acts = [run(&["true"]), run(&["false"])];
        let frame = |index, code| Frame { index, code, bytes: Vec::new() };
        assert!(matches!(parse_acts("h", &acts, &[frame(0, 0)], &[]), Err(WorldError::Broken { .. })));
        let done = parse_acts("h", &acts, &[frame(0, 1)], &[]).unwrap();
        assert_eq!(done.len(), 1);
    }
}
