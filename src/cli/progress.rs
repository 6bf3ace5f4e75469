//! What a run tells while it goes: lanes on a terminal, lines in a pipe, JSON lines for machines. And Ctrl-C.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coxswain_model::Address;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::render::{Colour, Tone, json, one_line, row_of};
use super::terminal::Terminal;
use super::{Cx, Format};
use crate::apply::{Event, StepResult};
use crate::session::Interrupt;

/// How often a lane's clock is drawn.
const TICK: Duration = Duration::from_millis(200);
/// Parties in a row before the rest is counted.
const NAMES: usize = 5;

/// Where the events of a run go. Called from many threads at once.
pub(super) struct Progress {
    terminal: Arc<Terminal>,
    /// Shared by the threads that report; held only while one event is told.
    view: Mutex<View>,
}

enum View {
    Json,
    Plain(Lines),
    Lanes(Lanes),
}

impl Progress {
    /// What fits the terminal and the format.
    pub(super) fn new(cx: &Cx) -> Progress {
        let view = match cx.format {
            Format::Json => View::Json,
            Format::Text if cx.terminal.err_is_terminal => View::Lanes(Lanes::new(cx.terminal.err_colour)),
            Format::Text => View::Plain(Lines::new(Colour::Off)),
        };
        Progress { terminal: Arc::clone(&cx.terminal), view: Mutex::new(view) }
    }

    /// Tells an event.
    pub(super) fn event(&self, event: &Event) {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *view {
            View::Json => self.terminal.out(&json::event_line(event)),
            View::Plain(lines) => {
                if let Some(line) = lines.line(event) {
                    self.terminal.out(&format!("{line}\n"));
                }
            }
            View::Lanes(lanes) => lanes.event(event),
        }
    }

    /// Says something in between.
    fn say(&self, text: &str) {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        match &*view {
            View::Json => self.terminal.out(&json::message_line(text)),
            View::Plain(_) => self.terminal.err(&format!("{text}\n")),
            View::Lanes(lanes) => lanes.print(text),
        }
    }

    /// Takes the lanes away.
    pub(super) fn finish(&self) {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        match &*view {
            View::Json | View::Plain(_) => {}
            // A terminal that is gone has no lanes left to take away.
            View::Lanes(lanes) => drop(lanes.all.clear()),
        }
    }
}

/// Events as lines: one when a step waits, one when it ends.
struct Lines {
    colour: Colour,
    started: BTreeMap<String, Started>,
}

#[derive(Clone)]
struct Started {
    place: String,
    address: Address,
    title: String,
}

fn place_of(host: Option<&Address>) -> String {
    host.map_or_else(|| "this machine".to_owned(), ToString::to_string)
}

impl Lines {
    fn new(colour: Colour) -> Lines {
        Lines { colour, started: BTreeMap::new() }
    }

    fn line(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Round { number: 1, .. } | Event::Progress { .. } => None,
            Event::Round { number, steps } => {
                Some(format!("round {number}: {}", super::render::plural(*steps, "step")))
            }
            Event::Started { step, address, host, title } => {
                let started = Started {
                    place: place_of(host.as_ref()),
                    address: address.clone(),
                    title: one_line(title),
                };
                self.started.insert(step.clone(), started);
                None
            }
            Event::Blocked { step, why } => {
                let head = self.started.get(step).map_or_else(|| step.clone(), head);
                Some(format!("{head}  {}", self.colour.paint(Tone::Faint, &one_line(why))))
            }
            Event::Finished { step, address, result, took } => {
                let head = match self.started.remove(step) {
                    Some(started) => head(&started),
                    None => address.to_string(),
                };
                Some(format!("{head}  {}", self.result(result, *took)))
            }
        }
    }

    fn result(&self, result: &StepResult, took: Duration) -> String {
        let paint = |tone, text: &str| self.colour.paint(tone, text);
        match result {
            StepResult::Done => format!("{} ({})", paint(Tone::Add, "done"), duration(took)),
            StepResult::Running => paint(Tone::Warn, "goes on at its host"),
            StepResult::Waiting { on } => {
                let on: Vec<String> = on.iter().map(|name| one_line(name)).collect();
                format!("{} for {}", paint(Tone::Warn, "waits"), row_of(&on, NAMES))
            }
            StepResult::Failed { error } => {
                format!("{} ({}): {}", paint(Tone::Remove, "failed"), duration(took), one_line(error))
            }
            StepResult::Refused { reason } => {
                format!("{}: {}", paint(Tone::Warn, "refused"), one_line(reason))
            }
            StepResult::Held { by } => {
                format!("{}: after {}", paint(Tone::Warn, "left for later"), one_line(by))
            }
            StepResult::NotStarted { because } => {
                format!("{}: {}", paint(Tone::Warn, "not started"), one_line(because))
            }
        }
    }
}

