//! Whether the calls of a network are counted, and where.

use std::path::PathBuf;

use super::error::Error;
use super::field::Held;
use super::store::data_dir;
use cni::NetConf;
use cni::netconf::Ipam;

/// The directory in which the calls of a network are counted, whatever else is wrong with its configuration; `None` where they
/// are not to be counted, or the directory cannot be told.
pub(crate) fn counts_dir(netconf: &NetConf) -> Option<PathBuf> {
    let ipam = netconf.ipam().ok()?;
    // What is neither on nor off is for an ADD to complain about, and that is a call to be counted.
    if are_counted(ipam).unwrap_or(true) { data_dir(ipam).ok() } else { None }
}

pub(super) fn are_counted(ipam: &Ipam) -> Result<bool, Error> {
    let Some(held) = Held::read("ipam.metrics", ipam.metrics.as_ref())? else { return Ok(true) };
    match held.text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(held.wrong("on or off")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn directory(ipam: &str) -> Option<PathBuf> {
        let text = format!(r#"{{"name": "blue", "ipam": {{"type": "kube-ipam", {ipam}}}}}"#);
        counts_dir(&NetConf::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn calls_are_counted_unless_the_configuration_says_otherwise() {
        for counted in ["\"metrics\": \"on\"", "\"metrics\": \"\"", "\"metrics\": null", "\"metrics\": 5"] {
            let directory = directory(&format!("{counted}, \"dataDir\": \"/data\""));
            assert_eq!(directory.as_deref(), Some(Path::new("/data")), "{counted}");
        }
        assert_eq!(directory("\"name\": \"x\"").as_deref(), Some(Path::new(crate::config::DEFAULT_DATA_DIR)));
        assert_eq!(directory("\"metrics\": \"off\""), None);
        assert_eq!(directory("\"dataDir\": \"relative\""), None);
    }
}
