//! What a state holds: plain data, ordered, the same bytes for the same content.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use coxswain_model::Address;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Version of the snapshot and of the journal; a reader refuses a later one.
pub const FORMAT: u32 = 1;

/// Everything coxswain knows it has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// See [`FORMAT`].
    pub format: u32,
    /// Names the state for ever; two states with different lineages have nothing to do with each other.
    pub lineage: String,
    /// Counts the snapshots of one lineage.
    pub serial: u64,
    /// Fingerprint of the key that the digests in this state were made with; see [`crate::Digester`].
    pub digest_key: Option<String>,
    /// The instances, by address.
    pub instances: BTreeMap<Address, Record>,
    /// Who holds what must exist in one place at a time. Entries are never removed.
    pub claims: BTreeMap<ClaimKey, Claim>,
    /// The outputs of the root module.
    pub outputs: BTreeMap<String, OutputRecord>,
    /// Steps that began and of which no outcome is known; their instances are observed again by the next plan.
    pub indeterminate: BTreeMap<Address, OpenIntent>,
}

impl State {
    /// An empty state of this lineage, serial 0.
    pub fn new(lineage: impl Into<String>) -> State {
        State {
            format: FORMAT,
            lineage: lineage.into(),
            serial: 0,
            digest_key: None,
            instances: BTreeMap::new(),
            claims: BTreeMap::new(),
            outputs: BTreeMap::new(),
            indeterminate: BTreeMap::new(),
        }
    }

    /// The instance with this uid. Walks the whole state.
    pub fn by_uid(&self, uid: &str) -> Option<(&Address, &Record)> {
        self.instances.iter().find(|(_, record)| record.uid == uid)
    }

    /// The instances that live on the host with this uid, in order.
    pub fn on_endpoint<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = (&'a Address, &'a Record)> {
        self.instances.iter().filter(move |(_, record)| record.endpoint.as_deref() == Some(uid))
    }
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Names the instance for ever; marks on hosts, claims and dependencies use it, so that a move is only a move.
    pub uid: String,
    /// The kind.
    pub kind: String,
    /// The version of the kind's schema that the attributes were written with.
    pub schema_version: u32,
    /// The uid of the host instance it lives on; `None` for the controller or nowhere.
    pub endpoint: Option<String>,
    /// The object's name at its endpoint: `/etc/motd`.
    pub identity: String,
    /// Last applied identity, owned and setting attributes, and the computed ones; sensitive leaves are
    /// `{"$digest":"hmac-sha256:…"}`.
    pub attributes: serde_json::Map<String, Json>,
    /// What was there before it was first touched; `None` while it has not been touched.
    pub before: Option<Before>,
    /// The uids it depends on, for the order of removal.
    pub depends_on: Vec<String>,
    /// How it stands.
    pub status: Status,
    /// Since when it runs or waits.
    pub since: Option<String>,
    /// The parties it waits for.
    pub waiting_on: Vec<String>,
    /// What a later run needs to take up what runs or waits.
    pub handle: Option<Json>,
    /// What its removal from the configuration means.
    pub on_destroy: OnDestroy,
    /// Ports by which its host may have to be reached: a step began that moves sshd there, and its end is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_ports: Vec<u16>,
}

impl Record {
    /// A record of an instance that is in order and has no attributes yet.
    pub fn new(uid: impl Into<String>, kind: impl Into<String>, identity: impl Into<String>) -> Record {
        Record {
            uid: uid.into(),
            kind: kind.into(),
            schema_version: 1,
            endpoint: None,
            identity: identity.into(),
            attributes: serde_json::Map::new(),
            before: None,
            depends_on: Vec::new(),
            status: Status::Ok,
            since: None,
            waiting_on: Vec::new(),
            handle: None,
            on_destroy: OnDestroy::Destroy,
            other_ports: Vec::new(),
        }
    }
}

/// What was there before coxswain first touched the object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// Nothing.
    Absent,
    /// An object with these owned attributes; contents are `{"$blob":"sha256:…"}`, kept on the host.
    Present(serde_json::Map<String, Json>),
}

