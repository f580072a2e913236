//! The keys of everything at rest. Both stores use them.
//!
//! ```text
//! <prefix>/v1/<domain>/
//!   addresses/4/0abc0002                            → Allocation     who holds 10.188.0.2
//!   addresses/6/fd000000000000000000000000000002    → Allocation     numbers sort as they count: the first gap
//!                                                                     after a place is one short range read
//!   attachments/<container>/<interface>/<network>   → Claim           all of one attachment: DEL, CHECK, repeated ADD
//!   nodes/<node>/<machine>/<network>/<container>/<interface>
//!                                                   → (empty)         what GC walks: this node and machine, this network
//!   pods/<cluster>/<namespace>/<name>/<interface>/<network>
//!                                                   → container ID    the newest attachment of a pod's interface
//!   holds/4/0abc0002                                → Hold            nobody has it, and it is on hold
//!   identities/<identity>/4/0abc0002                → Hold            a copy, by the identity it is on hold for
//!   expiries/<seconds>/4/0abc0002                   → Hold            a copy, by its end: what is over comes first
//!   slots/<name>/00000007                           → address         which address took slot 7 of a list
//!   cursors/<spans of the range set>                → address         claimed last; written with a claim, never compared
//! <prefix>/networks/<network>                       → Registration    the domain that has the network's allocations
//! ```
//!
//! An address is under `addresses` or under `holds`, never under both. `attachments`, `nodes`, `pods`, `identities`,
//! `expiries` and `slots` change in the same transaction as what they point at. Only two writers that want the same address, slot
//! or attachment, or that displace the same older attachment, ever contend.
//!
//! Every part is escaped: only letters, digits and `-._:@` stand for themselves, so no part contains a `/`.

mod named;
mod spelling;

use std::net::IpAddr;
use std::rc::Rc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

pub(crate) use self::named::Named;
pub(crate) use self::spelling::{address_in, escape, seconds_until, slot_number_in};
use self::spelling::{digits, inclusive, under, unescape};
use super::ordered::KeyRange;
use ipam::{Attachment, Claim, PodName, RangeSet, Slot, Span};
use limits::store::RANGE_SET_NAME;

/// The keys of one domain.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// Shared: every batch of reads carries it, to check what it gets against its key.
    root: Rc<str>,
}

impl Keys {
    pub(crate) fn new(prefix: &str, domain: &str) -> Self {
        Self { root: format!("{}/v1/{}/", prefix.trim_end_matches('/'), escape(domain)).into() }
    }

    pub(crate) fn address(&self, address: IpAddr) -> String {
        format!("{}addresses/{}", self.root, digits(address))
    }

    pub(crate) fn addresses_in(&self, span: Span) -> KeyRange {
        inclusive(self.address(span.first()), self.address(span.last()))
    }

    /// The addresses of both families, IPv4 first.
    pub(crate) fn addresses(&self) -> KeyRange {
        under(self.join("addresses", &[]))
    }

    pub(crate) fn hold(&self, address: IpAddr) -> String {
        format!("{}holds/{}", self.root, digits(address))
    }

    pub(crate) fn holds_in(&self, span: Span) -> KeyRange {
        inclusive(self.hold(span.first()), self.hold(span.last()))
    }

    pub(crate) fn holds(&self) -> KeyRange {
        under(format!("{}holds/", self.root))
    }

    pub(crate) fn attachment(&self, attachment: &Attachment) -> String {
        let Attachment { network, container, interface } = attachment;
        self.join("attachments", &[container, interface, network])
    }

    pub(crate) fn attachments(&self) -> KeyRange {
        under(self.join("attachments", &[]))
    }

    /// The attachments of every container whose ID begins like this.
    pub(crate) fn attachments_beginning(&self, container: &str) -> KeyRange {
        let from = self.join("attachments", &[container]);
        // '~' comes after every character of a key.
        KeyRange { to: from.clone() + "~", from }
    }

    pub(crate) fn node(&self, node: &str, machine: &str, attachment: &Attachment) -> String {
        let Attachment { network, container, interface } = attachment;
        self.join("nodes", &[node, machine, network, container, interface])
    }

    pub(crate) fn attachments_on(&self, node: &str, machine: &str, network: &str) -> KeyRange {
        under(self.join("nodes", &[node, machine, network]) + "/")
    }

    pub(crate) fn node_of(&self, claim: &Claim) -> String {
        self.node(&claim.node, &claim.machine, &claim.attachment)
    }

    /// The index of every node and machine.
    pub(crate) fn nodes(&self) -> KeyRange {
        under(self.join("nodes", &[]))
    }

    pub(crate) fn pod(&self, pod: &PodName, attachment: &Attachment) -> String {
        let PodName { namespace, name, cluster, .. } = pod;
        let cluster = cluster.as_deref().unwrap_or_default();
        self.join("pods", &[cluster, namespace, name, &attachment.interface, &attachment.network])
    }

