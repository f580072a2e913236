//! Which policy decides, and how much it may consume.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::Error;
use super::field::{Held, stated, stated_object, stated_text, wrong};
use super::record::{self, RecordConfig};
use super::store::data_dir;
use super::trust::{self, TrustConfig};
use cni::{NetConf, PathOr, Stated, netconf};
use ipam::PolicyName;
use limits::Limits;

pub(crate) const POLICY: &str = "ipam.policy";
pub(crate) const MODULE: &str = "ipam.policy.module";
pub(crate) const SHADOW: &str = "ipam.policy.shadow";
pub(crate) const RECORD: &str = "ipam.policy.record";

/// The name of the policy that decides where no module is configured.
const BUILT_IN: &str = "range-fixed";

// What becomes of the network without one of the keys.
const BUILT_IN_DECIDES: &str = "the built-in policy decides";
const ANY_CONTENT: &str = "the module may have any content";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyConfig {
    /// The module's file; without it the built-in policy decides.
    pub module: Option<PathBuf>,
    /// The digest the module must have: 64 hexadecimal digits in lower case.
    pub sha256: Option<String>,
    /// Who has to have signed the module before it is installed.
    pub trust: Option<TrustConfig>,
    /// A JSON object as text; `{}` when there is none.
    pub settings: String,
    /// What one decision may spend.
    pub limits: Limits,
    /// The directory of compiled modules.
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
    pub module: PathBuf,
    /// The digest the module must have: 64 hexadecimal digits in lower case.
    pub sha256: Option<String>,
    /// A JSON object as text.
    pub settings: String,
}

/// What happens when the policy cannot be loaded or faults. A refusal is not a fault, and where a limit ended the run,
/// which a pod's author may bring about, the pod fails whatever is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFault {
    /// The pod gets no address.
    #[default]
    Fail,
    /// The built-in policy decides, with its own default settings.
    Default,
}

impl PolicyConfig {
    /// The policy's name for people: its file's, or that of the built-in policy.
    pub fn file_name(&self) -> String {
        self.module.as_deref().map_or_else(|| BUILT_IN.to_owned(), file_name)
    }

    /// Whether anything is done with a decision beyond following it.
    pub fn is_watched(&self) -> bool {
        self.shadow.is_some() || self.record.is_some()
    }
}

impl ShadowConfig {
    /// The shadow's name as long as its module was not loaded: without a digest.
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
    let policy = match stated(&ipam.policy, POLICY, BUILT_IN_DECIDES)? {
        Some(policy) => netconf.part(policy, POLICY)?,
        None => netconf::Policy::default(),
    };
    let module = stated_text(&policy.module, MODULE, BUILT_IN_DECIDES)?;
    let pinned = stated_text(&policy.sha256, "ipam.policy.sha256", ANY_CONTENT)?;
    let sha256 = pinned.map(|held| digest(&held)).transpose()?;
    // A pinned digest means a module: to let the built-in policy decide would be the opposite of it.
    if module.is_none() && sha256.is_some() {
        let expected = "the module that has the digest ipam.policy.sha256";
        return Err(Error::Missing { path: MODULE.to_owned(), expected });
    }
    let trust = trust::read(&policy.trust)?;
    if module.is_none() && trust.is_some() {
        let expected = "the module that ipam.policy.trust is about";
        return Err(Error::Missing { path: MODULE.to_owned(), expected });
    }
    let cache_dir = stated_text(&policy.cache_dir, "ipam.policy.cacheDir", "the directory is policies in dataDir")?;
    let own_settings = stated(&policy.settings, "ipam.policy.settings", "the policy has its defaults")?;
    let settings = own_settings.map_or_else(|| "{}".to_owned(), as_json);
    let own_limits = stated(&policy.limits, "ipam.policy.limits", "the default limits hold")?;
    Ok(PolicyConfig {
        module: module.map(|held| held.absolute_path()).transpose()?,
        sha256,
        trust,
        limits: own_limits.map(limits).transpose()?.unwrap_or_default(),
        cache_dir: match cache_dir {
            Some(held) => held.absolute_path()?,
            None => data_dir(ipam)?.join("policies"),
        },
        shadow: shadow(&policy.shadow, &settings)?,
        record: record::read(&policy.record)?,
        on_fault: on_fault(&policy.on_fault)?,
        settings,
    })
}

/// The shadow, with the settings of the policy that decides unless it has its own.
fn shadow(written: &Stated<PathOr<netconf::Shadow>>, settings: &str) -> Result<Option<ShadowConfig>, Error> {
    let fields = [SHADOW, "ipam.policy.shadow.module"];
    let stated_shadow = stated_object(written, fields, "no other module is asked", |module| netconf::Shadow {
        module: Some(module),
        ..netconf::Shadow::default()
    })?;
    let Some((path, shadow)) = stated_shadow else { return Ok(None) };
    let missing = Error::Missing { path: path.to_owned(), expected: "the module that is asked as well" };
    let sha256 = stated_text(&shadow.sha256, "ipam.policy.shadow.sha256", ANY_CONTENT)?;
    let own = stated(&shadow.settings, "ipam.policy.shadow.settings", "it has those of the policy that decides")?;
    Ok(Some(ShadowConfig {
        module: Held::given(path, shadow.module.as_ref()).ok_or(missing)?.absolute_path()?,
        sha256: sha256.map(|held| digest(&held)).transpose()?,
        settings: own.map_or_else(|| settings.to_owned(), as_json),
    }))
}

fn as_json(settings: &Map<String, Value>) -> String {
    serde_json::to_string(settings).unwrap_or_default()
}

fn on_fault(field: &Stated<String>) -> Result<OnFault, Error> {
    let stated = stated_text(field, "ipam.policy.onFault", "a policy that is at fault fails the pod")?;
    let Some(held) = stated else { return Ok(OnFault::Fail) };
    match held.text {
        "fail" => Ok(OnFault::Fail),
        "default" => Ok(OnFault::Default),
        _ => Err(held.wrong("\"fail\" or \"default\"")),
    }
}

fn digest(held: &Held<'_>) -> Result<String, Error> {
    if held.text.len() == 64 && held.text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(held.text.to_ascii_lowercase());
    }
    Err(held.wrong("64 hexadecimal digits"))
}

fn limits(written: &netconf::PolicyLimits) -> Result<Limits, Error> {
    let mut limits = Limits::default();
    for (key, value) in written.given() {
        if let Err(error) = limits.set(key, value) {
            return Err(wrong(&format!("ipam.policy.limits.{key}"), value, error.expected()));
        }
    }
    Ok(limits)
}
