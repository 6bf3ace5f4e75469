//! Fuzz targets of the binary: plan files, what a shell prints, the settings of `dv`, histories. As a plain test each runs for a second, or as
//! long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "support/mutate.rs"]
mod mutate;

use std::panic::AssertUnwindSafe;

use coxswain::cli::dv::{self, forms, layers};
use coxswain::cli::render::{Colour, graph, json, markdown, plan as text};
use coxswain::dv::history::lacks;
use coxswain::plan::document;
use coxswain::resource::answer::SaidAnswer;
use coxswain::resource::kind::{Answers, Facts, Observation};
use coxswain::resource::{Answer, find};
use coxswain::world::script::{Frames, Nonce};
use coxswain_dv_slashing::interchange::Interchange;
use mutate::mutate;

const PLAN: &str = r#"{"plan": {
"format": 1, "version": "0.1.0", "mode": "apply", "lineage": "l", "serial": 1, "config_digest": "d",
"instances": [
{"address": "file.motd", "uid": "u1", "host": "host.a", "identity": "/etc/motd", "action": "update", "reason": "",
"expects": "e", "changes": [{"name": "content", "before": "a\nb", "after": "a\nc\n", "cause": "drifted", "lines": true},
{"name": "mode", "before": {"$sensitive": true}, "after": {"$unknown": true}, "cause": "both", "replaces": true}]},
{"address": "module.m[\"k\"].file.b[2]", "moved_from": "file.b", "uid": "u2", "identity": "b", "action": "create",
"reason": "", "expects": "e", "changes": [{"name": "list", "before": null, "after": [1, {"a": "b"}], "cause": "pending"}],
"desired": {"content": "x"}, "waiting": {"on": ["bob"], "since": null}, "max_failures": 1}],
"steps": [
{"id": "file.motd#apply", "instance": 0, "name": "apply", "verb": "update", "class": "in_place",
"title": "write /etc/motd", "stage": "base"},
{"id": "b#apply", "instance": 1, "name": "apply", "verb": "create", "class": "restart", "title": "t", "stage": "base",
"claims": [{"key": "n:v", "from": "u1", "to": "u2"}]}],
"edges": [{"from": 0, "to": 1, "why": "value"}],
"deferred": [{"address": "file.c", "reason": "r", "after": "next_round"}],
"unreadable": [{"endpoint": "host.b", "reason": "r", "instances": ["file.d"]}],
"outputs": [{"name": "o", "before": 1, "after": {"$unknown": true}}]},
"files": {"main.hcl": "a = 1"}, "reads": {"file x": "00"}, "variables": {"v": {"$text": "1"}}, "created": ""}"#;

const WORDS: &[&str] = &[
    "0",
    "1",
    "2",
    "99",
    "-1",
    "1e999",
    "null",
    "\"\"",
    "{}",
    "[]",
    "[[[[[[[[",
    ", ",
    "\\n",
    "\\u001b[2J",
    "\\u202e",
    "````",
    "|",
    "<b>",
    "\"replace\"",
    "\"delete\"",
    "\"forget\"",
    "\"read\"",
    "{\"$sensitive\": true}",
    "{\"$unknown\": true}",
    "{\"from\": 1, \"to\": 0, \"why\": \"claim\"},",
    "\"host.a\"",
    "\"danger\"",
    "\"reboot\"",
    "é",
    "👩‍👩‍👧",
];

#[test]
fn plan_files() {
    document::read(PLAN.as_bytes()).expect("the sample is a plan");
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let Ok(saved) = document::read(&mutate(PLAN.as_bytes(), script, WORDS)) else { return };
        let plan = saved.plan;
        for step in &plan.steps {
            assert!(step.instance < plan.instances.len());
        }
        for edge in &plan.edges {
            assert!(edge.from < plan.steps.len() && edge.to < plan.steps.len() && edge.from != edge.to);
        }
        let shown = text::text(&plan, Colour::Off);
        assert!(!shown.contains('\u{1b}'), "what a plan says may not steer the terminal: {shown:?}");
        let _ = (markdown::plan(&plan), json::plan(&plan), text::text(&plan, Colour::On));
        let drawn = graph::of_plan(&plan);
        let _ = (drawn.dot(), drawn.mermaid(), drawn.json());
    });
}

