//! What a policy is.

use serde::de::DeserializeOwned;

use crate::pool::Pool;
use crate::proposal::{Proposal, Refusal};
use crate::request::Request;

/// A rule that gives a pod its addresses. It has no clock, no randomness and no memory: the same request against the
/// same pool gives the same answer. [`export!`](crate::export) makes a module of it.
pub trait Policy {
    /// The shape of `policy.settings`; `{}` where the configuration has none. Let it derive `Deserialize` with
    /// `deny_unknown_fields`, so that a slip of the pen is told and not ignored.
    type Settings: DeserializeOwned;

    /// What the policy is. Asks no questions.
    fn describe() -> Description;

    /// What decoding alone cannot find wrong. The error names the field, what it held and what was expected.
    fn validate_settings(settings: &Self::Settings) -> Result<(), String> {
        let _ = settings;
        Ok(())
    }

    /// Decide: proposals, best first. The host commits the first whose every address is still free.
    fn allocate(request: &Request, settings: &Self::Settings, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal>;
}

/// What a policy says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// A short name, for example `range-fixed`.
    pub name: &'static str,
    /// The version of the policy, not of the SDK.
    pub version: &'static str,
    /// One line on what the rule does.
    pub summary: &'static str,
    /// A JSON Schema of the settings; empty when there are none.
    pub settings_schema: &'static str,
}
