//! What can be wrong with what a runtime says, and with what a configuration means.

use std::io;

use super::people::{NETWORK, ip};
use crate::config::{self, GatewayUser};
use cni::{self, NetConf, Verb, Version};
use ipam::{Family, Prefix, RangeError};

/// An error that a decoder makes of this.
fn decoded(json: &str) -> cni::Error {
    NetConf::parse(json.as_bytes()).unwrap_err()
}

pub(super) fn of_protocol() -> Vec<cni::Error> {
    every!(cni::Error {
        cni::Error::NoCommand => [cni::Error::NoCommand],
        cni::Error::MissingVariables { .. } => [cni::Error::MissingVariables {
            verb: Verb::Add,
            variables: vec!["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
        }],
        cni::Error::Variable { .. } => [cni::Error::Variable {
            variable: "CNI_IFNAME",
            value: "\x1b[2Jeth0".to_owned(),
            expected: "1 to 15 bytes",
        }],
        cni::Error::Argument { .. } => [
            cni::Error::Argument { key: "K8S_POD_NAME", value: "../../nodes".to_owned(), expected: cni::NAME },
        ],
        cni::Error::UnknownArgument(_) => [cni::Error::UnknownArgument("COLOUR".to_owned())],
        cni::Error::MisspeltArgument { .. } => [
            cni::Error::MisspeltArgument { key: "k8s_pod_namespace".to_owned(), known: "K8S_POD_NAMESPACE" },
        ],
        cni::Error::Empty => [decoded(" ")],
        cni::Error::TooLong => [cni::Error::TooLong],
        cni::Error::Unreadable(_) => [cni::Error::Unreadable(io::ErrorKind::BrokenPipe.into())],
        cni::Error::NotJson { .. } => [decoded("nonsense"), decoded("{\"name\": \"n\"")],
        cni::Error::NotAnObject => [decoded("[1]")],
        cni::Error::WrongType { .. } => [
            decoded(r#"{"name": 5}"#),
            decoded(r#"{"ipam": {"etcdConfig": {"etcdURL": []}}}"#),
            decoded(r#"{"ipam": "kube-ipam"}"#),
        ],
        cni::Error::Twice { .. } => [decoded(r#"{"name": "n", "name": "m"}"#)],
        cni::Error::UnknownVersion(_) => [cni::Error::UnknownVersion("2.0.0".to_owned())],
        cni::Error::VerbTooNew { .. } => [
            cni::Error::VerbTooNew { verb: Verb::Gc, version: Version::V0_4_0, since: Version::V1_1_0 },
        ],
        cni::Error::TooManyAddresses { .. } => [
            cni::Error::TooManyAddresses { version: Version::V0_2_0, family: Family::V4, count: 2 },
        ],
        cni::Error::MissingField { .. } => [
            cni::Error::MissingField { path: "name".to_owned(), expected: "the name of the network" },
        ],
        cni::Error::Field { .. } => [
            cni::Error::Field { path: "name".to_owned(), held: "a/b".to_owned(), expected: cni::NAME },
        ],
    })
}

pub(super) fn examples() -> Vec<config::Error> {
    let mut all = every!(config::Error {
        config::Error::Cni(_) => [config::Error::Cni(decoded(r#"{"ipam": {"subnet": "10.0.0.0/24"}, "name": []}"#))],
        config::Error::Field { .. } => [config::Error::Field {
            path: "ipam.subnet".to_owned(),
            held: "\"10.188.0.0/33\"".to_owned(),
            expected: "a subnet in CIDR form, such as 10.188.0.0/16".to_owned(),
        }],
        config::Error::Missing { .. } => [config::Error::Missing {
            path: "ipam.etcdConfig.etcdKeyFile".to_owned(),
            expected: "the key that belongs to etcdCertFile",
        }],
        config::Error::NoRange { .. } => [config::Error::NoRange { network: NETWORK.to_owned() }],
        config::Error::Range { .. } => [config::Error::Range {
            path: "ipam.ranges[0]".to_owned(),
            source: Box::new(RangeError::EmptySet { set: 0 }),
        }],
        config::Error::TooMany { .. } => [
            config::Error::TooMany { path: "ipam.exclude".to_owned(), count: 2_000, limit: 1_024 },
        ],
        config::Error::UnknownKey { .. } => [
            config::Error::UnknownKey { path: "ipam.polcy".to_owned(), others: 0, suggestion: None },
            config::Error::UnknownKey {
                path: "ipam.ranges[0][0].range_start".to_owned(),
                others: 2,
                suggestion: Some("did you mean \"rangeStart\"?".to_owned()),
            },
        ],
        config::Error::Misplaced { .. } => [config::Error::Misplaced {
            path: "etcdConfig".to_owned(),
            which: "beside ipam",
            hint: "move it into ipam".to_owned(),
        }],
        config::Error::MisplacedRequest { .. } => [
            config::Error::MisplacedRequest { path: "args.cni.ip".to_owned() },
        ],
        config::Error::Unsaid { .. } => [
            config::Error::Unsaid { path: "ipam.policy", held: "null", without: "the built-in policy decides" },
        ],
        config::Error::GatewayNeeded { .. } => [
            config::Error::GatewayNeeded { subnet: "10.188.0.0/24".parse().unwrap(), user: GatewayUser::Bridge },
            config::Error::GatewayNeeded { subnet: "fd00::/64".parse().unwrap(), user: GatewayUser::PointToPoint },
        ],
        config::Error::File { .. } => [config::Error::File {
            field: "ipam.resolvConf",
            file: "/etc/kubernetes/resolv.conf".into(),
            source: io::ErrorKind::PermissionDenied.into(),
        }],
        config::Error::NoNodeName { .. } => [config::Error::NoNodeName { held: "host name".to_owned() }],
        config::Error::AnybodysNodeName { .. } => [
            config::Error::AnybodysNodeName { held: "localhost".to_owned(), given: false },
        ],
    });
    for error in of_ranges() {
        all.push(config::Error::Range { path: "ipam.ranges[0]".to_owned(), source: Box::new(error) });
    }
    all
}

fn of_ranges() -> Vec<RangeError> {
    let subnet: Prefix = "10.188.0.0/24".parse().unwrap();
    let other = "fd00:188::/64".parse().unwrap();
    let span = subnet.span();
    every!(RangeError {
        RangeError::Outside { .. } => [
            RangeError::Outside { field: "rangeStart", address: ip("10.189.0.1"), subnet },
        ],
        RangeError::Everything { .. } => [RangeError::Everything { subnet: "0.0.0.0/0".parse().unwrap() }],
        RangeError::ContainsIpv4 { .. } => [RangeError::ContainsIpv4 { subnet: "::/64".parse().unwrap() }],
        RangeError::GatewayFamily { .. } => [RangeError::GatewayFamily { gateway: ip("fd00::1"), subnet }],
        RangeError::GatewayNowhere { .. } => [
            RangeError::GatewayNowhere { gateway: ip("224.0.0.1"), subnet, what: "a multicast address" },
        ],
        RangeError::Inverted { .. } => [RangeError::Inverted {
            start_field: "rangeStart",
            start: ip("10.188.0.9"),
            end_field: "rangeEnd",
            end: ip("10.188.0.8"),
        }],
        RangeError::HalfFixed { .. } => [RangeError::HalfFixed { missing: "fixedEnd", subnet }],
        RangeError::Empty { .. } => [RangeError::Empty { span, subnet }],
        RangeError::Excluded { .. } => [RangeError::Excluded { span, subnet }],
        RangeError::EmptySet { .. } => [RangeError::EmptySet { set: 3 }],
        RangeError::MixedFamilies { .. } => [RangeError::MixedFamilies { set: 0, one: subnet, two: other }],
        RangeError::Overlap { .. } => [RangeError::Overlap { one: span, one_set: 0, two: span, two_set: 1 }],
    })
}
