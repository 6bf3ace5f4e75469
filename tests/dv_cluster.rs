//! Clusters made and taken apart by the real binary: files and modes, keys that come back, keys that were there before,
//! what is refused, a full disk, and SIGKILL at any moment.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use coxswain::dv::keystores;
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_types::network::Networks;
use support::{Ran, is_fast, run};

const FEE: &str = "0x388C818CA8B9251b393131C08a736A67ccB19297";
const WITHDRAWAL: &str = "0x000000000000000000000000000000000000dEaD";

fn coxswain(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coxswain"));
    command.arg("dv").args(args).current_dir(dir).env_clear().env("HOME", dir);
    command
}

fn create_args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "create",
        "cluster",
        "--network=hoodi",
        "--insecure-keys",
        "--fee-recipient-addresses",
        FEE,
        "--withdrawal-addresses",
        WITHDRAWAL,
    ];
    args.extend(more);
    args
}

fn create(dir: &Path, more: &[&str]) -> Ran {
    run(&mut coxswain(dir, &create_args(more)))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn lock_of(node: &Path) -> Lock {
    Lock::parse(&fs::read(node.join("cluster-lock.json")).unwrap()).unwrap()
}

/// Public keys of the keys in a directory.
fn publics(dir: &Path) -> Vec<Vec<u8>> {
    let keys = keystores::load_sequence(dir).unwrap_or_else(|e| panic!("{e:?}"));
    keys.iter().map(|key| key.public().to_bytes().to_vec()).collect()
}

fn validators(lock: &Lock) -> Vec<Vec<u8>> {
    lock.validators.iter().map(|validator| validator.public_key.to_vec()).collect()
}

#[test]
fn a_cluster_is_made_and_its_keys_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let made = create(at, &["--nodes=4", "--num-validators=3", "--name=a <b>", "--cluster-dir=c"]).ok();
    assert_eq!(names(&at.join("c")), ["node0", "node1", "node2", "node3"]);
    let first = fs::read(at.join("c/node0/cluster-lock.json")).unwrap();
    for node in 0..4 {
        let node = at.join(format!("c/node{node}"));
        assert_eq!(
            names(&node),
            [
                "charon-enr-private-key",
                "cluster-lock.json",
                "deposit-data-1eth.json",
                "deposit-data.json",
                "validator_keys"
            ]
        );
        let files = names(&node.join("validator_keys"));
        assert_eq!(files.len(), 6);
        for (name, mode) in [
            ("charon-enr-private-key", 0o600),
            ("cluster-lock.json", 0o400),
            ("deposit-data.json", 0o444),
            ("validator_keys/keystore-insecure-2.json", 0o444),
            ("validator_keys/keystore-insecure-2.txt", 0o400),
        ] {
            assert_eq!(mode_of(&node.join(name)), mode, "{name}");
        }
        assert_eq!(fs::read(node.join("cluster-lock.json")).unwrap(), first, "the same bytes in every node");
        // Nothing that must stay secret is shown.
        for name in ["charon-enr-private-key", "validator_keys/keystore-insecure-0.txt"] {
            let secret = fs::read_to_string(node.join(name)).unwrap();
            assert!(!made.stdout.contains(&secret) && !made.stderr.contains(&secret), "{name}");
        }
    }
    let lock = lock_of(&at.join("c/node2"));
    assert_eq!(lock.verify(&Networks::default()), Ok(Vec::new()));
    assert_eq!((lock.definition.name.as_str(), lock.definition.threshold), ("a <b>", 3));

    // Any three nodes have the keys; two have not.
    fs::rename(at.join("c/node1"), at.join("lost")).unwrap();
    run(&mut coxswain(at, &["combine", "--cluster-dir=c", "--output-dir=out"])).ok();
    assert_eq!(publics(&at.join("out")), validators(&lock));
    assert_eq!(mode_of(&at.join("out/keystore-0.txt")), 0o400);
    let again = run(&mut coxswain(at, &["combine", "--cluster-dir=c", "--output-dir=out"])).expect(1);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    run(&mut coxswain(at, &["combine", "--cluster-dir=c", "--output-dir=out", "--force"])).ok();
    assert_eq!(publics(&at.join("out")), validators(&lock));
    // Not even --force removes what the keys were made of.
    let shares = "--output-dir=c/node3/validator_keys";
    let among = run(&mut coxswain(at, &["combine", "--cluster-dir=c", shares, "--force"])).expect(1);
    assert!(among.stderr.contains("has the shares of a node"), "{}", among.stderr);
    assert_eq!(publics(&at.join("c/node3/validator_keys")).len(), 3);
    fs::rename(at.join("c/node0"), at.join("lost too")).unwrap();
    let too_few = run(&mut coxswain(at, &["combine", "--cluster-dir=c", "--output-dir=out2"])).expect(1);
    assert!(too_few.stderr.contains("the keys of 3 nodes are needed"), "{}", too_few.stderr);
    assert!(!at.join("out2").exists());
}

