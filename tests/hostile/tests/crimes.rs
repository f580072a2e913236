//! Every crime a guest can commit: a small guest in `tests/hostile`, a test of the same name, an error of its own, and
//! the next call of a good guest works.

use std::fs;
use std::process::Command;
use std::time::Instant;

use engine::{Class, Outcome, Policy, PolicyError};
use hostile::{SLACK, Site, request, snapshot};
use ipam::Verdict;
use kube_ipam_tests::guest::{Guest, folder};

/// What came of a call, in the words of the guests' comments.
fn call(policy: &Policy, function: &str) -> Result<String, PolicyError> {
    match function {
        "describe" => policy.describe().map(|description| format!("described: {}", description.name)),
        "validate-settings" => policy.validate_settings("{}").map(|()| "content".to_owned()),
        _ => policy.allocate(&request(), "{}", &snapshot()).map(|outcome| match outcome {
            Outcome::Verdict(Verdict::Propose(proposals)) => format!("proposes: {}", proposals[0][0].address),
            Outcome::Verdict(Verdict::Refuse(refusal)) => format!("refuses: {refusal}"),
            Outcome::Unread(question) => format!("unread: {question:?}"),
        }),
    }
}

fn judge(name: &str) {
    let guest = Guest::named(name);
    let mut site = Site::new();
    for limit in guest.says("limits").unwrap_or_default().split_whitespace() {
        let (key, value) = limit.split_once('=').unwrap();
        site.limits.set(key, value.parse().unwrap()).unwrap();
    }
    let began = Instant::now();
    let came = site.policy(name, &guest.module()).and_then(|policy| {
        let function = guest.says("call").unwrap();
        let first = call(&policy, function)?;
        assert_eq!(call(&policy, function).unwrap(), first, "{name} is not a function");
        Ok(first)
    });
    assert!(began.elapsed() < SLACK, "{name} took {:?}", began.elapsed());
    match came {
        Ok(came) => {
            let (how, what) = came.split_once(": ").unwrap();
            assert_eq!(guest.says(how), Some(what), "{name}");
        }
        Err(error) if error.class() == Class::Fault => {
            let (found, expected) = (error.to_string(), guest.says("error").unwrap_or("no error"));
            assert!(found.starts_with(expected), "{name}:\n    found {found}\n expected {expected}");
        }
        Err(error) => {
            let found = error.to_string();
            let expected = format!("{name}.wasm {}", guest.says("refused").unwrap_or("to be accepted"));
            assert!(found.contains(&expected), "{name}:\n    found {found}\n expected …{expected}");
        }
    }
    a_good_guest_still_works(&site);
}

fn a_good_guest_still_works(site: &Site) {
    let policy = site.policy("good", &Guest::named("good").module()).unwrap();
    assert_eq!(call(&policy, "allocate").unwrap(), "proposes: 10.0.0.2");
}

