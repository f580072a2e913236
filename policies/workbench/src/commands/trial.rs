//! The arguments of every command that tries a policy: a module, its settings, and the network that it decides for.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use crate::lab::simulate::Share;
use cni::Fail;
use engine::{Policy, Source};
use kube_ipam::cli::output::CommandError;
use kube_ipam::config::file::sections;
use kube_ipam::verbs;

/// The word for the built-in policy in place of a module's file.
pub(super) const BUILT_IN: &str = "builtin";

#[derive(Args, Debug)]
pub(crate) struct TrialArgs {
    /// Module to try, or `builtin` for the built-in policy [default: the network's module, or else builtin]
    #[arg(value_name = "MODULE.wasm")]
    module: Option<PathBuf>,
    /// Settings of the module, instead of the network's: a JSON object, or @FILE with one
    #[arg(long, value_name = "JSON|@FILE")]
    settings: Option<String>,
    /// Network to decide for: a configuration as in /etc/cni/net.d, or its ipam section alone
    #[arg(long, value_name = "FILE|JSON")]
    network: Option<String>,
    /// Subnets to use instead of a network, each as a range set of its own
    #[arg(long, value_name = "SUBNET", value_delimiter = ',', conflicts_with = "network")]
    ranges: Vec<String>,
}

/// What the command line names, and no command can use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("{file}: {cause}")]
    Unreadable { file: String, cause: io::Error },
    #[error("{file}: {cause}", file = .file.display())]
    Unwritable { file: PathBuf, cause: io::Error },
    #[error("{whence} is not JSON: {cause}")]
    NotJson { whence: String, cause: serde_json::Error },
    #[error("{whence}: expected a JSON object: {cause}")]
    NotAnObject { whence: String, cause: serde_json::Error },
    #[error("{whence} has no network with \"ipam\": {{\"type\": \"kube-ipam\"}}")]
    NoNetwork { whence: String },
    #[error("--stateful {0} of the pods: expected 1 at most")]
    MoreThanAll(Share),
    #[error("kube-ipam is neither beside kube-ipam-policy nor on PATH, and bench measures its processes")]
    NoProgram,
}

impl Fail for ArgumentError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoProgram => Some("install kube-ipam".to_owned()),
            _ => None,
        }
    }
}

/// What the arguments name, before anything is compiled.
pub(crate) struct NamedTrial {
    /// The module's file; absent for the built-in policy.
    pub(crate) module: Option<PathBuf>,
    /// The digest that the network demands of its own module.
    pub(crate) sha256: Option<String>,
    /// The network's `ipam` section, with the settings that were given.
    pub(crate) ipam: Map<String, Value>,
}

/// A module and a network, from which any number of worlds can be made.
pub(crate) struct LoadedTrial {
    /// Compiled once; its copies share the code.
    pub(crate) policy: Policy,
    /// The network's `ipam` section, with the settings that were given.
    pub(crate) ipam: Map<String, Value>,
}

impl TrialArgs {
    /// Load the module and read the network. Where no network is given, it has this subnet.
    pub(crate) fn open(&self, subnet: &str) -> Result<LoadedTrial, CommandError> {
        let NamedTrial { module, sha256, ipam } = self.named(subnet)?;
        let source = Source { sha256: sha256.as_deref(), ..Source::alone(module.as_deref()) };
        let policy = Policy::load(&source).map_err(verbs::Error::from)?;
        Ok(LoadedTrial { policy, ipam })
    }

    /// Read the network, and find out where the module is.
    pub(crate) fn named(&self, subnet: &str) -> Result<NamedTrial, CommandError> {
        let ipam = self.ipam(subnet)?;
        if let Some(module) = &self.module {
            return Ok(NamedTrial { module: module_file(module.clone()), sha256: None, ipam });
        }
        let policy = ipam.get("policy").unwrap_or(&Value::Null);
        let module = policy.get("module").and_then(Value::as_str).map(PathBuf::from);
        let sha256 = policy.get("sha256").and_then(Value::as_str).map(str::to_owned);
        Ok(NamedTrial { module: module.and_then(module_file), sha256, ipam })
    }

