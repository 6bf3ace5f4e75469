//! Containers of every fork: roots that the consensus specifications have, and foreign bytes.
//!
//! A line of `rows.txt` is a type, a fork or `-`, for blocks a form, then the length of its SSZ, its root, and what is
//! at which place of the SSZ that is no value, above all offsets. Lists have eight items, or
//! as many as there may be. All other bytes are free; the root is of [`Row::sample`]. Made with the Python package
//! `eth-consensus-specs` 1.7.0a13 (CC0), blinded blocks with its `ExecutionPayloadHeader` in the payload's place.

#[path = "../../../../tests/support/mutate.rs"]
mod mutate;

mod fuzz;
mod headers;
mod properties;
mod roots;

use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::Form;

/// A line of `rows.txt`.
struct Row {
    kind: &'static str,
    fork: Option<Fork>,
    form: Option<Form>,
    length: usize,
    root: [u8; 32],
    fixed: Vec<(usize, Vec<u8>)>,
}

fn rows() -> Vec<Row> {
    include_str!("rows.txt").lines().map(Row::parse).collect()
}

impl Row {
    fn parse(line: &'static str) -> Row {
        let mut words = line.split(' ');
        let mut word = || words.next().expect("a word");
        let (kind, fork) = (word(), Fork::named(word()));
        let form = (kind == "block").then(|| Form::from(word() == "blinded"));
        let length = word().parse().expect("a length");
        let root = hex::decode(word()).expect("hex").try_into().expect("a root");
        let fixed = word().split(',').filter(|part| !part.is_empty());
        let place = |part: &str| {
            let (at, bytes) = part.split_once(':').expect("a place");
            (at.parse().expect("a number"), hex::decode(bytes).expect("hex"))
        };
        Row { kind, fork, form, length, root, fixed: fixed.map(place).collect() }
    }

    /// SSZ whose free bytes are these.
    fn with(&self, free: impl Iterator<Item = u8>) -> Vec<u8> {
        let mut bytes: Vec<u8> = free.take(self.length).collect();
        for (at, fixed) in &self.fixed {
            bytes[*at..][..fixed.len()].copy_from_slice(fixed);
        }
        bytes
    }

    /// SSZ whose free bytes follow a pattern.
    fn sample(&self) -> Vec<u8> {
        self.with((0_usize..).map(|at| u8::try_from((at * 7 + (at >> 8) * 13 + 5) % 251).expect("below 251")))
    }
}
