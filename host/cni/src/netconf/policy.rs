//! The `policy` section as it is written.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::path_or::PathOr;
use crate::written::Stated;

/// The rule by which addresses are chosen.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Policy {
    /// The module, a WebAssembly component. Default: the built-in `range-fixed`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub module: Stated<String>,
    /// The SHA-256 digest the module must have, 64 hexadecimal digits.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub sha256: Stated<String>,
    /// Who has to have signed the module. Looked at when it is installed, and by `doctor`; what an ADD looks at is `sha256`. Default: nobody.
    #[serde(default)]
    pub trust: Stated<Trust>,
    /// What the module understands; `kube-ipam policy inspect` shows it.
    #[serde(default)]
    pub settings: Stated<Map<String, Value>>,
    /// How much one decision may consume.
    #[serde(default)]
    pub limits: Stated<PolicyLimits>,
    /// A second module that is asked as well: if it decides differently, that is logged and counted, and nothing more.
    #[serde(default)]
    pub shadow: Stated<PathOr<Shadow>>,
    /// A file that decisions are appended to, for `kube-ipam policy replay`. Default: none.
    #[serde(default)]
    pub record: Stated<PathOr<Record>>,
    /// When the policy cannot be loaded, traps or answers badly: `fail` the pod (the default), or let the built-in policy decide by `default`. A policy that reached a limit always fails the pod.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub on_fault: Stated<String>,
    /// Directory of compiled modules. Default: `policies` in `dataDir`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub cache_dir: Stated<String>,
}

/// Who has to have signed a module.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Trust {
    /// Files with public keys: those of minisign, or ECDSA P-256 as PEM, such as cosign's.
    #[serde(default)]
    pub keys: Vec<String>,
    /// How many of the keys must have signed. Default: 1.
    pub threshold: Option<u64>,
}

/// A module that is asked as well.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Shadow {
    /// The module, a WebAssembly component.
    pub module: Option<String>,
    /// The SHA-256 digest the module must have, 64 hexadecimal digits.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub sha256: Stated<String>,
    /// What the module understands. Default: the settings of the policy that decides.
    #[serde(default)]
    pub settings: Stated<Map<String, Value>>,
}

/// Where decisions are recorded.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Record {
    /// The file. One older file beside it, with `.1` at the end.
    pub file: Option<String>,
    /// Fraction of the attachments to record, from 0 to 1. Default: 1, all of them.
    pub sample: Option<f64>,
    /// The size in MiB at which the file is rotated. Default: 16.
    #[serde(rename = "maxMiB")]
    pub max_mib: Option<u64>,
}

/// How much one decision of a policy may consume.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct PolicyLimits {
    /// About one unit per WebAssembly instruction.
    pub fuel: Option<u64>,
    /// Memory in MiB.
    #[serde(rename = "memoryMiB")]
    pub memory_mib: Option<u64>,
    /// Time in milliseconds.
    pub milliseconds: Option<u64>,
    /// Questions to the pool and log lines.
    pub host_calls: Option<u64>,
    /// Seconds of compiling, once for a module that is not in the cache.
    pub compile_seconds: Option<u64>,
    /// Memory for compiling, in MiB.
    #[serde(rename = "compileMiB")]
    pub compile_mib: Option<u64>,
}

impl PolicyLimits {
    /// What is set, by its key.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            ("fuel", self.fuel),
            ("memoryMiB", self.memory_mib),
            ("milliseconds", self.milliseconds),
            ("hostCalls", self.host_calls),
            ("compileSeconds", self.compile_seconds),
            ("compileMiB", self.compile_mib),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?)))
    }
}
