//! The network configuration as it is written: a mirror of the JSON, with every key and no judgement.
//!
//! This is the one list of keys: the JSON Schema is derived from it, and so is which keys are unknown. Those are only
//! noted here: ADD and STATUS refuse them, and the other verbs work all the same.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::attachments::{self, ValidAttachments};
use super::decode::{IgnoredKey, decode};
use super::error::Error;
use super::result::Previous;
use super::unread::{Unread, even_null};
use super::version::Version;
use super::written::{Stated, Text};
use super::{NAME, is_name};

mod policy;

pub use policy::{Policy, PolicyLimits, Record, Shadow, Trust};

const PREV_RESULT: &str = "prevResult";

/// The configuration of a network, as the main plugin passes it on.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct NetConf {
    cni_version: Option<String>,
    name: Option<String>,
    #[serde(rename = "type")]
    main_plugin: Option<Text>,
    is_gateway: Option<Unread<bool>>,
    is_default_gateway: Option<Unread<bool>>,
    force_address: Option<Unread<bool>>,
    capabilities: Option<Unread<BTreeMap<String, Value>>>,
    ipam: Option<Ipam>,
    runtime_config: Option<Unread<RuntimeConfig>>,
    args: Option<Unread<ConventionalArgs>>,
    // Runtimes keep what they were answered, whatever has become of the network since: only CHECK looks at it.
    prev_result: Option<Unread<Previous>>,
    #[serde(rename = "cni.dev/valid-attachments", default, deserialize_with = "even_null")]
    valid_attachments: Option<Unread<attachments::List>>,
    // libcni sends both names: an early text of the specification had this one.
    #[serde(rename = "cni.dev/attachments", default, deserialize_with = "even_null")]
    attachments: Option<Unread<attachments::List>>,
    /// Grows as parts are read.
    #[serde(skip)]
    ignored: RefCell<Vec<IgnoredKey>>,
}

/// The `ipam` section of a network that uses kube-ipam.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Ipam {
    /// `kube-ipam`.
    #[serde(rename = "type")]
    pub plugin: Option<String>,
    /// A name of the section, as manuals of kube-ipam 0.x had it. Nothing depends on it.
    pub name: Option<Unread<Value>>,
    /// Free form, for your own use. Requests for addresses do not belong here, and are refused.
    #[schemars(with = "Option<Value>")]
    args: Option<Unread<ConventionalArgs>>,
    /// The etcd cluster that keeps the addresses of all nodes. Without it an embedded store in `dataDir` serves this node.
    #[serde(default)]
    pub etcd_config: Stated<EtcdConfig>,
    /// Directory of the embedded store and of compiled policies. Default: /var/lib/cni/kube-ipam.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub data_dir: Stated<String>,
    /// Kubeconfig file to look pods up with, when the runtime does not pass their annotations. Default: /etc/kubernetes/pki/kubectl.kubeconfig if that is there, as with kube-ipam 0.x; otherwise no API server is used.
    pub kube_config: Option<Text>,
    /// What a policy is told of the cluster on top of annotations.
    pub kubernetes: Option<Unread<Kubernetes>>,
    /// A name for the cluster this node belongs to, where several share one store. Default: the uid of the namespace kube-system, read from the API server.
    pub cluster: Option<Text>,
    /// How long an ADD waits for a pod that is being deleted and still holds the wanted address: a part of `timeout`, `0s` to fail at once. Default: four fifths of `timeout`.
    pub hand_over_wait: Option<Text>,
    /// A subnet in CIDR form; the first range set. `ranges` may follow.
    pub subnet: Option<Text>,
    /// First dynamic address of `subnet`. Default: the second usable one; the first where the gateway is none or elsewhere.
    pub range_start: Option<Text>,
    /// Last dynamic address of `subnet`. Default: the last usable one.
    pub range_end: Option<Text>,
    /// Gateway of `subnet`, in it or elsewhere (`fe80::1`), or `none`. Default: its first usable address; of two addresses the second.
    pub gateway: Option<Text>,
    /// First of the addresses reserved for pods that name a fixed address.
    pub fixed_start: Option<Text>,
    /// Last of the addresses reserved for pods that name a fixed address.
    pub fixed_end: Option<Text>,
    /// Range sets: a pod gets one address of each. All ranges of a set are of one family.
    pub ranges: Option<Unread<Vec<Vec<Range>>>>,
    /// Subnets, addresses or ranges (`first-last`) that are never handed out.
    pub exclude: Option<Unread<Vec<String>>>,
    /// Routes for the pod.
    pub routes: Option<Unread<Vec<Route>>>,
    /// Name resolution for the pod, as with the `static` plugin. If it is not empty, `resolvConf` is not read.
    pub dns: Option<Unread<Dns>>,
    /// A resolv.conf file whose settings the pod gets.
    pub resolv_conf: Option<Text>,
    /// The rule by which addresses are chosen. Without it: fixed by annotation, else dynamic.
    #[serde(default)]
    pub policy: Stated<Unread<Policy>>,
    /// The scope inside which an address is unique. Networks with equal domains never share an address. Default: the network's name.
    /// To change it while pods run: kube-ipam import --from kube-ipam.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub domain: Stated<String>,
    /// The Kubernetes node this runs on; with etcdConfig not localhost and not only digits. Default: the host name.
    pub node_name: Option<Text>,
    /// How long a released address is withheld from reuse, for example `30s`. Default: not at all.
    pub cooldown: Option<Text>,
    /// How long one invocation may take, for example `10s`, which is the default.
    pub timeout: Option<Text>,
    /// A file to log to, or `none` for no log. Default: /var/log/kube-ipam.log.
    pub log_file: Option<Text>,
    /// `error`, `warn`, `info` (the default), `debug` or `trace`.
    pub log_level: Option<Text>,
    /// `off` if calls are not to be counted for `kube-ipam metrics`; `on` is the default. The counts are in `dataDir`.
    pub metrics: Option<Text>,
    /// How much `kube-ipam history` may keep on this node, in MiB; 0 for no history. Default: 16.
    #[serde(rename = "historyMiB")]
    pub history_mib: Option<Unread<u64>>,
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
    /// Certificate file of the authority that signed the members' certificates, PEM. The doubled "File" is kept for compatibility.
    #[serde(rename = "etcdTrustedCAFileFile")]
    pub trusted_ca_file: Option<String>,
    /// User name, where etcd has authentication enabled.
    #[serde(rename = "etcdUsername")]
    pub username: Option<String>,
    /// File with the user's password.
    #[serde(rename = "etcdPasswordFile")]
    pub password_file: Option<String>,
    /// Prefix of all keys. Default: /kube-ipam.
    #[serde(rename = "etcdPrefix", default)]
    #[schemars(length(min = 1))]
    pub prefix: Stated<String>,
    /// Same as `kubeConfig` of the ipam section, which is the preferred place.
    pub kube_config: Option<Text>,
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
    /// First dynamic address. Default: the second usable one; the first where the gateway is none or elsewhere.
    pub range_start: Option<String>,
    /// Last dynamic address. Default: the last usable one.
    pub range_end: Option<String>,
    /// In the subnet or elsewhere (`fe80::1`), or `none`. Default: the first usable address; of two addresses the second.
    pub gateway: Option<String>,
    /// First of the addresses reserved for pods that name a fixed address.
    pub fixed_start: Option<String>,
    /// Last of the addresses reserved for pods that name a fixed address.
    pub fixed_end: Option<String>,
    /// Subnets, addresses or ranges (`first-last`) of this subnet that are never handed out.
    pub exclude: Option<Vec<String>>,
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
    /// Maximum segment size to advertise, in bytes.
    pub advmss: Option<u32>,
    /// Lower is preferred.
    pub priority: Option<u32>,
    /// Routing table.
    pub table: Option<u32>,
    /// Scope of the destination.
    pub scope: Option<u32>,
}

