//! Where things are on Obol's API. Some paths are below that of the base address, others take its place.

use url::Url;

/// An API, by the address that `--publish-address` gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObolApi {
    base: Url,
}

impl ObolApi {
    /// The API at an address.
    #[must_use]
    pub fn new(base: Url) -> ObolApi {
        ObolApi { base }
    }

    /// An address whose path takes the place of the base's: locks, exits, deposits, fee recipients. The path begins
    /// with `/`.
    #[must_use]
    pub fn at_root(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    /// An address whose path is below the base's: definitions, terms and conditions. The path begins with `/`.
    #[must_use]
    pub fn below_base(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// Where locks are sent.
    #[must_use]
    pub fn lock(&self) -> Url {
        self.at_root("/lock")
    }

    /// Where newer registrations of a cluster are.
    #[must_use]
    pub fn fee_recipients(&self, lock_hash: &[u8]) -> Url {
        self.at_root(&format!("/fee_recipient/0x{}", hex::encode(lock_hash)))
    }

    /// Where definitions are sent, and begin.
    #[must_use]
    pub fn definition(&self) -> Url {
        self.below_base("/definition")
    }

    /// Where the terms and conditions are agreed to.
    #[must_use]
    pub fn terms_and_conditions(&self) -> Url {
        self.below_base("/termsAndConditions")
    }

    /// The page of a cluster, for people.
    #[must_use]
    pub fn launchpad(&self, lock_hash: &[u8]) -> Url {
        let mut url = self.at_root(&format!("/lock/0x{}/launchpad", hex::encode_upper(lock_hash)));
        // A link is shown to people, and credentials are not.
        let _ = (url.set_username(""), url.set_password(None));
        url.set_query(None);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(base: &str) -> ObolApi {
        ObolApi::new(Url::parse(base).expect("a URL"))
    }

    #[test]
    fn paths_take_the_place_of_the_base_or_are_below_it() {
        let api = api("https://user:secret@example.org:8443/some/v1/?key=k");
        assert_eq!(api.lock().as_str(), "https://user:secret@example.org:8443/lock?key=k");
        assert_eq!(
            api.fee_recipients(&[0xab; 2]).as_str(),
            "https://user:secret@example.org:8443/fee_recipient/0xabab?key=k"
        );
        assert_eq!(
            api.definition().as_str(),
            "https://user:secret@example.org:8443/some/v1/definition?key=k"
        );
        assert_eq!(api.launchpad(&[0xab; 2]).as_str(), "https://example.org:8443/lock/0xABAB/launchpad");
    }
}
