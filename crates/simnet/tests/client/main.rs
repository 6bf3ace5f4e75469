//! Tests of the validator client, as one program: linking it takes longer than running most of them.

mod chain;
mod cluster;
mod fuzz;
mod node;
mod plan;
