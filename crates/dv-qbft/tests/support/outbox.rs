//! What goes out of a node in tests.

use coxswain_dv_qbft::consensus::Effect;

/// Messages that go out, each once, and to how many.
pub(crate) fn sent(effects: &[Effect]) -> Vec<(Vec<u8>, usize)> {
    let mut found: Vec<(Vec<u8>, usize)> = Vec::new();
    for effect in effects {
        let Effect::Send { message, .. } = effect else { continue };
        match found.iter_mut().find(|(known, _)| known == message.as_ref()) {
            Some((_, count)) => *count += 1,
            None => found.push((message.to_vec(), 1)),
        }
    }
    found
}
