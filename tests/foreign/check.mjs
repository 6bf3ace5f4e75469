// check.mjs DIR: looks at the files of a cluster with the keystores, SSZ and curves of others.
//
// DIR holds cluster-lock.json, deposit-data*.json and nodeN/validator_keys/keystore-*.json with their passwords.
// The last line says how much was checked; the first thing that is wrong ends it with status 1 and a line about it.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import bls_keystore from '@chainsafe/bls-keystore';
import { ByteVectorType, ContainerType, UintNumberType, UintBigintType } from '@chainsafe/ssz';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';

const bls = bls12_381.longSignatures;
const { Fr } = bls12_381.fields;
const { Keystore } = bls_keystore;
const dir = process.argv[2];
const counts = { keystores: 0, deposits: 0, registrations: 0, keys: 0, signatures: 0 };

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const bytes = (text) => Uint8Array.from(Buffer.from(text.replace(/^0x/, ''), 'hex'));
const text = (...path) => readFileSync(join(dir, ...path), 'utf8');
const must = (is, what) => { if (!is) { console.log(`wrong: ${what}`); process.exit(1); } };
const same = (found, expected, what) => must(found === expected, `${what} is ${found}, not ${expected}`);

// The proof-of-possession scheme of Ethereum.
const message = (root) => bls.hash(root, 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_');
const verifies = (signature, root, key) => {
    try { return bls.verify(bytes(signature), message(root), key); } catch { return false; }
};

// ---------------------------------------------------------------------------------- containers of the specifications

const Bytes = (n) => new ByteVectorType(n);
const ForkData = new ContainerType({ currentVersion: Bytes(4), genesisValidatorsRoot: Bytes(32) });
const SigningData = new ContainerType({ objectRoot: Bytes(32), domain: Bytes(32) });
const amounts = { pubkey: Bytes(48), withdrawalCredentials: Bytes(32), amount: new UintNumberType(8) };
const DepositMessage = new ContainerType(amounts);
const DepositData = new ContainerType({ ...amounts, signature: Bytes(96) });
const Registration = new ContainerType({
    feeRecipient: Bytes(20), gasLimit: new UintBigintType(8), timestamp: new UintBigintType(8), pubkey: Bytes(48),
});
const DOMAIN_DEPOSIT = '03000000';
const DOMAIN_APPLICATION_BUILDER = '00000001';

const signingRoot = (objectRoot, kind, forkVersion) => {
    const fork = ForkData.hashTreeRoot({ currentVersion: forkVersion, genesisValidatorsRoot: new Uint8Array(32) });
    const domain = Uint8Array.from([...bytes(kind), ...fork.slice(0, 28)]);
    return SigningData.hashTreeRoot({ objectRoot, domain });
};

// ------------------------------------------------------------------------------------------------------------- files

const lock = JSON.parse(text('cluster-lock.json'));
const definition = lock.cluster_definition;
const fork = bytes(definition.fork_version);
const validators = lock.distributed_validators;
const nodes = definition.operators.map((_, node) => `node${node}`);
same(validators.length, definition.num_validators, 'the number of validators');

// Keystores: every one opens, with its own password alone, and holds the share that the lock says.
const shares = [];
for (const node of nodes) {
    const keys = join(node, 'validator_keys');
    const files = readdirSync(join(dir, keys)).filter((name) => name.endsWith('.json'));
    same(files.length, validators.length, `the number of keystores of ${node}`);
    const secrets = [];
    for (const file of files) {
        const keystore = Keystore.parse(text(keys, file));
        const password = text(keys, file.replace('.json', '.txt'));
        must(await keystore.verifyPassword(password), `the password of ${node}/${file}`);
        must(!(await keystore.verifyPassword(`${password}0`)), `another password opens ${node}/${file}`);
        const position = Number(file.match(/(\d+)\.json$/)[1]);
        secrets[position] = await keystore.decrypt(password);
        const found = hex(bls.getPublicKey(secrets[position]).toBytes());
        same(keystore.pubkey, found, `the public key of ${node}/${file}`);
        same(validators[position].public_shares[shares.length], `0x${found}`, `a share of validator ${position}`);
        counts.keystores += 1;
    }
    shares.push(secrets);
}

// Any threshold of shares give the validator's key: the first ones, and the last ones.
const recover = (indices, position) => {
    let sum = 0n;
    for (const i of indices) {
        let factor = Fr.fromBytes(shares[i - 1][position]);
        for (const j of indices) if (j !== i) factor = Fr.mul(factor, Fr.div(BigInt(j), Fr.sub(BigInt(j), BigInt(i))));
        sum = Fr.add(sum, factor);
    }
    return hex(bls.getPublicKey(Fr.toBytes(sum)).toBytes());
};
const all = nodes.map((_, node) => node + 1);
for (const [position, validator] of validators.entries()) {
    for (const chosen of [all.slice(0, definition.threshold), all.slice(-definition.threshold)]) {
        same(`0x${recover(chosen, position)}`, validator.distributed_public_key, `the key of validator ${position}`);
    }
    counts.keys += 1;
}

// Deposits, by the rules of the launchpad.
const publics = new Set(validators.map((validator) => validator.distributed_public_key.slice(2)));
for (const file of readdirSync(dir).filter((name) => /^deposit-data.*\.json$/.test(name))) {
    const deposits = JSON.parse(text(file));
    same(deposits.length, validators.length, `the number of deposits in ${file}`);
    for (const d of deposits) {
        for (const [name, length] of Object.entries({
            pubkey: 96, withdrawal_credentials: 64, signature: 192, deposit_message_root: 64, deposit_data_root: 64,
            fork_version: 8,
        })) must(new RegExp(`^[0-9a-f]{${length}}$`).test(d[name]), `${name} in ${file}`);
        must(publics.has(d.pubkey), `a key of ${file} that is none of the cluster`);
        must(/^0[12]0{22}/.test(d.withdrawal_credentials), `withdrawal_credentials in ${file}`);
        const most = d.withdrawal_credentials.startsWith('02') ? 2048e9 : 32e9;
        must(Number.isSafeInteger(d.amount) && d.amount >= 1e9 && d.amount <= most, `amount in ${file}`);
        same(d.fork_version, hex(fork), `fork_version in ${file}`);
        must(/^\d+\.\d+\.\d+$/.test(d.deposit_cli_version) && typeof d.network_name === 'string', `versions in ${file}`);
        const value = {
            pubkey: bytes(d.pubkey), withdrawalCredentials: bytes(d.withdrawal_credentials), amount: d.amount,
        };
        const root = DepositMessage.hashTreeRoot(value);
        same(d.deposit_message_root, hex(root), `deposit_message_root in ${file}`);
        const data = DepositData.hashTreeRoot({ ...value, signature: bytes(d.signature) });
        same(d.deposit_data_root, hex(data), `deposit_data_root in ${file}`);
        must(verifies(d.signature, signingRoot(root, DOMAIN_DEPOSIT, fork), value.pubkey), `signature in ${file}`);
        counts.deposits += 1;
    }
}

// Registrations with builders.
for (const { builder_registration: signed } of validators) {
    const { fee_recipient, gas_limit, timestamp, pubkey } = signed.message;
    const root = Registration.hashTreeRoot({
        feeRecipient: bytes(fee_recipient), gasLimit: BigInt(gas_limit), timestamp: BigInt(timestamp),
        pubkey: bytes(pubkey),
    });
    const signing = signingRoot(root, DOMAIN_APPLICATION_BUILDER, fork);
    must(verifies(signed.signature, signing, bytes(pubkey)), 'the signature of a registration');
    counts.registrations += 1;
}

// The lock: signed by all shares at once, and by the key in the record of every node.
const hash = bytes(lock.lock_hash);
const everyone = validators.flatMap((validator) => validator.public_shares.map(bytes));
must(verifies(lock.signature_aggregate, hash, bls.aggregatePublicKeys(everyone)), 'the signature of all shares');
const name = Buffer.from([0x89, ...Buffer.from('secp256k1'), 0xa1]);
for (const [node, operator] of definition.operators.entries()) {
    const record = Buffer.from(operator.enr.replace(/^enr:/, ''), 'base64url');
    const at = record.indexOf(name);
    must(at > 0, `the record of node ${node}`);
    const key = record.subarray(at + name.length, at + name.length + 33);
    const signature = bytes(lock.node_signatures[node]).slice(0, 64);
    let good = false;
    try { good = secp256k1.verify(signature, hash, key, { prehash: false }); } catch { /* it is not good */ }
    must(good, `the signature of node ${node}`);
    counts.signatures += 1;
}
must(counts.deposits > 0, 'nothing was checked');
console.log(`checked: ${Object.entries(counts).map(([what, count]) => `${count} ${what}`).join(', ')}`);
