//! `coxswain dv api` as a process: what it takes, what it refuses, and what it still has after a crash.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it was skipped, and fails where something is not as it made it"
)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use support::ports::free_port;
use support::{Ran, coxswain, program, run};

const ADDRESS: &str = "0x388C818CA8B9251b393131C08a736A67ccB19297";
/// How long a ceremony may take here.
const CEREMONY: Duration = Duration::from_secs(240);

/// A service in a directory; killed with the value.
struct Api {
    process: Child,
    at: String,
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Api {
    /// Returns when it says where it is.
    fn start(dir: &Path, more: &[&str]) -> Api {
        let args = ["dv", "api", "--json", "--http-address=127.0.0.1:0", "--data-dir=kept"];
        let mut process = coxswain(dir, &args)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["event"], "ready");
        Api { process, at: ready["http_address"].as_str().unwrap().to_owned() }
    }

    fn base(&self) -> String {
        format!("http://{}/v1", self.at)
    }

    /// Status and body of an answer.
    fn ask(&self, head: &str, headers: &[String], body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let mut request = format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for header in headers {
            request += &format!("{header}\r\n");
        }
        stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        assert!(
            head.contains("content-type: application/json") || head.contains("content-length: 0"),
            "{head}"
        );
        (head.split(' ').nth(1).unwrap().parse().unwrap(), answer[end + 4..].to_vec())
    }

    fn get(&self, path: &str) -> (u16, Json) {
        let (status, body) = self.ask(&format!("GET {path}"), &[], &[]);
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn post(&self, path: &str, bearer: Option<&str>, body: &[u8]) -> (u16, Json) {
        let mut headers = vec![format!("Content-Length: {}", body.len())];
        headers.extend(bearer.map(|text| format!("Authorization: Bearer {text}")));
        let (status, body) = self.ask(&format!("POST {path}"), &headers, body);
        (status, serde_json::from_slice(&body).unwrap_or(Json::Null))
    }
}

fn vectors(file: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("COXSWAIN_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from);
    let path = folder.join("charon/runs").join(file);
    let found = fs::read(&path).ok();
    if found.is_none() {
        println!("skipped: {} is not here", path.display());
    }
    found
}

fn names(dir: &Path) -> Vec<String> {
    let names =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.collect()
}

/// Four nodes and their records.
fn nodes(create: &dyn Fn(&[&str]) -> Command) -> (Vec<String>, String) {
    let nodes: Vec<String> = (0..4).map(|n| format!("node{n}")).collect();
    let records: Vec<String> = nodes
        .iter()
        .map(|node| {
            run(&mut create(&["create", "enr", "--data-dir", node])).ok();
            run(&mut create(&["enr", "--data-dir", node])).ok().stdout.trim().to_owned()
        })
        .collect();
    (nodes, records.join(","))
}

fn create_dkg_args(operators: &str, base: &str) -> Vec<String> {
    let fixed = ["create", "dkg", "--publish", "--network=hoodi", "--name=api"].map(str::to_owned);
    let given = [
        operators.to_owned(),
        format!("--publish-address={base}"),
        format!("--fee-recipient-addresses={ADDRESS}"),
        format!("--withdrawal-addresses={ADDRESS}"),
    ];
    fixed.into_iter().chain(given).collect()
}

/// Publishes a definition of ours; gives back its path on the service.
fn publish_definition(dir: &Path, api: &Api) -> String {
    let ours = |args: &[&str]| coxswain(dir, &[&["dv"], args].concat());
    let (_, records) = nodes(&ours);
    let args = create_dkg_args(&format!("--operator-enrs={records}"), &api.base());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = run(ours(&args).arg("--json")).ok();
    let told: Json = serde_json::from_str(&ran.stdout).unwrap();
    format!("/v1/definition/{}", told["config_hash"].as_str().unwrap())
}

fn create_cluster(dir: &Path, api: &Api) -> Ran {
    let args =
        ["dv", "create", "cluster", "--nodes=4", "--num-validators=2", "--network=hoodi", "--name=api"];
    let more = [
        format!("--fee-recipient-addresses={ADDRESS}"),
        format!("--withdrawal-addresses={ADDRESS}"),
        "--insecure-keys".to_owned(),
        "--publish".to_owned(),
        format!("--publish-address={}", api.base()),
        "--cluster-dir=cluster".to_owned(),
    ];
    run(coxswain(dir, &args).args(more)).ok()
}

// -------------------------------------------------------------------------------------------------- definitions

#[test]
fn a_definition_is_kept_once_and_given_to_everybody() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path(), &[]);
    let path = publish_definition(dir.path(), &api);
    let (status, kept) = api.get(&path);
    assert_eq!(status, 200);
    let name = format!("{}.json", path.rsplit("0x").next().unwrap());
    let file = dir.path().join("kept/definitions").join(&name);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o444);
    let checked = run(&mut coxswain(dir.path(), &["dv", "verify", file.to_str().unwrap()])).ok();
    assert!(checked.stdout.contains("definition of a cluster"), "{}", checked.stdout);
    let (status, upper) =
        api.get(&format!("/v1/definition/0x{}", path.rsplit("0x").next().unwrap().to_uppercase()));
    assert_eq!((status, &upper), (200, &kept));
    let signature = kept["creator"]["config_signature"].as_str().unwrap().to_owned();
    let again = api.post("/v1/definition", Some(&signature), kept.to_string().as_bytes());
    assert_eq!(
        (again.0, again.1["message"].as_str()),
        (409, Some("a definition of this hash is there already"))
    );
}

