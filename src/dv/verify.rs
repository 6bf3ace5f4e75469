//! Whether files of a cluster are what they should be: alone, and those of a node's directory with one another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use coxswain_dv_cluster::{Missing, own_shares};
use coxswain_dv_crypto::bls::{self, PublicKey, Signature};
use coxswain_dv_keystore as keystore;
use coxswain_dv_types::causes::in_full;
use coxswain_dv_types::cluster::{ContractQuestion, Definition, Lock};
use coxswain_dv_types::deposit;
use coxswain_dv_types::network::Networks;
use serde_json::Value as Json;

use super::contracts::Contracts;
use super::keystores::{self, DIRECTORY};
use super::{LOCK, key};

/// Largest file that is read.
const MAX_BYTES: u64 = 512 << 20;

/// What was found of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file or directory.
    pub path: PathBuf,
    /// What it is: "lock of a cluster".
    pub kind: &'static str,
    /// What is wrong with it, and where; nothing where it is fine.
    pub problems: Vec<String>,
    /// Signatures that only contracts can explain: problems, until they are asked.
    pub questions: Vec<ContractQuestion>,
}

impl Finding {
    fn of(path: &Path, kind: &'static str, checked: Result<(), String>) -> Finding {
        Finding::asking(path, kind, checked.map(|()| Vec::new()))
    }

    fn asking(path: &Path, kind: &'static str, checked: Result<Vec<ContractQuestion>, String>) -> Finding {
        let (questions, problems) = match checked {
            Ok(questions) => (questions, Vec::new()),
            Err(problem) => (Vec::new(), vec![problem]),
        };
        Finding { path: path.to_owned(), kind, problems, questions }
    }
}

/// Answers what is open, or makes problems of it.
pub async fn settle(findings: &mut [Finding], contracts: &Contracts) {
    for finding in findings {
        let questions = std::mem::take(&mut finding.questions);
        if let Err(unsettled) = contracts.settle(&questions).await {
            finding.problems.push(unsettled.to_string());
        }
    }
}

/// Looks at a file, or at a node's directory with everything in it. Nothing of a key or a password is in what comes back.
/// What contracts must be asked is left to [`settle`].
///
/// # Errors
/// It cannot be read at all.
pub fn verify(path: &Path, networks: &Networks) -> io::Result<Vec<Finding>> {
    if fs::metadata(path)?.is_dir() {
        return node_directory(path, networks);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name == key::FILE {
        return Ok(vec![Finding::of(
            path,
            "private key of a node",
            key::load(path).map(drop).map_err(|e| in_full(&e)),
        )]);
    }
    let bytes = read(path)?;
    Ok(vec![file(path, &bytes, networks)])
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {MAX_BYTES} bytes"),
        ));
    }
    fs::read(path)
}

/// A file by what is in it.
fn file(path: &Path, bytes: &[u8], networks: &Networks) -> Finding {
    let json: Option<Json> = serde_json::from_slice(bytes).ok();
    let has = |name: &str| {
        let members = json.as_ref().and_then(Json::as_object);
        members.is_some_and(|members| members.keys().any(|key| key.eq_ignore_ascii_case(name)))
    };
    match &json {
        None => Finding::of(
            path,
            "file",
            Err("it is no JSON; known are locks, definitions, keystores and deposits".into()),
        ),
        Some(Json::Array(_)) => Finding::of(path, "deposits", deposits(bytes, networks).map(drop)),
        Some(_) if has("cluster_definition") => {
            Finding::asking(path, "lock of a cluster", lock(bytes, networks).map(|(_, questions)| questions))
        }
        Some(_) if has("definition_hash") => {
            Finding::asking(path, "definition of a cluster", definition(bytes, networks))
        }
        Some(_) if has("crypto") => {
            Finding::of(path, "keystore", keystore::parse(bytes).map(drop).map_err(|e| in_full(&e)))
        }
        Some(_) => Finding::of(
            path,
            "file",
            Err("it is none of a lock, a definition, a keystore and deposits".into()),
        ),
    }
}

fn definition(bytes: &[u8], networks: &Networks) -> Result<Vec<ContractQuestion>, String> {
    let definition = Definition::parse(bytes).map_err(|e| e.to_string())?;
    definition.verify(networks).map_err(|problem| problem.to_string())
}

