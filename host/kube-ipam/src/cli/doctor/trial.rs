//! Whether the policy decides: it is asked for a pod that wants nothing in particular.

use super::check::Check;
use crate::cli::network::Opened;
use crate::config::Network;
use crate::verbs::{self, Error, TRIED_NAMESPACE};
use engine::Policy;
use ipam::Assignment;

/// Nothing is claimed, recorded or counted. A refusal is a decision, too: which namespaces get addresses is the site's to say.
pub(super) async fn trial(opened: &Opened, network: &Network, policy: &Policy) -> Check {
    let name = "decision";
    match verbs::try_policy(&opened.base, network, policy, &opened.store).await {
        Ok(proposals) => {
            let first = proposals.first().map(|proposal| listed(proposal)).unwrap_or_default();
            Check::good(name, format!("a pod in namespace {TRIED_NAMESPACE} would get {first}"))
        }
        Err(Error::Refused { refusal }) => {
            Check::good(name, format!("a pod in namespace {TRIED_NAMESPACE} would be refused: {refusal}"))
        }
        Err(error) => Check::failed(name, &error),
    }
}

fn listed(proposal: &[Assignment]) -> String {
    let addresses: Vec<String> = proposal.iter().map(|assignment| assignment.address.to_string()).collect();
    addresses.join(", ")
}
