//! The file beside a node's key that says the key is in use: who holds it, since when, and for which cluster.
//!
//! ```text
//! file ─parse→ Claim ─check(now, cluster)→ free, or why not
//! ```
//!
//! Two nodes with one key sign against each other. A holder writes the file anew every second and leaves it behind, so
//! its age tells a node that runs from one that ran. A key that served another lock of the cluster rests longer: what
//! was begun for the former validators must have ended. The file is shared with other programs of distributed
//! validators, on the same machine or on a shared disk, and its times are those of their clocks.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

/// Longest file that is read; ours have less than 300 bytes.
pub const MAX_TEXT: usize = 64 << 10;
/// How often a holder writes the file anew.
pub const REFRESH: Duration = Duration::from_secs(1);
/// A file that is not older is a running node's: five writes may have been missed.
pub const FRESH: Duration = Duration::from_secs(5);
/// How long a key rests before it serves another lock: two epochs of 32 slots of 12 seconds.
pub const REST: Duration = Duration::from_secs(2 * 32 * 12);

/// The first of January of the year 1: what others take for a time that is missing.
pub const NEVER: Timestamp = Timestamp::constant(-62_135_596_800, 0);

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The command that holds the key, as in `charon run`.
    pub command: String,
    /// When it was written; [`NEVER`] where the file does not say.
    pub timestamp: Timestamp,
    /// `lock_hash` of the cluster lock, as it is written there; empty without one.
    pub cluster_lock_hash: String,
}

/// Why a file is no claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// It is longer than any.
    #[error("it has {length} bytes, and at most {MAX_TEXT} are read")]
    TooLong {
        /// Bytes.
        length: usize,
    },
    /// There is nothing in it.
    #[error("it is empty, as a loss of power or a full disk leaves it")]
    Empty,
    /// No JSON.
    #[error("it is no JSON: {0}")]
    Syntax(String),
    /// JSON with something else in it.
    #[error("{field} is not {expected}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

/// Why a key must not be used yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another process uses it.
    InUse {
        /// The command.
        command: String,
        /// How old its claim is.
        age: Duration,
    },
    /// The claim is of a time that has not come yet.
    Future {
        /// The command.
        command: String,
        /// How far it is ahead.
        ahead: Duration,
    },
    /// The key served another lock a short while ago.
    Resting {
        /// The command.
        command: String,
        /// How long to wait.
        left: Duration,
    },
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::InUse { command, age } => {
                write!(f, "`{command}` uses this key: it said so {} s ago", age.as_secs())
            }
            Refusal::Future { command, ahead } => write!(
                f,
                "`{command}` says that it uses this key in {} s: its clock or this machine's is wrong",
                ahead.as_secs()
            ),
            Refusal::Resting { command, left } => write!(
                f,
                "`{command}` used this key with another lock of the cluster a short while ago: wait for {} s",
                left.as_secs() + u64::from(left.subsec_nanos() > 0)
            ),
        }
    }
}

/// Reads the file. As with others, unknown keys are passed over, keys are compared without letter case, and what is
/// missing or `null` is empty.
///
/// # Errors
/// [`ClaimError`]; whether a node runs is not known then.
pub fn parse(text: &[u8]) -> Result<Claim, ClaimError> {
    if text.len() > MAX_TEXT {
        return Err(ClaimError::TooLong { length: text.len() });
    }
    if text.trim_ascii().is_empty() {
        return Err(ClaimError::Empty);
    }
    let json: Json = serde_json::from_slice(text).map_err(|error| ClaimError::Syntax(error.to_string()))?;
    let Json::Object(members) = json else {
        return Err(ClaimError::Field { field: "it", expected: "an object" });
    };
    let field = |name: &'static str| {
        let found = members.iter().rfind(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        match found {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
                Err(ClaimError::Field { field: name, expected: "a text" })
            }
        }
    };
    let timestamp = field("timestamp")?.map(|text| {
        let wrong = ClaimError::Field { field: "timestamp", expected: "a time of RFC 3339" };
        text.parse::<Timestamp>().map_err(|_| wrong)
    });
    Ok(Claim {
        command: field("command")?.unwrap_or_default(),
        timestamp: timestamp.transpose()?.unwrap_or(NEVER),
        cluster_lock_hash: field("cluster_lock_hash")?.unwrap_or_default(),
    })
}

