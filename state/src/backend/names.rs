//! Names of the files, the same in every place that has files.

use super::Name;

/// The directory of what is kept of earlier states.
pub(super) const HISTORY: &str = "history";
/// The file that is locked.
pub(super) const LOCK: &str = "lock";

/// Where it is, below the directory of the state.
pub(super) fn file(name: Name) -> String {
    let past = |serial: u64, ending: &str| format!("{HISTORY}/{serial:012}.{ending}");
    match name {
        Name::Snapshot => "state.json".to_owned(),
        Name::Journal => "journal.jsonl".to_owned(),
        Name::DigestKey => "digest.key".to_owned(),
        Name::Ignore => ".gitignore".to_owned(),
        Name::Past(serial) => past(serial, "json"),
        Name::PastJournal(serial) => past(serial, "jsonl"),
        Name::DamagedSnapshot(serial) => past(serial, "json.damaged"),
        Name::DamagedJournal(serial) => past(serial, "jsonl.damaged"),
    }
}

/// What the files in the directory of earlier states are, in order; those of somebody else are passed over.
pub(super) fn past(files: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Name> {
    let name = |file: &str| {
        let (serial, ending) = file.split_once('.')?;
        let serial = serial.parse().ok()?;
        match ending {
            "json" => Some(Name::Past(serial)),
            "jsonl" => Some(Name::PastJournal(serial)),
            "json.damaged" => Some(Name::DamagedSnapshot(serial)),
            "jsonl.damaged" => Some(Name::DamagedJournal(serial)),
            _ => None,
        }
    };
    let mut names: Vec<Name> = files.into_iter().filter_map(|file| name(file.as_ref())).collect();
    names.sort();
    names
}
