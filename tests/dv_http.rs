//! What the DV commands ask of servers, and what they do when these refuse, are slow, or lie: the real binary against
//! servers in this process.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it was skipped, and fails where something is not as it made it"
)]

#[path = "support/server.rs"]
mod server;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use coxswain::dv::obol_api::ObolApi;
use coxswain_dv_crypto::k1;
use coxswain_dv_keystore as keystore;
use coxswain_dv_types::cluster::{Definition, Lock};
use coxswain_dv_types::eip712;
use coxswain_dv_types::json::Json as Ordered;
use coxswain_dv_types::network::Networks;
use serde_json::{Value as Json, json};
use server::{Reply, Seen, Server};
use support::{Ran, run};

const FEE: &str = "0x388C818CA8B9251b393131C08a736A67ccB19297";
const WITHDRAWAL: &str = "0x000000000000000000000000000000000000dEaD";

/// A file of the vectors; none, and a line that says so, where they are not.
fn vectors(file: &str) -> Option<Json> {
    let all = std::env::var_os("COXSWAIN_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from);
    let path = all.join(file);
    let Ok(text) = fs::read(&path) else {
        println!("skipped: {} is not here", path.display());
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

/// A request of the real program, to this path.
fn recorded(path: &str) -> Option<Json> {
    let all = vectors("charon/runs/http/obol_api_requests.json")?;
    let found = all.as_array().unwrap().iter().find(|request| request["path"] == path);
    Some(found.unwrap_or_else(|| panic!("no request to {path} was recorded")).clone())
}

fn coxswain(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coxswain"));
    command.arg("dv").args(args).current_dir(dir).env_clear().env("HOME", dir);
    command
}

fn common<'a>(command: [&'a str; 2], more: &[&'a str]) -> Vec<&'a str> {
    let addresses = ["--fee-recipient-addresses", FEE, "--withdrawal-addresses", WITHDRAWAL];
    [&command[..], &["--network=hoodi", "--name=x"], &addresses, more].concat()
}

fn cluster_args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = common(["create", "cluster"], &["--insecure-keys", "--cluster-dir=c"]);
    args.extend(more);
    args
}

fn create(dir: &Path, more: &[&str]) -> Ran {
    run(&mut coxswain(dir, &cluster_args(more)))
}

const FOUR: [&str; 2] = ["--nodes=4", "--num-validators=2"];

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn lock_of(node: &Path) -> Lock {
    Lock::parse(&fs::read(node.join("cluster-lock.json")).unwrap()).unwrap()
}

/// The members of a document and their order, without their values; of a list, the first item.
fn shape(json: &Ordered) -> String {
    match json {
        Ordered::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{name}:{}", shape(value))).collect();
            format!("{{{}}}", members.join(","))
        }
        Ordered::List(items) => format!("[{}]", items.first().map(shape).unwrap_or_default()),
        Ordered::Text(_) => "text".to_owned(),
        Ordered::Number(_) => "number".to_owned(),
        Ordered::Flag(_) => "flag".to_owned(),
        Ordered::Null => "null".to_owned(),
    }
}

fn shape_of(text: &[u8]) -> String {
    shape(&Ordered::parse(text).unwrap())
}

/// The shape of a recorded body. The order of its members was lost when it was read, so it is read anew.
fn recorded_shape(path: &str) -> Option<String> {
    let all = std::env::var_os("COXSWAIN_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from);
    let text = fs::read(all.join("charon/runs/http/obol_api_requests.json")).ok()?;
    let Ordered::List(requests) = Ordered::parse(&text).unwrap() else { panic!("a list") };
    let member = |request: &Ordered, wanted: &str| match request {
        Ordered::Object(members) => members.iter().find(|(name, _)| name == wanted).unwrap().1.clone(),
        _ => panic!("an object"),
    };
    let request = requests.iter().find(|request| member(request, "path") == Ordered::from(path)).unwrap();
    Some(shape(&member(request, "body")))
}

/// A closed port: nobody answers there.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn addresses_on_the_api_are_those_of_the_vectors() {
    let Some(all) = vectors("charon/p2p-dkg/obolapi_urls.json") else { return };
    let hash = [0x42; 32];
    let lock = format!("0x{}", "42".repeat(32));
    let key = format!("0xab{}", "00".repeat(47));
    let cases = all["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap();
        let api = ObolApi::new(text("base").parse().unwrap());
        let url = match text("call") {
            "publish lock" => api.lock(),
            "publish definition" => api.definition(),
            "submit partial exits" => api.at_root(&format!("/exp/partial_exits/{lock}")),
            "fetch exit share 2" => api.at_root(&format!("/exp/exit/{lock}/2/{key}")),
            "submit partial deposits share 1" => {
                api.at_root(&format!("/deposit_data/partial_deposits/{lock}/1"))
            }
            "fetch deposit" => api.at_root(&format!("/deposit_data/{lock}/{key}")),
            "fetch fee recipients" => api.at_root(&format!("/fee_recipient/{lock}")),
            "launchpad page" => api.launchpad(&hash),
            other => panic!("a call that is not known: {other}"),
        };
        assert_eq!(url.as_str(), text("url"), "{}", text("call"));
    }
}

// ------------------------------------------------------------------------------------------------- definitions

/// Node records, as the flag takes them.
fn records(dir: &Path) -> String {
    let record = |node: usize| {
        let data = format!("--data-dir=op{node}");
        let made = run(&mut coxswain(dir, &["create", "enr", &data])).ok();
        made.stdout.lines().find(|line| line.starts_with("enr:")).unwrap().to_owned()
    };
    format!("--operator-enrs={}", (0..4).map(record).collect::<Vec<_>>().join(","))
}

#[test]
fn a_definition_comes_from_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let enrs = records(at);
    run(&mut coxswain(at, &common(["create", "dkg"], &[&enrs, "--output-dir=d"]))).ok();
    let text = fs::read_to_string(at.join("d/cluster-definition.json")).unwrap();
    let altered = text.replace("\"x\"", "\"y\"");
    let server = Server::start(move |seen| match seen.line.as_str() {
        "GET /definition" => Reply::Text(200, text.clone()),
        "GET /moved" => Reply::To(302, "/definition".to_owned()),
        "GET /altered" => Reply::Text(200, altered.clone()),
        "GET /wrong?token=hunter22" => Reply::Text(500, "hunter22 is not right".to_owned()),
        "GET /nonsense" => Reply::Text(200, "<html>".to_owned()),
        "GET /endless" => Reply::Endless,
        "GET /closed" => Reply::Closed,
        _ => Reply::Text(404, "no such definition".to_owned()),
    });
    let with = |place: &str| {
        let file = format!("--definition-file={place}");
        create(at, &[&file])
    };
    for place in ["/definition", "/moved"] {
        with(&format!("{}{place}", server.url)).ok();
        assert_eq!(lock_of(&at.join("c/node0")).definition.name, "x");
        fs::remove_dir_all(at.join("c")).unwrap();
    }
    for (place, part) in [
        ("/altered", "config_hash"),
        ("/wrong?token=hunter22", "the answer is 500: (hidden) is not right"),
        ("/nonsense", "expected value at line 1"),
        ("/endless", "larger than 16777216 bytes"),
        ("/closed", "broke off"),
        ("/lost", "the answer is 404: no such definition"),
    ] {
        let ran = with(&format!("{}{place}", server.url)).expect(1);
        assert!(ran.stderr.contains(part) && !ran.stderr.contains("hunter22"), "{place}: {}", ran.stderr);
        assert!(!at.join("c").exists(), "{place}");
    }
    let ran = with(&format!("{}/x", nobody())).expect(1);
    assert!(ran.stderr.contains("no connection: Connection refused"), "{}", ran.stderr);
    let ran = with("ftp://me:hunter22@host/x").expect(1);
    assert!(ran.stderr.contains("--definition-file") && !ran.stderr.contains("hunter22"), "{}", ran.stderr);
    assert!(!at.join("c").exists());
}

