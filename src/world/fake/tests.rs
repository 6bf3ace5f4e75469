//! The fake world answers, changes and fails as the real one.

use super::*;
use coxswain_model::Address;

use crate::resource::act::{Content, Expect, Permissions};
use crate::resource::kind::Retry;

const MODEL: &str = r#"{
  "host.a": {
    "machine_id": "a1",
    "facts": { "os": "ubuntu" },
    "paths": { "/etc/motd": { "content": "hi\n" }, "/srv/data/x": { "type": "symlink" },
               "/secret": { "type": "directory", "unreadable": "Permission denied" } },
    "users": { "eth": { "uid": 2000, "groups": ["docker"] } },
    "packages": { "jq": "1.7" },
    "units": { "chrony.service": { "active": "active", "enabled": "enabled" } },
    "available": { "nginx": { "version": "1.22", "effects": { "units": { "nginx.service": { "active": "active" } } } } },
    "on": [ { "argv_prefix": ["apt-get", "install", "bad"], "code": 100, "stderr": "E: no" } ]
  },
  "host.b": { "unreachable": "connection refused" }
}"#;

fn host(name: &str) -> Endpoint {
    Endpoint::Host(Arc::new(HostId { address: Address::root("host", name), uid: "u".into() }))
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn read(world: &FakeWorld, probe: Probe) -> Answer {
    block(world.read(&host("a"), &[probe])).unwrap().remove(0)
}

fn act(world: &FakeWorld, acts: &[Act]) -> Result<Vec<ActDone>, WorldError> {
    block(world.act(&host("a"), acts, Duration::from_secs(1), &|_: &str| {}))
}

fn write(path: &str, text: &str, expects: Expect) -> Act {
    let content = Content::new(text.as_bytes().to_vec());
    Act::WriteFile { path: path.into(), content, permissions: Permissions::default(), expects }
}

fn run(line: &str) -> Act {
    let argv = line.split(' ').map(str::to_owned).collect();
    Act::Run { argv, env: Vec::new(), input: None, ok: vec![0] }
}

#[test]
fn probes_are_answered_from_the_model() {
    let world = FakeWorld::from_json(MODEL).unwrap();
    assert!(
        matches!(read(&world, Probe::Facts), Answer::Facts(f) if f.os == "ubuntu" && f.machine_id == "a1")
    );
    assert_eq!(read(&world, Probe::Content("/etc/motd".into())), Answer::Content(b"hi\n".to_vec()));
    assert_eq!(read(&world, Probe::Stat("/etc/none".into())), Answer::Absent);
    assert!(matches!(read(&world, Probe::Stat("/secret/x".into())), Answer::Unknown(_)));
    assert!(matches!(read(&world, Probe::Digest("/srv/data/x".into())), Answer::Unknown(_)));
    assert!(
        matches!(read(&world, Probe::User("eth".into())), Answer::User(u) if u.groups == ["docker"] && u.gid == 2000)
    );
    assert!(
        matches!(read(&world, Probe::Unit("none.service".into())), Answer::Unit(u) if u.load == "not-found")
    );
    assert!(matches!(read(&world, Probe::Package("jq".into())), Answer::Package(p) if p.installed));
    let error = block(world.read(&host("b"), &[Probe::Facts])).unwrap_err();
    assert_eq!(error.retry(), Retry::Safe);
    assert_eq!(world.calls().last().unwrap(), "host.b read 1 probe");
}

#[test]
fn acts_change_the_model_and_stale_ones_do_not() {
    let world = FakeWorld::from_json(MODEL).unwrap();
    let before = world.to_json();
    let stale = act(&world, &[write("/etc/motd", "new", Expect::Absent)]).unwrap_err();
    assert!(matches!(stale, WorldError::Stale { .. }), "{stale}");
    assert!(matches!(
        act(&world, &[write("/none/x", "new", Expect::Absent)]),
        Err(WorldError::Failed { .. })
    ));
    assert_eq!(world.to_json(), before);
    let make = Act::MakeDir { path: "/srv/x".into(), permissions: Permissions::default() };
    act(&world, &[make, write("/srv/x/f", "new", Expect::Absent)]).unwrap();
    assert_eq!(read(&world, Probe::Content("/srv/x/f".into())), Answer::Content(b"new".to_vec()));
    let error = act(&world, &[Act::RemoveDir { path: "/srv/x".into() }]).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
}

#[test]
fn programs_are_understood() {
    let world = FakeWorld::from_json(MODEL).unwrap();
    let done = act(
        &world,
        &[
            run("groupadd --system -g 3000 -- node"),
            run("useradd --create-home -u 3000 -g node -G docker -s /bin/bash -- node"),
            run("apt-get install -y nginx"),
            run("systemctl stop -- chrony.service"),
            run("systemctl enable --now nginx.service"),
        ],
    )
    .unwrap();
    assert!(done.iter().all(|d| d.code == 0), "{done:?}");
    assert!(
        matches!(read(&world, Probe::User("node".into())), Answer::User(u) if u.groups == ["docker"] && u.primary_group == "node")
    );
    assert!(
        matches!(read(&world, Probe::Package("nginx".into())), Answer::Package(p) if p.version == "1.22")
    );
    assert!(
        matches!(read(&world, Probe::Unit("nginx.service".into())), Answer::Unit(u) if u.enabled == "enabled")
    );
    assert!(
        matches!(read(&world, Probe::Unit("chrony.service".into())), Answer::Unit(u) if u.active == "inactive")
    );
    let done = act(&world, &[run("apt-get install bad"), run("true")]).unwrap();
    assert_eq!((done.len(), done[0].code, done[0].stderr.as_str()), (1, 100, "E: no"));
    let script: Vec<String> =
        ["sh", "-c", "…", "apt-get install", "60", "htop"].iter().map(|s| (*s).to_owned()).collect();
    act(&world, &[Act::Run { argv: script, env: vec![], input: None, ok: vec![0] }]).unwrap();
    assert!(matches!(read(&world, Probe::Package("htop".into())), Answer::Package(p) if p.installed));
}

#[test]
fn a_unit_appears_with_its_file_and_wants_a_reload_when_it_changes() {
    let world = FakeWorld::from_json(MODEL).unwrap();
    let path = "/etc/systemd/system/x.service";
    act(&world, &[write(path, "[Install]\n", Expect::Absent), run("systemctl start x.service")]).unwrap();
    act(&world, &[write(path, "[Install]\n#", Expect::Anything)]).unwrap();
    let unit = read(&world, Probe::Unit("x.service".into()));
    assert!(matches!(&unit, Answer::Unit(u) if u.needs_reload && u.active == "active"), "{unit:?}");
    act(&world, &[run("systemctl daemon-reload")]).unwrap();
    assert!(matches!(read(&world, Probe::Unit("x.service".into())), Answer::Unit(u) if !u.needs_reload));
}

#[test]
fn kept_contents_come_back_and_the_model_round_trips() {
    let world = FakeWorld::from_json(MODEL).unwrap();
    let Answer::Digest(digest) = read(&world, Probe::Digest("/etc/motd".into())) else { panic!() };
    let keep = Act::Keep { path: "/etc/motd".into(), digest: digest.clone() };
    act(&world, &[keep, write("/etc/motd", "new", Expect::Anything)]).unwrap();
    let permissions = Permissions { mode: Some("600".into()), ..Permissions::default() };
    act(&world, &[Act::Restore { path: "/etc/motd".into(), digest, permissions }]).unwrap();
    assert_eq!(read(&world, Probe::Content("/etc/motd".into())), Answer::Content(b"hi\n".to_vec()));
    assert!(matches!(read(&world, Probe::Stat("/etc/motd".into())), Answer::Stat(s) if s.mode == "0600"));
    let again = FakeWorld::from_json(&world.to_json()).unwrap();
    assert_eq!(again.to_json(), world.to_json());
}

#[test]
fn faults_happen_once() {
    let world = FakeWorld::from_json(MODEL).unwrap();
    let broken = WorldError::Broken { endpoint: "host.a".into(), reason: "gone".into() };
    world.fail_next("host.a", Fault::Lost(broken.clone()));
    assert_eq!(act(&world, &[write("/etc/x", "1", Expect::Absent)]), Err(broken.clone()));
    assert_eq!(read(&world, Probe::Content("/etc/x".into())), Answer::Content(b"1".to_vec()));
    world.fail_next("host.a", Fault::After(1, broken.clone()));
    assert_eq!(act(&world, &[run("true"), write("/etc/y", "1", Expect::Absent)]), Err(broken));
    assert_eq!(read(&world, Probe::Stat("/etc/y".into())), Answer::Absent);
    assert!(act(&world, &[run("true")]).is_ok());
    world.patch("host.a", &serde_json::json!({ "paths": { "/etc/x": null } })).unwrap();
    assert_eq!(read(&world, Probe::Stat("/etc/x".into())), Answer::Absent);
}
