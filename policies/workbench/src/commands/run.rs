//! `kube-ipam policy run` puts one request to a policy, as an ADD would.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::candidate::{Candidate, CandidateOutcome};
use super::trial::read_settings;
use cni::Fail;
use engine::Line;
use ipam::{Assignment, HoldTerms, PolicyName, Told, VerdictOrFault};
use kube_ipam::cli::output::{Done, Output};
use kube_ipam::cli::{Format, OutputArgs};
use limits::{FUEL, Thousands};

#[derive(Args, Debug)]
#[command(after_help = "REQUEST.json is a decision as policy.record writes it, or a part of one: {\"request\": …} is \
    enough. Without a snapshot all addresses are free. Exits with 0 if the policy proposes addresses, with 1 otherwise.")]
pub(crate) struct RunOptions {
    /// File with a recorded decision, or with a request of the same form
    #[arg(value_name = "REQUEST.json")]
    request: PathBuf,
    /// Module to ask [default: the built-in policy]
    #[arg(long, value_name = "FILE.wasm")]
    module: Option<PathBuf>,
    /// Settings, instead of those recorded with the decision
    #[arg(long, value_name = "JSON|@FILE", value_parser = read_settings)]
    settings: Option<Map<String, Value>>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Why there is no request to put to a policy.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("{path}: {cause}", path = .path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("{path} is not a decision: {cause} (for a journal of many, use kube-ipam policy replay)", path = .path.display())]
    NoDecision { path: PathBuf, cause: serde_json::Error },
}

impl Fail for RunError {}

/// What the policy answered, and what that cost.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RunReport {
    policy: PolicyName,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<VerdictOrFault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undecidable: Option<String>,
    log: Vec<LogLine>,
    fuel: u64,
    host_calls: u64,
    milliseconds: f64,
}

#[derive(Debug, Serialize)]
struct LogLine {
    level: String,
    text: String,
}

pub(crate) fn run(options: &RunOptions) -> Done {
    let told = read(&options.request)?;
    let mut candidate = Candidate::load(options.module.as_deref(), options.settings.as_ref())?;
    // Once, and with no journal or store: what the policy would need beyond the request is in it, or is free.
    let came = candidate.ask(&told);
    let report = report(&candidate, came);
    let exit = u8::from(!matches!(report.answer, Some(VerdictOrFault::Proposals(_))));
    let text = match options.output.output {
        Format::Json => serde_json::to_string_pretty(&report)?,
        Format::Table => describe(&report),
    };
    Ok(Output { text, exit })
}

fn read(path: &PathBuf) -> Result<Told, RunError> {
    let json = std::fs::read(path).map_err(|cause| RunError::Unreadable { path: path.clone(), cause })?;
    serde_json::from_slice(&json).map_err(|cause| RunError::NoDecision { path: path.clone(), cause })
}

fn report(candidate: &Candidate, came: CandidateOutcome) -> RunReport {
    let (spent, call) = candidate.last_call();
    let (mut log, mut took) = (Vec::new(), Duration::ZERO);
    if let Some(call) = call {
        took = call.took;
        for Line { level, text } in call.lines {
            log.push(LogLine { level: level.to_string().to_lowercase(), text });
        }
    }
    let (answer, undecidable) = match came {
        CandidateOutcome::Decided(answer) => (Some(answer), None),
        CandidateOutcome::Undecidable(question) => (None, Some(question.to_string())),
    };
    RunReport {
        policy: candidate.name().clone(),
        answer,
        undecidable,
        log,
        fuel: spent.fuel,
        host_calls: spent.host_calls,
        milliseconds: took.as_secs_f64() * 1e3,
    }
}

fn describe(report: &RunReport) -> String {
    let RunReport { policy, answer, undecidable, log, fuel, host_calls, milliseconds } = report;
    let mut lines = vec![("policy".to_owned(), format!("{policy}, sha256 {}", policy.sha256))];
    match answer {
        Some(VerdictOrFault::Proposals(proposals)) => {
            for (nth, proposal) in (1..).zip(proposals) {
                let assignments: Vec<String> = proposal.iter().map(assignment).collect();
                lines.push((format!("proposal {nth}"), assignments.join(", ")));
            }
        }
        Some(VerdictOrFault::Refusal(refusal)) => {
            lines.push(("refused".to_owned(), format!("{}: {refusal}", refusal.kind())))
        }
        Some(VerdictOrFault::Fault(fault)) => lines.push(("fault".to_owned(), fault.clone())),
        None => {}
    }
    if let Some(asked) = undecidable {
        lines.push(("undecidable".to_owned(), format!("it asked {asked}, which was not recorded")));
    }
    for LogLine { level, text } in log {
        lines.push(("log".to_owned(), format!("{level}: {text}")));
    }
    let (fuel, of) = (Thousands(*fuel), Thousands(FUEL.default));
    lines.push(("spent".to_owned(), format!("{fuel} of {of} fuel, {host_calls} host calls, {milliseconds:.2} ms")));
    lines.iter().map(|(name, value)| format!("{name:<12} {value}")).collect::<Vec<_>>().join("\n")
}

fn assignment(assignment: &Assignment) -> String {
    let Assignment { address, prefix_length, gateway, hold, .. } = assignment;
    let mut text = format!("{address}/{prefix_length}");
    if let Some(gateway) = gateway {
        text.push_str(&format!(" gateway {gateway}"));
    }
    if let Some(HoldTerms { identity, seconds }) = hold {
        text.push_str(&format!(", kept for {} for {seconds} s", engine::text::tame(identity, 200)));
    }
    text
}
