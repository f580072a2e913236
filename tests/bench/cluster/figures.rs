//! Everything that a run has measured, as it is kept in JSON. Times are milliseconds unless their name says otherwise.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::BenchSettings;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClusterFigures {
    pub(crate) settings: BenchSettings,
    pub(crate) machine: MachineFigures,
    pub(crate) floor: Option<FloorFigures>,
    pub(crate) fills: Vec<FillFigures>,
    pub(crate) flat: Vec<FlatFigures>,
    pub(crate) policies: Vec<PolicyFigures>,
    pub(crate) churn: Vec<ChurnFigures>,
    pub(crate) knee: Option<KneeFigures>,
    pub(crate) storms: Vec<StormFigures>,
    pub(crate) commands: Vec<CommandFigures>,
    /// An ADD while `fsck` reads everything.
    pub(crate) add_beside_fsck: Option<Latency>,
}

impl ClusterFigures {
    pub(crate) fn new(settings: BenchSettings, machine: MachineFigures) -> Self {
        Self {
            settings,
            machine,
            floor: None,
            fills: Vec::new(),
            flat: Vec::new(),
            policies: Vec::new(),
            churn: Vec::new(),
            knee: None,
            storms: Vec::new(),
            commands: Vec::new(),
            add_beside_fsck: None,
        }
    }

    /// Read what an earlier run has written.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// The part of one store, of what there is for several.
    pub(crate) fn of_store(&self, store: &str) -> Self {
        let mut part = self.clone();
        part.fills.retain(|one| one.store == store);
        part.flat.retain(|one| one.store == store);
        part.commands.retain(|one| one.store == store);
        part
    }

    /// As text that a diff can be read of.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap() + "\n"
    }
}

/// What the figures were taken on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MachineFigures {
    pub(crate) date: String,
    pub(crate) program: String,
    pub(crate) etcd: String,
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    /// Type of the file system under etcd's data.
    pub(crate) file_system: String,
    /// Median of writing 2 KiB and waiting until the disk has them.
    pub(crate) flush_ms: f64,
    /// How many cores were busy before anything of ours ran.
    pub(crate) busy_before: f64,
}

/// What etcd and its protocol cost without us.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FloorFigures {
    /// Writes of 256 bytes, one after the other on one connection: for one, and for a second.
    pub(crate) put_alone: Latency,
    /// Writes a second, 64 at a time.
    pub(crate) puts_per_second: f64,
    /// What etcd's own `benchmark` says of 64 clients; absent where the tool was not found.
    pub(crate) benchmark_per_second: Option<f64>,
    /// Claims a second in one process on the embedded store, each with a flush of its own.
    pub(crate) embedded_per_second: f64,
    /// What one ADD and DEL add to etcd's database until it is compacted.
    pub(crate) bytes_per_start: f64,
}

/// What filling a store took, by claims in this process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FillFigures {
    pub(crate) store: String,
    pub(crate) held: usize,
    pub(crate) claims: usize,
    pub(crate) seconds: f64,
    /// The size of the database once everything is claimed, history included.
    pub(crate) database_bytes: u64,
}

/// A call as a whole process, on a store with so many addresses held beside one with none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FlatFigures {
    pub(crate) store: String,
    pub(crate) held: usize,
    pub(crate) call: String,
    pub(crate) filled: Latency,
    pub(crate) empty: Latency,
}

/// An ADD by one policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicyFigures {
    pub(crate) policy: String,
    pub(crate) held: usize,
    pub(crate) filled: Latency,
    pub(crate) empty: Latency,
}

/// Pods that come and go at a rate which waits for nobody.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChurnFigures {
    pub(crate) rate: f64,
    pub(crate) seconds: f64,
    pub(crate) held: usize,
    pub(crate) status_nodes: usize,
    pub(crate) pods: usize,
    pub(crate) failed: usize,
    pub(crate) first_failure: Option<String>,
    /// Pods a second until the last ADD was answered.
    pub(crate) achieved: f64,
    pub(crate) add: Latency,
    pub(crate) del: Latency,
    pub(crate) status: Option<Latency>,
    pub(crate) spent: SpentFigures,
}

