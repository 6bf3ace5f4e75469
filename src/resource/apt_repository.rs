//! `apt_repository`: a place that apt takes packages from, with the key that signs them.

use coxswain_model::schema::{AttrType, Existing, Placement, Stage};
use coxswain_model::{Attr, Class, Compare, Diagnostic, Diagnostics, Object, Schema, Value, json};
use serde_json::json;

use super::act::{Act, Content};
use super::apt;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::{Probe, read_program};
use super::reading::{Fields, MANAGED, desired, flag, given, required, said_fields, taken_over, text, verb};

/// The kind.
pub struct AptRepository;

const WORDS: AttrType = AttrType::List(&AttrType::Str);
/// Attribute and field of deb822: sources.list(5).
const LISTS: [(&str, &str); 4] = [
    ("uris", "URIs"),
    ("suites", "Suites"),
    ("components", "Components"),
    ("architectures", "Architectures"),
];

static SCHEMA: Schema = Schema {
    kind: "apt_repository",
    version: 1,
    summary: "A repository that apt takes packages from.",
    doc: "Owns `/etc/apt/sources.list.d/coxswain-NAME.sources` and the key that may sign for this repository and no \
          other, `/etc/apt/keyrings/coxswain-NAME.asc`. After a change the lists of this repository are fetched; \
          where that fails, the files from before are put back. Packages that come from it should name it in \
          `depends_on`. Lines of others that name the same address are left, and shown as `also_in`. Destroy takes \
          both files away and leaves what was installed from it.",
    example: r#"apt_repository "docker" {
  host       = host.nfs
  name       = "docker"
  uris       = ["https://download.docker.com/linux/debian"]
  suites     = ["bookworm"]
  components = ["stable"]
  key        = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBFit...\n-----END PGP PUBLIC KEY BLOCK-----\n"
}
"#,
    attributes: &[
        Attr::new("name", AttrType::Str, Class::Identity, "Its name: small letters, digits, `-` and `_`."),
        Attr::new("uris", WORDS, Class::Owned, "Its addresses; each has the same content.")
            .required()
            .asked(),
        Attr::new(
            "suites",
            WORDS,
            Class::Owned,
            "Which of its releases, such as `bookworm`; `./` for a flat one.",
        )
        .required(),
        Attr::new(
            "components",
            WORDS,
            Class::Owned,
            "Which of its parts, such as `main`; none for a flat one.",
        )
        .default("[]"),
        Attr::new(
            "architectures",
            WORDS,
            Class::Owned,
            "For which architectures; all of the host's where none.",
        )
        .default("[]"),
        Attr::new("key", AttrType::Str, Class::Owned, "The public key that signs it, as text (armored).")
            .compare(Compare::Lines),
        Attr::new(
            "key_file",
            AttrType::Str,
            Class::Setting,
            "A file beside the configuration with the key; excludes `key`.",
        )
        .fills("key"),
        Attr::new(
            "signed_by",
            AttrType::Path,
            Class::Owned,
            "A keyring of the host instead, such as `/usr/share/keyrings/debian-archive-keyring.gpg`.",
        ),
        Attr::new(
            "trusted",
            AttrType::Bool,
            Class::Owned,
            "Whether no signature is needed; only with `file:`.",
        )
        .default("false"),
        Attr::new("enabled", AttrType::Bool, Class::Owned, "Whether apt uses it.").default("true"),
        Attr::new(
            "fetched",
            AttrType::Bool,
            Class::Owned,
            "Whether apt has the lists of what is configured.",
        )
        .default("true"),
        Attr::new("also_in", WORDS, Class::Fact, "Other files that name one of its addresses.").volatile(),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: false,
    one_per_host: false,
    mutex: Some("apt"),
    documented: true,
};

