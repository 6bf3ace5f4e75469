//! `inspect FILE`: what a file of a node is, and what may be shown of it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_types::cluster::{Definition, Lock};
use coxswain_dv_types::enr;
use coxswain_dv_types::network::NETWORKS;
use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use super::super::error::CliError;
use super::super::render::{clean, json};
use super::super::{Cx, Exit, Format, Run};

/// Longest file that is read: what is taken of a definition from a network.
const MAX_BYTES: usize = 16 << 20;

/// Say what a file of a node is, without a secret of it
#[derive(Debug, clap::Parser)]
#[command(
    name = "inspect",
    after_help = "Examples:\n  coxswain dv inspect .charon/charon-enr-private-key\n  \
        coxswain dv inspect .charon/validator_keys/keystore-0.json --json\n\n\
        Knows the key of a node, node records, keystores, definitions and locks of clusters. No password is needed, and no\n\
        secret is shown. Hashes are checked, signatures are not."
)]
pub(super) struct Inspect {
    /// The file, or a node record itself
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What a file is and what it says, in order.
#[derive(Debug)]
struct Report {
    kind: &'static str,
    fields: Vec<(&'static str, String)>,
}

/// What a reader makes of a file; `None` where it is of another kind, an error where it is a broken one of this.
type Reading = Option<Result<Report, String>>;

/// What is known, the first that takes a file counts.
const READERS: &[fn(&[u8]) -> Reading] = &[node_key, record, keystore, lock, definition];

impl Run for Inspect {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let path = cx.root.join(&self.file);
        let bytes = match self.file.to_str() {
            Some(text) if text.starts_with("enr:") => Zeroizing::new(text.as_bytes().to_vec()),
            Some(_) | None => read(&path).map_err(|error| {
                CliError::other(
                    format!("reading {}", path.display()),
                    error,
                    "check the path and the file's mode",
                )
            })?,
        };
        let report = inspect(&bytes).map_err(|why| {
            CliError::other(
                format!("inspecting {}", clean(&self.file.to_string_lossy())),
                why,
                "known are the key of a node, node records, keystores, definitions and locks",
            )
        })?;
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&as_json(&report)),
            Format::Text => as_text(&report),
        });
        Ok(Exit::Done)
    }
}

/// The file, in a buffer that is wiped and does not grow.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length > MAX_BYTES {
        let why = format!("it has more than {MAX_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    file.take(length as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn inspect(bytes: &[u8]) -> Result<Report, String> {
    let unknown = || Err("it is none of the files that are known".to_owned());
    READERS.iter().find_map(|reader| reader(bytes)).unwrap_or_else(unknown)
}

fn as_text(report: &Report) -> String {
    let width = report.fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: String =
        report.fields.iter().map(|(name, value)| format!("  {name:width$}  {}\n", clean(value))).collect();
    format!("{}\n{lines}", report.kind)
}

fn as_json(report: &Report) -> Json {
    let mut pairs = Map::new();
    pairs.insert("kind".into(), report.kind.into());
    pairs.extend(report.fields.iter().map(|(name, value)| (name.replace(' ', "_"), value.as_str().into())));
    Json::Object(pairs)
}

fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok().map(str::trim)
}

fn node_key(bytes: &[u8]) -> Reading {
    let text = text(bytes)?;
    let is_key = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key.then(|| {
        let record = enr::record(&IdentityKey::parse(text).map_err(|error| error.to_string())?);
        let fields =
            vec![("enr", record.text().to_owned()), ("public key", format!("0x{}", record.public()))];
        Ok(Report { kind: "private key of a node", fields })
    })
}

fn record(bytes: &[u8]) -> Reading {
    let text = text(bytes).filter(|text| text.starts_with("enr:"))?;
    Some(enr::parse(text).map_err(|error| error.to_string()).map(|record| {
        let mut fields = vec![
            ("public key", format!("0x{}", record.public())),
            ("signature", format!("0x{}", hex::encode(record.signature()))),
        ];
        if let Some(Ok(ip)) = record.value("ip").map(<[u8; 4]>::try_from) {
            fields.push(("ip", std::net::Ipv4Addr::from(ip).to_string()));
        }
        for name in ["tcp", "udp"] {
            fields.extend(record.number(name).map(|port| (name, port.to_string())));
        }
        let others: Vec<String> =
            record.names().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        fields.push(("names in it", others.join(", ")));
        Report { kind: "node record", fields }
    }))
}

