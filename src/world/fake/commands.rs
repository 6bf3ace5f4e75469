//! Programs as a fake host understands them: accounts, packages and units, roughly. Anything else succeeds and does
//! nothing; a rule of the model says otherwise.

use super::model::{Group, HostModel, Package, User};
use crate::resource::act::ActDone;

/// What an account tool says of a name that is there, or is not.
const EXISTS: i32 = 9;
const MISSING: i32 = 6;
/// What systemctl says of a unit that is not there.
const NOT_LOADED: i32 = 5;

/// Options that take a value, by tool; everything else that begins with a dash stands alone.
const VALUED: &[&str] = &[
    "-u",
    "--uid",
    "-g",
    "--gid",
    "-G",
    "--groups",
    "-c",
    "--comment",
    "-d",
    "--home",
    "--home-dir",
    "-s",
    "--shell",
    "-a",
    "--add",
    "-n",
    "--new-name",
    "-o",
    "--option",
];

/// Options and operands of a command line.
#[derive(Debug, Default)]
struct Line {
    flags: Vec<String>,
    values: Vec<(String, String)>,
    operands: Vec<String>,
}

impl Line {
    fn parse(words: &[String], valued: &[&str]) -> Line {
        let mut line = Line::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                line.operands.extend(words.by_ref().cloned());
            } else if let Some((name, value)) = word.split_once('=').filter(|_| word.starts_with("--")) {
                line.values.push((name.to_owned(), value.to_owned()));
            } else if valued.contains(&word.as_str()) {
                line.values.push((word.clone(), words.next().cloned().unwrap_or_default()));
            } else if word.starts_with('-') && word.len() > 1 {
                line.flags.push(word.clone());
            } else {
                line.operands.push(word.clone());
            }
        }
        line
    }
    fn has(&self, names: &[&str]) -> bool {
        self.flags.iter().any(|f| names.contains(&f.as_str()))
    }
    fn value(&self, names: &[&str]) -> Option<&str> {
        self.values.iter().rev().find(|(n, _)| names.contains(&n.as_str())).map(|(_, v)| v.as_str())
    }
    fn name(&self) -> &str {
        self.operands.last().map_or("", String::as_str)
    }
}

fn code(code: i32, stderr: impl Into<String>) -> ActDone {
    ActDone { code, stdout: String::new(), stderr: stderr.into() }
}

/// What is run in the end: of `sh -c SCRIPT NAME ARGUMENTS`, the words of the name and the arguments.
fn effective(argv: &[String]) -> Vec<String> {
    match argv {
        [shell, flag, _, name, rest @ ..] if shell.rsplit('/').next() == Some("sh") && flag == "-c" => {
            name.split(' ').map(str::to_owned).chain(rest.iter().cloned()).collect()
        }
        all => all.to_vec(),
    }
}

impl HostModel {
    /// Runs a program.
    pub(super) fn run(&mut self, argv: &[String]) -> ActDone {
        let words = effective(argv);
        let fits = |prefix: &[String]| words.starts_with(prefix) || argv.starts_with(prefix);
        if let Some(at) = self.on.iter().position(|r| r.times != Some(0) && fits(&r.argv_prefix)) {
            let rule = &mut self.on[at];
            rule.times = rule.times.map(|n| n - 1);
            let rule = rule.clone();
            if let Err(e) = self.merge(&rule.effects) {
                return code(127, format!("effects of a rule of the model: {e}"));
            }
            return ActDone { code: rule.code, stdout: rule.stdout, stderr: rule.stderr };
        }
        let Some((program, arguments)) = words.split_first() else { return code(127, "no program") };
        let arguments = arguments.to_vec();
        match program.rsplit('/').next().unwrap_or(program) {
            "useradd" => self.useradd(&Line::parse(&arguments, VALUED)),
            "usermod" => self.usermod(&arguments),
            "userdel" => self.userdel(&Line::parse(&arguments, &[])),
            "groupadd" => self.groupadd(&Line::parse(&arguments, VALUED)),
            "groupmod" => self.groupmod(&Line::parse(&arguments, VALUED)),
            "groupdel" => self.groupdel(&Line::parse(&arguments, &[])),
            "gpasswd" => self.gpasswd(&Line::parse(&arguments, &["-a", "-d", "--add", "--delete"])),
            "apt-get" => self.apt_get(&Line::parse(&arguments, &["-o", "--option", "-t"])),
            "systemctl" => self.systemctl(&Line::parse(&arguments, &[])),
            _ => ActDone::default(),
        }
    }