/// A proxy sees what goes elsewhere, and never what stays on this machine: tokens and keys among it.
#[test]
fn proxies_see_nothing_of_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let proxy = Server::start(|_| Reply::Text(404, "from the proxy".to_owned()));
    let here = Server::start(|_| Reply::Text(404, "from here".to_owned()));
    for (place, part, is_seen) in [
        ("http://definitions.invalid".to_owned(), "from the proxy", true),
        (here.url.clone(), "from here", false),
        (here.url.replace("127.0.0.1", "localhost"), "from here", false),
    ] {
        let before = proxy.seen().len();
        let file = format!("--definition-file={place}/x");
        let ran = run(coxswain(at, &cluster_args(&[&file])).env("HTTP_PROXY", &proxy.url)).expect(1);
        assert!(ran.stderr.contains(part), "{place}: {}", ran.stderr);
        assert_eq!(proxy.seen().len() > before, is_seen, "{place}");
    }
    assert_eq!(proxy.lines(), ["GET http://definitions.invalid/x"]);
}

// ---------------------------------------------------------------------------------------------------- publishing

#[test]
fn a_lock_is_published_as_charon_publishes_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(|_| Reply::Text(201, String::new()));
    let address = format!("--publish-address={}/v1", server.url);
    let made = create(at, &[&FOUR[..], &["--publish", &address]].concat()).ok();
    let [request] = &server.seen()[..] else { panic!("{:?}", server.lines()) };
    assert_eq!(request.line, "POST /lock");
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("content-type"), Some("application/json"));
    let lock = lock_of(&at.join("c/node0"));
    assert_eq!(Lock::parse(&request.body).unwrap(), lock);
    assert!(!request.body.iter().any(u8::is_ascii_whitespace), "compact");
    let page = format!("{}/lock/0x{}/launchpad", server.url, hex::encode_upper(&*lock.lock_hash));
    assert!(made.stdout.contains(&page), "{}", made.stdout);
    if let Some(theirs) = recorded("/lock") {
        assert_eq!(request.header("content-type"), theirs["headers"]["Content-Type"].as_str());
        // Theirs has no name, which is left out then.
        let ours = shape_of(&request.body).replace("{name:text,creator", "{creator");
        assert_eq!(Some(ours), recorded_shape("/lock"));
    }
}

#[test]
fn a_lock_that_is_not_published_is_a_cluster_nevertheless() {
    let server = Server::start(|seen| match seen.line.as_str() {
        "POST /lock?known" => Reply::Text(409, "there".to_owned()),
        _ => Reply::Text(500, "out of order".to_owned()),
    });
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (address, part) in [
        (format!("{}/v1?known", server.url), None),
        (format!("{}/v1", server.url), Some("the answer is 500: out of order")),
        (nobody(), Some("Connection refused")),
    ] {
        let address = format!("--publish-address={address}");
        let ran = create(at, &[&FOUR[..], &["--publish", &address]].concat()).ok();
        assert_eq!(names(&at.join("c")), ["node0", "node1", "node2", "node3"]);
        assert_eq!(ran.stdout.contains("launchpad"), part.is_none(), "{}", ran.stdout);
        let told =
            part.is_none_or(|part| ran.stderr.contains("was not published") && ran.stderr.contains(part));
        assert!(told, "{}", ran.stderr);
        fs::remove_dir_all(at.join("c")).unwrap();
    }
    let ran = create(at, &[&FOUR[..], &["--publish", "--publish-address=nowhere"]].concat()).expect(1);
    assert!(ran.stderr.contains("--publish-address") && !at.join("c").exists(), "{}", ran.stderr);
}

const ADDRESSES: &str = "--operator-addresses=0x000000000000000000000000000000000000dead,\
    0x388C818CA8B9251b393131C08a736A67ccB19297,0x1111111111111111111111111111111111111111,\
    0x2222222222222222222222222222222222222222";

/// Who signed a request, by the digest it must be over.
fn signer(request: &Seen, digest: &[u8; 32]) -> String {
    let signature = request.header("authorization").unwrap().strip_prefix("Bearer 0x").unwrap();
    k1::recover(digest, &hex::decode(signature).unwrap()).unwrap().address().to_string()
}

#[test]
fn a_definition_is_published_as_charon_publishes_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let enrs = records(at);
    for (operators, page) in
        [(enrs.as_str(), None), (ADDRESSES, Some("https://hoodi.launchpad.obol.org/dv#"))]
    {
        let server = Server::start(|_| Reply::Text(200, "{}".to_owned()));
        let address = format!("--publish-address={}/v1", server.url);
        let args = common(["create", "dkg"], &[operators, "--publish", &address]);
        let made = run(&mut coxswain(at, &args)).ok();
        let [terms, sent] = &server.seen()[..] else { panic!("{:?}", server.lines()) };
        assert_eq!([&*terms.line, &sent.line], ["POST /v1/termsAndConditions", "POST /v1/definition"]);
        let definition = Definition::parse(&sent.body).unwrap();
        let creator = &definition.creator.address;
        assert_eq!(terms.json()["address"], creator.as_str());
        assert_eq!(signer(terms, &eip712::terms_digest()), *creator);
        let kind = definition.version.creator_type.as_ref().unwrap();
        let digest = eip712::config_digest(kind, 560_048, &definition.config_hash);
        assert_eq!(signer(sent, &digest), *creator);
        definition.verify_hashes().unwrap();
        let hash = format!("0x{}", hex::encode(&*definition.config_hash));
        assert!(made.stdout.contains(&format!("{}/v1/definition/{hash}", server.url)), "{}", made.stdout);
        match page {
            Some(page) => {
                assert!(made.stdout.contains(&format!("{page}{hash}")), "{}", made.stdout);
                assert_eq!(definition.operators[0].address, WITHDRAWAL, "with its checksum");
                compare_published(terms, sent);
            }
            None => assert_eq!(definition.verify(&Networks::default()), Ok(Vec::new())),
        }
        assert!(!at.join(".charon").exists(), "no file");
    }
}

