//! `kube-ipam policy install` and `ls`: what an ADD finds is whole and ready, whoever installs meanwhile, and whoever is
//! killed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use kube_ipam_tests::Call;
use kube_ipam_tests::guest::Guest;
use kube_ipam_tests::node::{Node, command, printed};
use kube_ipam_tests::program::{program, wait};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The same guest with a version of its own: a custom section at the end.
fn version(name: &str, number: u8) -> Vec<u8> {
    let mut module = Guest::named(name).module();
    module.extend([0, 3, 1, b'v', number]);
    module
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn using(node: &Node, file: &str) -> Value {
    node.network(json!({"module": node.path(file)}))
}

#[test]
fn an_add_finds_what_was_installed_compiled() {
    let node = Node::new();
    let network = using(&node, "modules/good.wasm");
    let file = node.guest("good");
    let (status, told) = node.install(&file, &network);
    let sha256 = digest(&fs::read(&file).unwrap());
    let module = node.path("modules/good.wasm");
    let expected = format!(
        "installed {}: crime 0.0.1, a hostile guest\ncompiled into {}\n\"sha256\": \"{sha256}\"\n",
        module.display(),
        node.path("data/policies").display()
    );
    assert_eq!((status, told.as_str()), (Some(0), expected.as_str()));
    assert_eq!(fs::metadata(&module).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!(node.names("modules"), ["good.wasm"]);

    // Nothing is compiled by the ADD: a directory that cannot be written to is as good.
    let kept = node.names("data/policies");
    let add = node.call("ADD", "c1", &node.network(json!({"module": module, "sha256": sha256})));
    assert_eq!(add.address(), "10.0.0.2/24");
    assert_eq!(node.names("data/policies"), kept);

    let before = fs::metadata(&module).unwrap();
    let (status, told) = node.install(&file, &network);
    assert!(status == Some(0) && told.starts_with("unchanged "), "{told}");
    assert_eq!(fs::metadata(&module).unwrap().ino(), before.ino());
}

#[test]
fn a_cache_of_ones_own_and_json() {
    let node = Node::new();
    let (cache, to) = (node.path("cache").display().to_string(), node.path("a/b").display().to_string());
    let file = node.guest("good").display().to_string();
    let arguments = ["policy", "install", &file, "--cache-dir", &cache, "--to", &to, "-o", "json"];
    let (status, told) = node.run(&arguments);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, &told["placed"], &told["name"]), (Some(0), &json!(true), &json!("crime")), "{told}");
    assert!(told.get("notKept").is_none(), "{told}");
    assert_eq!(node.names("cache").len(), 2, "the lock and the code");

    fs::set_permissions(node.path("cache"), fs::Permissions::from_mode(0o777)).unwrap();
    let (status, told) = node.run(&arguments[..7]);
    assert!(status == Some(0) && told.contains("so every ADD will compile it: not trusted: "), "{told}");
}

/// Whatever a guest is refused for, or does wrong when it is asked who it is, keeps it from being installed.
#[test]
fn what_an_add_would_refuse_is_not_installed() {
    let node = Node::new();
    let network = node.network(json!({"settings": {"strict": true}}));
    let mut refused = 0;
    for guest in Guest::all() {
        let name = &guest.name;
        let crime = guest.says("refused").or(guest.says("error").filter(|error| !error.contains(": allocate ")));
        let Some(crime) = crime.filter(|_| guest.says("limits").is_none()) else { continue };
        let (status, told) = node.install(&node.guest(name), &network);
        assert_eq!(status, Some(1), "{name}: {told}");
        // A start that fails does so whatever is called.
        assert!(told.contains(crime), "{name}: {told}\n expected {crime}");
        assert!(told.contains(&format!("{name}.wasm")), "{told}");
        refused += 1;
    }
    assert!(refused > 20, "{refused}");
    assert_eq!(node.names("modules"), [""; 0]);
}

