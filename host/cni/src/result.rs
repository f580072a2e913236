//! The result of an ADD, in the words of every version.
//!
//! Of a delegated IPAM plugin the specification wants no interfaces and no index of one; the main plugin adds both.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::args::address;
use super::error::Error;
use super::version::{Form, Version};
use ipam::{Assignment, Family};

/// What an ADD gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Success {
    /// The addresses, in the order of the range sets.
    pub ips: Vec<Ip>,
    pub routes: Vec<Route>,
    /// The settings of `resolvConf`.
    pub dns: Dns,
}

/// An address as the pod sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ip {
    /// With its host bits.
    pub address: IpAddr,
    pub prefix_length: u8,
    pub gateway: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub dst: IpNetwork,
    pub gw: Option<IpAddr>,
    /// What only new versions may carry.
    pub attributes: RouteAttributes,
}

/// What a route may carry from 1.1.0 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RouteAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Maximum segment size to advertise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advmss: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<u32>,
}

/// Name resolution for the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// Servers, in order of preference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Domains to try short names in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Dns {
    /// Whether it says nothing; then the result leaves it out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<&Assignment> for Ip {
    fn from(assignment: &Assignment) -> Self {
        let &Assignment { address, prefix_length, gateway, .. } = assignment;
        Self { address, prefix_length, gateway }
    }
}

/// Whether a result of this version can hold so many addresses. To be asked before they are claimed.
pub fn check_room(version: Version, addresses: impl IntoIterator<Item = IpAddr>) -> Result<(), Error> {
    if version.form() != Form::PerFamily {
        return Ok(());
    }
    let mut counts = BTreeMap::new();
    for address in addresses {
        *counts.entry(Family::of(address)).or_insert(0) += 1;
    }
    match counts.into_iter().find(|&(_, count)| count > 1) {
        Some((family, count)) => Err(Error::TooManyAddresses { version, family, count }),
        None => Ok(()),
    }
}

/// A result in the words of one version, ready to be written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rendered<'a> {
    cni_version: Version,
    #[serde(flatten)]
    addresses: Addresses,
    #[serde(skip_serializing_if = "is_empty")]
    dns: &'a Dns,
}

fn is_empty(dns: &&Dns) -> bool {
    dns.is_empty()
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Addresses {
    PerFamily {
        #[serde(skip_serializing_if = "Option::is_none")]
        ip4: Option<OfFamily>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ip6: Option<OfFamily>,
    },
    Lists {
        ips: Vec<Listed>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        routes: Vec<Written>,
    },
}

#[derive(Debug, Serialize)]
struct OfFamily {
    ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Written>,
}

#[derive(Debug, Serialize)]
struct Listed {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
}

#[derive(Debug, Serialize)]
struct Written {
    dst: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gw: Option<IpAddr>,
    #[serde(flatten)]
    attributes: RouteAttributes,
}

impl Success {
    /// Say it in the words of a version.
    pub fn in_version(&self, version: Version) -> Result<Rendered<'_>, Error> {
        check_room(version, self.ips.iter().map(|ip| ip.address))?;
        let addresses = match version.form() {
            Form::PerFamily => Addresses::PerFamily { ip4: self.of(Family::V4), ip6: self.of(Family::V6) },
            form => Addresses::Lists {
                ips: self.ips.iter().map(|ip| listed(ip, form)).collect(),
                routes: self.routes.iter().map(|route| written(route, version)).collect(),
            },
        };
        Ok(Rendered { cni_version: version, addresses, dns: &self.dns })
    }

    fn of(&self, family: Family) -> Option<OfFamily> {
        let ip = self.ips.iter().find(|ip| Family::of(ip.address) == family)?;
        // These versions keep the routes of a family beside its address; those of a family without one have no place.
        let routes = self.routes.iter().filter(|route| Family::of(route.dst.ip()) == family);
        Some(OfFamily {
            ip: format!("{}/{}", ip.address, ip.prefix_length),
            gateway: ip.gateway,
            routes: routes.map(|route| written(route, Version::V0_2_0)).collect(),
        })
    }
}

fn listed(ip: &Ip, form: Form) -> Listed {
    Listed {
        version: (form == Form::Tagged).then_some(if ip.address.is_ipv4() { "4" } else { "6" }),
        address: format!("{}/{}", ip.address, ip.prefix_length),
        gateway: ip.gateway,
    }
}

fn written(route: &Route, version: Version) -> Written {
    // A strict reader of an older version would refuse keys that it does not know.
    let attributes = if version.has_route_attributes() { route.attributes } else { RouteAttributes::default() };
    Written { dst: route.dst.to_string(), gw: route.gw, attributes }
}