/// Two keys with what they have signed.
fn history() -> String {
    let key = |byte: &str| byte.repeat(48);
    format!(
        r#"{{"metadata": {{"interchange_format_version": "5", "genesis_validators_root": "0x{}"}}, "data": [
        {{"pubkey": "0x{}", "signed_blocks": [{{"slot": "1", "signing_root": "0x0000000000000000000000000000000000000000000000000000000000000000"}}], "signed_attestations": []}},
        {{"pubkey": "{}", "signed_blocks": [], "signed_attestations": [{{"source_epoch": "2", "target_epoch": "3"}}]}}]}}"#,
        "ab".repeat(32),
        key("01"),
        key("02")
    )
}

#[test]
fn histories() {
    let sample = history();
    let keys = [[1; 48], [2; 48]];
    let read = Interchange::parse(sample.as_bytes()).expect("the sample is a history");
    assert_eq!(lacks(&read, &keys), Vec::<usize>::new());
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let damaged = mutate(sample.as_bytes(), script, WORDS);
        let Ok(read) = Interchange::parse(&damaged) else { return };
        // A key that is known is one that stands there: in hex, as it was.
        let text = String::from_utf8_lossy(&damaged).to_lowercase();
        let lacking = lacks(&read, &keys);
        for (at, key) in keys.iter().enumerate() {
            assert!(lacking.contains(&at) || text.contains(&hex::encode(key)), "{text}");
        }
    });
}

/// Feeds the stream in pieces whose lengths `cuts` says.
fn parsed(stream: &[u8], cuts: &[u8], limit: usize) -> (String, bool, Frames) {
    let mut frames = Frames::new(&Nonce::from_bits(7), limit);
    let (mut rest, mut lengths) = (stream, cuts.iter().cycle());
    let mut is_noise = false;
    while !rest.is_empty() && !is_noise {
        let piece = usize::from(lengths.next().map_or(255, |n| (*n).max(1))).min(rest.len());
        is_noise = frames.feed(&rest[..piece], &mut |_| {}).is_err();
        rest = &rest[piece..];
    }
    (frames.said(), frames.is_complete(), frames)
}

#[test]
fn frames() {
    let nonce = Nonce::from_bits(7);
    let mark = format!("\u{1e}{} ", nonce.as_str());
    let stream = format!(
        "Welcome!\n{mark}b 0\nhello\n\n{mark}e 0 0\n{mark}b 1\nlong {}\n\n{mark}e 1 -2\n\n{mark}z\n",
        "x".repeat(80)
    );
    let words = [
        mark.as_str(),
        "\n",
        "b 1\n",
        "e 0 0\n",
        "e 99999999999999999999 0\n",
        "z\n",
        "\u{1e}",
        " ",
        "b -1\n",
    ];
    bolero::check!().with_max_len(96).for_each(|script: &[u8]| {
        let (cuts, script) = script.split_at(script.len().min(4));
        let stream = mutate(stream.as_bytes(), script, &words);
        let limit = usize::from(cuts.first().copied().unwrap_or(64));
        let (_, is_complete, frames) = parsed(&stream, cuts, limit);
        let (_, is_complete_at_once, at_once) = parsed(&stream, &[], limit);
        assert_eq!(is_complete, is_complete_at_once, "{stream:?} in pieces of {cuts:?}");
        let [frames, at_once] = [frames, at_once].map(Frames::into_frames);
        assert_eq!(frames, at_once, "{stream:?} in pieces of {cuts:?}");
        for frame in frames {
            assert!(frame.bytes.len() <= limit + 64, "a part is cut to its limit");
        }
    });
}

