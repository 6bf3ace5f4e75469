//! `deposit sign` and `deposit fetch` as processes, against an API in this process that keeps what nodes send: whole
//! deposits, refusals before anything is sent, answers that are none; and charon beside ours, request by request and file
//! by file.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use coxswain_dv_types::cluster::Lock;
use serde_json::{Value as Json, json};
use support::{Ran, run};

const FEE: &str = "0x388C818CA8B9251b393131C08a736A67ccB19297";
const WITHDRAWAL: &str = "0x000000000000000000000000000000000000dEaD";
/// The credentials of [`FEE`] with rewards paid out.
const CREDENTIALS: &str = "0x010000000000000000000000388c818ca8b9251b393131c08a736a67ccb19297";

// -------------------------------------------------------------------------------------------------------- the API

/// A request as it came: method, path, kind of content, body.
type Seen = (String, String, String, String);
/// By amount, the signatures by share index, the last first.
type Amounts = BTreeMap<String, Vec<(usize, String)>>;
/// What is done with the answer about a validator before it is sent.
type Change = Box<dyn Fn(&mut Json) + Send>;

#[derive(Default)]
struct Kept {
    seen: Vec<Seen>,
    /// By validator: credentials, and what was signed.
    deposits: BTreeMap<String, (String, Amounts)>,
    /// Answers with this in place of all else.
    instead: Option<(StatusCode, String)>,
    change: Option<Change>,
}

/// An API that keeps partial deposits of a cluster.
struct Api {
    address: String,
    kept: Arc<Mutex<Kept>>,
    _runtime: tokio::runtime::Runtime,
}

impl Api {
    fn start(lock: &Lock) -> Api {
        let shares: BTreeMap<String, Vec<String>> = lock
            .validators
            .iter()
            .map(|v| (hex_of(&v.public_key), v.public_shares.iter().map(|share| hex_of(share)).collect()))
            .collect();
        let (kept, shares) = (Arc::new(Mutex::new(Kept::default())), Arc::new(shares));
        let state = Arc::clone(&kept);
        let router = Router::new().fallback(move |request: Request| {
            let (kept, shares) = (Arc::clone(&state), Arc::clone(&shares));
            async move {
                let (head, body) = request.into_parts();
                let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
                let content = head.headers.get("content-type").map(|v| v.to_str().unwrap().to_owned());
                let seen = (head.method.to_string(), head.uri.to_string(), content.unwrap_or_default(), body);
                answer(&mut kept.lock().unwrap(), &shares, seen)
            }
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Api { address, kept, _runtime: runtime }
    }

    /// What came since the last call.
    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.kept.lock().unwrap().seen)
    }

    fn forget(&self) {
        *self.kept.lock().unwrap() = Kept::default();
    }

    fn change(&self, change: impl Fn(&mut Json) + Send + 'static) {
        self.kept.lock().unwrap().change = Some(Box::new(change));
    }

    fn instead(&self, status: u16, body: &str) {
        self.kept.lock().unwrap().instead = Some((StatusCode::from_u16(status).unwrap(), body.to_owned()));
    }
}

fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn answer(kept: &mut Kept, shares: &BTreeMap<String, Vec<String>>, seen: Seen) -> Response {
    let (method, path, _, body) = seen.clone();
    kept.seen.push(seen);
    if let Some((status, text)) = &kept.instead {
        return (*status, text.clone()).into_response();
    }
    let parts: Vec<&str> = path.split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("POST", ["", "deposit_data", "partial_deposits", _, share]) => {
            let share: usize = share.parse().unwrap();
            let body: Json = serde_json::from_str(&body).unwrap();
            for deposit in body["partial_deposit_data"].as_array().unwrap() {
                let text = |name: &str| deposit[name].as_str().unwrap().to_owned();
                let (_, amounts) = kept
                    .deposits
                    .entry(text("pubkey"))
                    .or_insert_with(|| (text("withdrawal_credentials"), BTreeMap::new()));
                let partials = amounts.entry(text("amount")).or_default();
                if partials.iter().any(|(index, _)| *index == share) {
                    return StatusCode::CONFLICT.into_response();
                }
                partials.insert(0, (share, text("signature")));
            }
            StatusCode::CREATED.into_response()
        }
        ("GET", ["", "deposit_data", _, key]) => {
            let Some((credentials, amounts)) = kept.deposits.get(*key) else {
                return StatusCode::NOT_FOUND.into_response();
            };
            let amounts: Vec<Json> = amounts
                .iter()
                .map(|(amount, partials)| {
                    let partials = partials.iter().map(|(share, signature)| {
                        json!({"partial_public_key": shares[*key][share - 1], "partial_deposit_signature": signature})
                    });
                    json!({"amount": amount, "partials": partials.collect::<Vec<_>>()})
                })
                .collect();
            let mut whole = json!({"pubkey": key, "withdrawal_credentials": credentials, "amounts": amounts});
            if let Some(change) = &kept.change {
                change(&mut whole);
            }
            whole.to_string().into_response()
        }
        _ => StatusCode::BAD_REQUEST.into_response(),
    }
}

// -------------------------------------------------------------------------------------------------------- programs

/// A cluster of four nodes with two validators, and what runs in its directory.
struct Site {
    dir: tempfile::TempDir,
    lock: Lock,
    api: Api,
}

impl Site {
    fn new() -> Site {
        let dir = tempfile::tempdir().unwrap();
        let args = [
            "create",
            "cluster",
            "--network=hoodi",
            "--insecure-keys",
            "--nodes=4",
            "--num-validators=2",
            "--fee-recipient-addresses",
            FEE,
            "--withdrawal-addresses",
            WITHDRAWAL,
            "--cluster-dir=c",
        ];
        run(&mut program(dir.path(), None, &args)).ok();
        let lock = Lock::parse(&fs::read(dir.path().join("c/node0/cluster-lock.json")).unwrap()).unwrap();
        let api = Api::start(&lock);
        Site { dir, lock, api }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn key(&self, validator: usize) -> String {
        hex_of(&self.lock.validators[validator].public_key)
    }

    /// `deposit …` of a node, by share index.
    fn deposit(&self, charon: Option<&Path>, node: usize, more: &[&str]) -> Ran {
        let dir = format!("c/node{}", node - 1);
        let flags = [
            format!("--lock-file={dir}/cluster-lock.json"),
            format!("--private-key-file={dir}/charon-enr-private-key"),
            format!("--validator-keys-dir={dir}/validator_keys"),
            format!("--publish-address={}", self.api.address),
        ];
        let mut args = vec!["deposit"];
        args.extend(more);
        args.extend(flags.iter().map(String::as_str));
        run(&mut program(self.dir.path(), charon, &args))
    }

    fn sign(&self, node: usize, more: &[&str]) -> Ran {
        let key = format!("--validator-public-keys={}", self.key(0));
        let to = format!("--withdrawal-addresses={FEE}");
        self.deposit(None, node, &[&["sign", &key, &to], more].concat())
    }

    fn fetch(&self, dir: &str) -> Ran {
        let key = format!("--validator-public-keys={}", self.key(0));
        self.deposit(None, 4, &["fetch", &key, &format!("--deposit-data-dir={dir}")])
    }

    /// Files of a directory with their modes and texts.
    fn files(&self, dir: &str) -> BTreeMap<String, (u32, String)> {
        let entries = fs::read_dir(self.path(dir)).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
                let text = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().to_string_lossy().into_owned(), (mode, text))
            })
            .collect()
    }
}

fn program(dir: &Path, charon: Option<&Path>, args: &[&str]) -> Command {
    let mut command = match charon {
        Some(charon) => Command::new(charon),
        None => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_coxswain"));
            command.arg("dv");
            command
        }
    };
    command.args(args).current_dir(dir).env_clear().env("HOME", dir);
    command
}

// ----------------------------------------------------------------------------------------------------------- tests

