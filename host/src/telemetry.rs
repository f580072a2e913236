//! The log: one span per invocation, always with the same fields, its children look_up, load, decide and commit. Never
//! on stdout, never a secret, never a whole pod.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::prelude::*;

/// Write everything from this level up to a file, appending. At `debug`, every span says how long it took.
///
/// Without a call of this the log costs nothing. A file that cannot be written is told on stderr: no pod shall fail
/// for want of a log.
pub fn to_file(path: &Path, level: LevelFilter) {
    let file = match OpenOptions::new().create(true).append(true).open(path) {
        Ok(file) => file,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "kube-ipam: no log in {}: {error}", path.display());
            return;
        }
    };
    let times = if level >= LevelFilter::DEBUG { FmtSpan::CLOSE } else { FmtSpan::NONE };
    let lines = fmt::layer().with_writer(Mutex::new(file)).with_ansi(false).with_target(false).with_span_events(times);
    // Our own words only: libraries have nothing to tell an operator.
    let ours = Targets::new().with_target("kube_ipam", level);
    // A second subscriber (tests in one process) is refused by `tracing`; the first one stays.
    let _ = tracing_subscriber::registry().with(lines.with_filter(ours)).try_init();
}

/// For commands: warnings and errors to stderr.
pub fn to_stderr() {
    let _ = fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_max_level(LevelFilter::WARN)
        .try_init();
}