#[test]
fn what_is_not_signed_by_its_creator_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path(), &[]);
    let path = publish_definition(dir.path(), &api);
    let (_, kept) = api.get(&path);
    drop(api);
    fs::remove_dir_all(dir.path().join("kept")).unwrap();
    let api = Api::start(dir.path(), &[]);
    let signature = kept["creator"]["config_signature"].as_str().unwrap().to_owned();
    let post = |bearer: Option<&str>, change: &dyn Fn(&mut Json)| {
        let mut body = kept.clone();
        change(&mut body);
        let (status, answer) = api.post("/v1/definition", bearer, body.to_string().as_bytes());
        (status, answer["message"].as_str().unwrap_or_default().to_owned())
    };
    let check = |bearer: Option<&str>, change: &dyn Fn(&mut Json), status: u16, message: &str| {
        let found = post(bearer, change);
        assert!(found.0 == status && found.1.contains(message), "{found:?}, not {status} {message}");
    };
    let other = format!("{}00", &signature[..signature.len() - 4]) + "1b";
    check(None, &|_| {}, 401, "nobody has signed");
    check(Some("0xzz"), &|_| {}, 401, "cannot be read");
    check(Some(&other), &|_| {}, 401, "not that of the definition's creator");
    check(Some(&signature), &|body| body["name"] = json!("other"), 400, "config_hash");
    check(Some(&signature), &|body| body["operators"][0]["enr"] = json!("enr:-x"), 400, "");
    check(Some(&signature), &|body| body["creator"]["address"] = json!(ADDRESS), 400, "");
    check(Some(&signature), &|body| body["version"] = json!("v9.9.9"), 400, "version");
    for body in [&b"{"[..], b"", b"[]", b"null", &[0xff; 100]] {
        assert_eq!(api.post("/v1/definition", Some(&signature), body).0, 400);
    }
    assert_eq!(names(&dir.path().join("kept/definitions")), [""; 0]);
    assert_eq!(post(Some(&signature), &|_| {}).0, 201);
}

#[test]
fn requests_of_charon_are_understood() {
    let Some(recorded) = vectors("http/obol_api_requests.json") else { return };
    let recorded: Json = serde_json::from_slice(&recorded).unwrap();
    let requests = recorded.as_array().or_else(|| recorded["requests"].as_array()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path(), &[]);
    let mut seen = 0;
    for request in requests {
        let path = request["path"].as_str().unwrap();
        let expected = match path {
            "/v1/termsAndConditions" => 200,
            "/v1/definition" | "/lock" => 201,
            _ => continue,
        };
        let bearer =
            request["headers"]["Authorization"].as_str().and_then(|text| text.strip_prefix("Bearer "));
        let found = api.post(path, bearer, request["body"].to_string().as_bytes());
        assert_eq!(found.0, expected, "{path}: {}", found.1);
        seen += 1;
    }
    assert_eq!(seen, 3);
    let terms = json!({"address": ADDRESS, "version": 1, "terms_and_conditions_hash": "0x00"});
    assert_eq!(api.post("/v1/termsAndConditions", Some("0x00"), terms.to_string().as_bytes()).0, 400);
}

