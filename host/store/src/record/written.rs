//! Allocations and claims as bytes: JSON with fields of one letter. etcd keeps every claim of the last hours until it is
//! compacted, so what a record says is said once, and what its key says is not said again.
//!
//! | field | what it is | in | left out |
//! |---|---|---|---|
//! | `a` | the address | allocation | |
//! | `h` | what is held: `[{"a": "10.0.0.2/16", "g": gateway, "x", "r", "s"}]` | claim | where all of it is ceded |
//! | `c` | ID of the container | allocation, party | a claim's key has it |
//! | `i` | interface | allocation, party | `eth0`; a claim's key has it |
//! | `w` | network | allocation, party | a claim's key has it |
//! | `n` | name of the node | all | |
//! | `m` | hash of the node's machine ID | allocation, claim | unknown |
//! | `p` | pod, `namespace/name` | all | unknown |
//! | `u` | uid of the pod | all | unknown |
//! | `k` | cluster of the pod | all | unknown |
//! | `b` | policy that chose, `name@` and 12 digits of its SHA-256 | allocation, claim | imported |
//! | `z` | policy in whose stead that one decided | allocation, claim | itself |
//! | `t` | time of the claim, to the microsecond | all | |
//! | `x` | 1 where the pod named this very address | allocation, in `h` | any would have done |
//! | `r` | hold after the release: `[identity, seconds]` | allocation, in `h` | none |
//! | `s` | slot: `[list, number]` | allocation, in `h` | none |
//! | `y` | why it is this address: `a` an annotation names it, `l` a pool of an annotation, `q` the runtime asked, `p` the pod had it, `h` it was on hold | allocation, in `h` | any would have done |
//! | `f` | party that ceded the address and gets it back | allocation | none |
//! | `o` | parties that ceded an address, by address | claim | none |
//! | `l` | what is ceded: `[{"h": as above, "to": party}]` | claim | none |
//!
//! A container's ID, its pod and its node are in the claim *and* in the allocation: each can be written again from the other,
//! and a list or a refusal is told from the allocation alone. Nothing else is there twice.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AtRest, json, what_is_wrong};
use crate::keys::{escape, unescape};
use ipam::{Allocation, Assignment, Attachment, Ceded, Claim, HoldTerms, Kind, Party, PodName, PolicyName, Slot, Why};

/// The interface of nearly every pod.
const INTERFACE: &str = "eth0";

/// How many digits of a policy's digest are kept: enough to tell versions of a module apart, which is all that is read from it.
const DIGEST_DIGITS: usize = 12;

/// All fields of the table that can stand at the top of a record.
#[derive(Default, Serialize, Deserialize)]
struct Written<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    h: Vec<WrittenAssignment<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    i: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<Cow<'a, str>>,
    n: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    m: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    z: Option<Cow<'a, str>>,
    t: Timestamp,
    #[serde(default, skip_serializing_if = "is_no")]
    x: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<(Cow<'a, str>, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<(Cow<'a, str>, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f: Option<Box<Written<'a>>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    o: BTreeMap<IpAddr, Written<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    l: Vec<WrittenCeded<'a>>,
}

#[derive(Serialize, Deserialize)]
struct WrittenAssignment<'a> {
    /// With its prefix length.
    a: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    g: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "is_no")]
    x: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<(Cow<'a, str>, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<(Cow<'a, str>, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct WrittenCeded<'a> {
    h: WrittenAssignment<'a>,
    to: Written<'a>,
}

impl AtRest for Allocation {
    fn to_bytes(&self) -> Vec<u8> {
        let Self { address, kind, attachment, node, machine, pod, policy, since, hold, slot, former, why } = self;
        let mut written = Written::of(Some(attachment), node, pod.as_ref(), *since);
        written.a = Some(*address);
        written.m = machine.into();
        written.name_policy(policy.as_ref());
        written.x = u8::from(*kind == Kind::Fixed);
        written.r = hold.as_ref().map(write_hold);
        written.s = slot.as_ref().map(write_slot);
        written.y = why.map(write_why);
        written.f = former.as_deref().map(|former| Box::new(Written::of_party(former)));
        json(&written)
    }
}