/// With what the real program sent for operators with addresses.
fn compare_published(terms: &Seen, sent: &Seen) {
    for (ours, path) in [(terms, "/v1/termsAndConditions"), (sent, "/v1/definition")] {
        let Some(theirs) = recorded(path) else { return };
        assert_eq!(ours.header("content-type"), theirs["headers"]["Content-Type"].as_str());
        let length = |text: &str| text.len();
        let authorization = theirs["headers"]["Authorization"].as_str().unwrap();
        assert_eq!(ours.header("authorization").map(length), Some(authorization.len()));
        assert_eq!(Some(shape_of(&ours.body)), recorded_shape(path));
    }
    let theirs = recorded("/v1/termsAndConditions").unwrap();
    for member in ["version", "terms_and_conditions_hash", "fork_version"] {
        assert_eq!(terms.json()[member], theirs["body"][member], "{member}");
    }
}

#[test]
fn a_definition_that_is_not_published_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let dkg = |more: &[&str]| run(&mut coxswain(at, &common(["create", "dkg"], more)));
    for (refused, asked) in [("/v1/termsAndConditions", 1), ("/v1/definition", 2)] {
        let server = Server::start(move |seen| match seen.line.ends_with(refused) {
            true => Reply::Text(422, "no".to_owned()),
            false => Reply::Text(409, "there".to_owned()),
        });
        let address = format!("--publish-address={}/v1", server.url);
        let ran = dkg(&[ADDRESSES, "--publish", &address]).expect(1);
        assert!(ran.stderr.contains(&format!("{refused}: the answer is 422: no")), "{}", ran.stderr);
        assert_eq!(server.seen().len(), asked);
    }
    for (more, part) in [
        (&[ADDRESSES][..], "need --publish"),
        (&[ADDRESSES, "--publish", "--operator-enrs=enr:x"], "--operator-enrs is given as well"),
        (&["--operator-addresses=0x12,0x13,0x14", "--publish"], "number 0"),
        (&["--publish"], "from 3 to"),
        (&[ADDRESSES, "--publish", "--publish-address=x"], "--publish-address"),
    ] {
        let ran = dkg(more).expect(1);
        assert!(ran.stderr.contains(part), "{more:?}: {}", ran.stderr);
    }
    assert!(!at.join(".charon").exists());
}

// --------------------------------------------------------------------------------------------------- keymanagers

/// Keymanagers of four nodes behind one server, by the beginning of their paths.
struct Keymanagers {
    keys: Mutex<Vec<(String, String)>>,
    /// What one says to an import, after it has taken the keys, or not.
    import: fn(node: &str, keys: usize) -> (bool, Reply),
}

impl Keymanagers {
    fn start(import: fn(&str, usize) -> (bool, Reply)) -> Server {
        let all = Keymanagers { keys: Mutex::default(), import };
        Server::start(move |seen| all.answer(seen))
    }

    /// The same server as the API and as execution clients.
    fn start_with_api(import: fn(&str, usize) -> (bool, Reply)) -> Server {
        let all = Keymanagers { keys: Mutex::default(), import };
        Server::start(move |seen| match seen.line.as_str() {
            "POST /yes" | "POST /no" => execution(seen, 1),
            line if line.contains("/km") => all.answer(seen),
            _ => Reply::Text(200, "{}".to_owned()),
        })
    }

    fn answer(&self, seen: &Seen) -> Reply {
        let (method, path) = seen.line.split_once(' ').unwrap();
        let node = path.strip_prefix('/').and_then(|path| path.split('/').next()).unwrap();
        assert!(path.ends_with("/eth/v1/keystores"), "{path}");
        if seen.header("authorization") != Some(&format!("Bearer token-of-{node}")) {
            return Reply::Text(401, format!("{:?} is no token", seen.header("authorization")));
        }
        let mut keys = self.keys.lock().unwrap();
        if method == "GET" {
            let listed: Vec<Json> = keys
                .iter()
                .filter(|(of, _)| of == node)
                .map(|(_, key)| json!({ "validating_pubkey": format!("0x{key}"), "readonly": false }))
                .collect();
            return Reply::ok(&json!({ "data": listed }));
        }
        let sent = opened(seen);
        let (is_taken, reply) = (self.import)(node, sent.len());
        if is_taken {
            keys.extend(sent.into_iter().map(|key| (node.to_owned(), key)));
        }
        reply
    }
}

/// The public keys of an import, each computed from what its password opens.
fn opened(request: &Seen) -> Vec<String> {
    let body = request.json();
    let list = |name: &str| body[name].as_array().unwrap().clone();
    let pairs = list("keystores").into_iter().zip(list("passwords"));
    let open = |(store, password): (Json, Json)| {
        let store = keystore::parse(store.as_str().unwrap().as_bytes()).unwrap();
        let secret = store.decrypt(password.as_str().unwrap()).unwrap();
        let secret = coxswain_dv_crypto::bls::SecretKey::from_bytes(&*secret).unwrap();
        hex::encode(secret.public().to_bytes())
    };
    pairs.map(open).collect()
}

fn all_imported(keys: usize) -> Reply {
    Reply::ok(&json!({ "data": vec![json!({ "status": "imported", "message": "" }); keys] }))
}

fn keymanager_args(url: &str) -> [String; 2] {
    let list = |each: fn(&str, usize) -> String| (0..4).map(|n| each(url, n)).collect::<Vec<_>>().join(",");
    [
        format!("--keymanager-addresses={}", list(|url, n| format!("{url}/km{n}"))),
        format!("--keymanager-auth-tokens={}", list(|_, n| format!("token-of-km{n}"))),
    ]
}

fn create_with_keymanagers(at: &Path, url: &str, more: &[&str]) -> Ran {
    let args = keymanager_args(url);
    create(at, &[&FOUR[..], &[&args[0], &args[1]], more].concat())
}

/// What of a node's keys lies in its directory.
fn left(at: &Path, node: usize) -> Vec<String> {
    let dir = at.join(format!("c/node{node}/validator_keys"));
    if dir.exists() { names(&dir) } else { vec!["gone".to_owned()] }
}

const BOTH: [&str; 4] = [
    "keystore-insecure-0.json",
    "keystore-insecure-0.txt",
    "keystore-insecure-1.json",
    "keystore-insecure-1.txt",
];

