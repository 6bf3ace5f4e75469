//! One node with a key.