    /// The pods of every cluster.
    pub(crate) fn pods(&self) -> KeyRange {
        under(self.join("pods", &[]))
    }

    /// The pods of one cluster; of those without one where its name is empty.
    pub(crate) fn pods_of(&self, cluster: &str) -> KeyRange {
        under(self.join("pods", &[cluster]) + "/")
    }

    /// All interfaces of the pods of a name in one cluster.
    pub(crate) fn interfaces_of(&self, cluster: &str, namespace: &str, name: &str) -> KeyRange {
        under(self.join("pods", &[cluster, namespace, name]) + "/")
    }

    /// The cluster that a key under `pods` begins with.
    pub(crate) fn cluster_in(&self, key: &str) -> Option<String> {
        let (cluster, _) = key.strip_prefix(&self.join("pods", &[]))?.split_once('/')?;
        unescape(cluster)
    }

    pub(crate) fn identity(&self, identity: &str, address: IpAddr) -> String {
        format!("{}/{}", self.join("identities", &[identity]), digits(address))
    }

    pub(crate) fn addresses_for(&self, identity: &str) -> KeyRange {
        under(self.join("identities", &[identity]) + "/")
    }

    pub(crate) fn expiry(&self, until: Timestamp, address: IpAddr) -> String {
        format!("{}expiries/{:016x}/{}", self.root, seconds_until(until), digits(address))
    }

    /// Everything that is over at this moment.
    pub(crate) fn expired(&self, now: Timestamp) -> KeyRange {
        let over = now.as_second().max(0).unsigned_abs();
        KeyRange { from: self.join("expiries", &[]), to: format!("{}expiries/{:016x}", self.root, over + 1) }
    }

    pub(crate) fn slot(&self, slot: &Slot) -> String {
        format!("{}/{:08x}", self.join("slots", &[&slot.name]), slot.number)
    }

    pub(crate) fn slots_of(&self, name: &str) -> KeyRange {
        under(self.join("slots", &[name]) + "/")
    }

    /// A range set is named by its spans, not by its place in a configuration: two networks of one domain that list
    /// the same ranges share the cursor, and a range added in front moves none.
    pub(crate) fn cursor(&self, set: &RangeSet) -> String {
        let spans: Vec<String> = set.ranges().iter().map(|range| range.span().to_string()).collect();
        let name = spans.join(",");
        if name.len() <= RANGE_SET_NAME {
            return self.join("cursors", &[&name]);
        }
        // A key has a limit. Nobody reads the spans back from it, so a digest of them does as well.
        self.join("cursors", &[&format!("{:x}", Sha256::digest(name))])
    }

    pub(crate) fn cursors(&self) -> KeyRange {
        under(self.join("cursors", &[]))
    }

    /// The keys of another domain beside this one.
    pub(crate) fn beside(&self, domain: &str) -> Self {
        Self::new(self.prefix(), domain)
    }

    pub(crate) fn domain(&self) -> String {
        let (_, domain) = self.parts();
        unescape(domain).unwrap_or_default()
    }

    /// The registration of a network: beside all domains, because it says which of them is the network's.
    pub(crate) fn registration(&self, network: &str) -> String {
        format!("{}/networks/{}", self.prefix(), escape(network))
    }

    pub(crate) fn registrations(&self) -> KeyRange {
        under(format!("{}/networks/", self.prefix()))
    }

    /// The network whose registration this key is.
    pub(crate) fn registered_in(&self, key: &str) -> Option<String> {
        unescape(key.strip_prefix(self.prefix())?.strip_prefix("/networks/")?)
    }

    /// The keys of all domains behind this one, or of all domains there are.
    pub(crate) fn all_domains(&self) -> KeyRange {
        under(format!("{}/v1/", self.prefix()))
    }

    /// The domain that a key belongs to.
    pub(crate) fn domain_of(&self, key: &str) -> Option<String> {
        let (domain, _) = key.strip_prefix(self.prefix())?.strip_prefix("/v1/")?.split_once('/')?;
        unescape(domain)
    }

    fn prefix(&self) -> &str {
        let (above, _) = self.parts();
        above.strip_suffix("/v1").unwrap_or(above)
    }

    /// What is above the domain, and the domain as it stands in keys, where it has no slash.
    fn parts(&self) -> (&str, &str) {
        let root = self.root.strip_suffix('/').unwrap_or(&self.root);
        root.rsplit_once('/').unwrap_or_default()
    }

    /// Every key of the domain.
    pub(crate) fn everything(&self) -> KeyRange {
        under(self.root.to_string())
    }

    /// A key in every part of the domain, none of which names anything: to try whether one could be written there.
    pub(crate) fn rehearsal(&self) -> Vec<String> {
        let sections =
            ["addresses", "attachments", "nodes", "pods", "holds", "identities", "expiries", "slots", "cursors"];
        // etcd's roles are given by ranges of keys, so that each part has to be tried.
        let mut keys = sections.map(|section| format!("{}{section}/(rehearsal)", self.root)).to_vec();
        keys.push(self.registration("(rehearsal)"));
        keys
    }

