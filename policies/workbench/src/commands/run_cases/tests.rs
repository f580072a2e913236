//! The command on directories of cases, with the policy inside this program.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::*;

/// A directory with these cases.
struct Site(TempDir);

impl Site {
    fn of(cases: &[(&str, &str)]) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        fs::create_dir(site.0.path().join("tests")).unwrap();
        cases.iter().for_each(|(name, text)| fs::write(site.file(name), text).unwrap());
        site
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("tests").join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    fn options(&self) -> TestOptions {
        TestOptions {
            paths: vec![self.0.path().to_owned()],
            module: Some("builtin".into()),
            update: false,
            junit: None,
            output: OutputArgs { output: Format::Table },
        }
    }

    /// What is printed, without the directory's name, and the exit code.
    fn run(&self, options: &TestOptions) -> (String, u8) {
        let output = run_cases(options).unwrap();
        (self.anonymous(&output.text), output.exit)
    }

    fn refused(&self, options: &TestOptions) -> String {
        self.anonymous(&run_cases(options).unwrap_err().to_string())
    }

    fn anonymous(&self, text: &str) -> String {
        text.replace(self.0.path().to_str().unwrap(), "DIR")
    }
}

const GOOD: &str = "
about: One address after another
network: { subnet: 10.0.0.0/24 }
held: [10.0.0.2-10.0.0.9, { address: 10.0.0.11, by: shop/web-0 }]
steps:
  - allocate: { pod: default/web-0, annotations: { kube-ipam.ip: 10.0.0.77 }, labels: {}, node: node-1, container: c1 }
    expect: { addresses: [10.0.0.77/24], gateways: [10.0.0.1], fuel: 50000 }
  - allocate: { pod: default/web-1 }
    expect: { outside: [10.0.0.0/29, 10.0.0.11], kind: dynamic }
  - release: c1
  - advance: 30s
  - allocate: { pod: default/web-2, annotations: { kube-ipam.ip: nonsense } }
    expect: { refused: invalid, says: kube-ipam.ip }
";

/// Every kind of expectation, none of them met.
const BAD: &str = r#"
network: { subnet: 10.0.0.0/24 }
held: [10.0.0.2-10.0.0.9, { address: 10.0.0.11, by: "shop/web-0\e[31m" }]
kept: [{ address: 10.0.0.20, identity: somebody, for: 1h }]
steps:
  - allocate: { pod: shop/a, node: node-7, interface: net1, annotations: { kube-ipam.ip: 10.0.0.77 } }
    expect: { addresses: [10.0.0.78], gateways: [10.0.0.1], kind: dynamic, hold: { seconds: 60 }, fuel: 1 }
  - allocate: {}
    expect:
      inside: [10.0.0.16/28, 10.0.0.40]
      outside: 10.0.0.0/28
      same-as: c1
      log: a word
      proposals: [10.0.0.12, [10.0.0.13, fd00::13]]
  - allocate: { pod: shop/b, annotations: { kube-ipam.ip: 10.0.0.11 } }
    expect: { addresses: 10.0.0.11, inside: 10.0.0.0/24 }
  - allocate: { pod: shop/c, annotations: { kube-ipam.ip: 10.0.0.11 } }
    expect: { refused: denied, says: [10.0.0.11, quota] }
  - allocate: { pod: shop/d }
    expect: { refused: exhausted }
  - allocate: { pod: shop/e, annotations: { kube-ipam.ip: "what?" } }
  - contend: [{ pod: shop/f }, { pod: shop/g }]
    expect: { all: { inside: fd00::/64 } }
"#;

#[test]
fn a_case_that_is_right_passes() {
    let site = Site::of(&[("good.yaml", GOOD), ("native.json", "[{\"case\": \"steps\"}]")]);
    let (text, exit) = site.run(&site.options());
    assert_eq!((text.as_str(), exit), ("✓ DIR/tests/good.yaml: One address after another\n\n1 passed, 0 failed", 0));
}

#[test]
fn what_is_not_as_expected_is_shown_beside_it() {
    let site = Site::of(&[("bad.yaml", BAD), ("good.yaml", GOOD)]);
    let (text, exit) = site.run(&site.options());
    assert_eq!(exit, 1);
    assert!(text.ends_with("\n1 passed, 1 failed"));
    assert!(!text.contains('\u{1b}'), "a terminal is not reached");
    // What a run takes changes with every edit of the policy.
    let is_fuel = |line: &&str| line.trim_start().starts_with("+ fuel: ");
    assert_eq!(text.lines().filter(is_fuel).count(), 1);
    let stable: Vec<_> = text.lines().map(|line| if is_fuel(&line) { "    + fuel: …" } else { line }).collect();
    insta::assert_snapshot!("bad", stable.join("\n"));
}