fn lock(bytes: &[u8], networks: &Networks) -> Result<(Lock, Vec<ContractQuestion>), String> {
    let lock = Lock::parse(bytes).map_err(|e| e.to_string())?;
    let questions = lock.verify(networks).map_err(|problem| problem.to_string())?;
    Ok((lock, questions))
}

/// Deposits by the launchpad's rules: roots, network, amount, signature. Gives back their keys.
fn deposits(bytes: &[u8], networks: &Networks) -> Result<Vec<[u8; 48]>, String> {
    let read = deposit::parse(bytes).map_err(|e| e.to_string())?;
    for (position, entry) in read.iter().enumerate() {
        let wrong = |why: String| format!("deposit {position}: {why}");
        let network = networks.of(entry.fork_version).ok_or_else(|| {
            wrong(format!("fork_version 0x{} is of no known network", hex::encode(entry.fork_version)))
        })?;
        if network.name != entry.network_name {
            return Err(wrong(format!(
                "network_name is {}, and its fork version is that of {}",
                entry.network_name, network.name
            )));
        }
        let message = &entry.data.message;
        let public = PublicKey::from_bytes(&message.pubkey).map_err(|e| wrong(format!("pubkey: {e}")))?;
        let signature =
            Signature::from_bytes(&entry.data.signature).map_err(|e| wrong(format!("signature: {e}")))?;
        if !bls::verify(&public, &message.signing_root(network), &signature) {
            return Err(wrong(
                "signature: it is not of the key, or not over this deposit on this network".into(),
            ));
        }
    }
    Ok(read.into_iter().map(|entry| entry.data.message.pubkey).collect())
}

/// Everything in a node's directory, and whether it is all of one node of one cluster.
fn node_directory(dir: &Path, networks: &Networks) -> io::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let lock_path = dir.join(LOCK);
    let found = match read(&lock_path) {
        Ok(bytes) => lock(&bytes, networks),
        Err(error) => Err(format!("it cannot be read: {error}")),
    };
    let (lock, checked) = match found {
        Ok((lock, questions)) => (Some(lock), Ok(questions)),
        Err(why) => (None, Err(why)),
    };
    findings.push(Finding::asking(&lock_path, "lock of a cluster", checked));

    let key_path = dir.join(key::FILE);
    let identity = key::load(&key_path);
    let index = match (&identity, &lock) {
        (Ok(identity), Some(lock)) => lock.definition.share_index(&identity.public()),
        _ => None,
    };
    let checked = match (&identity, &lock, index) {
        (Err(error), ..) => Err(in_full(error)),
        (Ok(_), Some(_), None) => Err("it is the key of no node of the lock".to_owned()),
        (Ok(_), ..) => Ok(()),
    };
    findings.push(Finding::of(&key_path, "private key of a node", checked));

    let mut names: Vec<PathBuf> =
        fs::read_dir(dir)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
    names.sort();
    for path in names {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("deposit-data") && name.ends_with(".json") {
            let bytes = read(&path)?;
            let keys = deposits(&bytes, networks).and_then(|keys| match &lock {
                Some(lock) => of_the_lock(&keys, lock),
                None => Ok(()),
            });
            findings.push(Finding::of(&path, "deposits", keys));
        } else if name == "cluster-definition.json" {
            let bytes = read(&path)?;
            findings.push(file(&path, &bytes, networks));
        }
    }
    let keys = dir.join(DIRECTORY);
    if keys.is_dir() {
        let checked = keystores::load_sequence(&keys).map_err(|e| in_full(&e)).and_then(|secrets| {
            match (&lock, index) {
                (Some(lock), Some(index)) => {
                    let own = own_shares(lock, index, &secrets, Missing::Refuse);
                    own.map(drop).map_err(|e| e.to_string())
                }
                _ => Ok(()),
            }
        });
        findings.push(Finding::of(&keys, "keystores", checked));
    }
    Ok(findings)
}

fn of_the_lock(keys: &[[u8; 48]], lock: &Lock) -> Result<(), String> {
    let known: Vec<&[u8]> = lock.validators.iter().map(|v| &*v.public_key).collect();
    match keys.iter().find(|key| !known.contains(&key.as_slice())) {
        None => Ok(()),
        Some(key) => Err(format!("0x{} is no validator of the lock", hex::encode(key))),
    }
}