/// A result that comes back as `prevResult`, in any version's form; of it only the addresses matter.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(expecting = "an object")]
pub struct Previous {
    ips: Option<Vec<PreviousIp>>,
    ip4: Option<PreviousOfFamily>,
    ip6: Option<PreviousOfFamily>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(expecting = "an object")]
struct PreviousIp {
    address: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(expecting = "an object")]
struct PreviousOfFamily {
    ip: String,
}

impl Previous {
    /// All addresses. Some may be of other networks: a chain of plugins shares one result.
    pub fn addresses(&self) -> Result<Vec<IpAddr>, Error> {
        // Whichever version wrote the result: one form of it is there, and the others are empty.
        let listed = self.ips.iter().flatten().enumerate();
        let listed = listed.map(|(nth, ip)| (format!("prevResult.ips[{nth}].address"), &ip.address));
        let families = [("prevResult.ip4.ip", &self.ip4), ("prevResult.ip6.ip", &self.ip6)];
        let families = families.into_iter().filter_map(|(path, of)| Some((path.to_owned(), &of.as_ref()?.ip)));
        let expected = "an address with its prefix length";
        listed
            .chain(families)
            .map(|(path, held)| address(held).ok_or_else(|| Error::Field { path, held: held.clone(), expected }))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fail, NetConf};

    fn success() -> Success {
        let ip = |address: &str, prefix_length, gateway: &str| Ip {
            address: address.parse().unwrap(),
            prefix_length,
            gateway: Some(gateway.parse().unwrap()),
        };
        let route = |dst: &str, gw: Option<&str>, attributes| Route {
            dst: dst.parse().unwrap(),
            gw: gw.map(|gw| gw.parse().unwrap()),
            attributes,
        };
        let all =
            RouteAttributes { mtu: Some(1400), advmss: Some(1360), priority: Some(9), table: Some(7), scope: Some(0) };
        Success {
            ips: vec![ip("10.0.0.5", 24, "10.0.0.1"), ip("fd00::5", 64, "fd00::1")],
            routes: vec![
                route("0.0.0.0/0", None, RouteAttributes::default()),
                route("10.9.0.0/16", Some("10.0.0.9"), all),
                route("::/0", Some("fd00::1"), RouteAttributes::default()),
            ],
            dns: Dns::default(),
        }
    }

    #[test]
    fn every_version_has_its_form() {
        let lines = Version::ALL.map(|version| serde_json::to_string(&success().in_version(version).unwrap()).unwrap());
        insta::assert_snapshot!("every_version", lines.join("\n"));
    }

    #[test]
    fn a_result_may_be_short_but_for_its_addresses() {
        let mut short = success();
        short.routes.clear();
        short.ips.truncate(1);
        short.ips[0].gateway = None;
        short.dns.search = vec!["cluster.local".to_owned()];
        let lines = Version::ALL.map(|version| serde_json::to_string(&short.in_version(version).unwrap()).unwrap());
        insta::assert_snapshot!("every_version_short", lines.join("\n"));
    }

    #[test]
    fn old_versions_have_room_for_one_address_of_a_family() {
        let mut full = success();
        full.ips.push(full.ips[0].clone());
        let error = full.in_version(Version::V0_2_0).unwrap_err();
        assert_eq!(error.to_string(), "cniVersion 0.2.0 has room for one IPv4 address, not for 2");
        assert_eq!(error.code(), 2);
        assert!(full.in_version(Version::V0_3_0).is_ok());
    }

    #[test]
    fn what_was_written_can_be_read_back_in_every_version() {
        for version in Version::ALL {
            let result = serde_json::to_string(&success().in_version(version).unwrap()).unwrap();
            let netconf = NetConf::parse(format!(r#"{{"prevResult": {result}}}"#).as_bytes()).unwrap();
            let addresses = netconf.previous().unwrap().addresses().unwrap();
            assert_eq!(addresses, success().ips.iter().map(|ip| ip.address).collect::<Vec<_>>(), "{version}");
        }
    }

    #[test]
    fn a_previous_result_is_needed_and_named() {
        let error = |json: &[u8]| {
            let netconf = NetConf::parse(json).unwrap();
            netconf.previous().and_then(|previous| previous.addresses()).unwrap_err().to_string()
        };
        assert_eq!(error(b"{}"), "prevResult is missing: expected the result of the ADD");
        assert_eq!(
            error(br#"{"prevResult": {"ips": [{"address": "10.0.0"}]}}"#),
            "prevResult.ips[0].address is \"10.0.0\": expected an address with its prefix length"
        );
        assert_eq!(
            error(br#"{"prevResult": {"ips": [{"address": 5}]}}"#),
            "prevResult.ips[0].address is the number 5: expected a string in quotes"
        );
    }
}
