//! Each file and folder in `cases` is named for its fault; one snapshot says what the command prints of all of them.
//!
//! To add a case, write the file and run the tests with `INSTA_UPDATE=always`. What begins with `good` has no fault.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::config::{Base, Network};
use cni::{Args, NetConf};
use spelling::schema::properties;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/cases/");
const CASES_OF_ADD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/cases/");

fn cases() -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_none_or(|kind| kind != "snap"));
    paths.sort();
    assert!(paths.len() > 100, "the cases are gone");
    paths
}

#[test]
fn every_file_is_judged_as_the_snapshot_says() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../cases");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut judged = String::new();
    for path in cases() {
        let report = check(&[&path], Files::Elsewhere);
        let name = path.file_name().unwrap().to_str().unwrap();
        judged.push_str(&format!("{name}: exit {}\n", u8::from(report.has_errors())));
        for finding in &report.findings {
            let printed = finding.to_string().replace(CASES, "");
            let printed = printed.strip_prefix(&format!("{name}: ")).unwrap_or(&printed).to_owned();
            judged.push_str(&format!("  {}\n", printed.replace('\n', "\n  ")));
        }
    }
    settings.bind(|| insta::assert_snapshot!("every_file", judged));
}

#[test]
fn every_fault_is_told_and_names_a_field_or_the_file() {
    let mut untold = Vec::new();
    for path in cases() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let report = check(&[path], Files::Elsewhere);
        if report.findings.is_empty() && !name.starts_with("good") {
            untold.push(name.clone());
        }
        for finding in &report.findings {
            let words = [
                "ipam",
                "name",
                "cniVersion",
                "policy",
                "network",
                "subnet",
                "spec.config",
                "args",
                "capabilities",
                "file",
                "plugins",
                "directory",
            ];
            assert!(words.iter().any(|word| finding.message.contains(word)), "{name}: {}", finding.message);
            let length = finding.message.len() + finding.hint.as_deref().unwrap_or_default().len();
            assert!(length <= 700, "{name}: {length} characters: {}", finding.message);
        }
    }
    assert_eq!(untold, Vec::<String>::new());
}

/// What the environment of a call brings is not in the file: such cases are not a contradiction.
#[test]
fn what_an_add_refuses_is_an_error_and_nothing_else_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("10-blue.conf");
    let mut judged = 0;
    for entry in fs::read_dir(CASES_OF_ADD).unwrap() {
        let case = entry.unwrap().path();
        let mut configuration: Value = match fs::read(&case) {
            Ok(text) if case.extension().is_some_and(|kind| kind == "json") => serde_json::from_slice(&text).unwrap(),
            _ => continue,
        };
        let Some(ipam) = configuration.get_mut("ipam").and_then(Value::as_object_mut) else { continue };
        ipam.entry("nodeName").or_insert("node-1".into());
        ipam.insert("type".to_owned(), json!("kube-ipam"));
        // Of the settings of a policy the module knows more than an ADD's first look.
        if ipam.get("policy").is_some_and(|policy| policy.get("settings").is_some()) {
            continue;
        }
        fs::write(&file, configuration.to_string()).unwrap();
        let add = NetConf::parse(configuration.to_string().as_bytes()).map_err(crate::config::Error::from).and_then(
            |netconf| {
                Base::read(&netconf)?.check_node()?;
                Network::read(&netconf, &Args::default())
            },
        );
        let report = check(&[&file], Files::OnNode);
        let refused = add.is_err() || report.to_string().contains("which does not exist: an ADD fails");
        assert_eq!(report.has_errors(), refused, "{}: {report}", case.display());
        judged += 1;
    }
    assert!(judged > 60, "{judged} cases");
}

#[test]
fn a_path_that_is_not_there_is_an_error() {
    let report = check(&[PathBuf::from("/does/not/exist.conf")], Files::Elsewhere);
    assert!(report.has_errors());
    assert!(report.findings[0].message.starts_with("cannot read the file: "), "{report}");
}

