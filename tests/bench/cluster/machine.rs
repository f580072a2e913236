//! The machine, and what etcd and its disk do on it without us.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use etcd_client::Client;
use kube_ipam_tests::program;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

use super::figures::{FloorFigures, Latency, MachineFigures, milliseconds};
use super::fill::{self, Target};
use super::flat::add;
use super::pods::{BenchPod, OUR_NODE, PODS_OF_A_NODE};
use super::site::Site;
use super::spent::busy_seconds;

const FLUSHES: usize = 200;
const PUTS_ALONE: usize = 1_000;
const PUTS: usize = 10_000;
const PUTS_AT_A_TIME: usize = 64;
const EMBEDDED_CLAIMS: usize = 500;
const STARTS: usize = 200;

/// How long the machine is watched before anything of ours runs.
const WATCH: Duration = Duration::from_secs(2);

/// As much as the page says of it.
pub(super) fn describe(site: &Site) -> MachineFigures {
    let before = busy_seconds();
    thread::sleep(WATCH);
    let busy = (busy_seconds() - before) / WATCH.as_secs_f64();
    let directory = site.etcd().map_or_else(std::env::temp_dir, |etcd| etcd.directory().to_owned());
    MachineFigures {
        date: jiff::Timestamp::now().to_string().chars().take(10).collect(),
        program: told(Command::new(program()).arg("--version")),
        etcd: site.etcd().map(|etcd| etcd.version().to_owned()).unwrap_or_default(),
        kernel: told(Command::new("uname").arg("-sr")),
        processor: line_of("/proc/cpuinfo", "model name"),
        cores: thread::available_parallelism().map_or(1, usize::from),
        memory_gib: memory_gib(&line_of("/proc/meminfo", "MemTotal")),
        file_system: told(Command::new("stat").args(["--file-system", "--format", "%T"]).arg(&directory)),
        flush_ms: flush_ms(&directory),
        busy_before: (busy * 100.0).round() / 100.0,
    }
}

/// What a command prints; empty where there is none of that name.
fn told(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// What a file of the kernel says under a name.
fn line_of(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map_or("", |(_, value)| value).trim().to_owned()
}

fn memory_gib(kilobytes: &str) -> f64 {
    let kilobytes: f64 = kilobytes.trim_end_matches(" kB").parse().unwrap_or(0.0);
    (kilobytes / f64::from(1 << 20) * 10.0).round() / 10.0
}

/// As much as an ADD writes, and until the disk has it: what every commit of etcd waits for.
fn flush_ms(directory: &Path) -> f64 {
    let mut file = File::create(directory.join("flushed")).unwrap();
    let mut samples = Vec::new();
    for _ in 0..FLUSHES {
        let start = Instant::now();
        file.write_all(&[b'x'; 2_048]).unwrap();
        file.sync_data().unwrap();
        samples.push(start.elapsed());
    }
    samples.sort_unstable();
    milliseconds(samples[FLUSHES / 2])
}

/// What is below every figure of ours. `site` holds nothing.
pub(super) fn floor(site: &Site) -> FloorFigures {
    let etcd = site.etcd().expect("the floor is etcd's");
    let endpoint = etcd.endpoints().swap_remove(0);
    let (put_alone, puts_per_second) = puts(&endpoint);
    FloorFigures {
        put_alone,
        puts_per_second,
        benchmark_per_second: benchmark(&endpoint),
        embedded_per_second: embedded_per_second(),
        bytes_per_start: bytes_per_start(site),
    }
}

fn puts(endpoint: &str) -> (Latency, f64) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let client = Rc::new(Client::connect([endpoint], None).await.unwrap());
        let mut alone = Vec::new();
        for n in 0..PUTS_ALONE {
            let start = Instant::now();
            client.kv_client().put(format!("/floor/{n:08}"), "x".repeat(256), None).await.unwrap();
            alone.push(start.elapsed());
        }
        let start = Instant::now();
        let mut workers = Vec::new();
        for first in 0..PUTS_AT_A_TIME {
            let client = client.clone();
            workers.push(spawn_local(async move {
                for n in (first..PUTS).step_by(PUTS_AT_A_TIME) {
                    client.kv_client().put(format!("/floor/{n:08}"), "x".repeat(256), None).await.unwrap();
                }
            }));
        }
        for worker in workers {
            worker.await.unwrap();
        }
        (Latency::of(&mut alone), (PUTS as f64 / start.elapsed().as_secs_f64()).round())
    })
}

/// What etcd's own tool says of as many clients; `None` where nobody has built it.
fn benchmark(endpoint: &str) -> Option<f64> {
    let tool = std::env::var("ETCD_BENCHMARK").ok().filter(|file| !file.is_empty())?;
    let total = format!("--total={PUTS}");
    let clients = format!("--clients={PUTS_AT_A_TIME}");
    let output = Command::new(tool)
        .args(["--endpoints", endpoint, "--conns=1", &clients, "put", "--key-size=8", "--val-size=256", &total])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = told.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse::<f64>().ok());
    Some(rate.unwrap_or_else(|| panic!("etcd's benchmark tells no rate: {told}")).round())
}

/// On the disk, unlike filling.
fn embedded_per_second() -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let pods = PODS_OF_A_NODE..PODS_OF_A_NODE + EMBEDDED_CLAIMS;
    let took = fill::claim(&Target::Embedded(directory.path()), "10.0.0.0/12", pods, 2);
    (EMBEDDED_CLAIMS as f64 / took.as_secs_f64()).round()
}

fn bytes_per_start(site: &Site) -> f64 {
    let network = site.network(OUR_NODE, &json!({}));
    let before = site.database_bytes();
    for n in 0..STARTS {
        let pod = BenchPod::new("start", n, OUR_NODE);
        add(&pod, &network);
        pod.call("DEL", &network).run().success();
    }
    // etcd writes its database ten times a second.
    thread::sleep(Duration::from_millis(500));
    (site.database_bytes().saturating_sub(before) as f64 / STARTS as f64).round()
}
