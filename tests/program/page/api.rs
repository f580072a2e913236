//! What programs are told is what the commands print, a page at a time, and asking changes nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{WICKED, at_rest, serving, sites};
use crate::operator::Site;
use kube_ipam_tests::serving::Serving;

fn addresses(page: &Value) -> Vec<&str> {
    page["rows"].as_array().unwrap().iter().map(|row| row["address"].as_str().unwrap()).collect()
}

/// All pages of a list, so many rows each.
fn listed(serving: &Serving, query: &str, limit: usize) -> Vec<String> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = serving.json(&format!("addresses?{query}&limit={limit}&after={after}"));
        assert!(addresses(&page).len() <= limit, "{page}");
        rows.extend(addresses(&page).into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return rows,
        }
    }
}

#[test]
fn programs_are_told_what_the_commands_print() {
    for site in sites() {
        let serving = serving(&site);
        let before = at_rest(&site);
        let ranges = serving.json("ranges");
        assert_eq!(ranges["networks"][0]["range_sets"], site.json(&["usage"]).1, "{ranges}");
        let map = serving.json("map");
        let (_, mut areas) = site.json(&["map"]);
        for (area, with_levels) in
            areas.as_array_mut().unwrap().iter_mut().zip(map["networks"][0]["areas"].as_array().unwrap())
        {
            area["levels"] = with_levels["levels"].clone();
        }
        assert_eq!(map["networks"][0]["areas"], areas);
        assert_eq!(areas[0]["levels"][0].as_str().map(str::len), areas[0]["rows"][0]["cells"].as_array().map(Vec::len));
        let (_, mut rows) = site.json(&["list"]);
        for row in rows.as_array_mut().unwrap() {
            row["domain"] = json!("blue");
        }
        assert_eq!(serving.json("addresses")["rows"], rows);

        assert_eq!(addresses(&serving.json("holds")), ["10.1.0.2", "fd00::2"]);
        assert_eq!(serving.json("reservations")["rows"][0]["reason"], WICKED);
        assert_eq!(addresses(&serving.json("addresses?namespace=shop")), ["10.1.0.4", "fd00::4"]);
        assert_eq!(addresses(&serving.json("addresses?node=node-2&range=fd00::/64")), ["fd00::5"]);
        assert_eq!(
            addresses(&serving.json("addresses?kind=cool-down,reservation&network=blue&range=10.0.0.0/8")),
            ["10.1.0.2", "10.1.0.9"]
        );
        assert_eq!(addresses(&serving.json("addresses?q=Cache")), ["10.1.0.4", "fd00::4"]);
        let all: Vec<String> =
            site.listed().as_array().unwrap().iter().map(|row| row["address"].as_str().unwrap().to_owned()).collect();
        for limit in [1, 2, 500] {
            assert_eq!(listed(&serving, "", limit), all);
        }
        assert_eq!(at_rest(&site), before, "asking changes nothing");
    }
}

#[test]
fn an_address_a_pod_and_a_container_are_found() {
    for site in sites() {
        let serving = serving(&site);
        let found = serving.json("search?q=shop/cache");
        assert_eq!(
            (&found["kind"], &found["held"], &found["lent"]),
            (&json!("pod"), &site.json(&["show", "shop/cache"]).1, &json!([]))
        );
        assert_eq!(serving.json("search?q=c2")["held"][0]["pod"]["name"], "db");
        assert_eq!(serving.json("search?q=10.1.0.3/28")["held"][0]["pod"]["name"], "db");
        let reserved = serving.json("search?q=10.1.0.9");
        assert_eq!((&reserved["kept"][0]["reason"], &reserved["offered"][0]["range_set"]), (&json!(WICKED), &json!(0)));
        assert_eq!(serving.json("search?q=10.1.0.2")["kept"][0]["kind"], "cool-down");
        assert_eq!(serving.json("search?q=10.9.9.9")["offered"], json!([]));
        assert_eq!(serving.json("search?q=shop/nobody")["held"], json!([]));
    }
}

#[test]
fn refusals_policies_networks_nodes_and_namespaces_are_told() {
    for site in sites() {
        let serving = serving(&site);
        let refusals = serving.json("refusals");
        assert_eq!((&refusals["calls"], &refusals["failed"]), (&json!(6), &json!({"103": 1})), "{refusals}");
        let refusal = &refusals["rows"][0];
        assert_eq!(
            (&refusal["pod"], &refusal["verb"], &refusal["network"]),
            (&json!("shop/refused"), &json!("ADD"), &json!("blue"))
        );
        assert!(refusal["error"].as_str().unwrap().contains("<img src=x onerror="), "{refusal}");
        assert!(!refusal["hint"].as_str().unwrap().is_empty());

        let policy = &serving.json("policies")[0];
        assert_eq!(
            (&policy["name"], &policy["module"], policy["sha256"].as_str().map(str::len)),
            (&json!("range-fixed"), &json!(null), Some(64)),
            "{policy}"
        );
        assert!(policy["version"].is_string());
        let networks = serving.json("networks");
        let kind = if site.etcd.is_some() { "etcd" } else { "embedded" };
        assert_eq!((&networks["networks"][0]["store"]["kind"], &networks["unusable"]), (&json!(kind), &json!([])));

        let nodes = counted(&serving, "nodes");
        let names: Vec<&str> =
            nodes["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(
            (names, &nodes["rows"][0]["held"], &nodes["rows"][1]["held"]),
            (vec!["node-1", "node-2"], &json!(4), &json!(2))
        );
        let namespaces = counted(&serving, "namespaces");
        assert_eq!(namespaces["rows"].as_array().unwrap().len(), 3, "{namespaces}");
    }
}

