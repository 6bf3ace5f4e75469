//! What a fake host is, and what it answers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::said::Said;
use crate::resource::answer::{
    Answer, FactsAnswer, FileType, GroupAnswer, PackageAnswer, StatAnswer, UnitAnswer, UserAnswer,
};
use crate::resource::probe::{CONTENT_LIMIT, Probe};

/// When everything a model starts with was made; each act is a second later.
const START: i64 = 1_700_000_000;
/// Directories every host has.
const DIRECTORIES: &[&str] = &[
    "/",
    "/etc",
    "/etc/systemd",
    "/etc/systemd/system",
    "/home",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/local",
    "/usr/local/bin",
    "/var",
    "/var/lib",
    "/var/log",
];

/// A host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostModel {
    /// What tells it from others.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub machine_id: String,
    /// What is different from a usual host.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub facts: Value,
    /// Why it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
    /// Files, directories and links.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<String, Node>,
    /// Users by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, User>,
    /// Groups by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Group>,
    /// What dpkg knows.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub packages: BTreeMap<String, Package>,
    /// What systemd knows.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, Unit>,
    /// What masked units are without their mask: enabled or not.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub beneath: BTreeMap<String, String>,
    /// What installing a package brings, merged into the host; packages that are not here bring nothing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub available: BTreeMap<String, Value>,
    /// What programs that only read say, by name and arguments: the text, or an object with `code` and `text`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub says: BTreeMap<String, Said>,
    /// Kept contents by digest, base64.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, String>,
    /// Programs that do something else than usual; the first that fits is taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Rule>,
    /// Seconds that have passed.
    #[serde(skip_serializing_if = "is_zero")]
    pub clock: i64,
    /// The guard.
    #[serde(skip)]
    pub armed: Option<super::guard::Armed>,
    /// The token of the guard that has fired.
    #[serde(skip)]
    pub fired: Option<String>,
    /// Looks in vain since it cannot be reached.
    #[serde(skip)]
    pub looks: u32,
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// File, directory, symlink or other.
    #[serde(rename = "type")]
    pub file_type: FileType,
    /// Four octal digits; `0644` for files and `0755` for directories where nothing is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// Name or number.
    pub owner: String,
    /// Name or number.
    pub group: String,
    /// Content that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Content that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_base64: Option<String>,
    /// Modification time.
    #[serde(skip_serializing_if = "is_start")]
    pub mtime: i64,
    /// Why nobody may look at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// A user; its supplementary groups are the groups that name it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// Number.
    pub uid: u32,
    /// Number of the primary group.
    pub gid: u32,
    /// The GECOS field.
    pub comment: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Read, and turned into members of these groups.
    #[serde(skip_serializing)]
    pub groups: Vec<String>,
    /// Read, for compatibility with answers; the gid counts.
    #[serde(skip_serializing)]
    pub primary_group: String,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Number.
    pub gid: u32,
    /// Members by name.
    pub members: Vec<String>,
}

/// A package: its version, or the whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Package {
    /// Installed and whole.
    Version(String),
    /// As dpkg says.
    Answer(PackageAnswer),
}

/// A unit, as systemd answers.
pub type Unit = UnitAnswer;

/// A program that does something else than usual.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Programs that begin so.
    pub argv_prefix: Vec<String>,
    /// Exit code.
    pub code: i32,
    /// Output.
    pub stdout: String,
    /// Error output.
    pub stderr: String,
    /// Merged into the host: objects merge, `null` removes.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub effects: Value,
    /// How often it still fits; always where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

impl Default for Node {
    fn default() -> Node {
        Node {
            file_type: FileType::File,
            mode: String::new(),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            content: None,
            content_base64: None,
            mtime: START,
            unreadable: None,
        }
    }
}

// serde's skip_serializing_if passes references.
fn is_zero(n: &i64) -> bool {
    *n == 0
}
fn is_start(n: &i64) -> bool {
    *n == START
}

impl Node {
    /// A directory of root's.
    pub fn directory() -> Node {
        Node { file_type: FileType::Directory, mode: "0755".to_owned(), ..Node::default() }
    }
    /// The content.
    pub fn bytes(&self) -> Vec<u8> {
        match (&self.content, &self.content_base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(text)) => STANDARD.decode(text).unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }
    /// Replaces the content: text where it is text.
    pub fn set_bytes(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => (self.content, self.content_base64) = (Some(text.to_owned()), None),
            Err(_) => (self.content, self.content_base64) = (None, Some(STANDARD.encode(bytes))),
        }
    }
    /// SHA-256 of the content.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.bytes()))
    }
}

impl Package {
    /// As dpkg says.
    pub fn answer(&self) -> PackageAnswer {
        match self {
            Package::Version(version) => {
                PackageAnswer { version: version.clone(), installed: true, held: false, broken: false }
            }
            Package::Answer(answer) => answer.clone(),
        }
    }
}

