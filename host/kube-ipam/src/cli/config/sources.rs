//! Where configurations are found: in a file, in the files of a directory that a runtime would read, and in Kubernetes
//! objects for Multus.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::attachment::{Unpacked, unpack};
use super::report::{ConfigFinding, Place, Severity};
use super::twice;
use crate::config::beside;
use crate::config::file::{Section, sections};
use cni::syntax::problem;
use cni::{Fail, NetConf};

/// The extensions of the files that runtimes read.
pub(in crate::cli) const EXTENSIONS: [&str; 3] = ["conf", "conflist", "json"];

/// The extensions of files of Kubernetes objects. Runtimes do not read them, but they are in directories that people check.
const OBJECTS: [&str; 2] = ["yaml", "yml"];

const JSON: &str = "correct the file: JSON has no comments and no comma after the last entry; a file of Kubernetes objects ends in .yaml";

const YAML: &str = "documents are separated by a line with three dashes; text with a colon and a space needs quotes";

/// A file that was read, or a directory with a finding about it as a whole.
#[derive(Default)]
pub(in crate::cli) struct ConfigSource {
    pub(in crate::cli) file: String,
    pub(super) is_directory: bool,
    pub(in crate::cli) found: Vec<NetworkSection>,
    /// What is wrong with the file itself.
    pub(in crate::cli) findings: Vec<ConfigFinding>,
    /// Whether the name of kube-ipam is anywhere in the text.
    mentions_us: bool,
    /// The types of the `ipam` sections for other plugins.
    others: Vec<String>,
}

/// A kube-ipam network, and where it is.
pub(in crate::cli) struct NetworkSection {
    pub(super) place: Place,
    pub(in crate::cli) section: Section,
}

/// Reads what a path names: a file, or the files of a directory that a runtime would read.
pub(in crate::cli) fn sources(path: &Path) -> Vec<ConfigSource> {
    if path.is_dir() {
        return directory(path);
    }
    let mut source = ConfigSource::read(path);
    if source.has_nothing_of_ours() {
        let mut message = "no ipam section of type kube-ipam in the file".to_owned();
        if !source.others.is_empty() {
            message.push_str(&format!(", but of type {}", source.others.join(", ")));
        }
        source.findings.push(Place::file(&source.file).error(message, Some(how_to_call_us())));
    }
    vec![source]
}

fn directory(directory: &Path) -> Vec<ConfigSource> {
    let file = directory.display().to_string();
    let files = match files_in(directory) {
        Ok(files) => files,
        Err(error) => {
            let error = Place::file(&file).error(format!("cannot read the directory: {error}"), None);
            return vec![ConfigSource { is_directory: true, findings: vec![error], ..ConfigSource::new(file) }];
        }
    };
    let mut sources = Vec::new();
    for file in files {
        let mut source = ConfigSource::read(&file);
        source.leave_others_alone();
        sources.push(source);
    }
    if sources.iter().all(ConfigSource::has_nothing_of_ours) {
        let message = "no ipam section of type kube-ipam in any file of the directory";
        let error = Place::file(&file).error(message, Some(how_to_call_us()));
        sources.push(ConfigSource { is_directory: true, findings: vec![error], ..ConfigSource::new(file) });
    }
    sources
}

/// The files of a directory, in the order in which runtimes read them.
fn files_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = entry?.path();
        let kind = extension(&file);
        if !EXTENSIONS.contains(&kind) && !OBJECTS.contains(&kind) {
            continue;
        }
        // Opening a pipe would wait until another process writes into it. What cannot be looked at is not left out, so that
        // reading it reports why.
        let is_special = fs::metadata(&file).is_ok_and(|metadata| !metadata.is_file());
        if !is_special {
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

impl ConfigSource {
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
        let is_yaml = OBJECTS.contains(&extension(path));
        let read = if is_yaml { from_yaml(text) } else { from_json(text) };
        let documents = match read {
            Ok(documents) => documents,
            Err(Unreadable { message, hint }) => return self.findings.push(place.error(message, Some(hint))),
        };
        // Repeated keys of YAML are errors, which its parser has reported.
        if !is_yaml {
            self.findings.extend(twice::doubts(text, place));
        }
        for document in documents {
            self.doubt_extension(path, &document, place);
            for Unpacked { place, configuration, findings } in unpack(document, place) {
                self.findings.extend(findings);
                if let Some(configuration) = configuration {
                    self.add(&configuration, &place);
                }
            }
        }
    }

    /// Adds the kube-ipam networks of a configuration.
    fn add(&mut self, configuration: &Value, place: &Place) {
        for section in sections(configuration) {
            self.found.push(NetworkSection { place: place.part(&section.path), section });
        }
        if self.found.is_empty() {
            collect_types(configuration, &mut self.others);
        } else {
            self.doubt_keys_beside_plugins(configuration, place);
        }
    }

    /// Warns of our keys beside `plugins`. libcni passes to a plugin its own object with the name and version of the list, so
    /// that no ADD can see what else is there.
    fn doubt_keys_beside_plugins(&mut self, configuration: &Value, place: &Place) {
        let Value::Object(list) = configuration else { return };
        if !configuration["plugins"].is_array() {
            return;
        }
        for key in beside::keys_of_ours(list) {
            let message = format!("{key} stands beside plugins, where no plugin reads it");
            let hint = "move it into ipam of the plugin that calls kube-ipam".to_owned();
            self.findings.push(place.warning(message, Some(hint)));
        }
    }

    /// Warns where the extension does not fit: runtimes tell a list of plugins from a single one by the name of the file.
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

    /// Keeps of the findings about another plugin's file only errors, as warnings: a runtime may stumble over the file.
    fn leave_others_alone(&mut self) {
        if self.mentions_us || !self.found.is_empty() {
            return;
        }
        self.findings.retain(|finding| finding.severity == Severity::Error);
        for finding in &mut self.findings {
            finding.severity = Severity::Warning;
        }
    }

    /// Whether nothing here is meant for kube-ipam. A broken file may be: with an error in it, the answer is no.
    fn has_nothing_of_ours(&self) -> bool {
        self.found.is_empty() && self.findings.iter().all(|finding| finding.severity == Severity::Warning)
    }
}

/// Collects the `type` of every `ipam` section, as JSON.
fn collect_types(value: &Value, types: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let kind = object.get("ipam").and_then(|ipam| ipam.get("type"));
            types.extend(kind.map(Value::to_string));
            for inner in object.values() {
                collect_types(inner, types);
            }
        }
        Value::Array(values) => {
            for inner in values {
                collect_types(inner, types);
            }
        }
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