#[test]
fn keys_that_are_there_are_split() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    create(at, &["--nodes=3", "--num-validators=2", "--cluster-dir=old"]).ok();
    run(&mut coxswain(at, &["combine", "--cluster-dir=old", "--output-dir=keys"])).ok();
    let split =
        ["--split-existing-keys", "--split-keys-dir=keys", "--nodes=5", "--cluster-dir=new", "--json"];
    let made = create(at, &split).ok();
    let lock = lock_of(&at.join("new/node4"));
    assert_eq!(lock.definition.operators.len(), 5);
    assert_eq!(validators(&lock), publics(&at.join("keys")));
    let told: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    assert_eq!(told["validators"].as_array().unwrap().len(), 2);
    assert_eq!(told["threshold"], 4);

    // A password that is another's opens nothing; one in a file of another name does.
    let dir_of = |name: &str| {
        let to = at.join(name);
        fs::create_dir(&to).unwrap();
        for file in names(&at.join("keys")) {
            fs::copy(at.join("keys").join(&file), to.join(&file)).unwrap();
            fs::set_permissions(to.join(&file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        to
    };
    let renamed = dir_of("renamed");
    fs::rename(renamed.join("keystore-0.txt"), renamed.join("first.txt")).unwrap();
    create(at, &["--split-existing-keys", "--split-keys-dir=renamed", "--nodes=3", "--cluster-dir=x"]).ok();
    let lost = dir_of("lost");
    fs::remove_file(lost.join("keystore-1.txt")).unwrap();
    let refused =
        create(at, &["--split-existing-keys", "--split-keys-dir=lost", "--nodes=3", "--cluster-dir=y"])
            .expect(1);
    assert!(
        refused.stderr.contains("no password file") && refused.stderr.contains("keystore-1.json"),
        "{}",
        refused.stderr
    );
    assert!(!at.join("y").exists());
}

#[test]
fn definitions_become_clusters_and_others_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let enrs: Vec<String> = (0..4)
        .map(|node| {
            let data = format!("--data-dir=op{node}");
            let made = run(&mut coxswain(at, &["create", "enr", &data])).ok();
            made.stdout.lines().find(|line| line.starts_with("enr:")).unwrap().to_owned()
        })
        .collect();
    let enrs = format!("--operator-enrs={}", enrs.join(","));
    let dkg = |more: &[&str]| {
        let mut args = vec![
            "create",
            "dkg",
            "--network=hoodi",
            "--fee-recipient-addresses",
            FEE,
            "--withdrawal-addresses",
            WITHDRAWAL,
        ];
        args.extend(more);
        run(&mut coxswain(at, &args))
    };
    dkg(&[&enrs, "--name=mine", "--output-dir=d", "--num-validators=2", "--deposit-amounts=8,24"]).ok();
    let file = at.join("d/cluster-definition.json");
    assert_eq!(mode_of(&file), 0o444);
    let made = create(at, &["--definition-file=d/cluster-definition.json", "--cluster-dir=c"]).ok();
    assert!(made.stdout.contains("deposit-data-8eth.json or deposit-data-24eth.json"), "{}", made.stdout);
    let lock = lock_of(&at.join("c/node0"));
    assert_eq!((lock.definition.name.as_str(), lock.validators.len()), ("mine", 2));

    let again = dkg(&[&enrs, "--output-dir=d"]).expect(1);
    assert!(again.stderr.contains("cluster-definition.json"), "{}", again.stderr);
    for (more, part) in [
        (vec!["--operator-enrs=enr:x,enr:y,enr:z"], "operator 0"),
        (vec![enrs.as_str(), "--dkg-algorithm=magic"], "magic"),
        (vec![enrs.as_str(), "--consensus-protocol=raft"], "raft"),
        (vec![enrs.as_str(), "--threshold=2"], "3 is safe"),
        (vec![enrs.as_str(), "--num-validators=0"], "validators"),
        (vec![enrs.as_str(), "--target-gas-limit=0"], "gas limit"),
        (vec![enrs.as_str(), "--publish", "--publish-address=nowhere"], "--publish-address"),
        (vec!["--num-validators=1"], "from 3 to"),
    ] {
        let mut more = more;
        more.push("--output-dir=refused");
        let ran = dkg(&more).expect(1);
        assert!(ran.stderr.contains(part), "{more:?}: {}", ran.stderr);
        assert!(!at.join("refused").exists(), "{more:?}");
    }
    // Half of the nodes, for those who say that they mean it.
    let low = ["--threshold=2", "--name=low", "--allow-low-threshold", "--output-dir=low"];
    let made = dkg(&[&[enrs.as_str()], &low[..]].concat()).ok();
    assert!(
        made.stderr.contains("warning: with a threshold of 2, two parts of the 4 nodes"),
        "{}",
        made.stderr
    );
    let low = "--definition-file=low/cluster-definition.json";
    let ran = create(at, &[low, "--cluster-dir=l"]).expect(1);
    assert!(ran.stderr.contains("--allow-low-threshold"), "{}", ran.stderr);
    assert!(!at.join("l").exists());
    create(at, &[low, "--cluster-dir=l", "--allow-low-threshold"]).ok();
    assert_eq!(lock_of(&at.join("l/node3")).definition.threshold, 2);
    // A definition that somebody altered.
    let altered = fs::read_to_string(&file).unwrap().replace("\"mine\"", "\"yours\"");
    fs::write(at.join("altered.json"), altered).unwrap();
    let ran = create(at, &["--definition-file=altered.json", "--cluster-dir=x"]).expect(1);
    assert!(ran.stderr.contains("config_hash"), "{}", ran.stderr);
    assert!(!at.join("x").exists());
}

#[test]
fn what_makes_no_cluster_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let four: &[&str] = &["--nodes=4", "--num-validators=1"];
    for (more, part) in [
        (&["--nodes=2", "--num-validators=1"][..], "from 3 to"),
        (&["--nodes=4"], "--num-validators is missing or 0"),
        (&["--nodes=4", "--num-validators=0"], "--num-validators is missing or 0"),
        (&["--num-validators=1"], "--nodes is missing"),
        (&["--nodes=-4", "--num-validators=1"], "negative"),
        (&["--nodes=4", "--num-validators=1", "--threshold=2"], "3 is safe"),
        (&["--nodes=4", "--num-validators=1", "--threshold=5"], "threshold"),
        (&["--nodes=4", "--num-validators=1", "--network=nowhere"], "`nowhere` is not known"),
        (&["--nodes=4", "--num-validators=1", "--network=mainnet"], "--insecure-keys protects nothing"),
        (&["--nodes=4", "--num-validators=1", "--deposit-amounts=1"], "deposit amounts"),
        (&["--nodes=4", "--num-validators=1", "--testnet-name=mine"], "not all four"),
        (&["--nodes=4", "--split-existing-keys"], "only one of"),
        (&["--nodes=4", "--num-validators=1", "--keymanager-addresses=http://localhost"], "its token"),
    ] {
        let mut more = more.to_vec();
        more.push("--cluster-dir=refused");
        let ran = create(at, &more).expect(1);
        assert!(ran.stderr.contains(part), "{more:?}: {}", ran.stderr);
        assert!(!at.join("refused").exists(), "{more:?}");
    }
    // The flag takes half of the nodes, and nothing else.
    for (threshold, part) in [("--threshold=1", "threshold"), ("--threshold=5", "threshold")] {
        let args = [four, &["--cluster-dir=refused", "--allow-low-threshold", threshold]].concat();
        let ran = create(at, &args).expect(1);
        assert!(ran.stderr.contains(part), "{threshold}: {}", ran.stderr);
    }
    assert!(!at.join("refused").exists());
    let args = [four, &["--cluster-dir=low", "--allow-low-threshold", "--threshold=2"]].concat();
    let made = create(at, &args).ok();
    assert!(
        made.stderr.contains("warning: with a threshold of 2, two parts of the 4 nodes"),
        "{}",
        made.stderr
    );
    assert_eq!(lock_of(&at.join("low/node0")).definition.threshold, 2);
    // What is there stays.
    fs::create_dir_all(at.join("c/node2")).unwrap();
    fs::write(at.join("c/node2/mine"), "x").unwrap();
    let mut more = four.to_vec();
    more.push("--cluster-dir=c");
    let ran = create(at, &more).expect(1);
    assert!(ran.stderr.contains("c/node2"), "{}", ran.stderr);
    assert_eq!(names(&at.join("c")), ["node2"]);
}

