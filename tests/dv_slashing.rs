//! `coxswain dv slashing …` as processes: what was signed is shown, exported, imported and pruned; what does not belong to
//! the node is refused; a node that runs, a kill and a full disk lose nothing.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it was skipped, and fails where something is not as it made it"
)]

mod support;

use std::fs::{self, File};
use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coxswain_dv_types::cluster::Lock;
use serde_json::{Value as Json, json};
use support::ports::free_port;
use support::{Ran, coxswain, run};

/// The chain of the clusters here, which have the network hoodi.
const ROOT: &str = "0x212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f";
/// Nothing here takes as long, however loaded the machine is.
const LIMIT: Duration = Duration::from_secs(120);

struct Cluster {
    dir: tempfile::TempDir,
}

impl Cluster {
    fn new() -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let address = "0x0000000000000000000000000000000000000001";
        let args = [
            "dv",
            "create",
            "cluster",
            "--name=history",
            "--network=hoodi",
            "--insecure-keys",
            "--cluster-dir=.",
            "--nodes=4",
            "--num-validators=2",
            "--withdrawal-addresses",
            address,
            "--fee-recipient-addresses",
            address,
        ];
        run(&mut coxswain(dir.path(), &args)).ok();
        Cluster { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn lock(&self) -> Lock {
        Lock::parse(&fs::read(self.path().join("node0/cluster-lock.json")).unwrap()).unwrap()
    }

    fn group(&self, validator: usize) -> String {
        format!("0x{}", hex::encode(&*self.lock().validators[validator].public_key))
    }

    fn share(&self, validator: usize, node: usize) -> String {
        format!("0x{}", hex::encode(&*self.lock().validators[validator].public_shares[node]))
    }

    fn store(&self, node: usize) -> PathBuf {
        self.path().join(format!("node{node}/coxswain/slashing.redb"))
    }

    fn command(&self, node: usize, action: &str, more: &[&str]) -> Command {
        let lock = format!("--lock-file=node{node}/cluster-lock.json");
        let key = format!("--private-key-file=node{node}/charon-enr-private-key");
        coxswain(self.path(), &[&["dv", "slashing", action, &lock, &key], more].concat())
    }

    fn slashing(&self, node: usize, action: &str, more: &[&str]) -> Ran {
        run(&mut self.command(node, action, more))
    }

    /// What `show` says of a validator.
    fn shown(&self, node: usize, validator: usize) -> Json {
        let ran = self.slashing(node, "show", &["--json"]).ok();
        let shown: Json = serde_json::from_str(&ran.stdout).unwrap();
        let all = shown["validators"].as_array().unwrap();
        all.iter().find(|one| one["position"] == validator).unwrap().clone()
    }

    fn write(&self, name: &str, history: &Json) {
        fs::write(self.path().join(name), history.to_string()).unwrap();
    }

    fn read(&self, name: &str) -> Json {
        serde_json::from_slice(&fs::read(self.path().join(name)).unwrap()).unwrap()
    }
}

fn history(root: &str, data: &[Json]) -> Json {
    json!({ "metadata": { "interchange_format_version": "5", "genesis_validators_root": root }, "data": data })
}

fn entry(key: &str, slot: u64, votes: &[(u64, u64)]) -> Json {
    let votes: Vec<Json> = votes
        .iter()
        .map(|(source, target)| json!({ "source_epoch": source.to_string(), "target_epoch": target.to_string() }))
        .collect();
    json!({
        "pubkey": key, "signed_attestations": votes,
        "signed_blocks": [{ "slot": slot.to_string(), "signing_root": format!("0x{}", "ab".repeat(32)) }],
    })
}

#[track_caller]
fn says(ran: &Ran, parts: &[&str]) {
    for part in parts {
        assert!(ran.stderr.contains(part), "{part:?} is not in\n{}", ran.stderr);
    }
}

#[test]
fn a_history_goes_from_node_to_node() {
    let cluster = Cluster::new();
    // By either of its names.
    let data = [entry(&cluster.group(0), 70, &[(1, 2), (2, 3)]), entry(&cluster.share(1, 0), 80, &[(4, 5)])];
    cluster.write("in.json", &history(ROOT, &data));
    let ran = cluster.slashing(0, "import", &["in.json", "--json"]).ok();
    let report: Json = serde_json::from_str(&ran.stdout).unwrap();
    let taken = report["taken"].as_array().unwrap();
    let of = |key: String| taken.iter().find(|one| one["key"] == key.as_str()).unwrap();
    let first = of(cluster.group(0));
    assert_eq!(
        (&first["key_of"], &first["blocks"], &first["attestations"]),
        (&json!("group"), &json!(1), &json!(2))
    );
    let second = of(cluster.share(1, 0));
    assert_eq!((&second["key_of"], &second["validator"]), (&json!("share"), &json!(cluster.group(1))));
    assert_eq!((&second["highest_slot"], &second["highest_target_epoch"]), (&json!(80), &json!(5)));

    let one = cluster.shown(0, 0);
    assert_eq!(one["validator"], cluster.group(0).as_str());
    assert_eq!(one["share_keys"], json!([cluster.share(0, 0)]));
    for signer in ["share", "group"] {
        let ledger = &one[signer];
        assert_eq!((&ledger["last_block_slot"], &ledger["no_block_to_slot"]), (&json!(70), &json!(70)));
        assert_eq!((&ledger["last_source_epoch"], &ledger["last_target_epoch"]), (&json!(2), &json!(3)));
        assert_eq!((&ledger["no_source_below_epoch"], &ledger["no_target_to_epoch"]), (&json!(2), &json!(3)));
    }
    let text = cluster.slashing(0, "show", &[]).ok().stdout;
    assert!(
        text.contains("2 → 3") && text.contains(&cluster.group(0)[..18]) && text.contains(ROOT),
        "{text}"
    );

    // An older file is replaced, as a whole, and nobody else may read it.
    fs::write(cluster.path().join("out.json"), "old").unwrap();
    cluster.slashing(0, "export", &["out.json"]).ok();
    let mode = fs::metadata(cluster.path().join("out.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let out = cluster.read("out.json");
    assert_eq!(out["metadata"]["genesis_validators_root"], ROOT);
    cluster.slashing(1, "import", &["out.json"]).ok();
    cluster.slashing(1, "export", &["again.json"]).ok();
    assert_eq!(cluster.read("again.json"), out);

    cluster.slashing(0, "export", &["shares.json", "--share-keys"]).ok();
    let shares = cluster.read("shares.json");
    let mut keys: Vec<&str> =
        shares["data"].as_array().unwrap().iter().map(|entry| entry["pubkey"].as_str().unwrap()).collect();
    keys.sort_unstable();
    let mut expected = [cluster.share(0, 0), cluster.share(1, 0)];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    // They are names of one node only.
    let ran = cluster.slashing(2, "import", &["shares.json"]).expect(1);
    says(&ran, &["of no validator of this cluster and of no share of this node", "nothing was imported"]);
}

#[test]
fn what_is_old_is_forgotten_and_not_signed_again() {
    let cluster = Cluster::new();
    cluster.write("in.json", &history(ROOT, &[entry(&cluster.group(0), 70, &[(1, 2), (2, 3)])]));
    cluster.slashing(0, "import", &["in.json"]).ok();
    let ran = cluster.slashing(0, "prune", &["--json"]).ok();
    let report: Json = serde_json::from_str(&ran.stdout).unwrap();
    // In both ledgers.
    assert_eq!((&report["blocks"], &report["attestations"]), (&json!(2), &json!(4)), "{report}");
    let ledger = &cluster.shown(0, 0)["share"];
    assert_eq!((&ledger["blocks"], &ledger["attestations"]), (&json!(0), &json!(0)));
    assert_eq!((&ledger["no_block_to_slot"], &ledger["no_target_to_epoch"]), (&json!(70), &json!(3)));
    let ran = cluster.slashing(0, "prune", &[]).ok();
    assert!(ran.stdout.starts_with("forgot 0 blocks"), "{}", ran.stdout);
}

/// A key that signed nothing as far as its file says is free at once; one of which nothing is known is not.
#[test]
fn keys_without_a_history_are_not_said_to_have_signed_nothing() {
    let cluster = Cluster::new();
    let empty = json!({ "pubkey": cluster.group(0), "signed_blocks": [], "signed_attestations": [] });
    cluster.write("in.json", &history(ROOT, &[empty]));
    let ran = cluster.slashing(0, "import", &["in.json"]).ok();
    says(&ran, &["has no record of", &cluster.group(0), "never signed anything"]);
    let ran = cluster.slashing(0, "export", &["out.json"]).ok();
    says(&ran, &[&cluster.group(1), "is left out: nothing is known"]);
    let out = cluster.read("out.json");
    let keys: Vec<&Json> = out["data"].as_array().unwrap().iter().map(|entry| &entry["pubkey"]).collect();
    assert_eq!(keys, [&json!(cluster.group(0))]);
}

#[test]
fn what_is_not_this_nodes_is_refused() {
    let cluster = Cluster::new();
    for action in ["show", "prune"] {
        says(&cluster.slashing(0, action, &[]).expect(1), &["it is not there", "has signed nothing yet"]);
    }
    let (key, foreign) = (cluster.group(0), format!("0x{}", "8f".repeat(48)));
    let good = entry(&key, 7, &[(1, 2)]);
    let other_root = format!("0x{}", "11".repeat(32));
    let four = history(ROOT, std::slice::from_ref(&good)).to_string().replace(r#""5""#, r#""4""#);
    let cases = [
        ("{".to_owned(), "is no interchange of EIP-3076"),
        (four, "interchange_format_version is \"4\""),
        (
            history(&other_root, std::slice::from_ref(&good)).to_string(),
            "is of the chain with genesis_validators_root 0x1111",
        ),
        (history(ROOT, &[good.clone(), entry(&foreign, 7, &[])]).to_string(), foreign.as_str()),
        (
            history(ROOT, &[entry(&key, 1 << 60, &[])]).to_string(),
            "has signed a block of slot 1152921504606846976",
        ),
        (history(ROOT, &[entry("0x12", 7, &[])]).to_string(), "at data[0].pubkey"),
        (
            history(
                ROOT,
                &[json!({ "pubkey": key, "signed_blocks": [{ "slot": 7 }], "signed_attestations": [] })],
            )
            .to_string(),
            "at data[0].signed_blocks[0].slot",
        ),
    ];
    for (text, part) in &cases {
        fs::write(cluster.path().join("in.json"), text).unwrap();
        says(&cluster.slashing(0, "import", &["in.json"]).expect(1), &[part, "nothing was imported"]);
        if cluster.store(0).exists() {
            assert_eq!(cluster.shown(0, 0)["share"]["started"], false, "{part}");
        }
    }
    says(&cluster.slashing(0, "import", &["none.json"]).expect(1), &["none.json", "No such file"]);

    cluster.write("in.json", &history(ROOT, &[good, entry(&foreign, 7, &[])]));
    let ran = cluster.slashing(0, "import", &["in.json", "--skip-unknown-keys"]).ok();
    says(&ran, &[&foreign, "was left out"]);
    assert_eq!(cluster.shown(0, 0)["share"]["no_block_to_slot"], 7);

    // The key of somebody else's node.
    let other = Cluster::new();
    fs::copy(
        other.path().join("node0/charon-enr-private-key"),
        cluster.path().join("node1/charon-enr-private-key"),
    )
    .unwrap();
    says(&cluster.slashing(1, "show", &[]).expect(1), &["none of the operators of the cluster lock"]);
}

// -------------------------------------------------------------------------------------------------- a node that runs

/// Killed with the value; what it says goes to a file.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Path, name: &str, args: &[&str]) -> Process {
    let file = File::create(dir.join(format!("{name}.log"))).unwrap();
    let mut command = coxswain(dir, args);
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    Process(command.spawn().unwrap())
}

/// Waits until something takes connections.
#[track_caller]
fn wait_for(port: u16, dir: &Path, log: &str) {
    let deadline = Instant::now() + LIMIT;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let said = || fs::read_to_string(dir.join(format!("{log}.log"))).unwrap_or_default();
        assert!(Instant::now() < deadline, "{log} does not listen:\n{}", said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_history_of_a_node_that_runs_is_left_alone() {
    let cluster = Cluster::new();
    let dir = cluster.path();
    let [chain, api, monitoring] = [free_port(), free_port(), free_port()];
    let url = format!("http://127.0.0.1:{chain}");
    let listen = format!("--listen=127.0.0.1:{chain}");
    let simulated =
        ["simnet", "chain", "--lock-file=node0/cluster-lock.json", "--genesis-in=0s", "--slot-duration=2s"];
    let _chain = start(dir, "chain", &[&simulated[..], &[&listen]].concat());
    wait_for(chain, dir, "chain");
    let beacon = format!("--beacon-node-endpoints={url}");
    let (at, look) = (
        format!("--validator-api-address=127.0.0.1:{api}"),
        format!("--monitoring-address=127.0.0.1:{monitoring}"),
    );
    let node = [
        "dv",
        "run",
        "--lock-file=node0/cluster-lock.json",
        "--private-key-file=node0/charon-enr-private-key",
        "--p2p-relays=",
        "--slashing-start=now",
        &beacon,
        &at,
        &look,
    ];
    let mut node = start(dir, "node", &node);
    wait_for(api, dir, "node");

    cluster.write("in.json", &history(ROOT, &[entry(&cluster.group(0), 7, &[])]));
    let named = format!("process {}", node.0.id());
    for (action, more) in
        [("import", &["in.json", &*beacon][..]), ("export", &["out.json"][..]), ("prune", &[&*beacon][..])]
    {
        let ran = cluster.slashing(0, action, more).expect(1);
        says(
            &ran,
            &["making sure that the node does not run", "coxswain dv run", &named, "stop the other node"],
        );
    }
    says(&cluster.slashing(0, "show", &[]).expect(1), &["is open in", &named]);
    assert!(!dir.join("out.json").exists());

    let stop = Command::new("kill").arg(node.0.id().to_string()).status().unwrap();
    assert!(stop.success() && node.0.wait().unwrap().success());
    // It is waited for, as its key is.
    let ran = cluster.slashing(0, "import", &["in.json"]).expect(1);
    // A network of one's own that has hoodi's fork version.
    says(
        &ran,
        &[
            "what was signed is of the chain 0x",
            "the known network with the fork version of the cluster lock is of 0x212f13",
            "--beacon-node-endpoints",
        ],
    );
    assert!(!ran.stderr.contains("none of the known networks"), "{}", ran.stderr);
    let ran = cluster.slashing(0, "import", &["in.json", &beacon]).expect(1);
    says(&ran, &["the interchange is of the chain with genesis_validators_root 0x212f13"]);
    cluster.slashing(0, "export", &["out.json"]).ok();
    let root = cluster.read("out.json")["metadata"]["genesis_validators_root"].as_str().unwrap().to_owned();
    assert_ne!(root, ROOT);
    cluster.write("in.json", &history(&root, &[entry(&cluster.group(0), 0, &[(0, 0)])]));
    cluster.slashing(0, "import", &["in.json", &beacon]).ok();
    assert_eq!(cluster.shown(0, 0)["group"]["no_block_to_slot"], 0);
}

/// Another program with the node's key, which says every moment that it runs, is waited for as one that has just ended,
/// and no longer.
#[test]
fn a_key_that_another_program_uses_is_refused() {
    let cluster = Cluster::new();
    let (path, part) =
        (cluster.path().join("node0/charon-enr-private-key.lock"), cluster.path().join("node0/part"));
    let write = || {
        let claim = json!({ "command": "charon run", "timestamp": jiff::Timestamp::now().to_string() });
        fs::write(&part, claim.to_string()).unwrap();
        fs::rename(&part, &path).unwrap();
    };
    write();
    let mut command = cluster.command(0, "export", &["out.json"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        write();
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "it waits for ever"),
        }
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!status.success() && said.contains("`charon run` uses this key"), "{said}");
}

// ------------------------------------------------------------------------------------------------- kills, full disks

/// A history of many attestations.
fn large(cluster: &Cluster, count: u64) -> Json {
    let votes: Vec<(u64, u64)> = (0..count).map(|epoch| (epoch, epoch + 1)).collect();
    history(ROOT, &[entry(&cluster.group(0), 70, &votes), entry(&cluster.group(1), 80, &votes)])
}

#[test]
fn an_import_that_is_killed_was_done_or_was_not() {
    const MOMENTS: u32 = 4;
    /// So many that an import takes a while.
    const MANY: u64 = 3_000;
    let cluster = Cluster::new();
    cluster.write("in.json", &large(&cluster, MANY));
    let begun = Instant::now();
    cluster.slashing(1, "import", &["in.json"]).ok();
    let whole = begun.elapsed();
    let mut killed = 0;
    for moment in 1..=MOMENTS {
        let _ = fs::remove_dir_all(cluster.store(0).parent().unwrap());
        let mut child = cluster.command(0, "import", &["in.json"]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * moment / (MOMENTS + 1));
        let _ = child.kill();
        killed += u32::from(!child.wait().unwrap().success());
        if cluster.store(0).exists() {
            for validator in 0..2 {
                let one = cluster.shown(0, validator);
                let count = one["share"]["attestations"].as_u64().unwrap();
                assert!(count == 0 || count == MANY, "{count} after {moment} of {MOMENTS}");
                assert_eq!(one["share"]["started"], count == MANY);
            }
        }
        cluster.slashing(0, "import", &["in.json"]).ok();
        assert_eq!(cluster.shown(0, 1)["group"]["attestations"], MANY);
    }
    assert!(killed > 0, "every import was done before it was killed");
}

/// Runs a script with a small disk of its own at `disk`; nothing where the rights to mount are missing.
fn on_a_small_disk(cluster: &Cluster, size: &str, script: &str) -> Option<Ran> {
    fs::create_dir(cluster.path().join("disk")).unwrap();
    let script = format!("mount -t tmpfs -o mode=700,size={size} none disk || exit 99\n{script}");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script, env!("CARGO_BIN_EXE_coxswain")]).current_dir(cluster.path());
    let ran = run(&mut command);
    if ran.code == 99 || ran.stderr.contains("unshare failed") || ran.stderr.contains("unshare: ") {
        println!("skipped: nothing can be mounted here: {}", ran.stderr);
        return None;
    }
    Some(ran)
}

#[test]
fn a_full_disk_leaves_the_former_export() {
    let cluster = Cluster::new();
    cluster.write("in.json", &history(ROOT, &[entry(&cluster.group(0), 70, &[(1, 2)])]));
    cluster.slashing(0, "import", &["in.json"]).ok();
    let script = r#"
        cp in.json disk/out.json
        cat /dev/zero > disk/fill 2> /dev/null
        "$0" dv slashing export --lock-file node0/cluster-lock.json --private-key-file node0/charon-enr-private-key disk/out.json
        code=$?
        cmp in.json disk/out.json && ls -A disk
        exit $code"#;
    let Some(ran) = on_a_small_disk(&cluster, "64k", script) else { return };
    let ran = ran.expect(1);
    says(&ran, &["No space left", "make room"]);
    assert_eq!(ran.stdout, "fill\nout.json\n");
}

#[test]
fn a_full_disk_takes_nothing_of_an_import() {
    let cluster = Cluster::new();
    cluster.write("in.json", &large(&cluster, 8_000));
    let script = r#"
        cp -r node0 disk/node0
        node="--lock-file disk/node0/cluster-lock.json --private-key-file disk/node0/charon-enr-private-key"
        "$0" dv slashing import $node in.json && exit 3
        "$0" dv slashing show --json $node || exit 4
        mount -o remount,size=64m none disk || exit 5
        "$0" dv slashing import $node in.json >&2"#;
    let Some(ran) = on_a_small_disk(&cluster, "800k", script) else { return };
    let ran = ran.ok();
    says(&ran, &["importing into the slashing store", "No space left"]);
    let shown: Json = serde_json::from_str(&ran.stdout).unwrap();
    for one in shown["validators"].as_array().unwrap() {
        assert_eq!(one["share"]["started"], false, "{one}");
    }
}
