//! Reliable broadcast: nobody takes a message before everybody has signed its hash, so nobody is told another one.
//!
//! ```text
//! author  begin ─→ Ask every peer ─signatures of all→ Tell every peer ─taken by all→ done
//! others  sign (one hash for each author and id, ever) ─→ take (all signatures verify) ─→ the message
//! ```

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic, SIGNATURE_LEN, verify65};
use coxswain_dv_types::Root;
use coxswain_dv_wire::broadcast::{BCastMessage, BCastSigRequest, BCastSigResponse, BroadcastVersion};
use coxswain_dv_wire::well_known::Any;

/// What stands before the name of a type.
const TYPE_URL: &str = "type.googleapis.com/";

/// Why a broadcast came to nothing. Places count from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// Nothing of this name is broadcast in this ceremony.
    #[error("node {place}: nothing is broadcast under {id:?} here")]
    Id {
        /// Who sent it.
        place: usize,
        /// Under which name, cut short.
        id: String,
    },
    /// The content is not what is broadcast under this name.
    #[error("node {place}: {id} does not hold what it should")]
    Type {
        /// Who sent it.
        place: usize,
        /// Under which name.
        id: &'static str,
    },
    /// It has asked for a signature of something else before: it tells peers different things.
    #[error("node {place} broadcasts two different messages under {id}: it is broken, or lies")]
    Twofold {
        /// Who.
        place: usize,
        /// Under which name.
        id: &'static str,
    },
    /// A signature that is none, of a node that was asked or was said to have signed.
    #[error("{id}: the signature of node {place} does not verify")]
    Signature {
        /// Whose signature.
        place: usize,
        /// Under which name.
        id: &'static str,
    },
    /// Not one of each node.
    #[error("node {place}: {id} has {found} signatures, and there are {nodes} nodes")]
    Count {
        /// Who sent it.
        place: usize,
        /// Under which name.
        id: &'static str,
        /// How many it has.
        found: usize,
        /// How many there should be.
        nodes: usize,
    },
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// Asks for a signature.
    Ask(BCastSigRequest),
    /// The message itself.
    Tell(BCastMessage),
}

/// A broadcast of our own.
#[derive(Debug)]
struct Own {
    message: Any,
    hash: Root,
    signatures: Vec<Option<[u8; SIGNATURE_LEN]>>,
    /// Who has not taken the message.
    open: BTreeSet<usize>,
}

/// What may be broadcast: names, and the type of each.
pub type Names = &'static [(&'static str, &'static str)];

/// See the module.
pub struct Broadcasts {
    me: usize,
    key: IdentityKey,
    nodes: Vec<IdentityPublic>,
    version: BroadcastVersion,
    session: Vec<u8>,
    names: Names,
    /// What was signed for whom.
    signed: BTreeMap<(usize, &'static str), Root>,
    own: BTreeMap<&'static str, Own>,
}

impl Broadcasts {
    /// A node at place `me` of a session.
    #[must_use]
    pub fn new(
        (me, key): (usize, IdentityKey),
        nodes: Vec<IdentityPublic>,
        (version, session): (BroadcastVersion, &[u8]),
        names: Names,
    ) -> Self {
        let session = session.to_vec();
        Self { me, key, nodes, version, session, names, signed: BTreeMap::new(), own: BTreeMap::new() }
    }

    /// Which version is spoken.
    #[must_use]
    pub fn version(&self) -> BroadcastVersion {
        self.version
    }

    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let me = self.me;
        (0..self.nodes.len()).filter(move |place| *place != me)
    }

    /// Begins a broadcast of our own: what goes to whom.
    pub fn begin(&mut self, id: &'static str, message: Any) -> Vec<(usize, Outgoing)> {
        let hash = self.version.hash(&self.session, id, &message);
        let mut signatures = vec![None; self.nodes.len()];
        signatures[self.me] = Some(self.key.sign(&hash));
        let request = BCastSigRequest { id: id.to_owned(), message: Some(message.clone()) };
        self.own.insert(id, Own { message, hash, signatures, open: self.others().collect() });
        self.others().map(|place| (place, Outgoing::Ask(request.clone()))).collect()
    }

