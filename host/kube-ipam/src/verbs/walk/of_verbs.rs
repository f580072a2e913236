//! Why a verb failed.

use std::time::Duration;

use jiff::Timestamp;

use super::people::{NETWORK, addresses, attachment, ceded, file, holder, ip, party, pod, reservation};
use crate::config;
use crate::verbs::add::annotations::Unfollowed;
use crate::verbs::add::exhausted::{FullSet, OlderThanBoot, Shortage};
use crate::verbs::add::hand_over::Stays;
use crate::verbs::{Error, Waited};
use cluster::{self, Keeps};
use engine::{Flaw, PolicyError};
use ipam::{Holder, Misfit, Refusal};
use limits::{ANNOTATION, ANNOTATIONS};
use store::{Fullness, Occupancy, StoreError};

const MODULE: &str = "/opt/cni/policies/by-namespace.wasm";

pub(super) fn examples() -> Vec<Error> {
    let text =
        "network \"production-blue\" has no free address in 10.188.0.2-10.188.255.254: 65533 of 65533 addresses of \
                range set 0 are held"
            .to_owned();
    let (network, pod, timeout) = (NETWORK.to_owned(), Box::new(pod()), Duration::from_secs(10));
    let policy = "by-namespace".to_owned();
    let mut all = every!(Error {
        Error::Cni(_) => [cni::Error::NoCommand.into()],
        Error::Config(_) => [config::Error::NoRange { network: network.clone() }.into()],
        Error::Store(_) => [StoreError::TooLate.into()],
        Error::Policy(_) => [PolicyError::Flawed { module: MODULE.to_owned(), flaw: Flaw::Missing }.into()],
        Error::Refused { .. } => [Error::Refused { refusal: Refusal::Exhausted(text.clone()) }],
        Error::Exhausted { .. } => shortages().map(|shortage| {
            Error::Exhausted { refusal: Refusal::Exhausted(text.clone()), shortage }
        }),
        Error::Kubernetes(_) => [cluster::Error::NoPod { pod: pod.clone() }.into()],
        Error::Taken { .. } => [taken(holder(), Stays::NotAsked)],
        Error::Ceded { .. } => [Error::Ceded { attachment: attachment(), ceded: vec![ceded()] }],
        Error::AskedTwice { .. } => [
            Error::AskedTwice { attachment: attachment(), address: ip("10.188.0.216") },
        ],
        Error::HandOverAnnotation { .. } => [
            Error::HandOverAnnotation { whose: format!("pod {pod}"), value: "nope".to_owned() },
        ],
        Error::Annotated(_) => [Error::Annotated(Box::new(unknown_annotation()))],
        Error::RequestedPrefix { .. } => [Error::RequestedPrefix {
            address: ip("10.188.0.65"),
            prefix_length: 28,
            misfit: Misfit::Gateway(ip("10.188.0.1"), "10.188.0.64/28".parse().unwrap()),
        }],
        Error::Contended { .. } => [Error::Contended { network: network.clone(), attempts: 16 }],
        Error::Repetitive { .. } => [
            Error::Repetitive { policy, attempts: 16, addresses: addresses(64) },
        ],
        Error::Compiling { .. } => [Error::Compiling {
            module: MODULE.to_owned(),
            waited: Waited::OtherCompiler { module: MODULE.to_owned(), seconds: 31 },
        }],
        Error::Late { .. } => [Error::Late { timeout, waited: Waited::Nothing }],
        Error::Annotation { .. } => [
            Error::Annotation { what: "annotation kube-ipam.ip-pool".to_owned(), bytes: 70_000, limit: &ANNOTATION },
            Error::Annotation { what: "the annotations".to_owned(), bytes: 700_000, limit: &ANNOTATIONS },
        ],
        Error::NotHeld { .. } => [
            Error::NotHeld { attachment: attachment().into(), addresses: addresses(32), ceded: Vec::new() },
            Error::NotHeld { attachment: attachment().into(), addresses: addresses(1), ceded: vec![ceded()] },
        ],
        Error::Garbage { .. } => [garbage(1, None), garbage(250, None), garbage(250, Some(StoreError::TooLate))],
        Error::NotReady { .. } => [
            Error::NotReady { network, cause: Box::new(StoreError::TooLate.into()) },
        ],
        Error::Defect { .. } => [
            Error::Defect { message: "index out of bounds: the len is 3 but the index is 3".into() },
        ],
    });
    all.extend(unfollowed().into_iter().map(|one| Error::Annotated(Box::new(one))));
    all.extend(refusals().into_iter().map(|refusal| Error::Refused { refusal }));
    all.extend(waits().into_iter().map(|waited| Error::Late { timeout, waited }));
    all.extend(stays().into_iter().map(|stays| taken(holder(), stays)));
    let hold = Holder::Hold { identity: "shop-production/frontend-0".to_owned(), until: Timestamp::UNIX_EPOCH };
    all.push(taken(hold, Stays::Kept));
    all.push(taken(Holder::Reservation(Box::new(reservation())), Stays::Kept));
    all
}

