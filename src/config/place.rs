//! Where the state is kept: `state = { backend = "…", … }` of the `coxswain` block. Another backend is one line in
//! [`BACKENDS`].

use std::collections::BTreeMap;

use coxswain_lang::ast::{Expr, ExprKind, ObjectKey};
use coxswain_model::diagnostic::suggest;
use coxswain_model::{Diagnostic, Span};

/// Where the state is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StatePlace {
    /// In `.coxswain/` beside the configuration.
    #[default]
    Local,
    /// In a directory of a machine that `ssh` leads to.
    Ssh(SshPlace),
}

/// A directory of a machine that `ssh` leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshPlace {
    /// The URL as written, without a slash at its end.
    pub url: String,
    /// The login name; none: as the user's ssh configuration has it.
    pub user: Option<String>,
    /// Host name or address, or an alias of the user's ssh configuration.
    pub address: String,
    /// The port; none: as the user's ssh configuration has it.
    pub port: Option<u16>,
    /// The directory there, absolute or below `~/`.
    pub dir: String,
    /// A file with a private key.
    pub identity_file: Option<String>,
    /// The host's public key; none: as `known_hosts` has it.
    pub host_key: Option<String>,
}

/// A backend as it is written.
struct Backend {
    name: &'static str,
    settings: &'static [&'static str],
    read: fn(&Settings<'_>) -> Result<StatePlace, Box<Diagnostic>>,
}

const BACKENDS: &[Backend] = &[
    Backend { name: "local", settings: &[], read: |_| Ok(StatePlace::Local) },
    Backend { name: "ssh", settings: &["url", "identity_file", "host_key"], read: ssh },
];

/// The texts of the object, by name.
struct Settings<'a> {
    span: Span,
    texts: BTreeMap<&'a str, (&'a str, Span)>,
}

impl Settings<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.texts.get(name).map(|(text, _)| (*text).to_owned())
    }
}

fn problem(title: impl Into<String>, detail: impl Into<String>, span: Span, label: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("state-place", title.into()).detail(detail.into()).at(span, label.to_owned()))
}

/// Reads the value of `state`. The state is opened before anything is evaluated, so it holds texts alone.
pub(super) fn read(expr: &Expr) -> Result<StatePlace, Box<Diagnostic>> {
    const WRITE: &str = "Write `state = { backend = \"local\" }` or `state = { backend = \"ssh\", url = \"ssh://HOST/DIRECTORY\" }`.";
    let ExprKind::Object(items) = &expr.kind else {
        return Err(problem("`state` is no object", WRITE, expr.span, "not an object"));
    };
    let mut settings = Settings { span: expr.span, texts: BTreeMap::new() };
    for item in items {
        let key = match &item.key {
            ObjectKey::Name(name, _) => name.as_ref(),
            ObjectKey::Expr(Expr { kind: ExprKind::Str(name), .. }) => name.as_ref(),
            ObjectKey::Expr(other) => {
                return Err(problem("a name in `state` is not plain", WRITE, other.span, "not a name"));
            }
        };
        let ExprKind::Str(text) = &item.value.kind else {
            return Err(problem(
                format!("`{key}` is not a plain text"),
                "The state is opened before anything is evaluated: there are no variables and functions here yet.",
                item.value.span,
                "not a plain text",
            ));
        };
        if settings.texts.insert(key, (text.as_ref(), item.value.span)).is_some() {
            return Err(problem(
                format!("`{key}` is there twice"),
                "Remove one of them.",
                item.value.span,
                "again",
            ));
        }
    }
    let Some((name, at)) = settings.texts.remove("backend") else {
        return Err(problem("`state` names no backend", WRITE, expr.span, "no `backend`"));
    };
    let Some(backend) = BACKENDS.iter().find(|backend| backend.name == name) else {
        let unknown = Diagnostic::error("unknown-backend", "this state backend is not known").detail(WRITE);
        return Err(Box::new(unknown.at(at, "unknown backend")));
    };
    if let Some((other, (_, span))) = settings.texts.iter().find(|(key, _)| !backend.settings.contains(key)) {
        let detail = match suggest(other, backend.settings.iter().copied()) {
            Some(near) => format!("Did you mean `{near}`?"),
            None if backend.settings.is_empty() => "It has none.".to_owned(),
            None => format!("There are {}.", backend.settings.join(", ")),
        };
        return Err(problem(
            format!("the backend `{name}` has no setting `{other}`"),
            detail,
            *span,
            "unknown setting",
        ));
    }
    (backend.read)(&settings)
}

