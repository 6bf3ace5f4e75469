//! What a validator has signed, and what it may sign.