    fn ipam(&self, subnet: &str) -> Result<Map<String, Value>, CommandError> {
        let mut ipam = match &self.network {
            Some(network) => read_network(network)?,
            None if self.ranges.is_empty() => object(json!({"subnet": subnet})),
            None => {
                let sets: Vec<Value> = self.ranges.iter().map(|subnet| json!([{"subnet": subnet}])).collect();
                object(json!({"ranges": sets}))
            }
        };
        if let Some(settings) = &self.settings {
            let policy = ipam.entry("policy").or_insert_with(|| json!({}));
            policy["settings"] = Value::Object(read_settings(settings)?);
        }
        Ok(ipam)
    }
}

/// The file of a module that is named; `None` for the built-in policy.
pub(crate) fn module_file(named: PathBuf) -> Option<PathBuf> {
    (named != Path::new(BUILT_IN)).then_some(named)
}

/// Read settings from the command line: a JSON object, or `@FILE` with one.
pub(crate) fn read_settings(text: &str) -> Result<Map<String, Value>, ArgumentError> {
    let (text, whence) = match text.strip_prefix('@') {
        Some(file) => (read_file(file)?, file),
        None => (text.to_owned(), "--settings"),
    };
    serde_json::from_str(&text).map_err(|cause| ArgumentError::NotAnObject { whence: whence.to_owned(), cause })
}

fn read_file(file: &str) -> Result<String, ArgumentError> {
    std::fs::read_to_string(file).map_err(|cause| ArgumentError::Unreadable { file: file.to_owned(), cause })
}

/// Read the `ipam` section of a `.conf` or of a `.conflist`, or the section itself. It is in a file or, where it begins
/// with a brace, the text.
pub(crate) fn read_network(network: &str) -> Result<Map<String, Value>, ArgumentError> {
    let (text, whence) = if network.trim_start().starts_with('{') {
        (network.to_owned(), "--network".to_owned())
    } else {
        (read_file(network)?, network.to_owned())
    };
    let value: Value = match serde_json::from_str(&text) {
        Ok(value) => value,
        Err(cause) => return Err(ArgumentError::NotJson { whence, cause }),
    };
    let section = sections(&value).first().and_then(|section| section.ipam().cloned());
    let section = section.or_else(|| value.get("ipam").cloned()).unwrap_or(value);
    match section {
        Value::Object(ipam) if !ipam.contains_key("plugins") => Ok(ipam),
        _ => Err(ArgumentError::NoNetwork { whence }),
    }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value { object } else { Map::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(network: Option<&str>, settings: Option<&str>, ranges: &[&str]) -> TrialArgs {
        TrialArgs {
            module: None,
            settings: settings.map(str::to_owned),
            network: network.map(str::to_owned),
            ranges: ranges.iter().map(ToString::to_string).collect(),
        }
    }

    fn ipam(given: &TrialArgs) -> Value {
        Value::Object(given.ipam("10.0.0.0/16").unwrap())
    }

    #[test]
    fn a_network_is_a_configuration_or_its_section_or_only_ranges() {
        let section = r#"{"type": "kube-ipam", "subnet": "10.1.0.0/24"}"#;
        let wanted = json!({"type": "kube-ipam", "subnet": "10.1.0.0/24"});
        assert_eq!(ipam(&given(Some(section), None, &[])), wanted);
        let chain = format!(r#"{{"name": "blue", "plugins": [{{"type": "tuning"}}, {{"ipam": {section}}}]}}"#);
        assert_eq!(ipam(&given(Some(&chain), None, &[])), wanted);
        let sets = json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]});
        assert_eq!(ipam(&given(None, None, &["10.1.0.0/24", "fd00::/64"])), sets);
        assert_eq!(ipam(&given(None, None, &[])), json!({"subnet": "10.0.0.0/16"}));
        let foreign = r#"{"name": "blue", "plugins": [{"type": "tuning"}]}"#;
        assert!(given(Some(foreign), None, &[]).ipam("10.0.0.0/16").is_err());
    }

    #[test]
    fn settings_replace_those_of_the_network() {
        let section = r#"{"subnet": "10.1.0.0/24", "policy": {"settings": {"old": 1}, "limits": {"fuel": 9}}}"#;
        let given = given(Some(section), Some(r#"{"new": 2}"#), &[]);
        assert_eq!(ipam(&given)["policy"], json!({"settings": {"new": 2}, "limits": {"fuel": 9}}));
        assert!(read_settings("[]").unwrap_err().to_string().starts_with("--settings: expected a JSON object"));
    }
}
