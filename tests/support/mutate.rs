//! Damage for fuzz targets: a valid sample, and what a script of random bytes does to it.

/// Most changes to one sample: beyond that nothing of it is left.
const MAX_CHANGES: usize = 12;

/// The sample after the changes that `script` says, five bytes each; `words` are what is put in whole.
pub(crate) fn mutate(sample: &[u8], script: &[u8], words: &[&str]) -> Vec<u8> {
    let mut out = sample.to_vec();
    for change in script.chunks_exact(5).take(MAX_CHANGES) {
        let at = usize::from(u16::from_le_bytes([change[1], change[2]])) % (out.len() + 1);
        let span = at..(at + usize::from(change[3] % 24)).min(out.len());
        let word = words.get(usize::from(change[4]) % words.len().max(1)).copied().unwrap_or_default();
        match change[0] % 7 {
            0 if at < out.len() => out[at] ^= change[4].max(1),
            1 => out.insert(at, change[4]),
            2 => drop(out.drain(span)),
            3 => {
                let copy = out[span].to_vec();
                out.splice(at..at, copy);
            }
            4 => drop(out.splice(at..at, word.bytes())),
            5 => drop(out.splice(span, word.bytes())),
            _ if change[4] > 250 => out.truncate(at),
            _ => {}
        }
    }
    out
}
