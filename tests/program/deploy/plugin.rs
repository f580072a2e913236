//! `kubectl kube-ipam`: which pod a command runs in, and how it gets there. A kubectl that only writes down how it is called
//! stands in for the real one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::manifests::{of_kind, rendered, root};

/// Pods as the plugin's columns show them: name, whether it is ready, node.
const PODS: &str = "kube-ipam-a False worker-1\nkube-ipam-b True worker-2\nkube-ipam-c True worker-3\n";

/// Writes down how it is called. What changes no cluster is left to the real one.
const KUBECTL: &str = r#"#!/bin/sh
directory=$(dirname "$0")
for argument; do printf '%s\n' "$argument" >>"$directory/called"; done
PATH=$(echo "$PATH" | cut -d: -f2-)
case "$*" in
*' get pods '*) cat "$directory/pods" ;;
*' create job '*) cat "$directory/job" ;;
*' patch --local '*) exec kubectl "$@" ;;
*' create --filename='*) for argument; do case $argument in --filename=*) cp "${argument#*=}" "$directory/created" ;; esac; done ;;
*' get job '*) cat "$directory/ended" ;;
*' logs '*) echo 'the log of the job' ;;
*' delete job '*) touch "$directory/deleted" ;;
*) cat; exit 7 ;;
esac
"#;

struct Laptop(TempDir);

impl Laptop {
    fn new(pods: &str) -> Self {
        let laptop = Self(tempfile::tempdir().unwrap());
        fs::write(laptop.0.path().join("pods"), pods).unwrap();
        let kubectl = laptop.0.path().join("kubectl");
        fs::write(&kubectl, KUBECTL).unwrap();
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
        laptop
    }

    /// Exit status, all that was printed, and the arguments of the call that ran the command.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, Vec<String>) {
        let _ = fs::remove_file(self.0.path().join("called"));
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap());
        let mut plugin = Command::new(root().join("deploy/kubectl-kube_ipam"));
        let output = plugin.args(arguments).env("PATH", path).stdin(Stdio::null()).output().unwrap();
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let called = fs::read_to_string(self.0.path().join("called")).unwrap_or_default();
        let called: Vec<String> = called.lines().map(str::to_owned).collect();
        // Each call begins with the global options.
        let last = called.iter().rposition(|argument| argument.starts_with("--namespace=")).unwrap_or(0);
        (output.status.code(), printed, called[last.min(called.len())..].to_vec())
    }
}

#[test]
fn a_command_runs_in_a_pod_that_is_ready_with_its_arguments_as_they_are() {
    let laptop = Laptop::new(PODS);
    let (status, printed, called) = laptop.run(&["show", "shop/web 0", "--conf", "a b.conf"]);
    let head = ["--namespace=kube-system", "exec", "--stdin", "--container=install-node", "kube-ipam-b", "--"];
    let expected = [&head[..], &["/kube-ipam", "show", "shop/web 0", "--conf", "a b.conf"]].concat();
    assert_eq!(called, expected, "{printed}");
    assert_eq!(status, Some(7), "the status of the command is that of the plugin");
}

#[test]
fn a_node_is_chosen_by_its_name_even_if_its_pod_is_not_ready() {
    let laptop = Laptop::new(PODS);
    for arguments in [["--node", "worker-1", "doctor"].as_slice(), &["--node=worker-1", "--", "doctor"]] {
        let (_, printed, called) = laptop.run(arguments);
        assert!(called.contains(&"kube-ipam-a".to_owned()), "{called:?} {printed}");
        assert_eq!(called.last().unwrap(), "doctor");
    }
    let (_, _, called) = laptop.run(&["-n", "ipam", "--node=worker-3", "list", "--node", "worker-1"]);
    assert_eq!(called[0], "--namespace=ipam");
    assert!(called.contains(&"kube-ipam-c".to_owned()), "what follows the command is its own: {called:?}");
    assert_eq!(called[called.len() - 3..], ["list", "--node", "worker-1"]);
}

