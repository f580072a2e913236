//! What can be wrong with a policy.

use super::people::{addresses, ip};
use engine::{Compiling, Fault, Flaw, Function, PolicyError};
use ipam::proposal::ProposalError;
use ipam::{Family, Slot, Unusable};
use limits::{FUEL, STACK};

const MODULE: &str = "/opt/cni/policies/by-namespace.wasm";

pub(super) fn examples() -> Vec<PolicyError> {
    let mut all = every!(PolicyError {
        PolicyError::Flawed { .. } => [PolicyError::Flawed { module: MODULE.to_owned(), flaw: Flaw::Missing }],
        PolicyError::Settings { .. } => [PolicyError::Settings {
            module: "by-namespace.wasm".to_owned(),
            reason: "policy.settings.namespaces.blue[2]: it is not a subnet".to_owned(),
            nearest: Some("policy.settings.namespaces".to_owned()),
        }],
        PolicyError::Faulted { .. } => [faulted(Function::Start, Fault::NoProposal)],
        PolicyError::Inquisitive { .. } => [
            PolicyError::Inquisitive { policy: "by-namespace".to_owned(), limit: 64 },
        ],
    });
    all.extend(flaws().into_iter().map(|flaw| PolicyError::Flawed { module: MODULE.to_owned(), flaw }));
    all.extend(faults().into_iter().map(|fault| faulted(Function::Allocate, fault)));
    for error in proposals() {
        all.push(faulted(Function::Allocate, Fault::Proposal { nth: 64, of: 64, error }));
    }
    all
}

fn faulted(function: Function, fault: Fault) -> PolicyError {
    PolicyError::Faulted { module: "by-namespace.wasm".to_owned(), function, fault }
}

fn flaws() -> Vec<Flaw> {
    let digest = "a".repeat(64);
    let interface = "kube-ipam:policy/pool@0.1.0".to_owned();
    every!(Flaw {
        Flaw::Missing => [Flaw::Missing],
        Flaw::Unreadable(_) => [Flaw::Unreadable("it is not a regular file".to_owned())],
        Flaw::Empty => [Flaw::Empty],
        Flaw::TooLarge { .. } => [Flaw::TooLarge { bytes: 100 << 20, most_mib: 64 }],
        Flaw::BadPin(_) => [Flaw::BadPin("abc".to_owned())],
        Flaw::OtherDigest { .. } => [Flaw::OtherDigest { expected: digest.clone(), found: digest }],
        Flaw::NotWasm(_) => [Flaw::NotWasm("7f 45 4c 46".to_owned())],
        Flaw::CoreModule => [Flaw::CoreModule],
        Flaw::Corrupt(_) => [Flaw::Corrupt("unexpected end-of-file (at offset 0x10)".to_owned())],
        Flaw::Wasi(_) => [Flaw::Wasi("wasi:cli/environment@0.2.3".to_owned())],
        Flaw::Import(_) => [Flaw::Import("example:site/clock@0.1.0".to_owned())],
        Flaw::Version { .. } => [Flaw::Version { found: interface.clone(), expected: interface.clone() }],
        Flaw::NoExport(_) => [Flaw::NoExport("allocate".to_owned())],
        Flaw::Type(_) => [Flaw::Type("allocate takes 2 parameters instead of 3".to_owned())],
        Flaw::Invalid(_) => [Flaw::Invalid("threads support is not enabled (at offset 0x23)".to_owned())],
        Flaw::CompileTime(_) => [Flaw::CompileTime(120)],
        Flaw::CompileMemory(_) => [Flaw::CompileMemory(1_536)],
        Flaw::Compiler(_) => [Flaw::Compiler("starting it: Resource temporarily unavailable".to_owned())],
        Flaw::Uncompiled => [Flaw::Uncompiled],
        Flaw::Unfinished { .. } => [
            Flaw::Unfinished { by: Compiling::Own, seconds: 31 },
            Flaw::Unfinished { by: Compiling::Another, seconds: 31 },
        ],
        Flaw::NoTurn(_) => [Flaw::NoTurn(
            "not trusted: /var/lib/cni/kube-ipam/policies has mode 0777, expected 0700".to_owned(),
        )],
        Flaw::UnpacksTooLarge(_) => [Flaw::UnpacksTooLarge(64)],
        Flaw::NotUnpacked(_) => [Flaw::NotUnpacked("corrupt deflate stream".to_owned())],
    })
}

fn faults() -> Vec<Fault> {
    let said = || Some("panicked at src/lib.rs:12:5: index out of bounds: the len is 3 but the index is 3".to_owned());
    every!(Fault {
        Fault::Limit { .. } => [
            Fault::Limit { limit: &FUEL, value: 50_000_000 },
            Fault::Limit { limit: &STACK, value: STACK.default },
        ],
        Fault::Panicked(_) => [Fault::Panicked(said().unwrap())],
        Fault::Trapped { .. } => [Fault::Trapped { trap: "wasm `unreachable` executed".to_owned(), said: said() }],
        Fault::OutOfBounds(_) => [Fault::OutOfBounds(said())],
        Fault::Starved(_) => [Fault::Starved(Box::new(Fault::Panicked(said().unwrap())))],
        Fault::Malformed(_) => [Fault::Malformed("an address of 5 bytes".to_owned())],
        Fault::Question(_) => [Fault::Question("there is no range set 7".to_owned())],
        Fault::NoProposal => [Fault::NoProposal],
        Fault::Proposal { .. } => [Fault::Proposal { nth: 1, of: 4, error: ProposalError::Empty }],
        Fault::NoMemory(_) => [Fault::NoMemory("Cannot allocate memory (os error 12)".to_owned())],
        Fault::Engine(_) => [Fault::Engine("the trampoline is missing".to_owned())],
    })
}

fn proposals() -> Vec<ProposalError> {
    let address = addresses(1)[0];
    let subnet = "10.188.0.0/24".parse().unwrap();
    let slot = Slot { name: "shop-production/quota".to_owned(), number: 7 };
    every!(ProposalError {
        ProposalError::Empty => [ProposalError::Empty],
        ProposalError::Unusable { .. } => [
            ProposalError::Unusable { address, why: Unusable::Outside },
            ProposalError::Unusable { address, why: Unusable::Gateway(subnet) },
            ProposalError::Unusable { address, why: Unusable::Excluded(subnet) },
        ],
        ProposalError::Duplicate(_) => [ProposalError::Duplicate(address)],
        ProposalError::PrefixLength { .. } => [
            ProposalError::PrefixLength { address, prefix_length: 129, family: Family::V6 },
        ],
        ProposalError::GatewayFamily { .. } => [ProposalError::GatewayFamily { address, gateway: ip("10.188.0.1") }],
        ProposalError::OwnGateway { .. } => [ProposalError::OwnGateway { address, gateway: address }],
        ProposalError::HoldIdentity(_) => [ProposalError::HoldIdentity(address)],
        ProposalError::HoldTooLong { .. } => [ProposalError::HoldTooLong { address, seconds: u64::MAX }],
        ProposalError::SlotName(_) => [ProposalError::SlotName(address)],
        ProposalError::DuplicateSlot(_) => [ProposalError::DuplicateSlot(slot)],
        ProposalError::MissingFamily(_) => [ProposalError::MissingFamily(Family::V6)],
    })
}