#[test]
fn keys_go_to_keymanagers_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Keymanagers::start(|_, keys| (true, all_imported(keys)));
    let made = create_with_keymanagers(at, &server.url, &[]).ok();
    assert!(!made.stderr.contains("warning"), "{}", made.stderr);
    assert!(made.stdout.contains("nowhere else"), "{}", made.stdout);
    let seen = server.seen();
    // All are reached before the first key leaves.
    let expected =
        ["GET", "POST"].map(|method| (0..4).map(move |n| format!("{method} /km{n}/eth/v1/keystores")));
    assert_eq!(server.lines(), expected.into_iter().flatten().collect::<Vec<_>>());
    let lock = lock_of(&at.join("c/node0"));
    for (node, request) in seen[4..].iter().enumerate() {
        let shares: Vec<String> =
            lock.validators.iter().map(|v| hex::encode(&*v.public_shares[node])).collect();
        assert_eq!(opened(request), shares, "node {node}");
        let dir = at.join(format!("c/node{node}"));
        assert_eq!(
            names(&dir),
            ["charon-enr-private-key", "cluster-lock.json", "deposit-data-1eth.json", "deposit-data.json"]
        );
        for text in [&made.stdout, &made.stderr] {
            assert!(!text.contains("token-of"), "{text}");
        }
    }
    if let Some(theirs) = recorded("/v1/km0/eth/v1/keystores") {
        assert_eq!(seen[4].header("content-type"), theirs["headers"]["Content-Type"].as_str());
        assert_eq!(Some(shape_of(&seen[4].body)), recorded_shape("/v1/km0/eth/v1/keystores"));
        let store = |body: &Json| shape_of(body["keystores"][0].as_str().unwrap().as_bytes());
        assert_eq!(store(&seen[4].json()), store(&theirs["body"]));
        let ours = seen[4].json()["keystores"][0].as_str().unwrap().to_owned();
        assert!(!ours.contains('\n') && !ours.contains(": "), "as compact as theirs: {ours}");
    }
}

/// Keys that were there already have a past, which each node gets for its shares.
#[test]
fn the_history_of_keys_goes_with_their_shares() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    run(&mut coxswain(at, &cluster_args(&["--nodes=4", "--num-validators=2", "--cluster-dir=old"]))).ok();
    run(&mut coxswain(at, &["combine", "--cluster-dir=old", "--output-dir=keys"])).ok();
    let whole = lock_of(&at.join("old/node0"));
    let key = |position: usize| hex::encode(&*whole.validators[position].public_key);
    let root = format!("0x{}", "ab".repeat(32));
    let history = |data: Json| {
        let metadata = json!({ "interchange_format_version": "5", "genesis_validators_root": root });
        fs::write(at.join("history.json"), json!({ "metadata": metadata, "data": data }).to_string())
            .unwrap();
    };
    let signed = json!({ "source_epoch": "7", "target_epoch": "8", "signing_root": root });
    let entry = |pubkey: String, block: &str| json!({ "pubkey": pubkey, "signed_blocks": [{ "slot": block }], "signed_attestations": [signed] });
    let server = Keymanagers::start(|_, keys| (true, all_imported(keys)));
    let args = keymanager_args(&server.url);
    let split = |more: &[&str]| {
        let split = ["--split-existing-keys", "--split-keys-dir=keys", "--nodes=4", &args[0], &args[1]];
        create(at, &[&split[..], more].concat())
    };
    let file = "--slashing-protection-file=history.json";

    history(json!([
        entry(key(0), "300"),
        entry(format!("0x{}", key(1)).to_uppercase().replace("0X", "0x"), "400")
    ]));
    let ran = split(&[file]).ok();
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    let lock = lock_of(&at.join("c/node0"));
    let posts: Vec<Seen> = server.seen().into_iter().filter(|seen| seen.line.starts_with("POST")).collect();
    for (node, request) in posts.iter().enumerate() {
        let text = request.json()["slashing_protection"].as_str().unwrap().to_owned();
        let file = at.join(format!("c/node{node}/slashing-protection.json"));
        assert_eq!(text, fs::read_to_string(file).unwrap());
        let sent: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(sent["metadata"]["genesis_validators_root"], root.as_str());
        for validator in &lock.validators {
            let slot = if hex::encode(&*validator.public_key) == key(0) { "300" } else { "400" };
            let share = format!("0x{}", hex::encode(&*validator.public_shares[node]));
            let entries: Vec<&Json> = sent["data"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|entry| entry["pubkey"] == share.as_str())
                .collect();
            assert_eq!(entries, [&entry(share.clone(), slot)]);
        }
        assert_eq!(sent["data"].as_array().unwrap().len(), 2);
    }
    // What is not known is told, before keys leave.
    for (data, more, part) in [
        (json!([]), &["--cluster-dir=e"][..], "nothing says what the keys have signed"),
        (json!([entry(key(0), "1")]), &["--cluster-dir=f", file], "nothing of 1 of 2 keys"),
    ] {
        history(data);
        let ran = split(more).ok();
        assert!(ran.stderr.contains(part) && ran.stderr.contains("two epochs"), "{}", ran.stderr);
    }
    history(json!([entry("0x12".to_owned(), "1")]));
    let ran = split(&["--cluster-dir=g", file]).expect(1);
    assert!(ran.stderr.contains("data[0].pubkey"), "{}", ran.stderr);
    let ran = create(at, &[&FOUR[..], &["--cluster-dir=g", file]].concat()).expect(1);
    assert!(ran.stderr.contains("new keys have signed nothing") && !at.join("g").exists(), "{}", ran.stderr);
}

#[test]
fn a_keymanager_that_takes_nothing_is_known_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Keymanagers::start(|_, keys| (true, all_imported(keys)));
    let moved = Server::start(|_| Reply::To(307, "https://elsewhere.invalid/eth/v1/keystores".to_owned()));
    let url = &server.url;
    let list = |last: &str| format!("--keymanager-addresses={url}/km0,{url}/km1,{url}/km2,{last}");
    let tokens =
        |last: &str| format!("--keymanager-auth-tokens=token-of-km0,token-of-km1,token-of-km2,{last}");
    let km3 = format!("{url}/km3");
    for (addresses, tokens, part) in [
        (list(&km3), tokens("a-wrong-one"), "the answer is 401: Some(\"Bearer (hidden)\") is no token"),
        (list(&nobody()), tokens("t"), "reaching the keymanager of node 3"),
        (list(&moved.url), tokens("t"), "it points to https://elsewhere.invalid"),
        (list("km3"), tokens("t"), "number 3"),
        (format!("--keymanager-addresses={km3}"), tokens("t"), "1 --keymanager-addresses and 4"),
        (
            format!("--keymanager-addresses={km3}"),
            "--keymanager-auth-tokens=token-of-km3".to_owned(),
            "there are 1 for 4 nodes",
        ),
    ] {
        let ran = create(at, &[&FOUR[..], &[&addresses, &tokens]].concat()).expect(1);
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
        assert!(!ran.stderr.contains("wrong-one"), "{}", ran.stderr);
        assert!(!at.join("c").exists(), "{part}");
    }
    assert!(server.lines().iter().all(|line| line.starts_with("GET ")), "no key was sent");
}

