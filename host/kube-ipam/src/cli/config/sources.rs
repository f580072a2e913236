//! Where configurations are found: in a file, in every file that a runtime would read of a directory, and in objects
//! that Kubernetes keeps for Multus.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::attachment;
use super::report::{Finding, Place, Severity};
use super::twice::keys_written_twice;
use crate::cli::network::EXTENSIONS;
use crate::config::beside;
use crate::config::file::{Section, sections};
use cni::syntax::problem;
use cni::{Fail, NetConf};

/// Files of Kubernetes objects. A runtime does not read them, but they lie in directories that people check.
const OBJECTS: [&str; 2] = ["yaml", "yml"];

const JSON: &str = "correct the file: JSON has no comments and no comma after the last entry; a file of Kubernetes objects ends in .yaml";

const YAML: &str = "documents are separated by a line with three dashes; text with a colon and a space needs quotes";

/// A file that was read, or a directory that is wrong as a whole.
#[derive(Default)]
pub(super) struct Source {
    pub(super) file: String,
    pub(super) is_directory: bool,
    /// The networks of ours in it.
    pub(super) found: Vec<Found>,
    /// What is wrong with the file itself.
    pub(super) findings: Vec<Finding>,
    /// Whether our name is anywhere in it.
    mentions_us: bool,
    /// The types of the sections that are not ours.
    others: Vec<String>,
}

/// A network of ours.
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) section: Section,
}

/// All that a path names: a file, or a directory as a runtime reads it.
pub(super) fn sources(path: &Path) -> Vec<Source> {
    if path.is_dir() {
        return directory(path);
    }
    let mut source = Source::read(path);
    if source.has_nothing_of_ours() {
        let mut message = "no ipam section of type kube-ipam in the file".to_owned();
        if !source.others.is_empty() {
            message.push_str(&format!(", but of type {}", source.others.join(", ")));
        }
        source.findings.push(Place::file(&source.file).error(message, Some(how_to_call_us())));
    }
    vec![source]
}

fn directory(directory: &Path) -> Vec<Source> {
    let file = directory.display().to_string();
    let files = match files_in(directory) {
        Ok(files) => files,
        Err(error) => {
            let error = Place::file(&file).error(format!("cannot read the directory: {error}"), None);
            return vec![Source { is_directory: true, findings: vec![error], ..Source::new(file) }];
        }
    };
    let mut sources = Vec::new();
    for file in files {
        let mut source = Source::read(&file);
        source.leave_others_alone();
        sources.push(source);
    }
    if sources.iter().all(Source::has_nothing_of_ours) {
        let message = "no ipam section of type kube-ipam in any file of the directory";
        let error = Place::file(&file).error(message, Some(how_to_call_us()));
        sources.push(Source { is_directory: true, findings: vec![error], ..Source::new(file) });
    }
    sources
}

