//! `kube-ipam policy replay` shows what another module would have decided.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::candidate::{Candidate, CandidateOutcome};
use super::compare::{Comparison, each};
use super::trial::read_settings;
use kube_ipam::cli::OutputArgs;
use kube_ipam::cli::output::Done;

#[derive(Args, Debug)]
#[command(
    after_help = "RECORD is a file that policy.record names, or its FILE.1. Shows every decision with another outcome: \
    other addresses proposed first, another kind of refusal, or a fault. A decision is not decidable if the module asks about \
    addresses that were not read at the time. Exits with 0 if all decisions are the same, with 1 otherwise."
)]
pub(crate) struct ReplayOptions {
    /// The module
    #[arg(value_name = "MODULE.wasm")]
    module: PathBuf,
    /// Recorded decisions, the oldest first
    #[arg(value_name = "RECORD", required = true)]
    records: Vec<PathBuf>,
    /// Settings, instead of those recorded with each decision
    #[arg(long, value_name = "JSON|@FILE", value_parser = read_settings)]
    settings: Option<Map<String, Value>>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn replay(options: &ReplayOptions) -> Done {
    let mut candidate = Candidate::load(Some(&options.module), options.settings.as_ref())?;
    let mut comparison = Comparison::begin(options.output.output);
    each(&options.records, &mut comparison, |decision, comparison| {
        let now = candidate.ask(&decision.told());
        comparison.add(decision, &CandidateOutcome::Decided(decision.answer.clone()), &now);
    })?;
    comparison.end()
}