    fn free_id(&self, line: &Line) -> u32 {
        let is_system = line.has(&["-r", "--system"]);
        let (from, to) = if is_system { (100, 1000) } else { (1000, 60_000) };
        let is_used =
            |id: u32| self.users.values().any(|u| u.uid == id) || self.groups.values().any(|g| g.gid == id);
        (from..to).find(|id| !is_used(*id)).unwrap_or(to)
    }

    fn useradd(&mut self, line: &Line) -> ActDone {
        let name = line.name().to_owned();
        if self.users.contains_key(&name) {
            return code(EXISTS, format!("useradd: user '{name}' already exists"));
        }
        let wanted = line.value(&["-u", "--uid"]).and_then(|u| u.parse().ok());
        let uid = wanted.unwrap_or_else(|| self.free_id(line));
        let gid = match line.value(&["-g", "--gid"]) {
            Some(group) => match self.gid(group) {
                Some(gid) => gid,
                None => return code(MISSING, format!("useradd: group '{group}' does not exist")),
            },
            None => {
                if self.groups.contains_key(&name) {
                    return code(EXISTS, format!("useradd: group {name} exists"));
                }
                self.groups.insert(name.clone(), Group { gid: uid, members: Vec::new() });
                uid
            }
        };
        if let Err(said) = self.set_groups(&name, line.value(&["-G", "--groups"]).unwrap_or(""), line) {
            return code(MISSING, said);
        }
        let home = line.value(&["-d", "--home", "--home-dir"]).map_or(format!("/home/{name}"), str::to_owned);
        let text = |names: &[&str], other: &str| line.value(names).unwrap_or(other).to_owned();
        let user = User {
            uid,
            gid,
            comment: text(&["-c", "--comment"], ""),
            shell: text(&["-s", "--shell"], "/bin/sh"),
            home: home.clone(),
            ..User::default()
        };
        self.users.insert(name.clone(), user);
        if line.has(&["-m", "--create-home"]) && !self.paths.contains_key(&home) {
            let group = self.group_name(gid).unwrap_or_else(|| gid.to_string());
            let mut node = super::Node { owner: name, group, mtime: self.now(), ..super::Node::directory() };
            "0700".clone_into(&mut node.mode);
            self.paths.insert(home, node);
        }
        ActDone::default()
    }

    /// Makes the user a member of exactly these groups, or with `--append` of these too.
    fn set_groups(&mut self, user: &str, groups: &str, line: &Line) -> Result<(), String> {
        let adds = line.has(&["-a", "--append"]);
        let groups: Vec<&str> = groups.split(',').filter(|g| !g.is_empty()).collect();
        if let Some(missing) = groups.iter().find(|g| !self.groups.contains_key(**g)) {
            return Err(format!("group '{missing}' does not exist"));
        }
        for (name, group) in &mut self.groups {
            let is_wanted = groups.contains(&name.as_str());
            if is_wanted || !adds {
                group.members.retain(|m| m != user);
            }
            if is_wanted {
                group.members.push(user.to_owned());
                group.members.sort();
            }
        }
        Ok(())
    }

    fn usermod(&mut self, arguments: &[String]) -> ActDone {
        // `-a` stands alone here.
        let valued: Vec<&str> = VALUED.iter().copied().filter(|o| !matches!(*o, "-a" | "--add")).collect();
        let arguments: Vec<String> = arguments
            .iter()
            .flat_map(|a| if a == "-aG" { vec!["-a", "-G"] } else { vec![a.as_str()] })
            .map(str::to_owned)
            .collect();
        let line = Line::parse(&arguments, &valued);
        let name = line.name().to_owned();
        if !self.users.contains_key(&name) {
            return code(MISSING, format!("usermod: user '{name}' does not exist"));
        }
        if let Some(groups) = line.value(&["-G", "--groups"])
            && let Err(said) = self.set_groups(&name, groups, &line)
        {
            return code(MISSING, format!("usermod: {said}"));
        }
        let gid = line.value(&["-g", "--gid"]).map(|g| self.gid(g));
        let Some(user) = self.users.get_mut(&name) else { return ActDone::default() };
        match gid {
            Some(None) => return code(MISSING, "usermod: group does not exist"),
            Some(Some(gid)) => user.gid = gid,
            None => {}
        }
        if let Some(uid) = line.value(&["-u", "--uid"]).and_then(|u| u.parse().ok()) {
            user.uid = uid;
        }
        let set = |field: &mut String, names: &[&str]| {
            if let Some(value) = line.value(names) {
                value.clone_into(field);
            }
        };
        set(&mut user.comment, &["-c", "--comment"]);
        set(&mut user.home, &["-d", "--home"]);
        set(&mut user.shell, &["-s", "--shell"]);
        ActDone::default()
    }