#[test]
fn a_digest_that_does_not_fit_is_refused() {
    let node = Node::new();
    let file = node.guest("good");
    let network = node.network(json!({}));
    let mut arguments = node.install_arguments(&file, &network);
    let sha256 = digest(&fs::read(&file).unwrap());
    let mut install = |pin: &str| {
        arguments.truncate(7);
        arguments.extend(["--sha256".to_owned(), pin.to_owned()]);
        node.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let other = "0".repeat(64);
    let (status, told) = install(&other);
    assert!(
        status == Some(1) && told.contains(&format!("sha256 {other} is expected, the file has {sha256}")),
        "{told}"
    );
    let (status, told) = install("abc");
    assert!(status == Some(1) && told.contains("64 hexadecimal digits"), "{told}");
    assert_eq!(node.names("modules"), [""; 0]);
    assert_eq!(install(&sha256).0, Some(0));
}

/// A pinned module is never exchanged under its network: every ADD would fail until the pin follows.
#[test]
fn a_network_that_pins_another_digest_is_named() {
    let node = Node::new();
    let (old, new) = (version("good", 1), version("good", 2));
    let file = node.write("site.wasm", &old);
    let pinned = node.network(json!({"module": node.path("modules/site.wasm"), "sha256": digest(&old)}));
    assert_eq!(node.install(&file, &pinned).0, Some(0));
    node.write("site.wasm", &new);
    let (status, told) = node.install(&file, &pinned);
    assert!(status == Some(1) && told.contains("network \"blue\" pins") && told.contains("another name"), "{told}");
    assert_eq!(fs::read(node.path("modules/site.wasm")).unwrap(), old);
    assert_eq!(node.call("ADD", "c1", &pinned).address(), "10.0.0.2/24");

    let (status, told) = node.install(&node.write("site-2.wasm", &new), &pinned);
    assert!(status == Some(0) && told.contains("note: network \"blue\" pins another digest"), "{told}");
    let (_, told) = node.install(&node.write("site-3.wasm", &new), &node.network(json!({})));
    assert!(told.contains("note: network \"blue\" uses another module"), "{told}");
}

#[test]
fn what_cannot_be_installed_says_why() {
    let node = Node::new();
    let network = node.network(json!({}));
    let (status, told) = node.install(&node.path("absent.wasm"), &network);
    assert!(status == Some(1) && told.contains("absent.wasm does not exist"), "{told}");
    node.write("modules", b"a file");
    let (status, told) = node.install(&node.guest("good"), &network);
    assert!(status == Some(1) && told.contains("cannot install into") && told.contains("--to"), "{told}");
}

#[test]
fn racing_installs_leave_one_whole_module() {
    let node = Node::new();
    let network = using(&node, "modules/site.wasm");
    let versions: Vec<Vec<u8>> = (0..6).map(|number| version("good", number)).collect();
    let children: Vec<_> = versions
        .iter()
        .enumerate()
        .map(|(nth, bytes)| {
            fs::create_dir(node.path(&nth.to_string())).unwrap();
            let file = node.write(&format!("{nth}/site.wasm"), bytes);
            let arguments = node.install_arguments(&file, &network);
            Command::new(program()).args(arguments).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let installed = fs::read(node.path("modules/site.wasm")).unwrap();
    assert!(versions.contains(&installed));
    assert_eq!(node.names("modules"), ["site.wasm"]);
    assert_eq!(node.names("data/policies").len(), 1 + versions.len(), "{:?}", node.names("data/policies"));
    assert_eq!(node.call("ADD", "c1", &network).address(), "10.0.0.2/24");
}

#[test]
fn a_hundred_adds_during_installs_all_succeed() {
    let node = Node::new();
    let network = using(&node, "modules/site.wasm");
    let versions = [version("by_container", 1), version("by_container", 2)];
    let install = |nth: usize| {
        let (status, told) = node.install(&node.write("site.wasm", &versions[nth % 2]), &network);
        assert_eq!(status, Some(0), "{told}");
    };
    install(0);
    let done = AtomicBool::new(false);
    let installs = std::thread::scope(|scope| {
        let installing = scope.spawn(|| {
            let mut installs = 0;
            while !done.load(Ordering::Relaxed) || installs < 2 {
                installs += 1;
                install(installs);
            }
            installs
        });
        let start = |nth| Call::new("ADD", &format!("c{nth}"), &network).start();
        let children: Vec<_> = (1..=100).map(start).collect();
        let addresses: BTreeSet<String> = children.into_iter().map(|child| wait(child).address()).collect();
        assert_eq!(addresses.len(), 100);
        done.store(true, Ordering::Relaxed);
        installing.join().unwrap()
    });
    assert!(installs >= 2);
    assert_eq!(node.names("modules"), ["site.wasm"]);
}

/// Wherever an install is killed, the module is the old one or the new one, and the next install finishes the job.
#[test]
fn an_install_killed_at_any_moment_leaves_nothing_half_done() {
    let node = Node::new();
    let network = using(&node, "modules/site.wasm");
    let mut old = version("good", 0);
    let began = Instant::now();
    assert_eq!(node.install(&node.write("site.wasm", &old), &network).0, Some(0));
    let whole = began.elapsed();
    let mut replaced = 0;
    for round in 1..=30_u8 {
        let new = version("good", round);
        let arguments = node.install_arguments(&node.write("site.wasm", &new), &network);
        let mut child =
            command(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * u32::from(round) / 25);
        child.kill().unwrap();
        child.wait().unwrap();
        let found = fs::read(node.path("modules/site.wasm")).unwrap();
        assert!(found == old || found == new, "round {round}");
        replaced += usize::from(found == new);
        let container = format!("c{round}");
        node.call("ADD", &container, &network).address();
        node.call("DEL", &container, &network);
        let (status, told) = node.install(&node.path("site.wasm"), &network);
        assert_eq!(status, Some(0), "{told}");
        assert_eq!(fs::read(node.path("modules/site.wasm")).unwrap(), new);
        old = new;
    }
    // And the lock, which whoever places files there takes in turns.
    let left = node.names("modules");
    assert!(left.iter().all(|name| name == "site.wasm" || name == ".kube-ipam.lock"), "{left:?}");
    assert!(replaced < 30, "no install was killed before its end");
}

#[test]
fn the_list_tells_of_every_module() {
    let node = Node::new();
    let file = node.guest("good");
    let sha256 = digest(&fs::read(&file).unwrap());
    let network = node.network(json!({"module": node.path("modules/good.wasm"), "sha256": sha256}));
    node.install(&file, &network);
    let add = |name: &str| fs::copy(node.guest(name), node.path("modules").join(name).with_extension("wasm")).unwrap();
    add("import_wasi");
    add("by_container");
    fs::write(node.path("modules/README"), "no module").unwrap();
    let conf = node.conf(&network);
    let kept = node.names("data/policies");
    let (status, told) = node.run(&["policy", "ls", "--conf", &conf, "-o", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&told).unwrap();
    assert_eq!((status, rows.len()), (Some(0), 4), "{told}");
    let pick = |row: &Value| json!([row["description"]["name"], row["kept"], row["inUse"], row["refused"]]);
    assert_eq!(pick(&rows[0]), json!(["range-fixed", true, false, []]));
    assert_eq!(pick(&rows[1]), json!(["crime", false, false, []]));
    assert_eq!(pick(&rows[2]), json!(["crime", true, true, []]));
    assert_eq!(rows[2]["sha256"], json!(sha256));
    let wasi = "imports the system interface wasi:clocks/wall-clock@0.2.3, but a policy has no system";
    assert_eq!(pick(&rows[3]), json!([null, false, false, [wasi]]));
    assert_eq!(node.names("data/policies"), kept, "looking compiles nothing into the cache");

    let (_, told) = node.run(&["policy", "ls", "--conf", &conf]);
    assert!(told.contains(&format!("refused: {wasi}")) && told.contains(&sha256[..12]), "{told}");
    let modules = node.path("modules").display().to_string();
    fs::write(node.path("modules/good.wasm"), version("good", 1)).unwrap();
    let (_, told) = node.run(&["policy", "ls", "--conf", &conf, "--dir", &modules]);
    assert!(told.contains("refused: is not the pinned one"), "{told}");
    let (status, told) = node.run(&["policy", "ls", "--conf", &conf, "--dir", "/nonexistent"]);
    assert!(status == Some(1) && told.contains("/nonexistent"), "{told}");
}

#[test]
fn inspect_tells_the_way_out() {
    let node = Node::new();
    let inspect = |name: &str| {
        let file = node.guest(name).display().to_string();
        printed(&command(&["policy", "inspect", &file]).output().unwrap())
    };
    assert!(inspect("import_wasi").contains("hint       build Rust for wasm32-unknown-unknown"));
    assert!(inspect("core_module").contains("hint       make it a component: kube-ipam policy build"));
    let told = inspect("describe_with_ansi");
    assert!(told.contains("warning    its settings schema is not JSON") && !told.contains('\x1b'), "{told}");
    let (status, told) = node.run(&["policy", "inspect", "/nonexistent.wasm"]);
    assert!(status == Some(1) && told.contains("policy /nonexistent.wasm does not exist"), "{told}");
}
