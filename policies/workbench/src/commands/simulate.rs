//! `kube-ipam policy simulate` puts a policy under load before pods depend on it.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::trial::{ArgumentError, TrialArgs};
use crate::lab::World;
use crate::lab::simulate::{Model, RangeSetReport, Returns, Share, SimulationReport, Spread, picture, simulate};
use kube_ipam::cli::output::{Done, Output};
use kube_ipam::cli::{Format, OutputArgs};
use limits::Thousands;

/// The range of the network, where none is given.
const SUBNET: &str = "10.0.0.0/20";

/// How many pods start between two updates of the progress bar.
const STEP: u64 = 1_000;

#[derive(Args, Debug)]
#[command(after_long_help = MODEL)]
pub(crate) struct SimulateOptions {
    #[command(flatten)]
    trial: TrialArgs,
    #[command(flatten)]
    model: ModelArgs,
    /// File to draw the address space over time into, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// The end of `--help`.
const MODEL: &str = "\
The model: the first pods fill the ranges to the target population (--fill). From then on, --contention nodes ask at \
once, at regular intervals such that the fraction --churn of the population is replaced every hour. The slower of them \
find their addresses taken and decide again, as in a cluster. A pod runs for a time drawn from an exponential \
distribution whose mean is an hour divided by the churn; then its addresses are released. A pod that is refused does \
not come back. Pods are named pod-N and have no annotations; they are in namespace-1 to namespace-N and on node-1 to \
node-N. Of the pods that fill the ranges, the fraction --stateful is named stateful-N: these come back under their \
names as soon as they end or are refused. The policy is told that they belong to a StatefulSet if the network has \
\"kubernetes\": {\"include\": [\"labels\"]}.

The same seed gives the same report on every machine, except for the times. Without a network the range is \
10.0.0.0/20.";

#[derive(Args, Debug)]
struct ModelArgs {
    /// Number of pods to start in all
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pods: u64,
    /// Fraction of pods replaced per hour; several values are run one after another
    #[arg(long, value_name = "FRACTION", num_args = 1.., value_delimiter = ',', default_value = "0.3")]
    churn: Vec<Share>,
    /// Target population, as a fraction of the size of the smallest range set
    #[arg(long, value_name = "FRACTION", default_value = "0.7")]
    fill: Share,
    /// Fraction of pods that belong to a StatefulSet and come back under their name [default: none]
    #[arg(long, value_name = "FRACTION")]
    stateful: Option<Share>,
    /// Number of nodes that ask at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    contention: u64,
    /// Number of nodes
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    nodes: u64,
    /// Number of namespaces
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    namespaces: u64,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(options: SimulateOptions) -> Done {
    let trial = options.trial.open(SUBNET)?;
    let ModelArgs { pods, churn, fill, stateful, contention, nodes, namespaces, seed } = options.model;
    let stateful = stateful.unwrap_or(Share::NONE);
    if stateful > Share::ALL {
        return Err(ArgumentError::MoreThanAll(stateful).into());
    }
    let model = Model { pods, churn, fill, stateful, contention, nodes, namespaces, seed };
    let world = World::new(&trial.ipam, trial.policy)?;
    let began = Instant::now();
    let bar = bar(pods);
    let history = simulate(&world, &model, |started| {
        // Not at every pod: a bar that is drawn a hundred thousand times takes longer than the simulation.
        if started / STEP != bar.position() / STEP {
            bar.set_position(started);
        }
    })?;
    bar.finish_and_clear();
    let report = SimulationReport::of(&world, &model, &history, began.elapsed());
    if let Some(file) = &options.svg {
        let picture = picture(&report.policy.name, world.range_sets(), &model, &history);
        std::fs::write(file, picture).map_err(|cause| ArgumentError::Unwritable { file: file.clone(), cause })?;
    }
    match options.output.output {
        Format::Json => Output::json(&report),
        Format::Table => Ok(Output::text(describe(&report))),
    }
}

/// A progress bar on stderr, which is shown on a terminal only.
fn bar(pods: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} pods, {eta} left");
    ProgressBar::new(pods).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn describe(report: &SimulationReport) -> String {
    let asked = report.model.pods.max(1) as f64;
    let mut lines = vec![
        line("policy", format!("{} (sha256 {})", report.policy.name, report.policy.sha256)),
        line(
            "pods",
            format!("{} in {} of simulated time", Thousands(report.model.pods), time(report.simulated_seconds)),
        ),
        line(
            "allocations",
            format!("{} ({})", Thousands(report.allocations), percent(report.allocations as f64 / asked)),
        ),
    ];
    for (kind, refused) in &report.refusals {
        let share = percent(refused.count as f64 / asked);
        lines.push(line(kind, format!("{} ({share}); the first: {}", Thousands(refused.count), refused.first)));
    }
    if report.refusals.is_empty() {
        lines.push(line("refusals", "none".to_owned()));
    }
    if report.model.stateful != Share::NONE {
        lines.push(line("returns", returns(report.returns)));
    }
    lines.push(line("retries", retries(report)));
    lines.push(line("fuel", format!("{} a run", spread(&report.fuel))));
    lines.push(line("host calls", format!("{} a run", spread(&report.host_calls))));
    let micros = spread(&report.times.decision_micros);
    lines.push(line("time", format!("{micros} µs a run; {:.1} s in all", report.times.seconds)));
    for (nth, set) in report.range_sets.iter().enumerate() {
        lines.extend(describe_range_set(nth, set));
    }
    lines.join("\n")
}

fn describe_range_set(nth: usize, set: &RangeSetReport) -> Vec<String> {
    let RangeSetReport { subnets, size, ever_held, utilisation, free_space, free_space_at_end: end, reuse } = set;
    let reused = match reuse.count {
        0 => "no address was claimed a second time".to_owned(),
        count => {
            let (count, at_once) = (Thousands(count), percent(reuse.at_once));
            format!("{count} claims of an address held before, {at_once} of them by the next nodes that asked")
        }
    };
    let mut lines = vec![
        String::new(),
        format!(
            "range set {nth}: {}, {size} addresses, {} of them ever held",
            subnets.join(", "),
            Thousands(*ever_held)
        ),
        line("utilisation", format!("mean {}, peak {}", percent(utilisation.mean), percent(utilisation.peak))),
        line("free runs", format!("mean {:.1}, at the end {}", free_space.runs, end.runs)),
        line("their length", format!("mean {:.2}, at the end {:.2}", free_space.mean_length, end.mean_length)),
        line(
            "largest run",
            format!(
                "mean {}, at the end {} of what is free",
                percent(free_space.largest_share),
                percent(end.largest_share)
            ),
        ),
        line("reuse", reused),
    ];
    if reuse.count > 0 {
        lines.push(line(
            "after claims",
            format!("min {}, median {}, mean {:.1}", reuse.claims.min, reuse.claims.median, reuse.claims.mean),
        ));
        let [min, median, mean] = [reuse.seconds.min, reuse.seconds.median, reuse.seconds.mean as u64].map(time);
        lines.push(line("after", format!("min {min}, median {median}, mean {mean}")));
    }
    lines
}

fn returns(Returns { count, same_addresses }: Returns) -> String {
    let share = percent(same_addresses as f64 / count.max(1) as f64);
    format!("{} pods came back under their name, {share} of them to their addresses", Thousands(count))
}

/// How many allocations took how many more runs.
fn retries(report: &SimulationReport) -> String {
    if report.retries.is_empty() {
        return "none".to_owned();
    }
    let mut text = String::new();
    for (more, count) in &report.retries {
        text.push_str(&format!("{more}: {}   ", Thousands(*count)));
    }
    text + "(more runs: allocations)"
}

fn line(name: &str, text: String) -> String {
    format!("{name:<13} {text}")
}

fn spread(spread: &Spread) -> String {
    format!("median {}, p99 {}, max {}", Thousands(spread.median), Thousands(spread.p99), Thousands(spread.max))
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

fn time(seconds: u64) -> String {
    match seconds {
        0..=180 => format!("{seconds} s"),
        181..=10_800 => format!("{} min", seconds / 60),
        10_801..=259_200 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
