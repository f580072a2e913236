//! The keys of everything at rest. Both stores use them.
//!
//! ```text
//! <prefix>/v2/<domain>/
//!   a/4/0abc0002                                    → Allocation     who holds 10.188.0.2
//!   a/6/fd000000000000000000000000000002            → Allocation     numbers sort as they count: the first gap
//!                                                                     after a place is one short range read
//!   c/<container>/<interface>[/<network>]           → Claim           all of one attachment: DEL, CHECK, repeated ADD
//!   n/<node>/<machine>/<network>/<container>/<interface>
//!                                                   → (empty)         what GC walks: this node and machine, this network
//!   p/<pod>/<cluster>/<interface>[/<network>]       → container ID    the newest attachment of a pod's interface
//!   h/4/0abc0002                                    → Hold            nobody has it, and it is on hold, or reserved
//!   i/<identity>/4/0abc0002                         → Hold            a copy, by the identity it is on hold for
//!   e/<seconds>/4/0abc0002                          → Hold            a copy, by its end: what is over comes first
//!   s/<name>/00000007                               → address         which address took slot 7 of a list
//!   l/<spans of the range set>                      → address         claimed last; written with a claim, never compared
//!   f/<bits>/4/0abc0000                             → span or (empty) no address of this part of a block, or of all of it, is
//!                                                                     free; a hint like a cursor, see `marks.rs`
//! <prefix>/networks/<network>                       → Registration    the domain that has the network's allocations
//! ```
//!
//! An address is under `a` or under `h`, never under both. `c`, `n`, `p`, `i`, `e` and `s` change in the same transaction as
//! what they point at. Only two writers that want the same address, slot or attachment, or that displace the same older
//! attachment, ever contend.
//!
//! etcd keeps a key twice for each claim that is gone, until it is compacted: with its value, and with the mark that it was
//! deleted. So keys are short. A name that nobody reads back from them is the beginning of a digest, which any shell can make:
//!
//! ```text
//!   <node>      printf %s NODE             | sha256sum | cut -c1-12
//!   <pod>       printf %s NAMESPACE/NAME   | sha256sum | cut -c1-16
//!   <cluster>   printf %s CLUSTER          | sha256sum | cut -c1-8      or `-` where it is not known
//! ```
//!
//! A network that is called like its domain, as by default, is left out, and `~` under `n`. Every other part is escaped: only
//! letters, digits and `-._:@` stand for themselves, so no part contains a `/`.
//!
//! `v2` is the format of keys and records. A program that finds another one in the registration of a network touches nothing.

mod named;
mod spelling;

use std::net::IpAddr;
use std::rc::Rc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

pub(crate) use self::named::Named;
pub(crate) use self::spelling::{address_in, escape, seconds_until, slot_number_in, unescape};
use self::spelling::{digest, digits, inclusive, under};
use super::nearby::aligned;
use super::ordered::KeyRange;
use super::record::Hold;
use ipam::{Attachment, Claim, PodName, RangeSet, Slot, Span};
use limits::store::RANGE_SET_NAME;

/// The format of keys and records. Whoever changes what either means takes the next number.
pub(crate) const FORMAT: u32 = 2;

/// How many digits of a digest stand for a name. GC trusts the first together with the machine; whoever follows an index of
/// pods compares the names.
const NODE_DIGITS: usize = 12;
const POD_DIGITS: usize = 16;
const CLUSTER_DIGITS: usize = 8;

/// Stands for a cluster that is not known.
const NO_CLUSTER: &str = "-";

/// Stands for the network that is called like the domain. No part that is escaped has this character.
const OWN_NETWORK: &str = "~";

/// The keys of one domain.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// Shared: every batch of reads carries it, to check what it gets against its key.
    root: Rc<str>,
}

impl Keys {
    pub(crate) fn new(prefix: &str, domain: &str) -> Self {
        Self { root: format!("{}/v{FORMAT}/{}/", prefix.trim_end_matches('/'), escape(domain)).into() }
    }

    pub(crate) fn address(&self, address: IpAddr) -> String {
        format!("{}a/{}", self.root, digits(address))
    }

    pub(crate) fn addresses_in(&self, span: Span) -> KeyRange {
        inclusive(self.address(span.first()), self.address(span.last()))
    }

