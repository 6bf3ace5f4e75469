//! What every backend must do. A backend takes the suite by being a [`Place`]; [`trials`] makes its tests.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coxswain_state::*;
use libtest_mimic::Trial;

use super::work::{Acknowledged, check, work};
use super::*;

/// What takes longer never happens.
const LIMIT: Duration = Duration::from_secs(30);

/// Where one state can be; empty when it is made.
pub(crate) trait Place: Send + Sync {
    /// Another client of it.
    fn client(&self) -> Box<dyn Backend>;
    /// A client that stops for good, as the place's fault has it, after this many of its smallest steps.
    fn dying(&self, after: usize) -> Box<dyn Backend>;
}

/// How a place is made, and how it breaks.
pub(crate) struct Made {
    /// The name of it and of its fault.
    pub(crate) name: &'static str,
    /// Another empty place; none where this machine cannot have it.
    pub(crate) make: fn() -> Option<Box<dyn Place>>,
    /// How many of its smallest steps only make the connection, so that a stop there is always the same.
    pub(crate) begin: usize,
    /// How many of them the crash test passes over at once, in a long piece of work.
    pub(crate) stride: usize,
    /// And in one write.
    pub(crate) fine: usize,
}

/// The tests of one place.
pub(crate) fn trials(made: &'static Made) -> Vec<Trial> {
    type Check = fn(&Made);
    let checks: [(&str, Check); 7] = [
        ("contents_come_back_as_they_went", contents),
        ("appends_cut_and_append", appends),
        ("one_client_has_the_lock", lock),
        ("racing_writers_lose_nothing", racing),
        ("readers_see_whole_contents", readers),
        ("a_crash_at_any_step_loses_nothing", crashes),
        ("a_write_that_is_cut_leaves_the_former_content", torn),
    ];
    checks
        .map(|(name, check)| {
            Trial::test(format!("{}::{name}", made.name), move || {
                check(made);
                Ok(())
            })
        })
        .into()
}

/// Waits until it is so.
#[track_caller]
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "{what}: not within {} s", LIMIT.as_secs());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The lock, once whoever died has let go of it.
#[track_caller]
fn take(backend: &dyn Backend) -> Guard {
    until("the lock", || match backend.lock(&owner()) {
        Ok(guard) => Some(guard),
        Err(Error::Busy { .. }) => None,
        Err(error) => panic!("{error}"),
    })
}

/// A store, once whoever died has let go of the lock.
#[track_caller]
fn store(place: &dyn Place, what: &str) -> Store {
    until("the lock", || match Store::open(place.client(), &owner(), fresh()) {
        Ok(store) => Some(store),
        Err(Error::Busy { .. }) => None,
        Err(error) => panic!("{what}: {error}"),
    })
}

fn contents(made: &Made) {
    let Some(place) = (made.make)() else { return };
    let (writer, reader) = (place.client(), place.client());
    assert_eq!(reader.read(Name::Snapshot).expect("reads"), None, "nothing is there yet");
    assert_eq!(reader.list_past().expect("lists"), [], "nothing is there yet");
    let _guard = take(writer.as_ref());
    let every_byte: Vec<u8> = (0..=255).collect();
    let odd = b"unlock\n\n$(exit 1) `exit 1` ' \" \\ \0 drop state.json\nput x 5\n".to_vec();
    let large: Vec<u8> = every_byte.iter().copied().cycle().take(1_000_003).collect();
    for content in [Vec::new(), b"x".to_vec(), every_byte, odd, large, b"\n".to_vec()] {
        writer.write_atomic(Name::Snapshot, &content).expect("writes");
        let read = reader.read(Name::Snapshot).expect("reads").expect("is there");
        assert!(read == content, "{} bytes came back as {}", content.len(), read.len());
    }
    let all = [
        Name::Snapshot,
        Name::Journal,
        Name::DigestKey,
        Name::Ignore,
        Name::Past(3),
        Name::PastJournal(3),
        Name::DamagedSnapshot(1),
        Name::DamagedJournal(12),
    ];
    for (n, name) in all.into_iter().enumerate() {
        writer.write_atomic(name, format!("{n}").as_bytes()).expect("writes");
    }
    for (n, name) in all.into_iter().enumerate() {
        assert_eq!(reader.read(name).expect("reads"), Some(format!("{n}").into_bytes()), "{name:?}");
    }
    let mut past = all[4..].to_vec();
    past.sort();
    assert_eq!(reader.list_past().expect("lists"), past);
    for name in all {
        writer.remove(name).expect("removes");
        writer.remove(name).expect("what is gone is removed");
        assert_eq!(reader.read(name).expect("reads"), None, "{name:?}");
    }
    assert_eq!(reader.list_past().expect("lists"), []);
}

