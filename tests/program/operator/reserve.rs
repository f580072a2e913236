//! `reserve` and `unreserve`: what an operator takes out of circulation, and puts back.

use std::fs;

use serde_json::{Value, json};

use super::Site;

/// The outcome of each row, by its addresses.
fn outcomes(rows: &Value) -> Vec<(String, String)> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(|row| (text(row, "addresses"), text(row, "outcome"))).collect()
}

fn expected<const N: usize>(rows: [(&str, &str); N]) -> Vec<(String, String)> {
    rows.map(|(addresses, outcome)| (addresses.to_owned(), outcome.to_owned())).into()
}

/// An ADD of which the runtime names the address.
fn add_named(site: &Site, container: &str, address: &str) -> Result<String, (u64, String)> {
    let mut configuration = site.configuration.clone();
    configuration["args"] = json!({"cni": {"ips": [address]}});
    let answer = kube_ipam_tests::Call::new("ADD", container, &configuration).run();
    if answer.status == Some(0) { Ok(answer.addresses().join(",")) } else { Err(answer.failure()) }
}

#[test]
fn what_is_reserved_no_pod_gets_until_it_is_back_in_circulation() {
    let ipam = json!({"subnet": "10.1.0.0/24"});
    for site in [Site::embedded(&ipam), Site::on_etcd(&ipam)] {
        assert_eq!(site.add("c1"), "10.1.0.2");
        let command = ["reserve", "10.1.0.2-10.1.0.5", "10.1.0.9", "--reason", "printers", "--by", "ops"];
        let plan = [("10.1.0.2", "held"), ("10.1.0.3-10.1.0.5", "found"), ("10.1.0.9", "found")];
        for option in [&["--dry-run"][..], &["--dry-run", "--yes"], &[]] {
            let (status, rows) = site.json(&[&command[..], option].concat());
            assert_eq!((status, outcomes(&rows)), (1, expected(plan)), "{option:?}");
        }
        let (_, printed) = site.run(&command);
        for part in
            ["held by container c1", "kube-ipam release 10.1.0.2", "1 not reserved: held", "; --yes carries it out"]
        {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        assert_eq!(site.json(&["usage"]).1[0]["reserved"], 0);
        let (status, rows) = site.json(&[&command[..], &["--yes"]].concat());
        let done = [("10.1.0.2", "held"), ("10.1.0.3-10.1.0.5", "reserved"), ("10.1.0.9", "reserved")];
        assert_eq!((status, outcomes(&rows)), (1, expected(done)));

        assert_eq!(site.add("c2"), "10.1.0.6");
        let (code, text) = add_named(&site, "c3", "10.1.0.9").unwrap_err();
        assert_eq!(code, 102, "{text}");
        for part in
            ["10.1.0.9 is reserved by ops since ", ": printers", "`kube-ipam unreserve 10.1.0.9 --network blue`"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(site.json(&["usage"]).1[0]["reserved"], 4);
        let (status, shown) = site.run(&["show", "10.1.0.9"]);
        for part in ["address    10.1.0.9 (reservation)", "reason     printers", "by         ops", "since      "] {
            assert!(status == 0 && shown.contains(part), "{part}: {shown}");
        }
        let (status, rows) = site.json(&["show", "10.1.0.9"]);
        assert_eq!((status, &rows[0]["kind"], &rows[0]["by"]), (0, &json!("reservation"), &json!("ops")));
        // What ends with a release is not what an operator reserved.
        let (status, printed) = site.run(&["release", "10.1.0.9", "--yes", "--force"]);
        assert!(status == 1 && printed.contains("kube-ipam unreserve 10.1.0.9"), "{printed}");
        site.call("DEL", "c1").run().success();
        site.call("DEL", "c2").run().success();
        let (status, rows) = site.json(&[&command[..], &["--yes"]].concat());
        let done = [("10.1.0.2", "reserved"), ("10.1.0.3-10.1.0.5", "already"), ("10.1.0.9", "already")];
        assert_eq!((status, outcomes(&rows)), (0, expected(done)), "what was held is reserved once it is free");

        let (status, rows) = site.json(&["unreserve", "10.1.0.0/29", "--dry-run"]);
        assert_eq!((status, outcomes(&rows)), (0, expected([("10.1.0.2-10.1.0.5", "ending")])));
        assert_eq!(site.run(&["unreserve", "10.1.0.0/29"]).0, 1, "nobody said yes");
        let (status, printed) = site.run(&["unreserve", "10.1.0.9", "--yes"]);
        assert!(status == 0 && printed.contains("1 back in circulation"), "{printed}");
        assert_eq!(add_named(&site, "c3", "10.1.0.9"), Ok("10.1.0.9".to_owned()));
        let (status, printed) = site.run(&["unreserve", "10.1.0.9", "--yes"]);
        assert!(status == 1 && printed.contains("nothing is reserved in 10.1.0.9"), "{printed}");
        assert_eq!(site.run(&["fsck"]).0, 0);
    }
}

#[test]
fn a_list_is_kept_in_step_with_its_file() {
    let ipam = json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]});
    for site in [Site::embedded(&ipam), Site::on_etcd(&ipam)] {
        let file = site.directory.path().join("netbox.csv");
        let path = file.to_str().unwrap();
        site.run(&["reserve", "10.1.0.20", "--reason", "by hand", "--yes"]);
        let text =
            "address,description\n10.1.0.5/24,printer\n10.1.0.6/24,scanner\n10.1.0.20,router\nfd00::7\n10.9.9.9,afar\n";
        fs::write(&file, text).unwrap();
        for nth in 0..2 {
            let (status, rows) = site.json(&["reserve", "--from", path, "--yes"]);
            let done = if nth == 0 { "reserved" } else { "already" };
            let expected = expected([
                ("10.1.0.5", done),
                ("10.1.0.6", done),
                ("10.1.0.20", "already"),
                ("fd00::7", done),
                ("10.9.9.9", "outside"),
            ]);
            assert_eq!((status, outcomes(&rows)), (0, expected), "{rows}");
        }
        assert!(site.run(&["show", "fd00::7"]).1.contains("list       netbox.csv"));
        // One is gone from the list, another has a new reason; what was reserved by hand stays as it is.
        fs::write(&file, "10.1.0.6/24, flatbed\nfd00::7\n").unwrap();
        let (status, printed) = site.run(&["reserve", "--from", path, "--yes"]);
        assert!(
            status == 0 && printed.contains("so far: scanner") && printed.contains("no longer listed"),
            "{printed}"
        );
        let all = site.json(&["unreserve", "10.1.0.0/24", "--dry-run"]).1;
        assert_eq!(outcomes(&all), expected([("10.1.0.6", "ending"), ("10.1.0.20", "ending")]));
        assert!(site.run(&["show", "10.1.0.6"]).1.contains("reason     flatbed"));
        let (status, _) = site.json(&["unreserve", "--list", "netbox.csv", "--yes"]);
        assert_eq!((status, site.json(&["usage"]).1[0]["reserved"].clone()), (0, json!(1)));
        assert_eq!(site.run(&["fsck"]).0, 0);
    }
}

