//! What contradicts itself in a case is refused before anything runs, by its place. A requester without a container's
//! name is given one.

use super::format::{Case, CaseRequester, Expectation, Expected, Step};
use super::layout::Part;
use cni::{NAME, is_name};
use kube_ipam::cli::output::counted;
use spelling::alike;

/// Why a case contradicts itself, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The way to the value, from the root of the file.
    pub(super) way: Vec<Part<'static>>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Case {
    pub(super) fn settle(&mut self) -> Result<(), Wrong> {
        if self.settings.is_some() && self.network.get("policy").is_some_and(|policy| policy.get("settings").is_some())
        {
            let message = "settings are given twice: remove them here or in the network's policy";
            return Err(wrong(&[Part::Key("settings")], message));
        }
        if let Some(name) = self.name.as_ref().filter(|name| !is_name(name)) {
            return Err(wrong(&[Part::Key("name")], format!("network {name:?}: expected {NAME}")));
        }
        let mut containers = Vec::new();
        for (nth, step) in self.steps.iter_mut().enumerate() {
            if let Err(mut wrong) = step.settle(&mut containers) {
                wrong.way.splice(0..0, [Part::Key("steps"), Part::Nth(nth)]);
                return Err(wrong);
            }
        }
        Ok(())
    }
}

impl Step {
    /// The requesters of this step: one of `allocate`, several of `contend`.
    pub(super) fn requesters(&self) -> impl Iterator<Item = &CaseRequester> {
        self.allocate.iter().chain(self.contend.iter().flatten())
    }

    /// What is expected for the nth requester.
    pub(super) fn expectation(&self, nth: usize) -> Option<&Expectation> {
        match self.expect.as_ref()? {
            Expected::Each(list) => list.get(nth),
            Expected::One(one) => Some(one.all.as_deref().unwrap_or(one)),
        }
    }

    fn settle(&mut self, containers: &mut Vec<String>) -> Result<(), Wrong> {
        let things = [self.allocate.is_some(), self.contend.is_some(), self.release.is_some(), self.advance.is_some()];
        if things.into_iter().filter(|&is_there| is_there).count() != 1 {
            return Err(wrong(&[], "a step does one thing: allocate, contend, release or advance"));
        }
        if let Some(released) = &self.release {
            known(released, containers, &[Part::Key("release")])?;
        }
        let earlier = containers.clone();
        for (nth, requester) in self.allocate.iter_mut().chain(self.contend.iter_mut().flatten()).enumerate() {
            let way = [Part::Key("contend"), Part::Nth(nth)];
            requester.settle(containers.len() + 1, if things[0] { &[Part::Key("allocate")] } else { &way })?;
            containers.extend(requester.container.clone());
        }
        self.settle_expectations(&earlier)
    }

    fn settle_expectations(&self, containers: &[String]) -> Result<(), Wrong> {
        let way = [Part::Key("expect")];
        match (&self.expect, &self.contend) {
            (None, _) => Ok(()),
            (Some(_), None) if self.allocate.is_none() => {
                Err(wrong(&way, "expect goes with allocate or contend, which have an outcome"))
            }
            (Some(Expected::One(one)), None) => one.settle(containers, &way),
            (Some(Expected::Each(_)), None) => {
                Err(wrong(&way, "a list is for contend; allocate takes one expectation"))
            }
            (Some(Expected::One(one)), Some(_)) => match &one.all {
                Some(all) => all.settle(containers, &[way[0], Part::Key("all")]),
                None => Err(wrong(&way, "contend takes a list of expectations, or all: { … }")),
            },
            (Some(Expected::Each(list)), Some(requesters)) if list.len() != requesters.len() => {
                let (requests, expectations) =
                    (counted(requesters.len(), "requester"), counted(list.len(), "expectation"));
                Err(wrong(&way, format!("contend has {requests}, but there is a list of {expectations}")))
            }
            (Some(Expected::Each(list)), Some(_)) => {
                for (nth, one) in list.iter().enumerate() {
                    one.settle(containers, &[way[0], Part::Nth(nth)])?;
                }
                Ok(())
            }
        }
    }
}

impl CaseRequester {
    fn settle(&mut self, nth: usize, way: &[Part<'static>]) -> Result<(), Wrong> {
        let about_a_pod =
            self.uid.is_some() || self.owner.is_some() || self.namespace.is_some() || !self.labels.is_empty();
        if self.pod.is_none() && about_a_pod {
            return Err(wrong(way, "uid, labels, owner and namespace belong to a pod: add pod: NAMESPACE/NAME"));
        }
        let container = self.container.get_or_insert_with(|| format!("c{nth}"));
        for name in [Some(&*container), self.interface.as_ref()].into_iter().flatten() {
            if !is_name(name) {
                return Err(wrong(way, format!("container or interface {name:?}: expected {NAME}")));
            }
        }
        Ok(())
    }
}

impl Expectation {
    /// Whether a refusal is expected, and no address.
    pub(super) fn wants_refusal(&self) -> bool {
        self.refused.is_some() || self.says.is_some()
    }

    fn settle(&self, containers: &[String], way: &[Part<'static>]) -> Result<(), Wrong> {
        if self.all.is_some() {
            return Err(wrong(way, "all: { … } is for contend, and stands alone there"));
        }
        let about_addresses = [
            ("addresses", self.addresses.is_some()),
            ("gateways", self.gateways.is_some()),
            ("inside", self.inside.is_some()),
            ("outside", self.outside.is_some()),
            ("kind", self.kind.is_some()),
            ("hold", self.hold.is_some()),
            ("same-as", self.same_as.is_some()),
        ];
        for (key, is_there) in about_addresses {
            if is_there && self.wants_refusal() {
                return Err(wrong(way, format!("a refusal gives no address: {key} contradicts refused and says")));
            }
        }
        let Some(container) = &self.same_as else { return Ok(()) };
        known(container, containers, &[way, &[Part::Key("same-as")][..]].concat())
    }
}

fn known(container: &str, containers: &[String], way: &[Part<'static>]) -> Result<(), Wrong> {
    if containers.iter().any(|known| known == container) {
        return Ok(());
    }
    let alike = alike(container, containers.iter().map(String::as_str));
    let mut wrong = wrong(way, format!("no container {container:?} asked before this step"));
    wrong.hint = alike.map(|known| format!("did you mean {known:?}?"));
    Err(wrong)
}

fn wrong(way: &[Part<'static>], message: impl Into<String>) -> Wrong {
    Wrong { way: way.to_vec(), message: message.into(), hint: None }
}
