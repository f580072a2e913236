//! This program beside an earlier one: what a change costs. `BEFORE` names the other's file.

use std::fs;
use std::path::PathBuf;

use kube_ipam_tests::Call;
use kube_ipam_tests::program::{network, program};
use serde_json::{Value, json};

use crate::sample::{Pairs, ROUNDS, header, time};

pub(crate) fn print() {
    let Some(before) = std::env::var_os("BEFORE").filter(|file| !file.is_empty()).map(PathBuf::from) else {
        println!("left out: BEFORE=FILE names the earlier program");
        return;
    };
    // Fresh copies: where a file's pages happen to lie in memory makes some per cent between two copies of one program.
    let directory = tempfile::tempdir().unwrap();
    let [now, before] = [(program(), "now"), (before, "before")].map(|(file, name)| {
        let copy = directory.path().join(name);
        fs::copy(&file, &copy).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        copy
    });
    let networks = ["now-data", "before-data"].map(|name| {
        let data = directory.path().join(name);
        network(&data, &json!({"subnet": "10.4.0.0/16"}))
    });

    let [mut version, mut add, mut del] = [Pairs::default(), Pairs::default(), Pairs::default()];
    for round in 0..ROUNDS {
        let name = format!("bench-{round}");
        let call = |verb: &str| {
            [(&now, &networks[0]), (&before, &networks[1])]
                .map(|(file, network)| Call::new(verb, &name, network).of(file))
        };
        let asked = Call::new("VERSION", "", &Value::Null).stdin("{\"cniVersion\":\"1.0.0\"}");
        push_in_turn(&mut version, round, &asked.clone().of(&now), &asked.of(&before));
        for (verb, pairs) in [("ADD", &mut add), ("DEL", &mut del)] {
            let [ours, theirs] = call(verb);
            push_in_turn(pairs, round, &ours, &theirs);
        }
    }
    header("before");
    version.print("VERSION");
    add.print("ADD");
    del.print("DEL");
}

/// Time a pair of calls, now one of them first and now the other: the first call after something else finds colder caches, a
/// fifth of what the shortest call takes.
fn push_in_turn(pairs: &mut Pairs, round: usize, ours: &Call, theirs: &Call) {
    if round.is_multiple_of(2) {
        pairs.push(time(ours), time(theirs));
        return;
    }
    let theirs = time(theirs);
    pairs.push(time(ours), theirs);
}