impl AtRest for Claim {
    fn to_bytes(&self) -> Vec<u8> {
        let Self { attachment: _, node, machine, pod, addresses, ceded, former, policy, since } = self;
        let mut written = Written::of(None, node, pod.as_ref(), *since);
        written.m = machine.into();
        written.name_policy(policy.as_ref());
        written.h = addresses.iter().map(WrittenAssignment::of).collect();
        written.o = former.iter().map(|(address, former)| (*address, Written::of_party(former))).collect();
        for Ceded { assignment, to } in ceded {
            written.l.push(WrittenCeded { h: WrittenAssignment::of(assignment), to: Written::of_party(to) });
        }
        json(&written)
    }
}

pub(super) fn read_allocation(value: &[u8]) -> Result<Allocation, String> {
    let mut written = Written::parse(value)?;
    let address = written.a.take().ok_or_else(|| missing("a"))?;
    let (kind, hold, slot) = (read_kind(written.x), written.r.take().map(read_hold), written.s.take().map(read_slot));
    let (former, machine, policy, why) = (written.f.take(), written.machine(), written.policy(), written.why());
    let former = former.map(|former| former.into_party()).transpose()?.map(Box::new);
    let Party { attachment, node, pod, since } = written.into_party()?;
    Ok(Allocation { address, kind, attachment, node, machine, pod, policy, since, hold, slot, former, why })
}

/// The claim of an attachment, which its key names.
pub(super) fn read_claim(attachment: &Attachment, value: &[u8]) -> Result<Claim, String> {
    let mut written = Written::parse(value)?;
    let mut addresses = Vec::with_capacity(written.h.len());
    for assignment in std::mem::take(&mut written.h) {
        addresses.push(assignment.read()?);
    }
    let mut former = BTreeMap::new();
    for (address, party) in std::mem::take(&mut written.o) {
        former.insert(address, party.into_party()?);
    }
    let mut ceded = Vec::with_capacity(written.l.len());
    for WrittenCeded { h, to } in std::mem::take(&mut written.l) {
        ceded.push(Ceded { assignment: h.read()?, to: to.into_party()? });
    }
    let (machine, policy, pod) = (written.machine(), written.policy(), written.pod()?);
    let (attachment, node, since) = (attachment.clone(), written.n.into_owned(), written.t);
    Ok(Claim { attachment, node, machine, pod, addresses, ceded, former, policy, since })
}

impl<'a> Written<'a> {
    fn of(attachment: Option<&'a Attachment>, node: &'a str, pod: Option<&'a PodName>, since: Timestamp) -> Self {
        let mut written = Self { n: node.into(), t: since, ..Self::default() };
        if let Some(Attachment { network, container, interface }) = attachment {
            written.c = Some(container.into());
            written.i = Some(interface.into()).filter(|_| interface != INTERFACE);
            written.w = Some(network.into());
        }
        if let Some(PodName { namespace, name, uid, cluster }) = pod {
            // Escaped, so that the first slash is the one in between.
            written.p = Some(format!("{}/{name}", escape(namespace)));
            written.u = uid.as_ref().map(Cow::from);
            written.k = cluster.as_ref().map(Cow::from);
        }
        written
    }

    fn of_party(party: &'a Party) -> Self {
        Self::of(Some(&party.attachment), &party.node, party.pod.as_ref(), party.since)
    }

    fn name_policy(&mut self, policy: Option<&'a PolicyName>) {
        let Some(PolicyName { name, sha256, instead_of }) = policy else { return };
        let digest = sha256.get(..DIGEST_DIGITS).unwrap_or(sha256);
        self.b = Some(format!("{name}@{digest}"));
        self.z = instead_of.as_ref().map(Cow::from);
    }

    fn parse(value: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(value).map_err(|error| what_is_wrong(&error))
    }

    fn why(&mut self) -> Option<Why> {
        self.y.take().and_then(|letter| read_why(&letter))
    }

    fn machine(&mut self) -> String {
        std::mem::take(&mut self.m).into_owned()
    }

    fn policy(&mut self) -> Option<PolicyName> {
        let named = self.b.take()?;
        // A name may have an `@` of its own, a digest has none.
        let (name, digest) = named.rsplit_once('@').unwrap_or((&named, ""));
        let instead_of = self.z.take().map(Cow::into_owned);
        Some(PolicyName { name: name.to_owned(), sha256: digest.to_owned(), instead_of })
    }

    fn pod(&mut self) -> Result<Option<PodName>, String> {
        let Some(named) = self.p.take() else { return Ok(None) };
        let (namespace, name) =
            named.split_once('/').ok_or_else(|| "field p is not a namespace and a name".to_owned())?;
        let namespace = unescape(namespace).ok_or_else(|| "the namespace in field p is not escaped".to_owned())?;
        let [uid, cluster] = [self.u.take(), self.k.take()].map(|text| text.map(Cow::into_owned));
        Ok(Some(PodName { namespace, name: name.to_owned(), uid, cluster }))
    }

