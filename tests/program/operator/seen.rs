//! What operators see of the addresses: lists in every order and format, sums, and pictures, over both stores.

use std::fs;

use serde_json::{Value, json};

use super::Site;

/// Two pods on two nodes, one of them with a fixed address, and an address that cools down.
fn sites() -> [Site; 2] {
    let ipam = json!({"ranges": [[{"subnet": "10.1.0.0/28"}], [{"subnet": "fd00::/64"}]], "cooldown": "1h"});
    let mut sites = [Site::embedded(&ipam), Site::on_etcd(&ipam)];
    for site in &mut sites {
        site.call("ADD", "c1").for_pod("shop", "web", "u1").run().success();
        site.call("ADD", "c2").for_pod("bank", "db", "u2").run().success();
        site.call("ADD", "c3").for_pod("shop", "cache", "u3").run().success();
        site.call("DEL", "c1").run().success();
        site.configuration["ipam"]["nodeName"] = json!("node-2");
        site.call("ADD", "c4").for_pod("alms", "a", "u4").run().success();
    }
    sites
}

fn addresses(site: &Site, arguments: &[&str]) -> Vec<String> {
    let (status, printed) = site.run(&[&["list", "-o", "name"], arguments].concat());
    assert_eq!(status, 0, "{printed}");
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn a_list_has_what_is_held_and_what_is_kept_and_can_be_narrowed_and_sorted() {
    for site in sites() {
        let held = ["10.1.0.3", "10.1.0.4", "10.1.0.5", "fd00::3", "fd00::4", "fd00::5"];
        let kept = ["10.1.0.2", "fd00::2"];
        assert_eq!(addresses(&site, &[]), [&kept[..1], &held[..3], &kept[1..], &held[3..]].concat());
        assert_eq!(addresses(&site, &["--held"]), held);
        assert_eq!(addresses(&site, &["--kept"]), kept);
        assert_eq!(addresses(&site, &["--kind", "cool-down,fixed"]), kept);
        assert_eq!(addresses(&site, &["--namespace", "shop"]), ["10.1.0.4", "fd00::4"]);
        assert_eq!(addresses(&site, &["--node", "node-2"]), ["10.1.0.5", "fd00::5"]);
        assert_eq!(addresses(&site, &["--range", "10.1.0.0/30,fd00::5"]), ["10.1.0.2", "10.1.0.3", "fd00::5"]);
        assert_eq!(addresses(&site, &["--older-than", "1h"]), [""; 0]);
        assert_eq!(addresses(&site, &["--older-than", "0s"]), held);
        let sorted = addresses(&site, &["--sort-by", "namespace", "--range", "10.1.0.0/28"]);
        assert_eq!(sorted, ["10.1.0.5", "10.1.0.3", "10.1.0.4", "10.1.0.2"]);
        let sorted = addresses(&site, &["--sort-by", "age", "--range", "fd00::/64"]);
        assert_eq!(sorted, ["fd00::3", "fd00::4", "fd00::5", "fd00::2"], "oldest first, and what nobody holds last");

        let (_, rows) = site.json(&["list"]);
        assert_eq!((&rows[0]["kind"], &rows[0]["address"]), (&json!("cool-down"), &json!("10.1.0.2")));
        assert_eq!((&rows[1]["kind"], &rows[1]["pod"]["namespace"]), (&json!("dynamic"), &json!("bank")));
        let (_, table) = site.run(&["list"]);
        assert!(table.starts_with("ADDRESS") && table.contains("cool-down, ") && table.contains("m left"), "{table}");
        let (_, table) = site.run(&["list", "--namespace", "nobody"]);
        assert_eq!(table, "no address matches\n");
        let (_, table) = site.run(&["list", "-o", "csv", "--no-headers", "--range", "10.1.0.3"]);
        assert!(table.starts_with("10.1.0.3,dynamic,bank,db,u2,") && table.lines().count() == 1, "{table}");
        let (status, printed) = site.run(&["list", "--range", "10.1.0.9/28"]);
        assert!(status == 2 && printed.contains("write 10.1.0.0/28"), "{printed}");
    }
}

#[test]
fn usage_counts_by_anything_and_what_lies_outside_of_todays_ranges() {
    for mut site in sites() {
        let (_, rows) = site.json(&["usage", "--by", "namespace"]);
        let shop = json!({"network": "blue", "namespace": "shop", "held": 2, "fixed": 0, "outside": 0});
        assert!(rows.as_array().unwrap().contains(&shop), "{rows}");
        let (_, rows) = site.json(&["usage", "--by", "node"]);
        assert_eq!((&rows[0]["node"], &rows[0]["held"]), (&json!("node-1"), &json!(4)), "the most first: {rows}");
        let (_, table) = site.run(&["usage", "--by", "policy"]);
        assert!(table.contains("range-fixed") && table.contains("total") && table.contains("100%"), "{table}");
        let (status, printed) = site.run(&["usage", "--by", "owner"]);
        assert!(status == 1 && printed.contains("no API server to ask"), "{printed}");

        assert_eq!(site.run(&["usage", "--warn", "31"]).0, 0);
        let (status, printed) = site.run(&["usage", "--warn", "30"]);
        assert!(status == 1 && printed.contains("range set 0 of network \"blue\": 30% in use, 9 free"), "{printed}");
        assert_eq!(site.run(&["usage", "--by", "node", "--warn", "30"]).0, 1);
        let (status, printed) = site.run(&["usage", "--warn", "101"]);
        assert!(status == 2, "{printed}");
        // A JavaScript program would change the last digits of these.
        let (_, rows) = site.json(&["usage"]);
        assert_eq!(rows[1]["size"], json!("18446744073709551614"), "{rows}");
        assert!(rows[0]["size"].is_u64() && rows.as_array().unwrap().len() == 2);

        site.configuration["ipam"]["ranges"][0] = json!([{"subnet": "10.1.0.0/28", "rangeStart": "10.1.0.5"}]);
        let site = site.written();
        let (_, rows) = site.json(&["usage"]);
        assert_eq!(rows[2], json!({"network": "blue", "outside": 2, "example": "10.1.0.3"}), "{rows}");
        let (_, table) = site.run(&["usage"]);
        assert!(table.contains("(outside)  -") && table.contains("for example 10.1.0.3"), "{table}");
        let (_, rows) = site.json(&["usage", "--by", "namespace"]);
        let outside: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row["outside"]).collect();
        assert_eq!(outside.iter().filter(|count| ***count == json!(1)).count(), 2, "{rows}");
    }
}

