//! What the new keys sign, and the lock that comes of it.

use std::sync::Arc;

use coxswain_dv_cluster::{DepositFile, targets};
use coxswain_dv_crypto::k1::verify65;
use coxswain_dv_types::Root;
use coxswain_dv_types::cluster::{BuilderRegistration, Deposit, DistributedValidator, Lock};
use coxswain_dv_types::deposit::{self, DepositData, DepositMessage};
use coxswain_dv_types::registration::{Registration, SignedRegistration};
use coxswain_dv_wire::broadcast::NODE_SIGNATURE;
use coxswain_dv_wire::message;
use coxswain_dv_wire::node_sig::MsgNodeSig;
use coxswain_dv_wire::protocol;
use coxswain_dv_wire::well_known::Any;

use super::job::{Combine, Finding, Trouble, Work, WorkError};
use super::{Ceremony, Effect, Failure, Job, Output, Tag};
use crate::exchange::Kind;
use crate::frost;

impl Ceremony {
    pub(super) fn computed(&mut self, output: Output) -> Result<(), Failure> {
        match *output.0 {
            Err(Trouble::Frost(error)) => Err(error.into()),
            Err(Trouble::Pedersen(error)) => Err(error.into()),
            Err(Trouble::Work(error)) => Err(error.into()),
            Ok(Finding::Dealt(dealt)) => {
                let (machine, round1) = *dealt;
                self.dealt(Box::new(machine), round1)
            }
            Ok(Finding::Met(met)) => {
                let (machine, key, first) = *met;
                self.met(Box::new(machine), &key, first);
                Ok(())
            }
            Ok(Finding::Pedersen(stepped)) => {
                self.stepped(stepped);
                Ok(())
            }
            Ok(Finding::Frost(outcome)) => self.frost_event(None, frost::Event::Computed(*outcome)),
            Ok(Finding::Signed { kind, partials, roots }) => {
                self.roots = roots;
                let message = self.exchange.begin(kind, partials);
                let bytes = message::encode(&message);
                let me = self.me;
                for to in (0..self.nodes.len()).filter(|to| *to != me) {
                    self.send(to, &protocol::PARSIGEX, bytes.clone(), Tag::Partials(kind));
                }
                Ok(())
            }
            Ok(Finding::Combined { kind, signatures }) => {
                self.signatures.insert(kind, signatures);
                Ok(())
            }
            Ok(Finding::Checked(outcome)) => {
                self.effects.push(Effect::Prepare(outcome));
                Ok(())
            }
        }
    }

    pub(super) fn sign(&mut self, kind: Kind) -> Result<(), Failure> {
        let Some(keys) = self.keys.clone() else { return Ok(()) };
        let roots = self.signing_roots(kind)?;
        self.effects.push(Effect::Compute(Job(Work::Sign { kind, keys, roots })));
        Ok(())
    }

    fn signing_roots(&self, kind: Kind) -> Result<Vec<Root>, WorkError> {
        match kind {
            Kind::Lock => {
                let hash = self.lock.as_ref().map(|lock| root_of(&lock.lock_hash)).unwrap_or_default();
                Ok(vec![hash; self.definition.validators.len()])
            }
            Kind::Registration => {
                let all = self.registrations()?;
                Ok(all.iter().map(|message| message.signing_root(&self.network)).collect())
            }
            Kind::Deposit(place) => {
                let all = self.deposits(place)?;
                Ok(all.iter().map(|message| message.signing_root(&self.network)).collect())
            }
        }
    }

    fn deposits(&self, place: usize) -> Result<Vec<DepositMessage>, WorkError> {
        let keys = self.keys.iter().flat_map(|keys| keys.iter());
        let one = |(validator, key): (usize, &crate::KeyShare)| {
            let (_, credentials) = targets(&self.definition, validator)?;
            let (pubkey, amount) = (key.public.to_bytes(), self.amounts[place]);
            Ok(DepositMessage { pubkey, credentials: credentials.to_bytes(), amount })
        };
        keys.enumerate().map(one).collect()
    }

    fn registrations(&self) -> Result<Vec<Registration>, WorkError> {
        let keys = self.keys.iter().flat_map(|keys| keys.iter());
        let one = |(validator, key): (usize, &crate::KeyShare)| {
            let (fee_recipient, _) = targets(&self.definition, validator)?;
            let (gas_limit, timestamp) = (self.definition.gas_limit(), self.network.genesis_time);
            Ok(Registration { fee_recipient, gas_limit, timestamp, pubkey: key.public.to_bytes() })
        };
        keys.enumerate().map(one).collect()
    }

