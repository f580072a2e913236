//! Who had an address from when until when, as far as events and today's records tell.
//!
//! ```text
//!   claimed ─────────────────────► released           both ends are known
//!   claimed ──────────── ┈┈┈┈┈┈┈┈► claimed by another   the release was lost, or is in another node's journal: not later than that
//!   (lost) ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈► released            the line of a release has the whole claim, with the time it began
//!   claimed ─────────────────────► today                the store says that it is held
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use super::{Event, What};
use ipam::{Allocation, Attachment, Claim, Kind, Party, PodName, PolicyName, Reservation, Span};

/// One time for which an address was somebody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenure {
    pub address: IpAddr,
    pub domain: String,
    /// Who had it; nobody where it was reserved, or an operator did something to a hold.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attachment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    /// When it began; `None` where nothing that is known says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<Cause>,
    #[serde(flatten)]
    pub until: Until,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Cause>,
}

/// How a tenure began or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    pub what: What,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// When a tenure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "end", content = "until")]
pub enum Until {
    /// It did not: the store has it.
    Held,
    /// Then.
    At(Timestamp),
    /// At some time before this, for somebody else had it then, or nobody.
    NotAfter(Timestamp),
    /// It may last: the store was not asked.
    Unknown,
}

/// What the store says of an address today.
#[derive(Clone, Debug)]
pub enum Present {
    Held(Box<Allocation>),
    Reserved(IpAddr, Box<Reservation>),
}

impl Tenure {
    /// Whether it may have been at this moment.
    pub fn covers(&self, at: Timestamp) -> bool {
        let has_begun = self.from.is_none_or(|from| from <= at);
        has_begun
            && match self.until {
                Until::Held | Until::Unknown => true,
                Until::At(until) | Until::NotAfter(until) => at < until,
            }
    }

    fn is_of(&self, attachment: Option<&Attachment>, since: Timestamp) -> bool {
        self.attachment.as_ref() == attachment && self.from == Some(since)
    }

    fn is_open(&self) -> bool {
        self.until == Until::Unknown
    }
}

impl Cause {
    fn of(event: &Event<'_>) -> Self {
        let [by, reason] = [&event.by, &event.reason].map(|text| text.as_deref().map(str::to_owned));
        Self { what: event.what, by, reason }
    }

    fn plain(what: What) -> Self {
        Self { what, by: None, reason: None }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)?;
        self.by.iter().try_for_each(|by| write!(f, " by {by}"))?;
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}

/// Who had these addresses, each with its domain. `present` is what the stores say; `None` where not all of them answered.
pub fn tenures(
    addresses: &BTreeSet<(String, IpAddr)>,
    mut events: Vec<Event<'_>>,
    present: Option<&[(String, Present)]>,
    now: Timestamp,
) -> Vec<Tenure> {
    // Nodes' journals come one after the other, and one may come twice.
    events.sort_by_key(|event| event.at);
    events.dedup();
    let mut ledger = Ledger::default();
    for (domain, address) in addresses {
        ledger.0.insert((domain.clone(), *address), Vec::new());
    }
    for event in &events {
        ledger.learn(event);
    }
    for (domain, present) in present.unwrap_or_default() {
        ledger.learn_present(domain, present);
    }
    ledger.close(if present.is_some() { Some(now) } else { None })
}

/// The tenures of each address, in the order in which they became known.
#[derive(Default)]
struct Ledger(BTreeMap<(String, IpAddr), Vec<Tenure>>);

impl Ledger {
    fn of(&mut self, domain: &str, address: IpAddr) -> Option<&mut Vec<Tenure>> {
        self.0.get_mut(&(domain.to_owned(), address))
    }

    fn learn(&mut self, event: &Event<'_>) {
        match event.what {
            What::Claimed | What::Imported if event.claim.is_some() => self.learn_beginning(event),
            What::Reserved | What::Unreserved | What::HoldEnded | What::Imported | What::Repaired => {
                self.learn_act(event);
            }
            _ => self.learn_end(event),
        }
    }

    fn learn_beginning(&mut self, event: &Event<'_>) {
        let Some(claim) = event.claim.as_deref() else { return };
        for assignment in &claim.addresses {
            if let Some(former) = claim.former.get(&assignment.address) {
                let whose = Tenure::of_party(&event.domain, assignment.address, former);
                self.end(whose, claim.since, Cause::plain(What::Ceded));
            }
            let Some(known) = self.of(&event.domain, assignment.address) else { continue };
            if !known.iter().any(|tenure| tenure.is_of(Some(&claim.attachment), claim.since)) {
                let began = Some(Cause::of(event));
                known.push(Tenure { began, ..Tenure::of_claim(&event.domain, assignment.address, claim) });
            }
        }
    }

