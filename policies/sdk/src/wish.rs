//! What the pod, or the runtime for it, asks for by name, checked against the ranges.
//!
//! An annotation that cannot be followed is refused, never passed over: a pod that names an address and gets
//! another one is worse off than a pod that waits.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::address::{Family, Span};
use crate::annotations::{Annotation, FAMILIES, Form, GATEWAY, IP, IP_POOL, NETMASK};
use crate::appearance::{Appearance, explain};
use crate::draw::Draw;
use crate::proposal::{Assignment, Refusal};
use crate::range::{Unusable, list};
use crate::request::Request;
use crate::ring::Ring;

/// Where a runtime says which addresses it wants.
const RUNTIME: &str = "CNI_ARGS IP, args.cni.ips or runtimeConfig.ips";

/// The addresses a pod names, or the pool it names. A family of which it names none is served dynamically.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    request: &'a Request,
    origin: Origin<'a>,
    fixed: Vec<Assignment>,
    choice: Vec<Span>,
    appearance: Appearance<'a>,
}

/// Where addresses were named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// Neither by the pod nor by the runtime: every address is dynamic.
    Nowhere,
    /// By an annotation of the pod.
    Annotation(Annotation<'a>),
    /// By `CNI_ARGS`, `args.cni.ips` or `runtimeConfig.ips`.
    Runtime,
    /// By a rule of the policy; the text is what a refusal names.
    Rule(String),
}

impl<'a> Wish<'a> {
    /// Annotation `kube-ipam.ip` or `kube-ipam.ip-pool`; without both, the addresses the runtime asked for. With them
    /// `kube-ipam.netmask` and `kube-ipam.gateway`.
    pub fn read(request: &'a Request) -> Result<Self, Refusal> {
        let origin = origin(request)?;
        let (addresses, choice) = match &origin {
            Origin::Annotation(annotation) if annotation.is(IP_POOL) => (Vec::new(), annotation.spans()?),
            Origin::Annotation(annotation) => (annotation.addresses()?, Vec::new()),
            Origin::Runtime => (request.requested.iter().map(|&address| (address, None)).collect(), Vec::new()),
            Origin::Nowhere | Origin::Rule(_) => (Vec::new(), Vec::new()),
        };
        refuse_contradiction(request, &origin, &addresses)?;
        Self::check(request, origin, addresses, choice)
    }

    /// Addresses that a rule of the policy names for the pod, each with the length it shall be seen with, if that is
    /// not the subnet's; `rule` is what a refusal names. `kube-ipam.netmask` and `kube-ipam.gateway` hold for them, too.
    pub fn by_rule(
        request: &'a Request,
        rule: impl Into<String>,
        addresses: impl IntoIterator<Item = (IpAddr, Option<u8>)>,
    ) -> Result<Self, Refusal> {
        Self::check(request, Origin::Rule(rule.into()), addresses.into_iter().collect(), Vec::new())
    }

    fn check(
        request: &'a Request,
        origin: Origin<'a>,
        addresses: Vec<(IpAddr, Option<u8>)>,
        choice: Vec<Span>,
    ) -> Result<Self, Refusal> {
        for (address, _) in &addresses {
            refuse_unusable(request, &origin, *address)?;
        }
        for span in &choice {
            refuse_outside(request, &origin, span)?;
        }
        refuse_unusable_choice(request, &origin, &choice)?;
        let appearance = Appearance::read(request, &addresses, &choice)?;
        let mut fixed = Vec::with_capacity(addresses.len());
        for (address, length) in addresses {
            // None is missing here: an address outside every subnet has been refused above.
            let Some(range) = request.range_sets.containing(address) else { continue };
            let mut assignment = appearance.dress(Assignment::fixed(address, range), range);
            // The length written with the address itself counts before that of the netmask annotation.
            assignment.prefix_length = length.unwrap_or(assignment.prefix_length);
            // What is wrong with the range's own length is for the operator to see, and no reason to refuse a pod.
            if assignment.prefix_length != range.subnet.length()
                && let Some(misfit) = range.misfit(&assignment)
            {
                let why = explain(misfit);
                return Err(match appearance.netmask() {
                    Some(netmask) if length.is_none() => netmask.invalid(why),
                    _ => origin.invalid(why),
                });
            }
            fixed.push(assignment);
        }
        Ok(Self { request, origin, fixed, choice, appearance })
    }