impl HostModel {
    /// Adds what every host has and fills in what may be left out.
    pub fn complete(&mut self) {
        let mut directories: Vec<String> = DIRECTORIES.iter().map(|d| (*d).to_owned()).collect();
        for path in self.paths.keys() {
            directories.extend(path.match_indices('/').skip(1).map(|(at, _)| path[..at].to_owned()));
        }
        for directory in directories {
            self.paths.entry(directory).or_insert_with(Node::directory);
        }
        for node in self.paths.values_mut() {
            node.mode = match (node.mode.as_str(), node.file_type) {
                ("", FileType::Directory) => "0755".to_owned(),
                ("", FileType::Symlink) => "0777".to_owned(),
                ("", FileType::File | FileType::Other) => "0644".to_owned(),
                (mode, _) => format!("{mode:0>4}"),
            };
        }
        self.groups.entry("root".to_owned()).or_default();
        self.users.entry("root".to_owned()).or_insert_with(|| User {
            comment: "root".to_owned(),
            home: "/root".to_owned(),
            shell: "/bin/bash".to_owned(),
            ..User::default()
        });
        self.complete_accounts();
        for unit in self.units.values_mut() {
            let is_active = unit.active == "active";
            let fill = |field: &mut String, text: &str| {
                if field.is_empty() {
                    text.clone_into(field);
                }
            };
            fill(&mut unit.load, "loaded");
            fill(&mut unit.active, "inactive");
            fill(&mut unit.sub, if is_active { "running" } else { "dead" });
            fill(&mut unit.enabled, "disabled");
            if is_active && unit.started == 0 {
                unit.started = START;
            }
        }
    }

    fn complete_accounts(&mut self) {
        for (name, user) in &mut self.users {
            if user.uid != 0 && user.gid == 0 {
                user.gid = user.uid;
            }
            if !self.groups.values().any(|g| g.gid == user.gid) {
                let group = if user.primary_group.is_empty() { name } else { &user.primary_group };
                self.groups.insert(group.clone(), Group { gid: user.gid, members: Vec::new() });
            }
            for group in std::mem::take(&mut user.groups) {
                let free = self.groups.values().map(|g| g.gid).max().unwrap_or(0).max(999) + 1;
                let group =
                    self.groups.entry(group).or_insert_with(|| Group { gid: free, members: Vec::new() });
                group.members.push(name.clone());
            }
        }
        for group in self.groups.values_mut() {
            group.members.sort();
            group.members.dedup();
        }
    }

    /// Without what every host has.
    pub(super) fn essential(&self) -> HostModel {
        let mut usual = HostModel::default();
        usual.complete();
        let mut host = self.clone();
        host.paths.retain(|path, node| usual.paths.get(path) != Some(node));
        host.users.retain(|name, user| usual.users.get(name) != Some(user));
        host.groups.retain(|name, group| usual.groups.get(name) != Some(group));
        host
    }

    /// Merges JSON into the host.
    pub(super) fn merge(&mut self, patch: &Value) -> Result<(), serde_json::Error> {
        let mut whole = serde_json::to_value(&*self)?;
        merge(&mut whole, patch);
        let mut merged: HostModel = serde_json::from_value(whole)?;
        merged.complete();
        // The guard is not part of the text.
        merged.armed = std::mem::take(&mut self.armed);
        merged.fired = std::mem::take(&mut self.fired);
        *self = merged;
        Ok(())
    }

    /// The time at the host.
    pub(super) fn now(&self) -> i64 {
        START + self.clock
    }

    /// The answer to a probe.
    pub fn answer(&self, name: &str, probe: &Probe) -> Answer {
        match probe {
            Probe::Facts => self.facts(name),
            Probe::Stat(path) => self.node(path, |node| Answer::Stat(self.stat(node))),
            Probe::Digest(path) => self.file(path, |node| Answer::Digest(node.digest())),
            Probe::Content(path) => self.file(path, |node| {
                let bytes = node.bytes();
                if bytes.len() > CONTENT_LIMIT { Answer::TooLong } else { Answer::Content(bytes) }
            }),
            Probe::User(name) => {
                self.users.get(name).map_or(Answer::Absent, |user| Answer::User(self.user(name, user)))
            }
            Probe::Group(name) => self.groups.get(name).map_or(Answer::Absent, |group| {
                Answer::Group(GroupAnswer { gid: group.gid, members: group.members.clone() })
            }),
            Probe::Package(name) => {
                self.packages.get(name).map_or(Answer::Absent, |package| Answer::Package(package.answer()))
            }
            Probe::Unit(name) => Answer::Unit(self.unit(name)),
            Probe::Says { program, words } => super::said::answer(&self.says, program.name, words),
        }
    }

