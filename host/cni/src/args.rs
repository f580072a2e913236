//! `CNI_ARGS`: `KEY=VALUE` pairs separated by semicolons, in no particular order.

use std::fmt;
use std::net::IpAddr;

use super::error::Error;
use super::{NAME, is_name};
use ipam::PodName;
use ipam::address::{canonical, parse_address};

/// What a runtime may say of the pod. All of it may be absent: some callers know no pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    pub pod_namespace: Option<String>,
    pub pod_name: Option<String>,
    pub pod_uid: Option<String>,
    /// What the runtime asks for by `IP`.
    pub addresses: Vec<Requested>,
}

/// The pairs that were read so far.
#[derive(Default)]
struct Pairs {
    args: Args,
    ignore_unknown: bool,
}

/// Takes the value of a key, or says what it should have been.
type Take = fn(&mut Pairs, &str) -> Result<(), &'static str>;

/// Every key that means something here.
const KEYS: [(&str, Take); 6] = [
    ("IgnoreUnknown", |pairs, value| boolean(value).map(|ignore| pairs.ignore_unknown = ignore)),
    ("K8S_POD_NAMESPACE", |pairs, value| name(value).map(|name| pairs.args.pod_namespace = name)),
    ("K8S_POD_NAME", |pairs, value| name(value).map(|name| pairs.args.pod_name = name)),
    ("K8S_POD_UID", |pairs, value| name(value).map(|name| pairs.args.pod_uid = name)),
    // Every runtime of Kubernetes passes it, and CNI_CONTAINERID says the same.
    ("K8S_POD_INFRA_CONTAINER_ID", |_, _| Ok(())),
    ("IP", |pairs, value| addresses(value).map(|addresses| pairs.args.addresses = addresses)),
];

/// An address that a runtime asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requested {
    pub address: IpAddr,
    /// The length of the subnet that the pod is to see it in; by default that of the range.
    pub prefix_length: Option<u8>,
}

impl Requested {
    /// An address with or without a prefix, as runtimes mix them.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix_length) = address_and_length(text)?;
        // A pod cannot be shown the subnet of everything.
        (prefix_length != Some(0)).then_some(Self { address, prefix_length })
    }
}

impl fmt::Display for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_length {
            Some(length) => write!(f, "{}/{length}", self.address),
            None => self.address.fmt(f),
        }
    }
}

impl Args {
    /// Read the pairs. Empty values count as absent; of a key given twice the last one counts, as everywhere in CNI.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut pairs = Pairs::default();
        let mut unknown = None;
        for pair in text.split(';').filter(|pair| !pair.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                let expected = "KEY=VALUE pairs separated by semicolons";
                return Err(Error::Variable { variable: "CNI_ARGS", value: text.to_owned(), expected });
            };
            let Some((known, take)) = KEYS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(key)) else {
                unknown = Some(key);
                continue;
            };
            // Not even IgnoreUnknown excuses what is ours but for its case: an address would be passed over.
            if known != key {
                return Err(Error::MisspeltArgument { key: key.to_owned(), known });
            }
            if let Err(expected) = take(&mut pairs, value) {
                return Err(Error::Argument { key: known, value: value.to_owned(), expected });
            }
        }
        // Only now: IgnoreUnknown may come after the key it excuses.
        match unknown {
            Some(key) if !pairs.ignore_unknown => Err(Error::UnknownArgument(key.to_owned())),
            _ => Ok(pairs.args),
        }
    }

    /// The pod, when both of its names are known. A container name alone, as podman passes it, is not a pod.
    pub fn pod(&self) -> Option<PodName> {
        let (namespace, name) = (self.pod_namespace.clone()?, self.pod_name.clone()?);
        Some(PodName { namespace, name, uid: self.pod_uid.clone(), cluster: None })
    }
}

/// The address of a text that may give a prefix with it.
pub fn address(text: &str) -> Option<IpAddr> {
    address_and_length(text).map(|(address, _)| address)
}

fn address_and_length(text: &str) -> Option<(IpAddr, Option<u8>)> {
    let text = text.trim();
    // Runtimes mix both forms, and an IPv4 address may come mapped into IPv6: `canonical` undoes that, with its length.
    let Some((address, length)) = text.split_once('/') else { return Some((parse_address(text)?, None)) };
    let (address, length) = canonical(address.parse().ok()?, length.parse().ok()?)?;
    Some((address, Some(length)))
}

