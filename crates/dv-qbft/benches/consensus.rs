//! What consensus costs.
fn main() {}
