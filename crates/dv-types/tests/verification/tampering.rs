//! Every value of a lock is changed, in every version, by three kinds of people: one who edits the file, one who makes
//! its hashes right as well, and one who has all shares and nodes and signs it anew.

use coxswain_dv_types::cluster::{Lock, VERSIONS, Version};
use coxswain_dv_types::network::Networks;
use serde_json::Value as Json;

use crate::made::{self, Signers};

/// A change to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Another first digit or letter, another number, the opposite.
    First,
    /// Another last digit or letter.
    Last,
    /// `null`.
    Gone,
    /// An item less.
    Shorter,
    /// The last item twice.
    Longer,
}

const CHANGES: [Change; 5] = [Change::First, Change::Last, Change::Gone, Change::Shorter, Change::Longer];

/// Versions, a place, changes, and the reason.
type Exempt = (&'static [&'static str], &'static str, &'static [Change], &'static str);

/// What an edit may change and no check sees.
const NOT_COVERED: &[Exempt] = &[(
    &["v1.0.0", "v1.1.0"],
    "/signature_aggregate",
    &[Change::Gone],
    "locks of these versions may be unsigned: their nodes were made before signatures were",
)];

/// What may be changed besides by somebody who makes hashes right.
const NOT_SIGNED: &[Exempt] = &[(
    &["v1.0.0"],
    "/cluster_definition/timestamp",
    &CHANGES,
    "the config hash covers it and is itself under no other hash; the definition hash came to cover it in v1.1",
)];

/// Another character of the same kind.
fn other(c: char) -> char {
    match c {
        '0'..='8' | 'a'..='e' | 'A'..='E' => char::from_u32(u32::from(c) + 1).unwrap_or('0'),
        '9' => '8',
        'f' => 'e',
        'F' => 'E',
        'x' => 'y',
        _ => 'x',
    }
}

fn changed_text(text: &str, change: Change) -> Option<String> {
    let mut letters: Vec<char> = text.chars().collect();
    let hex = if text.starts_with("0x") { 2 } else { 0 };
    // The last letters of base64 may mean nothing.
    let end = letters.iter().rposition(|c| *c != '=')?;
    let at = match change {
        Change::First => hex,
        Change::Last => {
            if text.ends_with('=') {
                end.saturating_sub(1)
            } else {
                end
            }
        }
        Change::Gone | Change::Shorter | Change::Longer => return None,
    };
    let letter = letters.get_mut(at)?;
    *letter = other(*letter);
    Some(letters.into_iter().collect())
}

/// The value after the change; nothing where it cannot be changed so.
fn changed(value: &Json, change: Change) -> Option<Json> {
    let changed = match (change, value) {
        (Change::Gone, _) => Json::Null,
        (Change::First, Json::Bool(flag)) => (!flag).into(),
        (Change::First, Json::Number(number)) => (number.as_u64()? + 1).into(),
        (_, Json::String(text)) => changed_text(text, change)?.into(),
        (Change::Shorter, Json::Array(items)) => items.split_last()?.1.to_vec().into(),
        (Change::Longer, Json::Array(items)) => [&items[..], &[items.last()?.clone()]].concat().into(),
        _ => return None,
    };
    Some(changed).filter(|changed| changed != value)
}

