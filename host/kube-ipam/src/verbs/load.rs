//! Loads the policy that decides: that of the network, or the built-in one in its place.

use tracing::info_span;

use super::{Deadline, Error, FAULT, OUTCOME, Waited};
use crate::config::{Network, OnFault, PolicyConfig};
use engine::{Compiler, Compiling, Flaw, Policy, PolicyError, Source};
use limits::Limits;

/// The policy of a network, which accepts the network's settings.
pub(crate) fn load(network: &Network) -> Result<Policy, Error> {
    load_by(network, network.policy.limits, Compiler::Child, None)
}

fn load_by(
    network: &Network,
    limits: Limits,
    compiler: Compiler,
    deadline: Option<&Deadline>,
) -> Result<Policy, Error> {
    let _inside = info_span!("load").entered();
    let PolicyConfig { module, sha256, settings, cache_dir, .. } = &network.policy;
    let source = Source {
        module: module.as_deref(),
        sha256: sha256.as_deref(),
        cache_dir: Some(cache_dir),
        limits,
        compiler,
        deadline: deadline.map(Deadline::at),
    };
    match (load_with(&source, settings), deadline) {
        // The module is not at fault where the time of the call ended before the compiler did.
        (Err(PolicyError::Flawed { module, flaw: Flaw::Unfinished { by, seconds } }), Some(deadline)) => Err(deadline
            .passed(match by {
                Compiling::Own => Waited::Compiler { module, seconds },
                Compiling::Another => Waited::OtherCompiler { module, seconds },
            })),
        (loaded, _) => Ok(loaded?),
    }
}

/// A policy that accepts these settings.
pub(super) fn load_with(source: &Source<'_>, settings: &str) -> Result<Policy, PolicyError> {
    let policy = Policy::load(source)?;
    // Every policy has to work without settings, so that asking the guest about none would be a wasted run.
    if settings != "{}" {
        policy.validate_settings(settings)?;
    }
    Ok(policy)
}

/// The policy of a network. Where that cannot be used, the built-in one, if the configuration says so (`policy.onFault`).
pub(super) fn load_whoever_decides(network: &Network, limits: Limits, deadline: &Deadline) -> Result<Policy, Error> {
    or_stand_in(network, load_by(network, limits, Compiler::Child, Some(deadline)))
}

/// The same policy, or `None` where a module has to be compiled first. For the time while an answer of the store or the API
/// server is on its way: waiting for a compiler then, the process would not see that the answer has come, and take it for
/// late.
pub(super) fn load_if_compiled(network: &Network, limits: Limits) -> Option<Result<Policy, Error>> {
    match load_by(network, limits, Compiler::Nobody, None) {
        Err(Error::Policy(PolicyError::Flawed { flaw: Flaw::Uncompiled, .. })) => None,
        loaded => Some(or_stand_in(network, loaded)),
    }
}

fn or_stand_in(network: &Network, loaded: Result<Policy, Error>) -> Result<Policy, Error> {
    match &loaded {
        Err(fault) if network.policy.on_fault == OnFault::Default && fault.may_be_replaced() => {
            stand_in(&network.policy, fault)
        }
        _ => loaded,
    }
}

/// The built-in policy, in place of one that is at fault. The settings and limits of that one do not apply to it.
pub(super) fn stand_in(config: &PolicyConfig, fault: &Error) -> Result<Policy, Error> {
    // The call goes on with another policy, whose verdict is told later.
    tracing::info!(target: OUTCOME, policy = config.file_name(), verdict = FAULT);
    let policy = Policy::load(&Source::alone(None))?.instead_of(config.file_name());
    tracing::warn!(%fault, "{} decides in place of the faulty policy", policy.name().name);
    Ok(policy)
}