/// Each node's keymanager fails in its own way; every key is in one place, or the note says that it may be in two.
#[test]
fn what_a_keymanager_does_not_take_stays_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Keymanagers::start(|node, keys| match node {
        "km0" => (true, all_imported(keys)),
        "km1" => {
            let data =
                [json!({"status": "duplicate"}), json!({"status": "error", "message": "disk is full"})];
            (false, Reply::ok(&json!({ "data": data })))
        }
        "km2" => (false, Reply::Text(400, "not today".to_owned())),
        // It has taken them, and says nothing that is understood; its list says it.
        _ => (true, Reply::Text(200, "{}".to_owned())),
    });
    let ran = create_with_keymanagers(at, &server.url, &["--zipped"]).expect(1);
    for part in [
        "c/node1, ",
        "keystore-insecure-1.json was not imported: error: disk is full",
        "keystore-insecure-0.json, keystore-insecure-1.json was not imported: POST ",
        "the answer is 400: not today",
        "2 of 4 have not got all of them",
        "cluster.tar.gz was not made",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert_eq!(left(at, 0), ["gone"]);
    assert_eq!(left(at, 1), BOTH[2..]);
    assert_eq!(left(at, 2), BOTH);
    assert_eq!(left(at, 3), ["gone"]);
    assert_eq!(names(&at.join("c")), ["node0", "node1", "node2", "node3"]);
}

#[test]
fn what_a_keymanager_may_have_is_marked() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Keymanagers::start(|node, keys| match node {
        "km0" => (false, Reply::Text(200, "{}".to_owned())),
        "km1" => (false, Reply::Silence),
        "km2" => (true, Reply::Closed),
        _ => {
            let data = vec![json!({ "status": "pending", "message": "" }); keys];
            (false, Reply::ok(&json!({ "data": data })))
        }
    });
    let ran = create_with_keymanagers(at, &server.url, &["--json"]).expect(1);
    let told: Json = serde_json::from_str(&ran.stdout).unwrap();
    let nodes = told["delivery"]["keymanagers"].as_array().unwrap();
    let problem = |node: usize| nodes[node]["problems"][0].as_str().unwrap_or_default().to_owned();
    assert!(problem(0).contains("may have been imported") && problem(0).contains("missing field"), "{told}");
    assert!(problem(1).contains("no whole answer within 4 s"), "{told}");
    assert_eq!((&nodes[2]["imported"], problem(2).as_str()), (&json!(2), ""), "{told}");
    assert!(problem(3).contains("pending"), "{told}");
    for node in [0, 1, 3] {
        assert_eq!(left(at, node), [&["SENT-TO-KEYMANAGER"][..], &BOTH].concat(), "{node}");
    }
    let note = fs::read_to_string(at.join("c/node1/validator_keys/SENT-TO-KEYMANAGER")).unwrap();
    assert!(note.contains("/km1") && !note.contains("token"), "{note}");
    assert_eq!(left(at, 2), ["gone"]);
    // The directory is still one that other commands take.
    run(&mut coxswain(at, &["verify", "c/node1"])).ok();
}

/// Killed while a keymanager does not answer, everything is on the disk, and the note beside what may have left.
#[test]
fn a_killed_process_loses_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Keymanagers::start(|node, keys| match node {
        "km0" => (true, all_imported(keys)),
        _ => (true, Reply::Silence),
    });
    let args = keymanager_args(&server.url);
    let mut command = coxswain(at, &cluster_args(&[&FOUR[..], &[&args[0], &args[1]]].concat()));
    let mut child = command.spawn().unwrap();
    while server.lines().len() < 6 {
        assert!(child.try_wait().unwrap().is_none(), "it waits for the second keymanager");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(left(at, 0), ["gone"]);
    assert_eq!(left(at, 1), [&["SENT-TO-KEYMANAGER"][..], &BOTH].concat());
    assert_eq!(
        (left(at, 2), left(at, 3)),
        (BOTH.map(String::from).to_vec(), BOTH.map(String::from).to_vec())
    );
    run(&mut coxswain(at, &["verify", "c/node1", "c/node2"])).ok();
}

// ------------------------------------------------------------------------------------------------------ archives

/// Names and modes of an archive's members, as the real program's are.
fn members(archive: &Path) -> Vec<(String, u32)> {
    let file = flate2::read::GzDecoder::new(fs::File::open(archive).unwrap());
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        assert!(entry.header().entry_type().is_file(), "{name}");
        (name, entry.header().mode().unwrap())
    });
    entries.collect()
}

#[test]
fn an_archive_has_everything_and_nothing_else_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("c")).unwrap();
    fs::write(at.join("c/mine"), "x").unwrap();
    let made = create(at, &[&FOUR[..], &["--zipped"]].concat()).ok();
    assert!(made.stdout.contains("c/cluster.tar.gz"), "{}", made.stdout);
    assert_eq!(names(&at.join("c")), ["cluster.tar.gz", "mine"]);
    let archive = at.join("c/cluster.tar.gz");
    assert_eq!(fs::metadata(&archive).unwrap().permissions().mode() & 0o7777, 0o600);
    let of_node = |node: usize| {
        [
            ("charon-enr-private-key", 0o600),
            ("cluster-lock.json", 0o400),
            ("deposit-data-1eth.json", 0o444),
            ("deposit-data.json", 0o444),
            ("validator_keys/keystore-insecure-0.json", 0o444),
            ("validator_keys/keystore-insecure-0.txt", 0o400),
            ("validator_keys/keystore-insecure-1.json", 0o444),
            ("validator_keys/keystore-insecure-1.txt", 0o400),
        ]
        .map(|(name, mode)| (format!("node{node}/{name}"), mode))
    };
    assert_eq!(members(&archive), (0..4).flat_map(of_node).collect::<Vec<_>>());
    // What comes out of it is the cluster.
    let unpacked = at.join("out");
    let file = flate2::read::GzDecoder::new(fs::File::open(&archive).unwrap());
    tar::Archive::new(file).unpack(&unpacked).unwrap();
    run(&mut coxswain(at, &["verify", "out/node0", "out/node1", "out/node2", "out/node3"])).ok();
    let again = create(at, &[&FOUR[..], &["--zipped"]].concat()).expect(1);
    assert!(again.stderr.contains("cluster.tar.gz"), "{}", again.stderr);
    assert_eq!(names(&at.join("c")), ["cluster.tar.gz", "mine"]);
    // With keymanagers there are no keys in it.
    let server = Keymanagers::start(|_, keys| (true, all_imported(keys)));
    create_with_keymanagers(at, &server.url, &["--zipped", "--cluster-dir=k"]).ok();
    assert_eq!(names(&at.join("k")), ["cluster.tar.gz"]);
    let names: Vec<String> =
        members(&at.join("k/cluster.tar.gz")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 16);
    assert!(!names.iter().any(|name| name.contains("keystore")), "{names:?}");
}