    /// The request it was read from.
    pub fn request(&self) -> &'a Request {
        self.request
    }

    /// Where the addresses were named, for a refusal.
    pub fn origin(&self) -> &Origin<'a> {
        &self.origin
    }

    /// The addresses the pod shall have, all of them, in the order they were named.
    pub fn fixed(&self) -> &[Assignment] {
        &self.fixed
    }

    /// The addresses of which the pod shall have one for each family, best first.
    pub fn choice(&self) -> &[Span] {
        &self.choice
    }

    /// The range sets of the families of which nothing was named.
    pub fn unnamed(&self) -> impl Iterator<Item = usize> {
        let sets = self.request.range_sets.iter().enumerate();
        sets.filter(|(_, set)| set.family().is_some_and(|family| !self.names(family))).map(|(index, _)| index)
    }

    /// A dynamic assignment of the address, as the pod asked to see it.
    pub fn dynamic(&self, address: IpAddr) -> Option<Assignment> {
        let range = self.request.range_sets.containing(address)?;
        Some(self.appearance.dress(Assignment::dynamic(address, range), range))
    }

    /// The draw without what could not be seen as the pod asked to see it.
    pub(crate) fn fitted<'d>(&self, draw: &'d Draw) -> Result<Cow<'d, Draw>, Refusal> {
        // Nearly always. A ring may have a thousand spans, and to copy them costs fuel.
        if self.appearance == Appearance::default() {
            return Ok(Cow::Borrowed(draw));
        }
        let fitting = self.appearance.fitting(self.request, draw.ring.spans(), draw.range_set.is_some());
        let ring = Ring::new(fitting);
        if ring.is_empty()
            && let Some(annotation) = self.annotations_of_appearance().next()
        {
            let all = list(draw.ring.spans());
            return Err(
                annotation.invalid(format_args!("with it no address of {all} is left that reaches its gateway"))
            );
        }
        // An address that was kept is given up where the pod could not use it as it asks to see it.
        let kept = draw.kept.filter(|kept| ring.contains(*kept));
        Ok(Cow::Owned(Draw { ring, kept, ..draw.clone() }))
    }

    /// Where none of the fitting addresses is free: an annotation that left out others is named, too.
    pub(crate) fn blame(&self, refusal: Refusal, whole: &Draw, fitted: &Draw) -> Refusal {
        match refusal {
            Refusal::Exhausted(text) if fitted.ring.size() < whole.ring.size() => {
                let annotations = list(self.annotations_of_appearance());
                Refusal::Exhausted(format!("{text}; there are no others with {annotations}"))
            }
            other => other,
        }
    }

    fn annotations_of_appearance(&self) -> impl Iterator<Item = Annotation<'a>> {
        [NETMASK, GATEWAY].into_iter().filter_map(|base| Annotation::find(self.request, base))
    }

    fn names(&self, family: Family) -> bool {
        self.fixed.iter().any(|assignment| Family::of(assignment.address) == family)
            || self.choice.iter().any(|span| span.family() == family)
    }
}

impl Origin<'_> {
    /// The refusal of what was named there.
    pub fn invalid(&self, why: impl fmt::Display) -> Refusal {
        Refusal::Invalid(format!("{self}: {why}"))
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("nowhere"),
            Self::Annotation(annotation) => annotation.fmt(f),
            Self::Runtime => write!(f, "the runtime's request ({RUNTIME})"),
            Self::Rule(rule) => f.write_str(rule),
        }
    }
}

