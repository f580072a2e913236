//! The one table of CNI error codes.
//!
//! | code | what it says |
//! |---|---|
//! | 1, 2, 4, 5, 6, 7 | the specification's: version, unsupported field, environment, I/O, decoding, configuration |
//! | 11 | store or API server unreachable, too slow or too contended: try again later |
//! | 50 | STATUS: an ADD could not work |
//! | 100 | a defect of this program |
//! | 101 | ranges exhausted |
//! | 102 | the address is held by another |
//! | 103 | annotation or request invalid |
//! | 104 | refused by the policy |
//! | 105 | the policy faulted: trap, limit, bad proposal |
//! | 106 | CHECK: an address is not held by this attachment |
//!
//! Never 3 from ADD: it would tell the runtime that no DEL is needed.

use super::Error;
use cni::{Failure, code};
use engine::Class;
use ipam::Refusal;
use store::StoreError;

/// The answer for a failed verb.
pub fn failure(error: &Error) -> Failure {
    Failure::new(of(error), error, error.hint())
}

fn of(error: &Error) -> u32 {
    match error {
        Error::Cni(error) => error.code(),
        Error::Config(error) => error.code(),
        Error::AskedTwice { .. } => code::CONFIGURATION,
        Error::Store(error) => store(error),
        Error::Policy(error) => match error.class() {
            Class::Configuration => code::CONFIGURATION,
            Class::Fault => code::POLICY_FAULT,
        },
        Error::Refused { refusal } => match refusal {
            Refusal::Exhausted(_) => code::EXHAUSTED,
            Refusal::Taken(_) => code::TAKEN,
            Refusal::Invalid(_) => code::INVALID_REQUEST,
            Refusal::Denied(_) => code::DENIED,
        },
        Error::Kubernetes(cluster::Error::Kubeconfig { .. }) => code::CONFIGURATION,
        Error::Kubernetes(_) => code::TRY_AGAIN,
        Error::Exhausted { .. } => code::EXHAUSTED,
        Error::Taken { .. } | Error::Ceded { .. } => code::TAKEN,
        Error::HandOverAnnotation { .. }
        | Error::Annotation { .. }
        | Error::Annotated(_)
        | Error::RequestedPrefix { .. } => code::INVALID_REQUEST,
        Error::Contended { .. } | Error::Late { .. } | Error::Garbage { .. } => code::TRY_AGAIN,
        Error::Repetitive { .. } => code::POLICY_FAULT,
        Error::NotHeld { .. } => code::NOT_HELD,
        Error::NotReady { .. } => code::UNAVAILABLE,
        Error::Defect { .. } => code::DEFECT,
    }
}

fn store(error: &StoreError) -> u32 {
    match error {
        error if error.is_transient() => code::TRY_AGAIN,
        StoreError::Full { .. } | StoreError::DiskFull { .. } | StoreError::Refused { .. } => code::TRY_AGAIN,
        StoreError::Credentials { .. } | StoreError::KeyTooLong { .. } | StoreError::Moved(_) => code::CONFIGURATION,
        StoreError::Unreadable { source, .. } => store(source),
        _ => code::IO,
    }
}
