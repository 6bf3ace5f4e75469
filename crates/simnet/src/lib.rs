//! A simulated beacon chain and validator client.
