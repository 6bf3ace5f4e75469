//! Versions that nodes report, and how they compare.

use std::cmp::Ordering;
use std::fmt;

use crate::message::shown;

/// Longest text of a version; those of others have some 20 bytes.
const MAX_TEXT: usize = 128;

/// A version without patch and pre-release, like `v1.11`: what decides whether nodes work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

/// What this node works with, the newest first.
pub const SUPPORTED: [Minor; 12] = {
    let mut all = [Minor { major: 1, minor: 11 }; 12];
    let mut at = 1;
    while at < all.len() {
        all[at].minor = all[at - 1].minor - 1;
        at += 1;
    }
    all
};

/// A text is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a version is v, two or three numbers with dots, and perhaps - and a pre-release; not {text:?}")]
pub struct VersionError {
    /// What was given, cut short where it is long.
    pub text: String,
}

/// A version, like `v1.11.0-rc3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    minor: Minor,
    patch: Option<u32>,
    pre_release: Option<String>,
}

impl Version {
    /// Reads `v1.11`, `v1.11.0`, `v1.11.0-rc3` or `v1.11-dev`.
    ///
    /// # Errors
    /// The text is something else, or longer than 128 bytes, or a number does not fit into 32 bits.
    pub fn parse(text: &str) -> Result<Version, VersionError> {
        Self::read(text).ok_or_else(|| VersionError { text: shown(text) })
    }

    fn read(text: &str) -> Option<Version> {
        let body = text.strip_prefix('v').filter(|_| text.len() <= MAX_TEXT)?;
        let (numbers, pre_release) = match body.split_once('-') {
            Some((numbers, pre_release)) => (numbers, Some(pre_release)),
            None => (body, None),
        };
        if pre_release.is_some_and(|text| text.is_empty() || text.contains(char::is_control)) {
            return None;
        }
        let mut parts = numbers.splitn(3, '.').map(number);
        let (major, minor) = (parts.next()??, parts.next()??);
        let patch = match parts.next() {
            Some(patch) => Some(patch?),
            None => None,
        };
        Some(Version { minor: Minor { major, minor }, patch, pre_release: pre_release.map(str::to_owned) })
    }

    /// The first two numbers.
    #[must_use]
    pub fn minor(&self) -> Minor {
        self.minor
    }

    /// What is behind the hyphen.
    #[must_use]
    pub fn pre_release(&self) -> Option<&str> {
        self.pre_release.as_deref()
    }

    /// By the first two numbers, then by the third where both have one and neither is a pre-release. So this is no order:
    /// `v1.0` is equal to `v1.0.1` and to `v1.0.2`.
    #[must_use]
    pub fn compare(&self, other: &Version) -> Ordering {
        let patches = match (self, other) {
            (
                Version { patch: Some(ours), pre_release: None, .. },
                Version { patch: Some(theirs), pre_release: None, .. },
            ) => ours.cmp(theirs),
            _ => Ordering::Equal,
        };
        self.minor.cmp(&other.minor).then(patches)
    }
}

/// Digits and nothing else: `parse` alone would take a sign.
fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.minor)?;
        if let Some(patch) = self.patch {
            write!(f, ".{patch}")?;
        }
        match &self.pre_release {
            Some(text) => write!(f, "-{text}"),
            None => Ok(()),
        }
    }
}
