//! Snaps at a real snapd: what adopt writes of them, hold and channel as drift, what snapd refuses, and destroy. There is
//! no store: snaps are made here and installed from files, and snapd accepts no stand-in for its store's signatures.

mod support;

use support::machines::{Machines, Tier};

/// Installs snaps without anything in them: snapd's own, without which it installs none, and one of each confinement.
const INSTALL: &str = r#"
pack() { # NAME LINES...
n=$1; shift
rm -rf /tmp/s && mkdir -p /tmp/s/meta /tmp/s/usr/lib/snapd
printf 'VERSION=1\n' >/tmp/s/usr/lib/snapd/info
printf '%s\n' "name: $n" 'version: "1"' 'summary: empty' 'description: empty' 'architectures: [all]' "$@" >/tmp/s/meta/snap.yaml
chmod -R a+rX /tmp/s
mksquashfs /tmp/s "/tmp/$n.snap" -comp xz -all-root -noappend -quiet -no-progress
}
pack snapd 'type: snapd' && pack tool 'base: none' && pack other 'base: none' 'confinement: classic' && pack late 'base: none' || exit
id=$(snap install --no-wait --dangerous /tmp/snapd.snap) || exit
# snapd restarts itself in the middle of it.
until snap changes 2>/dev/null | grep -q "^$id  *Done"; do
	if snap changes 2>/dev/null | grep -q "^$id  *\(Error\|Undone\)"; then snap tasks "$id" >&2; exit 1; fi
	sleep 0.5
done
snap install --dangerous /tmp/tool.snap && snap install --dangerous --classic /tmp/other.snap && snap switch --channel=1.31/stable tool
"#;

/// The notes and the channel of a snap, as snapd lists them.
fn listed(machines: &Machines, name: &str) -> String {
    machines.at("nfs", &format!("snap list {name} | awk 'NR == 2 {{ print $4, $6 }}'")).ok().stdout
}

#[test]
fn snaps_of_a_real_snapd() {
    let Some(machines) = Machines::up_with(Tier::Full, &["nfs"], "snap") else { return };
    machines.at("nfs", INSTALL).ok();
    what_adopt_writes_is_held_and_repaired(&machines);
    what_snapd_refuses_is_said(&machines);
    what_was_not_there_before_goes(&machines);
}

fn tool(channel: &str, more: &str) -> String {
    format!(
        "snap \"tool\" {{\n  host    = host.nfs\n  name    = \"tool\"\n  channel = \"{channel}\"\n{more}}}\n"
    )
}

fn what_adopt_writes_is_held_and_repaired(machines: &Machines) {
    machines.write("");
    let adopted = machines.run(&["adopt", "host.nfs", "--kind", "snap"]).ok();
    assert!(adopted.stdout.contains("channel = \"1.31/stable\""), "{}", adopted.stdout);
    // One from a file follows no channel, and that of snapd itself is not for people.
    assert!(adopted.stderr.contains("left out: snap other: "), "{}", adopted.stderr);
    assert!(!adopted.stdout.contains("snapd") && !adopted.stderr.contains("snapd"), "{}", adopted.stderr);
    machines.write(&adopted.stdout);
    machines.apply().ok();
    machines.expect_no_op();

    machines.write(&tool("1.31", "  hold    = true\n"));
    let plan = machines.run(&["plan"]).expect(2);
    assert!(plan.stdout.contains("hold: false -> true"), "{}", plan.stdout);
    machines.apply().ok();
    machines.expect_no_op();
    assert_eq!(listed(machines, "tool"), "1.31/stable held\n");
    machines.at("nfs", "snap refresh --unhold tool").ok();
    assert_eq!(machines.drifted(), ["snap.tool.hold"]);
    machines.apply().ok();
    assert_eq!(machines.drifted(), Vec::<String>::new());
    assert_eq!(listed(machines, "tool"), "1.31/stable held\n");
}

fn what_snapd_refuses_is_said(machines: &Machines) {
    machines.at("nfs", "snap switch --channel=1.32/stable tool").ok();
    assert_eq!(machines.drifted(), ["snap.tool.channel"]);
    let failed = machines.apply().expect(4);
    assert!(failed.stdout.contains("local snap \"tool\" is unknown to the store"), "{}", failed.stdout);
    assert_eq!(listed(machines, "tool"), "1.32/stable held\n");
    machines.at("nfs", "snap switch --channel=1.31/stable tool").ok();
    machines.apply().ok();
    machines.expect_no_op();

    machines.write(&tool("1.31", "  hold    = true\n  classic = true\n"));
    let refused = machines.run(&["plan"]).expect(1);
    assert!(refused.stderr.contains("the confinement of tool is another"), "{}", refused.stderr);
}

fn what_was_not_there_before_goes(machines: &Machines) {
    let late = "snap \"late\" {\n  host    = host.nfs\n  name    = \"late\"\n  channel = \"2/stable\"\n}\n";
    machines.write(&(tool("1.31", "  hold    = true\n") + late));
    let failed = machines.apply().expect(4);
    assert!(failed.stdout.contains("api.snapcraft.io"), "{}", failed.stdout);
    assert_ne!(machines.at("nfs", "snap list late").code, 0);
    // Somebody brings it by hand.
    machines.at("nfs", "snap install --dangerous /tmp/late.snap && snap switch --channel=2/stable late").ok();
    machines.apply().ok();
    machines.expect_no_op();

    machines.destroy().ok();
    assert_ne!(machines.at("nfs", "snap list late").code, 0, "it was not there before");
    assert_eq!(listed(machines, "tool"), "1.31/stable -\n", "nobody had held it");
}