fn appends(made: &Made) {
    let Some(place) = (made.make)() else { return };
    let (writer, reader) = (place.client(), place.client());
    let _guard = take(writer.as_ref());
    let read = || reader.read(Name::Journal).expect("reads").expect("is there");
    writer.write_atomic(Name::Journal, b"one\n").expect("writes");
    writer.append_sync(Name::Journal, 4, b"two\n").expect("appends");
    assert_eq!(read(), b"one\ntwo\n");
    writer.append_sync(Name::Journal, 4, b"three\n").expect("what is behind is cut first");
    assert_eq!(read(), b"one\nthree\n");
    writer.append_sync(Name::Journal, 10, b"").expect("nothing");
    writer.append_sync(Name::Journal, 11, b"x").expect_err("it is shorter than that");
    writer.append_sync(Name::Past(7), 0, b"x").expect_err("it is not there");
    assert_eq!(read(), b"one\nthree\n");
    writer.append_sync(Name::Journal, 10, b"four\n").expect("a refusal is no end");
    assert_eq!(read(), b"one\nthree\nfour\n");
}

fn lock(made: &Made) {
    let Some(place) = (made.make)() else { return };
    let barrier = std::sync::Barrier::new(4);
    let stores: Vec<_> = std::thread::scope(|scope| {
        let race = || {
            let client = place.client();
            barrier.wait();
            Store::open(client, &owner(), fresh())
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(race)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(stores.iter().filter(|store| store.is_ok()).count(), 1);
    for error in stores.iter().filter_map(|store| store.as_ref().err()) {
        assert!(matches!(error, Error::Busy { .. }), "{error}");
    }
    match Store::open(place.client(), &owner(), fresh()) {
        Err(Error::Busy { owner: Some(holder), place: at }) => {
            assert_eq!((*holder, at), (owner(), place.client().place()));
        }
        other => panic!("{other:?}"),
    }
    assert!(View::load(place.client().as_ref()).expect("readers need no lock").exists);
    drop(stores);
    Store::open(place.client(), &owner(), fresh()).expect("is free again at once");
}

fn racing(made: &Made) {
    const EACH: usize = 6;
    let Some(place) = (made.make)() else { return };
    let work = |who: &str| {
        for n in 0..EACH {
            let mut store = store(place.as_ref(), who);
            let changes = vec![put(&format!("{who}{n}"), who)];
            store.edit(who, changes, AT).expect("the lock is ours");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| work("x"));
        scope.spawn(|| work("y"));
    });
    let state = View::load(place.client().as_ref()).expect("reads").state;
    assert_eq!(state.instances.len(), 2 * EACH);
    assert_eq!(state.serial, 2 * EACH as u64, "each change is one serial");
}

fn readers(made: &Made) {
    let Some(place) = (made.make)() else { return };
    let (writer, reader) = (place.client(), place.client());
    let _guard = take(writer.as_ref());
    let contents = [vec![b'a'; 100_000], vec![b'b'; 250_000]];
    writer.write_atomic(Name::Snapshot, &contents[0]).expect("writes");
    let (is_over, looked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let read = reader.read(Name::Snapshot).expect("reads").expect("is there");
                assert!(contents.contains(&read), "{} bytes of neither", read.len());
                looked.fetch_add(1, Ordering::Relaxed);
            }
        });
        for n in 1..30 {
            writer.write_atomic(Name::Snapshot, &contents[n % 2]).expect("writes");
        }
        let before = looked.load(Ordering::Relaxed);
        until("a look", || (looked.load(Ordering::Relaxed) > before).then_some(()));
        is_over.store(true, Ordering::Relaxed);
    });
}