fn keystore(bytes: &[u8]) -> Reading {
    let json: Json = serde_json::from_slice(bytes).ok()?;
    json.get("crypto")?;
    Some(coxswain_dv_keystore::parse(bytes).map_err(|error| error.to_string()).map(|keystore| {
        let function = json["crypto"]["kdf"]["function"].as_str().unwrap_or_default().to_owned();
        let fields = vec![
            ("public key", format!("0x{}", keystore.pubkey.trim_start_matches("0x"))),
            ("key derivation", function),
            ("path", keystore.path),
            ("uuid", keystore.uuid),
            ("description", keystore.description),
        ];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Report { kind: "keystore of a validator's key or share", fields }
    }))
}

fn lock(bytes: &[u8]) -> Reading {
    has_member(bytes, "cluster_definition").then(|| {
        let lock = Lock::parse(bytes).map_err(|error| error.to_string())?;
        let mut fields = of_definition(&lock.definition);
        fields.push(("lock hash", hash(&lock.lock_hash)));
        fields.push((
            "hashes",
            lock.verify_hashes().map_or_else(|why| why.to_string(), |()| "right".to_owned()),
        ));
        Ok(Report { kind: "lock of a cluster", fields })
    })
}

fn definition(bytes: &[u8]) -> Reading {
    has_member(bytes, "definition_hash").then(|| {
        let definition = Definition::parse(bytes).map_err(|error| error.to_string())?;
        let mut fields = of_definition(&definition);
        let right = definition.verify_hashes().map_or_else(|why| why.to_string(), |()| "right".to_owned());
        fields.push(("hashes", right));
        Ok(Report { kind: "definition of a cluster", fields })
    })
}

fn of_definition(definition: &Definition) -> Vec<(&'static str, String)> {
    let network = NETWORKS.iter().find(|known| *definition.fork_version == known.genesis_fork_version[..]);
    let network = network.map_or_else(|| "unknown".to_owned(), |known| known.name.to_string());
    vec![
        ("name", definition.name.clone()),
        ("version", definition.version.name.to_owned()),
        ("network", format!("{network} ({})", hash(&definition.fork_version))),
        ("nodes", definition.operators.len().to_string()),
        ("threshold", definition.threshold.to_string()),
        ("validators", definition.validators.len().to_string()),
        ("config hash", hash(&definition.config_hash)),
        ("definition hash", hash(&definition.definition_hash)),
    ]
}

fn hash(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Whether it is JSON with this member, whatever its letter case.
fn has_member(bytes: &[u8], name: &str) -> bool {
    let members = serde_json::from_slice::<Map<String, Json>>(bytes);
    members.is_ok_and(|members| members.keys().any(|key| key.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EIP-778, "Test Vectors".
    const RECORD: &str = "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8";

    #[test]
    fn a_record_is_taken_apart() {
        let report = inspect(format!("{RECORD}\n").as_bytes()).expect("a record");
        let shown = as_text(&report);
        for part in [
            "node record\n",
            "  ip           127.0.0.1\n",
            "  udp          30303\n",
            "id, ip, secp256k1, udp",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
        assert!(
            inspect(RECORD.replace("QHCYrYZb", "QHCYrYZc").as_bytes())
                .expect_err("tampered")
                .contains("signature")
        );
    }

    #[test]
    fn a_key_shows_its_public_half_alone() {
        let secret = "b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291";
        let report = inspect(secret.as_bytes()).expect("a key");
        let shown = format!("{}{}", as_text(&report), as_json(&report));
        assert!(
            shown.contains("0x03ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd3138"),
            "{shown}"
        );
        assert!(!shown.contains(secret));
        assert!(inspect("0".repeat(64).as_bytes()).expect_err("no key").contains("group order"));
    }

    #[test]
    fn what_is_unknown_or_broken_says_so() {
        let says = |bytes: &[u8], expected: &str| {
            let why = inspect(bytes).expect_err(expected);
            assert!(why.contains(expected), "{why}");
        };
        says(b"", "none of the files");
        says(&[0xff; 64], "none of the files");
        says(b"{}", "none of the files");
        says(br#"{"crypto":{}}"#, "it is no keystore of EIP-2335");
    }
}