/// A range whose addresses are all held, one that is held back, and as much as fits into a hint.
fn shortages() -> [Shortage; 3] {
    let set = |held, kept, reserved, fixed| {
        let occupancy = Occupancy { size: 65_533, held, kept, reserved, free: 0 };
        let first_free = (kept > 0).then_some(Timestamp::UNIX_EPOCH);
        FullSet { range_set: 0, fullness: Fullness { occupancy, first_free }, fixed, excluded: 0 }
    };
    let older = OlderThanBoot { count: 2, is_least: true, booted: Timestamp::UNIX_EPOCH };
    let (held, kept) = (set(65_533, 0, 0, 0), set(60_000, 5_021, 256, 256));
    let both = [held, FullSet { range_set: 1, excluded: 512, ..kept }];
    [
        Shortage { full: vec![held], older: Some(OlderThanBoot { count: 1, is_least: false, ..older }) },
        Shortage { full: vec![kept], older: None },
        Shortage { full: both.to_vec(), older: Some(older) },
    ]
}

fn unknown_annotation() -> Unfollowed {
    Unfollowed::Unknown {
        name: "kube-ipam.ips".to_owned(),
        whose: format!("pod {}", pod()),
        policy: "by-namespace".to_owned(),
        nearest: Some("kube-ipam.ip".to_owned()),
        known: "kube-ipam.families, kube-ipam.gateway, kube-ipam.hand-over, kube-ipam.ip, kube-ipam.ip-pool".to_owned(),
    }
}

fn unfollowed() -> Vec<Unfollowed> {
    every!(Unfollowed {
        Unfollowed::Unknown { .. } => [unknown_annotation()],
        Unfollowed::Interface { .. } => [Unfollowed::Interface {
            name: "kube-ipam.ip.eth0".to_owned(),
            whose: format!("pod {}", pod()),
            meant: "kube-ipam.ip.production-blue.eth0".to_owned(),
            interface: Some("eth0".to_owned()),
        }],
        Unfollowed::Families { .. } => [Unfollowed::Families {
            name: "kube-ipam.families".to_owned(),
            whose: format!("pod {}", pod()),
            value: "ipv5".to_owned(),
            why: "expected ipv4, ipv6 or both, separated by a comma".to_owned(),
        }],
    })
}

fn taken(holder: Holder, stays: Stays) -> Error {
    Error::Taken { address: ip("10.188.0.216"), holder, stays }
}

fn garbage(count: usize, stopped: Option<StoreError>) -> Error {
    let full = || StoreError::DiskFull { path: file(), source: None };
    let failures = (0..count).map(|_| (attachment(), full())).collect();
    Error::Garbage { failures, stopped: stopped.map(|error| Box::new(error.into())) }
}

fn refusals() -> Vec<Refusal> {
    let text = || "annotation kube-ipam.ip \"10.189.0.1\": it is outside every subnet of the network".to_owned();
    every!(Refusal {
        Refusal::Exhausted(_) => [Refusal::Exhausted(text())],
        Refusal::Taken(_) => [Refusal::Taken(text())],
        Refusal::Invalid(_) => [Refusal::Invalid(text())],
        Refusal::Denied(_) => [Refusal::Denied(text())],
    })
}

fn waits() -> Vec<Waited> {
    every!(Waited {
        Waited::Compiler { .. } => [Waited::Compiler { module: MODULE.to_owned(), seconds: 31 }],
        Waited::OtherCompiler { .. } => [Waited::OtherCompiler { module: MODULE.to_owned(), seconds: 31 }],
        Waited::ApiServer => [Waited::ApiServer],
        Waited::Store => [Waited::Store],
        Waited::Nothing => [Waited::Nothing],
    })
}

fn stays() -> Vec<Stays> {
    let mut all = every!(Stays {
        Stays::NoPod => [Stays::NoPod],
        Stays::NotAsked => [Stays::NotAsked],
        Stays::Unknown(_) => [Stays::Unknown("the API server did not answer within 3s".to_owned())],
        Stays::Judged(_) => [Stays::Judged(Keeps::Alive)],
        Stays::Leaving(_) => [Stays::Leaving(Duration::ZERO), Stays::Leaving(Duration::from_secs(8))],
        Stays::Kept => [Stays::Kept],
        Stays::Sibling(_) => [Stays::Sibling(Box::new(attachment()))],
    });
    all.extend(keeps().into_iter().map(Stays::Judged));
    all
}

fn keeps() -> Vec<Keeps> {
    every!(Keeps {
        Keeps::Alive => [Keeps::Alive],
        Keeps::OlderRevision => [Keeps::OlderRevision],
        Keeps::Leaving => [Keeps::Leaving],
        Keeps::Borrowed(_) => [Keeps::Borrowed(Box::new(party()))],
        Keeps::Former(_) => [Keeps::Former(Box::new(party()))],
        Keeps::Unknowable(_) => [Keeps::Unknowable("its cluster is not known".to_owned())],
    })
}
