//! The networks of a file or directory, each with the options that lead a command to it again.

use std::path::Path;

use serde_json::Value;

use super::{NetworkError, Opened};
use crate::cli::config::{Severity, sources};
use crate::cli::output::CommandError;
use crate::cli::typed::quoted;

/// A network as a configuration has it.
#[derive(Clone, Debug)]
pub(crate) struct FoundNetwork {
    /// Empty where the configuration has none.
    pub(crate) name: String,
    /// The file that it is in.
    pub(crate) file: String,
    /// The options by which a command finds it: ` --network blue`.
    pub(crate) option: String,
    /// As a main plugin would pass it on stdin.
    pub(crate) configuration: Vec<u8>,
}

impl FoundNetwork {
    /// The network and where it is, for people.
    pub(crate) fn title(&self) -> String {
        format!("{} ({})", self.name, self.file)
    }

    pub(crate) fn open(&self) -> Result<Opened, CommandError> {
        Opened::new(self)
    }

    /// Open it so that nothing can be written to its store.
    pub(in crate::cli) fn open_to_read(&self) -> Result<Opened, CommandError> {
        Opened::read_only(self)
    }
}

/// The networks of a file, of Kubernetes objects or of a directory: at least one. A directory that nobody named has files of
/// other plugins, of which one that cannot be read says nothing about ours.
pub(super) fn networks_in(path: &Path, is_given: bool) -> Result<Vec<FoundNetwork>, NetworkError> {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for source in sources(path) {
        for network in &source.found {
            let name = network.section.configuration.get("name").and_then(Value::as_str).unwrap_or_default();
            found.push(FoundNetwork {
                name: name.to_owned(),
                file: source.file.clone(),
                option: String::new(),
                configuration: network.section.json(),
            });
        }
        errors.extend(source.findings.into_iter().filter(|finding| finding.severity == Severity::Error));
    }
    if found.is_empty() {
        let (mut message, mut hint) = (format!("{}: no network", path.display()), None);
        if let Some(finding) = errors.into_iter().next() {
            message = format!("{}: {}", finding.file, finding.message);
            hint = finding.hint;
        }
        let hint = Some(hint.unwrap_or_else(|| "name a network's file with --conf FILE".to_owned()));
        return Err(NetworkError::Unusable { message, hint });
    }
    for finding in errors {
        tracing::warn!("{}: {}", finding.file, finding.message);
    }
    let given = if is_given { Some(path) } else { None };
    for nth in 0..found.len() {
        found[nth].option = option(&found[nth], &found, given);
    }
    Ok(found)
}

/// The shortest options that mean this network and no other.
fn option(network: &FoundNetwork, all: &[FoundNetwork], given: Option<&Path>) -> String {
    let namesakes = all.iter().filter(|other| other.name == network.name).count();
    let neighbours = all.iter().filter(|other| other.file == network.file).count();
    let name = if network.name.is_empty() { String::new() } else { format!(" --network {}", quoted(&network.name)) };
    let of_file = format!(" --conf {}", quoted(&network.file));
    match given {
        None if namesakes == 1 && !name.is_empty() => name,
        Some(directory) if namesakes == 1 && directory.is_dir() => {
            format!(" --conf {}{name}", quoted(&directory.display().to_string()))
        }
        _ if neighbours == 1 => of_file,
        _ => of_file + &name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn network(name: &str) -> Value {
        serde_json::json!({"cniVersion": "1.1.0", "name": name, "type": "bridge", "ipam": {"type": "kube-ipam"}})
    }

    fn options(path: &Path, is_given: bool) -> Vec<String> {
        let found = networks_in(path, is_given).unwrap();
        let directory = path.parent().unwrap().display().to_string();
        found.into_iter().map(|network| network.option.replace(&directory, "…")).collect()
    }

    #[test]
    fn an_option_means_one_network_and_no_other() {
        let above = tempfile::tempdir().unwrap();
        let directory = above.path().join("net.d");
        fs::create_dir(&directory).unwrap();
        let write = |name: &str, text: &Value| fs::write(directory.join(name), text.to_string()).unwrap();
        write("10-blue.conf", &network("blue"));
        write(
            "20-others.conf",
            &serde_json::json!({"type": "multus", "delegates": [network("red"), network("green")]}),
        );
        assert_eq!(options(&directory, false), [" --network blue", " --network red", " --network green"]);
        assert_eq!(options(&directory, true)[1], " --conf …/net.d --network red");
        assert_eq!(options(&directory.join("10-blue.conf"), true), [" --conf …/10-blue.conf"]);
        assert_eq!(options(&directory.join("20-others.conf"), true)[1], " --conf …/20-others.conf --network green");
        write("30 blue.conf", &network("blue"));
        let all = options(&directory, false);
        assert_eq!(
            (all[0].as_str(), all[3].as_str()),
            (" --conf …/net.d/10-blue.conf", " --conf '…/net.d/30 blue.conf'")
        );
    }

    #[test]
    fn a_file_of_objects_has_networks_and_a_broken_one_hides_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let object = serde_json::json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": "red"}, "spec": {"config": network("").to_string()}});
        fs::write(directory.path().join("red.yaml"), object.to_string()).unwrap();
        fs::write(directory.path().join("00-broken.conf"), "{\"type\": \"kube-ipam\"").unwrap();
        let found = networks_in(directory.path(), false).unwrap();
        assert_eq!(found.iter().map(|network| network.name.as_str()).collect::<Vec<_>>(), ["red"]);
        let error = networks_in(&directory.path().join("00-broken.conf"), true).unwrap_err().to_string();
        assert!(error.contains("00-broken.conf: the file is not JSON"), "{error}");
    }
}