/// Killed at any moment, the archive is whole, or the directories are, or nothing is there yet.
#[test]
fn a_process_killed_while_it_packs_loses_nothing() {
    let dir = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
    let at = dir.path();
    let target = at.join("c");
    let command = || {
        let mut command = coxswain(at, &cluster_args(&[&FOUR[..], &["--zipped"]].concat()));
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command
    };
    let begun = std::time::Instant::now();
    assert!(command().status().unwrap().success());
    let span = begun.elapsed().min(std::time::Duration::from_millis(400)) * 3 / 2;
    let moments: u32 = if support::is_fast() { 24 } else { 60 };
    let (mut packed, mut whole, mut none) = (0, 0, 0);
    for n in 0..moments {
        fs::remove_dir_all(&target).unwrap();
        let wait = span * (n * 7919 % moments) / moments;
        let mut child = command().spawn().unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed() < wait {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let is_node = |name: &String| name.starts_with("node");
        let found = if target.exists() {
            names(&target)
        } else {
            fs::create_dir(&target).unwrap();
            Vec::new()
        };
        if found.iter().any(|name| name == "cluster.tar.gz") {
            assert_eq!(members(&target.join("cluster.tar.gz")).len(), 32, "{found:?}");
            packed += 1;
        } else if found.iter().any(is_node) {
            // What was not in its place yet is put there by the next run.
            run(&mut command()).expect(1);
            for node in 0..4 {
                lock_of(&target.join(format!("node{node}")));
                assert_eq!(names(&target.join(format!("node{node}/validator_keys"))), BOTH);
            }
            whole += 1;
        } else {
            none += 1;
        }
    }
    println!(
        "{moments} runs killed: {packed} archives, {whole} sets of directories, {none} without anything"
    );
    assert!(packed > 0 && none > 0, "{packed} archives, {none} none");
}

// ----------------------------------------------------------------------------------------------------- contracts

/// The answers of execution clients, by their paths.
fn execution(seen: &Seen, calls: usize) -> Reply {
    let request = seen.json();
    let result =
        |result: Json| Reply::ok(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }));
    let answer = |start: &str| result(json!(format!("0x{start}{}", "00".repeat(28))));
    let path = seen.line.strip_prefix("POST /").unwrap();
    match (path, request["method"].as_str().unwrap()) {
        ("silent-before-it-starts", _) => Reply::Text(404, "hunter22".to_owned()),
        (_, "web3_clientVersion") => result(json!("client/v1")),
        ("yes", _) => answer("1626ba7e"),
        ("no", _) => answer("ffffffff"),
        ("nobody", _) => result(json!("0x")),
        ("reverts", _) => {
            let error = json!({ "code": 3, "message": "execution reverted: GS026" });
            Reply::ok(&json!({ "jsonrpc": "2.0", "id": request["id"], "error": error }))
        }
        ("flaky", _) if calls < 3 => Reply::Text(503, "busy".to_owned()),
        ("flaky", _) => answer("1626ba7e"),
        ("broken", _) => Reply::Text(503, "busy".to_owned()),
        ("nonsense", _) => result(json!(7)),
        ("endless", _) => Reply::Endless,
        _ => Reply::Text(200, "{}".to_owned()),
    }
}

fn execution_clients() -> Server {
    let calls: Mutex<std::collections::BTreeMap<String, usize>> = Mutex::default();
    Server::start(move |seen| {
        let mut calls = calls.lock().unwrap();
        let count = calls.entry(seen.line.clone()).or_default();
        *count += 1;
        execution(seen, *count)
    })
}

const CONTRACT: &str = "0x4444444444444444444444444444444444444444";

/// A definition whose creator is a contract with two owners.
fn definition_of_a_contract(at: &Path) -> Definition {
    let enrs = records(at);
    run(&mut coxswain(at, &common(["create", "dkg"], &[&enrs, "--output-dir=d"]))).ok();
    let file = at.join("d/cluster-definition.json");
    let mut definition = Definition::parse(&fs::read(&file).unwrap()).unwrap();
    definition.creator.address = CONTRACT.to_owned();
    definition.creator.config_signature = vec![7; 130].into();
    let definition = definition.with_hashes().unwrap();
    fs::write(at.join("contract.json"), definition.to_json().unwrap()).unwrap();
    definition
}

#[test]
fn contracts_say_whether_they_have_signed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let definition = definition_of_a_contract(at);
    let questions = definition.verify(&Networks::default()).unwrap();
    assert_eq!(questions.len(), 1);
    let server = execution_clients();
    let asking = |path: &str| {
        let endpoint = format!("--execution-client-rpc-endpoint={}/{path}", server.url);
        create(at, &["--definition-file=contract.json", &endpoint])
    };
    for (path, part) in [
        ("no", "says no"),
        ("nobody", "there is no contract at 0x4444"),
        ("reverts", "error 3: execution reverted: GS026"),
        ("broken", "the answer is 503: busy"),
        ("nonsense", "no text of bytes in hex"),
        ("endless", "larger than 65536 bytes"),
        ("empty", "neither a result nor an error"),
        ("silent-before-it-starts", "the answer is 404: hunter22"),
    ] {
        let ran = asking(path).expect(1);
        assert!(ran.stderr.contains(part), "{path}: {}", ran.stderr);
        assert!(!ran.stderr.contains(&format!("/{path}")), "paths of endpoints are keys: {}", ran.stderr);
        assert!(!at.join("c").exists(), "{path}");
    }
    assert_eq!(server.lines().iter().filter(|line| *line == "POST /broken").count(), 4, "bounded");
    assert_eq!(server.lines().iter().filter(|line| *line == "POST /reverts").count(), 2, "not asked again");
    let alone = create(at, &["--definition-file=contract.json"]).expect(1);
    assert!(alone.stderr.contains("creator.config_signature"), "{}", alone.stderr);
    assert!(alone.stderr.contains("--execution-client-rpc-endpoint"), "{}", alone.stderr);
    for path in ["yes", "flaky"] {
        let _ = fs::remove_dir_all(at.join("c"));
        asking(path).ok();
    }
    let seen = server.seen();
    let asked =
        seen.iter().find(|seen| seen.line == "POST /yes" && seen.json()["method"] == "eth_call").unwrap();
    let data = format!("0x{}", hex::encode(questions[0].call_data()));
    assert_eq!(asked.json()["params"], json!([{ "to": CONTRACT, "data": data }, "latest"]));
    contracts_are_asked_by_other_commands(at, &server);
}

