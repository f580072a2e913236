//! `kube-ipam serve`: what it tells programs, whom it lets in, and what a person sees of it in a real browser.

mod api;
mod browser;
mod door;
mod pictures;

use std::fs;

use kube_ipam_tests::serving::Serving;
use serde_json::{Value, json};

use crate::operator::Site;

/// Names that would be more than text if a page took them for markup.
const HARM: &str = "<img src=x onerror=window.harmed=1>";

/// The same with what ends a string in other languages.
const WICKED: &str = "<img src=x onerror=window.harmed=1>\"'&{{1}}";

/// Pods of two namespaces on two nodes, an address that cools down, a reservation, and an ADD that was refused. Every name
/// that may be anything is one that a page must not take for markup.
fn filled(mut site: Site) -> Site {
    site.configuration["ipam"]["logFile"] = json!(site.directory.path().join("log"));
    site = site.written();
    site.call("ADD", "c1").for_pod("shop", "web", "u1").run().success();
    site.call("ADD", "c2").for_pod("bank", "db", "u2").run().success();
    site.call("ADD", "c3").for_pod("shop", "cache", "u3").run().success();
    site.call("DEL", "c1").run().success();
    let node = site.configuration["ipam"]["nodeName"].clone();
    site.configuration["ipam"]["nodeName"] = json!("node-2");
    let interface = "<b>eth0";
    site.call("ADD", "c4").for_pod("alms", "a", "u4").with("CNI_IFNAME", interface).run().success();
    site.configuration["ipam"]["nodeName"] = node;
    let (status, printed) = site.run(&["reserve", "10.1.0.9", "--reason", WICKED, "--by", "<i>ann</i>", "--yes"]);
    assert_eq!(status, 0, "{printed}");
    let mut refused = site.configuration.clone();
    refused["args"] = json!({"cni": {"annotations": {}}});
    refused["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": WICKED}});
    let answer = kube_ipam_tests::Call::new("ADD", "c9", &refused).for_pod("shop", "refused", "u9").run();
    assert_eq!(answer.failure().0, 103, "{answer:?}");
    site
}

fn sites() -> [Site; 2] {
    let ipam = json!({"ranges": [[{"subnet": "10.1.0.0/28"}], [{"subnet": "fd00::/64"}]], "cooldown": "1h"});
    [filled(Site::embedded(&ipam)), filled(Site::on_etcd(&ipam))]
}

fn serving(site: &Site) -> Serving {
    Serving::start(&["--conf", site.file().to_str().unwrap()])
}

/// All that is at rest: the records of etcd with its revision, or the bytes of the file.
fn at_rest(site: &Site) -> Vec<u8> {
    match &site.etcd {
        Some(etcd) => {
            let all: Value = serde_json::from_str(&etcd.control(&["get", "", "--prefix", "-w", "json"])).unwrap();
            format!("{} {}", all["header"]["revision"], all["kvs"]).into_bytes()
        }
        None => fs::read(site.directory.path().join("ipam.mdb")).unwrap(),
    }
}
