//! Metrics as Prometheus reads them, and promtool, which judges them as Prometheus would.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::listing::operate;

/// One line of an exposition.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// What `kube-ipam metrics` prints for a network; it must have succeeded, and said nothing else.
pub fn exposition(configuration: &Value, options: &[&str]) -> String {
    let output = operate(&[&["metrics"], options].concat(), configuration);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The samples of an exposition. Label values of ours have neither quotes nor commas before a name.
pub fn samples(exposition: &str) -> Vec<Sample> {
    let lines = exposition.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line}"))).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut found = BTreeMap::new();
    for label in labels.strip_suffix('}')?.split_terminator("\",").filter(|label| !label.is_empty()) {
        let (key, value) = label.split_once("=\"")?;
        found.insert(key.to_owned(), value.trim_end_matches('"').to_owned());
    }
    Some(Sample { name: name.to_owned(), labels: found, value: value.parse().ok()? })
}

/// The sum of the samples that have this name and these labels; `None` where there is none.
pub fn sum_of(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let has = |sample: &&Sample| {
        let mut wanted = labels.iter();
        sample.name == name && wanted.all(|(key, value)| sample.labels.get(*key).is_some_and(|known| known == value))
    };
    let found: Vec<f64> = samples.iter().filter(has).map(|sample| sample.value).collect();
    if found.is_empty() { None } else { Some(found.iter().sum()) }
}

/// Run promtool with this on stdin; what it says where it is not content.
pub fn promtool(arguments: &[&str], stdin: &str) -> Result<(), String> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/promtool");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("promtool is needed, `make tools` fetches it: {error}"));
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(told) }
}
