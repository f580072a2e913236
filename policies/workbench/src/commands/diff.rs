//! `kube-ipam policy diff` asks two modules for the same recorded decisions.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::candidate::Candidate;
use super::compare::{Comparison, each};
use super::trial::read_settings;
use kube_ipam::cli::OutputArgs;
use kube_ipam::cli::output::Done;

#[derive(Args, Debug)]
#[command(
    after_help = "Shows every recorded decision for which the two modules answer differently: first the answer of A, \
    then that of B. What was decided at the time does not matter. Exits with 0 if there is no such decision, with 1 \
    otherwise."
)]
pub(crate) struct DiffOptions {
    /// One module
    #[arg(value_name = "A.wasm")]
    one: PathBuf,
    /// The other module
    #[arg(value_name = "B.wasm")]
    two: PathBuf,
    /// Recorded decisions
    #[arg(value_name = "RECORD", required = true)]
    records: Vec<PathBuf>,
    /// Settings for both modules, instead of those recorded with each decision
    #[arg(long, value_name = "JSON|@FILE", value_parser = read_settings)]
    settings: Option<Map<String, Value>>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn diff(options: &DiffOptions) -> Done {
    let mut one = Candidate::load(Some(&options.one), options.settings.as_ref())?;
    let mut two = Candidate::load(Some(&options.two), options.settings.as_ref())?;
    let mut comparison = Comparison::begin(options.output.output);
    each(&options.records, &mut comparison, |decision, comparison| {
        let told = decision.told();
        comparison.add(decision, &one.ask(&told), &two.ask(&told));
    })?;
    comparison.end()
}