    fn userdel(&mut self, line: &Line) -> ActDone {
        let name = line.name().to_owned();
        let Some(user) = self.users.remove(&name) else {
            return code(MISSING, format!("userdel: user '{name}' does not exist"));
        };
        for group in self.groups.values_mut() {
            group.members.retain(|m| *m != name);
        }
        if self.groups.get(&name).is_some_and(|g| g.gid == user.gid && g.members.is_empty()) {
            self.groups.remove(&name);
        }
        if line.has(&["-r", "--remove"]) {
            let below = format!("{}/", user.home);
            self.paths.retain(|path, _| *path != user.home && !path.starts_with(&below));
        }
        ActDone::default()
    }

    fn groupadd(&mut self, line: &Line) -> ActDone {
        let name = line.name().to_owned();
        if self.groups.contains_key(&name) {
            return code(EXISTS, format!("groupadd: group '{name}' already exists"));
        }
        let wanted = line.value(&["-g", "--gid"]).and_then(|g| g.parse().ok());
        let gid = wanted.unwrap_or_else(|| self.free_id(line));
        if self.groups.values().any(|g| g.gid == gid) {
            return code(4, format!("groupadd: GID '{gid}' already exists"));
        }
        self.groups.insert(name, Group { gid, members: Vec::new() });
        ActDone::default()
    }

    fn groupmod(&mut self, line: &Line) -> ActDone {
        let name = line.name().to_owned();
        let Some(mut group) = self.groups.remove(&name) else {
            return code(MISSING, format!("groupmod: group '{name}' does not exist"));
        };
        if let Some(gid) = line.value(&["-g", "--gid"]).and_then(|g| g.parse().ok()) {
            for user in self.users.values_mut().filter(|u| u.gid == group.gid) {
                user.gid = gid;
            }
            group.gid = gid;
        }
        let name = line.value(&["-n", "--new-name"]).map_or(name, str::to_owned);
        self.groups.insert(name, group);
        ActDone::default()
    }

    fn groupdel(&mut self, line: &Line) -> ActDone {
        let name = line.name();
        let Some(group) = self.groups.get(name) else {
            return code(MISSING, format!("groupdel: group '{name}' does not exist"));
        };
        if let Some((user, _)) = self.users.iter().find(|(_, u)| u.gid == group.gid) {
            return code(8, format!("groupdel: cannot remove the primary group of user '{user}'"));
        }
        self.groups.remove(name);
        ActDone::default()
    }

    fn gpasswd(&mut self, line: &Line) -> ActDone {
        let group = line.name().to_owned();
        let Some(found) = self.groups.get_mut(&group) else {
            return code(3, format!("gpasswd: group '{group}' does not exist in /etc/group"));
        };
        if let Some(user) = line.value(&["-d", "--delete"]) {
            if !found.members.iter().any(|m| m == user) {
                return code(3, format!("gpasswd: user '{user}' is not a member of '{group}'"));
            }
            found.members.retain(|m| m != user);
        }
        if let Some(user) = line.value(&["-a", "--add"]).map(str::to_owned) {
            if !self.users.contains_key(&user) {
                return code(3, format!("gpasswd: user '{user}' does not exist"));
            }
            found.members.retain(|m| *m != user);
            found.members.push(user);
            found.members.sort();
        }
        ActDone::default()
    }