macro_rules! guests {
    ($($name:ident)*) => {
        $(#[test] fn $name() { judge(stringify!($name)); })*

        #[test]
        fn every_guest_has_its_test() {
            let tested = [$(stringify!($name)),*];
            for Guest { name, .. } in Guest::all() {
                assert!(tested.contains(&name.as_str()), "{name} has no test");
            }
        }
    };
}

guests! {
    good by_container talkative grows_to_100_mib counts_to_100_million import_much
    loop_in_allocate loop_in_start loop_in_validate_settings loop_in_describe loop_in_realloc loop_in_post_return
    bulk_fill memory_bomb grows_to_its_own_limit huge_initial_memory huge_table table_bomb deep_recursion shadow_stack_overflow
    panic_with_text trap_after_words unreachable division_by_zero out_of_bounds bad_indirect_call
    realloc_null realloc_out_of_bounds realloc_misaligned result_pointer_out_of_bounds list_pointer_out_of_bounds
    list_of_four_billion oversized_string long_refusal refusal_with_ansi million_proposals too_many_proposals
    too_many_addresses no_proposals empty_proposal second_proposal_bad
    propose_gateway propose_network propose_broadcast propose_excluded propose_outside propose_twice
    propose_other_family bad_prefix_length long_hold_identity keeps_for_a_long_name keeps_for_ever slot_of_no_list long_slot_name
    invalid_utf8 bad_variant_tag log_flood long_log_line host_call_flood asks_about_everybody no_such_range_set
    question_in_describe inverted_question long_question asks_without_end describe_with_ansi long_schema
    refuses_settings trap_in_validate_settings counts_in_memory counts_in_a_global
    import_wasi import_unknown import_other_version other_package_version older_package_version two_versions
    missing_export missing_function nested_components
    mistyped_export mistyped_import core_module uses_simd uses_threads uses_memory64 uses_gc
    loop_against_the_clock questions_against_the_clock too_many_memories
}

/// Files that are not modules, and modules that are damaged.
#[test]
fn damaged_files() {
    let good = Guest::named("good").module();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("truncated", good[..good.len() / 2].to_vec(), "is truncated or corrupt: "),
        ("headless", flipped(0), "is not a WebAssembly file: it starts with 40 61 73 6d"),
        ("flipped", flipped(9), "is truncated or corrupt: "),
        ("empty", Vec::new(), "is empty"),
        ("garbage", b"#!/bin/sh\nexec rm -rf /\n".to_vec(), "is not a WebAssembly file: it starts with 23 21"),
    ];
    let site = Site::new();
    for (name, bytes, expected) in cases {
        let error = site.policy(name, &bytes).err().unwrap();
        assert!(error.to_string().contains(&format!("{name}.wasm {expected}")), "{error}");
        assert_eq!(error.class(), Class::Configuration);
        a_good_guest_still_works(&site);
    }
}

/// Wherever a bit flips, the module loads or is refused; nothing breaks.
#[test]
fn a_flipped_bit_anywhere_is_survived() {
    let good = Guest::named("good").module();
    let mut site = Site::new();
    site.compiler = engine::Compiler::InProcess;
    site.limits.set("fuel", 1_000_000).unwrap();
    for at in (8..good.len()).step_by(23) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        if let Ok(policy) = site.policy("flipped", &bytes) {
            let _ = call(&policy, "allocate");
        }
    }
    a_good_guest_still_works(&site);
}

#[test]
fn files_that_are_not_there() {
    let site = Site::new();
    let missing = site.load(&folder().join("nowhere.wasm"), None).err().unwrap().to_string();
    assert!(missing.ends_with("nowhere.wasm does not exist"), "{missing}");
    let directory = site.load(&folder(), None).err().unwrap().to_string();
    assert!(directory.ends_with("cannot be read: it is not a regular file"), "{directory}");
    // Nobody ever writes into it.
    let pipe = site.install("pipe", b"").with_extension("fifo");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = site.load(&pipe, None).err().unwrap().to_string();
    assert!(pipe.ends_with("cannot be read: it is not a regular file"), "{pipe}");
}

#[test]
fn a_file_of_200_mib_is_not_read() {
    let site = Site::new();
    let path = site.install("huge", b"\0asm");
    fs::File::options().write(true).open(&path).unwrap().set_len(200 << 20).unwrap();
    let error = site.load(&path, None).err().unwrap().to_string();
    assert!(error.ends_with("is too large: 209,715,200 bytes, the limit is 64 MiB"), "{error}");
}

#[test]
fn a_pin_names_both_digests() {
    let site = Site::new();
    let path = site.install("good", &Guest::named("good").module());
    let found = site.load(&path, None).unwrap().name().sha256.clone();
    assert!(site.load(&path, Some(&found)).is_ok());
    assert!(site.load(&path, Some(&format!("sha256:{}", found.to_uppercase()))).is_ok());
    let other = "0".repeat(64);
    let error = site.load(&path, Some(&other)).err().unwrap();
    let expected = format!("is not the pinned one: sha256 {other} is expected, the file has {found}");
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert!(site.load(&path, Some("abc")).err().unwrap().to_string().contains("\"abc\", which is not a SHA-256"));
}

/// A component whose core module has these functions.
fn compile_bomb(functions: &str) -> Vec<u8> {
    let export = r#"(instance $empty) (export "kube-ipam:policy/allocator@0.1.0" (instance $empty))"#;
    wat::parse_str(format!("(component (core module {functions}) {export})")).unwrap()
}

