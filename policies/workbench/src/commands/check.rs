//! `kube-ipam policy check` tries a module against the properties of every good policy.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::trial::{ArgumentError, module_file, read_network, read_settings};
use crate::lab::TrialNetwork;
use crate::lab::check::{self, CheckError, CheckReport, Counterexample, Effort, PropertyResult, Subject};
use crate::lab::world::NETWORK;
use engine::PolicyError;
use kube_ipam::cli::output::{self, CommandError, Done, Output};
use kube_ipam::cli::{Format, OutputArgs};
use limits::{Limits, Thousands};

#[derive(Args, Debug)]
pub(crate) struct CheckOptions {
    /// Module to check, or `builtin` for the built-in policy
    #[arg(value_name = "FILE.wasm")]
    module: PathBuf,
    /// Settings of the policy in every world: a JSON object, or @FILE with one [default: those of --network]
    #[arg(long, value_name = "JSON|@FILE")]
    settings: Option<String>,
    /// Network to use instead of generated ones: a configuration, or its `ipam` section alone
    #[arg(long, value_name = "FILE|JSON")]
    network: Option<String>,
    /// Annotation that the policy reads besides those that it declares; may be repeated
    #[arg(long, value_name = "NAME")]
    annotation: Vec<String>,
    /// Number of worlds for each property
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    cases: u32,
    /// Random seed; the same seed makes the same worlds [default: a new one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Check this property only; may be repeated
    #[arg(long, value_name = "PROPERTY", value_parser = PossibleValuesParser::new(check::names()))]
    only: Vec<String>,
    /// Directory to save a world in that breaks a property, as a test case [default: tests/ beside the module]
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn check(options: &CheckOptions) -> Done {
    let subject = subject(options)?;
    // The nanosecond in which an author presses a key is random enough to see other worlds every time, and short enough
    // to be typed again.
    let seed = options.seed.unwrap_or_else(|| Timestamp::now().subsec_nanosecond().unsigned_abs().into());
    let effort = Effort { only: options.only.clone(), worlds: options.cases, seed };
    let for_people = options.output.output == Format::Table;
    if for_people {
        output::line(&format!("{}: {} worlds for each property, seed {seed}", options.module.display(), effort.worlds));
    }
    let report = check::check(&subject, &effort, |result| {
        if for_people {
            for text in line(result).lines() {
                output::line(text);
            }
        }
    });
    let report = report.map_err(|error| explained(error, &subject))?;
    let exit = u8::from(!report.is_good());
    let saved = save(&report, options)?;
    let text = match options.output.output {
        Format::Table => summary(&report, &saved, options),
        Format::Json => serde_json::to_string_pretty(&in_json(&report, &saved))?,
    };
    Ok(Output { text, exit })
}

fn subject(options: &CheckOptions) -> Result<Subject, CommandError> {
    let network = options.network.as_deref().map(read_network).transpose()?;
    let configured = network.as_ref().map(configured).transpose()?;
    let (limits, own) = configured.unwrap_or((Limits::default(), Map::new()));
    let settings = options.settings.as_deref().map(read_settings).transpose()?;
    let module = module_file(options.module.clone());
    let annotations = options.annotation.clone();
    Ok(Subject { module, settings: settings.unwrap_or(own), annotations, network, limits })
}

/// What its policy may spend, and its settings.
fn configured(ipam: &Map<String, Value>) -> Result<(Limits, Map<String, Value>), CommandError> {
    let policy = TrialNetwork::read(NETWORK, ipam)?.network.policy;
    Ok((policy.limits, serde_json::from_str(&policy.settings)?))
}

/// The error of a command. An author who gave no settings may not know that some are needed.
fn explained(error: CheckError, subject: &Subject) -> CheckError {
    match error {
        CheckError::Policy(error @ PolicyError::Settings { .. }) if subject.settings.is_empty() => {
            CheckError::NoSettings(error)
        }
        error => error,
    }
}

/// Write a counterexample as a test case, in a directory that is made where it is missing.
fn write_case<E: std::fmt::Display>(directory: &Path, file: &Path, case: Result<String, E>) -> io::Result<()> {
    let case = case.map_err(|error| io::Error::other(error.to_string()))?;
    std::fs::create_dir_all(directory)?;
    std::fs::write(file, case)
}

/// Save a file for each broken property. Gives the properties with their files.
fn save(report: &CheckReport, options: &CheckOptions) -> Result<Vec<(&'static str, PathBuf)>, ArgumentError> {
    let directory = match &options.save {
        Some(directory) => directory.clone(),
        None => options.module.parent().unwrap_or(Path::new("")).join("tests"),
    };
    let mut saved = Vec::new();
    for result in &report.results {
        let Some(case) = result.counterexample.as_ref().and_then(Counterexample::test_case) else { continue };
        let file = directory.join(format!("{}-{}.yaml", result.name, report.seed));
        match write_case(&directory, &file, case) {
            Ok(()) => saved.push((result.name, file)),
            Err(cause) => return Err(ArgumentError::Unwritable { file, cause }),
        }
    }
    Ok(saved)
}

fn line(result: &PropertyResult) -> String {
    let PropertyResult { name, worlds, concerned, worst, took, .. } = result;
    let mark = match (&result.counterexample, concerned) {
        (Some(_), _) => "✗",
        (None, 0) => "–",
        (None, _) => "✓",
    };
    let mut line = format!("{mark} {name:<24} {concerned:>4} of {worlds} worlds");
    if worst.fuel > 0 {
        let (fuel, share) = (Thousands(worst.fuel).to_string(), 100 * worst.fuel / result.limits.fuel);
        line.push_str(&format!("  worst {fuel:>10} fuel ({share}%), {} host calls", worst.host_calls));
    }
    line.push_str(&format!("  {:.1} s", took.as_secs_f64()));
    if let Some(example) = &result.counterexample {
        line.push_str(&format!("\n  {}", example.what));
    }
    line
}

fn summary(report: &CheckReport, saved: &[(&'static str, PathBuf)], options: &CheckOptions) -> String {
    let mut parts: Vec<String> = Vec::new();
    for result in &report.results {
        if let Some(example) = &result.counterexample {
            let file = saved.iter().find(|(name, _)| *name == result.name).map(|(_, file)| file.as_path());
            parts.push(told(result, example, file));
        }
    }
    if let Some(refused) = &report.never_served {
        parts.push(format!(
            "✗ it gave no address in any world, so nothing was checked; its last refusal: {refused}\n  \
             hint: pass --settings and --network that belong together"
        ));
    }
    let (module, seed) = (options.module.display(), report.seed);
    parts.push(if !report.is_good() {
        format!("to repeat: kube-ipam policy check {module} --seed {seed}, with the same options")
    } else if options.annotation.is_empty() {
        "no property was broken; to try annotations that the policy does not declare, pass --annotation NAME".to_owned()
    } else {
        "no property was broken".to_owned()
    });
    parts.join("\n\n")
}

/// A broken property with the world that shows it.
fn told(result: &PropertyResult, example: &Counterexample, file: Option<&Path>) -> String {
    let mut text = format!("{}\n  {}\n  because {}", result.name, example.what, result.why);
    if let Some(Ok(case)) = example.test_case() {
        text.push_str("\n  the smallest world that shows it:");
        for line in case.lines().filter(|line| !line.starts_with("about:")) {
            text.push_str(&format!("\n    {line}"));
        }
    }
    if let Some(file) = file {
        text.push_str(&format!("\n  saved as {}", file.display()));
    }
    text
}

fn in_json(report: &CheckReport, saved: &[(&'static str, PathBuf)]) -> Value {
    let files: Map<String, Value> = saved.iter().map(|(name, file)| ((*name).to_owned(), json!(file))).collect();
    json!({
        "policy": report.policy, "version": report.description.version, "seed": report.seed, "good": report.is_good(),
        "neverServed": report.never_served, "properties": report.results, "saved": files,
    })
}
