//! A key that is claimed while something is done with it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use coxswain_dv_slashing::lease::{Claimed, LeaseError, Lockless};
use coxswain_dv_types::causes::in_full;
use coxswain_dv_types::keylock::REFRESH;
use jiff::Timestamp;

/// A claim that is kept fresh by whoever works with the key.
#[derive(Debug)]
pub struct Held(Mutex<Claimed>);

impl Held {
    /// Claims a key for a command, without a cluster.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub fn take(key: &Path, command: &str, lockless: Lockless, now: Timestamp) -> Result<Held, LeaseError> {
        Ok(Held(Mutex::new(Claimed::take(key, command, "", lockless, now)?)))
    }

    /// Does something, and keeps the claim fresh meanwhile.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let refreshing = async {
            loop {
                tokio::time::sleep(REFRESH).await;
                let renewed = self.0.lock().unwrap_or_else(PoisonError::into_inner).renew(Timestamp::now());
                if let Err(error) = renewed {
                    tracing::warn!(error = in_full(&error), "the claim to the key was not renewed");
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = refreshing => unreachable!("it never ends"),
        }
    }
}

#[cfg(test)]
mod tests {
    use coxswain_dv_slashing::lease::claim_path;

    use super::*;

    /// Without it a claim is five seconds old after five seconds, and another node takes the key.
    #[tokio::test]
    async fn a_claim_stays_fresh_while_work_lasts() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("key");
        std::fs::write(&key, "a key").expect("a file");
        let long_ago = Timestamp::from_second(1_800_000_000).expect("a time");
        let held = Held::take(&key, "charon dkg", Lockless::Pass, long_ago).expect("it is free");
        let written = || std::fs::read_to_string(claim_path(&key)).expect("a claim");
        let before = written();
        let renewed = async {
            while written() == before {
                tokio::time::sleep(REFRESH / 20).await;
            }
        };
        let lasts = tokio::time::timeout(REFRESH * 30, held.during(renewed));
        lasts.await.expect("it is renewed while the work goes on");
    }
}
