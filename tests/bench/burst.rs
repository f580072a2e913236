//! Pods that start together: until the last one has its address, and how long each had to wait.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kube_ipam_tests::Call;
use kube_ipam_tests::program::{network, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::sample::{HOST_LOCAL, host_local, median, milliseconds, p99};
use crate::server::Server;

const BURSTS: usize = 9;

pub(crate) fn print() {
    let server = Server::plain();
    println!("all started at once, until the last has its address (medians of {BURSTS})");
    columns();
    for size in [32, 110] {
        burst(size, &server);
    }
    println!("\nADDs in all by so many at a time: total, p99 of one, and how often one decided again");
    columns();
    for count in [200, 1_000] {
        for at_a_time in [1, 8, 32, 128] {
            load(count, at_a_time, &server);
        }
    }
}

fn columns() {
    println!("{:<20} {:>32} {:>32} {:>32}", "", "etcd", "embedded", "host-local");
}

/// The same calls on each of the three, each beginning with nothing held.
fn contenders(server: &Server, round: &str) -> [(Value, Option<&'static str>, TempDir); 3] {
    let ipam = json!({"subnet": "10.4.0.0/16"});
    let [one, two, three] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let on_disk = network(two.path(), &ipam);
    let mut theirs = host_local(three.path());
    theirs["ipam"]["ranges"] = json!([[ipam]]);
    [(server.network(&format!("/{round}"), &ipam), None, one), (on_disk, None, two), (theirs, Some(HOST_LOCAL), three)]
}

/// The program's own log, one line for each ADD, tells how often it decided again.
fn decided_again(log: &Path, count: usize) -> String {
    let Ok(log) = std::fs::read_to_string(log) else { return "-".to_owned() };
    let fields = log.lines().flat_map(str::split_whitespace);
    let attempts: Vec<usize> = fields.filter_map(|field| field.strip_prefix("attempt=")?.parse().ok()).collect();
    assert_eq!(attempts.len(), count, "an ADD is not in the log");
    format!("{:.2}", attempts.iter().sum::<usize>() as f64 / count as f64)
}

fn call(number: usize, network: &Value, program: Option<&str>) -> Call {
    let call = Call::new("ADD", &format!("burst-{number}"), network);
    match program {
        Some(program) => call.of(program),
        None => call,
    }
}

fn burst(size: usize, server: &Server) {
    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 0..BURSTS {
        for (times, (network, program, _directory)) in
            times.iter_mut().zip(contenders(server, &format!("burst-{size}-{round}")))
        {
            let calls: Vec<Call> = (0..size).map(|number| call(number, &network, program)).collect();
            let start = Instant::now();
            let children: Vec<_> = calls.iter().map(Call::start).collect();
            let answers: Vec<_> = children.into_iter().map(wait).collect();
            times.push(start.elapsed());
            let addresses: BTreeSet<String> = answers.iter().flat_map(kube_ipam_tests::Answer::addresses).collect();
            assert_eq!(addresses.len(), size, "an address was given twice");
        }
    }
    let times = times.map(|mut times| milliseconds(median(&mut times)));
    println!("{:<20} {:>32} {:>32} {:>32}", format!("{size} at once"), times[0], times[1], times[2]);
}

fn load(count: usize, at_a_time: usize, server: &Server) {
    let contenders = contenders(server, &format!("load-{count}-{at_a_time}"));
    let cells = contenders.map(|(mut network, program, directory)| {
        let log = directory.path().join("log");
        network["ipam"]["logFile"] = json!(log);
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return times;
                }
                times.push(crate::sample::time(&call(number, &network, program)));
            }
        };
        let start = Instant::now();
        let mut times: Vec<Duration> = thread::scope(|scope| {
            let workers: Vec<_> = (0..at_a_time).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        });
        let elapsed = start.elapsed();
        let again = decided_again(&log, count);
        format!("{} {} {again:>5}", milliseconds(elapsed), milliseconds(p99(&mut times)))
    });
    println!("{:<20} {:>32} {:>32} {:>32}", format!("{count} by {at_a_time}"), cells[0], cells[1], cells[2]);
}
