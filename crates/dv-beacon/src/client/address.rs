//! Where a beacon node is, without what must not be shown.

use std::fmt;

use url::{Host, Url};

/// Parts of a path from this length on may be keys: providers put them there.
const MIN_HIDDEN_PART: usize = 8;

/// The URL of a beacon node. What it shows has no user, no password, no query, and no part of the path that may be a
/// key.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// With credentials, if any; the path ends with a slash.
    url: Url,
}

/// Why a text is no address of a beacon node. It repeats nothing of the text, which may have a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the address of beacon node {place} is not usable: {why}; it is like http://host:5052")]
pub struct AddressError {
    /// Its place in the list, from 1.
    pub place: usize,
    /// What is wrong.
    pub why: String,
}

impl Address {
    /// Reads one; only `http` and `https` are.
    ///
    /// # Errors
    /// What is wrong with it, without the text itself.
    pub fn parse(text: &str) -> Result<Address, String> {
        let mut url = Url::parse(text.trim()).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("it does not begin with http:// or https:// and a host".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it has a part after `?` or `#`".to_owned());
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Address { url })
    }

    /// Reads a list.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn parse_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Address>, AddressError> {
        let read = |(at, text)| Address::parse(text).map_err(|why| AddressError { place: at + 1, why });
        texts.into_iter().enumerate().map(read).collect()
    }

    /// The URL of a path of the API, which begins with a slash and may have a query.
    pub(crate) fn join(&self, path_and_query: &str) -> Url {
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        let mut url = self.url.clone();
        let path = format!("{}{}", self.url.path(), path.strip_prefix('/').unwrap_or(path));
        url.set_path(&path);
        url.set_query(query);
        url
    }

    /// What must not be repeated from answers: the password, and parts of the path that may be keys.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let parts = self.url.path_segments().into_iter().flatten().filter(|part| is_hidden(part));
        self.url.password().into_iter().chain(parts)
    }

    /// Whether it is on this machine: a proxy could not reach it.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Whether it needs TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }
}

fn is_hidden(part: &str) -> bool {
    part.len() >= MIN_HIDDEN_PART
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url.origin().ascii_serialization())?;
        for part in self.url.path_segments().into_iter().flatten().filter(|part| !part.is_empty()) {
            write!(f, "/{}", if is_hidden(part) { "…" } else { part })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str, joined: &str) {
        let address = Address::parse(text).expect(text);
        assert_eq!(address.to_string(), shown);
        assert_eq!(format!("{address:?}"), shown);
        assert_eq!(address.join("/eth/v1/node/version?x=1").as_str(), joined);
    }

    #[test]
    fn secrets_are_sent_and_not_shown() {
        check("http://bn:5052", "http://bn:5052", "http://bn:5052/eth/v1/node/version?x=1");
        check(
            "https://user:pass@bn.example/base/",
            "https://bn.example/base",
            "https://user:pass@bn.example/base/eth/v1/node/version?x=1",
        );
        check(
            "https://bn.example/0123456789abcdef",
            "https://bn.example/…",
            "https://bn.example/0123456789abcdef/eth/v1/node/version?x=1",
        );
    }

    #[test]
    fn what_is_no_address_is_not_repeated() {
        for text in
            ["", "bn:5052", "ftp://user:topsecret@bn", "http://bn?topsecret", "http://user:topsecret@"]
        {
            let error = Address::parse_all(["http://bn", text]).expect_err(text);
            assert_eq!(error.place, 2);
            assert!(!error.to_string().contains("topsecret"), "{error}");
        }
    }
}