    /// Whether the signatures of a kind are there; combines them when they can be.
    pub(super) fn exchanged(&mut self, kind: Kind) -> bool {
        if self.signatures.contains_key(&kind) {
            return self.on_the_way.is_empty();
        }
        let Some(keys) = self.keys.clone() else { return false };
        if self.exchange.missing(kind).is_empty() {
            let partials = self.exchange.finish(kind);
            let threshold = usize::try_from(self.definition.threshold).unwrap_or(usize::MAX);
            let roots = std::mem::take(&mut self.roots);
            let combine = Combine { kind, threshold, keys, roots, partials };
            self.effects.push(Effect::Compute(Job(Work::Combine(combine))));
        }
        false
    }

    fn deposit_data(&self, place: usize) -> Result<Vec<DepositData>, WorkError> {
        let signatures = self.signatures.get(&Kind::Deposit(place)).map(Vec::as_slice).unwrap_or_default();
        let data = self.deposits(place)?.into_iter().zip(signatures);
        Ok(data
            .map(|(message, signature)| DepositData { message, signature: signature.to_bytes() })
            .collect())
    }

    pub(super) fn unsigned_lock(&self) -> Result<Lock, WorkError> {
        let version = self.definition.version;
        let deposits: Vec<Vec<DepositData>> = (0..self.amounts.len())
            .map(|place| self.deposit_data(place))
            .collect::<Result<_, WorkError>>()?;
        let signed = self.signatures.get(&Kind::Registration).map(Vec::as_slice).unwrap_or_default();
        let registrations: Vec<BuilderRegistration> = self
            .registrations()?
            .into_iter()
            .zip(signed)
            .map(|(message, signature)| match version.has_registrations {
                true => BuilderRegistration::from(&SignedRegistration {
                    message,
                    signature: signature.to_bytes(),
                }),
                false => BuilderRegistration::default(),
            })
            .collect();
        let keys = self.keys.clone().unwrap_or_else(|| Arc::from([]));
        let one = |((place, key), registration): ((usize, &crate::KeyShare), BuilderRegistration)| {
            let deposits = deposits.iter().filter_map(|of_amount| of_amount.get(place));
            DistributedValidator {
                public_key: key.public.to_bytes().into(),
                public_shares: key.public_shares.iter().map(|share| share.to_bytes().into()).collect(),
                deposits: deposits.map(Deposit::from).collect(),
                registration,
            }
        };
        let validators = keys.iter().enumerate().zip(registrations).map(one).collect();
        let lock = Lock {
            definition: self.definition.clone(),
            validators,
            signature_aggregate: Default::default(),
            lock_hash: Default::default(),
            node_signatures: Vec::new(),
        };
        Ok(lock.with_hashes()?)
    }

    pub(super) fn sign_as_node(&mut self) {
        let Some(lock) = &self.lock else { return };
        let signature = self.key.sign(&root_of(&lock.lock_hash));
        self.node_signatures.insert(self.me, signature);
        let peer_index = u32::try_from(self.me).unwrap_or(u32::MAX);
        let message = MsgNodeSig { signature: signature.to_vec(), peer_index };
        self.broadcast(NODE_SIGNATURE, Any::pack(&message));
    }

    pub(super) fn store(&mut self) -> Result<(), Failure> {
        let Some(mut lock) = self.lock.take() else { return Ok(()) };
        let hash = root_of(&lock.lock_hash);
        for (place, public) in self.nodes.iter().enumerate() {
            let signature = self.node_signatures.get(&place).copied().unwrap_or([0; 65]);
            verify65(public, &hash, &signature).map_err(|_| Failure::NodeSignature { place })?;
        }
        if lock.definition.version.has_registrations {
            lock.node_signatures =
                self.node_signatures.values().map(|signature| (*signature).into()).collect();
        }
        if let Some(aggregate) = self.signatures.get(&Kind::Lock).and_then(|all| all.first()) {
            lock.signature_aggregate = aggregate.to_bytes().into();
        }
        let file = |place: usize| {
            let text = deposit::to_text(&self.deposit_data(place)?, &self.network)
                .map_err(|error| WorkError::Seal(error.into()))?;
            Ok(DepositFile { name: deposit::file_name(self.amounts[place]), text })
        };
        let deposits = (0..self.amounts.len()).map(file).collect::<Result<_, WorkError>>()?;
        let keys = self.keys.take().unwrap_or_else(|| Arc::from([]));
        let networks = self.verify.then(|| self.networks.clone());
        let work = Work::Check { lock: Box::new(lock), networks, deposits, keys };
        self.effects.push(Effect::Compute(Job(work)));
        Ok(())
    }
}

fn root_of(bytes: &[u8]) -> Root {
    bytes.try_into().unwrap_or_default()
}