fn head(started: &Started) -> String {
    format!("{}  {}  {}", started.place, started.address, started.title)
}

/// `12 ms`, `3.4 s`, `2 min 5 s`.
fn duration(took: Duration) -> String {
    let seconds = took.as_secs();
    if seconds >= 60 {
        format!("{} min {} s", seconds / 60, seconds % 60)
    } else if seconds >= 1 {
        format!("{seconds}.{} s", took.subsec_millis() / 100)
    } else {
        format!("{} ms", took.as_millis())
    }
}

/// One live line per host: the step, how long it has been running, the last line from the host. What ended is
/// written above.
struct Lanes {
    all: MultiProgress,
    lines: Lines,
    bars: BTreeMap<String, Lane>,
}

struct Lane {
    bar: ProgressBar,
    /// The steps that run here, in the order they started: id and text.
    running: Vec<(String, String)>,
}

impl Lanes {
    fn new(colour: Colour) -> Lanes {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Lanes { all, lines: Lines::new(colour), bars: BTreeMap::new() }
    }

    fn print(&self, text: &str) {
        // Nobody is left to be told if this fails.
        let _ = self.all.println(text);
    }

    fn event(&mut self, event: &Event) {
        let place = self.place(event);
        if let Some(line) = self.lines.line(event) {
            self.print(&line);
        }
        let Some(place) = place else { return };
        match event {
            Event::Started { step, address, title, .. } => {
                let lane = self.lane(&place);
                lane.running.push((step.clone(), format!("{address}  {}", one_line(title))));
                lane.bar.reset_elapsed();
                lane.show("");
            }
            Event::Progress { line, .. } => self.lane(&place).show(&one_line(line)),
            Event::Blocked { why, .. } => self.lane(&place).show(&one_line(why)),
            Event::Finished { step, .. } => {
                let lane = self.lane(&place);
                lane.running.retain(|(id, _)| id != step);
                if lane.running.is_empty() {
                    lane.bar.finish_and_clear();
                    self.bars.remove(&place);
                } else {
                    lane.show("");
                }
            }
            Event::Round { .. } => {}
        }
    }

    /// Where the event happened, as far as a step that started says.
    fn place(&self, event: &Event) -> Option<String> {
        match event {
            Event::Round { .. } => None,
            Event::Started { host, .. } => Some(place_of(host.as_ref())),
            Event::Blocked { step, .. } | Event::Progress { step, .. } | Event::Finished { step, .. } => {
                self.lines.started.get(step).map(|started| started.place.clone())
            }
        }
    }

    fn lane(&mut self, place: &str) -> &mut Lane {
        let all = &self.all;
        self.bars.entry(place.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = all.add(ProgressBar::new_spinner().with_style(style).with_prefix(place.to_owned()));
            bar.enable_steady_tick(TICK);
            Lane { bar, running: Vec::new() }
        })
    }
}

impl Lane {
    fn show(&self, last: &str) {
        let Some((_, text)) = self.running.last() else { return };
        let more = match self.running.len() {
            0 | 1 => String::new(),
            n => format!(" (+{})", n - 1),
        };
        let last = if last.is_empty() { String::new() } else { format!("  {last}") };
        self.bar.set_message(format!("{text}{more}{last}"));
    }
}

