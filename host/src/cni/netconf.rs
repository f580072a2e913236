//! The network configuration as it is written: a mirror of the JSON, with every key and no judgement.
//!
//! This is the one list of keys: the JSON Schema and the warnings about unknown keys are derived from it. Unknown
//! keys are ignored here, because main plugins hand us the whole of their own configuration.

use std::collections::BTreeMap;
use std::io::Read;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::attachments::{self, ValidAttachments};
use super::error::Error;
use super::path_or::PathOr;
use super::result::Previous;
use super::unread::{Unread, decode, even_null};
use super::version::Version;
use super::{NAME, is_name};
use crate::limits;

/// The configuration of a network, as the main plugin passes it on.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct NetConf {
    cni_version: Option<String>,
    name: Option<String>,
    ipam: Option<Ipam>,
    runtime_config: Option<Unread<RuntimeConfig>>,
    args: Option<Unread<ConventionalArgs>>,
    prev_result: Option<Unread<Previous>>,
    #[serde(rename = "cni.dev/valid-attachments", default, deserialize_with = "even_null")]
    valid_attachments: Option<Unread<attachments::List>>,
    // libcni sends both names: an early text of the specification had this one.
    #[serde(rename = "cni.dev/attachments", default, deserialize_with = "even_null")]
    attachments: Option<Unread<attachments::List>>,
}

/// The `ipam` section of a network that uses kube-ipam.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Ipam {
    /// `kube-ipam`.
    #[serde(rename = "type")]
    pub plugin: Option<String>,
    /// The etcd cluster that keeps the addresses of all nodes. Without it an embedded store in `dataDir` serves this node.
    pub etcd_config: Option<EtcdConfig>,
    /// Directory of the embedded store and of compiled policies. Default: /var/lib/cni/kube-ipam.
    pub data_dir: Option<String>,
    /// Kubeconfig file to look pods up with, when the runtime does not pass their annotations. Default: /etc/kubernetes/pki/kubectl.kubeconfig if that is there, as with kube-ipam 0.x; otherwise nobody is asked.
    pub kube_config: Option<Unread<String>>,
    /// What a policy is told of the cluster on top of annotations.
    pub kubernetes: Option<Unread<Kubernetes>>,
    /// A name for the cluster this node belongs to, where several share one store. Default: the uid of the namespace kube-system, asked of the API server.
    pub cluster: Option<Unread<String>>,
    /// How long an ADD waits for a pod that is being deleted and still holds the wanted address: a part of `timeout`, `0s` to fail at once. Default: four fifths of `timeout`.
    pub hand_over_wait: Option<Unread<String>>,
    /// A subnet in CIDR form; the first range set. `ranges` may follow.
    pub subnet: Option<Unread<String>>,
    /// First dynamic address of `subnet`. Default: the second usable one.
    pub range_start: Option<Unread<String>>,
    /// Last dynamic address of `subnet`. Default: the last usable one.
    pub range_end: Option<Unread<String>>,
    /// Gateway of `subnet`. Default: its first usable address.
    pub gateway: Option<Unread<String>>,
    /// First of the addresses kept for pods that name theirs.
    pub fixed_start: Option<Unread<String>>,
    /// Last of the addresses kept for pods that name theirs.
    pub fixed_end: Option<Unread<String>>,
    /// Range sets: a pod gets one address of each. All ranges of a set are of one family.
    pub ranges: Option<Unread<Vec<Vec<Range>>>>,
    /// Subnets or addresses that are never handed out.
    pub exclude: Option<Unread<Vec<String>>>,
    /// Routes for the pod.
    pub routes: Option<Unread<Vec<Route>>>,
    /// A resolv.conf file whose settings the pod gets.
    pub resolv_conf: Option<Unread<String>>,
    /// The rule by which addresses are chosen. Without it: fixed by annotation, else dynamic.
    pub policy: Option<Unread<Policy>>,
    /// The scope inside which an address is unique. Networks with equal domains never share an address. Default: the network's name.
    /// To change it while pods run: kube-ipam import --from kube-ipam.
    pub domain: Option<String>,
    /// The Kubernetes node this runs on; with etcdConfig not localhost and not only digits. Default: the host name.
    pub node_name: Option<Unread<String>>,
    /// For how long a released address is kept from everybody, for example `30s`. Default: not at all.
    pub cooldown: Option<Unread<String>>,
    /// How long one invocation may take, for example `10s`, which is the default.
    pub timeout: Option<Unread<String>>,
    /// A file to log to. Default: no log.
    pub log_file: Option<Unread<String>>,
    /// `error`, `warn`, `info` (the default), `debug` or `trace`.
    pub log_level: Option<Unread<String>>,
}