/// The most particular form comes first. Addresses and a pool in the same form contradict.
fn origin(request: &Request) -> Result<Origin<'_>, Refusal> {
    for form in Form::ALL {
        match (Annotation::in_form(request, IP, form), Annotation::in_form(request, IP_POOL, form)) {
            (Some(ip), Some(pool)) => {
                return Err(pool.invalid(format_args!("it contradicts {ip}; keep one of the two")));
            }
            (Some(only), None) | (None, Some(only)) => return Ok(Origin::Annotation(only)),
            (None, None) => {}
        }
    }
    Ok(if request.requested.is_empty() { Origin::Nowhere } else { Origin::Runtime })
}

/// Whoever follows one of the two passes over the other, and neither the pod nor the runtime would learn of it.
fn refuse_contradiction(request: &Request, origin: &Origin<'_>, named: &[(IpAddr, Option<u8>)]) -> Result<(), Refusal> {
    if !matches!(origin, Origin::Annotation(_)) {
        return Ok(());
    }
    for asked in &request.requested {
        if !named.iter().any(|(address, _)| address == asked) {
            return Err(origin.invalid(format_args!(
                "it contradicts the runtime, which asks for {asked} ({RUNTIME}); keep one of the two"
            )));
        }
    }
    Ok(())
}

fn refuse_unusable(request: &Request, origin: &Origin<'_>, address: IpAddr) -> Result<(), Refusal> {
    match request.range_sets.unusable(address) {
        None => Ok(()),
        Some(Unusable::Outside) => Err(outside(request, origin, Family::of(address), address)),
        Some(why) => Err(origin.invalid(format_args!("{address} {why}"))),
    }
}

/// A span may contain unusable addresses, the pool skips them; but not leave the subnets nor be nothing else.
fn refuse_outside(request: &Request, origin: &Origin<'_>, span: &Span) -> Result<(), Refusal> {
    let mut subnets = request.range_sets.ranges().map(|range| range.subnet);
    if !subnets.any(|subnet| subnet.contains(span.first()) && subnet.contains(span.last())) {
        return Err(outside(request, origin, span.family(), span));
    }
    // A single address is one that the pod names, and is told what is wrong with it.
    if span.size() == 1 { refuse_unusable(request, origin, span.first()) } else { Ok(()) }
}

/// Of a family that a pool names, some address has to be one that pods can have: otherwise the pod would wait until somebody
/// releases what nobody holds.
fn refuse_unusable_choice(request: &Request, origin: &Origin<'_>, choice: &[Span]) -> Result<(), Refusal> {
    for family in Family::BOTH {
        let spans: Vec<&Span> = choice.iter().filter(|span| span.family() == family).collect();
        if !spans.is_empty() && !spans.iter().any(|span| request.range_sets.has_usable(**span)) {
            return Err(origin.invalid(format_args!(
                "no pod can have any of its {family} addresses: each is a gateway, a network or broadcast address, or \
                 excluded"
            )));
        }
    }
    Ok(())
}

fn outside(request: &Request, origin: &Origin<'_>, family: Family, what: impl fmt::Display) -> Refusal {
    let Request { network, range_sets, .. } = request;
    // The host left out the ranges of the other family: the pod contradicts itself, whatever the network has.
    if let Some(families) = Annotation::find(request, FAMILIES).filter(|_| !range_sets.has(family)) {
        return origin.invalid(format_args!("{what} is an {family} address, and {families} leaves {family} out"));
    }
    let why = format!("{what} is outside every subnet of network {network:?} ({range_sets})");
    match origin {
        Origin::Annotation(annotation) if !annotation.is_for_network() => origin
            .invalid(format_args!("{why}; if it is for another network, name that: {}.NETWORK", annotation.name())),
        _ => origin.invalid(why),
    }
}
