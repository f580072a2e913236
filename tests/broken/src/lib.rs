//! A policy with every mistake an author can make; setting `fault` picks one. Without it, it is a good policy.

use std::net::IpAddr;

use kube_ipam_policy::address::number;
use kube_ipam_policy::annotations::IP;
use kube_ipam_policy::{
    AddressRange, Assignment, Description, Draw, Policy, Pool, Proposal, ProposalCount, Refusal, Request, Span,
    Strategy, Wish, propose,
};
use serde::Deserialize;

/// See [`Settings`].
pub struct Broken;

/// Which mistake to make.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    fault: Option<Fault>,
    /// A number in a text, which nobody looks at before an address is wanted.
    count: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    ProposesHeld,
    ProposesExcluded,
    ServesOneFamily,
    PanicsAtAnnotations,
    PanicsAtItsOwnAnnotation,
    EchoesAnnotations,
    RefusesSilently,
    LeavesOutTheLast,
    FullAtNineTenths,
    TakenWhenFull,
    IgnoresPrevious,
    InsistsWhenLost,
    BringsOneProposal,
    WalksTheRange,
    PassesOverAnnotations,
    AnnotationsAreDenied,
}

impl Policy for Broken {
    type Settings = Settings;

    fn describe() -> Description {
        Description { name: "broken", version: "0.0.0", summary: "Makes one mistake", settings_schema: "" }
    }

    fn allocate(request: &Request, settings: &Settings, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
        if let Some(count) = &settings.count {
            count.parse::<u32>().expect("a number");
        }
        let Some(fault) = settings.fault else { return good(request, pool) };
        before(fault, request, pool)?;
        let answer = match fault {
            Fault::PassesOverAnnotations => lenient(request, pool),
            Fault::IgnoresPrevious => good(&Request { previous: Vec::new(), ..request.clone() }, pool),
            Fault::BringsOneProposal => good(&Request { attempt: 0, ..request.clone() }, pool),
            Fault::LeavesOutTheLast => good(&without_the_last(request), pool),
            _ => good(request, pool),
        };
        after(fault, answer, request)
    }
}

fn good(request: &Request, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
    let wish = Wish::read(request)?;
    let draws = Draw::of_wish(&wish, Strategy::Lowest)?;
    propose(&wish, &draws, ProposalCount::default(), pool)
}

/// An annotation that cannot be read is none.
fn lenient(request: &Request, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
    good(request, pool).or_else(|refusal| match refusal {
        Refusal::Invalid(_) => good(&Request { pod: None, requested: Vec::new(), ..request.clone() }, pool),
        other => Err(other),
    })
}

fn without_the_last(request: &Request) -> Request {
    let mut request = request.clone();
    for range in request.range_sets.0.iter_mut().flat_map(|set| &mut set.0) {
        let shorter = range.span.below(range.span.last());
        range.span = shorter.unwrap_or(range.span);
    }
    request
}

/// Mistakes that are made before there is an answer.
fn before(fault: Fault, request: &Request, pool: &dyn Pool) -> Result<(), Refusal> {
    let range = &request.range_sets.0[0].0[0];
    match fault {
        Fault::PanicsAtAnnotations => {
            if let Some(named) = request.annotation(IP) {
                named.parse::<IpAddr>().expect("an address");
            }
            Ok(())
        }
        Fault::PanicsAtItsOwnAnnotation => {
            if let Some(tier) = request.annotation("broken.example/tier") {
                tier.parse::<u8>().expect("a number");
            }
            Ok(())
        }
        Fault::EchoesAnnotations => match request.annotation(IP) {
            Some(named) if named.parse::<IpAddr>().is_err() => Err(Refusal::Invalid(format!("{IP}: {named}"))),
            _ => Ok(()),
        },
        Fault::AnnotationsAreDenied => match request.annotation(IP) {
            Some(named) if named.parse::<IpAddr>().is_err() => Err(Refusal::Denied(format!("{IP} is wrong"))),
            _ => Ok(()),
        },
        Fault::FullAtNineTenths => {
            let usage = pool.usage(0);
            let is_full = usage.size >= 10 && usage.held >= usage.size / 10 * 9;
            if is_full { Err(Refusal::Exhausted("no address is free".to_owned())) } else { Ok(()) }
        }
        Fault::WalksTheRange => {
            let sum = addresses(range.span).fold(0, |sum: u128, address| sum.wrapping_mul(31) ^ number(address));
            if sum == 1 { Err(Refusal::Exhausted("it cannot be".to_owned())) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

/// Mistakes that are made of a good answer.
fn after(fault: Fault, answer: Result<Vec<Proposal>, Refusal>, request: &Request) -> Result<Vec<Proposal>, Refusal> {
    let range = &request.range_sets.0[0].0[0];
    let everybodys = |proposals: Vec<Proposal>, address: IpAddr| -> Vec<Proposal> {
        proposals.into_iter().map(|proposal| with(proposal, address, range)).collect()
    };
    match (fault, answer) {
        (Fault::ProposesHeld, Ok(proposals)) => Ok(everybodys(proposals, range.span.last())),
        (Fault::ProposesExcluded, Ok(proposals)) => match range.excluded.first() {
            Some(excluded) => Ok(everybodys(proposals, excluded.address())),
            None => Ok(proposals),
        },
        (Fault::InsistsWhenLost, Ok(proposals)) if request.attempt > 0 => {
            Ok(everybodys(proposals, request.range_sets.dynamic(0)[0].first()))
        }
        (Fault::BringsOneProposal, Ok(mut proposals)) => {
            proposals.truncate(1);
            Ok(proposals)
        }
        (Fault::ServesOneFamily, Ok(proposals)) => Ok(proposals.into_iter().map(|one| one[..1].to_vec()).collect()),
        (Fault::RefusesSilently, Err(_)) => Err(Refusal::Exhausted(String::new())),
        (Fault::TakenWhenFull, Err(Refusal::Exhausted(why))) => Err(Refusal::Taken(why)),
        (_, answer) => answer,
    }
}

fn with(mut proposal: Proposal, address: IpAddr, range: &AddressRange) -> Proposal {
    proposal.retain(|one| one.address != address && !range.subnet.contains(one.address));
    proposal.insert(0, Assignment::dynamic(address, range));
    proposal
}

fn addresses(span: Span) -> impl Iterator<Item = IpAddr> {
    std::iter::successors(Some(span.first()), move |one| span.above(*one).map(|rest| rest.first()))
}

kube_ipam_policy::export!(Broken);