    fn learn_end(&mut self, event: &Event<'_>) {
        let Some(claim) = event.claim.as_deref() else { return };
        for address in claim.addresses() {
            self.end(Tenure::of_claim(&event.domain, address, claim), event.at, Cause::of(event));
            let Some(former) = claim.former.get(&address) else { continue };
            if let Some(known) = self.of(&event.domain, address) {
                let began = Some(Cause::plain(What::GivenBack));
                let again = Tenure::of_party(&event.domain, address, former);
                known.push(Tenure { from: Some(event.at), began, ..again });
            }
        }
    }

    /// An operator's act on addresses that nobody holds: a reservation lasts, any other is a moment.
    fn learn_act(&mut self, event: &Event<'_>) {
        let spans: Vec<Span> = event.addresses.iter().filter_map(|text| text.parse().ok()).collect();
        for ((domain, address), known) in &mut self.0 {
            if *domain != event.domain || !spans.iter().any(|span| span.contains(*address)) {
                continue;
            }
            let cause = Cause::of(event);
            let standing = known.iter_mut().rfind(|tenure| tenure.attachment.is_none() && tenure.is_open());
            if let (What::Unreserved, Some(standing)) = (event.what, standing) {
                (standing.until, standing.ended) = (Until::At(event.at), Some(cause));
                continue;
            }
            let mut act = Tenure { from: Some(event.at), began: Some(cause), ..Tenure::of_nobody(domain, *address) };
            if event.what != What::Reserved {
                act.until = Until::At(event.at);
            }
            known.push(act);
        }
    }

    /// Ends what is known to have begun; what is not became known by its end.
    fn end(&mut self, whose: Tenure, at: Timestamp, cause: Cause) {
        let Some(known) = self.of(&whose.domain, whose.address) else { return };
        let same = |tenure: &&mut Tenure| tenure.attachment == whose.attachment && tenure.pod == whose.pod;
        if let Some(open) = known.iter_mut().filter(same).rfind(|tenure| tenure.is_open()) {
            (open.until, open.ended) = (Until::At(at), Some(cause));
        } else if !known.iter().any(|tenure| tenure.attachment == whose.attachment && tenure.from == whose.from) {
            known.push(Tenure { until: Until::At(at), ended: Some(cause), ..whose });
        }
    }

    fn learn_present(&mut self, domain: &str, present: &Present) {
        let today = match present {
            Present::Held(held) => Tenure::of_allocation(domain, held),
            Present::Reserved(address, reservation) => Tenure::of_reservation(domain, *address, reservation),
        };
        let Some(known) = self.of(domain, today.address) else { return };
        let open = known.iter_mut().rfind(|tenure| tenure.attachment == today.attachment && tenure.is_open());
        match open {
            Some(open) => open.until = Until::Held,
            None => known.push(Tenure { until: Until::Held, ..today }),
        }
    }

    /// What did not end by an event ended before the next one had the address, or else before now.
    fn close(self, now: Option<Timestamp>) -> Vec<Tenure> {
        let mut all = Vec::new();
        for mut tenures in self.0.into_values() {
            tenures.sort_by_key(|tenure| (tenure.from, matches!(tenure.until, Until::Held)));
            for nth in 0..tenures.len() {
                let next = tenures[nth + 1..].iter().find_map(|next| next.from);
                if tenures[nth].is_open()
                    && let Some(latest) = next.or(now)
                {
                    tenures[nth].until = Until::NotAfter(latest);
                }
            }
            all.extend(tenures);
        }
        all
    }
}

impl Tenure {
    fn of_nobody(domain: &str, address: IpAddr) -> Self {
        Self {
            address,
            domain: domain.to_owned(),
            attachment: None,
            pod: None,
            node: None,
            kind: None,
            policy: None,
            from: None,
            began: None,
            until: Until::Unknown,
            ended: None,
        }
    }

    fn of_party(domain: &str, address: IpAddr, party: &Party) -> Self {
        let Party { attachment, node, pod, since } = party.clone();
        let nobody = Self::of_nobody(domain, address);
        Self { attachment: Some(attachment), pod, node: Some(node), from: Some(since), ..nobody }
    }

    fn of_claim(domain: &str, address: IpAddr, claim: &Claim) -> Self {
        let kind = claim.assignments().find(|one| one.address == address).map(|one| one.kind);
        let party = Self::of_party(domain, address, &claim.party());
        Self { kind, policy: claim.policy.clone(), ..party }
    }

