//! x
pub struct FakeWorld;