    fn facts(&self, name: &str) -> Answer {
        let mut all = serde_json::json!({
            "machine_id": self.machine_id, "boot_id": "boot-1", "os": "debian", "os_version": "12",
            "arch": "amd64", "hostname": name.rsplit('.').next().unwrap_or(name), "kernel": "6.1.0-18-amd64",
            "user": "root",
        });
        merge(&mut all, &self.facts);
        serde_json::from_value::<FactsAnswer>(all)
            .map_or_else(|e| Answer::Unknown(format!("facts of the model: {e}")), Answer::Facts)
    }

    fn node(&self, path: &str, answer: impl FnOnce(&Node) -> Answer) -> Answer {
        for (at, _) in path.match_indices('/').skip(1) {
            if let Some(reason) = self.paths.get(&path[..at]).and_then(|n| n.unreadable.clone()) {
                return Answer::Unknown(reason);
            }
        }
        self.paths.get(path).map_or(Answer::Absent, answer)
    }

    fn file(&self, path: &str, answer: impl FnOnce(&Node) -> Answer) -> Answer {
        self.node(path, |node| match (&node.unreadable, node.file_type) {
            (Some(reason), _) => Answer::Unknown(reason.clone()),
            (None, FileType::File) => answer(node),
            (None, FileType::Directory | FileType::Symlink | FileType::Other) => {
                Answer::Unknown("not a regular file".to_owned())
            }
        })
    }

    fn stat(&self, node: &Node) -> StatAnswer {
        let uid = self.uid(&node.owner).unwrap_or(u32::MAX);
        let gid = self.gid(&node.group).unwrap_or(u32::MAX);
        StatAnswer {
            file_type: node.file_type,
            mode: node.mode.clone(),
            uid,
            gid,
            owner: self.user_name(uid).unwrap_or_else(|| node.owner.clone()),
            group: self.group_name(gid).unwrap_or_else(|| node.group.clone()),
            size: node.bytes().len() as u64,
            mtime: node.mtime,
        }
    }

    /// The number of a user by name or number.
    pub(super) fn uid(&self, name: &str) -> Option<u32> {
        self.users.get(name).map(|u| u.uid).or_else(|| name.parse().ok())
    }
    /// The number of a group by name or number.
    pub(super) fn gid(&self, name: &str) -> Option<u32> {
        self.groups.get(name).map(|g| g.gid).or_else(|| name.parse().ok())
    }
    fn user_name(&self, uid: u32) -> Option<String> {
        self.users.iter().find(|(_, u)| u.uid == uid).map(|(name, _)| name.clone())
    }
    /// The name of a group by number.
    pub(super) fn group_name(&self, gid: u32) -> Option<String> {
        self.groups.iter().find(|(_, g)| g.gid == gid).map(|(name, _)| name.clone())
    }

    fn user(&self, name: &str, user: &User) -> UserAnswer {
        let groups = self
            .groups
            .iter()
            .filter(|(_, g)| g.gid != user.gid && g.members.iter().any(|m| m == name))
            .map(|(name, _)| name.clone())
            .collect();
        UserAnswer {
            uid: user.uid,
            gid: user.gid,
            primary_group: self.group_name(user.gid).unwrap_or_else(|| user.gid.to_string()),
            comment: user.comment.clone(),
            home: user.home.clone(),
            shell: user.shell.clone(),
            groups,
        }
    }

    /// A unit; one that only has a file is loaded when it is asked for.
    pub(super) fn unit(&self, name: &str) -> Unit {
        if let Some(unit) = self.units.get(name) {
            return unit.clone();
        }
        let fragment = format!("/etc/systemd/system/{name}");
        let file = self.paths.get(&fragment).filter(|n| n.file_type == FileType::File);
        let (load, enabled, fragment) = match file {
            None => ("not-found", "", String::new()),
            Some(node) if node.content.as_deref().is_some_and(|c| c.contains("[Install]")) => {
                ("loaded", "disabled", fragment)
            }
            Some(_) => ("loaded", "static", fragment),
        };
        Unit {
            load: load.to_owned(),
            active: "inactive".to_owned(),
            sub: "dead".to_owned(),
            enabled: enabled.to_owned(),
            fragment,
            needs_reload: false,
            started: 0,
            asked: 0,
        }
    }
}

/// RFC 7396: objects merge, `null` removes, everything else replaces. A `null` patch changes nothing.
fn merge(into: &mut Value, patch: &Value) {
    match patch {
        Value::Null => {}
        Value::Object(fields) => {
            if !into.is_object() {
                *into = Value::Object(serde_json::Map::new());
            }
            let Value::Object(target) = into else { return };
            for (key, value) in fields {
                if value.is_null() {
                    target.remove(key);
                } else {
                    merge(target.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => *into = patch.clone(),
    }
}
