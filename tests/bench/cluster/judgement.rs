//! Whether this machine carries the cluster that was described, and what it was that did not suffice.

use super::figures::{ChurnFigures, ClusterFigures};
use super::needs::{ClusterNeeds, DescribedCluster};
use super::settings::BenchSettings;
use super::tables::{count, ms};

/// From here on cores have no time left.
const ALL_BUSY: f64 = 0.9;

/// The share of the cores that others may take before nothing can be said.
const MOST_OF_OTHERS: f64 = 0.2;

/// What `make simulate-cluster` was told.
pub(super) struct Described {
    pub(super) pods: usize,
    pub(super) rate: f64,
    pub(super) seconds: f64,
    pub(super) settings: BenchSettings,
}

impl Described {
    /// `NODES`, `PODS`, `RATE` and `SECONDS`; STATUS is asked for only by as many nodes as `STATUS_NODES` says, because all its
    /// processes would share the cores of this machine.
    pub(super) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut settings = BenchSettings::read(|name| {
            let value = get(name).filter(|text| !text.trim().is_empty());
            match name {
                "HELD" => get("PODS").filter(|text| !text.trim().is_empty()).or(Some("150000".to_owned())),
                "RATES" => get("RATE").filter(|text| !text.trim().is_empty()).or(Some("100".to_owned())),
                "SECONDS" => value.or(Some("60".to_owned())),
                "STATUS_NODES" => value.or(Some("0".to_owned())),
                _ => value,
            }
        })?;
        settings.stores.truncate(1);
        let [pods, rate] = [settings.most_held() as f64, settings.rates[0]];
        Ok(Self { pods: pods as usize, rate, seconds: settings.seconds, settings })
    }

    pub(super) fn judge(&self, figures: &ClusterFigures) -> String {
        let mut text = "## judgement\n\n".to_owned();
        for churn in &figures.churn {
            text += &judge_churn(churn, figures);
        }
        for storm in figures.storms.iter().filter(|storm| storm.failed > 0) {
            text += &format!("{}: {} of {} ADDs failed\n", storm.storm, storm.failed, storm.calls);
        }
        let nodes = self.settings.nodes as f64;
        let cluster = DescribedCluster { nodes, pods: self.pods as f64, rate: self.rate };
        let Some(needs) = ClusterNeeds::of(cluster, figures) else { return text };
        text += &format!(
            "etcd by itself: {:.2} cores busy with pods, a database of {:.2} GiB where it is compacted every five minutes; \
             it would end first by {} at {:.0} pods a second\n",
            needs.busy_cores,
            needs.held_gib + needs.history_gib,
            needs.ceilings[0].what,
            needs.ceilings[0].rate
        );
        text
    }
}

fn judge_churn(churn: &ChurnFigures, figures: &ClusterFigures) -> String {
    let beside = if churn.status_nodes > 0 { " beside STATUS" } else { "" };
    let asked = format!("{} pods a second{beside} with {} held", churn.rate, count(churn.held));
    let tail = ms(churn.add.tail());
    if churn.kept_up(figures.settings.knee_ms) {
        return format!("{asked}: carried; 99 % of ADDs within {tail} ms, none failed\n");
    }
    let failed =
        churn.first_failure.as_ref().map_or_else(String::new, |why| format!(", {} failed ({why})", churn.failed));
    format!("{asked}: not carried; 99 % of ADDs within {tail} ms{failed}. {}\n", shortage(churn, figures.machine.cores))
}

/// What did not suffice.
fn shortage(churn: &ChurnFigures, cores: usize) -> String {
    let spent = &churn.spent;
    if spent.busy_cores < ALL_BUSY * cores as f64 {
        return format!("The cores had time left, so it waited for the disk: {} ms for a flush", ms(spent.flush_ms));
    }
    if spent.other_cores > MOST_OF_OTHERS * cores as f64 {
        let others = spent.other_cores;
        return format!("Something else kept {others:.1} of {cores} cores busy: measure again on a quiet machine");
    }
    let who = [("the plugin", spent.plugin_ms), ("etcd", spent.etcd_ms), ("the benchmark", spent.bench_ms)];
    let (name, most) = who.into_iter().max_by(|one, other| one.1.total_cmp(&other.1)).unwrap_or(("etcd", 0.0));
    format!("All {cores} cores were busy, most of all with {name}: {} ms for each pod", ms(most))
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Latency, MachineFigures, SpentFigures};
    use super::*;

    fn judged(tail: f64, busy_cores: f64, other_cores: f64) -> String {
        let described = Described::read(|name| (name == "RATE").then(|| "40".to_owned())).unwrap();
        assert_eq!(
            (described.pods, described.rate, described.seconds, described.settings.status_nodes),
            (150_000, 40.0, 60.0, 0)
        );
        let machine = MachineFigures { cores: 2, ..MachineFigures::default() };
        let mut figures = ClusterFigures::new(described.settings.clone(), machine);
        let add = Latency { p99: Some(tail), ..Latency::default() };
        let spent = SpentFigures {
            busy_cores,
            other_cores,
            plugin_ms: 7.0,
            etcd_ms: 2.0,
            flush_ms: 9.0,
            ..SpentFigures::default()
        };
        figures.churn.push(ChurnFigures { rate: 40.0, held: 150_000, add, spent, ..ChurnFigures::default() });
        described.judge(&figures)
    }

    #[test]
    fn a_machine_is_told_what_it_was_short_of() {
        assert!(
            judged(9.0, 0.5, 0.0).contains("40 pods a second with 150,000 held: carried; 99 % of ADDs within 9.00 ms")
        );
        let busy = judged(2_000.0, 1.95, 0.1);
        assert!(
            busy.contains(
                "not carried; 99 % of ADDs within 2000 ms. All 2 cores were busy, most of all with the plugin"
            )
        );
        assert!(judged(2_000.0, 0.8, 0.5).contains("it waited for the disk: 9.00 ms for a flush"));
        assert!(judged(2_000.0, 2.0, 1.5).contains("Something else kept 1.5 of 2 cores busy"));
    }
}
