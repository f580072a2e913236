//! The log: one line for each call, and one for each thing that an operator should know of besides. It never goes to
//! stdout, never fails a call and never has a secret or a whole pod in it.
//!
//! ```text
//!  event, target OUTCOME ── fields are noted ──────────────┐
//!  span (look_up, load, decide, commit) ── time is noted ──┤
//!  any other event ── a line at once, with what is noted   ▼
//!  event, target END ────────────────────────────────► the line of the call, and the counts of it
//! ```
//!
//! The counts for `kube-ipam metrics` are made of the same events, whether or not there is a log.
//!
//! The subscriber is our own and not one of `tracing-subscriber`, because each call is a process: the library's layers are
//! set up for thousands of spans, and that would take longer than writing the one line.

mod counted;
mod line;
mod read;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt;

use crate::config::Log;
use crate::verbs::OUTCOME;
use counted::Counted;
use files::RotatedFile;
use ipam::shown::{self, OneLineEach};
use limits::LOG_BYTES;
use line::Fields;
pub(crate) use read::{LogLine, end_of};

/// The crates whose events are logged: our own only, because libraries have nothing to say to an operator.
const OURS: [&str; 4] = ["kube_ipam", "cluster", "engine", "store"];

/// The target of the event that ends a call, and has its code.
pub(crate) const END: &str = "kube_ipam::end";

/// What to do about a log that cannot be written.
pub(crate) const HINT: &str =
    "set logFile to a regular file in an existing directory, or to \"none\" if no log is wanted";

/// Logs the call of this process, which began at this moment, and counts it in this directory. A file that cannot be written is no
/// error, because no pod should fail for want of a log. Where the configuration names the file, that is told on stderr.
pub(crate) fn begin(log: &Log, counts_dir: Option<PathBuf>, began: Instant) {
    if log.file.is_none() && counts_dir.is_none() {
        return;
    }
    let call = CallRecord {
        began,
        file: log.file.clone().map(|path| RotatedFile::new(path, LOG_BYTES)),
        counted: counts_dir.map(Counted::in_directory),
        fields: Fields::default(),
        spans: Vec::new(),
    };
    let level = if call.file.is_some() { log.level } else { LevelFilter::OFF };
    // `tracing` takes one subscriber per process. Tests call this several times in theirs.
    let _ = tracing::subscriber::set_global_default(CallLog { level, is_given: log.given, call: Mutex::new(call) });
}

/// The subscriber of a call.
struct CallLog {
    level: LevelFilter,
    is_given: bool,
    call: Mutex<CallRecord>,
}

/// What is known of the call so far.
struct CallRecord {
    began: Instant,
    file: Option<RotatedFile>,
    counted: Option<Counted>,
    fields: Fields,
    spans: Vec<PhaseSpan>,
}

/// One phase of the call.
struct PhaseSpan {
    name: &'static str,
    began: Instant,
    /// How many handles of the span there are.
    handles: usize,
    took: Option<Duration>,
}

impl CallLog {
    fn call(&self) -> MutexGuard<'_, CallRecord> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, call: &mut CallRecord, line: &str) {
        let Some(file) = &mut call.file else { return };
        let Err(error) = file.append(line) else { return };
        if self.is_given {
            let told = format!("kube-ipam: cannot log to {}: {error}", file.path().display());
            let _ = writeln!(io::stderr(), "{}", shown::one_line(&told));
        }
    }
}