fn crashes(made: &Made) {
    // How many steps there are shows when one survives all of them.
    let mut ends = BTreeSet::new();
    for n in (made.begin..).step_by(made.stride) {
        let Some(place) = (made.make)() else { return };
        let what = format!("{} after {n}", made.name);
        let mut seen = Acknowledged::default();
        let survived = work(place.dying(n), &mut seen).is_ok();
        let store = store(place.as_ref(), &what);
        check(store.state(), &seen, &what);
        drop(store);
        let view = View::load(place.client().as_ref()).unwrap_or_else(|e| panic!("{what}: {e}"));
        check(&view.state, &seen, &what);
        work(place.client(), &mut seen).unwrap_or_else(|e| panic!("{what}: does not go on: {e}"));
        ends.insert((seen.serial, seen.done.len()));
        if survived {
            assert!(n > made.begin + made.stride * 5, "{what}: it was never stopped");
            break;
        }
    }
}

fn torn(made: &Made) {
    let content: Vec<u8> = b"0123456789abcdef\n".repeat(20);
    for n in (made.begin..).step_by(made.fine) {
        let Some(place) = (made.make)() else { return };
        let what = format!("{} after {n}", made.name);
        let other = place.client();
        {
            let _guard = take(other.as_ref());
            other.write_atomic(Name::Snapshot, b"former").expect("writes");
            other.write_atomic(Name::Journal, b"begin\n").expect("writes");
        }
        let dying = place.dying(n);
        let done = dying.lock(&owner()).and_then(|guard| {
            dying.write_atomic(Name::Snapshot, &content)?;
            dying.append_sync(Name::Journal, 6, &content)?;
            Ok(guard)
        });
        let survived = done.is_ok();
        drop((done, dying));
        let _guard = take(other.as_ref());
        let snapshot = other.read(Name::Snapshot).expect("reads").expect("is there");
        let journal = other.read(Name::Journal).expect("reads").expect("is there");
        assert!(snapshot == b"former" || snapshot == content, "{what}: {snapshot:?}");
        let appended = journal.strip_prefix(b"begin\n").unwrap_or_else(|| panic!("{what}: {journal:?}"));
        assert!(content.starts_with(appended), "{what}: {journal:?}");
        assert!(snapshot == content || appended.is_empty(), "{what}: in another order");
        if survived {
            assert!(n > made.begin + made.fine * 2, "{what}: it was never stopped");
            assert_eq!((snapshot.len(), appended.len()), (content.len(), content.len()));
            break;
        }
    }
}

/// What a client writes, until it has written so many bytes: then its end is closed.
pub(crate) struct Cut {
    input: Option<Box<dyn Write + Send>>,
    left: usize,
    at_the_end: Box<dyn FnMut() + Send>,
}

impl Cut {
    /// `at_the_end` is done before the end is closed.
    pub(crate) fn after(
        left: usize,
        input: Box<dyn Write + Send>,
        at_the_end: impl FnMut() + Send + 'static,
    ) -> Cut {
        Cut { input: Some(input), left, at_the_end: Box::new(at_the_end) }
    }
}

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(input) = &mut self.input else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let n = bytes.len().min(self.left);
        input.write_all(&bytes[..n])?;
        self.left -= n;
        if n == bytes.len() {
            return Ok(n);
        }
        (self.at_the_end)();
        self.input = None;
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
