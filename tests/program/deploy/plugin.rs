//! `kubectl kube-ipam`: which pod a command runs in, and how it gets there. A kubectl that only writes down how it is called
//! stands in for the real one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::manifests::root;

/// Pods as the plugin's columns show them: name, whether it is ready, node.
const PODS: &str = "kube-ipam-a False worker-1\nkube-ipam-b True worker-2\nkube-ipam-c True worker-3\n";

struct Laptop(TempDir);

impl Laptop {
    fn new(pods: &str) -> Self {
        let laptop = Self(tempfile::tempdir().unwrap());
        fs::write(laptop.0.path().join("pods"), pods).unwrap();
        let kubectl = laptop.0.path().join("kubectl");
        let script = "#!/bin/sh\ndirectory=$(dirname \"$0\")\n\
            for argument; do printf '%s\\n' \"$argument\" >>\"$directory/called\"; done\n\
            case \"$*\" in *' get pods '*) cat \"$directory/pods\" ;; *) cat; exit 7 ;; esac\n";
        fs::write(&kubectl, script).unwrap();
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
