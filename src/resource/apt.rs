//! How apt-get is run where it changes something.

use super::act::Act;

/// What stands before these programs: `apt_get`, which says who holds a lock and waits for it.
const APT: &str = include_str!("run/apt.sh");

/// A script that calls `apt_get`, with its name for errors and its arguments.
pub(super) fn script(text: &str, name: &str, arguments: impl IntoIterator<Item = String>) -> Act {
    let argv = ["sh".to_owned(), "-c".to_owned(), format!("{APT}{text}"), name.to_owned()];
    let env = [("NEEDRESTART_MODE", "l"), ("APT_LISTCHANGES_FRONTEND", "none")];
    Act::Run {
        argv: argv.into_iter().chain(arguments).collect(),
        env: env.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        input: None,
        ok: vec![0],
    }
}
