//! How apt-get is run where it changes something.

use super::act::Act;

/// Options of every apt-get that changes something: no terminal, wait for the lock, keep changed configuration
/// files (dpkg(1), `--force-confdef`, `--force-confold`).
pub(super) const APT: &str = "apt-get -y -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
                   -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-install-recommends";

/// A script with its name for errors and its arguments; `APT` in it is apt-get with the options of all.
pub(super) fn script(text: &str, name: &str, arguments: impl IntoIterator<Item = String>) -> Act {
    let argv = ["sh".to_owned(), "-c".to_owned(), text.replace("APT", APT), name.to_owned()];
    let env = [("NEEDRESTART_MODE", "l"), ("APT_LISTCHANGES_FRONTEND", "none")];
    Act::Run {
        argv: argv.into_iter().chain(arguments).collect(),
        env: env.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        input: None,
        ok: vec![0],
    }
}
