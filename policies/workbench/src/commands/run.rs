//! `kube-ipam policy run`: one request, put to a policy as an ADD would.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::candidate::{Came, Candidate};
use super::trial::read_settings;
use cni::Fail;
use engine::Line;
use ipam::{Answer, Assignment, PolicyName, Told};
use kube_ipam::cli::output::{Done, Output};
use kube_ipam::cli::{Format, OutputArgs};
use limits::{FUEL, Thousands};

#[derive(Args, Debug)]
#[command(after_help = "REQUEST.json is a decision as policy.record writes it, or a part of one: {\"request\": …} is \
    enough. Without a snapshot nobody holds anything. Exit status 0 when the policy proposes addresses, 1 otherwise.")]
pub(crate) struct Options {
    /// A recorded decision, or a request of the same form
    #[arg(value_name = "REQUEST.json")]
    request: PathBuf,
    /// The module; by default the built-in policy
    #[arg(long, value_name = "FILE.wasm")]
    module: Option<PathBuf>,
    /// Other settings than those of the decision
    #[arg(long, value_name = "JSON|@FILE", value_parser = read_settings)]
    settings: Option<Map<String, Value>>,
    #[command(flatten)]
    output: OutputArgs,
}

/// No request in the file.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("{path}: {cause}", path = .path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("{path} is no decision: {cause} (a record of many: kube-ipam policy replay)", path = .path.display())]
    NoDecision { path: PathBuf, cause: serde_json::Error },
}

impl Fail for RunError {}

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    policy: PolicyName,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
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

pub(crate) fn run(options: &Options) -> Done {
    let told = read(&options.request)?;
    let mut candidate = Candidate::load(options.module.as_deref(), options.settings.as_ref())?;
    let came = candidate.ask(&told);
    let report = report(&candidate, came);
    let exit = u8::from(!matches!(report.answer, Some(Answer::Proposals(_))));
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

fn report(candidate: &Candidate, came: Came) -> Report {
    let (spent, call) = candidate.last_call();
    let took = call.as_ref().map(|call| call.took).unwrap_or_default();
    let line = |Line { level, text }| LogLine { level: level.to_string().to_lowercase(), text };
    let (answer, undecidable) = match came {
        Came::Answered(answer) => (Some(answer), None),
        Came::Undecidable(question) => (None, Some(question.to_string())),
    };
    Report {
        policy: candidate.name().clone(),
        answer,
        undecidable,
        log: call.into_iter().flat_map(|call| call.lines).map(line).collect(),
        fuel: spent.fuel,
        host_calls: spent.host_calls,
        milliseconds: took.as_secs_f64() * 1e3,
    }
}

fn describe(report: &Report) -> String {
    let Report { policy, answer, undecidable, log, fuel, host_calls, milliseconds } = report;
    let mut lines = vec![("policy".to_owned(), format!("{policy}, sha256 {}", policy.sha256))];
    match answer {
        Some(Answer::Proposals(proposals)) => {
            let whole = |proposal: &Vec<Assignment>| proposal.iter().map(assignment).collect::<Vec<_>>().join(", ");
            lines.extend((1..).zip(proposals).map(|(nth, proposal)| (format!("proposal {nth}"), whole(proposal))));
        }
        Some(Answer::Refusal(refusal)) => lines.push(("refused".to_owned(), format!("{}: {refusal}", refusal.kind()))),
        Some(Answer::Fault(fault)) => lines.push(("fault".to_owned(), fault.clone())),
        None => {}
    }
    lines.extend(undecidable.iter().map(|asked| ("undecidable".to_owned(), format!("it asked {asked}: not recorded"))));
    lines.extend(log.iter().map(|line| ("log".to_owned(), format!("{}: {}", line.level, line.text))));
    let (fuel, of) = (Thousands(*fuel), Thousands(FUEL.default));
    lines.push(("spent".to_owned(), format!("{fuel} of {of} fuel, {host_calls} host calls, {milliseconds:.2} ms")));
    lines.iter().map(|(name, value)| format!("{name:<12} {value}")).collect::<Vec<_>>().join("\n")
}

fn assignment(assignment: &Assignment) -> String {
    let Assignment { address, prefix_length, gateway, hold, .. } = assignment;
    let gateway = gateway.map_or_else(String::new, |gateway| format!(" gateway {gateway}"));
    let hold = hold.as_ref().map_or_else(String::new, |hold| {
        format!(", kept for {} for {} s", engine::text::tame(&hold.identity, 200), hold.seconds)
    });
    format!("{address}/{prefix_length}{gateway}{hold}")
}