/// Name resolution for the pod.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Dns {
    /// Addresses of the servers, in order of preference.
    pub nameservers: Option<Vec<String>>,
    /// The local domain.
    pub domain: Option<String>,
    /// Domains in which short names are looked up.
    pub search: Option<Vec<String>>,
    /// Options of the resolver, for example `ndots:5`.
    pub options: Option<Vec<String>>,
}

/// What the runtime adds when the network declares a capability.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct RuntimeConfig {
    pub ips: Option<Vec<String>>,
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
        // One byte more than the limit tells a text of that length from a longer one, which is not read to its end.
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
        // Unknown keys are no error yet: only ADD and STATUS refuse them, and a DEL must release whatever was written since.
        let mut ignored = Vec::new();
        let mut netconf: Self = decode(json, "", &mut |key| ignored.push(key))?;
        netconf.ignored = RefCell::new(ignored);
        Ok(netconf)
    }

    /// Read a part of `ipam`. Keys in it that no field takes are noted.
    pub fn part<T: DeserializeOwned>(&self, part: &Unread<T>, path: &str) -> Result<T, Error> {
        part.read_noting(path, &mut |key| {
            let mut ignored = self.ignored.borrow_mut();
            if !ignored.contains(&key) {
                ignored.push(key);
            }
        })
    }

    /// The keys that no field has taken so far: of `ipam` and what was read of it, and those beside `ipam`.
    pub fn ignored(&self) -> Ref<'_, Vec<IgnoredKey>> {
        self.ignored.borrow()
    }

    /// The main plugin that called us, as the configuration names it.
    pub fn main_plugin(&self) -> Option<&str> {
        self.main_plugin.as_ref()?.read("type").ok()
    }

    /// Whether the main plugin is to be the pods' gateway. What it makes of a value that is not true or false is its own
    /// business.
    pub fn is_pods_gateway(&self) -> bool {
        is_true(&self.is_gateway) || self.is_default_gateway()
    }

    /// Whether the main plugin adds a default route, where the result of the ADD has none with a next hop.
    pub fn is_default_gateway(&self) -> bool {
        is_true(&self.is_default_gateway)
    }

    /// Whether the main plugin replaces an address that its interface has already.
    pub fn forces_address(&self) -> bool {
        is_true(&self.force_address)
    }

    /// What the file asks the runtime for. A runtime takes this out before it calls anybody.
    pub fn capabilities(&self) -> Result<BTreeMap<String, Value>, Error> {
        let read = self.capabilities.as_ref().map(|capabilities| capabilities.read("capabilities"));
        Ok(read.transpose()?.unwrap_or_default())
    }

    /// The version to answer in, even when the rest of the configuration is beyond help.
    pub fn version_to_answer_in(json: &[u8]) -> Version {
        #[derive(Deserialize)]
        struct Only {
            #[serde(rename = "cniVersion")]
            version: Option<String>,
        }
        // A failure, too, is read by whoever speaks that version.
        let only: Option<Only> = serde_json::from_slice(json).ok();
        only.and_then(|only| Version::declared(only.version.as_deref()).ok()).unwrap_or(Version::NEWEST)
    }

    pub fn version(&self) -> Result<Version, Error> {
        Version::declared(self.cni_version.as_deref())
    }

    pub fn network(&self) -> Result<&str, Error> {
        match self.name.as_deref() {
            None | Some("") => {
                Err(Error::MissingField { path: "name".to_owned(), expected: "the name of the network" })
            }
            Some(name) if is_name(name) => Ok(name),
            Some(name) => Err(Error::Field { path: "name".to_owned(), held: name.to_owned(), expected: NAME }),
        }
    }

    pub fn ipam(&self) -> Result<&Ipam, Error> {
        let expected = "an object with \"type\": \"kube-ipam\"";
        self.ipam.as_ref().ok_or_else(|| Error::MissingField { path: "ipam".to_owned(), expected })
    }

    /// What the runtime adds by capability. It may carry many annotations: read it once. Keys that no field takes are noted.
    pub fn runtime_config(&self) -> Result<RuntimeConfig, Error> {
        let read = self.runtime_config.as_ref().map(|runtime| self.part(runtime, "runtimeConfig"));
        Ok(read.transpose()?.unwrap_or_default())
    }

    /// `args.cni`: what a person adds by convention. Where addresses are asked for in a place that nobody reads, beside it or
    /// in `ipam.args`, `misplaced` is told the field.
    pub fn conventional_args(&self, mut misplaced: impl FnMut(String)) -> Result<CniArgs, Error> {
        if let Some(within) = self.ipam.as_ref().and_then(|ipam| ipam.args.as_ref()) {
            // Free form: what is not an object there asks for nothing.
            let read = within.read_noting("ipam.args", &mut |key| misplaced_request(key, &mut misplaced));
            if read.is_ok_and(|args| args.cni.is_some_and(|cni| cni.ips.is_some())) {
                misplaced("ipam.args.cni.ips".to_owned());
            }
        }
        let Some(args) = &self.args else { return Ok(CniArgs::default()) };
        let read = args.read_noting("args", &mut |key| misplaced_request(key, &mut misplaced))?;
        Ok(read.cni.unwrap_or_default())
    }

    /// What CHECK compares with: the addresses of the result that the runtime kept, in any version's form.
    pub fn previous(&self) -> Result<Previous, Error> {
        match &self.prev_result {
            Some(previous) => previous.read(PREV_RESULT),
            None => Err(Error::MissingField { path: PREV_RESULT.to_owned(), expected: "the result of the ADD" }),
        }
    }

    /// What earlier plugins of the list were given, where our main plugin is not the first. What cannot be read of it is
    /// none of an ADD's business.
    pub fn given_before(&self) -> Vec<IpAddr> {
        let Some(previous) = &self.prev_result else { return Vec::new() };
        previous.read(PREV_RESULT).and_then(|previous| previous.addresses()).unwrap_or_default()
    }

    /// What GC is told.
    pub fn valid_attachments(&self) -> Result<ValidAttachments, Error> {
        ValidAttachments::read([
            ("cni.dev/valid-attachments", self.valid_attachments.as_ref()),
            ("cni.dev/attachments", self.attachments.as_ref()),
        ])
    }
}

fn is_true(field: &Option<Unread<bool>>) -> bool {
    field.as_ref().is_some_and(|field| field.json() == "true")
}

/// Of the keys that no field takes, one that asks for addresses: `ip` and `ips`, in whatever case.
fn misplaced_request(IgnoredKey { object, key }: IgnoredKey, misplaced: &mut impl FnMut(String)) {
    let asks = key.eq_ignore_ascii_case("ip") || key.eq_ignore_ascii_case("ips");
    if asks && ["args", "args.cni", "ipam.args", "ipam.args.cni"].contains(&object.as_str()) {
        misplaced(format!("{object}.{key}"));
    }
}
