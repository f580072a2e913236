//! `kube-ipam policy bench` measures what a module costs.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::trial::{ArgumentError, TrialArgs};
use crate::lab::measure::{Bench, Decisions, ModuleFacts, Processes};
use ipam::PolicyName;
use kube_ipam::cli::output::{self, CommandError, Done, Output};
use kube_ipam::cli::{Format, OutputArgs};
use limits::Thousands;

/// The range of the network, where none is given.
const SUBNET: &str = "10.0.0.0/16";

/// How many addresses are held at each level, where the ranges have that many.
const HELD: [u64; 3] = [0, 1_000, 60_000];

#[derive(Args, Debug)]
#[command(after_long_help = MEASURED)]
pub(crate) struct BenchOptions {
    #[command(flatten)]
    trial: TrialArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The end of `--help`.
const MEASURED: &str = "\
Measures three levels, with no, 1,000 and 60,000 addresses held. At each level this process first decides requests of \
pods that want any address, of pods that name one in the annotation kube-ipam.ip, and of pods for which the runtime \
names one. Then kube-ipam makes ADDs in processes of its own, as a runtime would start them, with a store on disk; in \
turn with ADDs that the built-in policy decides, and with VERSION, which shows what any process costs. Fuel is the \
same on every machine. Without a network the range is 10.0.0.0/16.";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    policy: PolicyName,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<ModuleFacts>,
    fuel_limit: u64,
    levels: Vec<Level>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Level {
    #[serde(flatten)]
    decisions: Decisions,
    processes: Processes,
}

pub(crate) fn run(options: &BenchOptions) -> Done {
    let measured = measure(options)?;
    match options.output.output {
        Format::Json => Output::json(&measured),
        Format::Table => Ok(Output::text(describe(&measured))),
    }
}

fn measure(options: &BenchOptions) -> Result<Measured, CommandError> {
    let named = options.trial.named(SUBNET)?;
    let program = node_program()?;
    let (bench, module) = Bench::new(named.ipam, named.module.as_deref(), named.sha256.as_deref())?;
    let mut levels: Vec<Level> = Vec::new();
    let mut fuel_limit = 0;
    for wanted in HELD {
        let (world, held) = bench.world(wanted)?;
        if levels.last().is_some_and(|last| last.decisions.held >= held) {
            break;
        }
        fuel_limit = world.policy().limits().fuel;
        // The processes first: their stores are copies of the world, and the decisions below add to what is held in it.
        let processes = bench.processes(&world, held, &program)?;
        levels.push(Level { decisions: bench.decisions(&world, held), processes });
    }
    Ok(Measured { policy: bench.policy().name().clone(), module, fuel_limit, levels })
}

/// The plugin whose processes are measured: beside this program, or on PATH.
fn node_program() -> Result<PathBuf, ArgumentError> {
    kube_ipam::cli::policy::find_program("kube-ipam").ok_or(ArgumentError::NoProgram)
}

fn describe(measured: &Measured) -> String {
    let Measured { policy, module, fuel_limit, levels } = measured;
    let module = match module {
        Some(ModuleFacts { bytes, compiled_bytes, compile_millis }) => {
            format!("{} bytes, {} compiled, in {compile_millis} ms", Thousands(*bytes), Thousands(*compiled_bytes))
        }
        None => "built in: inside this program, compiled when the program was built".to_owned(),
    };
    let mut lines = vec![
        format!("policy  {} (sha256 {})", policy.name, policy.sha256),
        format!("module  {module}"),
        String::new(),
        "a decision".to_owned(),
        output::table(
            &["HELD", "FUEL MEDIAN", "MAX", "OF THE LIMIT", "HOST CALLS", "TIME", "P99", "REFUSED"],
            levels.iter().map(|level| decision(level, *fuel_limit)),
        ),
        String::new(),
        "whole processes, from spawn to exit: ADD, an ADD decided by the built-in policy, VERSION".to_owned(),
        output::table(
            &["HELD", "ADD", "P99", "BUILT IN", "VERSION", "PEAK MEMORY", "BUILT IN"],
            levels.iter().map(process),
        ),
    ];
    if let Some(refusal) = levels.iter().find_map(|level| level.decisions.refusal.as_ref()) {
        lines.push(format!("\nfirst refusal: {refusal}"));
    }
    lines.join("\n")
}

fn decision(level: &Level, fuel_limit: u64) -> Vec<String> {
    let Decisions { held, fuel, host_calls, micros, refused, .. } = &level.decisions;
    vec![
        Thousands(*held).to_string(),
        Thousands(fuel.median).to_string(),
        Thousands(fuel.max).to_string(),
        format!("{:.2}%", fuel.max as f64 / fuel_limit.max(1) as f64 * 100.0),
        if host_calls.min == host_calls.max {
            host_calls.max.to_string()
        } else {
            format!("{}-{}", host_calls.min, host_calls.max)
        },
        format!("{} µs", Thousands(micros.median)),
        format!("{} µs", Thousands(micros.p99)),
        refused.to_string(),
    ]
}

fn process(level: &Level) -> Vec<String> {
    let Processes { add_micros, built_in_add_micros, version_micros, add_peak_kib, built_in_add_peak_kib } =
        &level.processes;
    vec![
        Thousands(level.decisions.held).to_string(),
        millis(add_micros.median),
        millis(add_micros.p99),
        millis(built_in_add_micros.median),
        millis(version_micros.median),
        mib(*add_peak_kib),
        mib(*built_in_add_peak_kib),
    ]
}

fn millis(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1e3)
}

fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
