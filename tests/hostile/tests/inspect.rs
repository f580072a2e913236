//! What `kube-ipam policy inspect` tells of a module: what it is, and every reason for which an ADD would refuse it.

use engine::Source;
use engine::inspect::inspect;
use hostile::Site;
use kube_ipam_tests::guest::Guest;

#[test]
fn inspection_tells_what_a_module_is() {
    let site = Site::new();
    let path = site.install("good", &Guest::named("good").module());
    let found = inspect(&site.source(&path)).unwrap();
    assert_eq!(found.interface.as_deref(), Some("kube-ipam:policy/allocator@0.1.0"));
    assert_eq!(found.imports, ["kube-ipam:policy/types@0.1.0", "kube-ipam:policy/pool@0.1.0"]);
    assert_eq!(found.refused, [""; 0]);
    assert_eq!(found.description.unwrap().summary, "a hostile guest");
    assert!(found.compiled_bytes > found.bytes && found.bytes.is_some());
}

#[test]
fn inspection_lists_every_reason_for_a_refusal() {
    let site = Site::new();
    let path = site.install("wasi", &Guest::named("import_much").module());
    let found = inspect(&site.source(&path)).unwrap();
    assert_eq!(
        found.refused,
        [
            "imports the system interface wasi:clocks/wall-clock@0.2.3, but a policy has no system",
            "imports acme:dns/resolve, which is not part of the policy world",
            "does not export kube-ipam:policy/allocator@0.1.0",
        ]
    );
}

#[test]
fn inspection_names_every_function_that_does_not_fit() {
    let site = Site::new();
    let refused = |name: &str| {
        let path = site.install(name, &Guest::named(name).module());
        inspect(&site.source(&path)).unwrap().refused
    };
    let fit = |what: &str| format!("does not fit the policy world: {what}");
    let missing = |function: &str| fit(&format!("kube-ipam:policy/allocator@0.1.0 has no function {function}"));
    assert_eq!(refused("missing_function"), ["describe", "validate-settings", "allocate"].map(missing));
    let mistyped = refused("mistyped_export");
    assert_eq!(mistyped.len(), 3, "{mistyped:?}");
    for (reason, function) in mistyped.iter().zip(["describe: ", "validate-settings: ", "allocate: "]) {
        assert!(reason.starts_with(&fit(function)), "{reason}");
    }
}

/// Whatever would be refused is refused with a reason, and no reason reaches a terminal untamed.
#[test]
fn inspection_refuses_what_a_call_would_refuse() {
    let site = Site::new();
    for guest in Guest::all() {
        let name = &guest.name;
        let found = inspect(&site.source(&site.install(name, &guest.module()))).unwrap();
        let says = format!("{found:?}");
        let description =
            found.description.iter().flat_map(|found| [&found.name, &found.summary, &found.settings_schema]);
        let mut texts = found.refused.iter().chain(&found.warnings).chain(&found.imports).chain(description);
        assert!(texts.all(|text| !text.contains(['\x1b', '\u{9b}', '\r'])), "{name}: {says}");
        let in_allocate = guest.says("call") == Some("allocate");
        match (guest.says("refused"), guest.says("error")) {
            (Some(_), _) if guest.says("call") == Some("validate-settings") => {
                assert!(
                    found.warnings.iter().any(|warning| warning.contains("does not accept its settings")),
                    "{says}"
                );
            }
            (Some(reason), _) => assert!(found.refused.iter().any(|found| found.starts_with(reason)), "{name}: {says}"),
            // Limits of the guest's own do not apply here.
            (_, Some(error)) if !in_allocate && guest.says("limits").is_none() => {
                assert!(found.refused.iter().any(|found| found.starts_with(error)), "{name}: {says}");
            }
            (_, Some(error)) if error.contains(": its start ") => {
                assert!(found.refused.iter().any(|found| found.contains(": its start ")), "{name}: {says}");
            }
            _ => {}
        }
    }
}

#[test]
fn inspection_sees_a_schema_that_is_none_and_a_pin_that_does_not_fit() {
    let site = Site::new();
    let path = site.install("ansi", &Guest::named("describe_with_ansi").module());
    let found = inspect(&Source { sha256: Some(&"0".repeat(64)), ..site.source(&path) }).unwrap();
    assert_eq!(found.description.unwrap().settings_schema, "\\u{1b}[2Jcrime");
    assert_eq!(found.warnings, ["its settings schema is not JSON: expected value at line 1 column 1"]);
    let digest = found.sha256.unwrap();
    let pin = "0".repeat(64);
    assert_eq!(found.refused, [format!("is not the pinned one: sha256 {pin} is expected, the file has {digest}")]);
    assert_eq!(found.hints, [format!("if this is the module you want, set policy.sha256 to {digest}")]);
}