/// `ssh://[USER@]HOST[:PORT]/DIRECTORY`, with `/~/` for what is below the login's home.
fn ssh(settings: &Settings<'_>) -> Result<StatePlace, Box<Diagnostic>> {
    const WRITE: &str =
        "Write ssh://[USER@]HOST[:PORT]/DIRECTORY, or ssh://HOST/~/DIRECTORY for one below the login's home.";
    let Some((url, span)) = settings.texts.get("url").copied() else {
        return Err(problem("the backend `ssh` needs a `url`", WRITE, settings.span, "no `url`"));
    };
    let wrong =
        |why: &str| problem(format!("`{url}` is no place for a state: {why}"), WRITE, span, "this URL");
    let rest = url.strip_prefix("ssh://").ok_or_else(|| wrong("it does not begin with `ssh://`"))?;
    let (login, dir) = rest.split_once('/').ok_or_else(|| wrong("it names no directory"))?;
    let (user, host) = match login.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, login),
    };
    if user.as_deref().is_some_and(|user| user.contains(':')) {
        return Err(wrong("a password does not belong into a file; ssh has keys"));
    }
    let (address, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':')),
        None => match host.split_once(':') {
            Some((address, port)) => (address, Some(port)),
            None => (host, None),
        },
    };
    if address.is_empty() || user.as_deref() == Some("") {
        return Err(wrong("it names no host, or an empty login"));
    }
    let port = match port {
        None => None,
        Some(port) => match port.parse() {
            Ok(port @ 1..) => Some(port),
            Ok(_) | Err(_) => return Err(wrong("its port is not 1 to 65535")),
        },
    };
    let dir = dir.trim_end_matches('/');
    if dir.is_empty() || dir == "~" {
        return Err(wrong("it names no directory of its own"));
    }
    if dir.split('/').any(|part| matches!(part, "" | "." | ".."))
        || dir.chars().any(char::is_control)
        || dir.starts_with('~') && !dir.starts_with("~/")
    {
        return Err(wrong("its directory is not plain"));
    }
    Ok(StatePlace::Ssh(SshPlace {
        url: url.trim_end_matches('/').to_owned(),
        user,
        address: address.to_owned(),
        port,
        dir: if dir.starts_with("~/") { dir.to_owned() } else { format!("/{dir}") },
        identity_file: settings.text("identity_file"),
        host_key: settings.text("host_key"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Result<StatePlace, Box<Diagnostic>> {
        let source = format!("coxswain {{\n  state = {text}\n}}\n");
        let (body, problems) = coxswain_lang::parse(coxswain_model::FileId(0), source.as_bytes());
        assert!(problems.is_empty(), "{problems:?}");
        read(&body.blocks[0].body.attribute("state").expect("is there").expr)
    }

    fn url(url: &str) -> Result<SshPlace, String> {
        match place(&format!("{{ backend = \"ssh\", url = \"{url}\" }}")) {
            Ok(StatePlace::Ssh(place)) => Ok(place),
            Ok(StatePlace::Local) => panic!("another backend"),
            Err(problem) => Err(problem.summary.clone()),
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        let place = url("ssh://ops@state.example:2222/var/lib/coxswain/prod/").expect("is one");
        assert_eq!(place.url, "ssh://ops@state.example:2222/var/lib/coxswain/prod");
        assert_eq!((place.user.as_deref(), place.address.as_str()), (Some("ops"), "state.example"));
        assert_eq!((place.port, place.dir.as_str()), (Some(2222), "/var/lib/coxswain/prod"));
        let place = url("ssh://[fd00::1]:22/~/state").expect("is one");
        assert_eq!((place.user, place.address.as_str(), place.port), (None, "fd00::1", Some(22)));
        assert_eq!(place.dir, "~/state");
    }

    #[test]
    fn what_is_no_place_says_why() {
        for (text, why) in [
            ("/var/lib", "does not begin with `ssh://`"),
            ("ssh:///x", "names no host"),
            ("ssh://:22/x", "names no host"),
            ("ssh://@host/x", "an empty login"),
            ("ssh://host", "names no directory"),
            ("ssh://host/", "names no directory of its own"),
            ("ssh://host/~/", "names no directory of its own"),
            ("ssh://host:0/x", "port is not 1 to 65535"),
            ("ssh://host:x/x", "port is not 1 to 65535"),
            ("ssh://a:b@host/x", "a password does not belong into a file"),
            ("ssh://host/a/../b", "its directory is not plain"),
            ("ssh://host/~bob/b", "its directory is not plain"),
            ("ssh://host/a\\nb", "its directory is not plain"),
        ] {
            let title = url(text).expect_err(text);
            assert!(title.contains(why), "{text}: {title}");
        }
    }

    #[test]
    fn settings_are_texts_that_the_backend_knows() {
        assert_eq!(place("{ backend = \"local\" }").expect("is one"), StatePlace::Local);
        for (text, why) in [
            ("\"local\"", "`state` is no object"),
            ("{}", "names no backend"),
            ("{ backend = \"ssh\" }", "needs a `url`"),
            ("{ backend = var.x }", "`backend` is not a plain text"),
            ("{ backend = \"local\", url = \"x\" }", "the backend `local` has no setting `url`"),
            ("{ backend = \"ssh\", uri = \"x\" }", "the backend `ssh` has no setting `uri`"),
        ] {
            let title = place(text).expect_err(text).summary.clone();
            assert!(title.contains(why), "{text}: {title}");
        }
    }
}