    /// Takes a signature that was asked for; the message itself follows the last one.
    ///
    /// # Errors
    /// [`BroadcastError::Signature`].
    pub fn take_signature(
        &mut self,
        from: usize,
        id: &'static str,
        answer: &BCastSigResponse,
    ) -> Result<Vec<(usize, Outgoing)>, BroadcastError> {
        let (Some(own), Some(public)) = (self.own.get_mut(id), self.nodes.get(from)) else {
            return Ok(Vec::new());
        };
        let wrong = BroadcastError::Signature { place: from, id };
        let signature =
            <[u8; SIGNATURE_LEN]>::try_from(answer.signature.as_slice()).map_err(|_| wrong.clone())?;
        if answer.id != id || verify65(public, &own.hash, &signature).is_err() {
            return Err(wrong);
        }
        let is_new = own.signatures[from].replace(signature).is_none();
        let Some(all) = own.signatures.iter().copied().collect::<Option<Vec<_>>>().filter(|_| is_new) else {
            return Ok(Vec::new());
        };
        let message = BCastMessage {
            id: id.to_owned(),
            message: Some(own.message.clone()),
            signatures: all.iter().map(|signature| signature.to_vec()).collect(),
        };
        Ok(self.others().map(|place| (place, Outgoing::Tell(message.clone()))).collect())
    }

    /// A node has taken our message. True when it was the last one.
    pub fn taken(&mut self, by: usize, id: &'static str) -> bool {
        self.own.get_mut(id).is_some_and(|own| own.open.remove(&by) && own.open.is_empty())
    }

    /// Who has not taken our message, where one is on its way.
    #[must_use]
    pub fn open(&self, id: &str) -> Vec<usize> {
        self.own.get(id).map(|own| own.open.iter().copied().collect()).unwrap_or_default()
    }