    fn join(&self, section: &str, parts: &[&str]) -> String {
        let parts: Vec<String> = parts.iter().map(|part| escape(part)).collect();
        format!("{}{section}/{}", self.root, parts.join("/"))
    }
}

/// The parts of a range that are left when others, which do not overlap, are taken out.
pub(crate) fn gaps_between(whole: KeyRange, parts: impl IntoIterator<Item = KeyRange>) -> Vec<KeyRange> {
    let mut parts: Vec<KeyRange> = parts.into_iter().collect();
    parts.sort_by(|one, two| one.from.cmp(&two.from));
    let mut between = Vec::with_capacity(parts.len() + 1);
    let mut from = whole.from;
    for part in parts {
        between.push(KeyRange { from, to: part.from });
        from = part.to;
    }
    between.push(KeyRange { from, to: whole.to });
    between.retain(|gap| gap.from < gap.to);
    between
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(network: &str, container: &str, interface: &str) -> Attachment {
        Attachment { network: network.into(), container: container.into(), interface: interface.into() }
    }

    #[test]
    fn numbers_sort_as_they_count() {
        let keys = Keys::new("/kube-ipam", "blue");
        let [low, high] = ["10.188.0.2", "10.188.1.0"].map(|text| keys.address(text.parse().unwrap()));
        assert_eq!(low, "/kube-ipam/v1/blue/addresses/4/0abc0002");
        assert!(low < high);
        assert_eq!(keys.hold("fd00::2".parse().unwrap()).len(), "/kube-ipam/v1/blue/holds/6/".len() + 32);
    }

    #[test]
    fn no_part_can_escape_its_place() {
        let keys = Keys::new("", "a/b%");
        for name in ["../../x", "a/b", "%2f", "ü", "", "a b"] {
            let attachment = attachment(name, "c", "eth0");
            let key = keys.node(name, name, &attachment);
            assert_eq!(key.matches('/').count(), 8, "{key}");
            let named = Named::Node { node: name.into(), machine: name.into(), attachment };
            assert_eq!(keys.named(&key), Some(named), "{key}");
        }
        assert_ne!(Keys::new("", "a/b").everything(), Keys::new("", "a%2fb").everything());
    }

    #[test]
    fn a_range_has_what_begins_with_it_and_no_neighbour() {
        let keys = Keys::new("", "blue");
        let range = keys.attachments_on("node-1", "m", "blue");
        let within = |key: &String| range.from <= *key && *key < range.to;
        assert!(within(&keys.node("node-1", "m", &attachment("blue", "c", "eth0"))));
        assert!(!within(&keys.node("node-10", "m", &attachment("blue", "c", "eth0"))));
        assert!(!within(&keys.node("node-1", "m2", &attachment("blue", "c", "eth0"))));
        assert!(!within(&keys.node("node-1", "", &attachment("blue", "c", "eth0"))));
        assert!(!within(&keys.node("node-1", "m", &attachment("blue2", "c", "eth0"))));
        assert!(!within(&keys.node("node-1", "m", &attachment("blue-2", "c", "eth0"))));
    }

    #[test]
    fn what_is_over_comes_first() {
        let keys = Keys::new("", "blue");
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let address = "10.0.0.2".parse().unwrap();
        let over = keys.expired(at("2026-01-01T00:00:10.5Z"));
        let is_over = |until: &str| {
            let key = keys.expiry(at(until), address);
            assert!(matches!(keys.named(&key), Some(Named::Expiry { .. })), "{key}");
            over.from <= key && key < over.to
        };
        assert!(is_over("2026-01-01T00:00:09.1Z") && is_over("2026-01-01T00:00:10Z"));
        assert!(!is_over("2026-01-01T00:00:10.2Z"), "it is over, but counted by whole seconds");
        assert!(!is_over("2026-01-01T00:00:10.7Z") && !is_over("9999-12-30T22:00:00Z"));
    }

    #[test]
    fn registrations_lie_beside_all_domains() {
        for (prefix, domain) in [("/kube-ipam", "blue"), ("", "a/b%"), ("/v1/v1", "v1"), ("/a/", "ü")] {
            let keys = Keys::new(prefix, domain);
            assert_eq!((keys.domain().as_str(), keys.prefix()), (domain, prefix.trim_end_matches('/')));
            assert_eq!(keys.beside("red").everything(), Keys::new(prefix, "red").everything());
            let key = keys.registration("x/y");
            assert!(keys.registrations().from < key && key < keys.registrations().to, "{key}");
            assert_eq!(keys.registered_in(&key).as_deref(), Some("x/y"));
            let first = keys.address("10.0.0.2".parse().unwrap());
            assert_eq!(keys.domain_of(&first).as_deref(), Some(domain));
            assert!(keys.all_domains().from < first && first < keys.beside(domain).everything().to);
            assert!(keys.beside(domain).everything().to <= keys.all_domains().to);
        }
    }
}