/// Where the machine's time went meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SpentFigures {
    /// Processor time of the plugin for each pod, in an ADD and a DEL; STATUS included where it is asked for.
    pub(crate) plugin_ms: f64,
    /// Processor time of etcd for each pod.
    pub(crate) etcd_ms: f64,
    /// Processor time of the benchmark itself for each pod.
    pub(crate) bench_ms: f64,
    /// Cores that were busy, with whatever.
    pub(crate) busy_cores: f64,
    /// Cores that were busy with none of the three.
    pub(crate) other_cores: f64,
    /// Flushes of etcd's log a second, and the mean time of one.
    pub(crate) flushes_per_second: f64,
    pub(crate) flush_ms: f64,
}

/// Between these two rates lies the most that this machine keeps up with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KneeFigures {
    /// The highest rate that was kept up with; 0 where none was.
    pub(crate) kept_up: f64,
    /// The lowest rate that was not; absent where all were.
    pub(crate) fell_behind: Option<f64>,
}

/// Many calls at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StormFigures {
    pub(crate) storm: String,
    pub(crate) held: usize,
    pub(crate) at_a_time: usize,
    pub(crate) calls: usize,
    pub(crate) failed: usize,
    pub(crate) seconds: f64,
    pub(crate) latency: Latency,
    /// How often an ADD decided again, having lost a race, on average.
    pub(crate) decided_again: f64,
}

/// A command of operators.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommandFigures {
    pub(crate) store: String,
    pub(crate) held: usize,
    pub(crate) command: String,
    pub(crate) seconds: f64,
    /// Until its first output.
    pub(crate) first_output_seconds: f64,
    pub(crate) peak_mb: f64,
}

/// How long calls took. A percentile that so few calls cannot tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) calls: usize,
    pub(crate) p50: f64,
    pub(crate) p99: Option<f64>,
    pub(crate) p999: Option<f64>,
    pub(crate) most: f64,
}

impl Latency {
    pub(crate) fn of(samples: &mut [Duration]) -> Self {
        samples.sort_unstable();
        Self {
            calls: samples.len(),
            p50: samples.get(samples.len().saturating_sub(1) / 2).map_or(0.0, |median| milliseconds(*median)),
            p99: percentile(samples, 0.99),
            p999: percentile(samples, 0.999),
            most: samples.last().map_or(0.0, |most| milliseconds(*most)),
        }
    }

    /// The 99th percentile, or the most of fewer than a hundred calls.
    pub(crate) fn tail(&self) -> f64 {
        self.p99.unwrap_or(self.most)
    }
}

/// The nearest rank: the least sample that so many of all are not above. `None` where that would be the greatest one of fewer
/// samples than it takes to have one above it.
fn percentile(sorted: &[Duration], share: f64) -> Option<f64> {
    if (sorted.len() as f64) * (1.0 - share) < 0.999_999 {
        return None;
    }
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    Some(milliseconds(sorted[rank.max(1) - 1]))
}

/// To the microsecond, beyond which nothing is measured.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(count: u64) -> Latency {
        // In no order.
        let mut samples: Vec<Duration> = (0..count).map(|n| Duration::from_millis(n * 7 % count + 1)).collect();
        Latency::of(&mut samples)
    }

    #[test]
    fn percentiles_are_samples_by_their_rank() {
        // 1,009 is no multiple of 7, so every number from 1 to 1,009 is there once.
        let all = latency(1_009);
        assert_eq!(
            (all.calls, all.p50, all.p99, all.p999, all.most),
            (1_009, 505.0, Some(999.0), Some(1_008.0), 1_009.0)
        );
        assert_eq!((latency(1).p50, latency(2).p50, latency(3).p50), (1.0, 1.0, 2.0));
    }

    #[test]
    fn a_percentile_needs_a_sample_above_it() {
        assert_eq!((latency(100).p99, latency(99).p99), (Some(99.0), None));
        assert_eq!((latency(1_000).p999, latency(999).p999), (Some(999.0), None));
        assert_eq!((latency(99).tail(), latency(100).tail()), (99.0, 99.0));
    }

    #[test]
    fn nothing_measured_is_nothing() {
        assert_eq!(Latency::of(&mut []), Latency::default());
    }
}
