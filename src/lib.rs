//! coxswain, the library under the binary.