/// The paths of all values.
fn paths(value: &Json, path: &str, found: &mut Vec<String>) {
    match value {
        Json::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                paths(item, &format!("{path}/{n}"), found);
            }
        }
        Json::Object(members) => {
            for (key, member) in members {
                paths(member, &format!("{path}/{key}"), found);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
    if !path.is_empty() {
        found.push(path.to_owned());
    }
}

/// Whether nothing is left to doubt.
fn is_taken(lock: &Lock) -> bool {
    lock.verify(&Networks::default()).is_ok_and(|questions| questions.is_empty())
}

/// Every change of every value of a lock that can still be read, and what says so.
fn each_change(lock: &Lock, mut visit: impl FnMut(&str, Change, Lock)) -> usize {
    let text = lock.to_json().expect("hashes");
    let whole: Json = serde_json::from_str(&text).expect("JSON");
    let mut all = Vec::new();
    paths(&whole, "", &mut all);
    let mut count = 0;
    for path in all {
        for change in CHANGES {
            let mut edited = whole.clone();
            let place = edited.pointer_mut(&path).expect("a value");
            let Some(value) = changed(place, change) else { continue };
            *place = value;
            count += 1;
            if let Ok(read) = Lock::parse(edited.to_string().as_bytes()).map_err(drop)
                && read != *lock
            {
                visit(&path, change, read);
            }
        }
    }
    count
}

fn is_in(list: &[Exempt], version: &Version, path: &str, change: Change) -> bool {
    list.iter().any(|(versions, place, changes, _)| {
        versions.contains(&version.name) && *place == path && changes.contains(&change)
    })
}

#[test]
fn edits_are_refused() {
    for version in VERSIONS {
        for signers in [Signers::All, Signers::Nobody] {
            let lock = made::lock(version, signers);
            let count = each_change(&lock, |path, change, edited| {
                let expected = is_in(NOT_COVERED, version, path, change);
                assert_eq!(is_taken(&edited), expected, "{version}, {signers:?}: {path}, {change:?}");
            });
            assert!(count > 80, "{version}: {count}");
        }
    }
}

#[test]
fn edits_with_right_hashes_are_refused_in_old_versions() {
    check_signed_edits(&VERSIONS[..7]);
}

#[test]
fn edits_with_right_hashes_are_refused_in_newer_versions() {
    check_signed_edits(&VERSIONS[7..]);
}

/// Hashes that are made right do not help: the signatures over them are not.
#[track_caller]
fn check_signed_edits(versions: &'static [Version]) {
    for version in versions {
        let lock = made::lock(version, Signers::All);
        each_change(&lock, |path, change, edited| {
            let Ok(edited) = edited.with_hashes() else { return };
            // One change of each value is enough: what is seen here are signatures.
            if edited != lock && !matches!(change, Change::Last | Change::Gone) {
                let expected =
                    [NOT_COVERED, NOT_SIGNED].iter().any(|list| is_in(list, version, path, change));
                assert_eq!(is_taken(&edited), expected, "{version}: {path}, {change:?}");
            }
        });
    }
}

/// What verification says of a lock that was edited and signed anew by all shares and nodes.
#[track_caller]
fn check(version: &'static Version, signers: Signers, edit: impl FnOnce(&mut Lock), expected: &str) {
    let mut lock = made::lock(version, signers);
    edit(&mut lock);
    let said = match made::sealed(lock).verify(&Networks::default()) {
        Ok(questions) => {
            questions.first().map(|question| format!("asks {}", question.otherwise)).unwrap_or_default()
        }
        Err(problem) => problem.to_string(),
    };
    assert!(said == expected || !expected.is_empty() && said.starts_with(expected), "{version}: {said}");
}

fn newer(version: &str) -> impl Iterator<Item = &'static Version> {
    VERSIONS.iter().skip_while(move |one| one.name != version)
}

/// Whoever has all keys of a ceremony cannot speak for operators: their own signatures are over the config and nodes.
#[test]
fn operators_signatures_outlast_a_new_ceremony() {
    for version in newer("v1.3.0") {
        let asks = "asks cluster_definition.operators[0].config_signature: the signature is not valid: 0x";
        check(version, Signers::All, |lock| lock.definition.name.push('!'), asks);
        check(
            version,
            Signers::All,
            |lock| lock.definition.threshold -= 1,
            "distributed_validators[0].public_shares[1]",
        );
        check(version, Signers::All, |lock| lock.definition.timestamp.clear(), asks);
        let asks = "asks cluster_definition.operators[0].enr_signature: the signature is not valid: 0x";
        let swap = |lock: &mut Lock| {
            let (one, rest) = lock.definition.operators.split_at_mut(1);
            std::mem::swap(&mut one[0].enr, &mut rest[0].enr);
        };
        let nodes = "node_signatures[0]: the signature is not valid: the identity signature does not match";
        check(version, Signers::All, swap, if version.has_registrations { nodes } else { asks });
    }
    for version in newer("v1.4.0") {
        let asks = "asks cluster_definition.creator.config_signature: the signature is not valid: 0x";
        check(version, Signers::Creator, |lock| lock.definition.name.push('!'), asks);
    }
}

/// A validator's key has signed who is paid, so that a new ceremony cannot pay somebody else.
#[test]
fn registrations_outlast_a_new_ceremony() {
    for version in newer("v1.7.0") {
        let pay = |lock: &mut Lock| {
            lock.definition.validators[1].fee_recipient = format!("0x{}", "11".repeat(20));
        };
        let wrong = "distributed_validators[1].builder_registration.signature: the signature is not valid";
        check(version, Signers::Nobody, pay, wrong);
        check(version, Signers::Nobody, |lock| lock.validators[1].registration.gas_limit += 1, wrong);
        check(version, Signers::Nobody, |lock| lock.validators[1].registration.timestamp += 1, wrong);
        let gone = "distributed_validators[1].builder_registration.message.pubkey: it is missing";
        check(
            version,
            Signers::Nobody,
            |lock| lock.validators[1].registration.pubkey = Vec::new().into(),
            gone,
        );
        // What a registration says of itself is not what was signed, and is not compared.
        check(version, Signers::Nobody, |lock| lock.validators[1].registration.pubkey = [1; 48].into(), "");
        check(
            version,
            Signers::Nobody,
            |lock| lock.validators[1].registration.fee_recipient = [1; 20].into(),
            "",
        );
    }
}

/// Deposits are under the hash and no more.
#[test]
fn deposits_are_not_verified() {
    for version in newer("v1.6.0") {
        check(version, Signers::Nobody, |lock| lock.validators[0].deposits[0].amount += 1, "");
        check(version, Signers::Nobody, |lock| lock.validators[0].deposits[0].signature = [1; 96].into(), "");
    }
}