    fn of_allocation(domain: &str, held: &Allocation) -> Self {
        let party = Self::of_party(domain, held.address, &held.party());
        Self { kind: Some(held.kind), policy: held.policy.clone(), ..party }
    }

    fn of_reservation(domain: &str, address: IpAddr, reservation: &Reservation) -> Self {
        let Reservation { reason, by, since, .. } = reservation;
        let began = Cause { what: What::Reserved, by: Some(by.clone()), reason: Some(reason.clone()) };
        Self { from: Some(*since), began: Some(began), ..Self::of_nobody(domain, address) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipam::Assignment;

    const ADDRESS: &str = "10.0.0.2";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn claim(container: &str, since: i64) -> Claim {
        let attachment = Attachment { network: "blue".into(), container: container.into(), interface: "eth0".into() };
        let mut claim = Claim::empty(attachment, "node-1", "", None, at(since));
        let address = ADDRESS.parse().unwrap();
        claim.addresses.push(Assignment::in_range_of(&ipam::RangeSets::default(), address));
        claim
    }

    /// Each tenure as `container from-until`, in the notation of the drawing above.
    fn told(events: Vec<Event<'_>>, present: Option<&[(String, Present)]>) -> Vec<String> {
        let addresses = BTreeSet::from([("blue".to_owned(), ADDRESS.parse().unwrap())]);
        let text = |tenure: &Tenure| {
            let who = tenure.attachment.as_ref().map_or("nobody", |attachment| attachment.container.as_str());
            let from = tenure.from.map_or_else(|| "?".to_owned(), |from| from.as_second().to_string());
            let until = match tenure.until {
                Until::Held => "now".to_owned(),
                Until::At(until) => until.as_second().to_string(),
                Until::NotAfter(latest) => format!("<{}", latest.as_second()),
                Until::Unknown => "?".to_owned(),
            };
            format!("{who} {from}-{until}")
        };
        tenures(&addresses, events, present, at(100)).iter().map(text).collect()
    }

    #[test]
    fn ends_that_are_missing_follow_from_what_is_known() {
        let [one, two, three] = [claim("c1", 10), claim("c2", 20), claim("c3", 30)];
        let event = |what, claim, second| Event::of_claim(what, "blue", claim, at(second));
        let all = vec![
            event(What::Claimed, &three, 30),
            event(What::Claimed, &one, 10),
            event(What::Released, &one, 15),
            event(What::Claimed, &two, 20),
            event(What::Claimed, &two, 20),
        ];
        assert_eq!(told(all.clone(), Some(&[])), ["c1 10-15", "c2 20-<30", "c3 30-<100"]);
        let held = three.allocations().next().unwrap();
        let present = [("blue".to_owned(), Present::Held(Box::new(held)))];
        assert_eq!(told(all.clone(), Some(&present)), ["c1 10-15", "c2 20-<30", "c3 30-now"]);
        assert_eq!(told(all, None), ["c1 10-15", "c2 20-<30", "c3 30-?"]);
        assert_eq!(told(Vec::new(), Some(&present)), ["c3 30-now"], "the store knows since when");
        assert_eq!(told(vec![event(What::Collected, &one, 18)], Some(&[])), ["c1 10-18"], "and so does a release");
    }

    #[test]
    fn an_address_that_was_ceded_comes_back() {
        let lender = claim("c1", 10);
        let mut borrower = claim("c2", 20);
        borrower.former.insert(ADDRESS.parse().unwrap(), lender.party());
        let events = vec![
            Event::of_claim(What::Claimed, "blue", &lender, at(10)),
            Event::of_claim(What::Claimed, "blue", &borrower, at(20)),
            Event::of_claim(What::Released, "blue", &borrower, at(30)),
            Event::of_claim(What::Released, "blue", &lender, at(40)),
        ];
        assert_eq!(told(events, Some(&[])), ["c1 10-20", "c2 20-30", "c1 30-40"]);
    }

    #[test]
    fn reservations_last_and_other_acts_are_moments() {
        let act = |what, what_for: &str, second| {
            Event::of_addresses(what, "blue", vec![what_for.to_owned()], at(second)).by("ann", None)
        };
        let events = vec![
            act(What::Reserved, "10.0.0.0/24", 10),
            act(What::Unreserved, "10.0.0.2-10.0.0.3", 20),
            act(What::HoldEnded, ADDRESS, 30),
            act(What::Reserved, "10.0.0.3", 40),
        ];
        assert_eq!(told(events, Some(&[])), ["nobody 10-20", "nobody 30-30"]);
    }
}
