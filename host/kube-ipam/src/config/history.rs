//! Where a node keeps the history of its addresses, and how much of it.

use std::path::PathBuf;

use super::error::Error;
use super::field::wrong;
use super::store::data_dir;
use cni::NetConf;
use cni::netconf::Ipam;
use limits::{HISTORY_MIB, HISTORY_MIB_MOST};

const HISTORY: &str = "ipam.historyMiB";

/// The file in `dataDir`.
const FILE: &str = "history.jsonl";

/// Where a node keeps the history of its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryConfig {
    /// One line of JSON for whatever happened to addresses.
    pub file: PathBuf,
    /// A file of this size is put aside.
    pub most_bytes: u64,
}

impl HistoryConfig {
    /// What a configuration says of the history, whatever else is wrong with it; `None` where none is wanted, or where there
    /// is no directory for it. What cannot be used has its default: an ADD is told of it by
    /// [`super::base::check_settings`].
    pub fn of(netconf: &NetConf) -> Option<Self> {
        let ipam = netconf.ipam().ok()?;
        let mebibytes = mebibytes(ipam).unwrap_or(HISTORY_MIB);
        if mebibytes == 0 {
            return None;
        }
        // One older file is kept beside the file: each is half of the whole.
        Some(Self { file: data_dir(ipam).ok()?.join(FILE), most_bytes: (mebibytes << 20) / 2 })
    }
}

pub(super) fn mebibytes(ipam: &Ipam) -> Result<u64, Error> {
    let Some(written) = &ipam.history_mib else { return Ok(HISTORY_MIB) };
    let mebibytes = written.read(HISTORY)?;
    if mebibytes > HISTORY_MIB_MOST {
        return Err(wrong(HISTORY, mebibytes, format!("0 (for no history) to {HISTORY_MIB_MOST} MiB")));
    }
    Ok(mebibytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &str) -> Option<u64> {
        let text =
            format!(r#"{{"name": "blue", "ipam": {{"type": "kube-ipam", "dataDir": "/d", "historyMiB": {written}}}}}"#);
        let netconf = NetConf::parse(text.as_bytes()).unwrap();
        let history = HistoryConfig::of(&netconf)?;
        assert_eq!(history.file, PathBuf::from("/d/history.jsonl"));
        Some(history.most_bytes)
    }

    #[test]
    fn a_history_is_kept_unless_the_configuration_says_otherwise() {
        for absent in ["null", "\"much\"", "5000", "-1"] {
            assert_eq!(read(absent), Some(HISTORY_MIB << 19), "{absent}");
        }
        assert_eq!((read("0"), read("2")), (None, Some(1 << 20)));
    }
}
