//! What a policy is.

use serde::de::DeserializeOwned;

use crate::annotations::OF_WISH;
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

    /// Every annotation beginning with `kube-ipam.` that the policy reads, without network and interface: the host refuses a
    /// pod that has another. Unless told, what [`Wish`](crate::Wish) reads.
    fn annotations() -> &'static [&'static str] {
        &OF_WISH
    }

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

impl Description {
    /// The schema as the host is told it: with the list of annotations as its member `x-annotations`.
    pub fn schema_with(&self, annotations: &[&str]) -> String {
        let names: Vec<String> = annotations.iter().map(|name| format!("{name:?}")).collect();
        let member = format!("{{\"x-annotations\": [{}]", names.join(", "));
        // Put in as text: to read the schema as JSON would be more code in every module than all else that describes it.
        match self.settings_schema.trim_start().strip_prefix('{') {
            None if self.settings_schema.is_empty() => member + "}",
            None => self.settings_schema.to_owned(),
            Some(rest) if rest.trim_start().starts_with('}') => member + rest,
            Some(rest) => format!("{member},{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_the_annotations() {
        for (settings_schema, told) in [
            ("", "{\"x-annotations\": [\"kube-ipam.ip\", \"kube-ipam.zone\"]}"),
            (" {\n}", "{\"x-annotations\": [\"kube-ipam.ip\", \"kube-ipam.zone\"]\n}"),
            (
                "{\"type\": \"object\"}",
                "{\"x-annotations\": [\"kube-ipam.ip\", \"kube-ipam.zone\"],\"type\": \"object\"}",
            ),
            ("true", "true"),
        ] {
            let description = Description { name: "one", version: "1", summary: "", settings_schema };
            let schema = description.schema_with(&["kube-ipam.ip", "kube-ipam.zone"]);
            assert_eq!(schema, told);
            serde_json::from_str::<serde_json::Value>(&schema).unwrap();
        }
    }
}
