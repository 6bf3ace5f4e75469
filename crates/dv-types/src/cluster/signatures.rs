//! The signatures of a definition: who has to sign, and who did.

use coxswain_dv_crypto::k1::{Address, IdentityPublic, recover};

use super::definition::Operator;
use super::{ContractQuestion, Definition, Problem, SignatureShape, TypedText, Version, Wrong};
use crate::eip712::{config_digest, enr_digest};
use crate::json::Bytes;
use crate::network::{Network, Networks};
use crate::text;

/// Bytes of a signature of one key.
const SIGNATURE_BYTES: usize = 65;
/// Most signatures in one text.
const MAX_PIECES: usize = 32;

impl SignatureShape {
    /// Whether a signature may have this many bytes; there may be none.
    pub fn allows(self, bytes: usize) -> bool {
        match self {
            SignatureShape::Single => matches!(bytes, 0 | SIGNATURE_BYTES),
            SignatureShape::Pieces => {
                bytes.is_multiple_of(SIGNATURE_BYTES) && bytes <= SIGNATURE_BYTES * MAX_PIECES
            }
        }
    }

    fn expected(self) -> &'static str {
        match self {
            SignatureShape::Single => "65",
            SignatureShape::Pieces => "a multiple of 65 up to 2080",
        }
    }
}

impl Definition {
    /// Checks hashes and signatures. The signatures that no key explains come back as questions; without an execution
    /// client to ask, each of them is an error, its [`ContractQuestion::otherwise`].
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self, networks: &Networks) -> Result<Vec<ContractQuestion>, Problem> {
        self.verify_hashes()?;
        self.verify_signatures(networks)
    }

    /// Checks the signatures over the **stored** config hash, which has to be checked as well.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify_signatures(&self, networks: &Networks) -> Result<Vec<ContractQuestion>, Problem> {
        let Some(operator_type) = self.version.operator_type else {
            return self.nobody_signs();
        };
        check_length(self.version, "creator.config_signature", &self.creator.config_signature)?;
        let mut signed =
            Signed { definition: self, chain_id: self.network(networks)?.chain_id, questions: Vec::new() };
        let mut unsigned = 0;
        for (n, operator) in self.operators.iter().enumerate() {
            match is_unsigned(operator) {
                true => unsigned += 1,
                false => signed.check_operator(&operator_type, &format!("operators[{n}]"), operator)?,
            }
        }
        if unsigned != 0 && unsigned != self.operators.len() {
            let operators = self.operators.len();
            return Err(Problem::new("operators", Wrong::PartlySigned { unsigned, operators }));
        }
        signed.check_creator(unsigned)?;
        Ok(signed.questions)
    }

    /// Checks the creator's signature over the **stored** config hash and nothing else: operators may sign later. A
    /// definition without a signature of its creator does not pass.
    ///
    /// # Errors
    /// What is wrong.
    pub fn verify_creator(&self, networks: &Networks) -> Result<Vec<ContractQuestion>, Problem> {
        let path = "creator.config_signature";
        if self.creator.config_signature.is_empty() {
            return Err(Problem::new(path, Wrong::Missing));
        }
        check_length(self.version, path, &self.creator.config_signature)?;
        let mut signed =
            Signed { definition: self, chain_id: self.network(networks)?.chain_id, questions: Vec::new() };
        signed.check_creator(0)?;
        Ok(signed.questions)
    }

    /// The network it is for.
    ///
    /// # Errors
    /// When none is known with its fork version.
    pub fn network<'n>(&self, networks: &'n Networks) -> Result<&'n Network, Problem> {
        let version = <[u8; 4]>::try_from(&*self.fork_version).ok();
        version.and_then(|version| networks.of(version)).ok_or_else(|| {
            Problem::new("fork_version", Wrong::Network { fork_version: self.fork_version.clone() })
        })
    }

    fn nobody_signs(&self) -> Result<Vec<ContractQuestion>, Problem> {
        for (n, operator) in self.operators.iter().enumerate() {
            let signatures = [
                ("config_signature", &operator.config_signature),
                ("enr_signature", &operator.enr_signature),
            ];
            if let Some((name, _)) = signatures.iter().find(|(_, signature)| !signature.is_empty()) {
                let wrong = Wrong::Unexpected { version: self.version.name };
                return Err(Problem::new(format!("operators[{n}].{name}"), wrong));
            }
        }
        Ok(Vec::new())
    }
}

fn is_unsigned(operator: &Operator) -> bool {
    operator.address.is_empty() && operator.config_signature.is_empty() && operator.enr_signature.is_empty()
}

fn check_length(version: &Version, path: &str, signature: &Bytes) -> Result<(), Problem> {
    let shape = version.signatures;
    if shape.allows(signature.len()) {
        return Ok(());
    }
    let wrong = Wrong::Length { found: signature.len(), expected: shape.expected() };
    Err(Problem::new(path, wrong))
}

/// Signatures as they are checked.
struct Signed<'d> {
    definition: &'d Definition,
    chain_id: u64,
    questions: Vec<ContractQuestion>,
}

impl Signed<'_> {
    fn check_operator(&mut self, kind: &TypedText, path: &str, operator: &Operator) -> Result<(), Problem> {
        let config = (format!("{path}.config_signature"), &operator.config_signature);
        let enr = (format!("{path}.enr_signature"), &operator.enr_signature);
        for (path, signature) in [&enr, &config] {
            if signature.is_empty() {
                return Err(Problem::new(path, Wrong::Missing));
            }
        }
        for (path, signature) in [&config, &enr] {
            check_length(self.definition.version, path, signature)?;
        }
        let digest = config_digest(kind, self.chain_id, &self.definition.config_hash);
        self.check(&config.0, &operator.address, digest, config.1)?;
        let digest = enr_digest(self.chain_id, &operator.enr);
        self.check(&enr.0, &operator.address, digest, enr.1)
    }

    fn check_creator(&mut self, unsigned_operators: usize) -> Result<(), Problem> {
        let path = "creator.config_signature";
        let creator = &self.definition.creator;
        let Some(kind) = self.definition.version.creator_type else {
            if creator.config_signature.is_empty() {
                return Ok(());
            }
            return Err(Problem::new(path, Wrong::Unexpected { version: self.definition.version.name }));
        };
        if creator.address.is_empty() && creator.config_signature.is_empty() {
            if unsigned_operators > 0 {
                return Ok(());
            }
            return Err(Problem::new("creator", Wrong::NoCreator));
        }
        if creator.config_signature.is_empty() {
            return Err(Problem::new(path, Wrong::Missing));
        }
        let digest = config_digest(&kind, self.chain_id, &self.definition.config_hash);
        self.check(path, &creator.address, digest, &creator.config_signature)
    }

    /// A signature that a key at this address made is valid; any other is a question to the address.
    fn check(
        &mut self,
        path: &str,
        address: &str,
        digest: [u8; 32],
        signature: &[u8],
    ) -> Result<(), Problem> {
        let wrong = match Address::parse(address) {
            Err(error) => Wrong::Address(error),
            Ok(signer) => match recover(&digest, signature).as_ref().map(IdentityPublic::address) {
                Ok(found) if found == signer => return Ok(()),
                Ok(found) => Wrong::OtherSigner { signer: found },
                Err(error) => Wrong::Identity(error.clone()),
            },
        };
        let otherwise = Problem::new(path, wrong);
        // A contract is asked at an address without its mark, too.
        let Some(signer) = text::bytes(address).map(Address) else { return Err(otherwise) };
        self.questions.push(ContractQuestion { signer, digest, signature: signature.to_vec(), otherwise });
        Ok(())
    }
}
