//! Who decides: the policy of a network, or the built-in one in its stead.

use tracing::debug_span;

use super::Error;
use crate::config::{Network, OnFault, PolicyConfig};
use crate::limits::Limits;
use crate::policy::{Compiler, Policy, PolicyError, Source};

/// The policy of a network, with settings it understands.
pub(crate) fn load(network: &Network) -> Result<Policy, Error> {
    load_within(network, network.policy.limits)
}

/// The same with other limits than the network's.
fn load_within(network: &Network, limits: Limits) -> Result<Policy, Error> {
    let _inside = debug_span!("load").entered();
    let PolicyConfig { module, sha256, settings, cache_dir, .. } = &network.policy;
    let source = Source {
        module: module.as_deref(),
        sha256: sha256.as_deref(),
        cache_dir: Some(cache_dir),
        limits,
        compiler: Compiler::Child,
    };
    Ok(load_with(&source, settings)?)
}

/// A policy that understands these settings.
pub(super) fn load_with(source: &Source<'_>, settings: &str) -> Result<Policy, PolicyError> {
    let policy = Policy::load(source)?;
    if settings != "{}" {
        policy.validate_settings(settings)?;
    }
    Ok(policy)
}

/// The policy of a network, or where that cannot be used and the configuration says so, the built-in one.
pub(super) fn load_whoever_decides(network: &Network, limits: Limits) -> Result<Policy, Error> {
    match load_within(network, limits) {
        Err(fault) if network.policy.on_fault == OnFault::Default => stand_in(&network.policy, &fault),
        loaded => loaded,
    }
}

/// The built-in policy, in the stead of one that is at fault. It knows none of that one's settings and limits.
pub(super) fn stand_in(config: &PolicyConfig, fault: &Error) -> Result<Policy, Error> {
    let policy = Policy::load(&Source::alone(None))?.instead_of(config.file_name());
    tracing::warn!(%fault, "{} decides instead of a policy that is at fault", policy.name().name);
    Ok(policy)
}
