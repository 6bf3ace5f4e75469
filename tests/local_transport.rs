//! The shell scripts of the world, run on this machine in temporary directories.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use coxswain::resource::act::{Act, ActDone, Content, Expect, Permissions};
use coxswain::resource::answer::{Answer, FileType};
use coxswain::resource::kind::Endpoint;
use coxswain::resource::probe::{CONTENT_LIMIT, Probe};
use coxswain::world::real::{Mode, Options, RealWorld};
use coxswain::world::{World, WorldError};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(30);

struct Bench {
    dir: TempDir,
    world: RealWorld,
}

fn bench() -> Bench {
    let dir = TempDir::new().unwrap();
    let world = RealWorld::new(Options::new(Mode::ReadWrite, dir.path().join("store/kept")));
    fs::create_dir(dir.path().join("d")).unwrap();
    Bench { dir, world }
}

impl Bench {
    fn path(&self, name: &str) -> String {
        self.dir.path().join("d").join(name).to_str().unwrap().to_owned()
    }
    async fn read(&self, probe: Probe) -> Answer {
        self.world.read(&Endpoint::Controller, &[probe]).await.unwrap().remove(0)
    }
    async fn act(&self, acts: &[Act]) -> Result<Vec<ActDone>, WorldError> {
        self.world.act(&Endpoint::Controller, acts, LIMIT, &|_: &str| {}).await
    }
    fn names(&self) -> Vec<String> {
        names(&self.dir.path().join("d"))
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn sha(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn mode(path: &str) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn write(path: &str, bytes: &[u8], expects: Expect) -> Act {
    let content = Content::new(bytes.to_vec());
    Act::WriteFile { path: path.into(), content, permissions: Permissions::default(), expects }
}

fn with_mode(mode: &str) -> Permissions {
    Permissions { mode: Some(mode.into()), ..Permissions::default() }
}

fn run(argv: &[&str], ok: &[i32]) -> Act {
    Act::Run {
        argv: argv.iter().map(|s| (*s).to_owned()).collect(),
        env: vec![],
        input: None,
        ok: ok.to_vec(),
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

#[tokio::test]
async fn a_file_is_written_changed_and_removed() {
    let b = bench();
    for name in ["plain", "a b", "it's $(touch x) `y` \"q\" \\", "new\nline\n", "-rf", "*", "ünï"] {
        let path = b.path(name);
        b.act(&[write(&path, b"one", Expect::Absent)]).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one", "{name:?}");
        assert_eq!(mode(&path), 0o644, "{name:?}");
        b.act(&[write(&path, b"two", Expect::Digest(sha(b"one")))]).await.unwrap();
        // Doing it twice is doing it once.
        b.act(&[write(&path, b"two", Expect::Digest(sha(b"one")))]).await.unwrap();
        assert_eq!(b.read(Probe::Content(path.clone())).await, Answer::Content(b"two".to_vec()), "{name:?}");
        assert_eq!(b.read(Probe::Digest(path.clone())).await, Answer::Digest(sha(b"two")), "{name:?}");
        let Answer::Stat(stat) = b.read(Probe::Stat(path.clone())).await else { panic!("{name:?}") };
        assert_eq!((stat.file_type, stat.mode.as_str(), stat.size), (FileType::File, "0644", 3));
        assert_eq!(b.names(), [name]);
        let remove = Act::RemoveFile { path: path.clone(), expects: Expect::Digest(sha(b"two")) };
        b.act(&[remove.clone(), remove]).await.unwrap();
        assert_eq!(b.read(Probe::Stat(path)).await, Answer::Absent);
        assert!(b.names().is_empty());
    }
}

#[tokio::test]
async fn all_byte_values_arrive() {
    let b = bench();
    let path = b.path("big");
    let bytes: Vec<u8> = (0..1_100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    b.act(&[write(&path, &bytes, Expect::Absent)]).await.unwrap();
    assert!(fs::read(&path).unwrap() == bytes);
    assert_eq!(b.read(Probe::Digest(path.clone())).await, Answer::Digest(sha(&bytes)));
    assert_eq!(b.read(Probe::Content(path.clone())).await, Answer::TooLong);
    b.act(&[write(&path, &bytes[..CONTENT_LIMIT], Expect::Anything)]).await.unwrap();
    assert!(b.read(Probe::Content(path.clone())).await == Answer::Content(bytes[..CONTENT_LIMIT].to_vec()));
    b.act(&[write(&path, b"", Expect::Anything)]).await.unwrap();
    assert_eq!(b.read(Probe::Content(path)).await, Answer::Content(Vec::new()));
}

#[tokio::test]
async fn a_stale_precondition_changes_nothing() {
    let b = bench();
    let (path, other) = (b.path("f"), b.path("other"));
    fs::write(&path, "drifted").unwrap();
    for expects in [Expect::Absent, Expect::Digest(sha(b"planned"))] {
        let acts = [write(&path, b"new", expects.clone()), write(&other, b"x", Expect::Absent)];
        let error = b.act(&acts).await.unwrap_err();
        let found = format!("a file with SHA-256 {}", sha(b"drifted"));
        assert_eq!(error, WorldError::Stale { endpoint: "this machine".into(), path: path.clone(), found });
        let error = b.act(&[Act::RemoveFile { path: path.clone(), expects }]).await.unwrap_err();
        assert!(matches!(error, WorldError::Stale { .. }), "{error}");
    }
    let error = b.act(&[write(&other, b"x", Expect::Digest(sha(b"gone")))]).await.unwrap_err();
    assert!(matches!(&error, WorldError::Stale { found, .. } if found == "nothing"), "{error}");
    fs::create_dir(b.path("dir")).unwrap();
    let error = b.act(&[write(&b.path("dir"), b"x", Expect::Absent)]).await.unwrap_err();
    assert!(matches!(&error, WorldError::Stale { found, .. } if found == "a directory"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"drifted");
    assert_eq!(b.names(), ["dir", "f"]);
}

#[tokio::test]
async fn permissions_are_set_and_left() {
    let b = bench();
    let path = b.path("f");
    let secret = Act::WriteFile {
        path: path.clone(),
        content: Content::new(b"s".to_vec()),
        permissions: with_mode("0600"),
        expects: Expect::Absent,
    };
    b.act(&[secret]).await.unwrap();
    assert_eq!(mode(&path), 0o600);
    b.act(&[write(&path, b"t", Expect::Anything)]).await.unwrap();
    assert_eq!(mode(&path), 0o600, "a mode that nothing is said about stays");
    b.act(&[Act::SetPermissions { path: path.clone(), permissions: with_mode("4755") }]).await.unwrap();
    assert_eq!(mode(&path), 0o4755);
    let dir = b.path("sub");
    let make = |mode: &str| Act::MakeDir { path: dir.clone(), permissions: with_mode(mode) };
    b.act(&[make("2750"), make("2750")]).await.unwrap();
    assert_eq!(mode(&dir), 0o2750);
    b.act(&[make("750")]).await.unwrap();
    assert_eq!(mode(&dir), 0o750, "the set-group bit goes");
    let missing = Act::SetPermissions { path: b.path("none"), permissions: with_mode("600") };
    assert!(matches!(b.act(&[missing]).await, Err(WorldError::Failed { .. })));
    if is_root() {
        let owned = Permissions { owner: Some("1".into()), group: Some("2".into()), mode: None };
        b.act(&[Act::SetPermissions { path: path.clone(), permissions: owned }]).await.unwrap();
        b.act(&[write(&path, b"u", Expect::Anything)]).await.unwrap();
        let Answer::Stat(stat) = b.read(Probe::Stat(path.clone())).await else { panic!() };
        assert_eq!((stat.uid, stat.gid, stat.mode.as_str()), (1, 2, "4755"));
        let owner = Permissions { owner: Some("root".into()), ..Permissions::default() };
        b.act(&[Act::SetPermissions { path, permissions: owner }]).await.unwrap();
    }
}

#[tokio::test]
async fn directories_are_removed_only_when_empty() {
    let b = bench();
    let dir = b.path("sub");
    fs::create_dir(&dir).unwrap();
    fs::write(format!("{dir}/x"), "").unwrap();
    let remove = Act::RemoveDir { path: dir.clone() };
    let error = b.act(std::slice::from_ref(&remove)).await.unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
    fs::remove_file(format!("{dir}/x")).unwrap();
    b.act(&[remove.clone(), remove]).await.unwrap();
    let error = b.act(&[write(&format!("{dir}/x"), b"", Expect::Absent)]).await.unwrap_err();
    assert!(error.to_string().contains("No such file or directory"), "{error}");
}

#[tokio::test]
async fn kept_contents_are_restored() {
    let b = bench();
    let path = b.path("f");
    fs::write(&path, b"first\0\xff").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let digest = sha(b"first\0\xff");
    let keep = Act::Keep { path: path.clone(), digest: digest.clone() };
    b.act(&[keep.clone(), write(&path, b"second", Expect::Digest(digest.clone())), keep]).await.unwrap();
    let store = b.dir.path().join("store/kept");
    assert_eq!(names(&store), std::slice::from_ref(&digest));
    assert_eq!(mode(store.to_str().unwrap()), 0o700);
    assert_eq!(mode(store.join(&digest).to_str().unwrap()), 0o600);
    let permissions = with_mode("640");
    b.act(&[Act::Restore { path: path.clone(), digest: digest.clone(), permissions }]).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"first\0\xff");
    assert_eq!(mode(&path), 0o640);
    let drop = Act::Drop { digest: digest.clone() };
    b.act(&[drop.clone(), drop]).await.unwrap();
    assert!(names(&store).is_empty());
    let error = b.act(&[Act::Keep { path: path.clone(), digest: sha(b"other") }]).await.unwrap_err();
    assert!(matches!(error, WorldError::Stale { .. }), "{error}");
    let restore = Act::Restore { path: path.clone(), digest, permissions: Permissions::default() };
    assert!(matches!(b.act(&[restore]).await, Err(WorldError::Failed { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"first\0\xff");
    assert_eq!(b.names(), ["f"]);
}

#[tokio::test]
async fn programs_run_in_a_known_environment_and_stop_the_row_when_they_fail() {
    let b = bench();
    let lines = Mutex::new(Vec::new());
    let env = vec![("X".to_owned(), "it's".to_owned())];
    let argv =
        ["sh", "-c", "echo \"$X $LC_ALL $TZ $DEBIAN_FRONTEND\"; echo e >&2; printf no-newline; exit 3"];
    let first =
        Act::Run { argv: argv.iter().map(|s| (*s).to_owned()).collect(), env, input: None, ok: vec![0, 3] };
    let acts = [first, run(&["false"], &[0]), write(&b.path("never"), b"", Expect::Absent)];
    let note = |line: &str| lines.lock().unwrap().push(line.to_owned());
    let done = b.world.act(&Endpoint::Controller, &acts, LIMIT, &note).await.unwrap();
    assert_eq!(done.len(), 2);
    assert_eq!(done[0].stdout, "it's C UTC noninteractive\nno-newline");
    assert_eq!((done[0].stderr.as_str(), done[0].code, done[1].code), ("e\n", 3, 1));
    assert!(lines.lock().unwrap().contains(&"it's C UTC noninteractive".to_owned()));
    assert!(b.names().is_empty());
    let done = b.act(&[run(&["no-such-program"], &[0])]).await.unwrap();
    assert_eq!(done[0].code, 127);
    let done = b.act(&[run(&["sh", "-c", "kill -9 $$"], &[0])]).await.unwrap();
    assert_eq!(done[0].code, 137);
    let done = b.act(&[run(&["seq", "1", "200000"], &[0])]).await.unwrap();
    assert!(done[0].stdout.starts_with("1\n2\n") && done[0].stdout.ends_with("200000\n"));
    assert!(done[0].stdout.len() < 70_000);
    // A program cannot read the script that follows it.
    let done = b.act(&[run(&["cat"], &[0]), run(&["true"], &[0])]).await.unwrap();
    assert_eq!((done.len(), done[0].stdout.as_str()), (2, ""));
}

#[tokio::test]
async fn a_program_without_end_is_a_timeout_and_the_next_call_has_a_new_shell() {
    let b = bench();
    let start = Instant::now();
    let limit = Duration::from_millis(300);
    let acts = [run(&["sleep", "60"], &[0])];
    let error = b.world.act(&Endpoint::Controller, &acts, limit, &|_: &str| {}).await.unwrap_err();
    assert!(matches!(error, WorldError::Timeout { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(b.read(Probe::Stat(b.path("none"))).await, Answer::Absent);
}

#[tokio::test]
async fn what_cannot_be_said_is_not_absent() {
    let b = bench();
    assert!(matches!(b.read(Probe::Content(b.path(""))).await, Answer::Unknown(_)), "a directory");
    assert!(matches!(b.read(Probe::Stat("relative".into())).await, Answer::Unknown(_)));
    assert!(matches!(b.read(Probe::Stat("/a\0b".into())).await, Answer::Unknown(_)));
    assert_eq!(b.read(Probe::Digest(b.path("none/deep"))).await, Answer::Absent);
    fs::write(b.path("f"), "").unwrap();
    assert_eq!(b.read(Probe::Digest(b.path("f/below"))).await, Answer::Absent, "below a file is nothing");
    std::os::unix::fs::symlink("f", b.path("link")).unwrap();
    assert!(matches!(b.read(Probe::Digest(b.path("link"))).await, Answer::Unknown(_)));
    let Answer::Stat(stat) = b.read(Probe::Stat(b.path("link"))).await else { panic!() };
    assert_eq!(stat.file_type, FileType::Symlink);
    if is_root() {
        return;
    }
    fs::create_dir(b.path("closed")).unwrap();
    fs::write(b.path("closed/x"), "").unwrap();
    fs::set_permissions(b.path("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let answer = b.read(Probe::Stat(b.path("closed/x"))).await;
    fs::set_permissions(b.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(&answer, Answer::Unknown(r) if r.contains("Permission denied")), "{answer:?}");
}

#[tokio::test]
async fn facts_accounts_packages_and_units() {
    let b = bench();
    let probes = [
        Probe::Facts,
        Probe::User("root".into()),
        Probe::User("no-such-user".into()),
        Probe::Group("root".into()),
        Probe::Group("no-such-group".into()),
        Probe::User("0".into()),
        Probe::Package("no-such-package".into()),
        Probe::Package("dpkg".into()),
        Probe::Package("a*".into()),
        Probe::Unit("ssh.service".into()),
        Probe::Unit("bad name".into()),
    ];
    let answers = b.world.read(&Endpoint::Controller, &probes).await.unwrap();
    let Answer::Facts(facts) = &answers[0] else { panic!("{answers:?}") };
    assert!(!facts.kernel.is_empty() && !facts.user.is_empty() && !facts.arch.contains('_'), "{facts:?}");
    assert!(matches!(&answers[1], Answer::User(u) if u.uid == 0 && u.primary_group == "root"), "{answers:?}");
    assert_eq!(answers[2], Answer::Absent);
    assert!(matches!(&answers[3], Answer::Group(g) if g.gid == 0));
    assert_eq!(answers[4], Answer::Absent);
    assert!(matches!(answers[5], Answer::Unknown(_)), "a number is not a name");
    if PathBuf::from("/usr/bin/dpkg-query").exists() {
        assert_eq!(answers[6], Answer::Absent);
        assert!(matches!(&answers[7], Answer::Package(p) if p.installed && !p.version.is_empty()));
    }
    assert!(matches!(answers[8], Answer::Unknown(_)));
    assert!(matches!(answers[9], Answer::Unknown(_) | Answer::Unit(_)));
    assert!(matches!(answers[10], Answer::Unknown(_)));
}

#[tokio::test]
async fn a_run_that_may_only_read_does_nothing() {
    let dir = TempDir::new().unwrap();
    let world = RealWorld::new(Options::new(Mode::ReadOnly, dir.path().join("store")));
    let path = dir.path().join("f").to_str().unwrap().to_owned();
    let acts = [write(&path, b"", Expect::Absent)];
    let error = world.act(&Endpoint::Controller, &acts, LIMIT, &|_: &str| {}).await.unwrap_err();
    assert!(matches!(error, WorldError::ReadOnly { .. }), "{error}");
    assert!(names(dir.path()).is_empty());
    let answers = world.read(&Endpoint::Controller, &[Probe::Stat(path)]).await.unwrap();
    assert_eq!(answers, [Answer::Absent]);
    assert!(world.read(&Endpoint::Nowhere, &[Probe::Facts]).await.is_err());
}

#[test]
fn a_killed_shell_leaves_nothing_after_the_next_write() {
    let b = bench();
    let path = b.path("f");
    let left = b.path(".f.coxswain-deadbeef");
    fs::write(&left, "half a secret").unwrap();
    let foreign = b.path(".f.coxswain-mine");
    fs::write(&foreign, "").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let marker = b.path("marker");
        // The parent of `timeout` is the script's subshell; its process group is the persistent shell's.
        let tell = "read -r a b c parent f </proc/$PPID/stat
            read -r a b c d group f </proc/$parent/stat; echo $group >\"$0.new\"; mv \"$0.new\" \"$0\"; sleep 1";
        let acts = [run(&["sh", "-c", tell, &marker], &[0]), write(&path, b"x", Expect::Absent)];
        let kill = async {
            let group = loop {
                if let Ok(text) = fs::read_to_string(&marker) {
                    break text.trim().parse().unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            let group = rustix::process::Pid::from_raw(group).unwrap();
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        };
        let (result, ()) = tokio::join!(b.act(&acts), kill);
        let error = result.unwrap_err();
        assert!(matches!(error, WorldError::Broken { .. } | WorldError::Timeout { .. }), "{error}");
        b.act(&[write(&path, b"x", Expect::Absent)]).await.unwrap();
    });
    assert!(fs::metadata(&left).is_err());
    assert_eq!(b.names(), [".f.coxswain-mine", "f", "marker"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_are_never_among_the_arguments_of_a_process() {
    let b = bench();
    let secret = "hunter2-".repeat(200_000);
    let encoded = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode("hunter2-hunter2-hunter2-")
    };
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watch = {
        let stop = stop.clone();
        let me = std::process::id().to_string();
        std::thread::spawn(move || {
            let (mut seen, mut looks) = (Vec::new(), 0);
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                looks += 1;
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    if entry.file_name().to_str() == Some(me.as_str()) {
                        continue;
                    }
                    for file in ["cmdline", "environ"] {
                        let bytes = fs::read(entry.path().join(file)).unwrap_or_default();
                        let text = String::from_utf8_lossy(&bytes);
                        if text.contains("hunter2-hunter2") || text.contains(&encoded) {
                            seen.push(text.chars().take(80).collect::<String>());
                        }
                    }
                }
            }
            (seen, looks)
        })
    };
    for i in 0..5 {
        b.act(&[write(&b.path("f"), format!("{secret}{i}").as_bytes(), Expect::Anything)]).await.unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let (seen, looks) = watch.join().unwrap();
    assert!(seen.is_empty(), "{seen:?}");
    assert!(looks > 0);
}

#[tokio::test]
async fn other_shells_understand_the_scripts() {
    use coxswain::world::script::acts::parse_acts;
    use coxswain::world::script::{ActOptions, Nonce, compile_acts, compile_probes};
    use coxswain::world::shell::{Request, Shell};
    for program in ["dash", "bash"] {
        let b = bench();
        let child = tokio::process::Command::new(program)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn();
        let Ok(mut child) = child else { continue };
        let (stdin, stdout, stderr) =
            (child.stdin.take().unwrap(), child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let mut shell = Shell::new(Box::new(stdin), Box::new(stdout), Box::new(stderr), Box::new(child));
        let (path, nonce) = (b.path("it's\n"), Nonce::from_bits(5));
        let acts =
            [write(&path, &[0, 1, 0xff], Expect::Absent), run(&["false"], &[1]), run(&["echo", "x"], &[0])];
        let options = ActOptions { store: None, limit: LIMIT };
        let text = compile_acts(&acts, &nonce, options).unwrap().text;
        let request =
            Request { text: &text, nonce: &nonce, limit_bytes: 1000, limit: LIMIT, progress: &|_: &str| {} };
        let seen = shell.run(&request).await.unwrap();
        let done = parse_acts("x", &acts, &seen.out, &seen.err).unwrap();
        assert_eq!((done[1].code, done[2].stdout.as_str()), (1, "x\n"), "{program}");
        let probes = [Probe::Content(path.clone()), Probe::Facts, Probe::User("root".into())];
        let script = compile_probes(&probes, &nonce);
        let seen = shell.run(&Request { text: &script.text, ..request }).await.unwrap();
        let answers = script.parse(&seen.out);
        assert_eq!(answers[0], Answer::Content(vec![0, 1, 0xff]), "{program}");
        assert!(matches!(answers[1], Answer::Facts(_)) && matches!(answers[2], Answer::User(_)), "{program}");
    }
}