/// In the order in which runtimes take them.
fn files_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = entry?.path();
        let kind = extension(&file);
        // To open a pipe would be to wait for whoever writes into it.
        let is_read = EXTENSIONS.contains(&kind) || OBJECTS.contains(&kind);
        if is_read && !fs::metadata(&file).is_ok_and(|metadata| !metadata.is_file()) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn extension(file: &Path) -> &str {
    file.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

fn how_to_call_us() -> String {
    "\"ipam\": { \"type\": \"kube-ipam\", … } inside a plugin makes the plugin call kube-ipam".to_owned()
}

impl Source {
    fn new(file: String) -> Self {
        Self { file, ..Self::default() }
    }

    fn read(path: &Path) -> Self {
        let mut source = Self::new(path.display().to_string());
        let place = Place::file(&source.file);
        let text = match File::open(path).map_err(|error| format!("cannot read the file: {error}")) {
            Ok(file) => NetConf::bytes(file).map_err(|error| error.message()),
            Err(error) => Err(error),
        };
        match text {
            Ok(text) if text.trim_ascii().is_empty() => {
                let hint = "write the configuration of a network into it, or remove the file".to_owned();
                source.findings.push(place.error("the file is empty", Some(hint)));
            }
            Ok(text) => source.take_apart(path, &text, &place),
            Err(error) => source.findings.push(place.error(error, None)),
        }
        source
    }

    fn take_apart(&mut self, path: &Path, text: &[u8], place: &Place) {
        self.mentions_us = String::from_utf8_lossy(text).contains("kube-ipam");
        let read = if OBJECTS.contains(&extension(path)) { from_yaml(text) } else { from_json(text) };
        match read {
            Ok(documents) => {
                if !OBJECTS.contains(&extension(path)) {
                    self.doubt_repeated_keys(text, place);
                }
                for document in documents {
                    self.doubt_extension(path, &document, place);
                    attachment::take_apart(document, place, self);
                }
            }
            Err(Unreadable { message, hint }) => self.findings.push(place.error(message, Some(hint))),
        }
    }

    /// Take the networks of ours out of a configuration.
    pub(super) fn add(&mut self, configuration: &Value, place: &Place) {
        for section in sections(configuration) {
            self.found.push(Found { place: place.part(&section.path), section });
        }
        if self.found.is_empty() {
            collect_types(configuration, &mut self.others);
        } else {
            self.doubt_keys_beside_plugins(configuration, place);
        }
    }

    /// libcni hands a plugin what stands in it, with the chain's name and version: no ADD can know of the rest.
    fn doubt_keys_beside_plugins(&mut self, configuration: &Value, place: &Place) {
        let (Some(Value::Array(_)), Some(chain)) = (configuration.get("plugins"), configuration.as_object()) else {
            return;
        };
        for key in beside::keys_of_ours(chain) {
            let message = format!("{key} stands beside plugins, where no plugin reads it");
            let hint = "move it into ipam of the plugin that calls kube-ipam".to_owned();
            self.findings.push(place.warning(message, Some(hint)));
        }
    }

    /// JSON with one key twice means something else to every reader.
    pub(super) fn doubt_repeated_keys(&mut self, json: &[u8], place: &Place) {
        for path in keys_written_twice(json) {
            let message = format!("{path} is written twice: runtimes take the last value and drop the others");
            self.findings.push(place.warning(message, Some("remove all but one".to_owned())));
        }
    }

    /// Runtimes tell a chain of plugins from a single one by the name of the file.
    fn doubt_extension(&mut self, path: &Path, document: &Value, place: &Place) {
        let (message, hint) = match (extension(path), document.get("plugins")) {
            (kind @ ("conf" | "json"), Some(_)) => (
                format!("plugins in a file that ends in .{kind}: runtimes take it for a single plugin and refuse it"),
                "rename the file: its name has to end in .conflist",
            ),
            ("conflist", None) => (
                "plugins is missing in a file that ends in .conflist: runtimes refuse it".to_owned(),
                "rename the file to .conf, or put the plugin into plugins",
            ),
            _ => return,
        };
        self.findings.push(place.warning(message, Some(hint.to_owned())));
    }

    /// In a directory, what is not ours is not our business, unless a runtime would stumble over it.
    fn leave_others_alone(&mut self) {
        if self.mentions_us || !self.found.is_empty() {
            return;
        }
        self.findings.retain(|finding| finding.severity == Severity::Error);
        for finding in &mut self.findings {
            finding.severity = Severity::Warning;
        }
    }

    /// A broken file may have been meant as ours.
    fn has_nothing_of_ours(&self) -> bool {
        self.found.is_empty() && self.findings.iter().all(|finding| finding.severity == Severity::Warning)
    }
}

/// Of every `ipam` section.
fn collect_types(value: &Value, types: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let kind = object.get("ipam").and_then(|ipam| ipam.get("type"));
            types.extend(kind.map(Value::to_string));
            object.values().for_each(|value| collect_types(value, types));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_types(value, types)),
        _ => {}
    }
}

/// Why a text is not a configuration.
struct Unreadable {
    message: String,
    hint: String,
}

fn from_json(text: &[u8]) -> Result<Vec<Value>, Unreadable> {
    match serde_json::from_slice(text) {
        Ok(value) => Ok(vec![value]),
        Err(error) => {
            let message = format!("the file is not JSON: {}", problem(text, &error));
            Err(Unreadable { message, hint: JSON.to_owned() })
        }
    }
}

fn from_yaml(text: &[u8]) -> Result<Vec<Value>, Unreadable> {
    let read = match std::str::from_utf8(text) {
        Ok(text) => serde_saphyr::from_multiple(text).map_err(|error| error.without_snippet().to_string()),
        Err(error) => Err(error.to_string()),
    };
    read.map_err(|error| Unreadable { message: format!("the file is not YAML: {error}"), hint: YAML.to_owned() })
}