    /// The addresses of both families, IPv4 first.
    pub(crate) fn addresses(&self) -> KeyRange {
        under(self.join("a", &[]))
    }

    pub(crate) fn hold(&self, address: IpAddr) -> String {
        format!("{}h/{}", self.root, digits(address))
    }

    pub(crate) fn holds_in(&self, span: Span) -> KeyRange {
        inclusive(self.hold(span.first()), self.hold(span.last()))
    }

    pub(crate) fn holds(&self) -> KeyRange {
        under(self.join("h", &[]))
    }

    pub(crate) fn attachment(&self, attachment: &Attachment) -> String {
        let Attachment { network, container, interface } = attachment;
        self.in_network(self.join("c", &[container, interface]), network)
    }

    pub(crate) fn attachments(&self) -> KeyRange {
        under(self.join("c", &[]))
    }

    /// The attachments of every container whose ID begins like this.
    pub(crate) fn attachments_beginning(&self, container: &str) -> KeyRange {
        let from = self.join("c", &[container]);
        // '~' comes after every character of an ID.
        KeyRange { to: from.clone() + "~", from }
    }

    /// The entry of an attachment in the index of a node, whose name stands there as a digest.
    pub(crate) fn node_at(&self, node_digest: &str, machine: &str, attachment: &Attachment) -> String {
        let Attachment { network, container, interface } = attachment;
        with_parts(self.on(node_digest, machine, network), &[container, interface])
    }

    pub(crate) fn attachments_on(&self, node: &str, machine: &str, network: &str) -> KeyRange {
        under(self.on(&node_digest(node), machine, network) + "/")
    }

    pub(crate) fn node_of(&self, claim: &Claim) -> String {
        self.node_at(&node_digest(&claim.node), &claim.machine, &claim.attachment)
    }

    /// The index of every node and machine.
    pub(crate) fn nodes(&self) -> KeyRange {
        under(self.join("n", &[]))
    }

    pub(crate) fn pod(&self, pod: &PodName, attachment: &Attachment) -> String {
        self.pod_at(&pod_digest(pod), attachment)
    }

    /// The entry of an attachment in the index of pods, where its pod and cluster stand as digests.
    pub(crate) fn pod_at(&self, pod_digest: &str, attachment: &Attachment) -> String {
        let Attachment { network, interface, .. } = attachment;
        self.in_network(format!("{}p/{pod_digest}/{}", self.root, escape(interface)), network)
    }

    /// All interfaces of the pods of a name, in every cluster.
    pub(crate) fn pods_named(&self, namespace: &str, name: &str) -> KeyRange {
        under(format!("{}p/{}/", self.root, name_digest(namespace, name)))
    }

    pub(crate) fn identity(&self, identity: &str, address: IpAddr) -> String {
        format!("{}/{}", self.join("i", &[identity]), digits(address))
    }

    pub(crate) fn addresses_for(&self, identity: &str) -> KeyRange {
        under(self.join("i", &[identity]) + "/")
    }

    pub(crate) fn expiry(&self, until: Timestamp, address: IpAddr) -> String {
        format!("{}e/{:016x}/{}", self.root, seconds_until(until), digits(address))
    }

    /// Everything that is over at this moment.
    pub(crate) fn expired(&self, now: Timestamp) -> KeyRange {
        let over = now.as_second().max(0).unsigned_abs();
        KeyRange { from: self.join("e", &[]), to: format!("{}e/{:016x}", self.root, over + 1) }
    }

    /// The reservations, in the order of their addresses: the part of the index of when holds end that has no end.
    pub(crate) fn reservations(&self) -> KeyRange {
        under(format!("{}e/{:016x}/", self.root, seconds_until(Hold::NEVER)))
    }

    pub(crate) fn reservations_in(&self, span: Span) -> KeyRange {
        inclusive(self.expiry(Hold::NEVER, span.first()), self.expiry(Hold::NEVER, span.last()))
    }

    pub(crate) fn slot(&self, slot: &Slot) -> String {
        format!("{}/{:08x}", self.join("s", &[&slot.name]), slot.number)
    }