#[test]
fn a_full_disk_leaves_no_part_of_a_cluster() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("small")).unwrap();
    let args = create_args(&["--nodes=4", "--num-validators=8", "--cluster-dir=small"]).join("' '");
    let script = format!(
        "mount -t tmpfs -o size=128k,mode=755 none small && \"$0\" dv '{args}'; code=$?; ls -A small; exit $code"
    );
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script, env!("CARGO_BIN_EXE_coxswain")]);
    command.current_dir(dir.path()).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    let ran = run(&mut command);
    if ran.stderr.contains("unshare") || ran.stderr.contains("mount:") {
        println!("skipped: no file system can be mounted here: {}", ran.stderr);
        return;
    }
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("make room there"), "{}", ran.stderr);
}

#[test]
fn what_is_wrong_with_a_node_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    create(at, &["--nodes=4", "--num-validators=2", "--cluster-dir=c"]).ok();
    create(at, &["--nodes=4", "--num-validators=2", "--cluster-dir=other"]).ok();
    let node = at.join("c/node1");
    let verify = |args: &[&str]| {
        let mut all = vec!["verify"];
        all.extend(args);
        run(&mut coxswain(at, &all))
    };
    let fine = verify(&["c/node0", "c/node1", "c/node2/cluster-lock.json", "c/node3/deposit-data.json"]).ok();
    assert_eq!(fine.stdout.lines().count(), 5 + 5 + 2);
    assert!(fine.stdout.lines().all(|line| line.starts_with("ok ")), "{}", fine.stdout);
    // Each file in its turn is another node's, another cluster's, or damaged.
    let swap = |file: &str, from: &Path, part: &str| {
        let path = node.join(file);
        let right = fs::read(&path).unwrap();
        let replace = |bytes: &[u8]| {
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        };
        replace(&fs::read(from).unwrap());
        let ran = verify(&["c/node1"]).expect(1);
        let wrong: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("WRONG")).collect();
        assert!(wrong.iter().any(|line| line.contains(part)), "{file}, {part}: {}", ran.stdout);
        let json: serde_json::Value =
            serde_json::from_str(&verify(&["c/node1", "--json"]).expect(1).stdout).unwrap();
        assert_eq!(json["ok"], false);
        replace(&right);
        verify(&["c/node1"]).ok();
    };
    let other = at.join("other/node1");
    swap("charon-enr-private-key", &other.join("charon-enr-private-key"), "the key of no node");
    swap("charon-enr-private-key", &at.join("c/node2/charon-enr-private-key"), "is the share of node 2");
    swap("deposit-data.json", &other.join("deposit-data.json"), "no validator of the lock");
    let keystore = "validator_keys/keystore-insecure-1.json";
    swap(keystore, &other.join(keystore), "password");
    swap("cluster-lock.json", &other.join("cluster-lock.json"), "the key of no node");
    let text = fs::read_to_string(node.join("cluster-lock.json")).unwrap();
    fs::write(at.join("altered.json"), text.replace("\"threshold\": 3", "\"threshold\": 2")).unwrap();
    swap("cluster-lock.json", &at.join("altered.json"), "config_hash");
    let text = fs::read_to_string(node.join("deposit-data.json")).unwrap();
    fs::write(at.join("altered.json"), text.replace("hoodi", "mainnet")).unwrap();
    swap("deposit-data.json", &at.join("altered.json"), "network_name");
    fs::write(at.join("altered.json"), "[]x").unwrap();
    swap("deposit-data.json", &at.join("altered.json"), "it is no deposit data");
    verify(&["nowhere"]).expect(1);
}