#[test]
fn what_enough_nodes_sign_is_fetched_as_files() {
    let site = Site::new();
    let signed = site.sign(1, &["--deposit-amounts=8,24,8"]).ok();
    assert!(
        signed.stdout.contains("Signed as node 1 of 4, and sent to http://127.0.0.1"),
        "{}",
        signed.stdout
    );
    assert!(
        signed.stdout.contains(&format!("24 ETH to {FEE} (0x01: rewards are paid out)")),
        "{}",
        signed.stdout
    );
    let (method, path, content, body) = site.api.take().remove(0);
    let lock_hash = hex_of(&site.lock.lock_hash);
    assert_eq!(path, format!("/deposit_data/partial_deposits/{lock_hash}/1"));
    assert_eq!((method.as_str(), content.as_str()), ("POST", "application/json"));
    let body: Json = serde_json::from_str(&body).unwrap();
    let amounts: Vec<&Json> =
        body["partial_deposit_data"].as_array().unwrap().iter().map(|deposit| &deposit["amount"]).collect();
    assert_eq!(amounts, ["8000000000", "24000000000"], "each amount once");
    assert_eq!(body["partial_deposit_data"][1]["withdrawal_credentials"], CREDENTIALS);

    // What is there already is fine.
    let again = site.sign(1, &["--deposit-amounts=8,24"]).ok();
    assert!(again.stdout.contains("already there at"), "{}", again.stdout);
    site.sign(3, &["--deposit-amounts=24,8", "--json"]).ok();
    let early = site.fetch("out").expect(1);
    assert!(
        early.stderr.contains("3 must sign, 2 have signed 24000000000 gwei, 2 have signed 8000000000 gwei"),
        "{}",
        early.stderr
    );
    assert!(!site.path("out").exists());
    let to_credentials = format!("--withdrawal-addresses={CREDENTIALS}");
    site.sign(4, &["--deposit-amounts=8,24,1", &to_credentials, "--withdrawal-addresses="]).expect(1);
    let keys = format!("--validator-public-keys={}", site.key(0)[2..].to_uppercase());
    site.deposit(None, 4, &["sign", &keys, &to_credentials, "--deposit-amounts=8,24,1"]).ok();
    let whole = site.fetch("out").ok();
    assert!(
        whole.stderr.contains("warning: 0x") && whole.stderr.contains("1000000000 gwei: 1 of 3"),
        "{}",
        whole.stderr
    );
    let files = site.files("out");
    assert_eq!(files.keys().collect::<Vec<_>>(), ["deposit-data-24eth.json", "deposit-data-8eth.json"]);
    assert!(files.values().all(|(mode, _)| *mode == 0o444));
    let verified = run(&mut program(
        site.dir.path(),
        None,
        &["verify", "out/deposit-data-24eth.json", "out/deposit-data-8eth.json"],
    ));
    assert_eq!(verified.ok().stdout.lines().count(), 2);
    let file: Json = serde_json::from_str(&files["deposit-data-8eth.json"].1).unwrap();
    assert_eq!(file[0]["withdrawal_credentials"], CREDENTIALS[2..]);

    // Nothing is replaced.
    let again = site.fetch("out").expect(1);
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    assert_eq!(site.files("out"), files);
    let in_default = site.deposit(None, 4, &["fetch", &keys, "--json"]).ok();
    let told: Json = serde_json::from_str(&in_default.stdout).unwrap();
    let dir = told["dir"].as_str().unwrap();
    assert!(dir.starts_with("./.charon/deposit-data-20") && site.path(dir).is_dir(), "{dir}");
    assert_eq!(told["deposits"].as_array().unwrap().len(), 2);
    assert_eq!(told["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_not_meant_is_refused_before_anything_is_sent() {
    let site = Site::new();
    let (first, second) = (site.key(0), site.key(1));
    let (key, to) = (format!("--validator-public-keys={first}"), format!("--withdrawal-addresses={FEE}"));
    let both = format!("--validator-public-keys={first},{second}");
    let twice = format!("--validator-public-keys={first},{}", &first[2..]);
    let foreign = format!("--validator-public-keys=0x{}", "b9".repeat(48));
    let lower = format!("--withdrawal-addresses={}", FEE.to_lowercase());
    let kind = format!("--withdrawal-addresses={}", CREDENTIALS.replacen("0x01", "0x00", 1));
    let three = format!("--withdrawal-addresses={FEE},{FEE},{FEE}");
    for (args, part) in [
        (vec![key.as_str()], "--withdrawal-addresses is needed"),
        (vec![&to], "--validator-public-keys is needed"),
        (vec![&key, &lower], FEE),
        (vec![&key, &kind], "credentials of another kind"),
        (vec![&key, "--withdrawal-addresses=0xabc"], "is neither an address"),
        (vec![&both, &three], "there are 3 for 2 validators"),
        (vec![&twice, &to], "it is given twice"),
        (vec![&foreign, &to], "it is the key of no validator"),
        (vec!["--validator-public-keys=0xb9", &to], "it is no public key"),
        (
            vec![&key, &to, "--deposit-amounts=33"],
            "33000000000 gwei is not between 1000000000 and 32000000000",
        ),
        (vec![&key, &to, "--deposit-amounts=0"], "is not between"),
        (vec![&key, &to, "--deposit-amounts=18446744073709551615"], "is too much"),
        (vec![&key, &to, "--deposit-amounts=1.5"], "whole number"),
        (vec![&key, &to, "--publish-address=ftp://x"], "http"),
        (
            vec![&key, &to, "--private-key-file=c/node1/charon-enr-private-key"],
            "is the share of node 1, and the key is that of node 2",
        ),
        (vec![&key, &to, "--validator-keys-dir=c/node2"], "no keystore"),
        (vec![&key, &to, "--lock-file=c/node0/deposit-data.json"], "deposit-data.json"),
        (vec![&key, &to, "--lock-file=missing"], "missing"),
    ] {
        let mut args = args;
        args.insert(0, "sign");
        // Of a flag that is given twice the last counts for texts, and lists are joined: those given here come first.
        let dir = "c/node0";
        let defaults = [
            format!("--lock-file={dir}/cluster-lock.json"),
            format!("--private-key-file={dir}/charon-enr-private-key"),
            format!("--validator-keys-dir={dir}/validator_keys"),
            format!("--publish-address={}", site.api.address),
        ];
        let mut all = vec!["deposit", "sign"];
        all.extend(defaults.iter().map(String::as_str));
        all.extend(&args[1..]);
        let ran = run(&mut program(site.dir.path(), None, &all));
        assert!(ran.code == 1 && ran.stderr.contains(part), "{args:?}: {ran:?}");
    }
    assert_eq!(site.api.take(), []);
    // Keystores of some validators are enough where that is said.
    for file in ["keystore-insecure-0.json", "keystore-insecure-0.txt"] {
        fs::remove_file(site.path("c/node0/validator_keys").join(file)).unwrap();
    }
    let of_second = format!("--validator-public-keys={second}");
    let without = site.deposit(None, 1, &["sign", &of_second, &to]).expect(1);
    assert!(without.stderr.contains("opening keystores"), "{}", without.stderr);
    let gone = site.deposit(None, 1, &["sign", &key, &to, "--allow-incomplete-keystores"]).expect(1);
    assert!(
        gone.stderr.contains(&format!("this node has no key of the validator {first}")),
        "{}",
        gone.stderr
    );
    assert_eq!(site.api.take(), []);
    site.deposit(None, 1, &["sign", &of_second, &to, "--allow-incomplete-keystores"]).ok();
    assert_eq!(site.api.take().len(), 1);
}

#[test]
fn answers_are_not_trusted() {
    let site = Site::new();
    let nothing = site.fetch("out").expect(1);
    assert!(nothing.stderr.contains("the API has no partial deposit of the validator"), "{}", nothing.stderr);
    for node in 1..=4 {
        site.sign(node, &["--deposit-amounts=32,1"]).ok();
    }
    let refused = |part: &str| {
        let ran = site.fetch("out").expect(1);
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
        assert!(!site.path("out").exists(), "{part}");
    };
    site.api.change(|all| {
        let copy = all["amounts"][0]["partials"][0].clone();
        all["amounts"][0]["partials"].as_array_mut().unwrap().push(copy);
    });
    refused("there are two partial signatures of node 4 for 1000000000 gwei");
    site.api.change(|all| all["withdrawal_credentials"] = CREDENTIALS.replacen("0x01", "0x02", 1).into());
    refused("no deposit has been signed by enough nodes yet: 3 must sign, 0 have signed");
    site.api.change(|all| all["pubkey"] = "0x00".into());
    refused("the answer is about the validator 0x00");
    site.api.change(|all| all["amounts"] = json!([{"amount": 1}]));
    refused("amounts[0].amount: expected digits in quotes");
    site.api.change(|all| all["amounts"] = Json::Null);
    refused("no deposit has been signed by enough nodes yet");
    // One bad signature of four does not keep the deposit from three that are right.
    site.api.change(|all| {
        let other = all["amounts"][1]["partials"][0]["partial_deposit_signature"].clone();
        all["amounts"][0]["partials"][0]["partial_deposit_signature"] = other;
    });
    let told = site.fetch("bad").ok();
    assert!(
        told.stderr.contains("1000000000 gwei: the signature of node 4 is of another deposit"),
        "{}",
        told.stderr
    );
    site.api.change(|_| ());
    site.fetch("right").ok();
    assert_eq!(site.files("bad"), site.files("right"));

    for (status, body, part) in [
        (500, "out of order", "the answer is 500: out of order"),
        (200, "<html>", "it is no JSON"),
        (200, &*"x".repeat(3 << 20), "larger than 2097152 bytes"),
        (403, "", "the answer is 403"),
    ] {
        site.api.instead(status, body);
        refused(part);
        if status != 200 {
            let ran = site.sign(1, &[]).expect(1);
            assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
        }
    }
    // No server.
    let nowhere = [
        "fetch",
        &format!("--validator-public-keys={}", site.key(0)),
        "--deposit-data-dir=out",
        "--publish-timeout=2s",
    ];
    let mut args = vec!["deposit"];
    args.extend(nowhere);
    args.extend(["--lock-file=c/node0/cluster-lock.json", "--publish-address=http://127.0.0.1:1"]);
    let ran = run(&mut program(site.dir.path(), None, &args)).expect(1);
    assert!(ran.stderr.contains("no connection") && !site.path("out").exists(), "{}", ran.stderr);
}

/// With the real program beside ours: the same requests, the same files, and each takes what the other sent.
#[test]
fn charon_sends_and_writes_the_same() {
    let Some(charon) = std::env::var_os("CHARON_BIN").map(PathBuf::from) else {
        println!("skipped: CHARON_BIN does not name a charon");
        return;
    };
    let site = Site::new();
    let keys = format!("--validator-public-keys={},{}", site.key(1), site.key(0));
    let compounding = CREDENTIALS.replacen("0x01", "0x02", 1);
    let both = format!("--withdrawal-addresses={CREDENTIALS},{compounding}");
    let sign = ["sign", &keys, &both, "--deposit-amounts=32,1,7"];
    for node in 1..=4 {
        site.api.forget();
        site.deposit(None, node, &sign).ok();
        let ours = site.api.take();
        site.api.forget();
        site.deposit(Some(&charon), node, &sign).ok();
        assert_eq!(ours, site.api.take(), "node {node}");
        assert_eq!(ours.len(), 1);
    }
    site.api.forget();
    for (node, by) in [(1, None), (2, Some(&charon)), (4, None)] {
        site.deposit(by.map(PathBuf::as_path), node, &sign).ok();
    }
    site.api.take();
    site.deposit(None, 3, &["fetch", &keys, "--deposit-data-dir=ours"]).ok();
    let ours = site.api.take();
    site.deposit(Some(&charon), 3, &["fetch", &keys, "--deposit-data-dir=theirs"]).ok();
    assert_eq!(ours, site.api.take());
    assert_eq!(ours.len(), 2);
    let files = site.files("ours");
    assert_eq!(files.len(), 3);
    assert_eq!(files, site.files("theirs"));
}