/// Kinds that read with a program of their own: what is asked, and what the program says.
const SAYS: &[(&str, &str, &str)] = &[
    (
        "apt_repository",
        r#"{"name": "a", "uris": ["https://a.example"]}"#,
        "file=yes\nline=URIs: https://a.example\nline=Signed-By: /etc/apt/keyrings/coxswain-a.asc\nkey=x\n\
         also=/x\nfetched=yes\n",
    ),
    (
        "chrony",
        r#"{"pools": [{"address": "a"}], "servers": [], "max_offset": 0.1}"#,
        "chrony=yes\nversion=4.3\nvalid=no\nerror=x\nset=maxupdateskew 100.0\nset=makestep 1 3\nsourcedir=yes\n\
         default=pool a iburst\nhidden=pool b\nours=pool a iburst maxsources 3\nother=/x\nloaded=yes\n\
         tracking=AC140A0A,172.20.10.10,9,1.9,0.00004,-0.1,0.1,4.022,-0.038,44.7,0.1,0.2,2.0,Normal\n\
         source=^,*,172.20.10.10,8,1,377,1,-0.000061834,-0.000081810,0.000872927\n",
    ),
    ("command", r#"{"name": "c", "creates": "/made"}"#, "done=yes\n"),
    (
        "firewall",
        r#"{"exclusive": true, "tolerate": ["cali+"]}"#,
        "ufw=yes\nIPV6=yes\nDEFAULT_INPUT_POLICY=\"DROP\"\nDEFAULT_OUTPUT_POLICY=\"ACCEPT\"\n\
         DEFAULT_FORWARD_POLICY=\"DROP\"\nENABLED=yes\nLOGLEVEL=low\nkernel=yes\nkernel_rules=yes\n\
         rule4=route:allow_log any any 10.1.0.0/16 any 0.0.0.0/0 OpenSSH - in_eth1!out_eth0 comment=6e66\ninterface=eth0\n",
    ),
    (
        "firewall_rules",
        r#"{"name": "a", "rules": [{"port": "22", "protocol": "tcp"}], "place": "start"}"#,
        "ufw=yes\nIPV6=yes\nENABLED=yes\nrule4=limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=636f78737761696e3a61\n\
         rule6=allow udp 1:2,3 ::/0 any 2001:db8::/32 out_eth0\n",
    ),
    (
        "nfs_export",
        r#"{"path": "/data", "clients": [{"address": "10.0.0.0/8", "options": ["rw"]}]}"#,
        "nfs=yes\nfile=/etc/exports\ntext=\"/a b\" -ro 10.0.0.1 (rw) @x(rw,sync)\\\ntext= *(ro)\n\
         file=/etc/exports.d/coxswain-data.exports\ntext=/data 10.0.0.0/8(rw)\n\
         etab=/data\t10.0.0.0/8(rw,sync,wdelay)\nclient=[fd00::1]:755\n",
    ),
    (
        "nfs_mount",
        r#"{"target": "/mnt/t", "source": "a:/b", "options": ["vers=4"]}"#,
        "mounted=a:/b nfs4 rw,vers=4.2,hard\nfstab=a:/b /mnt/t nfs\nunit=yes\ntext=[Mount]\ntext=What=a:/b\n\
         text=Options=vers=4\nenabled=yes\nstale=no\n",
    ),
    (
        "script",
        r#"{"name": "s", "read": "cat x", "want": {"a": [1]}, "read_timeout": 5}"#,
        "{\"a\": [1, {\"b\": null}], \"c\": 1e3}\n",
    ),
    (
        "snap",
        r#"{"name": "helm", "channel": "3"}"#,
        "snapd=yes\nnow=2026-11-26T16:00:00Z\nversion=2.78\njson={\"type\":\"sync\",\"result\":{\"revision\":\"450\",\
         \"tracking-channel\":\"3/stable\",\"confinement\":\"classic\",\"hold\":\"2315-08-30T01:51:48Z\"}}\n",
    ),
    (
        "snap",
        r#"{"name": "helm", "channel": "3"}"#,
        "snapd=yes\nnow=2026-11-26T16:00:00Z\nversion=2.78\nrow=helm 3.1 450 3/stable snapcrafters classic,held\n",
    ),
    (
        "sshd",
        "{}",
        "sshd=yes\nport=22\nlogingracetime=120\nx11forwarding=yes\nmaxauthtries=6\nmaxsessions=10\n\
         clientaliveinterval=0\nclientalivecountmax=3\npermitrootlogin=without-password\npasswordauthentication=yes\n\
         kbdinteractiveauthentication=no\nallowtcpforwarding=yes\nmaxstartups=10:30:100\nallowusers=a\nsocket=no\n\
         listen=22\nlisten=2222\nloaded=yes\n",
    ),
    (
        "swap",
        r#"{"path": "/swapfile", "size": 64}"#,
        "active=file 65532 -2\nfstab=/swapfile none swap sw\nfile=regular file:67108864:600:0:0\nsignature=yes\n\
         unit=yes\ntext=[Swap]\ntext=Priority=5\nenabled=yes\nstale=no\n",
    ),
    (
        "sysctl",
        r#"{"key": "vm.swappiness", "value": "10"}"#,
        "now=10\nboot=10\nfile=/etc/sysctl.d/90-coxswain-vm.swappiness.conf\n",
    ),
    (
        "system_upgrade",
        r#"{"mode": "full", "security_only": true, "autoremove": true, "max_age": 60, "reboot": "when_required"}"#,
        "now=1000000\nlists=996400\nline=Inst jq [1.7] (1.8 Ubuntu:24.04/noble-security [amd64]) []\n\
         line=Remv old [1]\nkept=held\nunneeded=x\nneeds=kernel 1\n",
    ),
    ("timezone", r#"{"name": "Etc/UTC"}"#, "zone=Etc/UTC\n"),
];

#[test]
fn what_hosts_say() {
    let words = [
        "=",
        "\n",
        "yes",
        "no",
        "-1",
        "99999999999999999999",
        "1e999",
        "NaN",
        ",",
        "\t",
        "é",
        "{",
        "\"",
        "[",
        "null",
        "\0",
    ];
    let facts = Facts::default();
    let targets: Vec<_> = SAYS
        .iter()
        .map(|(name, asked, sample)| {
            let kind = find(name).expect("the kind is there");
            let asked = serde_json::from_str(asked).expect("what is asked is JSON");
            let asked =
                coxswain_model::json::from_json(&asked).as_fields().cloned().expect("it is an object");
            let Observation::Need(probes) = kind.observe(&asked, &facts, &Answers::new()) else {
                panic!("{name} asks for nothing")
            };
            let said = |text: String, code| {
                let answer = Answer::Said(SaidAnswer { code, text });
                probes.iter().map(|p| (p.clone(), answer.clone())).collect::<Answers>()
            };
            let found = kind.observe(&asked, &facts, &said((*sample).to_owned(), 0));
            assert!(matches!(found, Observation::Present(_)), "{name}: {found:?}");
            (*name, asked, *sample, probes)
        })
        .collect();
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let code = i32::from(script.first().is_some_and(|first| *first == 0));
        for (name, asked, sample, probes) in &targets {
            let kind = find(name).expect("the kind is there");
            let text = String::from_utf8_lossy(&mutate(sample.as_bytes(), script, &words)).into_owned();
            let answer = Answer::Said(SaidAnswer { code, text });
            let answers: Answers = probes.iter().map(|p| (p.clone(), answer.clone())).collect();
            let _ = kind.observe(asked, &facts, &answers);
            let _ = kind.gate("", asked, &answers);
        }
    });
}

