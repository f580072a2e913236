//! Who asks, and what they may do.

use std::collections::BTreeMap;

use super::super::{Rule, group_of};
use super::route::Target;

pub(super) const ANONYMOUS: &str = "system:anonymous";

/// Paths every user may read, and those nobody in particular may.
const DISCOVERY: [&str; 9] =
    ["/api", "/api/", "/apis", "/apis/", "/healthz", "/livez", "/openapi/", "/readyz", "/version"];
const PUBLIC: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];

#[derive(Debug, Default)]
pub(super) struct Access {
    users: BTreeMap<String, String>,
    rules: BTreeMap<String, Vec<Rule>>,
}

impl Access {
    pub(super) fn admit(&mut self, token: &str, user: &str, rules: &[Rule]) {
        self.users.insert(token.to_owned(), user.to_owned());
        self.rules.entry(user.to_owned()).or_default().extend(rules);
    }

    pub(super) fn expire(&mut self, token: &str) {
        self.users.remove(token);
    }

    /// Who has this `Authorization` header; `None` for a token that is not valid.
    pub(super) fn authenticate(&self, authorization: Option<&str>) -> Option<String> {
        match authorization.and_then(|value| value.strip_prefix("Bearer ")) {
            None => Some(ANONYMOUS.to_owned()),
            Some(token) => self.users.get(token).cloned(),
        }
    }

    pub(super) fn permits(&self, user: &str, verb: &str, target: &Target) -> bool {
        match target {
            Target::Path(path) => {
                let open: &[&str] = if user == ANONYMOUS { &PUBLIC } else { &DISCOVERY };
                verb == "get" && open.iter().any(|at| path == at || at.ends_with('/') && path.starts_with(at))
            }
            Target::Resource { group, resource, .. } => {
                let rules = self.rules.get(user).map_or(&[][..], Vec::as_slice);
                let has = |all: &[&str], wanted: &str| all.iter().any(|one| *one == wanted || *one == "*");
                // A rule names resources of the groups they are in; whoever asks for one of another group gets nothing.
                let in_group = |rule: &&Rule| rule.resources.contains(&"*") || group_of(resource) == group;
                rules.iter().filter(in_group).any(|rule| has(rule.verbs, verb) && has(rule.resources, resource))
            }
        }
    }
}