/// So many steps on one number.
fn steps(count: usize) -> String {
    "(local.set 0 (i32.mul (local.get 0) (i32.add (local.get 0) (i32.const 7))))".repeat(count)
}

#[test]
fn a_compile_bomb_is_stopped_in_time() {
    let mut site = Site::new();
    site.limits.set("compileSeconds", 1).unwrap();
    let functions = format!("(func (param i32) {})", steps(20)).repeat(50_000);
    let error = site.policy("bomb", &compile_bomb(&functions)).err().unwrap().to_string();
    assert!(error.ends_with("bomb.wasm took too long to compile: the limit is 1 s"), "{error}");
    a_good_guest_still_works(&site);
}

#[test]
fn a_compile_bomb_is_stopped_in_space() {
    let mut site = Site::new();
    site.limits.set("compileMiB", 128).unwrap();
    let function = format!("(func (param i32) {})", steps(300_000));
    let error = site.policy("bomb", &compile_bomb(&function)).err().unwrap().to_string();
    assert!(error.ends_with("bomb.wasm needed too much memory to compile: the limit is 128 MiB"), "{error}");
    a_good_guest_still_works(&site);
}

/// Too much of one thing for a validator: refused by it, or compiled and then refused for what is missing.
#[test]
fn oversized_functions_are_refused() {
    let br_table = |targets: usize| format!("(func (param i32) (br_table {} (local.get 0)))", "0 ".repeat(targets));
    let cases = [
        ("locals", format!("(func (local {}))", "i64 ".repeat(1_000_000)), "is not valid here: "),
        ("targets", br_table(70_000), "is not valid here: "),
        ("tables", br_table(60_000).repeat(10), "does not fit the policy world: "),
        ("functions", "(func)".repeat(50_000), "does not fit the policy world: "),
    ];
    let site = Site::new();
    for (name, functions, expected) in cases {
        let error = site.policy(name, &compile_bomb(&functions)).err().unwrap().to_string();
        assert!(error.contains(&format!("{name}.wasm {expected}")), "{error}");
    }
    a_good_guest_still_works(&site);
}

/// Thirty components, each made of two of the one before: a billion instances out of a kilobyte.
#[test]
fn a_component_that_doubles_is_stopped() {
    let mut text = "(component $c0 (core module $m (func)) (core instance (instantiate $m)))".to_owned();
    for nth in 1..30 {
        let inner = format!("(instance (instantiate $c{}))", nth - 1);
        text = format!("(component $c{nth} {text} {inner} {inner})");
    }
    let export = r#"(instance $empty) (export "kube-ipam:policy/allocator@0.1.0" (instance $empty))"#;
    let module = wat::parse_str(format!("(component {text} (instance (instantiate $c29)) {export})")).unwrap();
    let mut site = Site::new();
    site.limits.set("compileSeconds", 2).unwrap();
    site.limits.set("compileMiB", 256).unwrap();
    let error = site.policy("billion", &module).err().unwrap().to_string();
    let stopped = ["took too long to compile", "needed too much memory to compile", "is not valid here"];
    assert!(stopped.iter().any(|how| error.contains(&format!("billion.wasm {how}: "))), "{error}");
    a_good_guest_still_works(&site);
}

#[test]
fn a_component_in_a_component_in_a_component() {
    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
    let around = |outer: &[u8], inner: &[u8]| {
        let mut length = inner.len();
        let mut module = [outer, &[4]].concat();
        while length > 0x7f {
            module.push(length as u8 | 0x80);
            length >>= 7;
        }
        module.push(length as u8);
        [module, inner.to_vec()].concat()
    };
    let site = Site::new();
    for depth in [3, 90, 2_000] {
        let inner = (0..depth).fold(HEADER.to_vec(), |inner, _| around(HEADER, &inner));
        let error = site.policy("deep", &around(&compile_bomb(""), &inner)).err().unwrap();
        assert!(error.to_string().contains("deep.wasm "), "{error}");
        assert_eq!(error.class(), Class::Configuration, "{error}");
    }
    a_good_guest_still_works(&site);
}
