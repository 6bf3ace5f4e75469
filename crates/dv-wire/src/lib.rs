//! Messages between nodes of a distributed validator, byte for byte.
