//! The node of a distributed validator as a pure machine.