/// How to reach etcd.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct EtcdConfig {
    /// Comma-separated URLs of the members.
    #[serde(rename = "etcdURL")]
    pub url: Option<String>,
    /// Client certificate file, PEM.
    #[serde(rename = "etcdCertFile")]
    pub cert_file: Option<String>,
    /// Key file of the client certificate, PEM.
    #[serde(rename = "etcdKeyFile")]
    pub key_file: Option<String>,
    /// Certificate file of the authority that signed the members' certificates, PEM. The doubled "File" is how it always was.
    #[serde(rename = "etcdTrustedCAFileFile")]
    pub trusted_ca_file: Option<String>,
    /// User name, where etcd has authentication enabled.
    #[serde(rename = "etcdUsername")]
    pub username: Option<String>,
    /// File with the user's password.
    #[serde(rename = "etcdPasswordFile")]
    pub password_file: Option<String>,
    /// Under which all keys lie. Default: /kube-ipam.
    #[serde(rename = "etcdPrefix")]
    pub prefix: Option<String>,
    /// As `kubeConfig` of the section itself, which is the better place.
    pub kube_config: Option<Unread<String>>,
}

/// What a policy is told of the cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Kubernetes {
    /// Of `labels` (the pod's, and its controller), `namespace` and `node` (labels and annotations of either). Each costs a request to the API server.
    pub include: Option<Vec<String>>,
}

/// A range of addresses.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Range {
    /// The subnet in CIDR form.
    pub subnet: String,
    /// First dynamic address. Default: the second usable one.
    pub range_start: Option<String>,
    /// Last dynamic address. Default: the last usable one.
    pub range_end: Option<String>,
    /// Default: the first usable address.
    pub gateway: Option<String>,
    /// First of the addresses kept for pods that name theirs.
    pub fixed_start: Option<String>,
    /// Last of the addresses kept for pods that name theirs.
    pub fixed_end: Option<String>,
}

/// A route for the pod. All but `dst` and `gw` reach the pod from cniVersion 1.1.0 on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Route {
    /// Destination in CIDR form.
    pub dst: String,
    /// Next hop. Default: the gateway of the range.
    pub gw: Option<String>,
    /// Largest packet, in bytes.
    pub mtu: Option<u32>,
    /// Maximal segment size to advertise, in bytes.
    pub advmss: Option<u32>,
    /// Lower is preferred.
    pub priority: Option<u32>,
    /// Routing table.
    pub table: Option<u32>,
    /// Scope of the destination.
    pub scope: Option<u32>,
}

/// The rule by which addresses are chosen.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Policy {
    /// The module, a WebAssembly component. Default: the built-in `range-fixed`.
    pub module: Option<String>,
    /// The SHA-256 digest the module must have, 64 hexadecimal digits.
    pub sha256: Option<String>,
    /// What the module understands; `kube-ipam policy inspect` shows it.
    pub settings: Option<Map<String, Value>>,
    /// How much one decision may consume.
    pub limits: Option<PolicyLimits>,
    /// A module that is asked as well: where its answer is another one, that is logged and counted, and nothing more.
    pub shadow: Option<PathOr<Shadow>>,
    /// A file that decisions are appended to, for `kube-ipam policy replay`. Default: none.
    pub record: Option<PathOr<Record>>,
    /// When the policy cannot be loaded, traps or answers badly: `fail` the pod (the default), or let the built-in policy decide by `default`. A policy that reached a limit always fails the pod.
    pub on_fault: Option<String>,
    /// Directory of compiled modules. Default: `policies` in `dataDir`.
    pub cache_dir: Option<String>,
}

/// A module that is asked as well.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Shadow {
    /// The module, a WebAssembly component.
    pub module: Option<String>,
    /// The SHA-256 digest the module must have, 64 hexadecimal digits.
    pub sha256: Option<String>,
    /// What the module understands. Default: the settings of the policy that decides.
    pub settings: Option<Map<String, Value>>,
}

