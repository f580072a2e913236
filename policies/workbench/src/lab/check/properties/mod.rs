//! The properties, in the order of what goes wrong first. Where a policy faults, only the first one says so, and the
//! others say nothing.

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

/// A property that every good policy has.
pub(super) struct Property {
    pub(super) name: &'static str,
    /// Why the property matters, as the end of a sentence.
    pub(super) why: &'static str,
    /// Whether its worlds have to be small enough to be filled.
    pub(super) is_small: bool,
    pub(super) check: fn(&Bench, &Scene) -> Finding,
}

pub(super) const ALL: [Property; 10] = [
    Property {
        name: "proposals-are-usable",
        why: "a policy that traps or proposes what cannot be used is at fault, and the pod does not start",
        is_small: false,
        check: answers::are_usable,
    },
    Property {
        name: "proposals-are-free",
        why: "a dynamic proposal of an address that is in use cannot be claimed",
        is_small: false,
        check: answers::are_free,
    },
    Property {
        name: "refusals-say-why",
        why: "the text is all that the pod's operator sees",
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
        why: "when many pods start at once, those that lose a race must get an address in the end",
        is_small: false,
        check: progress::makes,
    },
    Property {
        name: "exhaustion-is-exact",
        why: "an address that is free but never given is wasted, and a wrong refusal misleads its reader",
        is_small: true,
        check: full::exhaustion_is_exact,
    },
    Property {
        name: "restart-is-served",
        why: "a pod's new sandbox starts while the old one still holds its address, even in a full range",
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
        why: "a pod that asks for one address and gets another is worse off than a pod that waits",
        is_small: false,
        check: annotations::are_followed_or_refused,
    },
    Property {
        name: "settings-are-validated",
        why: "STATUS and `config check` find a mistake in the settings before a pod does",
        is_small: true,
        check: settings::are_validated,
    },
];

/// The refusal of the policy itself behind an error.
fn refusal(error: &Error) -> Option<&Refusal> {
    match error {
        Error::Refused { refusal, .. } => Some(refusal),
        _ => None,
    }
}

/// A refusal in a sentence: `exhausted: no address is free`.
fn quoted(refusal: &Refusal) -> String {
    format!("{}: {refusal}", refusal.kind())
}

/// A list in a sentence: `10.0.0.2, 10.0.0.3`.
fn list<T: ToString>(of: impl IntoIterator<Item = T>) -> String {
    of.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join(", ")
}
