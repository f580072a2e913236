//! Judges every kube-ipam network in some files: by itself, by the files that it names, and beside the other networks.

use std::io;
use std::path::Path;

use serde_json::Value;

use super::NETWORKS;
use super::named::{self, FileRole, Files, NamedFile};
use super::report::{ConfigFinding, ConfigReport, Place, Severity};
use super::sources::{NetworkSection, sources};
use crate::cli::typed::quoted;
use crate::config::doubts::{Claimed, between, of_network};
use crate::config::file::Section;
use crate::config::unknown::unknown_keys;
use crate::config::{self, Network, beside};
use crate::verbs::fail::ONE_PLUGIN_OF_A_LIST;
use cni::{Fail, NetConf};

/// Checks every kube-ipam network in some files and directories.
pub fn check(paths: &[impl AsRef<Path>], files: Files) -> ConfigReport {
    let mut report = ConfigReport::default();
    let mut earlier = Vec::new();
    for source in paths.iter().flat_map(|path| sources(path.as_ref())) {
        report.networks += source.found.len();
        report.findings.extend(source.findings);
        for NetworkSection { place, section } in &source.found {
            let netconf = NetConf::parse(&section.json());
            let option = option(&source.file, source.found.len(), section);
            for finding in check_section(section, &netconf, place, files.for_file(&source.file)) {
                report.findings.push(finding.naming(&option));
            }
            let Some(claimed) = netconf.ok().and_then(|netconf| Claimed::by(&netconf)) else { continue };
            report.findings.extend(rivalry(&earlier, &claimed, place));
            earlier.push((claimed, place.clone()));
        }
        if !source.is_directory {
            report.files.push(source.file);
        }
    }
    report
}

/// The options by which a command finds a network of a file again that has so many of them.
fn option(file: &str, networks: usize, section: &Section) -> String {
    let name = section.configuration.get("name").and_then(Value::as_str).unwrap_or_default();
    let of_network = if name.is_empty() { String::new() } else { format!(" --network {}", quoted(name)) };
    if Path::new(file).parent() == Some(Path::new(NETWORKS)) {
        return of_network;
    }
    let of_file = format!(" --conf {}", quoted(file));
    if networks == 1 { of_file } else { of_file + &of_network }
}

/// What the kube-ipam networks of a directory claim of each other's, and nothing else about them.
pub(crate) fn rivalries(directory: &Path) -> Vec<ConfigFinding> {
    let (mut findings, mut earlier) = (Vec::new(), Vec::new());
    for NetworkSection { place, section } in sources(directory).iter().flat_map(|source| &source.found) {
        let netconf = NetConf::parse(&section.json());
        let Some(claimed) = netconf.ok().and_then(|netconf| Claimed::by(&netconf)) else { continue };
        findings.extend(rivalry(&earlier, &claimed, place));
        earlier.push((claimed, place.clone()));
    }
    findings
}

fn check_section(
    section: &Section,
    netconf: &Result<NetConf, cni::Error>,
    place: &Place,
    files: Files,
) -> Vec<ConfigFinding> {
    let mut errors = match netconf {
        Ok(netconf) => Network::errors(netconf),
        Err(_) => Vec::new(),
    };
    // An ADD stops at its first error, and knows only the parts that it has read. Here the whole section is examined.
    let unknown = section.ipam().map(unknown_keys).unwrap_or_default();
    let misplaced = netconf.iter().flat_map(beside::errors);
    for error in unknown.into_iter().map(config::Error::from).chain(misplaced) {
        // The same error may have kept a part from being read, and is in the list already.
        if !errors.iter().any(|known| known.to_string() == error.to_string()) {
            errors.push(error);
        }
    }
    let (mut findings, mut missing) = (Vec::new(), Vec::new());
    for error in errors {
        match missing_file(&error) {
            // Whether a file exists depends on the machine; it is judged with all other files that the network names.
            Some(named) if files != Files::Unasked => missing.push(named),
            _ => findings.push(place.error(error.message(), error.hint())),
        }
    }
    match netconf {
        Ok(netconf) => findings.extend(named::check(netconf, missing, place, files)),
        Err(error) => findings.push(place.error(error.message(), error.hint())),
    }
    for key in netconf.iter().flat_map(beside::ignored) {
        let hint = "move it into ipam, unless it is the main plugin's own".to_owned();
        findings.push(place.warning(format!("{key} stands beside ipam, where kube-ipam does not read it"), Some(hint)));
    }
    for doubt in netconf.iter().flat_map(of_network) {
        let severity = if doubt.is_refused { Severity::Error } else { Severity::Warning };
        findings.push(place.finding(severity, doubt.message, Some(doubt.hint)));
    }
    findings
}

/// The field and the file of an error that says that a file does not exist.
fn missing_file(error: &config::Error) -> Option<NamedFile> {
    match error {
        config::Error::File { field, file, source } if source.kind() == io::ErrorKind::NotFound => {
            Some(NamedFile::new(field, file, FileRole::Needed))
        }
        _ => None,
    }
}

/// A finding about two networks that claim the same: an error where they are plugins of one list, a warning where they share
/// a subnet, which may be meant. One finding for each network is enough: where many share a subnet, each is compared with
/// the first of them.
fn rivalry(earlier: &[(Claimed, Place)], claimed: &Claimed, place: &Place) -> Option<ConfigFinding> {
    for (other, of_it) in earlier {
        if of_it.shares_a_list_with(place) && claimed.has_attachments_of(other) {
            return Some(asked_twice(claimed.network(), of_it, place));
        }
    }
    let doubt = earlier.iter().find_map(|(other, of_it)| between(claimed, other, &of_it.to_string()))?;
    Some(place.warning(doubt.message, Some(doubt.hint)))
}

/// A runtime calls all plugins of a list for one interface of a container.
fn asked_twice(network: &str, earlier: &Place, place: &Place) -> ConfigFinding {
    let message = format!(
        "network {network:?} asks kube-ipam twice for the addresses of one interface, here and in {}: the second ADD is \
         refused",
        earlier.section
    );
    place.error(message, Some(ONE_PLUGIN_OF_A_LIST.to_owned()))
}