#[test]
fn programs_are_told_the_same() {
    let site = Site::of(&[("bad.yaml", BAD), ("good.yaml", GOOD)]);
    let options = TestOptions { output: OutputArgs { output: Format::Json }, ..site.options() };
    let report: Value = serde_json::from_str(&run_cases(&options).unwrap().text).unwrap();
    assert_eq!((&report["passed"], &report["failed"]), (&1.into(), &1.into()));
    let first = &report["cases"][0]["answers"][0];
    assert_eq!((&first["step"], &first["line"], &first["passed"]), (&1.into(), &6.into(), &false.into()));
    assert_eq!(first["observed"]["addresses"][0], "10.0.0.77/24");
    let keys: Vec<_> = first["unmet"].as_array().unwrap().iter().map(|unmet| unmet["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["addresses", "kind", "hold", "fuel"]);
    assert_eq!(report["cases"][1]["passed"], true);
}

#[test]
fn continuous_integration_is_told_the_same() {
    let site = Site::of(&[("bad.yaml", BAD), ("good.yaml", GOOD), ("none.yaml", "steps: 3")]);
    let junit = site.0.path().join("junit.xml");
    let (text, _) = site.run(&TestOptions { junit: Some(junit.clone()), ..site.options() });
    assert!(text.ends_with("\n1 passed, 2 failed"), "{text}");
    let xml = fs::read_to_string(junit).unwrap();
    assert!(xml.contains(r#"tests="3" skipped="0" failures="1" errors="1""#), "{xml}");
    assert!(xml.contains(r#"name="One address after another""#) && xml.contains("+ addresses: [10.0.0.77]"), "{xml}");
}

#[test]
fn what_is_no_case_is_told_with_its_place() {
    let wrong = |text: &str| {
        let site = Site::of(&[("case.yaml", text)]);
        let (text, exit) = site.run(&site.options());
        assert_eq!(exit, 1, "{text}");
        text.lines().next().unwrap().strip_prefix("✗ DIR/tests/").unwrap().to_owned()
    };
    let network = "network: { subnet: 10.0.0.0/24 }\n";
    let cases = [
        format!("{network}steps:\n  - alocate: {{ pod: a/b }}\n"),
        format!("{network}steps:\n  - allocate: {{ pod: a/b, anotations: {{}} }}\n"),
        format!("{network}steps:\n  - allocate: {{ pod: a/b }}\n    expect: {{ adresses: 10.0.0.7 }}\n"),
        format!("{network}steps:\n  - allocate: {{ pod: a/b }}\n    expect: {{ same_as: c1 }}\n"),
        "network: { subnet: 10.0.0.0/24, rangestart: 10.0.0.7 }\nsteps: []\n".to_owned(),
        "network: { subnet: 10.0.0.0/24, strategy: hash }\nsteps: []\n".to_owned(),
        format!("{network}steps: 3\n"),
        format!("{network}steps:\n  - allocate: {{ pod: web-0 }}\n"),
        format!("{network}steps:\n  - advance: soon\n"),
        format!("{network}held: [10.0.0.9-10.0.0.2]\nsteps: []\n"),
        format!("{network}held:\n  - {{ address: 10.0.0.7, from: a/b }}\nsteps: []\n"),
        format!("{network}steps:\n  - allocate: {{ pod: a/b }}\n    expect: {{ refused: full }}\n"),
        format!("{network}steps:\n  - allocate: {{ pod: a/b }}\n    release: c1\n"),
        format!("{network}steps:\n  - allocate: {{ pod: a/b, container: web }}\n  - release: wob\n"),
        format!(
            "{network}steps:\n  - allocate: {{ pod: a/b }}\n    expect: {{ refused: taken, addresses: 10.0.0.7 }}\n"
        ),
        format!("{network}steps:\n  - advance: 1s\n    expect: {{ fuel: 3 }}\n"),
        format!("{network}steps:\n  - contend: [{{}}, {{}}]\n    expect: [{{}}]\n"),
        format!("{network}steps:\n  - allocate: {{ labels: {{ a: b }} }}\n"),
        format!("{network}steps:\n  - allocate: {{ container: a/b }}\n"),
        "steps: []\n".to_owned(),
        "network: { subnet: 10.0.0.0/33 }\nsteps: []\n".to_owned(),
        format!("{network}settings: {{ strategy: best }}\nsteps: []\n"),
        format!("{network}held: [10.0.0.7, 10.0.0.6-10.0.0.8]\nsteps: []\n"),
        format!("{network}steps: [\n"),
    ];
    let told: Vec<String> = cases.iter().map(|text| wrong(text)).collect();
    insta::assert_snapshot!("no_case", told.join("\n"));
}

#[test]
fn there_is_a_module_and_a_case_or_the_way_to_them() {
    let site = Site::of(&[("good.yaml", GOOD)]);
    let on_its_own = TestOptions { module: None, ..site.options() };
    let none = "no module for DIR/tests/good.yaml: there is no .wasm file in DIR; build one with \
        `kube-ipam policy build DIR`, or pass --module FILE.wasm (or builtin)";
    assert_eq!(site.refused(&on_its_own), none);
    let write = |name: &str| fs::write(site.0.path().join(name), "").unwrap();
    write("b.wasm");
    assert!(site.refused(&on_its_own).starts_with("policy DIR/b.wasm is empty"));
    let by_file = TestOptions { paths: vec![site.file("good.yaml")], ..on_its_own };
    assert!(site.refused(&by_file).starts_with("policy DIR/b.wasm is empty"));
    write("a.wasm");
    let on_its_own = TestOptions { module: None, ..site.options() };
    let many = "several modules for DIR/tests/good.yaml: DIR has a.wasm and b.wasm; choose one with --module FILE.wasm";
    assert_eq!(site.refused(&on_its_own), many);
    fs::write(site.file("good.yaml"), format!("module: ../a.wasm{}", GOOD)).unwrap();
    assert!(site.refused(&on_its_own).starts_with("policy DIR/tests/../a.wasm is empty"));
    fs::write(site.file("good.yaml"), format!("module: builtin{}", GOOD)).unwrap();
    assert_eq!(site.run(&on_its_own).1, 0);
    fs::remove_file(site.file("good.yaml")).unwrap();
    assert!(site.refused(&on_its_own).starts_with("no cases in DIR/tests: expected"));
}

#[test]
fn what_is_observed_is_written_into_the_file_and_nothing_else_changes() {
    const BEFORE: &str = "\
# A comment above
network: { subnet: 10.0.0.0/29 } # behind
steps:
  - allocate: { pod: shop/a }   # the first one
    expect:
      # exactly
      addresses:
      - 10.0.0.3   # wrong
      gateways: [10.0.0.1] # right
      fuel: 50000
  - allocate: { pod: shop/b } # not expected yet
  - contend:
      - { pod: shop/c }
      - { pod: shop/d }

  # Two more than there is room for
  - { allocate: { pod: shop/e, container: e } }
  - allocate: { pod: shop/f }
    expect: { addresses: 10.0.0.7 }
  - release: e
  - allocate: { pod: shop/g }
    expect: { refused: exhausted, says: full }
  - allocate: { pod: shop/h }
    expect: { refused: taken, says: full }
  - allocate: { pod: shop/h }
";
    let site = Site::of(&[("case.yaml", BEFORE)]);
    let options = TestOptions { update: true, ..site.options() };
    let (text, exit) = site.run(&options);
    assert_eq!(exit, 0, "{text}");
    insta::assert_snapshot!("updated", format!("{text}\n\n{}", site.text("case.yaml")));
    let after = site.text("case.yaml");
    let (text, exit) = site.run(&options);
    assert_eq!((text.lines().count(), exit, site.text("case.yaml")), (3, 0, after), "{text}");
}

#[test]
fn json_stays_json() {
    const BEFORE: &str = r#"{
  "network": {"subnet": "10.0.0.0/24"},
  "steps": [
    {"allocate": {"pod": "shop/a"}},
    {
      "allocate": {"pod": "shop/b"},
      "expect": {"addresses": ["10.0.0.9"], "says": "\"quoted\""}
    },
    {
      "allocate": {"pod": "shop/c", "annotations": {"kube-ipam.ip": "\"x\""}}
    }
  ]
}
"#;
    let before = BEFORE.replace(r#", "says": "\"quoted\"""#, "");
    let site = Site::of(&[("case.json", &before)]);
    let (text, exit) = site.run(&TestOptions { update: true, ..site.options() });
    assert_eq!(exit, 0, "{text}");
    let after: Value = serde_json::from_str(&site.text("case.json")).unwrap();
    assert_eq!(after["steps"][0]["expect"]["addresses"][0], "10.0.0.2/24");
    assert_eq!(after["steps"][1]["expect"]["addresses"][0], "10.0.0.3");
    assert_eq!(after["steps"][2]["expect"]["refused"], "invalid");
    assert!(site.text("case.json").contains("\n      \"expect\": { \"refused\""), "{}", site.text("case.json"));
}

#[test]
fn rules_are_not_weakened() {
    let site = Site::of(&[("bad.yaml", BAD)]);
    let (text, exit) = site.run(&TestOptions { update: true, ..site.options() });
    assert_eq!(exit, 1);
    let after = site.text("bad.yaml");
    let rules = [
        "fuel: 1 }",
        "inside: [10.0.0.16/28, 10.0.0.40]",
        "outside: 10.0.0.0/28",
        "same-as: c1",
        "{ addresses: 10.0.0.11, inside: 10.0.0.0/24 }",
        "{ all: { inside: fd00::/64 } }",
    ];
    rules.iter().for_each(|rule| assert!(after.contains(rule), "{rule}: {after}"));
    assert_eq!(text.matches("left alone: ").count(), 7, "{text}");
    assert!(
        after.contains("addresses: [10.0.0.77], gateways: [10.0.0.1], kind: fixed, hold: none, fuel: 1"),
        "{after}"
    );
}
