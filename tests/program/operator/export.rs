//! A domain out of one store and into another, and addresses out of the pools of whereabouts.

use std::fs;

use kube_ipam_tests::Call;
use serde_json::{Value, json};

use super::Site;

fn ipam() -> Value {
    json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]], "cooldown": "1h"})
}

/// Pods, one of them without a name, a cool-down and reservations.
fn populate(site: &Site) {
    for container in ["c1", "c2", "c3"] {
        site.call("ADD", container).for_pod("shop", &format!("pod-{container}"), "u").run().success();
    }
    site.add("c4");
    site.call("DEL", "c2").for_pod("shop", "pod-c2", "u").run().success();
    let (status, printed) = site.run(&["reserve", "10.1.0.64/28", "fd00::7", "--reason", "printers", "--yes"]);
    assert_eq!(status, 0, "{printed}");
}

fn export_of(site: &Site, name: &str) -> (std::path::PathBuf, Vec<String>) {
    let file = site.directory.path().join(name);
    let (status, printed) = site.run(&["export", "--to", file.to_str().unwrap()]);
    assert!(status == 0 && printed.contains("of domain \"blue\" are in"), "{printed}");
    let text = fs::read_to_string(&file).unwrap();
    let (_, whole) = site.run(&["export"]);
    let lines = |text: &str| -> Vec<String> { text.lines().skip(1).map(str::to_owned).collect() };
    let records =
        |text: &str| -> Vec<String> { lines(text).into_iter().filter(|line| !line.contains("\"end\"")).collect() };
    assert_eq!(records(&text), records(&whole), "on the standard output, too");
    (file, records(&text))
}

#[test]
fn a_domain_goes_into_an_empty_store_and_back_and_is_listed_as_before() {
    for (from, to) in
        [(Site::embedded(&ipam()), Site::on_etcd(&ipam())), (Site::on_etcd(&ipam()), Site::embedded(&ipam()))]
    {
        populate(&from);
        let (file, records) = export_of(&from, "there");
        let import = ["import", "--from", "export", "--file", file.to_str().unwrap()];
        let (status, printed) = to.run(&[&import[..], &["--dry-run"]].concat());
        assert!(status == 0 && printed.contains("claims: 3 would be imported, 0 here already, 0 left"), "{printed}");
        let (status, printed) = to.run(&import);
        assert!(status == 1 && printed.contains("nothing was imported; --yes imports it"), "{printed}");
        assert_eq!(to.listed(), json!([]));
        let (status, found) = to.json(&[&import[..], &["--yes"]].concat());
        let counts = |imported: u64, already: u64| json!({"imported": imported, "already": already, "left": 0});
        assert_eq!((status, &found["claims"], &found["holds"]), (0, &counts(3, 0), &counts(19, 0)), "{found}");
        assert_eq!(to.listed(), from.listed());
        assert_eq!(to.json(&["usage"]), from.json(&["usage"]));
        let (_, found) = to.json(&[&import[..], &["--yes"]].concat());
        assert_eq!((&found["claims"], &found["holds"]), (&counts(0, 3), &counts(0, 19)), "an import may be repeated");

        // And back, into another domain of the first store.
        let (file, again) = export_of(&to, "back");
        assert_eq!(again, records);
        let mut back = from;
        back.configuration["ipam"]["domain"] = json!("back");
        let before = back.listed();
        let back = back.written();
        let (status, printed) = back.run(&["import", "--from", "export", "--file", file.to_str().unwrap(), "--yes"]);
        // The network is registered in its former domain, where its containers still hold their addresses.
        assert!(status == 1 && printed.contains("given out twice"), "{printed}");
        for container in ["c1", "c3", "c4"] {
            back.call("DEL", container).run().success();
        }
        let (status, printed) = back.run(&["import", "--from", "export", "--file", file.to_str().unwrap(), "--yes"]);
        assert_eq!(status, 0, "{printed}");
        assert_eq!(back.listed(), before);

        // What was imported is held as if it had been claimed there: a DEL frees it, reserved addresses are passed over.
        for site in [&to, &back] {
            assert_eq!(site.run(&["fsck"]), (0, "all records are consistent\n".to_owned()));
            site.call("DEL", "c1").for_pod("shop", "pod-c1", "u").run().success();
            assert!(site.run(&["show", "shop/pod-c3"]).1.contains("c3"));
            assert_eq!(site.json(&["list", "--held"]).1.as_array().unwrap().len(), 4);
        }
    }
}