impl CallRecord {
    /// Ends the call: what it took, in milliseconds, joins what is noted of it.
    fn note_times(&mut self, whole: Duration, phases: &[(&'static str, Duration)]) {
        self.fields.set_milliseconds("ms", whole);
        for (name, took) in phases {
            self.fields.set_milliseconds(name, *took);
        }
    }

    /// How long each phase took. One that was gone through several times is counted as one.
    fn phases(&self) -> Vec<(&'static str, Duration)> {
        let mut sums: Vec<(&'static str, Duration)> = Vec::new();
        for span in &self.spans {
            let took = span.took.unwrap_or_else(|| span.began.elapsed());
            match sums.iter_mut().find(|(name, _)| *name == span.name) {
                Some((_, sum)) => *sum += took,
                None => sums.push((span.name, took)),
            }
        }
        sums
    }
}

impl Subscriber for CallLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_ours = OURS.contains(&metadata.target().split("::").next().unwrap_or_default());
        // The end of a call is counted, whatever is logged.
        let is_told = metadata.is_span() || matches!(metadata.target(), OUTCOME | END);
        is_ours && (is_told || *metadata.level() <= self.level)
    }

    /// Phases and outcomes are told at this level, and what is below is not even looked at unless it is asked for.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.max(LevelFilter::INFO))
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut call = self.call();
        let name = span.metadata().name();
        call.spans.push(PhaseSpan { name, began: Instant::now(), handles: 1, took: None });
        Id::from_u64(call.spans.len() as u64)
    }

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(span) = self.call().spans.get_mut(index(id)) {
            span.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut call = self.call();
        let Some(span) = call.spans.get_mut(index(&id)) else { return false };
        span.handles -= 1;
        if span.handles == 0 {
            span.took = Some(span.began.elapsed());
        }
        span.handles == 0
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let message = if matches!(metadata.target(), OUTCOME | END) { "outcome" } else { "message" };
        // Before the lock is taken: the text of a value is made by code that might panic, and a panic is logged.
        let mut told = Fields::default();
        event.record(&mut told.noting(message));
        let mut call = self.call();
        match metadata.target() {
            OUTCOME => {
                if let Some(counted) = &mut call.counted {
                    counted.note(&told);
                }
                call.fields.add(told);
            }
            END => {
                call.fields.add(told);
                let (whole, phases) = (call.began.elapsed(), call.phases());
                call.note_times(whole, &phases);
                if *metadata.level() <= self.level {
                    let line = call.fields.line(Timestamp::now(), *metadata.level());
                    self.write(&mut call, &line);
                }
                if let Some(counted) = &call.counted {
                    counted.count(&call.fields, whole, &phases);
                }
            }
            _ => {
                let mut all = call.fields.identity();
                all.add(told);
                self.write(&mut call, &all.line(Timestamp::now(), *metadata.level()));
            }
        }
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn index(id: &Id) -> usize {
    usize::try_from(id.into_u64()).map_or(usize::MAX, |number| number - 1)
}

/// Writes warnings and errors to stderr, for commands.
pub fn to_stderr() {
    let _ = fmt()
        .with_writer(|| OneLineEach(io::stderr()))
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_max_level(LevelFilter::WARN)
        .try_init();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn log(file: &Path, level: LevelFilter) -> CallLog {
        let call = CallRecord {
            began: Instant::now(),
            file: Some(RotatedFile::new(file.to_owned(), LOG_BYTES)),
            counted: None,
            fields: Fields::default(),
            spans: Vec::new(),
        };
        CallLog { level, is_given: false, call: Mutex::new(call) }
    }

    /// What a call that is logged at this level leaves in its log.
    fn told(level: LevelFilter) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("log");
        tracing::subscriber::with_default(log(&file, level), || {
            tracing::info!(target: OUTCOME, verb = "ADD", network = "blue", container = "c1", node = "n1");
            {
                let _inside = tracing::info_span!("look_up").entered();
                tracing::warn!(range_set = 1, "a range set is full");
                tracing::debug!("details");
            }
            for _ in 0..2 {
                drop(tracing::info_span!("decide"));
            }
            tracing::info!(target: OUTCOME, addresses = "10.0.0.2", attempt = 1, "claimed");
            tracing::info!(target: END, code = 0);
        });
        std::fs::read_to_string(file).unwrap_or_default()
    }

    #[test]
    fn a_call_is_one_line_with_all_that_is_known_of_it() {
        let told = told(LevelFilter::INFO);
        let [warning, call] = told.lines().collect::<Vec<_>>()[..] else { panic!("{told}") };
        let expected = " WARN verb=ADD network=blue container=c1 node=n1 message=\"a range set is full\" range_set=1";
        assert!(warning.ends_with(expected), "{warning}");
        let beginning =
            " INFO verb=ADD network=blue container=c1 node=n1 outcome=claimed addresses=10.0.0.2 attempt=1 code=0 ms=";
        assert!(call.contains(beginning), "{call}");
        assert!(call.contains(" look_up=0.") && call.matches(" decide=").count() == 1, "{call}");
    }

    #[test]
    fn a_level_holds_back_what_is_below_it_and_never_a_failure() {
        let warnings = told(LevelFilter::WARN);
        assert!(warnings.lines().count() == 1 && warnings.contains("WARN"), "{warnings}");
        assert_eq!(told(LevelFilter::ERROR), "");
        assert!(told(LevelFilter::DEBUG).contains("DEBUG verb=ADD network=blue container=c1 node=n1 message=details"));
    }

    #[test]
    fn whatever_crate_has_something_to_say_is_heard() {
        let crates = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
        let speaks = |directory: &Path| {
            let manifest = std::fs::read_to_string(directory.join("Cargo.toml")).unwrap();
            manifest.contains("\ntracing.workspace = true")
        };
        let speaking: BTreeSet<String> = crates
            .map(|entry| entry.unwrap().path())
            .filter(|directory| speaks(directory))
            .map(|directory| directory.file_name().unwrap().to_string_lossy().replace('-', "_"))
            .collect();
        assert_eq!(speaking, OURS.map(str::to_owned).into());
    }
}
