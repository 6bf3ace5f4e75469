//! Consensus of a distributed validator: QBFT.
