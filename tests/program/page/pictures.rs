//! The pictures of docs/, of real addresses in a real browser. `make screenshots` runs this, and it is looked at before it is kept.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube_ipam_tests::Call;
use kube_ipam_tests::browser::{Browser, Screen};
use kube_ipam_tests::program::network;
use kube_ipam_tests::serving::Serving;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Workloads of a shop: namespace, name, replicas.
const WORKLOADS: [(&str, &str, usize); 9] = [
    ("shop", "web", 64),
    ("shop", "cart", 36),
    ("shop", "checkout", 24),
    ("bank", "ledger", 30),
    ("bank", "fraud", 18),
    ("search", "index", 48),
    ("monitoring", "prometheus", 6),
    ("kube-system", "coredns", 4),
    ("batch", "report", 40),
];

const NODES: [&str; 5] = ["node-1", "node-2", "node-3", "node-4", "node-5"];

/// Networks of a small cluster, each in its file, and the pods that have come and gone.
struct Demo(TempDir);

impl Demo {
    fn new() -> Self {
        let demo = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(demo.path("net.d")).unwrap();
        demo
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn network(&self, name: &str, ipam: &Value) -> Value {
        let mut network = network(&self.path(name), ipam);
        network["name"] = json!(name);
        network["ipam"]["logFile"] = json!(self.path("log"));
        std::fs::write(self.path("net.d").join(format!("{name}.conf")), network.to_string()).unwrap();
        network
    }

    fn command(&self, arguments: &[&str]) {
        let net_d = self.path("net.d").display().to_string();
        let output = kube_ipam_tests::node::command(&[arguments, &["--conf", &net_d]].concat()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", kube_ipam_tests::node::printed(&output));
    }
}

/// A name's end, as controllers choose them.
fn suffix(number: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digit = |place: u32| char::from(LETTERS[number.wrapping_mul(7919) / 27_usize.pow(place) % 27]);
    (0..5).map(digit).collect()
}

fn container(number: usize) -> String {
    let halves = [0x9e37_79b9_7f4a_7c15_u64, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0xd6e8_feb8_6659_fd93];
    halves.map(|half| format!("{:016x}", half.wrapping_mul(number as u64 + 1))).concat()
}

fn add(network: &Value, node: &str, number: usize, (namespace, pod): (&str, &str), annotations: Value) -> Call {
    let mut network = network.clone();
    network["ipam"]["nodeName"] = json!(node);
    network["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": annotations});
    Call::new("ADD", &container(number), &network).for_pod(namespace, pod, &format!("uid-{number}"))
}

fn fill(demo: &Demo) {
    let pods = demo.network(
        "pods",
        &json!({"cooldown": "10m",
        "ranges": [[{"subnet": "10.188.0.0/22", "rangeStart": "10.188.0.10"}], [{"subnet": "fd00:188::/64"}]]}),
    );
    let mut number = 0;
    for (namespace, name, replicas) in WORKLOADS {
        let template = suffix(namespace.len() * 31 + name.len());
        for _ in 0..replicas {
            number += 1;
            let pod = format!("{name}-{template}-{}", suffix(number));
            add(&pods, NODES[number * 7 % NODES.len()], number, (namespace, &pod), json!({})).run().success();
        }
    }
    for (nth, node) in NODES.iter().enumerate().take(3) {
        number += 1;
        let fixed = json!({"kube-ipam.ip": format!("10.188.2.{}", 200 + nth), "kube-ipam.families": "ipv4"});
        add(&pods, node, number, ("bank", &format!("postgres-{nth}")), fixed).run().success();
    }
    // A batch that is over: its addresses cool down.
    for gone in (number - 36..number - 3).step_by(2) {
        add(&pods, NODES[gone * 7 % NODES.len()], gone, ("batch", "gone"), json!({}))
            .with("CNI_COMMAND", "DEL")
            .run()
            .success();
    }
    let storage = demo.network("storage", &json!({"subnet": "10.189.0.0/27"}));
    for nth in 0..28 {
        add(&storage, NODES[nth % 5], 2_000 + nth, ("bank", &format!("backup-{}", suffix(nth))), json!({}))
            .run()
            .success();
    }
    demo.command(&[
        "reserve",
        "10.188.3.0-10.188.3.15",
        "--reason",
        "printers, floor 3",
        "--by",
        "ann",
        "--yes",
        "--network",
        "pods",
    ]);
    demo.command(&[
        "reserve",
        "10.188.1.250",
        "--reason",
        "router of the laboratory",
        "--by",
        "ben",
        "--yes",
        "--network",
        "pods",
    ]);
    for (nth, pod, annotations) in [
        (0, "postgres-9", json!({"kube-ipam.ip": "10.188.2.201"})),
        (1, "web-canary-7x2kq", json!({"kube-ipam.ip": "10.188.2.2000"})),
        (2, "legacy-0", json!({"kube-ipam.ipv4": "10.188.0.20"})),
    ] {
        add(&pods, NODES[nth], 3_000 + nth, ("shop", pod), annotations).run();
    }
    for (nth, node) in NODES.iter().enumerate().take(2) {
        add(&storage, node, 3_100 + nth, ("bank", &format!("backup-{}", suffix(90 + nth))), json!({})).run();
    }
}

/// Draw a view, once it is there, and make the file as small as it gets.
fn draw(browser: &Browser, view: &str, file: &str) {
    browser.run(&format!("location.hash = {};", json!(format!("#/{view}"))));
    browser.wait_for(
        "!document.getElementById('main').hasAttribute('aria-busy') && document.querySelector('.map, table')",
    );
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    browser.run("document.activeElement.blur(); scrollTo(0, 0);");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/page");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(file);
    std::fs::write(&path, BASE64_STANDARD.decode(browser.picture()).unwrap()).unwrap();
    let optimised = Command::new("optipng").args(["-quiet", "-o5", "-strip", "all"]).arg(&path).status();
    assert!(optimised.is_ok_and(|status| status.success()), "optipng is missing: `make screenshots` installs it");
}

#[test]
#[ignore = "writes docs/page; `make screenshots` runs it"]
fn pictures_for_the_documents() {
    let demo = Demo::new();
    fill(&demo);
    let serving = Serving::start(&["--conf", demo.path("net.d").to_str().unwrap()]);
    let browser = Browser::start().unwrap();
    let laptop = Screen { width: 1180, height: 960, ..Screen::LAPTOP };
    for (scheme, screen, view, file) in [
        ("light", laptop, "map", "map.png"),
        ("dark", laptop, "map", "map-dark.png"),
        ("light", Screen { height: 640, ..laptop }, "search?q=bank/postgres-1", "search.png"),
        ("light", Screen { height: 700, ..laptop }, "refusals", "refusals.png"),
        ("light", Screen::PHONE, "map", "phone.png"),
        ("dark", Screen::PHONE, "addresses?namespace=shop", "phone-dark.png"),
    ] {
        browser.on(screen);
        browser.prefers(&[("prefers-color-scheme", scheme)]);
        browser.open("about:blank");
        browser.open(&format!("{}/", serving.url()));
        draw(&browser, view, file);
    }
}