fn contracts_are_asked_by_other_commands(at: &Path, server: &Server) {
    let endpoint = |path: &str| format!("--execution-client-rpc-endpoint={}/{path}", server.url);
    let (yes, no) = (endpoint("yes"), endpoint("no"));
    run(&mut coxswain(at, &["verify", "c/node0", "contract.json", &yes])).ok();
    for (args, part) in
        [(&["verify", "c/node0", &*no][..], "says no"), (&["verify", "contract.json"], "WRONG")]
    {
        let ran = run(&mut coxswain(at, args)).expect(1);
        assert!(ran.stdout.contains(part), "{}", ran.stdout);
    }
    let combine = |more: &[&str]| run(&mut coxswain(at, &[&["combine", "--cluster-dir=c"], more].concat()));
    combine(&["--output-dir=a", &yes]).ok();
    for more in [&["--output-dir=b", &*no][..], &["--output-dir=b"]] {
        let ran = combine(more).expect(1);
        assert!(ran.stderr.contains("creator.config_signature"), "{}", ran.stderr);
        assert!(!at.join("b").exists());
    }
    let ran = combine(&["--output-dir=b", &no, "--no-verify"]).ok();
    assert!(ran.stderr.contains("warning") && ran.stderr.contains("says no"), "{}", ran.stderr);
    // An endpoint that does not answer is told even where there is nothing to ask.
    let enrs = records(&at.join("d"));
    let lost = endpoint("silent-before-it-starts");
    let ran = run(&mut coxswain(at, &common(["create", "dkg"], &[&enrs, "--output-dir=x", &lost]))).expect(1);
    assert!(ran.stderr.contains("reaching the execution client") && !at.join("x").exists(), "{}", ran.stderr);
}

// ------------------------------------------------------------------------------------------------------ ceremonies

/// A process that ends with the test.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A relay of ours; its address.
fn relay(at: &Path) -> (Running, String) {
    let address = nobody();
    let http = address.strip_prefix("http://").unwrap().to_owned();
    let tcp = nobody().strip_prefix("http://").unwrap().to_owned();
    let args = [
        "--data-dir=relay",
        "--p2p-external-ip=127.0.0.1",
        "--http-address",
        &http,
        "--p2p-tcp-address",
        &tcp,
    ];
    let mut command = coxswain(at, &[&["relay"], &args[..]].concat());
    let log = fs::File::create(at.join("relay.log")).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let mut running = Running(command.spawn().unwrap());
    while std::net::TcpStream::connect(&http).is_err() {
        let ended = running.0.try_wait().unwrap();
        assert!(ended.is_none(), "{}", fs::read_to_string(at.join("relay.log")).unwrap());
        std::thread::yield_now();
    }
    (running, address)
}

/// Four nodes that take their definition from a server: one packs, one has a keymanager, one has a keymanager that refuses,
/// one publishes.
#[test]
fn a_ceremony_uses_its_servers() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let enrs = records(at);
    run(&mut coxswain(at, &common(["create", "dkg"], &[&enrs, "--output-dir=d"]))).ok();
    let definition = fs::read_to_string(at.join("d/cluster-definition.json")).unwrap();
    let source = Server::start(move |_| Reply::Text(200, definition.clone()));
    let server = Keymanagers::start_with_api(|node, keys| match node {
        "km1" => (true, all_imported(keys)),
        _ => (false, Reply::ok(&json!({ "data": [{ "status": "error", "message": "it is full" }] }))),
    });
    let (_relay, relay) = relay(at);
    let keymanager = |node: usize| {
        let address = format!("--keymanager-address={}/km{node}", server.url);
        vec![address, format!("--keymanager-auth-token=token-of-km{node}")]
    };
    let own = [
        vec!["--zipped".to_owned()],
        keymanager(1),
        keymanager(2),
        vec!["--publish".to_owned(), format!("--publish-address={}/v1", server.url)],
    ];
    let nodes: Vec<std::thread::JoinHandle<Ran>> = own
        .into_iter()
        .enumerate()
        .map(|(node, own)| {
            let mut args =
                vec!["dkg".to_owned(), format!("--data-dir=op{node}"), "--shutdown-delay=1s".to_owned()];
            args.extend([format!("--definition-file={}/x", source.url), format!("--p2p-relays={relay}")]);
            args.extend(own);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let mut command = coxswain(at, &args);
            std::thread::spawn(move || run(&mut command))
        })
        .collect();
    let ran: Vec<Ran> = nodes.into_iter().map(|node| node.join().unwrap()).collect();
    for (ran, code) in ran.iter().zip([0, 0, 1, 0]) {
        ran.clone().expect(code);
    }
    assert_eq!(names(&at.join("op0")), ["charon-enr-private-key.lock", "dkg.tar.gz"]);
    let packed: Vec<String> = members(&at.join("op0/dkg.tar.gz")).into_iter().map(|(name, _)| name).collect();
    let files =
        ["charon-enr-private-key", "cluster-lock.json", "deposit-data-1eth.json", "deposit-data.json"];
    let keys = ["validator_keys/keystore-0.json", "validator_keys/keystore-0.txt"];
    assert_eq!(packed, [&files[..], &keys].concat());
    let lock = lock_of(&at.join("op1"));
    assert!(!at.join("op1/validator_keys").exists());
    assert!(ran[1].stdout.contains("1 keys are in the keymanager"), "{}", ran[1].stdout);
    let seen = server.seen();
    let of = |line: &str| seen.iter().find(|seen| seen.line == line).unwrap();
    let share = hex::encode(&*lock.validators[0].public_shares[1]);
    assert_eq!(opened(of("POST /km1/eth/v1/keystores")), [share]);
    assert_eq!(names(&at.join("op2/validator_keys")), ["keystore-0.json", "keystore-0.txt"]);
    assert!(
        ran[2].stderr.contains("keystore-0.json was not imported: error: it is full"),
        "{}",
        ran[2].stderr
    );
    assert_eq!(Lock::parse(&of("POST /lock").body).unwrap(), lock);
    assert!(ran[3].stdout.contains("/launchpad"), "{}", ran[3].stdout);
    // Before the ceremony: who does not answer, and what is in the way.
    for (more, part) in [
        (format!("--keymanager-address={}", nobody()), "there are 1 --keymanager-addresses and 0"),
        ("--definition-file=http://localhost:1/x".to_owned(), "no connection"),
    ] {
        let ran = run(&mut coxswain(
            at,
            &["dkg", "--data-dir=op3", "--definition-file=d/cluster-definition.json", &more],
        ));
        assert!(ran.clone().expect(1).stderr.contains(part), "{}", ran.stderr);
    }
}

// ----------------------------------------------------------------------------------------------------------- TLS

/// A server with a certificate that it made itself; it answers one request after the other with the same text.
struct TlsServer {
    url: String,
    certificate: PathBuf,
}

