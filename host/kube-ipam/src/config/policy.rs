//! Which policy decides, and how much it may consume.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::field::{self, given, wrong};
use super::record::{self, RecordConfig};
use super::store::data_dir;
use cni::{NetConf, PathOr, netconf};
use ipam::PolicyName;
use limits::{LimitError, Limits};

/// Who decides where no module is configured.
const BUILT_IN: &str = "range-fixed";

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
    /// Asked as well; its answer is only logged and counted.
    pub shadow: Option<ShadowConfig>,
    /// Where decisions are recorded.
    pub record: Option<RecordConfig>,
    /// What happens when the policy is at fault.
    pub on_fault: OnFault,
}

/// A policy that is asked beside the one that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowConfig {
    /// The module's file.
    pub module: PathBuf,
    /// The digest the module must have: 64 hexadecimal digits in lower case.
    pub sha256: Option<String>,
    /// A JSON object as text.
    pub settings: String,
}

/// What happens when the policy cannot be loaded or faults. A refusal is no fault, and where a limit ended the run, which
/// a pod's author may bring about, the pod fails whatever is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFault {
    /// The pod gets no address.
    #[default]
    Fail,
    /// The built-in policy decides, with its own default settings.
    Default,
}

impl PolicyConfig {
    /// What people call the policy: its file's name.
    pub fn file_name(&self) -> String {
        self.module.as_deref().map_or_else(|| BUILT_IN.to_owned(), file_name)
    }

    /// Whether anything is done with a decision beyond following it.
    pub fn is_watched(&self) -> bool {
        self.shadow.is_some() || self.record.is_some()
    }
}

impl ShadowConfig {
    /// What it is called as long as nobody has seen the module.
    pub fn name(&self) -> PolicyName {
        let name = self.module.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        PolicyName { name, sha256: String::new(), instead_of: None }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub(super) fn read(netconf: &NetConf) -> Result<PolicyConfig, Error> {
    let ipam = netconf.ipam()?;
    let policy = match &ipam.policy {
        Some(policy) if policy.is_null() => {
            return Err(Error::Null { path: "ipam.policy", without: "the built-in policy decides" });
        }
        Some(policy) => netconf.part(policy, "ipam.policy")?,
        None => netconf::Policy::default(),
    };
    let module = field::optional_path("ipam.policy.module", policy.module.as_ref())?;
    let sha256 = digest("ipam.policy.sha256", policy.sha256.as_ref())?;
    if module.is_none() && sha256.is_some() {
        let path = "ipam.policy.module".to_owned();
        return Err(Error::Missing { path, expected: "the module that has the digest ipam.policy.sha256" });
    }
    let cache_dir = match field::optional_path("ipam.policy.cacheDir", policy.cache_dir.as_ref())? {
        Some(dir) => dir,
        None => data_dir(ipam)?.join("policies"),
    };
    let settings = match policy.settings {
        Some(None) => return Err(Error::Null { path: "ipam.policy.settings", without: "the policy has its defaults" }),
        given => serde_json::Value::Object(given.flatten().unwrap_or_default()).to_string(),
    };
    Ok(PolicyConfig {
        module,
        sha256,
        limits: limits(&policy.limits.unwrap_or_default())?,
        cache_dir,
        shadow: policy.shadow.and_then(PathOr::given).map(|shadow| self::shadow(shadow, &settings)).transpose()?,
        record: policy.record.and_then(PathOr::given).map(record::read).transpose()?,
        on_fault: on_fault(policy.on_fault.as_ref())?,
        settings,
    })
}

/// With the settings of the policy that decides, unless it has its own.
fn shadow(written: PathOr<netconf::Shadow>, settings: &str) -> Result<ShadowConfig, Error> {
    let (path, written) = match written {
        PathOr::Path(module) => ("ipam.policy.shadow", netconf::Shadow { module: Some(module), ..Default::default() }),
        PathOr::Object(written) => ("ipam.policy.shadow.module", written),
    };
    let missing = Error::Missing { path: path.to_owned(), expected: "the module that is asked as well" };
    Ok(ShadowConfig {
        module: field::absolute_path(path, given(written.module.as_ref()).ok_or(missing)?)?,
        sha256: digest("ipam.policy.shadow.sha256", written.sha256.as_ref())?,
        settings: match written.settings {
            Some(own) => serde_json::Value::Object(own).to_string(),
            None => settings.to_owned(),
        },
    })
}

fn on_fault(held: Option<&String>) -> Result<OnFault, Error> {
    match given(held) {
        None | Some("fail") => Ok(OnFault::Fail),
        Some("default") => Ok(OnFault::Default),
        Some(other) => Err(wrong("ipam.policy.onFault", other, "\"fail\" or \"default\"")),
    }
}

fn digest(path: &str, held: Option<&String>) -> Result<Option<String>, Error> {
    let Some(held) = given(held) else { return Ok(None) };
    if held.len() == 64 && held.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Some(held.to_ascii_lowercase()));
    }
    Err(wrong(path, held, "64 hexadecimal digits"))
}

fn limits(written: &netconf::PolicyLimits) -> Result<Limits, Error> {
    let mut limits = Limits::default();
    for (key, value) in written.given() {
        let out_of_bounds = |error: LimitError| wrong(&format!("ipam.policy.limits.{key}"), value, error.expected());
        limits.set(key, value).map_err(out_of_bounds)?;
    }
    Ok(limits)
}
