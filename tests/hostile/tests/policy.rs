//! A policy's life: loaded from the binary or a file, and run. How it is kept meanwhile: `cache.rs`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::{Compiler, Outcome, Policy, Source};
use hostile::{SLACK, Site, request, snapshot, unread_snapshot};
use ipam::{Question, Span, Verdict};
use kube_ipam_tests::guest::Guest;
use limits::Limits;

fn good() -> Vec<u8> {
    Guest::named("good").module()
}

#[test]
fn a_compiler_that_is_not_there_is_named() {
    let mut site = Site::new();
    site.compiler = Compiler::Program("/nonexistent/kube-ipam".into());
    let error = site.policy("good", &good()).err().unwrap().to_string();
    assert!(error.contains("could not be compiled: starting /nonexistent/kube-ipam: No such file"), "{error}");
}

#[test]
fn the_built_in_policy_needs_neither_file_nor_compiler() {
    let source = Source {
        module: None,
        sha256: None,
        cache_dir: None,
        limits: Limits::default(),
        compiler: Compiler::Program("/nonexistent".into()),
        deadline: None,
    };
    let policy = Policy::load(&source).unwrap();
    assert_eq!(policy.name().name, "range-fixed");
    assert_eq!(policy.name().sha256.len(), 64);
    policy.describe().unwrap();
    policy.validate_settings("{}").unwrap();
    Policy::load(&source).unwrap().describe().unwrap();

    let error = Policy::load(&Source { sha256: Some(&"0".repeat(64)), ..source }).err().unwrap().to_string();
    assert!(error.starts_with("policy range-fixed (built in) is not the pinned one: "), "{error}");
}

#[test]
fn what_the_snapshot_does_not_know_comes_back_as_a_question() {
    let site = Site::new();
    let policy = site.policy("good", &good()).unwrap();
    let mut snapshot = unread_snapshot();
    let outcome = policy.allocate(&request(), "{}", &snapshot).unwrap();
    let first = Span::new("10.0.0.2".parse().unwrap(), "10.0.0.63".parse().unwrap()).unwrap();
    assert_eq!(outcome, Outcome::Unread(Question::FirstFree(first)));

    snapshot.learn_span(first, ["10.0.0.2".parse().unwrap()]);
    let Outcome::Verdict(Verdict::Propose(proposals)) = policy.allocate(&request(), "{}", &snapshot).unwrap() else {
        panic!("no proposal");
    };
    assert_eq!(proposals[0][0].address.to_string(), "10.0.0.3");
    let spent = policy.spent();
    assert!(spent.fuel > 0 && spent.fuel < 1_000, "{spent:?}");
    assert_eq!(spent.host_calls, 1);
}

/// A run that ends in a question will be repeated: its log lines are written by the run that counts.
#[test]
fn log_lines_are_written_once() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || Sink(Arc::clone(&sink))).finish();
    tracing::subscriber::with_default(subscriber, || {
        let site = Site::new();
        let policy = site.policy("talkative", &Guest::named("talkative").module()).unwrap();
        policy.allocate(&request(), "{}", &unread_snapshot()).unwrap();
        policy.allocate(&request(), "{}", &snapshot()).unwrap();
    });
    let written = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    assert_eq!(written.matches("hello").count(), 1, "{written}");
    assert!(written.contains(r#"hello\u{1b}[31m policy="talkative.wasm""#), "{written}");
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Several threads share one timer: each run keeps its own deadline, and a short run does not stop a long one's clock.
#[test]
fn every_run_keeps_its_own_deadline() {
    let module = Guest::named("loop_against_the_clock").module();
    std::thread::scope(|scope| {
        for milliseconds in [20, 60, 100, 140] {
            let module = &module;
            scope.spawn(move || {
                let mut site = Site::new();
                site.limits.set("fuel", 100_000_000_000).unwrap();
                site.limits.set("milliseconds", milliseconds).unwrap();
                let policy = site.policy("loop", module).unwrap();
                let began = Instant::now();
                let error = policy.allocate(&request(), "{}", &snapshot()).unwrap_err().to_string();
                let took = began.elapsed();
                assert!(error.ends_with(&format!("the limit is {milliseconds} ms")), "{error}");
                assert!(took >= Duration::from_millis(milliseconds), "{milliseconds}: {took:?}");
                assert!(took < Duration::from_millis(milliseconds) + SLACK, "{milliseconds}: {took:?}");
            });
        }
    });
}

/// Without the limit the crime succeeds: the tests of the limits test the limits.
#[test]
fn a_raised_limit_lets_through_what_the_default_stops() {
    let mut site = Site::new();
    let module = Guest::named("grows_to_100_mib").module();
    let policy = site.policy("grows", &module).unwrap();
    let error = policy.allocate(&request(), "{}", &snapshot()).unwrap_err().to_string();
    assert_eq!(error, "policy grows.wasm: allocate wanted more memory: the limit is 64 MiB");
    site.limits.set("memoryMiB", 128).unwrap();
    site.policy("grows", &module).unwrap().allocate(&request(), "{}", &snapshot()).unwrap();

    site.limits.set("memoryMiB", 64).unwrap();
    let module = Guest::named("counts_to_100_million").module();
    let policy = site.policy("counts", &module).unwrap();
    let error = policy.allocate(&request(), "{}", &snapshot()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "policy counts.wasm: allocate ran out of fuel: the limit is 50,000,000 units of fuel"
    );
    assert_eq!(error.hint().unwrap(), "policy.limits.fuel may be raised up to 100,000,000,000");
    site.limits.set("fuel", 10_000_000_000).unwrap();
    site.policy("counts", &module).unwrap().allocate(&request(), "{}", &snapshot()).unwrap();
}
