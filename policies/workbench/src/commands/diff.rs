//! `kube-ipam policy diff`: two modules over the same decisions.

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
    after_help = "What was decided at the time does not matter. Shown is every decision of which A and B would make \
    something else: A's answer, then B's. Exit status 0 when there is none, 1 otherwise."
)]
pub(crate) struct Options {
    /// One module
    #[arg(value_name = "A.wasm")]
    one: PathBuf,
    /// The other module
    #[arg(value_name = "B.wasm")]
    two: PathBuf,
    /// Recorded decisions
    #[arg(value_name = "RECORD", required = true)]
    records: Vec<PathBuf>,
    /// Other settings for both than those of each decision
    #[arg(long, value_name = "JSON|@FILE", value_parser = read_settings)]
    settings: Option<Map<String, Value>>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn diff(options: &Options) -> Done {
    let load = |module: &PathBuf| Candidate::load(Some(module), options.settings.as_ref());
    let (mut one, mut two) = (load(&options.one)?, load(&options.two)?);
    let mut comparison = Comparison::begin(options.output.output);
    each(&options.records, &mut comparison, |decision, comparison| {
        let told = decision.told();
        comparison.add(decision, &one.ask(&told), &two.ask(&told));
    })?;
    comparison.end()
}
