//! A network that has another name by now: what it held is its own, and what runs knows it by the former one.

use kube_ipam_tests::Call;
use kube_ipam_tests::listing::{held, operate};
use serde_json::{Value, json};

use super::Node;

fn rename(configuration: &Value, arguments: &[&str]) -> (i32, String) {
    let output = operate(&[&["rename"], arguments].concat(), configuration);
    let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), printed)
}

#[test]
fn containers_of_a_renamed_network_are_known_and_released_under_either_name() {
    // With a domain of its own for each name, and with one that both have.
    for domain in [Value::Null, json!("site")] {
        let mut ipam = json!({"subnet": "10.1.0.0/24"});
        if !domain.is_null() {
            ipam["domain"] = domain.clone();
        }
        for mut node in Node::each(&ipam) {
            for container in ["c1", "c2", "c3"] {
                node.add(container);
            }
            let blue = node.configuration.clone();
            let (status, printed) = rename(&blue, &["blue", "green", "--yes"]);
            assert!(status == 1 && printed.contains("still has a network \"blue\""), "{printed}");
            node.configuration["name"] = json!("green");
            let mut node = node.written();
            let (status, printed) = rename(&node.configuration, &["blue", "green"]);
            assert!(status == 1 && printed.contains("would be renamed") && printed.contains("--yes"), "{printed}");
            let (status, printed) = rename(&node.configuration, &["blue", "green", "--yes"]);
            assert_eq!((status, printed.matches("renamed").count()), (0, 3), "{printed}");
            let (status, printed) = rename(&node.configuration, &["blue", "green", "--yes"]);
            assert_eq!((status, printed.as_str()), (0, "nothing is left under the former name\n"));
            assert_eq!(held(&node.configuration).len(), 3);

            // Libcni knows the three by the former name: they live, and nobody is told to release them.
            let (status, printed) = node.run(&["fsck", "--containers"]);
            assert!(
                status == 0 && printed.contains("3 containers run here, and the store knows them all"),
                "{printed}"
            );
            let (status, printed) = node.run(&["release", "c1", "--yes"]);
            assert!(status == 1 && printed.contains("it is running"), "{printed}");
            // The store forgets them, and not the registry: they are claimed again, under the new name.
            if node.etcd.is_some() {
                node.lose();
                let (status, printed) = node.run(&["fsck", "--containers", "--repair", "--yes"]);
                assert_eq!(status, 0, "{printed}");
                assert_eq!(held(&node.configuration).len(), 3);
            }

            // A runtime that kept the configuration of the ADD, and one that reads today's.
            Call::new("DEL", "c1", &blue).run().success();
            Call::new("DEL", "c2", &node.configuration).run().success();
            assert_eq!(held(&node.configuration).len(), 1);
            if domain.is_null() {
                let (code, text) = Call::new("ADD", "c9", &blue).run().failure();
                assert!(code == 7 && text.contains("was renamed to \"green\""), "{code} {text}");
            }
            node.add("c5");
            node.knows("c3").knows("c5");
            // And back again.
            let (status, printed) = rename(&blue, &["green", "blue", "--yes"]);
            assert_eq!(status, 0, "{printed}");
            Call::new("DEL", "c5", &node.configuration).run().success();
            Call::new("DEL", "c3", &blue).run().success();
            assert!(held(&blue).is_empty());
            assert_eq!(operate(&["fsck"], &blue).status.code(), Some(0));
        }
    }
}

/// A reservation is the domain's, whatever the network is called; and of two containers of a pod the newer one is its own.
#[test]
fn what_is_not_the_networks_stays_and_the_newer_container_is_the_pods() {
    for mut node in Node::each(&json!({"subnet": "10.1.0.0/24", "domain": "site"})) {
        let reserve = ["reserve", "10.1.0.9", "--reason", "printer", "--by", "ops", "--yes"];
        assert!(operate(&reserve, &node.configuration).status.success());
        // In the order of keys the older one comes first.
        for container in ["c1", "c2"] {
            let uid = format!("u-{container}");
            Call::new("ADD", container, &node.configuration).for_pod("shop", "web", &uid).run().success();
        }
        node.configuration["name"] = json!("green");
        let node = node.written();
        let (status, printed) = rename(&node.configuration, &["blue", "green", "--yes"]);
        assert!(status == 0 && !printed.contains("10.1.0.9"), "{printed}");
        let show = |what: &str| String::from_utf8(operate(&["show", what], &node.configuration).stdout).unwrap();
        assert!(show("10.1.0.9").contains("(reservation)"));
        let shown = show("shop/web");
        assert!(shown.contains("container  c2") && !shown.contains("container  c1"), "{shown}");
    }
}

impl Node {
    fn knows(&self, container: &str) -> &Self {
        assert!(self.held().values().any(|holder| holder == container), "{container}");
        self
    }
}
