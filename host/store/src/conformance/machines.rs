//! Machines of one name, and names of one machine.

use super::bench::{Bench, MACHINE, dynamic, requester};
use crate::Requester;
use crate::map::Map;

pub(crate) async fn what_is_of_one_of_node_and_machine_only_is_found(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let requesters = [
        ("ours", "node-1", MACHINE),
        ("renamed-1", "node-0", MACHINE),
        ("renamed-2", "node-0", MACHINE),
        ("twin", "node-1", "m2"),
        ("unknown", "node-1", ""),
        ("stranger", "node-2", "m2"),
    ];
    for (nth, (container, node, machine)) in requesters.into_iter().enumerate() {
        let who = Requester { node: node.into(), machine: machine.into(), ..requester(container, "") };
        bench.hold(&who, &[dynamic(&format!("10.0.0.{}", nth + 2))]).await;
    }
    let strays = bench.store.strays("node-1", MACHINE).await.unwrap();
    let former: Vec<_> = strays.former_names.iter().map(|(name, under)| (name.as_str(), under.count)).collect();
    assert_eq!(former, [("node-0", 2)]);
    assert_eq!(strays.former_names["node-0"].example.container, "renamed-1");
    let others: Vec<_> = strays.other_machines.iter().map(|(name, under)| (name.as_str(), under.count)).collect();
    assert_eq!(others, [("", 1), ("m2", 1)]);

    let strays = bench.store.strays("node-1", "").await.unwrap();
    assert_eq!((strays.former_names.len(), strays.other_machines.len()), (0, 2), "a machine that is not known");
    bench.agrees().await;
}

pub(crate) async fn gc_finds_its_own_machine_only(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    for (container, machine, address) in [("one", MACHINE, "10.0.0.2"), ("two", "m2", "10.0.0.3")] {
        bench.hold(&Requester { machine: machine.into(), ..requester(container, "") }, &[dynamic(address)]).await;
    }
    for (machine, expected) in [(MACHINE, "one"), ("m2", "two")] {
        let found = bench.store.attachments_on("node-1", machine, "blue").await.unwrap();
        assert_eq!(found.iter().map(|one| one.container.as_str()).collect::<Vec<_>>(), [expected]);
    }
}

pub(crate) async fn claims_of_before_a_moment_are_counted(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let mut moment = bench.tick();
    for nth in 0..4 {
        bench.hold(&requester(&format!("c{nth}"), ""), &[dynamic(&format!("10.0.0.{}", nth + 2))]).await;
        if nth == 2 {
            moment = bench.tick();
        }
    }
    let twin = Requester { machine: "m2".into(), ..requester("twin", "") };
    bench.hold(&twin, &[dynamic("10.0.0.9")]).await;
    let count = async |machine: &str, most: usize| {
        bench.store.count_older("node-1", machine, "blue", moment, most).await.unwrap()
    };
    assert_eq!(count(MACHINE, 64).await, (3, false));
    assert_eq!(count(MACHINE, 2).await, (2, true), "of those that were looked at");
    assert_eq!(count("m2", 64).await, (0, false));
    assert_eq!(count("m3", 64).await, (0, false));
}