// -------------------------------------------------------------------------------------------------------- locks

#[test]
fn a_lock_is_kept_and_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut api = Api::start(dir.path(), &[]);
    create_cluster(dir.path(), &api);
    api.process.kill().unwrap();
    api.process.wait().unwrap();
    let api = Api::start(dir.path(), &[]);
    let lock = fs::read(dir.path().join("cluster/node0/cluster-lock.json")).unwrap();
    let lock: Json = serde_json::from_slice(&lock).unwrap();
    let hash = lock["lock_hash"].as_str().unwrap();
    for path in [
        format!("/lock/{hash}"),
        format!("/v1/lock/{hash}"),
        format!("/lock/{}/launchpad", hash.to_uppercase().replace("0X", "0x")),
    ] {
        let (status, kept) = api.get(&path);
        assert_eq!((status, &kept["lock_hash"]), (200, &lock["lock_hash"]), "{path}");
        assert_eq!(kept["distributed_validators"], lock["distributed_validators"]);
    }
    assert_eq!(api.post("/lock", None, lock.to_string().as_bytes()).0, 409);
    let other = format!("/lock/0x{}", "00".repeat(32));
    assert_eq!(
        api.get(&other),
        (
            404,
            json!({
                "message": "there is no lock of this hash", "next": "check the hash; it may have been published elsewhere",
            })
        )
    );
}

#[test]
fn locks_of_charon_are_kept_and_altered_ones_are_not() {
    let mut seen = 0;
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path(), &[]);
    for run in [
        "create-v1.11-n4",
        "create-v1.10-n4",
        "dkg-v1.11-n4-frost",
        "dkg-v1.11-n4-pedersen",
        "dkg-v1.10-n4-frost",
    ] {
        let Some(text) = vectors(&format!("{run}/node0/cluster-lock.json")) else { return };
        let lock: Json = serde_json::from_slice(&text).unwrap();
        for (pointer, value) in [
            ("/signature_aggregate", json!("")),
            (
                "/signature_aggregate",
                lock["distributed_validators"][0]["builder_registration"]["signature"].clone(),
            ),
            ("/node_signatures", json!([])),
            ("/cluster_definition/name", json!("other")),
            ("/lock_hash", json!(format!("0x{}", "00".repeat(32)))),
        ] {
            let mut altered = lock.clone();
            *altered.pointer_mut(pointer).unwrap() = value;
            let found = api.post("/lock", None, altered.to_string().as_bytes());
            assert_eq!(found.0, 400, "{run} {pointer}: {}", found.1);
        }
        let found = api.post("/lock", None, &text);
        assert_eq!((found.0, &found.1["lock_hash"]), (201, &lock["lock_hash"]), "{run}");
        seen += 1;
    }
    assert_eq!((seen, names(&dir.path().join("kept/locks")).len()), (5, 5));
}

// ------------------------------------------------------------------------------------------------------- limits

#[test]
fn what_is_too_large_or_too_much_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path(), &["--max-size-mb=0"]);
    let signature = "Authorization: Bearer 0x00".to_owned();
    for (path, length) in
        [("/v1/definition", (16 << 20) + 1), ("/lock", (64 << 20) + 1), ("/v1/termsAndConditions", 20_000)]
    {
        let length = format!("Content-Length: {length}");
        // Refused by what is announced: nothing of it is sent.
        let (status, answer) = api.ask(&format!("POST {path}"), &[length, signature.clone()], &[]);
        assert_eq!(status, 413, "{path}: {}", String::from_utf8_lossy(&answer));
    }
    let chunked = "Transfer-Encoding: chunked".to_owned();
    let body = format!("{:x}\r\n{}\r\n0\r\n\r\n", 20_000, "a".repeat(20_000));
    let (status, _) = api.ask("POST /v1/termsAndConditions", &[chunked, signature], body.as_bytes());
    assert_eq!(status, 413);
    if let Some(lock) = vectors("create-v1.11-n4/node0/cluster-lock.json") {
        let (status, answer) = api.post("/lock", None, &lock);
        assert!(status == 507 && answer["next"].as_str().unwrap().contains("--max-size-mb"), "{answer}");
        assert_eq!(names(&dir.path().join("kept/locks")), [""; 0]);
    }
    for (head, expected) in
        [("GET /", 404), ("GET /v1/definition", 404), ("DELETE /lock/0x00", 404), ("GET /lock/0x00", 400)]
    {
        let (status, body) = api.ask(head, &[], &[]);
        let body: Json = serde_json::from_slice(&body).unwrap();
        assert!(status == expected && body["next"].is_string(), "{head}: {status} {body}");
    }
    let start = Instant::now();
    let refused = (0..400).find(|_| api.post("/lock", None, b"{").0 == 429);
    assert!(refused.is_some(), "400 writes within {:?}", start.elapsed());
    // Reading goes on.
    assert_eq!(api.get(&format!("/lock/0x{}", "00".repeat(32))).0, 404);
}