#[test]
fn what_cannot_be_reserved_is_said_with_a_way_to_go_on() {
    let site = Site::embedded(&json!({"subnet": "10.0.0.0/8"}));
    let file = site.directory.path().join("list");
    let path = file.to_str().unwrap();
    let reserve = ["--reason", "x", "--yes"];
    let (status, printed) = site.run(&[&["reserve", "10.0.0.0/16"], &reserve[..]].concat());
    assert!(
        status == 1 && printed.contains("65,536 addresses are too many") && printed.contains("exclude"),
        "{printed}"
    );
    let (status, rows) = site.json(&[&["reserve", "11.0.0.1"], &reserve[..]].concat());
    assert_eq!((status, outcomes(&rows)), (1, expected([("11.0.0.1", "outside")])));
    let (status, printed) = site.run(&[&["reserve", "10.0.0.9/16"], &reserve[..]].concat());
    assert!(status == 2 && printed.contains("10.0.0.9 for the address"), "{printed}");
    assert_eq!(site.run(&["reserve", "10.0.0.9"]).0, 2, "nobody knows why");
    for (text, words) in [("", "lists no address"), ("# none\n", "unreserve --list"), ("10.0.0.1\nx y\n", "line 2")] {
        fs::write(&file, text).unwrap();
        let (status, printed) = site.run(&["reserve", "--from", path, "--yes"]);
        assert!(status == 1 && printed.contains(words), "{words}: {printed}");
    }
    assert_eq!(site.json(&["usage"]).1[0]["reserved"], 0);
}

/// A pod that comes back may want what is on hold for it; a cool-down is nobody's.
#[test]
fn a_hold_ends_by_force_only_and_a_cool_down_by_itself() {
    let site = Site::embedded(&json!({"subnet": "10.1.0.0/24", "cooldown": "1h"}));
    site.add("c1");
    site.call("DEL", "c1").run().success();
    let (status, printed) = site.run(&["reserve", "10.1.0.2", "--reason", "router", "--yes"]);
    assert!(status == 0 && printed.contains("ends its cool-down"), "{printed}");
}