/// The same settings in every form.
const SETTINGS: &[(&str, &str)] = &[
    (
        "charon.json",
        r#"{"data-dir": "hunter2!", "verbose": true, "nodes": 4, "deposit-amounts": [8, 24], "name": null}"#,
    ),
    (
        "charon.toml",
        "data-dir = \"hunter2!\"\nverbose = true\nnodes = 4\ndeposit-amounts = [8, 24]\n[name]\na = 1.5\n",
    ),
    ("charon.yaml", "data-dir: hunter2!\nverbose: true\nnodes: 4\ndeposit-amounts: [8, 24]\nname:\n"),
];

/// Settings are read or refused, and a reason never shows a value, which may be a secret.
#[test]
fn settings_of_commands() {
    let words = [
        "\n",
        ":",
        ": ",
        "- ",
        "[[",
        "]",
        "{",
        "=",
        "\"",
        "'",
        "&a ",
        "*a",
        "!!binary ",
        "<<",
        "|\n ",
        "---\n",
        "1e999",
        "nan",
        "-1",
        "0x",
        "2026-11-27",
        "\"\"\"",
        "\\u0000",
        "null",
        "true",
        "#",
        "é",
        "\t",
    ];
    // Nothing of a command is changed while it is read.
    let commands = AssertUnwindSafe(dv::flags());
    let read = |name: &str, text: &str| {
        let settings = layers::Settings::parse(name, text)?;
        for (path, command) in commands.iter() {
            let matches = forms::relaxed(command.clone()).try_get_matches_from([path.as_str()]);
            let matches = matches.map_err(|error| error.to_string())?;
            layers::fill(command, &matches, &settings, &|_| None)
                .map_err(|error| format!("{:?}", error.failure))?;
        }
        Ok::<(), String>(())
    };
    for (name, sample) in SETTINGS {
        layers::Settings::parse(name, sample).expect("the sample is read");
    }
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        for (name, sample) in SETTINGS {
            let text = String::from_utf8_lossy(&mutate(sample.as_bytes(), script, &words)).into_owned();
            if let Err(why) = read(name, &text) {
                assert!(!why.is_empty() && !why.contains("hunter2!"), "{name}: {why}\n{text}");
            }
        }
    });
}