    fn apt_get(&mut self, line: &Line) -> ActDone {
        let Some((verb, names)) = line.operands.split_first() else { return ActDone::default() };
        // A number among the names is an argument of the script around apt-get.
        for name in names.iter().filter(|n| !n.bytes().all(|b| b.is_ascii_digit())) {
            let name = name.split('=').next().unwrap_or(name).trim_end_matches('+');
            match verb.as_str() {
                "install" => {
                    let is_there = self.packages.get(name).is_some_and(|p| p.answer().installed);
                    if is_there {
                        continue;
                    }
                    let mut package = serde_json::json!({ name: "1.0-1" });
                    if let Some(brings) = self.available.get(name).cloned() {
                        if let Some(version) = brings.get("version") {
                            package = serde_json::json!({ name: version });
                        }
                        let effects = brings.get("effects").cloned().unwrap_or_default();
                        if let Err(e) = self.merge(&effects) {
                            return code(100, format!("effects of a package of the model: {e}"));
                        }
                    }
                    if let Err(e) = self.merge(&serde_json::json!({ "packages": package })) {
                        return code(100, format!("a package of the model: {e}"));
                    }
                }
                "remove" | "purge" | "autoremove" => match self.packages.get(name).map(Package::answer) {
                    Some(mut answer) if verb == "remove" => {
                        answer.installed = false;
                        self.packages.insert(name.to_owned(), Package::Answer(answer));
                    }
                    Some(_) | None => {
                        self.packages.remove(name);
                    }
                },
                _ => {}
            }
        }
        ActDone::default()
    }

    fn systemctl(&mut self, line: &Line) -> ActDone {
        let Some((verb, names)) = line.operands.split_first() else { return ActDone::default() };
        if verb == "daemon-reload" {
            self.daemon_reload();
            return ActDone::default();
        }
        for name in names {
            let name = if name.contains('.') { name.clone() } else { format!("{name}.service") };
            let unit = self.unit(&name);
            let answer = self.systemctl_one(verb, &name, unit, line);
            if answer.code != 0 {
                return answer;
            }
        }
        ActDone::default()
    }

    fn daemon_reload(&mut self) {
        let gone: Vec<String> = self
            .units
            .iter()
            .filter(|(_, u)| u.fragment.starts_with("/etc/") && !self.paths.contains_key(&u.fragment))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            let is_active = self.units.get(&name).is_some_and(|u| u.active == "active");
            if !is_active {
                self.units.remove(&name);
            }
        }
        for unit in self.units.values_mut() {
            unit.needs_reload = false;
        }
    }

    fn systemctl_one(&mut self, verb: &str, name: &str, mut unit: super::Unit, line: &Line) -> ActDone {
        let is_missing = unit.load == "not-found";
        let starts = matches!(verb, "start" | "restart" | "reload-or-restart" | "try-restart");
        if starts && unit.load == "masked" {
            return code(1, format!("Failed to {verb} {name}: Unit {name} is masked."));
        }
        if is_missing && (starts || verb == "stop") {
            return code(NOT_LOADED, format!("Failed to {verb} {name}: Unit {name} not found."));
        }
        if is_missing && matches!(verb, "enable" | "disable") {
            return code(1, format!("Failed to {verb} unit: Unit file {name} does not exist."));
        }
        let runs = unit.active == "active";
        let start = |unit: &mut super::Unit, at: i64| {
            "active".clone_into(&mut unit.active);
            "running".clone_into(&mut unit.sub);
            unit.started = at;
        };
        let stop = |unit: &mut super::Unit| {
            "inactive".clone_into(&mut unit.active);
            "dead".clone_into(&mut unit.sub);
            unit.started = 0;
        };
        match verb {
            "start" if !runs => start(&mut unit, self.now()),
            "restart" | "reload-or-restart" => start(&mut unit, self.now()),
            "try-restart" if runs => start(&mut unit, self.now()),
            "stop" => stop(&mut unit),
            "enable" | "disable" => {
                if unit.enabled != "static" {
                    unit.enabled = format!("{verb}d");
                }
                match (line.has(&["--now"]), verb) {
                    (true, "enable") if !runs => start(&mut unit, self.now()),
                    (true, "disable") => stop(&mut unit),
                    _ => {}
                }
            }
            "mask" => {
                "masked".clone_into(&mut unit.load);
                let beneath = std::mem::replace(&mut unit.enabled, "masked".to_owned());
                self.beneath.insert(name.to_owned(), beneath);
            }
            "unmask" if unit.load == "masked" => {
                "loaded".clone_into(&mut unit.load);
                unit.enabled = self.beneath.remove(name).unwrap_or_else(|| "disabled".to_owned());
            }
            _ => {}
        }
        self.units.insert(name.to_owned(), unit);
        ActDone::default()
    }
}
