//! The log: one span per invocation, always with the same fields, and in it look_up, load, decide and commit. It never goes
//! to stdout and never has a secret or a whole pod in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::prelude::*;

use files::{check_is_file, not_regular};
use ipam::shown::{self, OneLineEach};

/// The crates whose events are logged: our own only, because libraries have nothing to say to an operator.
const OURS: [&str; 4] = ["kube_ipam", "cluster", "engine", "store"];

/// What to do about a log that cannot be written.
pub(crate) const HINT: &str = "set logFile to a regular file in an existing directory, or remove logFile";

/// Appends every event of this level or above to a file. At `debug`, every span says how long it took.
///
/// A file that cannot be written is reported on stderr and is no error, because no pod should fail for want of a log.
pub fn to_file(path: &Path, level: LevelFilter) {
    let file = match open(path) {
        Ok(file) => OneLineEach(file),
        Err(error) => {
            let told = format!("kube-ipam: cannot log to {}: {error}", path.display());
            let _ = writeln!(io::stderr(), "{}", shown::one_line(&told));
            return;
        }
    };
    let times = if level >= LevelFilter::DEBUG { FmtSpan::CLOSE } else { FmtSpan::NONE };
    let lines = fmt::layer().with_writer(Mutex::new(file)).with_ansi(false).with_target(false).with_span_events(times);
    let ours = Targets::new().with_targets(OURS.map(|name| (name, level)));
    // `tracing` takes one subscriber per process. Tests call this several times in theirs.
    let _ = tracing_subscriber::registry().with(lines.with_filter(ours)).try_init();
}

/// Opens a regular file only. On a pipe the call would wait for a reader, and what a device does is unknown.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = file.map_err(|error| match error.raw_os_error() {
        // The error for a pipe without a reader.
        Some(libc::ENXIO) => not_regular(),
        _ => error,
    })?;
    check_is_file(&file.metadata()?)?;
    Ok(file)
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
    use super::*;
    use std::collections::BTreeSet;

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
