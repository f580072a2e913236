//! Where the machine's time goes while something runs: in the plugin, in etcd, in this benchmark, or in none of the three.

use std::fs;
use std::time::{Duration, Instant};

use kube_ipam_tests::etcd::Etcd;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use super::figures::SpentFigures;
use super::site::metric;

/// The kernel tells times of other processes in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Everything spent up to a moment.
pub(super) struct Spent {
    at: Instant,
    plugin: Duration,
    bench: Duration,
    etcd_seconds: f64,
    busy_seconds: f64,
    flushes: f64,
    flush_seconds: f64,
}

impl Spent {
    pub(super) fn now(etcd: &Etcd) -> Self {
        let mut etcd_seconds = 0.0;
        for process in etcd.processes() {
            etcd_seconds += seconds_of(&fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default());
        }
        Self {
            at: Instant::now(),
            // Children that were waited for: the calls, and some of etcdctl. etcd itself is not.
            plugin: usage(UsageWho::RUSAGE_CHILDREN),
            bench: usage(UsageWho::RUSAGE_SELF),
            etcd_seconds,
            busy_seconds: busy_seconds(),
            flushes: metric(etcd, "etcd_disk_wal_fsync_duration_seconds_count"),
            flush_seconds: metric(etcd, "etcd_disk_wal_fsync_duration_seconds_sum"),
        }
    }

    /// What was spent since, for each of so many pods.
    pub(super) fn until_now(&self, etcd: &Etcd, pods: usize) -> SpentFigures {
        let now = Self::now(etcd);
        let took = (now.at - self.at).as_secs_f64();
        let plugin = (now.plugin - self.plugin).as_secs_f64();
        let bench = (now.bench - self.bench).as_secs_f64();
        let etcd_seconds = now.etcd_seconds - self.etcd_seconds;
        let busy = now.busy_seconds - self.busy_seconds;
        let flushes = now.flushes - self.flushes;
        let each = 1e3 / pods.max(1) as f64;
        SpentFigures {
            plugin_ms: plugin * each,
            etcd_ms: etcd_seconds * each,
            bench_ms: bench * each,
            busy_cores: busy / took,
            other_cores: ((busy - plugin - bench - etcd_seconds) / took).max(0.0),
            flushes_per_second: flushes / took,
            flush_ms: (now.flush_seconds - self.flush_seconds) * 1e3 / flushes.max(1.0),
        }
        .rounded()
    }
}

impl SpentFigures {
    /// To a thousandth, beyond which nothing is measured.
    fn rounded(mut self) -> Self {
        let fields = [
            &mut self.plugin_ms,
            &mut self.etcd_ms,
            &mut self.bench_ms,
            &mut self.busy_cores,
            &mut self.other_cores,
            &mut self.flushes_per_second,
            &mut self.flush_ms,
        ];
        for field in fields {
            *field = (*field * 1e3).round() / 1e3;
        }
        self
    }
}

fn usage(who: UsageWho) -> Duration {
    let usage = getrusage(who).unwrap();
    duration(usage.user_time()) + duration(usage.system_time())
}

fn duration(time: TimeVal) -> Duration {
    Duration::new(time.tv_sec().unsigned_abs(), u32::try_from(time.tv_usec()).unwrap() * 1_000)
}

/// User and system time of a process, by its `/proc/PID/stat`: fields 14 and 15. The name, field 2, may have spaces in it.
fn seconds_of(stat: &str) -> f64 {
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let mut ticks = 0.0;
    for field in after_name.split(' ').skip(11).take(2) {
        ticks += field.parse::<f64>().unwrap_or(0.0);
    }
    ticks / TICKS_PER_SECOND
}

/// How long all cores together have been busy.
pub(super) fn busy_seconds() -> f64 {
    busy_of(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

/// The first line of `/proc/stat`: user, nice, system, idle, waiting for a disk, interrupts twice.
fn busy_of(stat: &str) -> f64 {
    let mut ticks = 0.0;
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    for (nth, field) in fields.take(7).enumerate() {
        if nth != 3 && nth != 4 {
            ticks += field.parse::<f64>().unwrap_or(0.0);
        }
    }
    ticks / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read_by_their_fields() {
        let stat = "4711 (a name) with) S 1 4711 4711 0 -1 4194560 100 200 0 0 150 50 7 8 20 0 9 0 1 2 3";
        assert_eq!(seconds_of(stat), 2.0);
        assert_eq!(seconds_of(""), 0.0);
        assert_eq!(busy_of("cpu  100 20 30 9000 800 40 10 5 0 0\ncpu0 1 2 3 4\n"), 2.0);
        assert!(busy_seconds() > 0.0);
    }
}