/// A line that says what is going on, for as long as this lives; on a terminal only.
pub(super) struct Spinner(Option<ProgressBar>);

impl Spinner {
    /// Says it.
    pub(super) fn new(cx: &Cx, text: &'static str) -> Spinner {
        let is_wanted = cx.format == Format::Text && cx.terminal.err_is_terminal;
        Spinner(is_wanted.then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let bar = bar.with_style(style).with_message(text);
            bar.enable_steady_tick(TICK);
            bar
        }))
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Ctrl-C and the polite request to end, from the moment this is made.
struct Stops {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

impl Stops {
    fn new() -> Stops {
        Stops {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            () = received(self.interrupt.as_mut()) => {}
            () = received(self.terminate.as_mut()) => {}
        }
    }
}

/// The next signal; never, where it cannot be listened to (it then ends the process as ever).
async fn received(signal: Option<&mut Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// Does the work unless Ctrl-C comes first; only for work that may be dropped at any time.
pub(super) async fn interruptible<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut stops = Stops::new();
    tokio::select! {
        done = work => Some(done),
        () = stops.next() => None,
    }
}

/// Passes Ctrl-C on to a run: once to start no more, twice to wait no longer.
pub(super) fn listen(interrupt: Arc<Interrupt>, progress: Arc<Progress>) -> tokio::task::JoinHandle<()> {
    let mut stops = Stops::new();
    tokio::spawn(async move {
        loop {
            stops.next().await;
            interrupt.press();
            progress.say(match interrupt.level() {
                0 | 1 => "finishing running steps; press again to stop waiting",
                _ => "not waiting any longer; the next plan looks at what was left",
            });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::render::plan::tests::address;
    use super::*;

    fn started() -> Event {
        Event::Started {
            step: "file.motd#apply".into(),
            address: address("file.motd"),
            host: Some(address("host.a")),
            title: "write /etc/motd".into(),
        }
    }

    fn finished(result: StepResult, ms: u64) -> Event {
        Event::Finished {
            step: "file.motd#apply".into(),
            address: address("file.motd"),
            result,
            took: Duration::from_millis(ms),
        }
    }

    #[track_caller]
    fn check(events: &[Event], expected: &[&str]) {
        let mut lines = Lines::new(Colour::Off);
        let got: Vec<String> = events.iter().filter_map(|event| lines.line(event)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn a_step_is_one_line_when_it_ends() {
        check(
            &[Event::Round { number: 1, steps: 1 }, started(), finished(StepResult::Done, 12)],
            &["host.a  file.motd  write /etc/motd  done (12 ms)"],
        );
    }

    #[test]
    fn waits_and_failures_say_why() {
        check(
            &[
                Event::Round { number: 2, steps: 1 },
                started(),
                Event::Blocked {
                    step: "file.motd#apply".into(),
                    why: "waiting: apt-get (pid 812) holds a lock".into(),
                },
                finished(StepResult::Failed { error: "no\nspace".into() }, 3400),
                finished(StepResult::NotStarted { because: "file.a#apply failed".into() }, 0),
                finished(StepResult::Waiting { on: vec!["ann".into()] }, 0),
            ],
            &[
                "round 2: 1 step",
                "host.a  file.motd  write /etc/motd  waiting: apt-get (pid 812) holds a lock",
                "host.a  file.motd  write /etc/motd  failed (3.4 s): no space",
                "file.motd  not started: file.a#apply failed",
                "file.motd  waits for ann",
            ],
        );
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(duration(Duration::from_millis(999)), "999 ms");
    }

    #[test]
    fn lanes_come_and_go() {
        let mut lanes = Lanes::new(Colour::Off);
        lanes.event(&started());
        lanes.event(&Event::Progress { step: "file.motd#apply".into(), line: "half".into() });
        assert_eq!(lanes.bars.len(), 1);
        lanes.event(&finished(StepResult::Done, 5));
        assert!(lanes.bars.is_empty());
    }
}
