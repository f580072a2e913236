//! Hostile policies and adverse nodes, seen from the runtime: an error that names what is wrong, nothing claimed, and the
//! next ADD works.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

use kube_ipam_tests::guest::Guest;
use kube_ipam_tests::node::Node;
use kube_ipam_tests::program::wait;
use kube_ipam_tests::{Answer, Call, is_root, program};
use serde_json::{Value, json};

/// Code of a policy that is at fault.
const FAULT: u64 = 105;
const CONFIGURATION: u64 = 7;

fn with_module(node: &Node, name: &str) -> Value {
    let mut network = node.network(json!({"module": node.guest(name)}));
    network["ipam"]["exclude"] = json!(["10.0.0.64/28"]);
    network
}

fn nothing_is_claimed(node: &Node, network: &Value) {
    let (status, told) = node.run(&["list", "--held", "--conf", &node.conf(network), "-o", "json"]);
    assert_eq!((status, told.trim()), (Some(0), "[]"));
}

fn the_next_add_works(node: &Node) {
    let network = with_module(node, "good");
    assert_eq!(node.call("ADD", "next", &network).address(), "10.0.0.2/24");
    assert_eq!(node.call("DEL", "next", &network).status, Some(0));
}

/// What a guest's comment says of an ADD: code and text.
fn crime(guest: &Guest) -> Option<(u64, String)> {
    let refused = guest.says("refused").map(|text| (CONFIGURATION, format!("{}.wasm {text}", guest.name)));
    let fault = guest.says("error").filter(|_| guest.says("call") == Some("allocate"));
    refused.or(fault.map(|text| (FAULT, text.to_owned()))).filter(|_| guest.says("limits").is_none())
}

#[test]
fn every_crime_ends_one_add_and_claims_nothing() {
    let node = Node::new();
    let mut crimes = 0;
    for guest in Guest::all() {
        let name = &guest.name;
        let Some((code, text)) = crime(&guest) else { continue };
        let mut network = with_module(&node, name);
        if guest.says("call") == Some("validate-settings") {
            network["ipam"]["policy"]["settings"] = json!({"strict": true});
        }
        let (found, says) = node.call("ADD", "c1", &network).failure();
        assert_eq!(found, code, "{name}: {says}");
        assert!(says.contains(&text), "{name}: {says}\n expected {text}");
        nothing_is_claimed(&node, &network);
        crimes += 1;
    }
    assert!(crimes > 60, "{crimes}");
    the_next_add_works(&node);
}

#[test]
fn the_same_losing_proposal_for_ever() {
    let node = Node::new();
    let network = with_module(&node, "counts_in_memory");
    assert_eq!(node.call("ADD", "c1", &network).address(), "10.0.0.10/24");
    let (code, says) = node.call("ADD", "c2", &network).failure();
    let expected = "policy counts_in_memory: allocate proposed the same addresses at each of 16 attempts, \
                    and others hold them: 10.0.0.10";
    assert!(code == FAULT && says.contains(expected), "{code} {says}");
    assert_eq!(node.call("ADD", "c1", &network).address(), "10.0.0.10/24", "what is held stays");
    node.call("DEL", "c1", &network);
    nothing_is_claimed(&node, &network);
    the_next_add_works(&node);
}

#[test]
fn questions_without_end() {
    let node = Node::new();
    let network = with_module(&node, "asks_without_end");
    // An address somewhere, so that there is a store to read.
    the_next_add_works(&node);
    let (code, says) = node.call("ADD", "c1", &network).failure();
    assert!(code == FAULT && says.contains("policy asks_without_end: allocate asked for more than 64 reads"), "{says}");
    nothing_is_claimed(&node, &network);
    the_next_add_works(&node);
}

/// The store's keys are bounded: what a policy may ask for must be possible when the address is released.
#[test]
fn a_hold_for_the_longest_name_survives_its_release() {
    let node = Node::new();
    let network = with_module(&node, "keeps_for_a_long_name");
    for container in ["c1", "c2"] {
        assert_eq!(node.call("ADD", container, &network).address(), "10.0.0.9/24");
        let del = node.call("DEL", container, &network);
        assert_eq!(del.status, Some(0), "{del:?}");
        nothing_is_claimed(&node, &network);
    }
}

