//! Which policy decides, and how much it may consume.

use std::path::PathBuf;

use super::error::Error;
use super::field::{self, given, wrong};
use super::store::data_dir;
use crate::cni::{NetConf, netconf};
use crate::limits::{LimitError, Limits};

/// Which policy decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyConfig {
    /// The module's file; without it the built-in policy decides.
    pub module: Option<PathBuf>,
    /// The digest the module must have: 64 hexadecimal digits in lower case.
    pub sha256: Option<String>,
    /// A JSON object as text; `{}` when there is none.
    pub settings: String,
    /// What one decision may spend.
    pub limits: Limits,
    /// Where compiled modules are kept.
    pub cache_dir: PathBuf,
    /// Asked as well; its answer is only logged.
    pub shadow: Option<PathBuf>,
}

pub(super) fn read(netconf: &NetConf) -> Result<PolicyConfig, Error> {
    let ipam = netconf.ipam()?;
    let policy = ipam.policy.as_ref().map(|policy| policy.read("ipam.policy")).transpose()?.unwrap_or_default();
    let module = field::optional_path("ipam.policy.module", policy.module.as_ref())?;
    let sha256 = given(policy.sha256.as_ref()).map(digest).transpose()?;
    if module.is_none() && sha256.is_some() {
        let path = "ipam.policy.module".to_owned();
        return Err(Error::Missing { path, expected: "the module that has the digest ipam.policy.sha256" });
    }
    let cache_dir = match field::optional_path("ipam.policy.cacheDir", policy.cache_dir.as_ref())? {
        Some(dir) => dir,
        None => data_dir(ipam)?.join("policies"),
    };
    Ok(PolicyConfig {
        module,
        sha256,
        settings: serde_json::Value::Object(policy.settings.unwrap_or_default()).to_string(),
        limits: limits(&policy.limits.unwrap_or_default())?,
        cache_dir,
        shadow: field::optional_path("ipam.policy.shadow", policy.shadow.as_ref())?,
    })
}

fn digest(held: &str) -> Result<String, Error> {
    if held.len() == 64 && held.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(held.to_ascii_lowercase());
    }
    Err(wrong("ipam.policy.sha256", held, "64 hexadecimal digits"))
}

fn limits(written: &netconf::PolicyLimits) -> Result<Limits, Error> {
    let mut limits = Limits::default();
    for (key, value) in written.given() {
        let out_of_bounds = |error: LimitError| wrong(&format!("ipam.policy.limits.{key}"), value, error.expected());
        limits.set(key, value).map_err(out_of_bounds)?;
    }
    Ok(limits)
}