    /// The name as we know it, for content of its type.
    fn name(&self, from: usize, id: &str, message: Option<&Any>) -> Result<&'static str, BroadcastError> {
        let known = self.names.iter().find(|(name, _)| *name == id);
        let Some((name, kind)) = known else {
            return Err(BroadcastError::Id { place: from, id: id.chars().take(80).collect() });
        };
        let is_its_type =
            message.is_some_and(|message| message.type_url.strip_prefix(TYPE_URL) == Some(kind));
        if is_its_type { Ok(name) } else { Err(BroadcastError::Type { place: from, id: name }) }
    }

    /// Signs for a peer.
    ///
    /// # Errors
    /// The peer asks for what is not signed.
    pub fn sign(
        &mut self,
        from: usize,
        request: &BCastSigRequest,
    ) -> Result<BCastSigResponse, BroadcastError> {
        let id = self.name(from, &request.id, request.message.as_ref())?;
        let hash = self.version.hash(&self.session, id, &request.message.clone().unwrap_or_default());
        match self.signed.insert((from, id), hash) {
            Some(before) if before != hash => {
                self.signed.insert((from, id), before);
                return Err(BroadcastError::Twofold { place: from, id });
            }
            Some(_) | None => {}
        }
        Ok(BCastSigResponse { id: id.to_owned(), signature: self.key.sign(&hash).to_vec() })
    }

    /// Takes a message that all have signed. Whose it is the content says; whoever reads it checks that with `from`.
    ///
    /// # Errors
    /// It is not signed by all, or is none of this ceremony.
    pub fn take(&self, from: usize, message: BCastMessage) -> Result<(&'static str, Any), BroadcastError> {
        let id = self.name(from, &message.id, message.message.as_ref())?;
        let (found, nodes) = (message.signatures.len(), self.nodes.len());
        if found != nodes {
            return Err(BroadcastError::Count { place: from, id, found, nodes });
        }
        let content = message.message.unwrap_or_default();
        let hash = self.version.hash(&self.session, id, &content);
        for (place, (public, signature)) in self.nodes.iter().zip(&message.signatures).enumerate() {
            verify65(public, &hash, signature).map_err(|_| BroadcastError::Signature { place, id })?;
        }
        Ok((id, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "/test/cast";
    const NAMES: Names = &[(ID, "test.Message"), ("/test/other", "test.Other")];

    fn nodes(version: BroadcastVersion) -> Vec<Broadcasts> {
        let key = |place: usize| IdentityKey::from_bytes(&[place as u8 + 1; 32]).expect("a key");
        let publics: Vec<IdentityPublic> = (0..4).map(|place| key(place).public()).collect();
        (0..4)
            .map(|me| Broadcasts::new((me, key(me)), publics.clone(), (version, b"session"), NAMES))
            .collect()
    }

    fn message(value: &[u8]) -> Any {
        Any { type_url: "type.googleapis.com/test.Message".into(), value: value.to_vec() }
    }

    fn broadcast(nodes: &mut [Broadcasts], author: usize, value: &[u8]) -> Vec<BCastMessage> {
        let mut told = Vec::new();
        for (to, outgoing) in nodes[author].begin(ID, message(value)) {
            let Outgoing::Ask(request) = outgoing else { panic!("asked first") };
            let answer = nodes[to].sign(author, &request).expect("signed");
            for (_, outgoing) in nodes[author].take_signature(to, ID, &answer).expect("taken") {
                let Outgoing::Tell(message) = outgoing else { panic!("told then") };
                told.push(message);
            }
        }
        told
    }

    #[test]
    fn what_all_have_signed_is_taken() {
        for version in [BroadcastVersion::Unbound, BroadcastVersion::SessionBound] {
            let mut nodes = nodes(version);
            let told = broadcast(&mut nodes, 2, b"hello");
            assert_eq!(told.len(), 3);
            for (to, message) in [0, 1, 3].into_iter().zip(told) {
                assert_eq!(nodes[to].take(2, message), Ok((ID, self::message(b"hello"))));
                let is_last = nodes[2].taken(to, ID);
                assert_eq!(is_last, to == 3);
            }
            assert!(nodes[2].open(ID).is_empty());
        }
    }

    #[test]
    fn nobody_signs_two_messages_of_one_author() {
        let mut nodes = nodes(BroadcastVersion::SessionBound);
        let request = |value: &[u8]| BCastSigRequest { id: ID.into(), message: Some(message(value)) };
        let first = nodes[0].sign(1, &request(b"a")).expect("signed");
        let twofold = BroadcastError::Twofold { place: 1, id: ID };
        assert_eq!(nodes[0].sign(1, &request(b"b")), Err(twofold.clone()));
        assert_eq!(nodes[0].sign(1, &request(b"b")), Err(twofold), "however often it asks");
        assert_eq!(nodes[0].sign(1, &request(b"a")), Ok(first), "the same again is the same");
        nodes[0].sign(2, &request(b"b")).expect("another author says what it likes");
    }

    #[test]
    fn names_and_types_are_known() {
        let mut nodes = nodes(BroadcastVersion::SessionBound);
        let wrong = BCastSigRequest { id: "/x".into(), message: Some(message(b"a")) };
        assert_eq!(nodes[0].sign(1, &wrong), Err(BroadcastError::Id { place: 1, id: "/x".into() }));
        let wrong = BCastSigRequest { id: "/test/other".into(), message: Some(message(b"a")) };
        assert_eq!(nodes[0].sign(1, &wrong), Err(BroadcastError::Type { place: 1, id: "/test/other" }));
    }

    #[test]
    fn a_signature_that_is_wrong_is_named() {
        let mut nodes = nodes(BroadcastVersion::SessionBound);
        let told = broadcast(&mut nodes, 0, b"hello");
        for place in 0..4 {
            let mut wrong = told[0].clone();
            wrong.signatures[place][3] ^= 1;
            assert_eq!(nodes[1].take(0, wrong), Err(BroadcastError::Signature { place, id: ID }));
        }
        let mut wrong = told[0].clone();
        wrong.signatures.pop();
        assert_eq!(
            nodes[1].take(0, wrong),
            Err(BroadcastError::Count { place: 0, id: ID, found: 3, nodes: 4 })
        );
        let mut wrong = told[0].clone();
        wrong.message = Some(message(b"hellO"));
        assert_eq!(nodes[1].take(0, wrong), Err(BroadcastError::Signature { place: 0, id: ID }));
        nodes[3].begin(ID, message(b"x"));
        let none = BCastSigResponse { id: ID.into(), signature: vec![0; 65] };
        assert_eq!(
            nodes[3].take_signature(1, ID, &none),
            Err(BroadcastError::Signature { place: 1, id: ID })
        );
    }
}
