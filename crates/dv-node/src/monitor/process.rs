//! What the system says of this process, where it has `/proc` as Linux does; a figure that is not there is left out.
//!
//! <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>

use std::fs;

use super::book::as_number;
use super::catalogue as names;
use super::registry::Registry;

/// Ticks of a second in what `/proc` shows: USER_HZ, which is 100 on all machines that this program is made for.
const TICKS: f64 = 100.0;

/// Writes what there is.
pub(super) fn write(registry: &mut Registry) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let times = times(&read("/proc/self/stat"));
    let start = times.zip(booted(&read("/proc/stat"))).map(|((_, after), boot)| boot + after);
    for (metric, value) in [
        (&names::CPU, times.map(|(took, _)| took)),
        (&names::PROCESS_START, start),
        (&names::MEMORY, bytes(&status, "VmRSS:")),
        (&names::VIRTUAL_MEMORY, bytes(&status, "VmSize:")),
        (&names::OPEN_FDS, open_files()),
        (&names::MAX_FDS, limit(&read("/proc/self/limits"))),
    ] {
        if let Some(value) = value {
            registry.set(metric, &[], value);
        }
    }
}

/// The number of the line that begins so.
fn number(text: &str, head: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(head))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(as_number(number))
}

/// Of a line like `VmRSS:     1234 kB`.
fn bytes(status: &str, head: &str) -> Option<f64> {
    number(status, head).map(|kibibytes| kibibytes * 1024.0)
}

/// Files that may be open: the soft limit, of which there is one always.
fn limit(limits: &str) -> Option<f64> {
    number(limits, "Max open files")
}

/// When the machine was started, in seconds after 1970.
fn booted(stat: &str) -> Option<f64> {
    number(stat, "btime")
}

/// Seconds of processors that this process took, and from the start of the machine to its own. The name of the program is
/// in parentheses and may have any character; what follows it is the third field.
fn times(stat: &str) -> Option<(f64, f64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |field: usize| Some(as_number(fields.get(field - 3)?.parse().ok()?));
    Some(((ticks(14)? + ticks(15)?) / TICKS, ticks(22)? / TICKS))
}

/// Files that are open, without the one that lists them.
fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(as_number(count.saturating_sub(1) as u64))
}

#[cfg(test)]
mod tests {
    use super::super::registry::Metric;
    use super::*;

    #[test]
    fn figures_are_read_from_their_lines() {
        let status = "Name:\tx\nVmSize:\t   99 kB\nVmRSS:\t    1234 kB\nVmData: 1 kB\n";
        assert_eq!(bytes(status, "VmRSS:"), Some(1234.0 * 1024.0));
        assert_eq!(bytes(status, "VmSize:"), Some(99.0 * 1024.0));
        assert_eq!(bytes("Name:\tx\n", "VmRSS:"), None);
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files    1024    4096    files\n";
        assert_eq!(limit(limits), Some(1024.0));
        assert_eq!(booted("cpu  1 2 3\nbtime 1700000000\nprocesses 5\n"), Some(1_700_000_000.0));
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 12345 1000 10 1";
        assert_eq!(times(stat), Some((3.0, 123.45)));
        assert_eq!(times("7 (a) S 1"), None);
    }

    /// A program of this machine: it runs, it has three files open at least, and it was started after 2020.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_all_of_them() {
        let open = fs::File::open("/proc/self/stat").expect("it is there");
        let mut registry = Registry::default();
        write(&mut registry);
        drop(open);
        let value = |metric: &Metric| registry.numbers(metric).next().map(|(_, value)| value);
        let above = |metric: &Metric, least: f64| {
            let value = value(metric);
            assert!(value.is_some_and(|value| value >= least), "{}: {value:?}", metric.name);
        };
        above(&names::CPU, 0.0);
        above(&names::PROCESS_START, 1_577_836_800.0);
        above(&names::MEMORY, 4096.0);
        above(&names::VIRTUAL_MEMORY, 4096.0);
        above(&names::OPEN_FDS, 1.0);
        assert!(value(&names::OPEN_FDS) <= value(&names::MAX_FDS));
        assert!(value(&names::MEMORY) <= value(&names::VIRTUAL_MEMORY));
    }
}
