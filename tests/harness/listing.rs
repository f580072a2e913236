//! Who holds what, as the operator sees it.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Output};

use serde_json::Value;

use crate::program;
use crate::program::NO_LOG;

/// Each held address and its container, by `kube-ipam list --held`.
pub fn held(configuration: &Value) -> BTreeMap<String, String> {
    let output = operate(&["list", "--held", "-o", "json"], configuration);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = rows.as_array().unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_else(|| panic!("no {key} in {row}")).to_owned();
    let held: BTreeMap<_, _> = rows.iter().map(|row| (text(row, "address"), text(row, "container"))).collect();
    assert_eq!(held.len(), rows.len(), "an address is listed twice");
    held
}

/// A command of operators on a network.
pub fn operate(command: &[&str], configuration: &Value) -> Output {
    let mut file = tempfile::Builder::new().suffix(".conf").tempfile().unwrap();
    file.write_all(configuration.to_string().as_bytes()).unwrap();
    Command::new(program()).envs([NO_LOG]).args(command).arg("--conf").arg(file.path()).output().unwrap()
}