#[test]
fn programs_get_every_finding_with_its_file() {
    let report = check(&[PathBuf::from(CASES).join("subnet-host-bits.conf")], Files::Elsewhere);
    let json = serde_json::to_string_pretty(&report).unwrap().replace(CASES, "");
    insta::assert_snapshot!(json, @r#"
    {
      "files": [
        "subnet-host-bits.conf"
      ],
      "networks": 1,
      "findings": [
        {
          "severity": "warning",
          "file": "subnet-host-bits.conf",
          "message": "ipam.subnet is 10.188.0.7/16, which has host bits: it is treated as 10.188.0.0/16",
          "hint": "write 10.188.0.0/16; to begin at 10.188.0.7, set rangeStart, and if it is the router's, gateway"
        }
      ]
    }
    "#);
}

#[test]
fn people_get_every_finding_with_its_file_and_the_sum() {
    let names = ["subnet-host-bits.conf", "timeout-number.conf", "folder-two-domains-on-one-subnet"];
    let report = check(&names.map(|name| PathBuf::from(CASES).join(name)), Files::Elsewhere);
    let printed = report.to_string().replace(CASES, "");
    let mut beginnings = Vec::new();
    for line in printed.lines() {
        beginnings.push(line.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
    }
    let expected = [
        "subnet-host-bits.conf: warning: ipam.subnet",
        "hint: write 10.188.0.0/16;",
        "timeout-number.conf: error: ipam.timeout",
        "hint: correct the",
        "folder-two-domains-on-one-subnet/10-blue.conf: warning: network",
        "hint: give both",
        "folder-two-domains-on-one-subnet/20-red.conf: warning: network",
        "hint: give both",
        "4 files: 4",
    ];
    assert_eq!(beginnings, expected);
    assert!(printed.ends_with("4 files: 4 kube-ipam networks, 1 error, 3 warnings"), "{printed}");
}

#[test]
fn a_missing_file_is_a_note_elsewhere_and_an_error_on_the_node() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("10-blue.conf");
    let ipam = json!({
        "type": "kube-ipam", "nodeName": "node-1", "subnet": "10.188.0.0/16",
        "resolvConf": "/absent/resolv.conf", "kubeConfig": "/absent/kubeconfig", "logFile": "/absent/log",
        "policy": {"module": "/absent/site.wasm", "shadow": "/absent/next.wasm"},
        "etcdConfig": {"etcdURL": "https://10.0.0.1:2379", "etcdTrustedCAFileFile": "/absent/ca.pem"},
    });
    fs::write(&file, json!({"cniVersion": "1.0.0", "name": "blue", "type": "macvlan", "ipam": ipam}).to_string())
        .unwrap();
    let elsewhere = check(&[&file], Files::Elsewhere);
    assert_eq!(elsewhere.findings.len(), 1, "{elsewhere}");
    assert_eq!(elsewhere.findings[0].severity, Severity::Note);
    let on_node = check(&[&file], Files::OnNode);
    let told: Vec<_> = on_node.findings.iter().map(|finding| (finding.severity, finding.message.as_str())).collect();
    for (field, path, severity) in [
        ("ipam.etcdConfig.etcdTrustedCAFileFile", "/absent/ca.pem", Severity::Error),
        ("ipam.policy.module", "/absent/site.wasm", Severity::Error),
        ("ipam.policy.shadow", "/absent/next.wasm", Severity::Warning),
        ("ipam.kubeConfig", "/absent/kubeconfig", Severity::Error),
        ("ipam.resolvConf", "/absent/resolv.conf", Severity::Error),
        ("ipam.logFile", "/absent", Severity::Warning),
    ] {
        let consequence = if severity == Severity::Error { "an ADD fails" } else { "an ADD goes on without it" };
        let named = format!("{field} {} {path}", if path == "/absent" { "is a file in" } else { "names" });
        assert!(elsewhere.findings[0].message.contains(&named), "{elsewhere}");
        let message = format!("{named}, which does not exist: {consequence}");
        assert!(told.contains(&(severity, message.as_str())), "{message}: {on_node}");
    }
    assert_eq!(told.len(), 6, "{on_node}");
    let unasked = check(&[file], Files::Unasked);
    assert_eq!(unasked.findings.len(), 1, "resolvConf is read with the configuration: {unasked}");
}

#[test]
fn a_module_is_compared_with_its_digest_and_may_be_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let (file, module) = (directory.path().join("10-blue.conf"), directory.path().join("site.wasm"));
    fs::write(&module, b"\0asm").unwrap();
    let found = |on_fault: &str| {
        let policy = json!({"module": module, "sha256": "ab".repeat(32), "onFault": on_fault});
        let ipam = json!({"type": "kube-ipam", "nodeName": "node-1", "subnet": "10.188.0.0/16", "policy": policy});
        fs::write(&file, json!({"cniVersion": "1.0.0", "name": "blue", "ipam": ipam}).to_string()).unwrap();
        let mut report = check(&[&file], Files::Elsewhere);
        assert_eq!(report.findings.len(), 1, "{report}");
        report.findings.remove(0)
    };
    let fails = found("fail");
    assert!(fails.message.starts_with("ipam.policy.module: policy ") && fails.message.contains("not the pinned one"));
    assert_eq!(fails.severity, Severity::Error);
    let replaced = found("default");
    assert!(replaced.message.ends_with("; the built-in policy decides instead"), "{}", replaced.message);
    assert_eq!(replaced.severity, Severity::Warning);
}

#[test]
fn networks_of_several_paths_are_judged_beside_each_other() {
    let folder = Path::new(CASES).join("folder-two-networks-on-one-subnet");
    let apart = [folder.join("10-blue.conf"), folder.join("20-red.conflist")];
    let together = check(&apart, Files::Elsewhere);
    assert_eq!((together.files.len(), together.networks), (2, 2));
    assert_eq!(together.findings, check(&[folder], Files::Elsewhere).findings);
    assert_eq!(together.findings.len(), 1, "{together}");
}

#[test]
fn the_schema_describes_every_key() {
    fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
        for (key, schema) in properties(schema).into_iter().flatten() {
            let path = format!("{path}.{key}");
            if schema.get("description").is_none() {
                found.push(path.clone());
            }
            undescribed(schema, &path, found);
        }
    }
    let mut found = Vec::new();
    undescribed(&schema(), "ipam", &mut found);
    assert_eq!(found, Vec::<String>::new());
    insta::assert_snapshot!("schema", serde_json::to_string_pretty(&schema()).unwrap());
}