    fn into_party(mut self) -> Result<Party, String> {
        let pod = self.pod()?;
        let container = self.c.ok_or_else(|| missing("c"))?.into_owned();
        let network = self.w.ok_or_else(|| missing("w"))?.into_owned();
        let interface = self.i.map_or_else(|| INTERFACE.to_owned(), Cow::into_owned);
        let attachment = Attachment { network, container, interface };
        Ok(Party { attachment, node: self.n.into_owned(), pod, since: self.t })
    }
}

impl<'a> WrittenAssignment<'a> {
    fn of(assignment: &'a Assignment) -> Self {
        let Assignment { address, prefix_length, gateway, kind, hold, slot, why } = assignment;
        Self {
            a: format!("{address}/{prefix_length}"),
            g: *gateway,
            x: u8::from(*kind == Kind::Fixed),
            r: hold.as_ref().map(write_hold),
            s: slot.as_ref().map(write_slot),
            y: why.map(write_why),
        }
    }

    fn read(self) -> Result<Assignment, String> {
        let Self { a, g: gateway, x, r, s, y } = self;
        let parts = a.split_once('/').and_then(|(address, length)| Some((address.parse().ok()?, length.parse().ok()?)));
        let Some((address, prefix_length)) = parts else {
            return Err("an address in field h is not one with a prefix length".to_owned());
        };
        let (kind, hold, slot) = (read_kind(x), r.map(read_hold), s.map(read_slot));
        let why = y.and_then(|letter| read_why(&letter));
        Ok(Assignment { address, prefix_length, gateway, kind, hold, slot, why })
    }
}

fn write_hold(terms: &HoldTerms) -> (Cow<'_, str>, u64) {
    (Cow::from(&terms.identity), terms.seconds)
}

