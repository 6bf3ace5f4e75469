//! SIGKILL at random points of an apply over SSH, of coxswain, of its connections and of its shells on the host: the
//! next run converges, nothing is left behind, the lock is free at once. Each test prints its seed; `COXSWAIN_TEST_SEED` is
//! another one for all of them.

#![expect(clippy::print_stdout, reason = "a failure at a random point can be repeated from what was printed")]

mod support;

use std::time::{Duration, Instant};

use support::site::{Running, Site, temporary_files, wait_for};

/// Kills per test.
const KILLS: u64 = 9;

/// Whom SIGKILL hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Coxswain,
    Connections,
    Shells,
}

/// A generator that gives the same numbers for the same seed (Marsaglia's xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// Files that are created, changed and removed from one generation to the next, an account, and a directory.
fn configuration(generation: u64) -> String {
    let names: Vec<String> = (generation..generation + 4).map(|n| format!("\"f{n}\"")).collect();
    format!(
        "user \"u\" {{\n  host = host.h0\n  name = \"crashed\"\n  comment = \"generation {generation}\"\n  create_home = false\n}}\n\
         directory \"d\" {{\n  host = host.h0\n  path = \"/srv/d\"\n  mode = \"07{}0\"\n}}\n\
         file \"f\" {{\n  for_each = toset([{}])\n  host = host.h0\n  path = \"${{directory.d.path}}/${{each.key}}\"\n  \
         owner = user.u.name\n  content = join(\"\", [for n in range(2000) : \"generation {generation}\\n\"])\n}}\n\
         file \"here\" {{\n  path = \"here.txt\"\n  content = \"generation {generation}\\n\"\n}}\n",
        generation % 8,
        names.join(", ")
    )
}

/// The hosts and this machine are as this generation wants them.
#[track_caller]
fn check_generation(site: &Site, generation: u64) {
    let host = site.host(0);
    let listed = host.exec("ls -A /srv/d").ok().stdout;
    let mut names: Vec<String> = (generation..generation + 4).map(|n| format!("f{n}")).collect();
    names.sort();
    assert_eq!(listed.lines().collect::<Vec<_>>(), names);
    for name in names {
        let text = host.read_file(&format!("/srv/d/{name}")).unwrap_or_default();
        assert!(text == format!("generation {generation}\n").repeat(2000), "{name}: {} bytes", text.len());
    }
    assert_eq!(site.project.read("here.txt"), format!("generation {generation}\n"));
    let account = host.exec("getent passwd crashed").ok().stdout;
    assert!(account.contains(&format!(":generation {generation}:")), "{account}");
}

/// Nothing of the dead run is left, at the host or here.
#[track_caller]
fn check_nothing_left(site: &Site, id: u32) {
    assert_eq!(temporary_files(site.host(0)), "");
    let ours = |name: &str| name.contains(".coxswain-") || name.ends_with(".tmp");
    let left: Vec<_> = site.files().into_iter().map(|(name, _)| name).filter(|name| ours(name)).collect();
    assert_eq!(left, Vec::<String>::new());
    let prefix = format!("coxswain-ssh-{id}-");
    let sockets = std::fs::read_dir("/tmp").into_iter().flatten().flatten();
    let left: Vec<_> =
        sockets.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).collect();
    assert!(left.is_empty(), "{left:?}");
    let runs = || {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(&prefix)).count()
    };
    wait_for("the end of the connections of the dead run", || runs() == 0);
}

/// Kills the victim, and waits for the end of the run. Gives whether it was killed before its end.
#[track_caller]
fn strike(site: &Site, victim: Victim, mut run: Running) -> bool {
    let had_ended = run.has_ended();
    match victim {
        Victim::Coxswain => run.kill(),
        Victim::Connections => site.host(0).kill_connections(),
        // Of the host's own process namespace.
        Victim::Shells => drop(site.host(0).exec("pkill -9 -x sh")),
    }
    if victim != Victim::Coxswain {
        let ended = run.end();
        let said = ended.stdout + &ended.stderr;
        assert!([0, 1, 4].contains(&ended.code), "{}\n{said}", ended.code);
        assert!(ended.code == 0 || said.contains("host.h0"), "it says where: {said}");
    }
    !had_ended
}

#[track_caller]
fn check_kills(victim: Victim, seed: u64) {
    let Some(site) = Site::start(1) else { return };
    let chosen = std::env::var("COXSWAIN_TEST_SEED").ok().and_then(|text| text.parse().ok());
    // Zero would stay zero for ever.
    let seed = chosen.unwrap_or(seed).max(1);
    println!("{victim:?}, seed {seed}");
    let mut random = Random(seed);
    site.write(&configuration(0));
    let start = Instant::now();
    site.apply().ok();
    let whole = start.elapsed();
    let mut killed = 0;
    for generation in 1..=KILLS {
        site.write(&configuration(generation));
        let limit = u64::try_from(whole.as_micros()).expect("a short time");
        let after = Duration::from_micros(random.below(limit));
        let run = site.spawn(&["apply", "--yes"]);
        let id = run.id();
        // Not to wait for anything: the moment is what is random.
        std::thread::sleep(after);
        killed += u32::from(strike(&site, victim, run));
        println!("generation {generation}: after {} ms of {}", after.as_millis(), whole.as_millis());

        let next = site.apply();
        assert_eq!(next.code, 0, "seed {seed}, generation {generation}\n{}{}", next.stdout, next.stderr);
        check_generation(&site, generation);
        site.expect_no_op();
        check_nothing_left(&site, id);
    }
    println!("{killed} of {KILLS} were killed before their end");
    assert!(killed > 0, "seed {seed}: no run was killed");
    site.destroy().ok();
    assert!(!site.host(0).has("/srv/d") && !site.project.has("here.txt"));
}

#[test]
fn coxswain_killed_first() {
    check_kills(Victim::Coxswain, 0x9e37_79b9_7f4a_7c15);
}

#[test]
fn coxswain_killed_second() {
    check_kills(Victim::Coxswain, 0xbf58_476d_1ce4_e5b9);
}

#[test]
fn coxswain_killed_third() {
    check_kills(Victim::Coxswain, 0x94d0_49bb_1331_11eb);
}

#[test]
fn connections_killed() {
    check_kills(Victim::Connections, 0x2545_f491_4f6c_dd1d);
}

#[test]
fn shells_killed() {
    check_kills(Victim::Shells, 0xd6e8_feb8_6659_fd93);
}