#[test]
fn settings_of_a_megabyte_deeply_nested_or_with_a_zero() {
    let node = Node::new();
    let add = |settings: Value| {
        let network = node.network(json!({"module": node.guest("good"), "settings": settings}));
        let added = node.call("ADD", "c1", &network);
        node.call("DEL", "c1", &network);
        added
    };
    assert_eq!(add(json!({"zero": "a\u{0}b"})).address(), "10.0.0.2/24");
    let (code, says) = add(json!({"long": "x".repeat(1 << 20)})).failure();
    assert!((6..=7).contains(&code), "{code} {says}");
    assert_eq!(add(json!({"long": "x".repeat(100_000)})).address(), "10.0.0.2/24");
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(add(json!({"deep": deep})).address(), "10.0.0.2/24");
    let deeper = (0..2_000).fold("1".to_owned(), |inner, _| format!("[{inner}]"));
    let text = node.network(json!({"settings": {"deep": "HERE"}})).to_string().replace("\"HERE\"", &deeper);
    let (code, says) = Call::new("ADD", "c1", &Value::Null).stdin(text).run().failure();
    assert!(code == 6 && says.contains("nested too deeply"), "{code} {says}");
    the_next_add_works(&node);
}

#[test]
fn a_read_only_cache_costs_time_and_no_address() {
    let node = Node::new();
    let network = with_module(&node, "good");
    fs::create_dir_all(node.path("data/policies")).unwrap();
    fs::set_permissions(node.path("data/policies"), fs::Permissions::from_mode(0o700)).unwrap();
    let cache = node.path("data/policies").display().to_string();
    let read_only = format!("mount --bind {cache} {cache} && mount -o remount,bind,ro {cache}");
    let Some(added) = node.call_after(&read_only, "ADD", "c1", &network) else { return };
    assert_eq!(added.address(), "10.0.0.2/24");
    assert_eq!(node.names("data/policies"), [""; 0]);

    assert_eq!(node.call("ADD", "c2", &network).address(), "10.0.0.3/24");
    let kept = node.names("data/policies");
    assert_eq!(node.call_after(&read_only, "ADD", "c3", &network).unwrap().address(), "10.0.0.4/24");
    assert_eq!(node.names("data/policies"), kept);
}

/// Nobody finds there what another has compiled: all at once, they would be as many compilers as pods.
#[test]
fn without_a_cache_that_can_be_trusted_calls_compile_one_after_the_other() {
    if !is_root("who compiles next") {
        return;
    }
    let node = Node::new();
    let mut network = with_module(&node, "good");
    network["ipam"]["timeout"] = json!("60s");
    fs::create_dir_all(node.path("data/policies")).unwrap();
    fs::set_permissions(node.path("data/policies"), fs::Permissions::from_mode(0o777)).unwrap();
    let turn = File::options().create(true).truncate(false).write(true).mode(0o600).open("/run/kube-ipam-compile.lock");
    let turn = turn.unwrap();
    turn.lock().unwrap();
    let waiting: Vec<_> = (0..8).map(|nth| Call::new("ADD", &format!("c{nth}"), &network).start()).collect();
    let mut hurried = network.clone();
    hurried["ipam"]["timeout"] = json!("1s");
    let (code, says) = node.call("ADD", "late", &hurried).failure();
    for part in
        ["good.wasm could not be compiled in time", "one after the other", "policies has mode 0777", "mode 0700"]
    {
        assert!(code == CONFIGURATION && says.contains(part), "{part}: {code} {says}");
    }
    assert!(says.contains("`kube-ipam policy install ") && says.contains("--network blue`"), "{says}");
    drop(turn);
    let addresses: BTreeSet<String> = waiting.into_iter().map(|child| wait(child).address()).collect();
    assert_eq!(addresses.len(), 8);
}