/// Which a node may not list. The Job has the account of the CronJob that it is made of.
#[test]
fn what_needs_all_pods_runs_as_the_reclaim() {
    let cronjob = of_kind(&rendered(), "CronJob").remove(0);
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "by-hand", "namespace": "kube-system"},
        "spec": cronjob["spec"]["jobTemplate"]["spec"]});
    let all =
        [&["reclaim", "--yes", "--node", "a \"b\" \\c"] as &[&str], &["fsck", "--pods"], &["usage", "--by=owner"]];
    for (ended, status, commands) in
        [("SuccessCriteriaMet Complete", Some(0), &all[..]), ("FailureTarget Failed", Some(1), &all[1..2])]
    {
        let laptop = Laptop::new(PODS);
        fs::write(laptop.0.path().join("job"), job.to_string()).unwrap();
        fs::write(laptop.0.path().join("ended"), ended).unwrap();
        for words in commands {
            let (found, printed, _) = laptop.run(words);
            assert_eq!((found, printed.as_str()), (status, "the log of the job\n"), "{words:?}");
            let created: Value = serde_json::from_slice(&fs::read(laptop.0.path().join("created")).unwrap()).unwrap();
            let pod = &created["spec"]["template"]["spec"];
            assert_eq!(
                (&pod["containers"][0]["args"], &pod["serviceAccountName"]),
                (&json!(words), &json!("kube-ipam-reclaim"))
            );
            fs::remove_file(laptop.0.path().join("deleted")).expect("the job is removed");
        }
    }
    let laptop = Laptop::new(PODS);
    let (status, printed, _) = laptop.run(&["--node", "worker-2", "reclaim", "--yes"]);
    assert!(
        status == Some(1) && printed.contains("reclaim is about the whole cluster, not about node worker-2"),
        "{printed}"
    );
    // These read the store and the node alone.
    for words in [&["fsck"] as &[&str], &["usage", "--by", "node"], &["show", "owner"]] {
        assert_eq!(laptop.run(words).2.last().unwrap(), words.last().unwrap());
    }
}

#[test]
fn a_history_is_asked_of_every_node_and_whoever_is_silent_is_named() {
    let laptop = Laptop::new(PODS);
    let (status, printed, called) = laptop.run(&["history", "10.0.0.7", "--at", "2h"]);
    // The stand-in prints what comes in, and its answers are failures.
    for (node, pod) in [("worker-1", "kube-ipam-a"), ("worker-2", "kube-ipam-b"), ("worker-3", "kube-ipam-c")] {
        let silent = format!("{{\"journalOf\":\"{node}\",\"silent\":\"pod {pod} did not answer\"}}");
        assert!(printed.contains(&silent), "{printed}");
    }
    let asked = ["kube-ipam-b", "--", "/kube-ipam", "history", "10.0.0.7", "--at", "2h", "--journal", "-"];
    assert!(status == Some(7) && called.ends_with(&asked.map(str::to_owned)), "{called:?}");
    let (_, _, called) = laptop.run(&["--node", "worker-3", "history", "10.0.0.7"]);
    assert!(called.ends_with(&["/kube-ipam", "history", "10.0.0.7"].map(str::to_owned)), "one node alone: {called:?}");
}

#[test]
fn what_is_missing_is_said() {
    let laptop = Laptop::new(PODS);
    let (status, printed, _) = laptop.run(&["--node", "worker-9", "list"]);
    assert!(status == Some(1) && printed.contains("no pod of kube-ipam runs on node worker-9"), "{printed}");
    let (status, printed, called) = laptop.run(&["--output", "json", "list"]);
    assert!(status == Some(1) && printed.contains("unknown option --output") && called.is_empty(), "{printed}");
    let (status, printed, called) = laptop.run(&["--help"]);
    assert!(status == Some(0) && printed.contains("--node NODE") && called.is_empty(), "{printed}");
    assert_eq!(laptop.run(&[]).0, Some(2));
    let (status, printed, _) = Laptop::new("kube-ipam-a False worker-1\n").run(&["list"]);
    assert!(status == Some(1) && printed.contains("no pod of kube-ipam is ready"), "{printed}");
    assert!(printed.contains("hint: kubectl --namespace kube-system describe pods"), "{printed}");
}
