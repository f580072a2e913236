//! What has to hold of any module whatsoever. The bounded tests of `tests/random.rs` and the fuzz targets of `tests/fuzz`
//! ask for the same.

use std::collections::BTreeSet;
use std::net::IpAddr;

use engine::{Class, Outcome, Policy, PolicyError, Source};
use ipam::{Proposal, Verdict};

use crate::{request, snapshot};

/// Load a module file named `fuzz.wasm` as a network's policy, ask it who it is, and ask it for an address. Whether it
/// could be loaded. Panics if what the host makes of it could harm anybody.
pub fn survives(source: &Source<'_>, what: &str) -> bool {
    match Policy::load(source) {
        Ok(policy) => {
            use_it(&policy, what);
            true
        }
        Err(error) => {
            assert_eq!(error.class(), Class::Configuration, "{what}: {error}");
            is_told(&error, what);
            assert!(!error.to_string().contains("panicked"), "{what}: {error}");
            false
        }
    }
}

fn use_it(policy: &Policy, what: &str) {
    let told = |error: PolicyError| is_told(&error, what);
    let _ = policy.describe().map_err(told);
    let _ = policy.validate_settings("{}").map_err(told);
    match policy.allocate(&request(), "{}", &snapshot()) {
        Ok(Outcome::Verdict(Verdict::Propose(proposals))) => are_harmless(&proposals),
        Ok(Outcome::Verdict(Verdict::Refuse(_)) | Outcome::Unread(_)) => {}
        Err(error) => told(error),
    }
}

/// The error names the module, and is safe for a terminal.
fn is_told(error: &PolicyError, what: &str) {
    let text = error.to_string();
    assert!(text.contains("fuzz.wasm") && !text.contains(char::is_control), "{what}: {text:?}");
}

/// Said again in other words than the host's own check: inside 10.0.0.0/24, nothing special, nothing twice.
pub fn are_harmless(proposals: &[Proposal]) {
    assert!((1..=64).contains(&proposals.len()));
    for proposal in proposals {
        assert!((1..=16).contains(&proposal.len()));
        let distinct: BTreeSet<IpAddr> = proposal.iter().map(|assignment| assignment.address).collect();
        assert_eq!(distinct.len(), proposal.len(), "{proposal:?}");
        for assignment in proposal {
            let IpAddr::V4(address) = assignment.address else { panic!("{assignment:?}") };
            let [a, b, c, last] = address.octets();
            assert_eq!([a, b, c], [10, 0, 0], "{assignment:?}");
            assert!(!matches!(last, 0 | 1 | 255 | 64..=79), "{assignment:?}");
            assert!((1..=32).contains(&assignment.prefix_length), "{assignment:?}");
            assert!(assignment.gateway.is_none_or(|gateway| gateway.is_ipv4()), "{assignment:?}");
            let identity = assignment.hold.as_ref().map(|hold| hold.identity.len());
            assert!(identity.is_none_or(|length| (1..=512).contains(&length)), "{assignment:?}");
        }
    }
}
