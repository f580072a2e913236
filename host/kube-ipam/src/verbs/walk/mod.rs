//! Every error there is, as a runtime is told it. Each says what to do next, fits into an event whole, and speaks to an
//! operator.
//!
//! A new variant without an example does not compile: [`every`] has no wildcard.

/// Examples of every variant of an error type: `Pattern => [example, …]`.
macro_rules! every {
    ($type:ty { $($variant:pat => [$($example:expr),+ $(,)?]),+ $(,)? }) => {{
        fn is_known(error: &$type) {
            match error { $($variant => ()),+ }
        }
        let mut all: Vec<$type> = Vec::new();
        $($(
            let example: $type = $example;
            assert!(matches!(&example, $variant), "{example:?} is not {}", stringify!($variant));
            all.push(example);
        )+)+
        all.iter().for_each(is_known);
        all
    }};
}

mod configuration;
mod kubernetes;
mod of_policy;
mod of_store;
mod of_verbs;
mod people;

use super::{Error, not_ready};
use cni::{Fail, Failure, code};
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