/// Where decisions are recorded.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Record {
    /// The file. One older file beside it, with `.1` at the end.
    pub file: Option<String>,
    /// Which share of the attachments is recorded, from 0 to 1. Default: 1, all of them.
    pub sample: Option<f64>,
    /// The size in MiB at which the file is put aside. Default: 16.
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
    /// Questions to the pool and lines of log.
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

/// What the runtime adds when the network declares a capability.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct RuntimeConfig {
    /// Capability `ips`.
    pub ips: Option<Vec<String>>,
    /// Capability `ipRanges`.
    pub ip_ranges: Option<Vec<Vec<Range>>>,
    /// The pod's annotations. Here `null` is an answer, too: the pod has none.
    #[serde(rename = "io.kubernetes.cri.pod-annotations", default, deserialize_with = "even_null")]
    pub pod_annotations: Option<Option<BTreeMap<String, String>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(expecting = "an object")]
struct ConventionalArgs {
    cni: Option<CniArgs>,
}

/// `args.cni`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(expecting = "an object")]
pub struct CniArgs {
    /// Addresses asked for; they beat `IP` in `CNI_ARGS`.
    pub ips: Option<Vec<String>>,
}

impl NetConf {
    /// Read all of it, up to the limit.
    pub fn bytes(input: impl Read) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let limit = limits::CONFIGURATION_BYTES;
        input.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(Error::Unreadable)?;
        if bytes.len() > limit { Err(Error::TooLong) } else { Ok(bytes) }
    }

    /// Mirror the JSON. Parts that not every verb needs stay unread.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        if json.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::Empty);
        }
        // Or a list would be taken for the fields of an object, in order.
        if json.trim_ascii_start().starts_with(b"[") {
            return Err(Error::NotAnObject);
        }
        decode(json, "")
    }

    /// The version to answer in, even when the rest of the configuration is beyond help.
    pub fn version_to_answer_in(json: &[u8]) -> Version {
        #[derive(Deserialize)]
        struct Only {
            #[serde(rename = "cniVersion")]
            version: Option<String>,
        }
        let only: Option<Only> = serde_json::from_slice(json).ok();
        only.and_then(|only| Version::declared(only.version.as_deref()).ok()).unwrap_or(Version::NEWEST)
    }

    /// The declared version.
    pub fn version(&self) -> Result<Version, Error> {
        Version::declared(self.cni_version.as_deref())
    }

    /// The network's name.
    pub fn network(&self) -> Result<&str, Error> {
        match self.name.as_deref() {
            None | Some("") => Err(Error::MissingField { path: "name", expected: "the name of the network" }),
            Some(name) if is_name(name) => Ok(name),
            Some(name) => Err(Error::Field { path: "name".to_owned(), held: name.to_owned(), expected: NAME }),
        }
    }

    /// Our section.
    pub fn ipam(&self) -> Result<&Ipam, Error> {
        self.ipam
            .as_ref()
            .ok_or(Error::MissingField { path: "ipam", expected: "an object with \"type\": \"kube-ipam\"" })
    }

    /// What the runtime adds by capability. It may carry many annotations: read it once.
    pub fn runtime_config(&self) -> Result<RuntimeConfig, Error> {
        let read = self.runtime_config.as_ref().map(|runtime| runtime.read("runtimeConfig"));
        Ok(read.transpose()?.unwrap_or_default())
    }

    /// `args.cni`: what a person adds by convention.
    pub fn conventional_args(&self) -> Result<CniArgs, Error> {
        let read = self.args.as_ref().map(|args| args.read("args"));
        Ok(read.transpose()?.unwrap_or_default().cni.unwrap_or_default())
    }

    /// What CHECK compares with: the addresses of the result that the runtime kept, in any version's form.
    pub fn previous(&self) -> Result<Previous, Error> {
        let expected = "the result of the ADD";
        let previous = self.prev_result.as_ref().ok_or(Error::MissingField { path: "prevResult", expected })?;
        previous.read("prevResult")
    }

    /// What GC is told.
    pub fn valid_attachments(&self) -> Result<ValidAttachments, Error> {
        ValidAttachments::read([
            ("cni.dev/valid-attachments", self.valid_attachments.as_ref()),
            ("cni.dev/attachments", self.attachments.as_ref()),
        ])
    }
}