#[test]
fn an_export_that_is_not_whole_is_refused_and_nothing_written() {
    let (from, to) = (Site::embedded(&ipam()), Site::embedded(&ipam()));
    populate(&from);
    let (file, _) = export_of(&from, "export");
    let text = fs::read_to_string(&file).unwrap();
    let changed = text.replace("10.1.0.64", "10.1.0.65");
    let cut = text.lines().take(4).collect::<Vec<_>>().join("\n");
    for (text, words) in
        [(changed.as_str(), "its digest differs"), (&cut, "last line is missing"), ("x", "not an export")]
    {
        fs::write(&file, text).unwrap();
        let (status, printed) = to.run(&["import", "--from", "export", "--file", file.to_str().unwrap(), "--yes"]);
        assert!(status == 1 && printed.contains(words) && printed.contains("hint: "), "{words}: {printed}");
        assert_eq!(to.listed(), json!([]));
    }
    assert_eq!(to.run(&["import", "--from", "export", "--yes"]).0, 1, "no file");
    let (status, printed) = from.run(&["export", "--to", "/nowhere/export"]);
    assert!(status == 1 && printed.contains("cannot write /nowhere/export"), "{printed}");
}

#[test]
fn what_is_held_otherwise_stays_and_is_named() {
    let (from, to) = (Site::embedded(&ipam()), Site::embedded(&ipam()));
    populate(&from);
    let (file, _) = export_of(&from, "export");
    to.add("other");
    to.run(&["reserve", "10.1.0.4", "--reason", "router", "--yes"]);
    let (status, found) = to.json(&["import", "--from", "export", "--file", file.to_str().unwrap(), "--yes"]);
    assert_eq!((status, &found["claims"]["left"]), (1, &json!(2)), "{found}");
    let problems = found["problems"].to_string();
    assert!(problems.contains("container other") && problems.contains("router"), "{problems}");
    assert_eq!(to.run(&["fsck"]).0, 0);
}

#[test]
fn the_pools_of_whereabouts_are_imported_with_their_pods() {
    let ipam = json!({"subnet": "10.10.0.0/16"});
    for site in [Site::embedded(&ipam), Site::on_etcd(&ipam)] {
        let pools = json!({"kind": "List", "items": [
            {"kind": "IPPool", "metadata": {"name": "10.10.0.0-16"}, "spec": {"range": "10.10.0.0/16", "allocations": {
                "2": {"id": "c1", "podref": "shop/web-0", "ifname": "net1"},
                "300": {"id": "c2", "podref": "shop/web-1"},
                "9": {"id": "c3", "podref": "shop/vm", "ipamclaimref": "shop/vm-claim"}}}},
            {"kind": "IPPool", "spec": {"range": "10.11.0.0/16", "allocations": {"1": {"id": "c9", "podref": "a/b"}}}}]});
        let file = site.directory.path().join("ippools.json");
        fs::write(&file, pools.to_string()).unwrap();
        let import = ["import", "--from", "whereabouts", "--file", file.to_str().unwrap()];
        let (status, printed) = site.run(&import);
        assert!(status == 1 && printed.contains("nothing was imported; --yes imports it"), "{printed}");
        let (status, rows) = site.json(&[&import[..], &["--yes"]].concat());
        let rows: Vec<(&str, &str)> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["address"].as_str().unwrap(), row["action"].as_str().unwrap()))
            .collect();
        let expected =
            [("10.10.0.2", "imported"), ("10.10.0.9", "skipped"), ("10.10.1.44", "imported"), ("10.11.0.1", "skipped")];
        assert_eq!((status, rows), (0, expected.to_vec()));
        let listed = site.listed();
        assert_eq!((&listed[0]["interface"], &listed[0]["pod"]["name"]), (&json!("net1"), &json!("web-0")), "{listed}");
        assert!(site.run(&["show", "shop/web-1"]).1.contains("10.10.1.44"));
        Call::new("DEL", "c1", &site.configuration).with("CNI_IFNAME", "net1").run().success();
        assert_eq!(site.listed().as_array().unwrap().len(), 1);
        assert_eq!(site.run(&["fsck"]).0, 0);
    }
}