#[test]
fn shares_are_those_of_their_keys() {
    for version in VERSIONS {
        let first = "distributed_validators[0]";
        let swap = |lock: &mut Lock| lock.validators[0].public_shares.swap(1, 3);
        let wrong =
            format!("{first}.public_shares[2]: shares 1 to 2, with it, do not give the validator's key");
        check(version, Signers::Nobody, swap, &wrong);
        let other = |lock: &mut Lock| {
            lock.validators[0].public_shares[3] = lock.validators[1].public_shares[3].clone();
        };
        let wrong =
            format!("{first}.public_shares[3]: shares 1 to 2, with it, do not give the validator's key");
        check(version, Signers::Nobody, other, &wrong);
        let twice = |lock: &mut Lock| {
            lock.validators[0].public_shares[3] = lock.validators[0].public_shares[1].clone();
        };
        let wrong = format!("{first}.public_shares[3]: it is the same as public_shares[1]");
        check(version, Signers::Nobody, twice, &wrong);
        let fewer = |lock: &mut Lock| drop(lock.validators[0].public_shares.pop());
        let wrong = format!("{first}.public_shares: there are 3, and should be 4, one for each operator");
        check(version, Signers::Nobody, fewer, &wrong);
        let infinity = |lock: &mut Lock| {
            let mut point = vec![0xc0];
            point.resize(48, 0);
            lock.validators[0].public_shares[3] = point.into();
        };
        let wrong = format!("{first}.public_shares[3]: a BLS public key is the point at infinity");
        check(version, Signers::Nobody, infinity, &wrong);
        let clone = |lock: &mut Lock| lock.validators[1] = lock.validators[0].clone();
        let wrong = format!("distributed_validators[1].distributed_public_key: it is the same as {first}");
        check(version, Signers::Nobody, clone, &wrong);
        let fewer = |lock: &mut Lock| drop(lock.validators.pop());
        let wrong =
            "distributed_validators: there are 1, and should be 2, one for each validator of the definition";
        check(version, Signers::Nobody, fewer, wrong);
        for threshold in [0, 5] {
            let wrong = format!("{first}.public_shares: it is {threshold}, and there are 4 shares");
            check(version, Signers::Nobody, |lock| lock.definition.threshold = threshold, &wrong);
        }
    }
}

#[test]
fn nodes_sign_each_in_its_place() {
    for version in newer("v1.7.0") {
        let edit = |edit: fn(&mut Lock), expected: &str| {
            let mut lock = made::lock(version, Signers::Nobody);
            edit(&mut lock);
            let problem = lock.verify(&Networks::default()).err().map(|problem| problem.to_string());
            assert!(problem.as_deref().unwrap_or("").starts_with(expected), "{version}: {problem:?}");
            assert_eq!(problem.is_none(), expected.is_empty(), "{version}");
        };
        edit(
            |lock| lock.node_signatures.swap(0, 1),
            "node_signatures[0]: the signature is not valid: the identity signature does not match",
        );
        edit(
            |lock| drop(lock.node_signatures.pop()),
            "node_signatures: there are 3, and should be 4, one for each operator",
        );
        edit(
            |lock| lock.node_signatures[2] = Vec::new().into(),
            "node_signatures[2]: the signature is not valid: an identity signature has 65 bytes",
        );
        // As other signers write the recovery byte.
        edit(
            |lock| {
                let mut signature = lock.node_signatures[2].to_vec();
                signature[64] += 27;
                lock.node_signatures[2] = signature.into();
            },
            "",
        );
    }
    let unreadable = |lock: &mut Lock| lock.definition.operators[1].enr = "enr:-HW4".to_owned();
    check(
        Version::newest(),
        Signers::Nobody,
        unreadable,
        "cluster_definition.operators[1].enr: the node record",
    );
}

/// What only newer versions have is refused in older ones, should somebody put it there.
#[test]
fn older_versions_have_nothing_newer() {
    for version in VERSIONS.iter().take_while(|version| !version.has_registrations) {
        let newer = made::lock(Version::newest(), Signers::Nobody).validators[0].registration.clone();
        let registration = |lock: &mut Lock| lock.validators[0].registration = newer.clone();
        let wrong =
            format!("distributed_validators[0].builder_registration: files of version {version} have none");
        check(version, Signers::Nobody, registration, &wrong);
        let wrong = format!("node_signatures: files of version {version} have none");
        check(version, Signers::Nobody, |lock| lock.node_signatures = vec![[1; 65].into()], &wrong);
    }
    for version in newer("v1.2.0") {
        let mut lock = made::lock(version, Signers::Nobody);
        lock.signature_aggregate = Vec::new().into();
        let problem = lock.verify(&Networks::default()).expect_err("unsigned").to_string();
        assert_eq!(problem, "signature_aggregate: it is missing");
    }
}