/// How an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As last applied.
    Ok,
    /// To be replaced by the next apply.
    Tainted,
    /// A step began and its outcome is not known.
    Indeterminate,
    /// Something goes on at the endpoint.
    Running,
    /// Others must act first.
    Waiting,
    /// Left in the world, no longer looked after.
    Released,
}

/// What the removal of an instance from the configuration does to its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDestroy {
    /// It is removed, and what was there before is given back.
    #[default]
    Destroy,
    /// It stays.
    Retain,
    /// It is an error.
    Forbid,
}

/// An output of the root module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRecord {
    /// Its value; a keyed digest where it is sensitive.
    pub value: Json,
    /// Whether it is sensitive.
    pub sensitive: bool,
}

/// What is claimed: `validator_key:0xabc…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    /// What kind of thing; holds no colon.
    pub name: String,
    /// Which one.
    pub value: String,
}

impl ClaimKey {
    /// A key. A colon in `name` would be read back as the end of it, so it is replaced.
    pub fn new(name: &str, value: &str) -> ClaimKey {
        ClaimKey { name: name.replace(':', "_"), value: value.to_owned() }
    }
}

impl fmt::Display for ClaimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.value)
    }
}

/// A text without a colon is no claim key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a claim; write NAME:VALUE")]
pub struct ClaimKeyError(pub String);

impl FromStr for ClaimKey {
    type Err = ClaimKeyError;

    fn from_str(text: &str) -> Result<ClaimKey, ClaimKeyError> {
        let (name, value) = text.split_once(':').ok_or_else(|| ClaimKeyError(text.to_owned()))?;
        Ok(ClaimKey { name: name.to_owned(), value: value.to_owned() })
    }
}

impl Serialize for ClaimKey {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClaimKey {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<ClaimKey, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How far a thing that is claimed has moved to its next holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The holder uses it.
    Held,
    /// The holder is being stopped.
    Stopping,
    /// The holder is proved not to use it any more.
    ProvedGone,
    /// Its signing history is exported.
    Exported,
    /// The history is being imported at the next holder.
    Importing,
}

/// Who holds a thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The uid of the holder.
    pub holder: String,
    /// How far the move is.
    pub phase: Phase,
    /// The uid of the next holder, while it moves.
    pub to: Option<String>,
    /// What proves that the holder is gone.
    pub evidence: Option<Json>,
    /// The next holder must not start before this epoch.
    pub not_before_epoch: Option<u64>,
}

impl Claim {
    /// The claim of `holder`, who uses the thing.
    pub fn held(holder: impl Into<String>) -> Claim {
        Claim { holder: holder.into(), phase: Phase::Held, to: None, evidence: None, not_before_epoch: None }
    }

    /// Whether `next` may follow: the holder changes only to the named next one, and only after evidence that the
    /// former holder is gone.
    ///
    /// # Errors
    /// The rule that would be broken.
    pub fn may_become(&self, next: &Claim) -> Result<(), &'static str> {
        let gone = match self.phase {
            Phase::Held | Phase::Stopping => false,
            Phase::ProvedGone | Phase::Exported | Phase::Importing => self.evidence.is_some(),
        };
        if next.holder != self.holder {
            if !gone {
                return Err("the holder is not proved gone");
            }
            if self.to.as_ref() != Some(&next.holder) {
                return Err("the new holder is not the one the claim was moving to");
            }
            return Ok(());
        }
        match next.phase {
            Phase::Held | Phase::Stopping => Ok(()),
            Phase::ProvedGone | Phase::Exported | Phase::Importing if next.evidence.is_some() => Ok(()),
            Phase::ProvedGone | Phase::Exported | Phase::Importing => {
                Err("a holder is proved gone by evidence only")
            }
        }
    }
}

/// A step that began and of which no outcome is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenIntent {
    /// The run it belonged to.
    pub run: String,
    /// The step: `ADDRESS#NAME`.
    pub step: String,
    /// What it was doing: `create`.
    pub verb: String,
    /// The instance's uid.
    pub uid: String,
    /// The object's name at its endpoint.
    pub identity: String,
    /// When it began.
    pub at: String,
}