impl TlsServer {
    fn start(dir: &Path, answer: String) -> Option<TlsServer> {
        use rustls::pki_types::pem::PemObject as _;
        let (key, certificate) = (dir.join("tls-key.pem"), dir.join("tls.pem"));
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args([
            "-days",
            "2",
            "-subj",
            "/CN=made for a test",
            "-addext",
            "subjectAltName=DNS:localhost",
        ]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        if !command.output().is_ok_and(|made| made.status.success()) {
            println!("skipped: openssl makes no certificate here");
            return None;
        }
        let chain = vec![rustls::pki_types::CertificateDer::from_pem_file(&certificate).unwrap()];
        let key = rustls::pki_types::PrivateKeyDer::from_pem_file(&key).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = std::sync::Arc::new(config);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/definition", listener.local_addr().unwrap().port());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that refuses the certificate hangs up.
                let _ = answer_tls(stream.unwrap(), &config, &answer);
            }
        });
        Some(TlsServer { url, certificate })
    }
}

fn answer_tls(
    mut stream: std::net::TcpStream,
    config: &std::sync::Arc<rustls::ServerConfig>,
    answer: &str,
) -> std::io::Result<()> {
    use std::io::{Read as _, Write as _};
    let mut connection =
        rustls::ServerConnection::new(std::sync::Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        tls.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    write!(tls, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}", answer.len())?;
    tls.conn.send_close_notify();
    tls.flush()
}

#[test]
fn certificates_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let enrs = records(at);
    run(&mut coxswain(at, &common(["create", "dkg"], &[&enrs, "--output-dir=d"]))).ok();
    let text = fs::read_to_string(at.join("d/cluster-definition.json")).unwrap();
    let Some(server) = TlsServer::start(at, text) else { return };
    let file = format!("--definition-file={}", server.url);
    let command = || coxswain(at, &cluster_args(&[&file]));
    let unknown = run(&mut command()).expect(1);
    assert!(unknown.stderr.contains("UnknownIssuer"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("SSL_CERT_FILE"), "{}", unknown.stderr);
    assert!(!at.join("c").exists());
    run(command().env("SSL_CERT_FILE", &server.certificate)).ok();
    // Another name than that of the certificate.
    let other = file.replace("localhost", "127.0.0.1");
    let ran = run(coxswain(at, &cluster_args(&[&other])).env("SSL_CERT_FILE", &server.certificate)).expect(1);
    assert!(ran.stderr.contains("certificate"), "{}", ran.stderr);
    // Without any authority, HTTP without TLS still works.
    let empty = at.join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("none.pem"), "").unwrap();
    let none = |command: &mut Command| {
        command.env("SSL_CERT_FILE", empty.join("none.pem")).env("SSL_CERT_DIR", &empty);
        run(command)
    };
    let plain = Server::start(|_| Reply::Text(404, "nothing".to_owned()));
    let ran =
        none(&mut coxswain(at, &cluster_args(&[&format!("--definition-file={}/x", plain.url)]))).expect(1);
    assert!(ran.stderr.contains("the answer is 404: nothing"), "{}", ran.stderr);
    let ran = none(&mut command()).expect(1);
    assert!(ran.stderr.contains("certificate"), "{}", ran.stderr);
}

// ------------------------------------------------------------------------------------------------ the real program

/// What is sent of a request: where, with which headers that matter, and the order of its members.
fn sent(seen: &Seen) -> (String, Option<String>, Option<usize>, String) {
    let content = seen.header("content-type").map(str::to_owned);
    let authorization = seen.header("authorization").map(str::len);
    (seen.line.clone(), content, authorization, shape_of(&seen.body))
}

/// With the real program beside ours: both send the same, and pack the same.
#[test]
fn charon_asks_what_we_ask() {
    let Some(charon) = std::env::var_os("CHARON_BIN") else {
        println!("skipped: CHARON_BIN does not name a charon");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let definition = definition_of_a_contract(at);
    let enrs = records(&at.join("d"));
    let server = Keymanagers::start_with_api(|_, keys| (true, all_imported(keys)));
    let keymanagers = keymanager_args(&server.url);
    let address = format!("--publish-address={}/v1", server.url);
    let yes = format!("--execution-client-rpc-endpoint={}/yes", server.url);
    let no = format!("--execution-client-rpc-endpoint={}/no", server.url);
    let pushed = [&FOUR[..], &[&keymanagers[0], &keymanagers[1], "--publish", &address]].concat();
    let runs: Vec<(Vec<&str>, i32)> = vec![
        (cluster_args(&pushed), 0),
        (cluster_args(&[&FOUR[..], &["--zipped"]].concat()), 0),
        (common(["create", "dkg"], &[&enrs, "--publish", &address]), 0),
        (common(["create", "dkg"], &[ADDRESSES, "--publish", &address]), 0),
        (cluster_args(&["--definition-file=contract.json", &yes]), 0),
        (cluster_args(&["--definition-file=contract.json", &no]), 1),
    ];
    for (args, code) in runs {
        let mut both = Vec::new();
        for program in [None, Some(&charon)] {
            let before = server.seen().len();
            let mut command = match program {
                None => coxswain(at, &args),
                Some(charon) => {
                    let mut command = Command::new(charon);
                    command.args(&args).current_dir(at).env_clear().env("HOME", at);
                    command
                }
            };
            run(&mut command).expect(code);
            let seen: Vec<Seen> = server.seen().split_off(before);
            // Ours looks first whether the keymanagers take the tokens.
            let requests = seen.iter().filter(|s| s.line.starts_with("POST")).map(|s| {
                match s.line.strip_prefix("POST /yes").or(s.line.strip_prefix("POST /no")) {
                    // Fields of calls that mean nothing differ.
                    Some(_) => (s.line.clone(), None, None, call_of(s, &definition)),
                    None => sent(s),
                }
            });
            let archive = at.join("c/cluster.tar.gz");
            let packed = if archive.exists() { members(&archive) } else { Vec::new() };
            // It verifies a definition twice, and asks twice.
            both.push((requests.collect::<std::collections::BTreeSet<_>>(), packed));
            if at.join("c").exists() {
                fs::remove_dir_all(at.join("c")).unwrap();
            }
        }
        assert!(!both[0].0.is_empty() || !both[0].1.is_empty(), "{args:?}");
        assert_eq!(both[0], both[1], "{args:?}");
    }
}

/// The method of a call, and whether it asks what it should.
fn call_of(seen: &Seen, definition: &Definition) -> String {
    let request = seen.json();
    let method = request["method"].as_str().unwrap();
    if method != "eth_call" {
        return method.to_owned();
    }
    let question = &definition.verify(&Networks::default()).unwrap()[0];
    let call = &request["params"][0];
    let data = call["data"].as_str().or(call["input"].as_str()).unwrap();
    assert_eq!(data, format!("0x{}", hex::encode(question.call_data())));
    assert!(call["to"].as_str().unwrap().eq_ignore_ascii_case(CONTRACT));
    assert_eq!(request["params"][1], "latest");
    method.to_owned()
}