/// Sums are made in the background.
fn counted(serving: &Serving, part: &str) -> Value {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let told = serving.json(part);
        if told["at"].is_string() {
            return told;
        }
        assert!(told["counting"] == true && Instant::now() < end, "{told}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn metrics_are_those_that_the_command_prints() {
    for site in sites() {
        let serving = serving(&site);
        let told = serving.get("/metrics");
        assert_eq!((told.status, told.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
        let of = |text: &str| {
            let gauges = text.lines().filter(|line| line.starts_with("kube_ipam_addresses{"));
            gauges.map(str::to_owned).collect::<Vec<_>>()
        };
        let (_, printed) = site.run(&["metrics"]);
        assert!(of(&told.body).len() == 8 && of(&told.body) == of(&printed), "{}", told.body);
        assert_eq!(site.etcd.is_some(), told.body.contains("kube_ipam_etcd_member_up"), "{}", told.body);
        let of_node = serving.get("/metrics?only=node").body;
        assert_eq!(site.etcd.is_none(), of_node.contains("kube_ipam_addresses{"), "{of_node}");
        assert_eq!(serving.get("/metrics?only=all").status, 400);
    }
}

#[test]
fn what_means_nothing_is_refused_by_name() {
    let site = Site::embedded(&json!({"subnet": "10.1.0.0/28"}));
    let serving = serving(&site);
    for (part, status, word) in [
        ("addresses?namespaces=shop", 400, "namespaces"),
        ("addresses?kind=held", 400, "held"),
        ("addresses?range=10.1.0.9/28", 400, "write 10.1.0.0/28"),
        ("addresses?network=red", 404, "red"),
        ("addresses?limit=501", 400, "501"),
        ("map?columns=65", 400, "65"),
        ("search?q=", 400, "expected an address"),
        ("release", 404, "release"),
    ] {
        let replied = serving.get(&format!("/api/v1/{part}"));
        assert!(replied.status == status && replied.body.contains(word), "{part}: {replied:?}");
    }
    assert_eq!(serving.get("/etc/passwd").status, 404);
    assert_eq!((serving.get("/healthz").status, serving.get("/healthz").body.as_str()), (200, "ok\n"));
    assert_eq!(serving.json("addresses")["rows"], json!([]), "there is no store yet");
    assert!(!site.directory.path().join("ipam.mdb").exists(), "and asking makes none");
}

#[test]
fn a_store_that_does_not_answer_and_a_broken_file_hide_no_other_network() {
    let [site, _etcd] = sites();
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, network: &Value| std::fs::write(directory.path().join(name), network.to_string()).unwrap();
    write("10-blue.conf", &site.configuration);
    let mut away = site.configuration.clone();
    away["name"] = json!("away");
    away["ipam"]["etcdConfig"] = json!({"etcdURL": "http://127.0.0.1:1"});
    write("20-away.conf", &away);
    let mut broken = site.configuration.clone();
    broken["name"] = json!("broken");
    broken["ipam"]["domain"] = json!("a/b");
    write("30-broken.conf", &broken);
    // A second domain of the same file.
    let mut green = site.configuration.clone();
    green["name"] = json!("green");
    write("40-green.conf", &green);

    let serving = Serving::start(&["--conf", directory.path().to_str().unwrap()]);
    let ranges = serving.json("ranges");
    let of = |name: &str| {
        ranges["networks"].as_array().unwrap().iter().find(|network| network["network"] == name).unwrap().clone()
    };
    assert_eq!(of("blue")["range_sets"][0]["held"], 3);
    assert_eq!(of("green")["range_sets"][0]["held"], 0);
    assert!(of("away")["error"].as_str().unwrap().contains("etcd does not answer"), "{ranges}");
    assert!(of("away")["hint"].as_str().unwrap().contains("away"), "{ranges}");
    let networks = serving.json("networks");
    assert_eq!(networks["unusable"][0]["name"], "broken", "{networks}");
    assert_eq!(addresses(&serving.json("addresses?network=blue")).len(), 9);
    assert_eq!(addresses(&serving.json("addresses?network=green")), [""; 0]);
}
