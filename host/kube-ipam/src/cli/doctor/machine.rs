//! The node's name and the machine's ID, and claims that have only one of the two.

use super::check::{Check, Verdict};
use crate::cli::network::Opened;
use crate::cli::output;
use crate::config::Base;
use store::StoreConfig;
use store::StrayClaims;

/// Whether claims can be made in the node's name, and where the name is from.
pub(super) fn node(base: &Base) -> Check {
    let origin = if base.node_given { "ipam.nodeName" } else { "the host name" };
    match base.check_node() {
        Ok(()) => Check::good("node", format!("{} (from {origin})", base.node)),
        Err(error) => Check::failed("node", &error.into()),
    }
}

/// GC on this node releases only claims that have both its name and its machine ID. Warns of those that have one of them.
pub(super) async fn machine(opened: &Opened) -> Vec<Check> {
    let Base { node, machine, store, .. } = &opened.base;
    let strays = match opened.store.strays(node, machine).await {
        Ok(strays) => strays,
        Err(error) => return vec![Check::failed("machine", &error.into())],
    };
    let mut checks = Vec::new();
    if machine.is_empty() && matches!(store, StoreConfig::Etcd(_)) {
        checks.push(warning(
            "this machine has no ID, so it cannot be told apart from another one of the same name".to_owned(),
            "systemd-machine-id-setup writes /etc/machine-id; claims carry it from then on".to_owned(),
        ));
    }
    for (former, under) in strays.former_names {
        let detail = format!("{} of this machine under its former name {former:?}", counted(&under));
        let hint = format!(
            "GC releases none of them: set ipam.nodeName back to {former:?}; or leave them to their DEL, and to `{}` once \
             their pods are gone",
            opened.command("reclaim")
        );
        checks.push(warning(detail, hint));
    }
    for (other, under) in strays.other_machines {
        let whose =
            if other.is_empty() { "an unknown machine".to_owned() } else { format!("another machine ({other})") };
        let detail = format!("{} of {whose} under this node's name", counted(&under));
        let hint = format!(
            "where another machine has this name, give each its own (ipam.nodeName, or the host name); where this node \
             was installed again, `{}` releases them once their pods are gone",
            opened.command("reclaim")
        );
        checks.push(warning(detail, hint));
    }
    if checks.is_empty() {
        let name = if machine.is_empty() { "unknown" } else { machine };
        checks.push(Check::good("machine", format!("{name}; no claims under another name or of another machine")));
    }
    checks
}

fn counted(under: &StrayClaims) -> String {
    format!("{} (for example {})", output::counted(under.count, "claim"), under.example)
}

fn warning(detail: String, hint: String) -> Check {
    Check { name: "machine", verdict: Verdict::Warning, detail, hint: Some(hint) }
}
