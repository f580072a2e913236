//! What to log, and where: by default to a file of the node, so that there is something to read after a bad night.

use std::ffi::OsStr;
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::error::Error;
use super::field::Held;
use cni::NetConf;
use cni::netconf::Ipam;

pub(crate) const LOG_FILE: &str = "ipam.logFile";

/// The log of a node whose networks name no other.
const DEFAULT_FILE: &str = "/var/log/kube-ipam.log";

/// A variable of the runtime's environment that takes the place of the default: a path, or `none`.
pub(crate) const LOG_VARIABLE: &str = "KUBE_IPAM_LOG_FILE";

/// How a configuration says that no log is wanted.
const NONE: &str = "none";

/// What to log, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Without a file there is no log.
    pub file: Option<PathBuf>,
    /// Whether the configuration names the file. Nobody misses the default one where it cannot be written.
    pub given: bool,
    /// The least severe level that is logged.
    pub level: LevelFilter,
}

impl Default for Log {
    fn default() -> Self {
        Self { file: default_file(std::env::var_os(LOG_VARIABLE).as_deref()), given: false, level: LevelFilter::INFO }
    }
}

impl Log {
    /// What a configuration says of the log, whatever else is wrong with it.
    pub(crate) fn of(netconf: &NetConf) -> Self {
        netconf.ipam().map_or_else(|_| Self::default(), Self::read)
    }

    /// What cannot be used has its default: an ADD is told of it by [`super::base::check_settings`].
    pub(super) fn read(ipam: &Ipam) -> Self {
        let level = level(ipam).unwrap_or(LevelFilter::INFO);
        match file(ipam) {
            Ok(Some(LogFile::Named(file))) => Self { file: Some(file), given: true, level },
            Ok(Some(LogFile::Unwanted)) => Self { file: None, given: true, level },
            Ok(None) | Err(_) => Self { level, ..Self::default() },
        }
    }
}

/// What `logFile` says.
pub(super) enum LogFile {
    Named(PathBuf),
    Unwanted,
}

pub(super) fn file(ipam: &Ipam) -> Result<Option<LogFile>, Error> {
    match Held::read(LOG_FILE, ipam.log_file.as_ref())? {
        None => Ok(None),
        Some(held) if held.text == NONE => Ok(Some(LogFile::Unwanted)),
        Some(held) => Ok(Some(LogFile::Named(held.absolute_path()?))),
    }
}

pub(super) fn level(ipam: &Ipam) -> Result<LevelFilter, Error> {
    let Some(held) = Held::read("ipam.logLevel", ipam.log_level.as_ref())? else { return Ok(LevelFilter::INFO) };
    match held.text.to_lowercase().as_str() {
        "error" => Ok(LevelFilter::ERROR),
        "warn" | "warning" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(held.wrong("error, warn, info, debug or trace")),
    }
}

fn default_file(said: Option<&OsStr>) -> Option<PathBuf> {
    match said.map(PathBuf::from) {
        Some(said) if said.as_os_str() == NONE => None,
        Some(said) if said.is_absolute() => Some(said),
        _ => Some(PathBuf::from(DEFAULT_FILE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log_file: &str) -> Log {
        let text = format!(r#"{{"name": "blue", "ipam": {{"type": "kube-ipam", "logFile": {log_file}}}}}"#);
        Log::of(&NetConf::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_log_is_written_unless_the_configuration_says_otherwise() {
        let by_default = Log { file: Some(DEFAULT_FILE.into()), given: false, level: LevelFilter::INFO };
        for absent in ["null", "\"\"", "\"relative\"", "5"] {
            assert_eq!(read(absent), by_default, "{absent}");
        }
        assert_eq!(read("\"none\""), Log { file: None, given: true, ..by_default.clone() });
        assert_eq!(read("\"/log\""), Log { file: Some("/log".into()), given: true, ..by_default });
    }

    #[test]
    fn the_environment_may_name_another_default() {
        let file = |said: &str| default_file(Some(OsStr::new(said)));
        assert_eq!(file("none"), None);
        assert_eq!(file("/run/kube-ipam.log"), Some("/run/kube-ipam.log".into()));
        for unusable in ["", "relative/log"] {
            assert_eq!(file(unusable), Some(DEFAULT_FILE.into()), "{unusable:?}");
        }
    }
}