fn addresses(value: &str) -> Result<Vec<Requested>, &'static str> {
    let entries = value.split(',').filter(|entry| !entry.trim().is_empty());
    let parsed: Option<Vec<_>> = entries.map(Requested::parse).collect();
    parsed.ok_or("addresses separated by commas, with or without /prefix")
}

/// These names end up in a URL of the API server: what is not a name does not get that far.
fn name(value: &str) -> Result<Option<String>, &'static str> {
    match value {
        "" => Ok(None),
        value if is_name(value) => Ok(Some(value.to_owned())),
        _ => Err(NAME),
    }
}

fn boolean(value: &str) -> Result<bool, &'static str> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" | "" => Ok(false),
        _ => Err("1, true, 0 or false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_keys_does_not_matter() {
        let one = Args::parse("IgnoreUnknown=1;K8S_POD_NAMESPACE=blue;K8S_POD_NAME=web-0;K8S_POD_UID=u1;COLOUR=red");
        let two = Args::parse("COLOUR=red;K8S_POD_UID=u1;K8S_POD_NAME=web-0;K8S_POD_NAMESPACE=blue;IgnoreUnknown=True");
        let args = one.unwrap();
        assert_eq!(args, two.unwrap());
        assert_eq!(args.pod().unwrap().to_string(), "blue/web-0");
    }

    #[test]
    fn an_unknown_key_is_excused_by_nothing_but_ignore_unknown() {
        assert_eq!(Args::parse("COLOUR=red").unwrap_err().to_string(), "CNI_ARGS has the unknown key \"COLOUR\"");
        assert!(Args::parse("COLOUR=red;IgnoreUnknown=false").is_err());
        assert!(Args::parse("COLOUR=red;IgnoreUnknown=perhaps;").is_err());
        assert!(Args::parse("COLOUR=a=b;IgnoreUnknown=true;").is_ok());
    }

    #[test]
    fn a_key_in_another_case_is_not_passed_over() {
        for (args, key) in [
            ("IgnoreUnknown=1;ip=10.0.0.5", "ip"),
            ("k8s_pod_name=x;IgnoreUnknown=1", "k8s_pod_name"),
            ("ignoreunknown=1", "ignoreunknown"),
        ] {
            let error = Args::parse(args).unwrap_err();
            assert!(error.to_string().starts_with(&format!("CNI_ARGS has the key {key:?}")), "{error}");
        }
        assert!(Args::parse("IgnoreUnknown=1;IPS=10.0.0.5;MAC=x").is_ok());
    }

    #[test]
    fn a_container_name_alone_is_no_pod() {
        assert_eq!(Args::parse("IgnoreUnknown=1;K8S_POD_NAME=lonely").unwrap().pod(), None);
        assert_eq!(Args::parse("").unwrap().pod(), None);
        assert_eq!(Args::parse("K8S_POD_NAMESPACE=;K8S_POD_NAME=x").unwrap().pod(), None);
    }

    #[test]
    fn a_name_that_would_change_a_url_is_refused() {
        let error = Args::parse("K8S_POD_NAMESPACE=../../nodes;K8S_POD_NAME=x").unwrap_err();
        assert!(error.to_string().starts_with("K8S_POD_NAMESPACE in CNI_ARGS is \"../../nodes\""), "{error}");
    }

    #[test]
    fn addresses_come_with_or_without_prefix() {
        let args = Args::parse("IP=10.0.0.5/24, fd00::5,::ffff:10.0.0.6,::ffff:10.0.0.7/120").unwrap();
        let texts: Vec<_> = args.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["10.0.0.5/24", "fd00::5", "10.0.0.6", "10.0.0.7/24"]);
        assert!(Args::parse("IP=").unwrap().addresses.is_empty());
        for bad in
            ["IP=10.0.0", "IP=10.0.0.5/33", "IP=10.0.0.5/0", "IP=::ffff:10.0.0.5/24", "IP=fd00::5/x", "IP=10.0.0.5,bad"]
        {
            assert!(Args::parse(bad).unwrap_err().to_string().starts_with("IP in CNI_ARGS is"), "{bad}");
        }
    }
}
