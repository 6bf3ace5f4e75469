//! The programs that are compared, each with a project of its own for the same files.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::sshlab::Lab;
use super::{DIR, FILES};

/// Installing the peers.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);

/// What Ansible runs on the hosts; they have the machine's `/usr`, and homes of their own.
const PYTHON: &str = "/usr/bin/python3";

/// What is measured, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Nothing is there.
    Cold,
    /// Everything is as it should be; only looked at.
    NoOp,
    /// One file of one host is other.
    Change,
}

impl Phase {
    pub(crate) const ALL: [Phase; 3] = [Phase::Cold, Phase::NoOp, Phase::Change];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Cold => "cold apply",
            Phase::NoOp => "no-op plan",
            Phase::Change => "one change",
        }
    }
}

/// A program with its project.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) dir: PathBuf,
    /// Runs a program in the network of the hosts.
    inside: Vec<String>,
    program: PathBuf,
    /// Arguments that apply, and that only look.
    apply: Vec<String>,
    look: Vec<String>,
    env: Vec<(&'static str, PathBuf)>,
}

impl Tool {
    pub(crate) fn command(&self, phase: Phase) -> Command {
        let mut command = Command::new(&self.inside[0]);
        command.args(&self.inside[1..]).arg(&self.program);
        command.args(if phase == Phase::NoOp { &self.look } else { &self.apply });
        command
            .current_dir(&self.dir)
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.dir.join("home"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Removes what the program keeps between runs.
    pub(crate) fn forget(&self) {
        for kept in [".coxswain", "home"] {
            // It may not be there yet.
            let _ = fs::remove_dir_all(self.dir.join(kept));
        }
        fs::create_dir_all(self.dir.join("home")).expect("a folder in a temporary folder");
    }
}

/// Ours first, then the peers that can be had.
pub(crate) fn all(lab: &Lab, work: &Path) -> Vec<Tool> {
    let mut tools = vec![ours(lab, work)];
    match peers(work) {
        Ok(venv) => {
            for (name, program, make) in [
                ("pyinfra", "pyinfra", pyinfra as fn(&Lab, &Path, &Path) -> Tool),
                ("ansible-core", "ansible-playbook", ansible),
            ] {
                if name == "ansible-core" && !Path::new(PYTHON).exists() {
                    println!("skipped: {name} needs {PYTHON} on the hosts");
                } else if venv.join("bin").join(program).exists() {
                    println!("{name}: {}", version(&venv, name));
                    tools.push(make(lab, work, &venv));
                } else {
                    println!("skipped: {name} is not in {}", venv.display());
                }
            }
        }
        Err(why) => println!("skipped: pyinfra and ansible-core cannot be installed: {why}"),
    }
    tools
}

fn version(venv: &Path, name: &str) -> String {
    let shown = Command::new(venv.join("bin/pip")).args(["show", name]).stdin(Stdio::null()).output();
    let text = shown.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("Version: ").map(str::to_owned))
        .unwrap_or_else(|| "unknown".into())
}

/// The virtual environment of the peers; made here unless one is named.
fn peers(work: &Path) -> Result<PathBuf, String> {
    if let Some(venv) = std::env::var_os("COXSWAIN_BENCH_PEERS") {
        return Ok(venv.into());
    }
    let venv = work.join("venv");
    bounded(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let packages = ["pyinfra", "ansible-core"];
    bounded(
        Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(packages),
    )?;
    Ok(venv)
}

fn bounded(command: &mut Command) -> Result<(), String> {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn().map_err(|e| format!("{command:?}: {e}"))?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("{command:?}: {status}")),
            Ok(None) if begun.elapsed() < INSTALL_LIMIT => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) | Err(_) => {
                // It may end by itself in this moment; then there is nothing to kill.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{command:?} did not end within {} s", INSTALL_LIMIT.as_secs()));
            }
        }
    }
}

fn tool(lab: &Lab, work: &Path, name: &'static str, program: PathBuf) -> Tool {
    let dir = work.join(name);
    fs::create_dir_all(&dir).expect("a folder in a temporary folder");
    let command = lab.inside("");
    let mut inside = vec![command.get_program().to_string_lossy().into_owned()];
    inside.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()).filter(|a| !a.is_empty()));
    Tool { name, dir, inside, program, apply: Vec::new(), look: Vec::new(), env: Vec::new() }
}

fn words(text: &[&str]) -> Vec<String> {
    text.iter().map(|word| (*word).to_owned()).collect()
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).expect("a file in a temporary folder");
}