#[test]
fn a_directory_has_one_service_which_ends_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut api = Api::start(dir.path(), &[]);
    let second = ["dv", "api", "--http-address=127.0.0.1:0", "--data-dir=kept"];
    let ran = run(&mut coxswain(dir.path(), &second)).expect(1);
    assert!(ran.stderr.contains("another process serves this directory"), "{}", ran.stderr);
    let ran = run(&mut coxswain(dir.path(), &["dv", "api", "--data-dir=other", "--http-address", &api.at]))
        .expect(1);
    assert!(ran.stderr.contains("choose another --http-address"), "{}", ran.stderr);
    let pid = Pid::from_raw(i32::try_from(api.process.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(api.process.wait().unwrap().code(), Some(0));
}

// ------------------------------------------------------------------------------------------------------- charon

/// Nodes of charon fetch a definition that charon published here, hold their ceremony through our relay, and publish.
#[test]
fn charon_publishes_fetches_and_publishes_again() {
    let Some(charon) = std::env::var_os("CHARON_BIN").map(PathBuf::from) else {
        println!("skipped: CHARON_BIN names no charon");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path(), &[]);
    let theirs = |args: &[&str]| program(&charon, dir.path(), args);
    let (nodes, records) = nodes(&theirs);
    let args = create_dkg_args(&format!("--operator-enrs={records}"), &api.base());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    run(&mut theirs(&args)).ok();
    let kept = names(&dir.path().join("kept/definitions"));
    assert_eq!(kept.len(), 1);
    let definition = format!("{}/definition/0x{}", api.base(), kept[0].trim_end_matches(".json"));
    let (relay, relays) = relay(dir.path());
    let children: Vec<Child> = nodes
        .iter()
        .map(|node| {
            let log = fs::File::create(dir.path().join(format!("{node}.log"))).unwrap();
            theirs(&["dkg", "--shutdown-delay=1s", "--publish", "--data-dir", node])
                .args([format!("--definition-file={definition}"), format!("--p2p-relays={relays}")])
                .arg(format!("--publish-address={}", api.base()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap()
        })
        .collect();
    wait_for(children, &|n| fs::read_to_string(dir.path().join(format!("node{n}.log"))).unwrap());
    drop(relay);
    let lock: Json =
        serde_json::from_slice(&fs::read(dir.path().join("node0/cluster-lock.json")).unwrap()).unwrap();
    let (status, kept) = api.get(&format!("/lock/{}", lock["lock_hash"].as_str().unwrap()));
    assert_eq!((status, &kept["signature_aggregate"]), (200, &lock["signature_aggregate"]));
    assert_eq!(names(&dir.path().join("kept/locks")).len(), 1);
}

fn wait_for(mut children: Vec<Child>, log: &dyn Fn(usize) -> String) {
    let start = Instant::now();
    for n in 0..children.len() {
        let code = loop {
            if let Some(status) = children[n].try_wait().unwrap() {
                break status.code();
            }
            if start.elapsed() > CEREMONY {
                for child in &mut children {
                    let _ = child.kill();
                    let _ = child.wait();
                }
                panic!("the ceremony does not end\n{}", log(n));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(code, Some(0), "{}", log(n));
    }
}

/// A relay of ours, and what nodes are given of it.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn relay(dir: &Path) -> (Relay, String) {
    let free = || format!("127.0.0.1:{}", free_port());
    let (http, p2p) = (free(), free());
    let mut process =
        coxswain(dir, &["dv", "relay", "--p2p-advertise-private-addresses", "--data-dir=relay"])
            .args(["--http-address", &http, "--p2p-tcp-address", &p2p, "--log-color=disable"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("the relay is ready") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the relay ended");
    }
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (Relay(process), format!("http://{http}"))
}