    pub(crate) fn slots_of(&self, name: &str) -> KeyRange {
        under(self.join("s", &[name]) + "/")
    }

    /// The slots of a list from the first to the last number.
    pub(crate) fn slots_in(&self, name: &str, (first, last): (u32, u32)) -> KeyRange {
        let slot = |number| self.slot(&Slot { name: name.to_owned(), number });
        inclusive(slot(first), slot(last))
    }

    /// A range set is named by its spans, not by its place in a configuration: two networks of one domain that list
    /// the same ranges share the cursor, and a range added in front moves none.
    pub(crate) fn cursor(&self, set: &RangeSet) -> String {
        let spans: Vec<String> = set.ranges().iter().map(|range| range.span().to_string()).collect();
        let name = spans.join(",");
        if name.len() <= RANGE_SET_NAME {
            return self.join("l", &[&name]);
        }
        // A key has a limit. Nobody reads the spans back from it, so a digest of them does as well.
        self.join("l", &[&format!("{:x}", Sha256::digest(name))])
    }

    /// The mark of the block of so many bits that an address lies in.
    pub(crate) fn full(&self, bits: u32, address: IpAddr) -> String {
        format!("{}f/{bits}/{}", self.root, digits(aligned(address, bits).first()))
    }

    /// The marks of all blocks of so many bits that a span touches.
    pub(crate) fn full_in(&self, bits: u32, span: Span) -> KeyRange {
        inclusive(self.full(bits, span.first()), self.full(bits, span.last()))
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
        under(format!("{}/v{FORMAT}/", self.prefix()))
    }

    /// The domain that a key belongs to.
    pub(crate) fn domain_of(&self, key: &str) -> Option<String> {
        let (domain, _) = key.strip_prefix(&self.all_domains().from)?.split_once('/')?;
        unescape(domain)
    }

    fn prefix(&self) -> &str {
        let (above, _) = self.parts();
        above.rsplit_once('/').map_or(above, |(prefix, _)| prefix)
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
        let sections = ["a", "c", "n", "p", "h", "i", "e", "s", "l", "f"];
        // etcd's roles are given by ranges of keys, so that each part has to be tried.
        let mut keys = sections.map(|section| format!("{}{section}/(rehearsal)", self.root)).to_vec();
        keys.push(self.registration("(rehearsal)"));
        keys
    }

    /// Where the index of a node and machine has the attachments of a network.
    fn on(&self, node_digest: &str, machine: &str, network: &str) -> String {
        let network = if self.is_own(network) { OWN_NETWORK.to_owned() } else { escape(network) };
        format!("{}n/{node_digest}/{}/{network}", self.root, escape(machine))
    }

    fn in_network(&self, key: String, network: &str) -> String {
        if self.is_own(network) { key } else { with_parts(key, &[network]) }
    }

    /// Whether a network is called like the domain.
    fn is_own(&self, network: &str) -> bool {
        let (_, domain) = self.parts();
        escape(network) == domain
    }

    fn join(&self, section: &str, parts: &[&str]) -> String {
        let parts: Vec<String> = parts.iter().map(|part| escape(part)).collect();
        format!("{}{section}/{}", self.root, parts.join("/"))
    }
}

/// A key with further parts behind it.
fn with_parts(mut key: String, parts: &[&str]) -> String {
    for part in parts {
        key.push('/');
        key.push_str(&escape(part));
    }
    key
}

/// How a node's name stands in keys.
pub(crate) fn node_digest(node: &str) -> String {
    digest(node, NODE_DIGITS)
}

/// How a pod and its cluster stand in keys.
pub(crate) fn pod_digest(pod: &PodName) -> String {
    let PodName { namespace, name, cluster, .. } = pod;
    let cluster = match cluster.as_deref() {
        None | Some("") => NO_CLUSTER.to_owned(),
        Some(cluster) => digest(cluster, CLUSTER_DIGITS),
    };
    format!("{}/{cluster}", name_digest(namespace, name))
}

fn name_digest(namespace: &str, name: &str) -> String {
    // Names of Kubernetes need no escaping; with it, no two pairs of names are one text.
    digest(&format!("{}/{}", escape(namespace), escape(name)), POD_DIGITS)
}

#[cfg(test)]
mod tests;
