//! What is in the way of one file of an installation, while the others are installed all the same.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::verbs;
use cni::Fail;
use cni::failure::ANY_NETWORK;
use files::{Replacement, Survives, Turn};
use ipam::shown::one_line;
use limits::CREDENTIAL_BYTES;

/// A file that is not installed, and why. It keeps the pod of the DaemonSet from being ready, so that a roll-out ends there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub(super) file: PathBuf,
    pub(super) why: String,
    pub(super) hint: Option<String>,
}

impl Obstacle {
    pub(super) fn new(file: &Path, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { file: file.to_owned(), why: why.into(), hint: Some(hint.into()) }
    }

    pub(super) fn error(file: &Path, error: &verbs::Error) -> Self {
        Self { file: file.to_owned(), why: error.message(), hint: error.hint() }
    }

    /// A network that does not come to the node. It has no name there yet, so that the commands of a hint find it in its file.
    pub(super) fn of_network(file: &Path, error: &verbs::Error) -> Self {
        let hint = error.hint().map(|hint| hint.replace(ANY_NETWORK, &format!(" --conf {}", file.display())));
        Self { file: file.to_owned(), why: error.message(), hint }
    }

    /// A file of the volume that cannot be read.
    pub(super) fn unreadable(file: &Path, error: &io::Error) -> Self {
        Self::new(file, format!("cannot be read: {error}"), "correct it in the ConfigMap or Secret")
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display().to_string();
        // Some errors name the file themselves.
        if !self.why.contains(&file) {
            write!(f, "{}: ", one_line(&file))?;
        }
        f.write_str(&one_line(&self.why))?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {})", one_line(hint)),
            None => Ok(()),
        }
    }
}

/// Where the result of a look is written, for a readiness probe: a file that is empty where nothing is in the way.
#[derive(Debug)]
pub(super) struct State<'a>(pub(super) Option<&'a Path>);

impl State<'_> {
    /// A container that starts again in its pod is not ready because the former one was.
    pub(super) fn clear(&self) {
        if let Some(file) = self.0 {
            let _ = fs::remove_file(file);
        }
    }

    pub(super) fn write(&self, obstacles: &[Obstacle]) -> io::Result<()> {
        let Some(file) = self.0 else { return Ok(()) };
        let text: String = obstacles.iter().map(|obstacle| format!("{obstacle}\n")).collect();
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let put = Replacement { mode: 0o644, survives: Survives::Kill, turn: Turn::Ours };
        put.put(directory, file.file_name().unwrap_or_default(), |file| io::Write::write_all(file, text.as_bytes()))
    }
}

/// What a probe reads: `None` where everything is installed.
pub(super) fn read_state(file: &Path) -> Option<String> {
    match files::read_regular(file, CREDENTIAL_BYTES) {
        Ok(text) if text.is_empty() => None,
        Ok(text) => Some(String::from_utf8_lossy(&text).trim_end().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("the first look is not over yet".to_owned()),
        Err(error) => Some(format!("{}: {error}", file.display())),
    }
}
