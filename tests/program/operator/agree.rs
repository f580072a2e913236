//! At a terminal a command that writes shows its plan and asks; what it does then is what it showed.

use std::io::Write;
use std::process::{Command, Stdio};

use kube_ipam_tests::program;
use serde_json::json;

use super::Site;

/// Run a command at a terminal, and answer its question. What was shown, and the exit status.
fn answered(site: &Site, command: &str, answer: &str) -> (i32, String) {
    let line = format!("{} {command} --conf {}", program().display(), site.file().display());
    // script gives the command a terminal of its own, and types there what it reads.
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = script.spawn().unwrap();
    child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn an_answer_of_yes_reserves_and_any_other_does_not() {
    let site = Site::embedded(&json!({"subnet": "10.1.0.0/24"}));
    for (answer, status, reserved) in [("n\n", 1, 0), ("\n", 1, 0), ("yes\n", 0, 2)] {
        let (ended, shown) = answered(&site, "reserve 10.1.0.8/31 --reason router", answer);
        assert!(shown.contains("10.1.0.8-10.1.0.9") && shown.contains("proceed? [y/N]"), "{shown}");
        assert_eq!((ended, site.json(&["usage"]).1[0]["reserved"].clone()), (status, json!(reserved)), "{answer:?}");
    }
    assert_eq!(answered(&site, "unreserve 10.1.0.8", "y\n").0, 0);
    assert_eq!(site.json(&["usage"]).1[0]["reserved"], 1);
}

/// The plan has read the very file that is read once more to carry it out.
#[test]
fn an_import_from_another_directory_is_planned_and_carried_out() {
    let ipam = json!({"subnet": "10.1.0.0/24"});
    let (former, now) = (Site::embedded(&ipam), Site::on_etcd(&ipam));
    former.add("c1");
    let command = format!("import --from kube-ipam --data-dir {}", former.directory.path().display());
    let (status, shown) = answered(&now, &command, "y\n");
    assert!(status == 0 && shown.contains("would be imported") && shown.contains("10.1.0.2"), "{shown}");
    assert_eq!(now.listed()[0]["container"], "c1");
    assert_eq!(former.listed(), json!([]));
}