fn ours(lab: &Lab, work: &Path) -> Tool {
    let mut tool = tool(lab, work, "coxswain", env!("CARGO_BIN_EXE_coxswain").into());
    let mut text = format!("locals {{\n  files = [for n in range({FILES}) : format(\"f%02d\", n)]\n}}\n");
    for host in lab.hosts() {
        let name = &host.name;
        text += &host.hcl("root");
        write!(
            text,
            "file \"{name}\" {{\n  for_each = toset(local.files)\n  host     = host.{name}\n  path     = \
             \"{DIR}/${{each.key}}\"\n  source   = \"files/{name}/${{each.key}}\"\n  mode     = \"0640\"\n}}\n"
        )
        .expect("a string takes everything");
    }
    write(&tool.dir, "main.hcl", &text);
    tool.apply = words(&["apply", "--yes"]);
    tool.look = words(&["plan"]);
    tool.env = vec![("COXSWAIN_SSH_CONFIG", lab.ssh_config())];
    tool
}

fn pyinfra(lab: &Lab, work: &Path, venv: &Path) -> Tool {
    let mut tool = tool(lab, work, "pyinfra", venv.join("bin/pyinfra"));
    let mut inventory = String::from("hosts = [\n");
    for host in lab.hosts() {
        let (name, address) = (&host.name, &host.address);
        writeln!(inventory, "    (\"{name}\", {{\"ssh_hostname\": \"{address}\"}}),")
            .expect("a string takes everything");
    }
    let data = format!(
        "]\nhosts = (hosts, {{\"ssh_user\": \"root\", \"ssh_key\": {:?}, \"ssh_known_hosts_file\": {:?}, \
         \"ssh_strict_host_key_checking\": \"yes\"}})\n",
        lab.identity_file(),
        lab.known_hosts()
    );
    write(&tool.dir, "inventory.py", &(inventory + &data));
    let deploy = format!(
        "from pyinfra import host\nfrom pyinfra.operations import files\n\nfor n in range({FILES}):\n    files.put(\n        \
         name=f\"f{{n:02d}}\",\n        src=f\"files/{{host.name}}/f{{n:02d}}\",\n        dest=f\"{DIR}/f{{n:02d}}\",\n        \
         mode=\"640\",\n    )\n"
    );
    write(&tool.dir, "deploy.py", &deploy);
    // Hosts need not wait for each other between two files.
    tool.apply = words(&["inventory.py", "deploy.py", "-y", "--no-wait"]);
    tool.look = words(&["inventory.py", "deploy.py", "--dry"]);
    tool
}

fn ansible(lab: &Lab, work: &Path, venv: &Path) -> Tool {
    let mut tool = tool(lab, work, "ansible-core", venv.join("bin/ansible-playbook"));
    let mut inventory = String::from("[all]\n");
    for host in lab.hosts() {
        writeln!(inventory, "{} ansible_host={}", host.name, host.address)
            .expect("a string takes everything");
    }
    write!(inventory, "\n[all:vars]\nansible_user=root\nansible_python_interpreter={PYTHON}\n")
        .expect("a string takes everything");
    write(&tool.dir, "inventory", &inventory);
    let sockets = tool.dir.join("home/cp");
    let config = format!(
        "[defaults]\ninventory = inventory\nforks = {}\ngathering = explicit\nretry_files_enabled = False\n\n\
         [ssh_connection]\npipelining = True\nssh_args = -F {} -o ControlMaster=auto -o ControlPersist=60s\n\
         control_path_dir = {}\n",
        lab.len(),
        lab.ssh_config().display(),
        sockets.display()
    );
    write(&tool.dir, "ansible.cfg", &config);
    let names: Vec<String> = (0..FILES).map(|n| format!("f{n:02}")).collect();
    let playbook = format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: files\n      ansible.builtin.copy:\n        \
         src: \"files/{{{{ inventory_hostname }}}}/{{{{ item }}}}\"\n        dest: \"{DIR}/{{{{ item }}}}\"\n        \
         mode: \"0640\"\n      loop: [{}]\n",
        names.join(", ")
    );
    write(&tool.dir, "site.yml", &playbook);
    tool.apply = words(&["site.yml"]);
    tool.look = words(&["site.yml", "--check"]);
    tool.env = vec![("ANSIBLE_CONFIG", tool.dir.join("ansible.cfg"))];
    tool
}
