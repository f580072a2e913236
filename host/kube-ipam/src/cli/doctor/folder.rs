//! The networks in the directory of a network's file, beside each other: two that share a subnet give out its addresses twice.

use std::path::Path;

use super::check::{Check, Verdict};
use crate::cli::config::{self, NETWORKS, Severity};

/// One check for each two that share something. No check where there is nothing to say: most nodes have one network.
pub(super) fn folder(file: &Path) -> Vec<Check> {
    // Elsewhere, as where a file is only tried, what lies beside it is nobody's network.
    match file.parent() {
        Some(directory) if directory == Path::new(NETWORKS) => beside_each_other(directory),
        _ => Vec::new(),
    }
}

fn beside_each_other(directory: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    for finding in config::rivalries(directory) {
        let verdict = if finding.severity == Severity::Error { Verdict::Bad } else { Verdict::Warning };
        let detail = format!("{}: {}", finding.file, finding.message);
        checks.push(Check { name: "networks", verdict, detail, hint: finding.hint });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_networks_on_one_subnet_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, subnet: &str| {
            let text = format!(
                r#"{{"cniVersion": "1.0.0", "name": "{name}", "type": "bridge", "ipam": {{"type": "kube-ipam", "subnet": "{subnet}"}}}}"#
            );
            std::fs::write(directory.path().join(format!("{name}.conf")), text).unwrap();
        };
        write("blue", "10.1.0.0/16");
        write("red", "10.2.0.0/16");
        assert!(beside_each_other(directory.path()).is_empty());
        write("red", "10.1.2.0/24");
        let checks = beside_each_other(directory.path());
        assert!(checks.len() == 1 && checks[0].verdict == Verdict::Warning, "{checks:?}");
        assert!(checks[0].detail.contains("red.conf") && checks[0].hint.is_some(), "{checks:?}");
    }
}
