//! What a cluster needs of its etcd, argued from the figures of a run and from what etcd's documentation publishes.

use super::figures::{ChurnFigures, ClusterFigures};

/// Writes a second of three members with eight cores and an SSD each, 1,000 clients, values of 256 bytes. Published in etcd's
/// operations guide, "Performance".
pub(super) const PUBLISHED_WRITES: f64 = 44_341.0;

/// Cores of a heavily loaded member. Published in the same guide, "Hardware recommendations", as eight to sixteen.
pub(super) const PUBLISHED_CORES: f64 = 8.0;

/// The most that a database should grow to, in GiB. Published in etcd's "System limits".
pub(super) const PUBLISHED_DATABASE_GIB: f64 = 8.0;

/// Sequential writes a second of a disk for a heavily loaded cluster. Published in "Hardware recommendations".
pub(super) const PUBLISHED_FLUSHES: f64 = 500.0;

/// How often an API server has its etcd forget the past, in seconds; ours is told to do the same.
pub(super) const COMPACTION_SECONDS: f64 = 300.0;

/// How busy a core may be before waiting for it counts.
pub(super) const BUSY_SHARE: f64 = 0.5;

/// Transactions of a pod: one claims, one releases.
pub(super) const WRITES_OF_A_POD: f64 = 2.0;

/// How often a kubelet asks for STATUS, in seconds.
const STATUS_SECONDS: f64 = 5.0;

/// A cluster that is described.
#[derive(Clone, Copy, Debug)]
pub(super) struct DescribedCluster {
    pub(super) nodes: f64,
    pub(super) pods: f64,
    /// Pods a second that start, and as many that end.
    pub(super) rate: f64,
}

/// What it needs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClusterNeeds {
    /// Processor time of etcd for each pod.
    pub(super) etcd_ms: f64,
    /// Cores that etcd's leader keeps busy with pods, and with STATUS.
    pub(super) busy_cores: f64,
    pub(super) status_cores: f64,
    /// Cores that its machine needs to have.
    pub(super) cores: f64,
    /// The database: what is held, and what waits for compaction.
    pub(super) held_gib: f64,
    pub(super) history_gib: f64,
    /// Transactions that each flush has to carry, on the disk of the run.
    pub(super) writes_of_a_flush: f64,
    /// The share of one core of a node that the plugin takes.
    pub(super) node_share: f64,
    /// What ends first, as pods a second: ascending.
    pub(super) ceilings: Vec<Ceiling>,
}

/// A rate beyond which something is used up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ceiling {
    pub(super) rate: f64,
    pub(super) what: &'static str,
}

impl ClusterNeeds {
    /// `None` where the run has no churn, no filled etcd or no floor to argue from.
    pub(super) fn of(cluster: DescribedCluster, figures: &ClusterFigures) -> Option<Self> {
        let churn = representative(figures)?;
        let fill = figures.fills.iter().filter(|fill| fill.store == "etcd, IPv4").max_by_key(|fill| fill.held)?;
        let floor = figures.floor.as_ref()?;
        let etcd_ms = churn.spent.etcd_ms;
        let busy_cores = cluster.rate * etcd_ms / 1e3;
        let status_cores = cluster.nodes / STATUS_SECONDS * status_ms(figures) / 1e3;
        let gib = f64::from(1 << 30);
        let held_gib = cluster.pods * fill.database_bytes as f64 / fill.held as f64 / gib;
        // Up to two intervals' history: that of the one which is about to be forgotten, and the next.
        let history_of_one = 2.0 * COMPACTION_SECONDS * floor.bytes_per_start / gib;
        let mut ceilings = vec![
            Ceiling { rate: PUBLISHED_CORES * BUSY_SHARE * 1e3 / etcd_ms.max(1e-3), what: "etcd's processor" },
            Ceiling { rate: PUBLISHED_WRITES / WRITES_OF_A_POD, what: "the writes a second that etcd publishes" },
            Ceiling {
                rate: (PUBLISHED_DATABASE_GIB - held_gib).max(0.0) / history_of_one.max(1e-9),
                what: "the database, between two compactions",
            },
        ];
        ceilings.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        Some(Self {
            etcd_ms,
            busy_cores,
            status_cores,
            cores: ((busy_cores + status_cores) / BUSY_SHARE).ceil().max(2.0),
            held_gib,
            history_gib: cluster.rate * history_of_one,
            writes_of_a_flush: cluster.rate * WRITES_OF_A_POD * figures.machine.flush_ms / 1e3,
            node_share: cluster.rate / cluster.nodes * churn.spent.plugin_ms / 1e3,
            ceilings,
        })
    }
}