#[test]
fn a_read_only_store_is_named_and_nothing_is_claimed() {
    let node = Node::new();
    let network = with_module(&node, "good");
    the_next_add_works(&node);
    let data = node.path("data").display().to_string();
    let read_only = format!("mount --bind {data} {data} && mount -o remount,bind,ro {data}");
    let Some(added) = node.call_after(&read_only, "ADD", "c1", &network) else { return };
    let (code, says) = added.failure();
    assert!(code == 5 && says.contains(&data) && says.contains("Read-only file system"), "{code} {says}");
    nothing_is_claimed(&node, &network);
    the_next_add_works(&node);
}

#[test]
fn without_proc_only_compiling_fails() {
    let node = Node::new();
    let no_proc = "mount -t tmpfs none /proc";
    let built_in = node.network(json!({}));
    let Some(added) = node.call_after(no_proc, "ADD", "c1", &built_in) else { return };
    added.address();
    node.call("DEL", "c1", &built_in);

    let network = with_module(&node, "good");
    let (code, says) = node.call_after(no_proc, "ADD", "c1", &network).unwrap().failure();
    assert!(code == CONFIGURATION && says.contains("could not be compiled: finding our own program"), "{says}");
    nothing_is_claimed(&node, &network);
    the_next_add_works(&node);
    // Compiled now.
    assert_eq!(node.call_after(no_proc, "ADD", "c1", &network).unwrap().address(), "10.0.0.2/24");
}

#[test]
fn little_address_space_is_enough_or_said_to_be_too_little() {
    let node = Node::new();
    let network = with_module(&node, "good");
    let Some(added) = node.call_after("ulimit -v 600000", "ADD", "c1", &network) else { return };
    assert_eq!(added.address(), "10.0.0.2/24");
    node.call("DEL", "c1", &network);
    // The store's 256 MiB fit, the policy's memory does not.
    let (code, says) = node.call_after("ulimit -v 330000", "ADD", "c1", &network).unwrap().failure();
    assert!(says.contains("policy good.wasm: its start could not be given its memory: "), "{code} {says}");
    assert!(code == FAULT && says.contains("ulimit -v"), "{code} {says}");
    nothing_is_claimed(&node, &network);
    the_next_add_works(&node);
}

/// Root may start as many processes as it likes, so this is another user.
#[test]
fn one_process_allowed() {
    if !is_root("a limit on processes") {
        return;
    }
    let node = Node::new();
    let user = 64_321;
    let copy = node.path("kube-ipam");
    fs::copy(program(), &copy).unwrap();
    fs::create_dir(node.path("data")).unwrap();
    chown(node.path("data"), Some(user), Some(user)).unwrap();
    let network = with_module(&node, "good");
    let add = |limit: &[&str], container: &str, network: &Value| as_user(&copy, user, limit, container, network);
    let limited = ["/usr/bin/prlimit", "--nproc=1:1"];

    let built_in = node.network(json!({}));
    assert_eq!(add(&limited, "c1", &built_in).address(), "10.0.0.2/24");
    let (code, says) = add(&limited, "c2", &network).failure();
    assert!(code == CONFIGURATION && says.contains("could not be compiled: starting "), "{code} {says}");
    assert!(says.contains("Resource temporarily unavailable"), "{says}");
    assert_eq!(add(&["/usr/bin/prlimit", "--nproc=2:2"], "c2", &network).address(), "10.0.0.3/24");
    // Compiled now.
    assert_eq!(add(&limited, "c3", &network).address(), "10.0.0.4/24");
}

/// Whether there was a store in the default directory before, every ADD looks; on this machine the directory may be closed to
/// other users, or have one. So it is an empty one.
fn as_user(program: &Path, user: u32, limit: &[&str], container: &str, network: &Value) -> Answer {
    let empty = "{ [ ! -d /var/lib/cni ] || mount -t tmpfs -o mode=755 none /var/lib/cni; }";
    let id = user.to_string();
    let become_user = ["/usr/bin/setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
    Call::new("ADD", container, network).of(program).after(empty).by(&become_user).by(limit).run()
}