/// The known texts of a list, in order.
fn listed_in(object: &Object, name: &str) -> Vec<String> {
    let items = given(object, name).and_then(Value::as_items).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn probe(asked: &Object, name: &str) -> Probe {
    Probe::says(
        read_program!("apt_repository"),
        std::iter::once(name.to_owned()).chain(listed_in(asked, "uris")),
    )
}

fn present(name: &str, fields: &Fields<'_>) -> Result<Option<Object>, String> {
    if !fields.is("file")? {
        return Ok(None);
    }
    let mut found = Vec::new();
    for line in fields.all("line") {
        // What is no field is nothing of ours: the file is not the one whose lists were fetched, which is drift.
        let Some((field, value)) = line.split_once(':') else { continue };
        found.push((field.to_ascii_lowercase(), value.trim()));
    }
    let of = |field: &str| {
        let field = field.to_ascii_lowercase();
        found.iter().find(|(name, _)| *name == field).map(|(_, value)| *value)
    };
    let words = |field: &str| of(field).unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    let key: String = fields.all("key").map(|line| format!("{line}\n")).collect();
    let signed = of("Signed-By").filter(|by| *by != key_path(name));
    let is_ours = of("Signed-By").is_some_and(|by| by == key_path(name)) && !key.is_empty();
    let mut object = json::from_json(&json!({
        "name": name,
        "key": is_ours.then_some(key),
        "signed_by": signed,
        "trusted": of("Trusted") == Some("yes"),
        "enabled": of("Enabled") != Some("no"),
        "fetched": fields.is("fetched")?,
        "also_in": fields.all("also").collect::<std::collections::BTreeSet<_>>(),
    }))
    .as_fields()
    .cloned()
    .unwrap_or_default();
    for (attr, field) in LISTS {
        object.insert(attr.into(), json::from_json(&json!(words(field))));
    }
    Ok(Some(object))
}

fn key_path(name: &str) -> String {
    format!("/etc/apt/keyrings/coxswain-{name}.asc")
}

/// The file, and the key after it.
fn files(name: &str, wanted: &Object) -> String {
    let mut text = format!("{MANAGED}Types: deb\n");
    for (attr, field) in LISTS {
        let words = listed_in(wanted, attr);
        if !words.is_empty() {
            text += &format!("{field}: {}\n", words.join(" "));
        }
    }
    let key = super::reading::text(wanted, "key");
    match (key, super::reading::text(wanted, "signed_by")) {
        (Some(_), _) => text += &format!("Signed-By: {}\n", key_path(name)),
        (None, Some(path)) => text += &format!("Signed-By: {path}\n"),
        (None, None) => {}
    }
    if flag(wanted, "trusted") == Some(true) {
        text += "Trusted: yes\n";
    }
    if flag(wanted, "enabled") == Some(false) {
        text += "Enabled: no\n";
    }
    let key = key.map(|key| format!("{}\n", key.trim_end())).unwrap_or_default();
    text + &key
}

fn check_uri(uri: &str, args: &Object) -> Option<Diagnostic> {
    let wrong = |why: String| Diagnostic::error("bad-apt-repository", why);
    let shown = uri.escape_debug();
    let Some((scheme, rest)) = uri.split_once(':') else {
        return Some(wrong(format!("`{shown}` is no address with a scheme such as `https:`")));
    };
    if !["https", "http", "file"].contains(&scheme) {
        let problem = wrong(format!("`{shown}` is neither https, http nor file"));
        return Some(problem.detail("Other ways need packages of their own on the host."));
    }
    if rest.split('/').any(|part| part.contains('@')) {
        // Never shown: it has a password in it.
        let problem = wrong("an address has a user in it".into());
        return Some(
            problem.detail("Everybody on the host can read it. Write a file in `/etc/apt/auth.conf.d`."),
        );
    }
    if flag(args, "trusted") == Some(true) && scheme != "file" {
        let problem = wrong(format!("`{shown}` would be trusted without a signature"));
        return Some(
            problem.detail("Whoever can change what passes by could run anything as root. Give its key."),
        );
    }
    None
}

impl HostKind for AptRepository {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let wrong = |why: String| Diagnostic::error("bad-apt-repository", why);
        let mut problems = Vec::new();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if let Some(name) = text(args, "name")
            && (name.is_empty() || !name.chars().all(plain))
        {
            problems.push(wrong(format!("`{}` is not a repository's name", name.escape_debug())));
        }
        for (attr, _) in LISTS {
            let is_empty = given(args, attr).and_then(Value::as_items).is_some_and(<[Value]>::is_empty);
            if is_empty && ["uris", "suites"].contains(&attr) {
                problems.push(wrong(format!("`{attr}` is empty")));
            }
            let is_word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_ascii_graphic() && c != '#');
            for word in listed_in(args, attr).iter().filter(|w| !is_word(w)) {
                problems.push(wrong(format!("`{}` in `{attr}` is not one word", word.escape_debug())));
            }
        }
        problems.extend(listed_in(args, "uris").iter().filter_map(|uri| check_uri(uri, args)));
        let key = text(args, "key");
        if key.is_some_and(|k| {
            !k.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----") || k.contains("PRIVATE KEY")
        }) {
            let problem = wrong("`key` is not a public key as text".into());
            problems.push(problem.detail(
                "It begins with `-----BEGIN PGP PUBLIC KEY BLOCK-----`; `gpg --armor --export` makes it so.",
            ));
        }
        let has = |name| given(args, name).is_some();
        let ways = [has("key") || has("key_file"), has("signed_by"), flag(args, "trusted") == Some(true)];
        if ways.iter().filter(|w| **w).count() != 1 || (has("key") && has("key_file")) {
            let problem = wrong("not one way is given to know what is genuine".into());
            problems.push(problem.detail("Give one of `key`, `key_file` and `signed_by`."));
        }
        problems
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(name) = text(asked, "name") else {
            return Observation::Unknown("its name is not known".into());
        };
        said_fields(answers, probe(asked, name), |fields| present(name, fields))
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let name = text(&change.identity, "name").unwrap_or_default();
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete => {
                vec![Step::new("remove", Verb::Delete, format!("remove the repository {name} and its key"))]
            }
            _ if change.differing.is_empty() && change.observed.is_some() => {
                taken_over(change, &format!("the repository {name}"))
            }
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                let title = match change.differing.as_slice() {
                    [one] if one.as_ref() == "fetched" => format!("fetch the lists of the repository {name}"),
                    _ => format!("configure the repository {name} and fetch its lists"),
                };
                vec![Step::new("apply", verb(change), title)]
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let name = required(&change.identity, "name")?;
        let given = match step.verb {
            Verb::Delete => String::new(),
            _ => files(name, desired(change)?),
        };
        let mut act =
            apt::script(include_str!("run/apt_repository.sh"), "configure repository", [name.to_owned()]);
        if let Act::Run { input, .. } = &mut act {
            *input = Some(Content::new(given.into_bytes()));
        }
        Ok(vec![act])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, SaidAnswer};
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{argv, change, check as planned, obj, observe};
    use serde_json::Value as Json;

    const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n-----END PGP PUBLIC KEY BLOCK-----\n";
    const SAID: &str = "file=yes\nline=Types: deb\nline=URIs: https://a.example/debian\nline=Suites: bookworm\n\
        line=Components: main contrib\nline=Signed-By: /etc/apt/keyrings/coxswain-a.asc\n\
        key=-----BEGIN PGP PUBLIC KEY BLOCK-----\nkey=\nkey=mQ==\nkey=-----END PGP PUBLIC KEY BLOCK-----\n\
        also=/etc/apt/sources.list\nalso=/etc/apt/sources.list\nfetched=yes\n";

    fn look(text: &str) -> Observation {
        let asked = json!({ "name": "a", "uris": ["https://a.example/debian"] });
        let answer = Answer::Said(SaidAnswer { code: 0, text: text.into() });
        observe(&AptRepository, asked.clone(), vec![(probe(&obj(asked), "a"), answer)])
    }

    #[track_caller]
    fn there(text: &str) -> Json {
        let Observation::Present(found) = look(text) else { panic!("nothing is understood of {text}") };
        coxswain_model::json::to_json(&Value::object(found))
    }

    #[test]
    fn observed() {
        let expected = json!({
            "name": "a", "uris": ["https://a.example/debian"], "suites": ["bookworm"], "components": ["main", "contrib"],
            "architectures": [], "key": KEY, "signed_by": null, "trusted": false, "enabled": true, "fetched": true,
            "also_in": ["/etc/apt/sources.list"],
        });
        assert_eq!(there(SAID), expected);
        assert_eq!(look("file=no\nfetched=no\n"), Observation::Absent);
        let other =
            SAID.replace("/etc/apt/keyrings/coxswain-a.asc", "/usr/share/keyrings/x.gpg\nline=Enabled: no");
        let other = there(&other);
        assert_eq!(
            (&other["key"], &other["signed_by"], &other["enabled"]),
            (&Json::Null, &json!("/usr/share/keyrings/x.gpg"), &json!(false))
        );
        for strange in ["", "file=maybe\n", "file=yes\nline=deb a b\nfetched\n", "cat: no\n"] {
            assert!(matches!(look(strange), Observation::Unknown(_)), "{strange:?}");
        }
    }

    #[test]
    fn written_fetched_and_taken_away() {
        let identity = json!({ "name": "a" });
        let wants = json!({ "name": "a", "uris": ["https://a.example/debian"], "suites": ["bookworm"],
                            "components": ["main"], "architectures": ["amd64"], "key": KEY });
        let made = change(Action::Create, identity.clone()).wants(wants.clone());
        let acts =
            planned(&AptRepository, &made, &[("configure the repository a and fetch its lists", InPlace)]);
        assert_eq!(argv(&acts[0])[3..], ["configure repository", "a"]);
        let Act::Run { input: Some(content), .. } = &acts[0] else { panic!("it is given the files") };
        let expected = format!(
            "{MANAGED}Types: deb\nURIs: https://a.example/debian\nSuites: bookworm\nComponents: main\n\
             Architectures: amd64\nSigned-By: /etc/apt/keyrings/coxswain-a.asc\n{KEY}"
        );
        assert_eq!(String::from_utf8_lossy(content.bytes()), expected);

        let behind =
            change(Action::Update, identity.clone()).wants(wants.clone()).sees(there(SAID), &["fetched"]);
        planned(&AptRepository, &behind, &[("fetch the lists of the repository a", InPlace)]);
        let gone = change(Action::Delete, identity).had(wants).sees(there(SAID), &[]);
        let acts = planned(&AptRepository, &gone, &[("remove the repository a and its key", InPlace)]);
        assert!(matches!(&acts[0], Act::Run { input: Some(given), .. } if given.bytes().is_empty()));
    }

    #[test]
    fn arguments_are_checked() {
        let found = |more: Json| {
            let mut all = json!({ "name": "a", "uris": ["https://a.example"], "suites": ["x"], "key": KEY });
            all.as_object_mut()
                .into_iter()
                .for_each(|all| all.extend(more.as_object().cloned().unwrap_or_default()));
            AptRepository.check(&obj(all)).iter().map(|d| d.summary.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found(json!({})), Vec::<String>::new());
        let local = json!({ "uris": ["file:/srv/repo"], "suites": ["./"], "key": null, "trusted": true });
        assert_eq!(found(local), Vec::<String>::new());
        for (more, problem) in [
            (json!({ "name": "A" }), "`A` is not a repository's name"),
            (json!({ "uris": [] }), "`uris` is empty"),
            (json!({ "suites": ["a b"] }), "`a b` in `suites` is not one word"),
            (json!({ "uris": ["ftp://a"] }), "`ftp://a` is neither https, http nor file"),
            (json!({ "uris": ["https://u:secret@a"] }), "an address has a user in it"),
            (json!({ "key": null }), "not one way is given to know what is genuine"),
            (json!({ "key": "mQ==" }), "`key` is not a public key as text"),
            (
                json!({ "key": null, "trusted": true }),
                "`https://a.example` would be trusted without a signature",
            ),
        ] {
            assert_eq!(found(more), [problem]);
        }
    }
}
