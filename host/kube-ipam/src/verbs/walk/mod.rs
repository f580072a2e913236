//! Every error there is, as a runtime is told it. Each says what to do next, fits into an event whole, and speaks to an
//! operator.
//!
//! A new variant without an example does not compile: [`every`] has no wildcard.

/// Examples of every variant of an error type: `Pattern => [example, …]`.
macro_rules! every {
    ($type:ty { $($variant:pat => $examples:expr),+ $(,)? }) => {{
        fn is_known(error: &$type) {
            match error { $($variant => ()),+ }
        }
        let mut all: Vec<$type> = Vec::new();
        $(for example in $examples {
            let example: $type = example;
            assert!(matches!(&example, $variant), "{example:?} is not {}", stringify!($variant));
            all.push(example);
        })+
        all.iter().for_each(is_known);
        all
    }};
}

mod catalogue;
mod configuration;
mod kubernetes;
mod of_policy;
mod of_store;
mod of_verbs;
mod people;

use super::{Error, not_ready};
use cni::{Fail, Failure, code};
use engine::{Fault, PolicyError};
use limits::EVENT;

/// What decoders say, and operators should not have to read.
const JARGON: [&str; 22] = [
    "invalid type",
    "invalid value",
    "invalid length",
    "expected a sequence",
    "expected a map",
    "expected struct",
    "expected u8",
    "expected u16",
    "expected u32",
    "expected u64",
    "expected f64",
    "missing field",
    "unknown field",
    "unknown variant",
    "duplicate field",
    "EOF while",
    "trailing characters",
    "at line ",
    "recursion limit",
    "untagged",
    "key must be a string",
    "control character",
];

fn all() -> Vec<Error> {
    let mut all = of_verbs::examples();
    all.extend(configuration::of_protocol().into_iter().map(Error::Cni));
    all.extend(configuration::examples().into_iter().map(Error::Config));
    all.extend(of_store::examples().into_iter().map(Error::Store));
    all.extend(kubernetes::examples().into_iter().map(Error::Kubernetes));
    all.extend(of_policy::examples().into_iter().map(Error::Policy));
    all
}

/// What is wrong with the words of an error.
fn flaws(error: &Error, failure: &Failure) -> Vec<String> {
    let mut flaws = Vec::new();
    let told = format!("{} {}", failure.msg, failure.details);
    if failure.details.is_empty() {
        flaws.push("no hint".to_owned());
    }
    if (failure.code == code::DEFECT) != matches!(error, Error::Defect { .. }) {
        flaws.push(format!("code {}", failure.code));
    }
    let whole = error.message().chars().count() + error.hint().unwrap_or_default().chars().count();
    if whole > EVENT {
        flaws.push(format!("{whole} characters"));
    }
    flaws.extend(JARGON.iter().filter(|word| told.contains(**word)).map(|word| format!("says {word:?}")));
    flaws
}

#[test]
fn every_error_says_what_to_do_next_in_plain_words_and_fits_into_an_event() {
    let mut wrong = Vec::new();
    for error in all() {
        let failure = Failure::from(&error);
        let flaws = flaws(&error, &failure);
        if !flaws.is_empty() {
            wrong.push(format!("{error:?}\n  {}\n  hint: {}\n  {}", failure.msg, failure.details, flaws.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// STATUS answers what an ADD would say.
#[test]
fn what_keeps_a_node_from_being_ready_is_told_with_its_hint() {
    let base = people::base();
    for error in all().into_iter().filter(|error| !matches!(error, Error::NotReady { .. })) {
        let hint = error.hint();
        let told = not_ready(&base, error);
        let failure = Failure::from(&told);
        assert_eq!(failure.code, code::UNAVAILABLE);
        assert!(hint.is_none() || !failure.details.is_empty(), "{failure:?}");
        assert!(failure.msg.chars().count() + failure.details.chars().count() <= EVENT);
    }
}

/// Commands that work on a network.
const OF_A_NETWORK: [&str; 13] = [
    "list",
    "show",
    "usage",
    "map",
    "release",
    "reserve",
    "unreserve",
    "reclaim",
    "import",
    "export",
    "fsck",
    "doctor",
    "policy install",
];

/// On a node with several networks a command that writes refuses to choose, and one that reads shows all of them.
#[test]
fn a_command_in_a_hint_names_the_network() {
    let mut wrong = Vec::new();
    for hint in all().iter().filter_map(Error::hint) {
        for command in hint.split('`').skip(1).step_by(2) {
            let Some(words) = command.strip_prefix("kube-ipam ") else { continue };
            let is_of_a_network = OF_A_NETWORK.iter().any(|of| words.starts_with(of));
            if is_of_a_network && !command.contains("--network ") && !command.contains("--conf FILE") {
                wrong.push(command.to_owned());
            }
        }
        if hint.matches("kube-ipam doctor").count() != hint.matches("`kube-ipam doctor").count() {
            wrong.push(hint);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What happens at night, and the command with which its hint has to end up.
#[test]
fn the_faults_of_a_bad_night_have_a_command_that_helps() {
    let helps = |error: &Error| match error {
        Error::Exhausted { shortage, .. } if shortage.older.is_some() => Some("kube-ipam fsck --containers --network"),
        Error::Exhausted { .. } => Some("kube-ipam reclaim --network"),
        Error::Store(store::StoreError::Unreachable { .. }) => Some("kube-ipam doctor --network"),
        Error::Kubernetes(cluster::Error::Unreachable { .. }) => Some("kube-ipam doctor --network"),
        Error::Policy(PolicyError::Flawed { flaw: engine::Flaw::Missing, .. }) => Some("kube-ipam policy install FILE"),
        Error::Policy(PolicyError::Faulted { fault: Fault::Trapped { .. }, .. }) => Some("kube-ipam doctor --network"),
        Error::Taken { stays: super::add::hand_over::Stays::NotAsked, .. } => Some("kube-ipam release 10.188.0.216"),
        Error::Taken { stays: super::add::hand_over::Stays::Judged(cluster::Keeps::Alive), .. } => {
            Some("kubectl taint node")
        }
        Error::Taken { holder: ipam::Holder::Hold { .. }, .. } => Some("kube-ipam release 10.188.0.216"),
        _ => None,
    };
    let mut found = std::collections::BTreeSet::new();
    for error in all() {
        let Some(command) = helps(&error) else { continue };
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains(command), "{error}: {hint}");
        found.insert(command);
    }
    assert_eq!(found.len(), 6, "{found:?}");
    let clock = store::StoreError::Unreachable {
        failures: vec!["https://a:2379: invalid peer certificate: certificate not valid yet".to_owned()],
    };
    assert!(clock.hint().is_some_and(|hint| hint.contains("date -u") && hint.contains("kube-ipam doctor")));
}