#[test]
fn a_map_shows_small_ranges_whole_and_of_huge_ones_what_is_occupied() {
    for site in sites() {
        let (status, picture) = site.run(&["map"]);
        assert!(status == 0 && !picture.contains('\x1b'), "no colours where there is no terminal: {picture}");
        assert!(picture.contains("blue, range set 0: 10.1.0.2-10.1.0.14\n3 held, 1 kept back of 13; "), "{picture}");
        // The gateway and the broadcast address are nobody's.
        assert!(picture.contains("10.1.0.0                     ◎███·········\n"), "{picture}");
        assert!(picture.contains("3 held, 1 kept back of about 2^64; a character is an address; rows"), "{picture}");
        assert!(picture.contains("fd00::                       ◎███·····"), "{picture}");
        let (_, areas) = site.json(&["map"]);
        assert_eq!((&areas[0]["held"], &areas[0]["rows"][0]["first"]), (&json!(3), &json!("10.1.0.0")));
        assert_eq!(areas[1]["rows"].as_array().unwrap().len(), 1, "of 2^58 rows");

        let file = site.directory.path().join("map.svg");
        let (status, printed) = site.run(&["map", "--svg", file.to_str().unwrap()]);
        assert!(status == 0 && printed.contains("wrote 2 ranges to"), "{printed}");
        let drawn = fs::read_to_string(&file).unwrap();
        assert!(drawn.starts_with("<svg ") && drawn.contains("<title>1 held, 0 kept back of 1</title>"), "{drawn}");
        let (status, printed) = site.run(&["map", "--svg", "/nonexistent/map.svg"]);
        assert!(status == 1 && printed.contains("cannot write /nonexistent/map.svg"), "{printed}");
    }
}