/// With the real program beside ours: each takes what the other made.
#[test]
fn charon_takes_our_clusters_and_we_take_its() {
    let Some(charon) = std::env::var_os("CHARON_BIN") else {
        println!("skipped: CHARON_BIN does not name a charon");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let theirs = |args: &[&str]| {
        let mut command = Command::new(&charon);
        command.args(args).current_dir(at).env_clear().env("HOME", at);
        run(&mut command).ok()
    };
    let size = ["--nodes=4", "--num-validators=2", "--name=x"];
    let with = |dir: &'static str| [&size[..], &[dir]].concat();
    create(at, &with("--cluster-dir=ours")).ok();
    theirs(&["combine", "--cluster-dir=ours", "--output-dir=a"]);
    assert_eq!(publics(&at.join("a")), validators(&lock_of(&at.join("ours/node0"))));
    theirs(&create_args(&with("--cluster-dir=theirs")));
    for node in 0..4 {
        run(&mut coxswain(at, &["verify", &format!("theirs/node{node}")])).ok();
    }
    run(&mut coxswain(at, &["combine", "--cluster-dir=theirs", "--output-dir=b"])).ok();
    assert_eq!(publics(&at.join("b")), validators(&lock_of(&at.join("theirs/node0"))));
    let modes = |cluster: &str| {
        let node = at.join(cluster).join("node2");
        let mut all = names(&node);
        all.extend(
            names(&node.join("validator_keys")).into_iter().map(|name| format!("validator_keys/{name}")),
        );
        all.into_iter().map(|name| (mode_of(&node.join(&name)), name)).collect::<Vec<_>>()
    };
    assert_eq!(modes("ours"), modes("theirs"));
}

/// Killed at any moment, there is no cluster or a whole one, perhaps only after the next run, which then says so.
#[test]
fn a_killed_process_leaves_a_whole_cluster_or_none() {
    let dir = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
    let target: PathBuf = dir.path().join("c");
    let command = || {
        let mut command =
            coxswain(dir.path(), &create_args(&["--nodes=4", "--num-validators=2", "--cluster-dir=c"]));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let start = Instant::now();
    assert!(command().status().unwrap().success());
    let span = u32::try_from(start.elapsed().as_micros().min(400_000)).unwrap() * 3 / 2;
    let moments: u32 = if is_fast() { 40 } else { 200 };
    let (mut whole, mut finished, mut none) = (0, 0, 0);
    for n in 0..moments {
        if target.exists() {
            fs::remove_dir_all(&target).unwrap();
        }
        let wait =
            Duration::from_micros(u64::from(n * 7919 % moments) * u64::from(span) / u64::from(moments));
        let mut child = command().spawn().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < wait {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let again = run(&mut coxswain(
            dir.path(),
            &create_args(&["--nodes=4", "--num-validators=2", "--cluster-dir=c"]),
        ));
        match again.code {
            0 => none += 1,
            _ if again.stderr.contains("put in place now") => finished += 1,
            _ => {
                assert!(again.stderr.contains("there is something in it already"), "{}", again.stderr);
                whole += 1;
            }
        }
        assert_eq!(names(&target), ["node0", "node1", "node2", "node3"], "{}", again.stderr);
        let lock = lock_of(&target.join("node3"));
        for node in 0..4 {
            let node = target.join(format!("node{node}"));
            assert_eq!(lock_of(&node).lock_hash, lock.lock_hash);
            assert_eq!(publics(&node.join("validator_keys")).len(), 2);
            assert_eq!(mode_of(&node.join("charon-enr-private-key")), 0o600);
        }
    }
    println!(
        "{moments} runs killed: {whole} clusters whole, {finished} finished by the next run, {none} not there"
    );
    assert!(whole > 0 && none > 0, "{whole} whole, {none} none");
}
