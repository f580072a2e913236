//! From a plan's numbers to texts: requesters, their pods and annotations.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::annotations::{MALFORMED, OTHERS, for_network};
use super::generate::{PodPlan, Text, WhoPlan};
use super::scene::Site;
use crate::lab::TrialRequester;
use ipam::address::number;
use ipam::{Metadata, Owner, Pod, PodName};

/// Writes what a plan has numbers for: requesters, pods, annotations.
pub(super) struct Writer<'a> {
    pub(super) site: &'a Site,
    /// The addresses that a pod may name.
    pub(super) usable: Vec<IpAddr>,
}

impl Writer<'_> {
    pub(super) fn requester(&self, plan: &WhoPlan, container: &str) -> TrialRequester {
        let mut requester = TrialRequester::container(container);
        requester.node = format!("node-{}", plan.node % 3 + 1);
        requester.node_metadata = plan.zone.map(|word| self.labelled("topology.kubernetes.io/zone", word));
        requester.namespace = plan.namespace_label.map(|word| self.labelled("team", word));
        requester.requested = plan.requested.iter().filter_map(|text| self.text(text).parse().ok()).collect();
        requester.requested.sort();
        requester.requested.dedup();
        requester.pod = plan.pod.as_ref().map(|pod| self.pod(pod, container));
        requester
    }

    fn labelled(&self, name: &str, word: u8) -> Metadata {
        Metadata { labels: [(name.to_owned(), self.word(word))].into(), ..Metadata::default() }
    }

    fn pod(&self, plan: &PodPlan, container: &str) -> Pod {
        let stem = ["web", "db", container][usize::from(plan.name % 3)];
        let owner = match plan.owner {
            1 => Some(Owner { kind: "StatefulSet".to_owned(), name: stem.to_owned() }),
            2 => Some(Owner { kind: "ReplicaSet".to_owned(), name: "web-5d4f".to_owned() }),
            _ => None,
        };
        let mut annotations = BTreeMap::new();
        for (nth, text) in &plan.annotations {
            annotations.insert(self.annotation(*nth), self.text(text));
        }
        Pod {
            name: PodName {
                namespace: self.word(plan.namespace),
                name: format!("{stem}-{}", plan.name / 3),
                uid: plan.has_uid.then(|| format!("uid-{container}")),
                cluster: None,
            },
            annotations,
            labels: plan.label.map(|word| ("app".to_owned(), self.word(word))).into_iter().collect(),
            owner,
        }
    }

    /// One of two names that many sites use, or of those in the settings, for which the policy may have a rule.
    fn word(&self, nth: u8) -> String {
        const COMMON: [&str; 2] = ["default", "team-a"];
        let nth = usize::from(nth) % (COMMON.len() + self.site.words.len());
        if nth < COMMON.len() {
            return COMMON[nth].to_owned();
        }
        self.site.words[nth - COMMON.len()].clone()
    }

    fn annotation(&self, nth: u8) -> String {
        let (nth, Site { read, annotations: own, .. }) = (usize::from(nth), self.site);
        match nth % 3 {
            1 if !own.is_empty() => own[nth / 3 % own.len()].clone(),
            0 | 1 if !read.is_empty() => read[nth % read.len()].clone(),
            2 if nth.is_multiple_of(2) && !read.is_empty() => for_network(&read[nth % read.len()]),
            _ => OTHERS[nth % OTHERS.len()].to_owned(),
        }
    }

    fn text(&self, text: &Text) -> String {
        match text {
            Text::Usable(nth) => self.usable(*nth).to_string(),
            Text::Span(one, two) => {
                let (one, two) = (self.usable(*one), self.usable(*two));
                let (first, last) = if number(one) <= number(two) { (one, two) } else { (two, one) };
                format!("{first}-{last}")
            }
            Text::Malformed(nth) => MALFORMED[usize::from(*nth) % MALFORMED.len()].to_owned(),
            Text::Word(nth) => self.word(*nth),
            Text::Wild(text) => text.clone(),
            Text::Huge(kilobytes) => "10.0.0.7,".repeat(usize::from(*kilobytes) * 114),
        }
    }

    /// The nth usable address. A network without any has a documentation address in its place (RFC 5737).
    fn usable(&self, nth: u16) -> IpAddr {
        let nth = usize::from(nth) % self.usable.len().max(1);
        self.usable.get(nth).copied().unwrap_or(IpAddr::from([192, 0, 2, 1]))
    }
}

/// Names that a policy may have a rule for: whatever in its settings could be the name of something.
pub(super) fn words(settings: &Map<String, Value>) -> Vec<String> {
    let mut words = Vec::new();
    for value in settings.values() {
        collect(value, &mut words);
    }
    words.sort();
    words.dedup();
    words.truncate(20);
    words
}

fn collect(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) => words.extend(text.split('/').filter(|word| is_name(word)).map(str::to_owned)),
        Value::Array(values) => {
            for value in values {
                collect(value, words);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                words.extend(key.split('/').filter(|word| is_name(word)).map(str::to_owned));
                collect(value, words);
            }
        }
        _ => {}
    }
}

fn is_name(word: &str) -> bool {
    let begins_well = word.starts_with(|c: char| c.is_ascii_lowercase());
    begins_well
        && word.len() <= 63
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c))
}
