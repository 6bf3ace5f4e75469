//! The parts of a real node, as the driver wants them.

use coxswain_dv_beacon::client::Backends;
use coxswain_dv_beacon::server;
use coxswain_dv_eth::beacon::{Answer, Call, CallError};
use coxswain_dv_eth::client::{self, Problem};
use coxswain_dv_eth::protect::{Request, Signer, Verdict, Wall};
use coxswain_dv_slashing::store::{KEEP_EPOCHS, Store};
use coxswain_dv_types::causes::with_causes;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::driver::{Beacon, Handle, Judge};

impl Beacon for Backends {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Answer, CallError>> {
        let backends = self.clone();
        async move { Backends::call(&backends, call).await }.boxed()
    }
}

impl server::Node for Handle {
    fn serve(&self, request: client::Request) -> BoxFuture<'_, Result<client::Answer, Problem>> {
        Handle::serve(self, request).boxed()
    }
}

/// The store of what was signed, as a judge. Once an epoch it forgets what cannot matter any more.
pub struct Keeper {
    store: Store,
    pruned: u64,
}

impl Keeper {
    /// A judge with this store.
    pub fn new(store: Store) -> Keeper {
        Keeper { store, pruned: 0 }
    }

    fn prune(&mut self, slot: u64, epoch: u64) {
        if epoch <= self.pruned.max(KEEP_EPOCHS) {
            return;
        }
        self.pruned = epoch;
        let slots = slot / epoch;
        let before = Wall {
            slot: slot.saturating_sub(KEEP_EPOCHS.saturating_mul(slots)),
            epoch: epoch.saturating_sub(KEEP_EPOCHS),
        };
        if let Err(error) = self.store.prune(before) {
            tracing::warn!(%error, "old rows of the store of what was signed stay");
        }
    }
}

impl Judge for Keeper {
    fn judge(
        &mut self,
        signer: Signer,
        requests: &[Request],
        slot: u64,
        epoch: u64,
    ) -> Result<Vec<Verdict>, String> {
        self.prune(slot, epoch);
        self.store
            .check_and_record(signer, requests, Wall { slot, epoch })
            .map_err(|error| with_causes(&error))
    }
}