impl Claim {
    /// The file: one line of JSON without an end of line; the time in UTC.
    #[must_use]
    pub fn to_text(&self) -> String {
        #[derive(Serialize)]
        struct Written<'c> {
            command: &'c str,
            timestamp: String,
            #[serde(skip_serializing_if = "str::is_empty")]
            cluster_lock_hash: &'c str,
        }
        crate::text::compact(&Written {
            command: &self.command,
            timestamp: self.timestamp.to_string(),
            cluster_lock_hash: &self.cluster_lock_hash,
        })
    }

    /// Whether the key may be taken now, for the cluster of this lock (`lock_hash`, empty without one).
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, now: Timestamp, cluster_lock_hash: &str) -> Result<(), Refusal> {
        let command = || self.command.clone();
        let since = now.duration_since(self.timestamp);
        if since.is_negative() {
            return Err(Refusal::Future { command: command(), ahead: since.unsigned_abs() });
        }
        let age = since.unsigned_abs();
        if age <= FRESH {
            return Err(Refusal::InUse { command: command(), age });
        }
        let is_other = !self.cluster_lock_hash.is_empty() && self.cluster_lock_hash != cluster_lock_hash;
        match REST.checked_sub(age) {
            Some(left) if is_other && !left.is_zero() => Err(Refusal::Resting { command: command(), left }),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn claim(hash: &str) -> Claim {
        Claim {
            command: "charon run".into(),
            timestamp: at("2026-08-21T08:26:51.123456789Z"),
            cluster_lock_hash: hash.into(),
        }
    }

    #[test]
    fn the_file_is_as_others_write_it() {
        let text = r#"{"command":"charon run","timestamp":"2026-08-21T10:26:51.123456789+02:00","cluster_lock_hash":"0xab"}"#;
        assert_eq!(parse(text.as_bytes()), Ok(claim("0xab")));
        let ours = r#"{"command":"charon run","timestamp":"2026-08-21T08:26:51.123456789Z","cluster_lock_hash":"0xab"}"#;
        assert_eq!(claim("0xab").to_text(), ours);
        assert_eq!(parse(ours.as_bytes()), Ok(claim("0xab")));
        let bare = r#"{"command":"charon run","timestamp":"2026-08-21T08:26:51.123456789Z"}"#;
        assert_eq!(claim("").to_text(), bare);
    }

    #[test]
    fn it_is_read_leniently() {
        let empty = Claim { command: String::new(), timestamp: NEVER, cluster_lock_hash: String::new() };
        assert_eq!(parse(b"{}"), Ok(empty.clone()));
        assert_eq!(parse(br#" {"command":null,"timestamp":null,"more":[1]} "#), Ok(empty.clone()));
        let other = parse(br#"{"COMMAND":"a","command":"b"}"#).expect("a claim");
        assert_eq!(other.command, "b");
        assert_eq!(NEVER, at("0001-01-01T00:00:00Z"));
        assert_eq!(empty.check(at("2026-01-01T00:00:00Z"), ""), Ok(()));
    }

    #[test]
    fn what_is_no_claim_says_why() {
        let says = |text: &[u8], expected: &str| {
            assert_eq!(parse(text).expect_err(expected).to_string(), expected);
        };
        says(b" \n", "it is empty, as a loss of power or a full disk leaves it");
        says(b"[]", "it is not an object");
        says(br#"{"command":1}"#, "command is not a text");
        says(br#"{"timestamp":"today"}"#, "timestamp is not a time of RFC 3339");
        says(&vec![b' '; MAX_TEXT + 1], "it has 65537 bytes, and at most 65536 are read");
        assert!(matches!(parse(b"{"), Err(ClaimError::Syntax(_))));
    }

    #[track_caller]
    fn check(stored: &str, seconds: i64, nanoseconds: i32, present: &str, expected: &str) {
        let claim = claim(stored);
        let now = claim.timestamp + jiff::SignedDuration::new(seconds, nanoseconds);
        let said = claim.check(now, present).map_or_else(|why| why.to_string(), |()| String::new());
        assert_eq!(said, expected, "after {seconds} s");
    }

    #[test]
    fn a_fresh_claim_is_refused_and_an_old_one_is_not() {
        let in_use = "`charon run` uses this key: it said so";
        check("", 0, 0, "", &format!("{in_use} 0 s ago"));
        check("", 5, 0, "", &format!("{in_use} 5 s ago"));
        check("", 5, 1, "", "");
        check("0xa", 5, 1, "0xa", "");
        check("", 6, 0, "0xa", "");
        check("", 1 << 35, 0, "0xa", "");
        let future = "`charon run` says that it uses this key in 3 s: its clock or this machine's is wrong";
        check("", -3, 0, "", future);
        check("", 0, -1, "", &future.replace("3 s", "0 s"));
    }

    #[test]
    fn another_lock_waits_for_two_epochs() {
        let wait = |n: u32| {
            format!(
                "`charon run` used this key with another lock of the cluster a short while ago: wait for {n} s"
            )
        };
        check("0xa", 6, 0, "0xb", &wait(762));
        check("0xa", 6, 0, "", &wait(762));
        check("0xa", 767, 1, "0xb", &wait(1));
        check("0xa", 768, 0, "0xb", "");
        check("0xa", 768, 1, "0xb", "");
    }
}
