//! Threshold BLS beside plain loops over blst.

fn main() {}
