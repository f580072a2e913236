//! The properties, in the order of what goes wrong first. Where one of them cannot say anything because the policy faults,
//! it says nothing: that is the first one's to tell.

mod annotations;
mod answers;
mod budget;
mod full;
mod progress;
mod same;
mod settings;

use super::Bench;
use super::scene::Scene;
use super::trial::Finding;
use ipam::Refusal;
use kube_ipam::verbs::Error;

/// What holds of every good policy.
pub(super) struct Property {
    /// As a person calls it.
    pub(super) name: &'static str,
    /// Why it matters.
    pub(super) why: &'static str,
    /// Whether its worlds have to be small enough to be filled.
    pub(super) is_small: bool,
    /// Whether a scene concerns it, or how it is broken in it.
    pub(super) check: fn(&Bench, &Scene) -> Finding,
}

/// Every property.
pub(super) const ALL: [Property; 10] = [
    Property {
        name: "proposals-are-usable",
        why: "a policy that traps or proposes what cannot be used is at fault, and the pod does not start",
        is_small: false,
        check: answers::are_usable,
    },
    Property {
        name: "proposals-are-free",
        why: "a dynamic proposal of an address that another has is lost before it is tried",
        is_small: false,
        check: answers::are_free,
    },
    Property {
        name: "refusals-say-why",
        why: "the text is all that whoever looks after the pod gets to see",
        is_small: false,
        check: answers::say_why,
    },
    Property {
        name: "same-answer",
        why: "the host runs a policy as often as it has to read, and only the last run counts",
        is_small: false,
        check: same::answer,
    },
    Property {
        name: "makes-progress",
        why: "when many pods start at once, those that lose a race must come to an address in the end",
        is_small: false,
        check: progress::makes,
    },
    Property {
        name: "exhaustion-is-exact",
        why: "an address that is free but never given is lost, and a wrong refusal leads its reader astray",
        is_small: true,
        check: full::exhaustion_is_exact,
    },
    Property {
        name: "restart-is-served",
        why: "a pod's new sandbox is made while the old one still holds its address, in a full range, too",
        is_small: true,
        check: full::restart_is_served,
    },
    Property {
        name: "stays-in-budget",
        why: "a policy close to its limits fails on the day the network is large or full",
        is_small: false,
        check: budget::is_kept,
    },
    Property {
        name: "malformed-is-refused",
        why: "a pod that names an address and gets another one is worse off than a pod that waits",
        is_small: false,
        check: annotations::are_followed_or_refused,
    },
    Property {
        name: "settings-are-validated",
        why: "STATUS and `config validate` find a mistake in the settings before a pod does",
        is_small: true,
        check: settings::are_validated,
    },
];

/// A refusal of the policy itself.
fn refusal(error: &Error) -> Option<&Refusal> {
    match error {
        Error::Refused { refusal, .. } => Some(refusal),
        _ => None,
    }
}

/// For a sentence: `exhausted: no address is free`.
fn quoted(refusal: &Refusal) -> String {
    format!("{}: {refusal}", refusal.kind())
}

/// For a sentence: `10.0.0.2, 10.0.0.3`.
fn list<T: ToString>(of: impl IntoIterator<Item = T>) -> String {
    of.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join(", ")
}
