//! Two networks that may give out one address, as far as both are looked at together.

use super::Doubt;
use crate::config::{Base, Network};
use ::store::{EtcdConfig, StoreConfig};
use cni::NetConf;
use ipam::{Prefix, Range, RangeSets};

/// A network, as far as others may get in its way.
#[derive(Clone, Debug)]
pub struct Claimed {
    base: Base,
    range_sets: RangeSets,
}

/// A subnet of one network and a subnet of another that share addresses.
struct Overlap {
    subnet: Prefix,
    /// Whether what both give out by themselves overlaps, too.
    dynamic: bool,
}

impl Claimed {
    /// `None` where the configuration is refused: then it gives out nothing.
    pub fn by(netconf: &NetConf) -> Option<Self> {
        let (base, range_sets) = (Base::read(netconf).ok()?, Network::range_sets(netconf).ok()?);
        Some(Self { base, range_sets })
    }

    /// Whether an interface of a container that both are asked for is one attachment, with the same addresses for both.
    pub fn has_attachments_of(&self, other: &Self) -> bool {
        let (one, two) = (&self.base, &other.base);
        one.network == two.network && one.domain == two.domain && is_one_store(&one.store, &two.store)
    }

    pub fn network(&self) -> &str {
        &self.base.network
    }

    fn ranges(&self) -> impl Iterator<Item = &Range> {
        self.range_sets.iter().flat_map(|set| set.ranges())
    }

    fn overlap(&self, other: &Self) -> Option<Overlap> {
        let mut found: Option<Overlap> = None;
        for one in self.ranges() {
            for two in other.ranges() {
                if !one.subnet().span().overlaps(&two.subnet().span()) {
                    continue;
                }
                // Subnets that overlap lie one in the other.
                let subnet = if one.subnet().length() > two.subnet().length() { one.subnet() } else { two.subnet() };
                let dynamic = one.span().overlaps(&two.span());
                if dynamic || found.is_none() {
                    found = Some(Overlap { subnet, dynamic });
                }
            }
        }
        found
    }
}

/// What is doubtful of a network beside `other`, which `place` says where to find.
pub fn between(one: &Claimed, other: &Claimed, place: &str) -> Option<Doubt> {
    let (mine, theirs) = (&one.base, &other.base);
    let shared_store = is_one_store(&mine.store, &theirs.store);
    if shared_store && mine.domain == theirs.domain {
        return None;
    }
    let Overlap { subnet, dynamic } = one.overlap(other)?;
    let networks = format!(
        "network {:?} and network {:?} ({place}) both have addresses of {subnet}",
        mine.network, theirs.network
    );
    let which = if dynamic { "an address" } else { "a fixed address" };
    if !shared_store {
        let message = format!("{networks}, in stores that do not know of each other: {which} may be given out by both");
        let hint =
            "give them one store and one domain, or subnets of their own; leave it so only where their pods never meet";
        return Some(Doubt::new(message, hint));
    }
    if !mine.domain_given && !theirs.domain_given {
        let message =
            format!("{networks}, and neither has a domain: an ADD of one is refused once the other has given some out");
        let hint =
            "give both the same ipam.domain to share the addresses, or two different ones where their pods never meet";
        return Some(Doubt::new(message, hint));
    }
    let message = format!(
        "{networks}, in the domains {:?} and {:?}: {which} may be given out in both",
        mine.domain, theirs.domain
    );
    Some(Doubt::new(message, "give both the same ipam.domain; leave it so only where their pods never meet"))
}

fn is_one_store(one: &StoreConfig, two: &StoreConfig) -> bool {
    match (one, two) {
        (StoreConfig::Embedded { dir: one }, StoreConfig::Embedded { dir: two }) => one == two,
        (StoreConfig::Etcd(one), StoreConfig::Etcd(two)) => is_one_cluster(one, two),
        _ => false,
    }
}

/// Two lists with one member in common name one etcd.
fn is_one_cluster(one: &EtcdConfig, two: &EtcdConfig) -> bool {
    one.prefix == two.prefix && one.endpoints.iter().any(|endpoint| two.endpoints.contains(endpoint))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claimed(name: &str, ipam: Value) -> Claimed {
        let netconf = json!({"name": name, "ipam": ipam}).to_string();
        Claimed::by(&NetConf::parse(netconf.as_bytes()).unwrap()).unwrap()
    }

    fn doubt(one: (&str, Value), two: (&str, Value)) -> String {
        let doubt = between(&claimed(two.0, two.1), &claimed(one.0, one.1), "10-blue.conf");
        doubt.map(|doubt| doubt.message).unwrap_or_default()
    }

    #[test]
    fn networks_of_one_domain_and_one_store_share_a_subnet() {
        let shared = json!({"subnet": "10.1.0.0/24", "domain": "site"});
        assert_eq!(doubt(("blue", shared.clone()), ("red", shared)), "");
        let etcd = |url: &str| json!({"subnet": "10.1.0.0/24", "etcdConfig": {"etcdURL": url}});
        let one = etcd("http://10.0.0.1:2379,http://10.0.0.2:2379");
        assert_eq!(doubt(("blue", one), ("blue", etcd("http://10.0.0.2:2379"))), "", "one network on two nodes");
    }

    #[test]
    fn networks_on_subnets_of_their_own_do_not_meet() {
        let one = json!({"subnet": "10.1.0.0/24", "dataDir": "/a"});
        assert_eq!(doubt(("blue", one), ("red", json!({"subnet": "10.1.1.0/24"}))), "");
    }

    #[test]
    fn networks_that_share_a_subnet_are_told_with_what_comes_of_it() {
        let plain = json!({"subnet": "10.1.0.0/16"});
        assert_eq!(
            doubt(("blue", plain.clone()), ("red", json!({"subnet": "10.1.7.0/24"}))),
            "network \"red\" and network \"blue\" (10-blue.conf) both have addresses of 10.1.7.0/24, and neither has a domain: \
             an ADD of one is refused once the other has given some out"
        );
        let domain = json!({"subnet": "10.1.0.0/16", "domain": "site"});
        let told = doubt(("blue", plain.clone()), ("red", domain));
        assert!(told.ends_with("in the domains \"site\" and \"blue\": an address may be given out in both"), "{told}");
        let elsewhere = json!({"subnet": "10.1.0.0/16", "dataDir": "/elsewhere", "domain": "blue"});
        let told = doubt(("blue", plain), ("red", elsewhere));
        assert!(
            told.ends_with("in stores that do not know of each other: an address may be given out by both"),
            "{told}"
        );
    }

    #[test]
    fn ranges_that_part_a_subnet_leave_the_fixed_addresses() {
        let low = json!({"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.99", "domain": "low"});
        let high = json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.100", "domain": "high"});
        let told = doubt(("blue", low), ("red", high));
        assert!(told.ends_with("a fixed address may be given out in both"), "{told}");
    }
}
