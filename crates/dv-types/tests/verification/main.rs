//! What verification takes and what it refuses, on clusters of every version that are made here.

mod creating;
mod made;
mod signing;
mod tampering;

use coxswain_dv_types::cluster::{Lock, VERSIONS};
use coxswain_dv_types::network::Networks;
use made::Signers;

/// A cluster of each version and way to sign is taken, and is the same after writing and reading.
#[test]
fn clusters_of_every_version_verify() {
    for version in VERSIONS {
        for signers in [Signers::All, Signers::Creator, Signers::Nobody] {
            let lock = made::lock(version, signers);
            let verdict = lock.verify(&Networks::default());
            assert_eq!(verdict, Ok(Vec::new()), "{version} signed by {signers:?}");
            let text = lock.to_json().expect("hashes");
            assert_eq!(Lock::parse(text.as_bytes()), Ok(lock), "{version}: {text}");
        }
    }
}
