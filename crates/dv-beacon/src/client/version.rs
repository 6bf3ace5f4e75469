//! Which release a beacon node says it is, and whether that is old.

/// The oldest release of a beacon node that is known to do all that is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minimum {
    /// The name, as it begins the version; upper and lower case are the same.
    pub client: &'static str,
    /// Major, minor, patch.
    pub release: [u64; 3],
}

/// Those that are known to do Fulu.
pub const MINIMUMS: &[Minimum] = &[
    Minimum { client: "Lighthouse", release: [8, 0, 0] },
    Minimum { client: "teku", release: [25, 9, 3] },
    Minimum { client: "Lodestar", release: [1, 35, 0] },
    Minimum { client: "Nimbus", release: [25, 9, 2] },
    Minimum { client: "Prysm", release: [6, 1, 0] },
    Minimum { client: "Grandine", release: [2, 0, 0] },
];

/// What a version says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Recent enough.
    Fine,
    /// Older than [`Minimum`].
    TooOld(Minimum),
    /// No name and release.
    NotUnderstood,
    /// Of none of the clients that are known.
    UnknownClient,
}

/// Reads what `/eth/v1/node/version` has: a name, a slash, a release and more.
#[must_use]
pub fn check_version(text: &str, minimums: &[Minimum]) -> Version {
    let Some((name, rest)) = text.split_once('/').filter(|(name, _)| !name.trim().is_empty()) else {
        return Version::NotUnderstood;
    };
    let Some(release) = release(rest) else { return Version::NotUnderstood };
    let known = minimums.iter().find(|minimum| minimum.client.eq_ignore_ascii_case(name.trim()));
    match known {
        None => Version::UnknownClient,
        Some(minimum) if release < minimum.release => Version::TooOld(*minimum),
        Some(_) => Version::Fine,
    }
}

/// `v1.2.3`, whatever comes after it.
fn release(text: &str) -> Option<[u64; 3]> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut parts = text[..end].split('.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (text, expected) in [
            ("Lighthouse/v8.0.0-rc.0-abcdef/x86_64-linux", Version::Fine),
            ("Lighthouse/v10.0.0-abcdef/x86_64-linux", Version::Fine),
            ("Lighthouse/v7.9.99", Version::TooOld(MINIMUMS[0])),
            ("Prysm/v6.1 (linux amd64)", Version::NotUnderstood),
            ("coxswain-simnet/v1.0.0", Version::UnknownClient),
            ("/v7.0.0", Version::NotUnderstood),
            ("", Version::NotUnderstood),
            ("Lodestar/v1.99999999999999999999.0", Version::NotUnderstood),
        ] {
            assert_eq!(check_version(text, MINIMUMS), expected, "{text}");
        }
    }
}