fn read_hold((identity, seconds): (Cow<'_, str>, u64)) -> HoldTerms {
    HoldTerms { identity: identity.into_owned(), seconds }
}

fn write_slot(slot: &Slot) -> (Cow<'_, str>, u32) {
    (Cow::from(&slot.name), slot.number)
}

fn read_slot((name, number): (Cow<'_, str>, u32)) -> Slot {
    Slot { name: name.into_owned(), number }
}

/// The letters of the table.
const WHY: [(Why, &str); 5] =
    [(Why::Annotation, "a"), (Why::Pool, "l"), (Why::Request, "q"), (Why::Previous, "p"), (Why::Hold, "h")];

fn write_why(why: Why) -> Cow<'static, str> {
    WHY.iter().find(|(known, _)| *known == why).map(|(_, letter)| *letter).unwrap_or_default().into()
}

/// A letter of a later version says nothing here.
fn read_why(written: &str) -> Option<Why> {
    WHY.iter().find(|(_, letter)| *letter == written).map(|(why, _)| *why)
}

fn read_kind(fixed: u8) -> Kind {
    if is_no(&fixed) { Kind::Dynamic } else { Kind::Fixed }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_no(flag: &u8) -> bool {
    *flag == 0
}

fn missing(field: &str) -> String {
    format!("field {field} is missing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::encode;

    fn attachment(container: &str) -> Attachment {
        Attachment { network: "blue".into(), container: container.into(), interface: "eth0".into() }
    }

    fn claim() -> Claim {
        let pod = PodName {
            namespace: "web".into(),
            name: "front-0".into(),
            uid: Some("eb1167b3-67a9-c378-7c65-c1e582e2e662".into()),
            cluster: Some("cd613e30-d8f1-6adf-91b7-584a2265b1f5".into()),
        };
        let address = "10.0.0.2".parse().unwrap();
        let gateway = "10.0.0.1".parse().ok();
        let plain =
            Assignment { address, prefix_length: 16, gateway, kind: Kind::Dynamic, hold: None, slot: None, why: None };
        let since = "2026-11-30T06:29:37.096217Z".parse().unwrap();
        let policy = PolicyName { name: "range-fixed".into(), sha256: "51e5dce94086".into(), instead_of: None };
        let empty = Claim::empty(attachment("c1"), "node-1", "c92bb9553bece64b", Some(pod), since);
        Claim { addresses: vec![plain], policy: Some(policy), ..empty }
    }

    /// A claim that uses every field.
    fn full() -> Claim {
        let mut claim = claim();
        let [plain] = claim.addresses.as_slice() else { unreachable!() };
        let hold = Some(HoldTerms { identity: "web/front-0".into(), seconds: 60 });
        let slot = Some(Slot { name: "team".into(), number: 7 });
        let fixed =
            Assignment { kind: Kind::Fixed, hold, slot, gateway: None, why: Some(Why::Annotation), ..plain.clone() };
        let odd = PodName { namespace: "a/b".into(), name: "c/d".into(), uid: None, cluster: None };
        let mut other = Party { pod: Some(odd), ..claim.party() };
        other.attachment = Attachment { interface: "net1".into(), ..attachment("c2") };
        claim.former.insert(fixed.address, other.clone());
        let away = Assignment { address: "fd00::7".parse().unwrap(), prefix_length: 64, ..fixed.clone() };
        claim.addresses.push(fixed);
        claim.ceded.push(Ceded { assignment: away, to: other });
        claim.policy.as_mut().unwrap().instead_of = Some("by@team.wasm".into());
        claim
    }

    #[test]
    fn the_table_is_what_people_read() {
        let claim = claim();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let pod = r#""n":"node-1","m":"c92bb9553bece64b","p":"web/front-0","u":"eb1167b3-67a9-c378-7c65-c1e582e2e662","k":"cd613e30-d8f1-6adf-91b7-584a2265b1f5","b":"range-fixed@51e5dce94086","t":"2026-11-30T06:29:37.096217Z""#;
        assert_eq!(text(encode(&claim)), format!(r#"{{"h":[{{"a":"10.0.0.2/16","g":"10.0.0.1"}}],{pod}}}"#));
        let held = claim.allocations().next().unwrap();
        assert_eq!(text(encode(&held)), format!(r#"{{"a":"10.0.0.2","c":"c1","w":"blue",{pod}}}"#));
    }

    #[test]
    fn what_is_written_is_read_and_written_again_to_the_byte() {
        for claim in [claim(), full()] {
            let read = read_claim(&claim.attachment, &encode(&claim)).unwrap();
            assert_eq!((&read, encode(&read)), (&claim, encode(&claim)));
            for held in claim.allocations() {
                let read = read_allocation(&encode(&held)).unwrap();
                assert_eq!((&read, encode(&read)), (&held, encode(&held)));
            }
        }
    }

    #[test]
    fn why_it_is_this_address_is_one_letter_that_nobody_has_to_know() {
        let mut claim = claim();
        let without = encode(&claim).len();
        for (why, letter) in WHY {
            claim.addresses[0].why = Some(why);
            let held = claim.allocations().next().unwrap();
            assert_eq!(encode(&claim).len(), without + r#","y":"a""#.len());
            assert_eq!(read_allocation(&encode(&held)).unwrap().why, Some(why), "{letter}");
        }
        let later = String::from_utf8(encode(&claim)).unwrap().replace(r#""y":"h""#, r#""y":"moon""#);
        assert_eq!(read_claim(&claim.attachment, later.as_bytes()).unwrap().addresses[0].why, None);
    }

    #[test]
    fn a_digest_is_cut_as_it_is_written() {
        let mut claim = claim();
        let written = encode(&claim);
        claim.policy.as_mut().unwrap().sha256 =
            "51e5dce940865beca66ea84a3ee4fb49f82587551a7bbf32d562175567cfbe97".into();
        assert_eq!(encode(&claim), written);
    }

    #[test]
    fn what_is_missing_is_named() {
        let why = |value: &str| read_allocation(value.as_bytes()).unwrap_err();
        let rest = r#""n":"node-1","t":"2026-11-30T06:29:37Z""#;
        assert_eq!(why(&format!("{{{rest}}}")), "field a is missing");
        assert_eq!(why(&format!(r#"{{"a":"10.0.0.2","w":"blue",{rest}}}"#)), "field c is missing");
        assert_eq!(
            why(&format!(r#"{{"a":"10.0.0.2","c":"c1","w":"blue","p":"web",{rest}}}"#)),
            "field p is not a namespace and a name"
        );
        let claim = read_claim(&attachment("c1"), format!(r#"{{"h":[{{"a":"10.0.0.2"}}],{rest}}}"#).as_bytes());
        assert_eq!(claim.unwrap_err(), "an address in field h is not one with a prefix length");
    }
}