/// The highest rate that was kept up with, without STATUS beside it: there a pod costs what it costs under load.
pub(super) fn representative(figures: &ClusterFigures) -> Option<&ChurnFigures> {
    let plain = figures.churn.iter().filter(|churn| churn.status_nodes == 0);
    let kept_up = plain.clone().filter(|churn| churn.kept_up(figures.settings.knee_ms));
    kept_up.max_by(|one, other| one.rate.total_cmp(&other.rate)).or_else(|| plain.into_iter().next())
}

/// Processor time of etcd for one STATUS: what a rate costs more with it than without.
fn status_ms(figures: &ClusterFigures) -> f64 {
    for with in figures.churn.iter().filter(|churn| churn.status_nodes > 0) {
        let without = figures.churn.iter().find(|churn| churn.status_nodes == 0 && churn.rate == with.rate);
        if let (Some(without), Some(status)) = (without, &with.status) {
            let more = (with.spent.etcd_ms - without.spent.etcd_ms) * with.pods as f64;
            return (more / status.calls.max(1) as f64).max(0.0);
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::super::figures::{FillFigures, FloorFigures, Latency, MachineFigures, SpentFigures};
    use super::super::settings::BenchSettings;
    use super::*;

    const CLUSTER: DescribedCluster = DescribedCluster { nodes: 5_000.0, pods: 150_000.0, rate: 1_000.0 };

    fn figures() -> ClusterFigures {
        let machine = MachineFigures { flush_ms: 0.5, ..MachineFigures::default() };
        let mut figures = ClusterFigures::new(BenchSettings::default(), machine);
        let fill =
            FillFigures { store: "etcd, IPv4".into(), held: 1_000, database_bytes: 1 << 20, ..FillFigures::default() };
        figures.fills.push(fill);
        figures.floor = Some(FloorFigures { bytes_per_start: 2_048.0, ..FloorFigures::default() });
        for (rate, etcd_ms, status_nodes) in [(20.0, 3.0, 0), (50.0, 2.0, 0), (50.0, 4.0, 1_000), (500.0, 1.0, 0)] {
            let mut churn = ChurnFigures { rate, status_nodes, pods: 100, ..ChurnFigures::default() };
            churn.spent = SpentFigures { etcd_ms, plugin_ms: 5.0, ..SpentFigures::default() };
            churn.status = (status_nodes > 0).then(|| Latency { calls: 400, ..Latency::default() });
            churn.failed = usize::from(rate == 500.0);
            figures.churn.push(churn);
        }
        figures
    }

    #[test]
    fn needs_follow_from_the_highest_rate_that_was_kept_up_with() {
        let needs = ClusterNeeds::of(CLUSTER, &figures()).unwrap();
        assert_eq!((needs.etcd_ms, needs.busy_cores), (2.0, 2.0));
        // 100 pods cost 200 ms more with 400 STATUS: half a millisecond each, and 1,000 nodes a second ask.
        assert_eq!((needs.status_cores, needs.cores), (0.5, 5.0));
        assert_eq!(needs.node_share, 0.001);
        assert_eq!(needs.writes_of_a_flush, 1.0);
        assert!((needs.held_gib - 0.1465).abs() < 1e-3 && (needs.history_gib - 1.144).abs() < 1e-3, "{needs:?}");
    }

    #[test]
    fn what_ends_first_comes_first() {
        let needs = ClusterNeeds::of(CLUSTER, &figures()).unwrap();
        let order: Vec<&str> = needs.ceilings.iter().map(|ceiling| ceiling.what).collect();
        assert_eq!(order[0], "etcd's processor");
        assert_eq!(needs.ceilings[0].rate, 2_000.0);
        let mut heavy = figures();
        heavy.floor.as_mut().unwrap().bytes_per_start = 1e6;
        let needs = ClusterNeeds::of(CLUSTER, &heavy).unwrap();
        assert_eq!(needs.ceilings[0].what, "the database, between two compactions");
    }

    #[test]
    fn nothing_is_argued_from_nothing() {
        let mut bare = figures();
        bare.churn.clear();
        assert_eq!(ClusterNeeds::of(CLUSTER, &bare), None);
    }
}
